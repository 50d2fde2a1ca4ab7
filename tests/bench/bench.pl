#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures how fast lonc-keeper is, compared with what a request's way costs at least on this machine and with the
# alternatives. All contenders run all the time and take turns in short runs, in an order that rotates. Only runs of
# the same round are compared, because the speed of a machine changes within minutes. Nothing is pinned to a processor.
# A separate run counts system calls, context switches and memory.
#
#     ROUNDS=n (9), SECONDS=s (0.5), QUICK=1 (3 rounds of 0.3 s)
#
# It fails if a request is not answered rightly or if the floor itself is slow. The other ratios depend on the machine
# too, so they are only reported. Tables, numbers and plots are written to BUILD/bench-results.
use strict;
use warnings;
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../scenario/lib";
use Bench;
use Contenders;
use Lonc;
use Report;

$| = 1;
Lonc::need_descriptors(16384); # systemd-socket-proxyd needs six for each client
my $rounds = $ENV{ROUNDS} || ($ENV{QUICK} ? 3 : 9);
my $seconds = $ENV{SECONDS} || ($ENV{QUICK} ? 0.3 : 0.5);
my $results = ($ENV{BUILD} || 'build') . '/bench-results';
make_path($results);

my $world = Lonc->new(hosts => [map {"msul$_"} 1, 2, 10 .. 17], settings => {log_level => 'info'});
Contenders->in_world($world);
my $peer = peer(['msul1', map {"msul$_"} 10 .. 13]);
my $strict = peer(['msul2', map {"msul$_"} 14 .. 17], '--ask-everybody');

# `only` names the cases that a contender takes part in. The floor is compared with ten connections directly to the
# peer, so they are measured in the same cases.
my @contenders = (
    direct($peer, only => qr/kept/),
    direct($peer, name => 'direct, 10 kept', only => qr/^20 /, like => {clients => 10, kept => 1}),
    floor($peer, 'one-by-one', name => 'floor, blind', group => 'floors, blind'),
    floor($peer, 'gathered', name => 'floor, blind, gathered', group => 'floors, blind', only => qr/connect/),
    floor($peer, 'acknowledged', name => 'floor, acknowledged'),
    shared($peer),
    per_connection($peer),
    (map { haproxy($peer, 0, $_) } 1, 2),
    (map { $_->($peer, 0) } \&proxyd, \&socat),
    (map { {%$_, only => qr/^20 connect/} } haproxy($strict, 1, 1), haproxy($strict, 1, 2), proxyd($strict, 1), socat($strict, 1)),
);
my @cases = map { my $kept = $_; map { {clients => $_, kept => $kept, name => "$_ " . ($kept ? 'kept' : 'connect')} } 1, 20, 500 } 0, 1;

my (%runs, %counts);

sub take_part { my ($case) = @_; return grep { !$_->{only} || $case->{name} =~ $_->{only} } @contenders }

for my $round (1 .. $rounds) {
    print STDERR "round $round of $rounds\n";
    for my $case (@cases) {
        my @turn = take_part($case);
        push @turn, splice @turn, 0, $round % @turn;
        push @{$runs{$case->{name}}{$_->{name}}}, measure($world, $_, $_->{like} || $case, $seconds) for @turn;
    }
}
print STDERR "system calls, context switches, memory\n";
for my $case (@cases) {
    $counts{$case->{name}}{$_->{name}} = count($world, $_, $_->{like} || $case, $seconds) for take_part($case);
}

exit Report->new(results => $results, cases => \@cases, contenders => \@contenders, runs => \%runs, counts => \%counts,
    rounds => $rounds, seconds => $seconds)->all;
