#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What grows with the number of hosts in the table: start, reload, memory, and the latency of one host's requests, which
# must not grow.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use Scale;

my @sizes = split ' ', $ENV{SCALE_HOSTS} || '10 100 1000 10000';
my ($rate, $seconds) = (1000, 2);

sub started { my ($world) = @_; my $start = time; $world->keeper(wrapper => [Scale::turns_setup($world)]); return 1000 * (time - $start) }

# How many milliseconds a reload takes, as an administrator asks for it.
sub reload_ms {
    my ($world) = @_;
    my $start = time;
    my $said = $world->{keeper}->tells('reload');
    die 'the reload failed' if !$said->{ok};
    return 1000 * (time - $start);
}

my (@rows, %of);
for my $size (@sizes) {
    my $world = Scale::big_world($size);
    my @start;
    for (1 .. $rounds) {
        $world->{keeper}->end if $world->{keeper};
        push @start, started($world);
    }
    my $memory = Scale::memory($world->{keeper});
    $world->activate('host1');
    load($world, 'host1', $rate, 1);
    my (@cpu, @p99, @reload, @felt, @turn, @changed);
    for my $round (1 .. $rounds) {
        push @cpu, cpu_of($world->{keeper}, sub {
            my $said = load($world, 'host1', $rate, $seconds);
            push @p99, $said->{p99};
            return $said->{ok};
        });
        turns($world);
        my $said = load($world, 'host1', $rate, 1, meanwhile => sub { push @reload, reload_ms($world) });
        push @felt, $said->{max} / 1000;
        push @turn, (turns($world))[0] / 1e6;
        # A tenth of the hosts moves, another is new.
        Scale::set_hosts($world, $size + ($round % 2) * int($size / 10));
        $said = load($world, 'host1', $rate, 1, meanwhile => sub { push @changed, reload_ms($world) });
        push @felt, $said->{max} / 1000;
        push @turn, (turns($world))[0] / 1e6;
    }
    my $after = Scale::memory($world->{keeper});
    push @rows, [$size, map({ sprintf '%.1f', median(@$_) } \@start, \@reload, \@changed), map({ sprintf '%.2f', median(@$_) } \@turn, \@felt),
        $memory->{pss}, $after->{pss}, sprintf('%.0f', median(@p99)), sprintf('%.1f', median(@cpu))];
    diag "longest turns, ms: @{[map { sprintf '%.2f', $_ } @turn]}; latest answers, ms: @{[map { sprintf '%.2f', $_ } @felt]}";
    $of{$size} = {reload => median(@reload), turn => median(@turn)};
}
my $slope = report('scale-hosts', 'hosts in the table',
    ['hosts', 'start ms', 'reload ms', 'reload of changes ms', 'longest turn ms', 'latest answer ms', 'PSS kB', 'PSS after kB', 'p99 us', 'CPU us a request'], @rows);
cmp_ok $of{10_000}{reload}, '<', 100, 'a reload of 10,000 hosts takes less than 100 ms';
cmp_ok $of{10_000}{turn}, '<', 5, '... and stops the loop for less than 5 ms';
cmp_ok $slope->{'CPU us a request'}, '<', 0.05, 'a request costs the same, however many hosts there are';

done_testing;
