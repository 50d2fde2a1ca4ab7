# SPDX-License-Identifier: GPL-3.0-or-later
#
# How live requests fare beside something else: the 99th percentile of their latency, with it and
# without. Rounds of three runs, with it, without and without again, in an order that rotates; medians
# are compared, and how far the two without it differ shows what this machine's own noise is, which is
# added to the limit.
package Load;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use Test::More;
use Lonc;

our @EXPORT = qw(compare);
our ($rounds, $seconds, $rate) = (7, 2, 1000);

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# The p99 in microseconds of 20 clients of msul1 that begin `$rate` requests a second, whatever the
# replies; `meanwhile` is called once they are at it.
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

# Whether it costs no more than the limit, a ratio. `begin` is called before a run with it, `meanwhile`
# in it, `end` after it.
sub compare {
    my ($world, $lond, $limit, $what, %with) = @_;
    p99($world, $lond); # what is done for the first time takes longer
    my @took = ([], [], []);
    for my $round (1 .. $rounds) {
        for my $run (map { ($_ + $round) % 3 } 0 .. 2) {
            $with{begin}->() if $run == 0 && $with{begin};
            push @{$took[$run]}, p99($world, $lond, $run == 0 ? $with{meanwhile} : undef);
            $with{end}->() if $run == 0 && $with{end};
        }
    }
    my ($beside, $alone, $again) = map { median(@$_) } @took;
    my $spread = $alone > $again ? $alone / $again - 1 : $again / $alone - 1;
    my $ratio = $beside / median(@{$took[1]}, @{$took[2]});
    diag "p99 with:    @{$took[0]} (us)";
    diag "p99 without: @{$took[$_]}" for 1, 2;
    diag sprintf '%s: medians %d, and %d and %d us without; the ratio is %.2f, the limit %.2f and a spread of %.2f', $what,
        $beside, $alone, $again, $ratio, $limit, $spread;
    cmp_ok $ratio, '<=', $limit + $spread, $what;
}

1;
