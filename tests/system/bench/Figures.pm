# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the parts of the bench share: times, requests as lonnet makes them, shims, and tables of hosts.
package Figures;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use IO::Socket::UNIX;
use Socket;
use Time::HiRes qw(sleep clock_gettime CLOCK_MONOTONIC);

our @EXPORT = qw(now took timed_request turn_about settle stop_shims shims pss hosts_table settings);

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Seconds that a command takes; it must succeed.
sub took {
    my ($command) = @_;
    my $began = now();
    my ($status, $said) = sh($command);
    my $took = now() - $began;
    die "$command: exit status $status: $said" if $status != 0;
    return $took;
}

# Seconds from before the connect to the reply; dies where it is not the right one.
sub timed_request {
    my ($path) = @_;
    my $began = now();
    my $socket = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_STREAM) or die "$path: $!\n";
    syswrite $socket, "echo:bench\n";
    my $answer = <$socket> // '';
    my $took = now() - $began;
    die "$path: answered '$answer'\n" if $answer ne "bench\n";
    return $took;
}

# A list as it goes in this round: each begins once, so that none is always behind the same one.
sub turn_about {
    my ($round, @turn) = @_;
    return @turn[map { ($_ + $round) % @turn } 0 .. $#turn];
}

# --- Shims ----------------------------------------------------------------------------------------

# What PID 1 does about the end of a service is not the cost of the next start, and it does it after the job.
sub settle { sleep 0.04 }

sub stop_shims {
    sh("systemctl stop 'lonc-shared*.service'");
    settle();
}

# Their process ids, all that run of what is installed.
sub shims { return grep { (readlink "/proc/$_/exe" // '') eq '/usr/sbin/lonc-shim' } map { m{/(\d+)$} } glob '/proc/[0-9]*' }

# Kilobytes: what processes share with others counts as their part of it.
sub pss {
    my $sum = 0;
    $sum += read_file("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0 for @_;
    return $sum;
}

# --- Hosts ----------------------------------------------------------------------------------------

# So many hosts in hosts.tab, at the addresses where the stand-in lond listens; their ids.
sub hosts_table {
    my ($count) = @_;
    my @hosts = map {"host$_"} 1 .. $count;
    write_hosts(map { "$hosts[$_]=127.0.1." . (1 + $_ % 6) } 0 .. $#hosts);
    return @hosts;
}

# keeper.conf, as it was at boot, and these lines.
sub settings {
    my (@lines) = @_;
    write_file('/etc/lonc/keeper.conf', join '', map {"$_\n"} 'probe_min = 500ms', 'probe_max = 1s', @lines);
}

1;
