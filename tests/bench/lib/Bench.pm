# SPDX-License-Identifier: GPL-3.0-or-later
#
# What a bench needs besides a world to run in (Lonc.pm): contenders side by side, each a socket and the
# processes behind it, runs of lonnet-load against them in an order that rotates, and medians.
package Bench;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use List::Util qw(min max sum0);
use Lonc;

our @EXPORT = qw(median spread measure);

sub median { my @sorted = sort { $a <=> $b } @_; return @sorted % 2 ? $sorted[@sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2 }

# Half of what lies between the quarters, as a share of the median: how far runs differ here and now.
sub spread {
    my @sorted = sort { $a <=> $b } @_;
    my $median = median(@sorted);
    return $median ? ($sorted[int 0.75 * $#sorted + 0.5] - $sorted[int 0.25 * $#sorted + 0.5]) / 2 / $median : 0;
}

# CPU seconds that a process has had, with those of its children that have ended.
sub cpu {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/stat" or die "stat of $pid: $!";
    my @fields = split ' ', (<$file> =~ s/.*\)//r); # from the state on, the third
    return sum0(@fields[11 .. 14]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# One run: what lonnet-load says, and microseconds of CPU a request of each process, its own included.
sub measure {
    my ($world, $contender, $case, $seconds) = @_;
    my %before = map { $_->{name} => cpu($_->{pid}) } @{$contender->{processes}};
    my $load = $world->start('load', [Lonc::program('lonnet-load'), @{$contender->{at}}, '--clients', $case->{clients},
            '--seconds', $seconds, '--json', $case->{kept} ? '--kept' : ()]);
    my ($own) = (times)[2] + (times)[3];
    $load->wait_exit($seconds + 120);
    my $took = (times)[2] + (times)[3] - $own;
    @{$world->{processes}} = grep { $_ != $load } @{$world->{processes}};
    my ($json) = $load->log =~ /^(\{.*\})$/m or die "no result of $contender->{name}: " . $load->log;
    my $got = decode_json($json);
    $got->{failed} = $got->{requests} - $got->{ok};
    my %cpu = map { $_->{name} => cpu($_->{pid}) - $before{$_->{name}} } @{$contender->{processes}};
    $cpu{load} = $took;
    $got->{cpu}{$_} = 1e6 * $cpu{$_} / ($got->{ok} || 1) for keys %cpu;
    return $got;
}

1;
