# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a bench needs besides a world (Lonc.pm): runs of lonnet-load against a contender, and what its processes cost
# meanwhile.
package Bench;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use List::Util qw(max sum0);
use Lonc;
use POSIX ();

our @EXPORT = qw(measure count memory);

# The contents of a file; '' if it cannot be read (any more).
sub slurp { my ($name) = @_; open my $file, '<', $name or return ''; local $/; return scalar(<$file>) // '' }

# The pids of a process and of all its descendants.
sub family {
    my ($pid) = @_;
    return $pid, map { family($_) } map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children";
}

# The CPU seconds of a process and its descendants, including those that have ended.
sub cpu {
    my ($pid) = @_;
    return sum0(map {
        my @fields = split ' ', (slurp("/proc/$_/stat") =~ s/.*\)//sr); # the first one is the state, field 3 of proc(5)
        @fields ? sum0(@fields[11 .. 14]) : 0;
    } family($pid)) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# The memory of a process and its descendants in kilobytes, as PSS: of shared pages, each process counts its share.
# undef if it may not be read.
sub memory { return sum0(map { slurp("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0 } family($_[0])) || undef }

sub load_begin {
    my ($world, $contender, $case, $seconds, @wrapper) = @_;
    return $world->start('load', [@wrapper, Lonc::program('lonnet-load'), @{$contender->{at}}, '--clients', $case->{clients},
            '--seconds', $seconds, '--timeout', 60, '--warm', '--json', $case->{kept} ? '--kept' : ()]);
}

# Waits for the end of lonnet-load, and returns its report.
sub load_end {
    my ($world, $contender, $load) = @_;
    $load->wait_exit(150);
    @{$world->{processes}} = grep { $_ != $load } @{$world->{processes}};
    my ($json) = $load->log =~ /^(\{.*\})$/m or die "no result of $contender->{name}: " . $load->log;
    my $got = decode_json($json);
    $got->{failed} = max($got->{requests} - $got->{ok}, $got->{wrong}); # bytes that answer no request are wrong, but follow a right answer
    $got->{said} = join "\n", map { my $log = $_->log; substr $log, length($log) > 1000 ? -1000 : 0 } $load, @{$contender->{processes}} if $got->{failed};
    $_->drain, $_->{log} = '', $_->{seen} = 0 for @{$contender->{processes}}; # a program that logs each connection must not wait for a reader
    return $got;
}

# One run: the report of lonnet-load, and the microseconds of CPU that each process spent on a request, its own included.
sub measure {
    my ($world, $contender, $case, $seconds) = @_;
    my ($user, $system) = (times)[2, 3];
    my $load = load_begin($world, $contender, $case, $seconds);
    $load->await(qr/^warm$/m);
    my %before = map { $_->{name} => cpu($_->{pid}) } @{$contender->{processes}};
    my $got = load_end($world, $contender, $load);
    my %cpu = map { $_->{name} => cpu($_->{pid}) - $before{$_->{name}} } @{$contender->{processes}};
    $cpu{load} = (times)[2] - $user + (times)[3] - $system;
    $got->{cpu}{$_} = 1e6 * $cpu{$_} / ($got->{ok} || 1) for keys %cpu;
    return $got;
}

my @perf = ('perf', 'stat', '-x,', '-e', 'raw_syscalls:sys_enter,context-switches');

# Whether this user may count other processes' system calls. If not, the tables have dashes.
my $may_count;
sub may_count {
    return $may_count if defined $may_count;
    $may_count = system("@perf -p $$ -- true >/dev/null 2>&1") == 0 ? 1 : 0;
    warn "perf may count nothing here: no system calls, no context switches\n" if !$may_count;
    return $may_count;
}

# A separate run, whose speed does not count: the system calls and context switches of each process for a request
# (including children that start meanwhile), and its memory halfway. Each process has a perf of its own, which runs the
# next perf as its command; the innermost command is the load.
sub count {
    my ($world, $contender, $case, $seconds) = @_;
    my @processes = @{$contender->{processes}};
    my @wrapper = map { (@perf, '-o', $world->path("perf-$_"), '-p', $processes[$_]{pid}, '--') } may_count() ? 0 .. $#processes : ();
    my $load = load_begin($world, $contender, $case, $seconds, @wrapper);
    $load->await(qr/^warm$/m);
    my %got = (memory => {map { $_->{name} => memory($_->{pid}) } @processes});
    my $run = load_end($world, $contender, $load);
    my $answered = $run->{ok} + $case->{clients}; # each client asked once before the load began to count
    for my $n (may_count() ? 0 .. $#processes : ()) {
        my $counted = slurp($world->path("perf-$n"));
        $got{syscalls}{$processes[$n]{name}} = $1 / $answered if $counted =~ /^(\d+),[^,]*,raw_syscalls:sys_enter/m;
        $got{switches}{$processes[$n]{name}} = $1 / $answered if $counted =~ /^(\d+),[^,]*,context-switches/m;
    }
    return \%got;
}

1;
