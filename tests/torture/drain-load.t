#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What live requests feel of a drain, and of 50 hosts that swallow packets: the 99th percentile of
# their latency, with and without. Runs alternate, and a third of them shows how far the same differs
# from itself on this machine, which is added to the limit.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use Test::More;
use IO::Socket::INET;
use JSON::PP;
use Socket;
use Time::HiRes qw(time sleep);
use Lonc;
use Deferred;

Lonc::need_descriptors(4096);

our ($pairs, $seconds, $rate) = (7, 2, 1000);

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# The p99 in microseconds of 20 clients that begin `$rate` requests a second, whatever the replies.
sub p99 {
    my ($world) = @_;
    my $out = $world->path('load.json');
    my $status = system Lonc::program('lonnet-load') . ' --socket ' . $world->path('sockets/msul1')
        . " --clients 20 --kept --rate $rate --seconds $seconds --json >$out 2>$out.text";
    my $result = decode_json($world->read_file('load.json'));
    diag "not all were answered: " . $world->read_file('load.json.text') if $status != 0;
    return $result->{p99} || die "no p99 in " . $world->read_file('load.json');
}

# Runs without, with, without, with it, .. and says how they compare.
sub compare {
    my ($world, $limit, $what, $begin, $end) = @_;
    p99($world); # what is done for the first time takes longer
    my (@before, @during, @after);
    for (1 .. $pairs) {
        push @before, p99($world);
        $begin->();
        push @during, p99($world);
        $end->();
        push @after, p99($world);
    }
    my ($before, $during, $after) = map { median(@$_) } \@before, \@during, \@after;
    my $spread = $before > $after ? $before / $after - 1 : $after / $before - 1;
    my $ratio = $during / median(@before, @after);
    diag "p99 without: @before (us)";
    diag "p99 with:    @during";
    diag "p99 without: @after";
    diag sprintf '%s: medians %d, %d, %d us; the ratio is %.2f, the limit %.2f and a spread of %.2f', $what,
        $before, $during, $after, $ratio, $limit, $spread;
    cmp_ok $ratio, '<=', $limit + $spread, $what;
}

# --- A drain --------------------------------------------------------------------------------------

# `options` are those of the lond; a drain must last for as long as a run.
sub drain {
    my ($what, $files, @options) = @_;
    my ($world, $lond) = Lonc->up(settings => {deferred_hold => '10ms', log_level => 'info'}, lond => \@options);
    my $next = 1;
    mkdir $world->path('sockets/staged') or die "mkdir: $!";
    my ($drained, $short) = (0, 0);
    my $began;
    compare($world, 1.2, $what, sub {
        my @names = map { my $name = name_of('msul1', $_); $world->write_file("sockets/staged/$name", "count:$_\n"); $name } $next .. $next + $files - 1;
        $next += $files;
        rename $world->path("sockets/staged/$_"), $world->path("sockets/delayed/$_") or die "rename: $!" for @names;
        $began = $lond->control('distinct');
    }, sub {
        $drained += $lond->control('distinct') - $began;
        $short++ unless left($world);
        Lonc::within(60, sub { !left($world) }) or die 'the drain does not end';
    });
    diag sprintf '%.0f files a second were delivered meanwhile', $drained / $pairs / $seconds;
    is $short, 0, '... the drain went on all the time';
    is $lond->control('distinct'), $next - 1, '... all files were delivered';
    is $lond->control('repeated'), 0, '... each once';
}

drain('beside a drain, each file of which takes lond 2 ms, the p99 of live requests is at most 1.2 times that without',
    1600, '--delay', 2);
{
    local ($seconds, $rate) = (1, 2000);
    drain('... and beside one that goes as fast as the keeper can', 12_000);
}

# --- Hosts that swallow packets -------------------------------------------------------------------

{
    my @silent = map {"silent$_"} 1 .. 39;
    # Addresses of a world are 40 in number; so another takes the rest.
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
    compare($world, 1.1, 'the p99 of a healthy host beside 50 that swallow packets grows by 10 % at most', sub {
        $load = $world->start('load of 50 hosts', [Lonc::program('lonnet-load'), (map { ('--socket', $world->path("sockets/$_")) } @silent),
            '--clients', 500, '--rate', 100, '--seconds', 600, '--timeout', 900]);
        sleep 1; # until some hundred requests wait: nothing tells
    }, sub {
        $load->end;
    });
    is $keeper->said(qr/silent\d+: host is dead/), 0, '... which were tried again and again';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the healthy one answers';
}

done_testing;
