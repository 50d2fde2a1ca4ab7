#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# An idle keeper is not woken: in SCALE_IDLE seconds (60), none of its threads waits a second time. It has 200 hosts, some
# of them with connections, and the thread for TLS if there is one. systemd's watchdog, which would wake it, is off.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use Scale;

my $seconds = $ENV{SCALE_IDLE} || 60;

my $world = Scale::big_world(200, settings => {connection_idle_timeout => '1h', client_idle_timeout => '1h'});
my $keeper = $world->keeper;
my @names = map {"host$_"} 1 .. 20;
my @listeners = map { $world->host_listener($_) } @names;
my $shim = $world->shim(listeners => \@listeners, options => ['--linger', 3600]);
my @clients = map { $world->client($_) } @names;
is $_->ask('echo:hello'), 'hello', 'a client is answered' for @clients;

# A time-out that was started and stopped still fires once and finds nothing to do. So the measurement begins after the
# longest of them, two minutes for a request.
my $waits;
my $quiet = Lonc::within(200, sub {
    $waits = $keeper->waits_of_all;
    select undef, undef, undef, $seconds < 30 ? $seconds : 31;
    return $keeper->waits_of_all == $waits;
});
ok $quiet, 'after its last request the keeper comes to rest';
$waits = $keeper->waits_of_all;
my $cpu = Scale::cpu_ns($keeper);
my $end = time + $seconds;
while ((my $left = $end - time) > 0) { select undef, undef, undef, $left }
is $keeper->waits_of_all - $waits, 0, "... and is not woken once in $seconds s";
is Scale::cpu_ns($keeper) - $cpu, 0, '... nor does it take a nanosecond of CPU';
is $_->ask('echo:again'), 'again', 'and then it answers' for $clients[0];

done_testing;
