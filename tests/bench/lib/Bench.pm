# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a bench needs besides a world to run in (Lonc.pm): runs of lonnet-load against a contender, and what the
# processes behind it cost meanwhile.
package Bench;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use List::Util qw(max sum0);
use Lonc;
use POSIX ();

our @EXPORT = qw(measure count memory);

# '' where there is nothing to read (any more).
sub slurp { my ($name) = @_; open my $file, '<', $name or return ''; local $/; return scalar(<$file>) // '' }

# A process and its children, theirs, ..
sub family {
    my ($pid) = @_;
    return $pid, map { family($_) } map { split ' ', slurp($_) } glob "/proc/$pid/task/*/children";
}

# CPU seconds that a process has had, with those of its children, gone ones too.
sub cpu {
    my ($pid) = @_;
    return sum0(map {
        my @fields = split ' ', (slurp("/proc/$_/stat") =~ s/.*\)//sr); # from the state on, the third
        @fields ? sum0(@fields[11 .. 14]) : 0;
    } family($pid)) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Kilobytes: what a process and its children share with others counts as their part of it (PSS). undef where
# it may not be read.
sub memory { return sum0(map { slurp("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0 } family($_[0])) || undef }

sub load_begin {
    my ($world, $contender, $case, $seconds, @wrapper) = @_;
    return $world->start('load', [@wrapper, Lonc::program('lonnet-load'), @{$contender->{at}}, '--clients', $case->{clients},
            '--seconds', $seconds, '--timeout', 60, '--warm', '--json', $case->{kept} ? '--kept' : ()]);
}

# What lonnet-load has to say, when it has ended.
sub load_end {
    my ($world, $contender, $load) = @_;
    $load->wait_exit(150);
    @{$world->{processes}} = grep { $_ != $load } @{$world->{processes}};
    my ($json) = $load->log =~ /^(\{.*\})$/m or die "no result of $contender->{name}: " . $load->log;
    my $got = decode_json($json);
    $got->{failed} = max($got->{requests} - $got->{ok}, $got->{wrong}); # bytes nobody asked for are wrong beside an ok
    $got->{said} = join "\n", map { my $log = $_->log; substr $log, length($log) > 1000 ? -1000 : 0 } $load, @{$contender->{processes}} if $got->{failed};
    $_->drain, $_->{log} = '', $_->{seen} = 0 for @{$contender->{processes}}; # who logs each connection must not wait for a reader
    return $got;
}

# One run: what lonnet-load says, and microseconds of CPU a request of each process, its own included.
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

# Not everybody may count other processes' system calls; tables have a dash for them then.
my $may_count;
sub may_count {
    return $may_count if defined $may_count;
    $may_count = system("@perf -p $$ -- true >/dev/null 2>&1") == 0 ? 1 : 0;
    warn "perf may count nothing here: no system calls, no context switches\n" if !$may_count;
    return $may_count;
}

# A run apart, whose time counts for nothing: what each process asks of the kernel, and how often it is
# switched to, a request (children that begin meanwhile included). Each is counted by a perf of its own,
# while the next inner command runs: the innermost is the load. What memory they have in its midst, too.
sub count {
    my ($world, $contender, $case, $seconds) = @_;
    my @processes = @{$contender->{processes}};
    my @wrapper = map { (@perf, '-o', $world->path("perf-$_"), '-p', $processes[$_]{pid}, '--') } may_count() ? 0 .. $#processes : ();
    my $load = load_begin($world, $contender, $case, $seconds, @wrapper);
    $load->await(qr/^warm$/m);
    my %got = (memory => {map { $_->{name} => memory($_->{pid}) } @processes});
    my $run = load_end($world, $contender, $load);
    my $answered = $run->{ok} + $case->{clients}; # once each before the load's own count began
    for my $n (may_count() ? 0 .. $#processes : ()) {
        my $counted = slurp($world->path("perf-$n"));
        $got{syscalls}{$processes[$n]{name}} = $1 / $answered if $counted =~ /^(\d+),[^,]*,raw_syscalls:sys_enter/m;
        $got{switches}{$processes[$n]{name}} = $1 / $answered if $counted =~ /^(\d+),[^,]*,context-switches/m;
    }
    return \%got;
}

1;
