#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures what activation by systemd costs, inside the booted system, with the package installed as it is. What is
# compared takes turns in each round, and the medians count.
#
#     bench.pl [PART...]     rates, starts, hosts, connections, options; by default all of them
#
# LONC_ROUNDS (5), LONC_SECONDS (of a run under load, 0.8) and LONC_REQUESTS (one after the other, 60) limit it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/bench";
use Booted;
use Connections;
use Figures;
use Findings;
use Hosts;
use Options;
use Rates;
use Starts;

$| = 1;
my $rounds = $ENV{LONC_ROUNDS} || 5;
my $findings = Findings->new(rounds => $rounds, systemd => output('systemctl --version') =~ /^(systemd \d+)/ ? $1 : 'systemd');
my @parts = (
    [rates => \&rates],
    [starts => sub { first_requests(@_); many_hosts(@_) }],
    [hosts => \&follow_table],
    [connections => \&per_connection],
    [options => sub { option_costs($findings, 2 * $rounds) }], # single starts vary most
);

after_boot($findings); # before anybody else asks
for my $part (@parts) {
    my ($name, $measure) = @$part;
    next if @ARGV && !grep { $_ eq $name } @ARGV;
    my $began = now();
    $measure->($findings, $rounds);
    printf "(%s: %.0f s)\n\n", $name, now() - $began;
}
my $missed = $findings->write('/opt/lonc-tests/bench-results');
print $missed ? "$missed figures are not what is wanted\n" : "all is as wanted\n";
