# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures the first request to a host, which waits for the shim's start; first requests to many hosts at once; and
# what the shim of many hosts holds.
package Starts;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use Figures;

our @EXPORT = qw(after_boot first_requests many_hosts);

my $hosts = 200;
my $starts = 4; # of the shim, in each round

# The very first request after a boot, for which the keeper connects to lond as well.
sub after_boot {
    my ($findings) = @_;
    my ($first, $second) = map { timed_request("$sockets/msul1") } 1 .. 2;
    $findings->figure(what => 'the first request after a boot, minus the second', unit => 'ms', format => '%.1f', most => 40, values => [1000 * ($first - $second)]);
}

sub first_requests {
    my ($findings, $rounds) = @_;
    my @added;
    for (1 .. $starts * $rounds) {
        stop_shims();
        my ($first, $second) = map { timed_request("$sockets/msul1") } 1 .. 2;
        push @added, 1000 * ($first - $second);
    }
    $findings->figure(what => 'the first request after the shim was stopped, minus the second', unit => 'ms', format => '%.1f', most => 40, values => \@added);
}

# Asks all hosts at once. Returns how many seconds it took until all had answered.
sub ask_all {
    my (@hosts) = @_;
    my $n = load((map { ('--socket', "$sockets/$_") } @hosts), '--clients', scalar @hosts, '--requests', scalar @hosts, '--check')->numbers;
    die "$n->{ok} of " . @hosts . " first requests were answered\n" if $n->{ok} != @hosts;
    return $n->{seconds};
}

# For each kind of namespace: how many these processes have that are not PID 1's.
sub namespaces {
    my (@pids) = @_;
    my %seen;
    for my $kind (map { m{([^/]+)$} } grep { !/_for_children$/ } glob '/proc/1/ns/*') {
        my %of = map { readlink("/proc/$_/ns/$kind") // '' => 1 } @pids;
        delete @of{readlink("/proc/1/ns/$kind") // '', ''};
        $seen{$kind} = keys %of if %of;
    }
    return %seen;
}

sub slab { return map { read_file('/proc/meminfo') =~ /^$_:\s+(\d+)/m } qw(Slab SUnreclaim) }

sub many_hosts {
    my ($findings, $rounds) = @_;
    my @hosts = hosts_table($hosts);
    took('systemctl reload lonc-keeper');
    my (@all, @warm);
    for (1 .. $rounds) {
        stop_shims();
        sh('systemctl restart lonc-keeper.service');
        push @all, ask_all(@hosts);
    }
    # The keeper has its connections now, so what is added from here on is the shim's.
    my (@slab, @unreclaimable, @shims, @pss, @spaces, %kinds);
    for (1 .. $rounds) {
        stop_shims();
        my @before = slab();
        push @warm, ask_all(@hosts);
        my @pids = shims();
        my @after = slab();
        push @slab, $after[0] - $before[0];
        push @unreclaimable, $after[1] - $before[1];
        push @shims, scalar @pids;
        push @pss, pss(@pids) / 1024;
        my %of = namespaces(@pids);
        push @spaces, (sort { $b <=> $a } values %of, 0)[0];
        %kinds = (%kinds, %of);
    }
    $findings->figure(what => "first requests to $hosts hosts at once: all answered within (worst round)", unit => 's', most => 1, worst => 1, values => \@all);
    $findings->figure(what => 'the same with the keeper connected to every lond', unit => 's', values => \@warm);
    $findings->figure(what => "$hosts hosts, each asked once: shims", format => '%d', most => 1, values => \@shims);
    $findings->figure(what => 'PSS of all shims', unit => 'MB', most => 3, values => \@pss);
    $findings->figure(what => 'most namespaces of one kind beside PID 1\'s' . (%kinds ? ' (' . join(', ', sort keys %kinds) . ')' : ''), format => '%d', most => 1, worst => 1, values => \@spaces);
    $findings->figure(what => "kernel memory (slab) added by starting the shim", unit => 'kB', format => '%d', values => \@slab);
    $findings->figure(what => 'of it, not reclaimable', unit => 'kB', format => '%d', values => \@unreclaimable);
}

1;
