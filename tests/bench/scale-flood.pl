#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# One shim serves all hosts. How much is a host that one client asks, request after request, slowed down by another host
# that many clients flood? Compared with the same two loads through a shim each, in the same round.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use Test::More;
use Scale;

my @floods = split ' ', $ENV{SCALE_FLOODS} || '20 200 1000';
my $seconds = $ENV{SCALE_SECONDS} || 4; # fewer than some thousand answers have no steady 99th percentile
my $limit = 1.5;

Lonc::need_descriptors(6000);

# A world whose two hosts have one shim, or two.
sub world {
    my ($together) = @_;
    my $world = Lonc->new(hosts => ['flooded', 'quiet'], settings => {log_level => 'notice', queue_per_host => 10_000, queue_total => 10_000});
    $world->lond($_) for 'flooded', 'quiet';
    $world->keeper;
    my @listeners = map { $world->host_listener($_) } 'flooded', 'quiet';
    $world->shim(listeners => $_, options => ['--linger', 3600]) for $together ? \@listeners : map { [$_] } @listeners;
    return $world;
}

sub said {
    my ($load) = @_;
    die 'not all were answered: ' . $load->log if $load->wait_exit(300) != 0;
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    return decode_json($json);
}

sub start_load {
    my ($world, $host, @options) = @_;
    return $world->start("load of $host", [Lonc::program('lonnet-load'), '--socket', $world->path("sockets/$host"), '--json', @options]);
}

# The quiet client's p50 and p99, and the rate of the flood.
sub measure {
    my ($world, $clients) = @_;
    my $flood = start_load($world, 'flooded', '--clients', $clients, '--warm', '--seconds', $seconds + 0.4);
    $flood->await(qr/^warm/m);
    my $quiet = said(start_load($world, 'quiet', '--seconds', $seconds));
    return (@$quiet{qw(p50 p99)}, said($flood)->{rate});
}

my @ways = ([one => world(1)], [two => world(0)]);
measure($_->[1], 20) for @ways;
my @rows;
for my $clients (@floods) {
    my %of;
    for my $round (1 .. $rounds) {
        for my $way ($round % 2 ? @ways : reverse @ways) {
            my @numbers = measure($way->[1], $clients);
            push @{$of{$way->[0]}[$_]}, $numbers[$_] for 0 .. $#numbers;
        }
    }
    my ($one, $two) = @of{qw(one two)};
    my $ratio = median(map { $one->[1][$_] / $two->[1][$_] } 0 .. $rounds - 1);
    push @rows, [$clients, map({ my $way = $_; map { sprintf '%.0f', median(@$_) } @$way } $one, $two), sprintf('%.2f', $ratio)];
    diag "$clients clients: p99 in us, one shim: @{$one->[1]}; two: @{$two->[1]}";
    cmp_ok $ratio, '<=', $limit, "beside $clients clients of another host, a quiet host's p99 is at most 1.5 times that with a shim of its own";
}
report('scale-flood', 'a quiet host beside a flooded one',
    ['clients', 'one: p50 us', 'one: p99 us', 'one: flood/s', 'two: p50 us', 'two: p99 us', 'two: flood/s', 'ratio'], @rows);

done_testing;
