# SPDX-License-Identifier: GPL-3.0-or-later
#
# How much something slows down live requests: the 99th percentile of their latency, with it and without. Each round has
# three runs, with it, without and without again, in an order that rotates. Only runs of the same round are compared,
# because the speed of a machine changes within minutes, and the median of all rounds counts. The two runs without
# should be alike; their difference is the machine's noise, and is added to the limit.
package Load;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use Test::More;
use Lonc;

our @EXPORT = qw(compare);
our ($rounds, $seconds, $rate) = (7, 2, 1000);
our %measured; # the ratio and the spread of the last compare

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# The p99 in microseconds of 20 clients of msul1 that begin `$rate` requests a second, whether or not replies come. Calls
# `meanwhile` once they have begun.
sub p99 {
    my ($world, $lond, $meanwhile) = @_;
    my $asked = $lond->counts->{requests};
    my $load = $world->start('load', [Lonc::program('lonnet-load'), '--socket', $world->path('sockets/msul1'),
            '--clients', 20, '--kept', '--rate', $rate, '--seconds', $seconds, '--json']);
    if ($meanwhile) {
        Lonc::within($Lonc::PATIENCE, sub { $lond->counts->{requests} > $asked + 50 }) or die 'there is no load';
        $meanwhile->();
    }
    my $status = $load->wait_exit(120);
    diag 'not all were answered: ' . $load->log if $status != 0;
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    return decode_json($json // '{}')->{p99} || die 'no p99 in ' . $load->log;
}

# Checks that the slowdown does not exceed the limit, a ratio. `begin` is called before a run with the disturbance,
# `meanwhile` during it, `end` after it.
sub compare {
    my ($world, $lond, $limit, $what, %with) = @_;
    p99($world, $lond); # the first run takes longer
    my @took = ([], [], []);
    for my $round (1 .. $rounds) {
        for my $run (map { ($_ + $round) % 3 } 0 .. 2) {
            $with{begin}->() if $run == 0 && $with{begin};
            push @{$took[$run]}, p99($world, $lond, $run == 0 ? $with{meanwhile} : undef);
            $with{end}->() if $run == 0 && $with{end};
        }
    }
    my ($with, $alone, $again) = @took;
    my $ratio = median(map { $with->[$_] / sqrt($alone->[$_] * $again->[$_]) } 0 .. $rounds - 1);
    my $noise = median(map { $alone->[$_] / $again->[$_] } 0 .. $rounds - 1);
    my $spread = ($noise > 1 ? $noise : 1 / $noise) - 1;
    %measured = (ratio => $ratio, spread => $spread);
    diag "p99 with:    @$with (us)";
    diag "p99 without: @$_" for $alone, $again;
    diag sprintf '%s: medians %d, and %d and %d us without; the ratio is %.2f, the limit %.2f and a spread of %.2f', $what,
        (map { median(@$_) } @took), $ratio, $limit, $spread;
    cmp_ok $ratio, '<=', $limit + $spread, $what;
}

1;
