# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures how long the sockets take to follow the table: all new, one more, one fewer, none, and all switched.
package Hosts;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use Figures;
use Time::HiRes qw(sleep);

our @EXPORT = qw(follow_table);

# How many hosts' sockets listen, by the kernel's flag __SO_ACCEPTCON.
sub listening { return scalar(() = read_file('/proc/net/unix') =~ m{^\S+ \S+ \S+ 00010000 \S+ \S+ +\d+ \Q$sockets\E/host\d+$}mg) }

# How many seconds pass from `systemctl start lonc.target` until that number of hosts' sockets listen.
sub start_target {
    my ($hosts) = @_;
    took('systemctl stop lonc.target');
    within($patience, sub { listening() == 0 }) or die 'sockets still listen after lonc.target was stopped';
    my $began = now();
    my $pid = fork // die "fork: $!";
    exec 'systemctl', 'start', 'lonc.target' if $pid == 0;
    sleep 0.002 until listening() == $hosts || now() - $began > $patience;
    my $took = now() - $began;
    waitpid $pid, 0;
    die "only " . listening() . " of $hosts sockets listen\n" if listening() != $hosts;
    return $took;
}

# How many seconds a reload takes. Afterwards that number of sockets must listen.
sub reload {
    my ($hosts) = @_;
    my $took = took('systemctl reload lonc-keeper');
    die listening() . " sockets listen after a reload, not $hosts\n" if listening() != $hosts;
    return $took;
}

# A sync that finds nothing to do: milliseconds of its own processor time and of PID 1's.
sub idle_sync {
    my $cpu = pid1_cpu();
    my ($said) = output(q(bash -c "TIMEFORMAT='%3U %3S'; time lonc-hosts sync" 2>&1)) =~ /^([\d.]+ [\d.]+)$/ or die 'lonc-hosts sync has something to do';
    my ($user, $system) = split ' ', $said;
    return (1000 * ($user + $system), 1000 * (pid1_cpu() - $cpu));
}

# How many messages it sends on the bus; each is one sendmsg.
sub bus_calls { return scalar(() = output('strace -f -e trace=sendmsg -o /dev/stdout lonc-hosts sync') =~ /sendmsg\(/g) }

# There are limits for `systemctl start lonc.target`, a reload with one more host, and a sync with nothing to do.
sub of_so_many {
    my ($findings, $rounds, $hosts, %wanted) = @_;
    my (%took, @sync, @pid1, @switched);
    hosts_table($hosts);
    reload($hosts);
    for (1 .. $rounds) {
        push @{$took{start}}, start_target($hosts);
        hosts_table($hosts + 1);
        push @{$took{more}}, reload($hosts + 1);
        hosts_table($hosts);
        push @{$took{fewer}}, reload($hosts);
        push @{$took{same}}, reload($hosts);
        my ($sync, $pid1) = idle_sync();
        push @sync, $sync;
        push @pid1, $pid1;
    }
    settings('activation = per-connection');
    push @{$took{there}}, reload($hosts);
    settings();
    push @{$took{back}}, reload($hosts);
    my %words = (start => 'systemctl start lonc.target until all sockets listen', more => 'reload with one more host', fewer => 'reload with one host fewer', same => 'reload with nothing changed',
        there => 'reload that switches all to per-connection', back => 'and back');
    for (qw(start more fewer same there back)) {
        $findings->figure(what => "$hosts hosts: $words{$_}", unit => 's', values => $took{$_}, defined $wanted{$_} ? (most => $wanted{$_}) : ());
    }
    $findings->figure(what => "$hosts hosts: lonc-hosts sync with nothing to do: processor time", unit => 'ms', format => '%.0f', values => \@sync, defined $wanted{sync} ? (most => $wanted{sync}) : ());
    $findings->figure(what => "$hosts hosts: the same: PID 1's processor time", unit => 'ms', format => '%.0f', values => \@pid1);
    $findings->figure(what => "$hosts hosts: the same: bus messages sent", format => '%d', values => [bus_calls()]);
}

sub follow_table {
    my ($findings, $rounds) = @_;
    of_so_many($findings, $rounds, 200, start => 0.8, more => 0.2);
    of_so_many($findings, $rounds > 3 ? 3 : $rounds, 1000, start => 3, more => 0.4, sync => 50);
    write_hosts(map {"msul$_"} 1 .. 5);
    took('systemctl reload lonc-keeper');
}

1;
