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

# How many seconds a command takes. It must succeed.
sub took {
    my ($command) = @_;
    my $began = now();
    my ($status, $said) = sh($command);
    my $took = now() - $began;
    die "$command: exit status $status: $said" if $status != 0;
    return $took;
}

# How many seconds a request takes, from before the connect until the reply. Dies if the reply is wrong.
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

# Rotates a list by the round, so that each is first once and nothing always follows the same neighbor.
sub turn_about {
    my ($round, @turn) = @_;
    return @turn[map { ($_ + $round) % @turn } 0 .. $#turn];
}

# --- Shims ----------------------------------------------------------------------------------------

# Waits until PID 1 has dealt with the end of a service. It does so after the job, and it must not count as a part of
# the next start.
sub settle { sleep 0.04 }

sub stop_shims {
    sh("systemctl stop 'lonc-shared*.service'");
    settle();
}

# The process ids of all shims of the installed package.
sub shims { return grep { (readlink "/proc/$_/exe" // '') eq '/usr/sbin/lonc-shim' } map { m{/(\d+)$} } glob '/proc/[0-9]*' }

# The memory of processes in kilobytes, as PSS: of shared pages, each process counts its share.
sub pss {
    my $sum = 0;
    $sum += read_file("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0 for @_;
    return $sum;
}

# --- Hosts ----------------------------------------------------------------------------------------

# Writes that number of hosts into hosts.tab, at the addresses where the stand-in lond listens. Returns their ids.
sub hosts_table {
    my ($count) = @_;
    my @hosts = map {"host$_"} 1 .. $count;
    write_hosts(map { "$hosts[$_]=127.0.1." . (1 + $_ % 6) } 0 .. $#hosts);
    return @hosts;
}

# Writes keeper.conf as it was at boot, with these lines added.
sub settings {
    my (@lines) = @_;
    write_file('/etc/lonc/keeper.conf', join '', map {"$_\n"} 'probe_min = 500ms', 'probe_max = 1s', @lines);
}

1;
