#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# How much are live requests slowed down by a drain, and by 50 hosts that swallow packets? Compares the 99th percentile
# of their latency with and without.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use Test::More;
use IO::Socket::INET;
use Socket;
use Time::HiRes qw(time sleep);
use Lonc;
use Deferred;
use Load;

Lonc::need_descriptors(4096);

# --- A drain --------------------------------------------------------------------------------------

# `options` are those of the lond; a drain must last for as long as a run.
sub drain {
    my ($what, $files, @options) = @_;
    my ($world, $lond) = Lonc->up(settings => {deferred_hold => '10ms', log_level => 'info'}, lond => \@options);
    my $next = 1;
    mkdir $world->path('sockets/staged') or die "mkdir: $!";
    my ($drained, $short) = (0, 0);
    my $began;
    compare($world, $lond, 1.2, $what, begin => sub {
        my @names = map { my $name = name_of('msul1', $_); $world->write_file("sockets/staged/$name", "count:$_\n"); $name } $next .. $next + $files - 1;
        $next += $files;
        rename $world->path("sockets/staged/$_"), $world->path("sockets/delayed/$_") or die "rename: $!" for @names;
        $began = $lond->control('distinct');
    }, end => sub {
        $drained += $lond->control('distinct') - $began;
        $short++ unless left($world);
        Lonc::within(60, sub { !left($world) }) or die 'the drain does not end';
    });
    diag sprintf '%.0f files a second were delivered meanwhile', $drained / $Load::rounds / $Load::seconds;
    is $short, 0, '... the drain went on all the time';
    is $lond->control('distinct'), $next - 1, '... all files were delivered';
    is $lond->control('repeated'), 0, '... each once';
}

drain('beside a drain, each file of which takes lond 2 ms, the p99 of live requests is at most 1.2 times that without',
    1600, '--delay', 2);
{
    local ($Load::seconds, $Load::rate) = (1, 2000);
    drain('... and beside one that goes as fast as the keeper can', 12_000);
}

# --- Hosts that swallow packets -------------------------------------------------------------------

{
    my @silent = map {"silent$_"} 1 .. 39;
    # A world has 40 addresses, so a second one has the rest.
    my $world = Lonc->new(hosts => ['msul1', @silent], settings => {failures_until_dead => 100, log_level => 'info'});
    my $other = sprintf '127.%d.%d', 251, $$ % 250;
    $world->{address}{"silent$_"} = "$other.$_" for 40 .. 50;
    push @silent, map {"silent$_"} 40 .. 50;
    $world->write_config;
    my @full;
    for my $host (@silent) {
        my $listener = IO::Socket::INET->new(LocalAddr => $world->{address}{$host}, LocalPort => 5663, Listen => 1) or die "listen: $!";
        listen $listener, 0;
        my @crowd = map { IO::Socket::INET->new(Proto => 'tcp', Blocking => 0) } 1 .. 3;
        connect $_, pack_sockaddr_in(5663, inet_aton($world->{address}{$host})) for @crowd;
        push @full, $listener, @crowd;
    }
    my $lond = $world->lond('msul1');
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my @listeners = map { $world->host_listener($_) } @silent;
    my $shim = $world->shim(listeners => \@listeners, options => ['--linger', 600]);
    my $load;
    compare($world, $lond, 1.1, 'the p99 of a healthy host beside 50 that swallow packets grows by 10 % at most', begin => sub {
        $load = $world->start('load of 50 hosts', [Lonc::program('lonnet-load'), (map { ('--socket', $world->path("sockets/$_")) } @silent),
            '--clients', 500, '--rate', 100, '--seconds', 600, '--timeout', 900]);
        sleep 1; # until some hundred requests wait, which no event announces
    }, end => sub {
        $load->end;
    });
    is $keeper->said(qr/silent\d+: host is dead/), 0, '... which were tried again and again';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the healthy one answers';
}

done_testing;
