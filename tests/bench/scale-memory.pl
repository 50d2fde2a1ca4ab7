#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# How memory grows with unused hosts, open connections and waiting clients, in kilobytes of PSS beyond those of a program
# that is linked and initialized like the keeper and does nothing.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use Scale;

Lonc::need_descriptors(16_000);

# --- Idle hosts -----------------------------------------------------------------------------------

my $empty_world = Lonc->new;
my $empty = $empty_world->start('empty program', [Lonc::program('empty-keeper')]);
$empty->await(qr/is ready/);

my @rows;
for my $hosts (10, 200, 1_000, 10_000) {
    my $world = Scale::big_world($hosts);
    my $keeper = $world->keeper;
    $world->activate('host1');
    is $world->ask('host1', 'echo:hello'), 'hello', "$hosts hosts: the keeper answers";
    push @rows, [$hosts, Scale::memory($keeper)->{pss} - Scale::memory($empty)->{pss}];
}
report('scale-memory-hosts', 'memory of idle hosts', ['hosts', 'kB above empty'], @rows);
cmp_ok $rows[1][1], '<=', 1536, '200 idle hosts: at most 1.5 MB above an empty program';
my $each = ($rows[3][1] - $rows[1][1]) / 9_800;
diag sprintf 'an idle host: %.2f kB', $each;
cmp_ok $each, '<=', 2, '... and 2 kB for each further one';

# --- Idle connections -----------------------------------------------------------------------------

my ($hosts, $rate) = (1_000, 1_000);
my $world = Scale::big_world($hosts, settings => {connection_idle_timeout => '1h', queue_total => 10_000});
my $keeper = $world->keeper;
my $lond = $world->{lond};
my @listeners = map { $world->host_listener("host$_") } 1 .. $hosts;
my $shim = $world->shim(listeners => \@listeners, options => ['--linger', 3600]);

# Asks each host once, so that what a host allocates at its first request is not counted for its connections.
sub ask_all {
    my ($clients, $ms) = @_;
    for my $hundred (0 .. 9) {
        my $load = $world->start('load', [Lonc::program('lonnet-load'), map({ ('--socket', $world->path("sockets/host$_")) } 1 + 100 * $hundred .. 100 * ($hundred + 1)),
                '--clients', 100 * $clients, '--requests', 100 * $clients, '--command', "sleep:$ms:%u", '--expect', '%u', '--json']);
        $load->wait_exit(120) == 0 or die $load->log;
    }
}

# The 99th percentile and the CPU of requests to one host.
sub busy_host {
    my (@p99, @cpu);
    for (1 .. $rounds) {
        push @cpu, cpu_of($keeper, sub { my $said = load($world, 'host1', $rate, 2); push @p99, $said->{p99}; $said->{ok} });
    }
    return map { median(@$_) } \@p99, \@cpu;
}

ask_all(1, 10);
my @few = ($lond->open_connections, Scale::memory($keeper)->{pss}, busy_host());
ask_all(10, 2_000);
my @many = ($lond->open_connections, Scale::memory($keeper)->{pss}, busy_host());
my $slope = report('scale-connections', 'open connections to 1000 hosts', ['connections', 'PSS kB', 'p99 us', 'CPU us a request'],
    map { [$_->[0], $_->[1], map { sprintf '%.1f', $_ } @$_[2, 3]] } \@few, \@many);
cmp_ok $many[0], '>=', 0.99 * 10 * $hosts, 'there are 10,000 connections';
my $connection = ($many[1] - $few[1]) / ($many[0] - $few[0]);
diag sprintf 'an idle connection: %.2f kB', $connection;
cmp_ok $connection, '<=', 2, '... each of them at most 2 kB';
cmp_ok $slope->{'CPU us a request'}, '<', 0.1, '... and a request costs what it cost before';

# --- Clients that wait ----------------------------------------------------------------------------

{
    my $crowded = Scale::big_world(2, settings => {queue_per_host => 6_000, queue_total => 6_000});
    $keeper = $crowded->keeper;
    $world = $crowded;
    my @two = map { $world->host_listener("host$_") } 1, 2;
    $world->shim(listeners => \@two, options => ['--linger', 3600]);
    my @before = busy_host();
    my ($clients, $waiting, @rows) = (0);
    my $alone = Scale::memory($keeper)->{pss};
    for my $step (500, 5_000) {
        my $more = $step - $clients;
        $world->start('clients that wait', [Lonc::program('lonnet-load'), '--socket', $world->path('sockets/host2'), '--clients', $more,
            '--requests', $more, '--command', 'sleep:3000000:%u', '--timeout', 600]);
        $clients = $step;
        Lonc::within($Lonc::PATIENCE, sub { $keeper->tells('status')->{queued} == $clients - 10 }) or die 'they do not all wait';
        push @rows, [$clients, Scale::memory($keeper)->{pss}, busy_host()];
    }
    $slope = report('scale-clients', 'clients that wait', ['clients', 'PSS kB', 'p99 us of another host', 'CPU us a request'],
        map { [@$_[0, 1], map { sprintf '%.1f', $_ } @$_[2, 3]] } @rows);
    my $client = ($rows[1][1] - $alone) / 5_000;
    diag sprintf 'a client that waits: %.2f kB; p99 of another host %.0f us without, %.0f with them', $client, $before[0], $rows[1][2];
    cmp_ok $client, '<=', 8, '5,000 clients that wait: at most 8 kB each';
    cmp_ok $slope->{'CPU us a request'}, '<', 0.1, '... and a request of another host costs what it cost before';
}

done_testing;
