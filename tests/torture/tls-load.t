#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# How much are live requests slowed down by 200 simultaneous handshakes of ssl, as after an outage of the network?
# Compares the 99th percentile of their latency with and without.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use Test::More;
use Time::HiRes qw(time);
use Certificates;
use Load;
use Lonc;

my ($hosts, $each) = (20, 10); # as many connections as one host may have

# `key` is the kind of both sides' keys. LON-CAPA's own certificates have RSA.
sub beside_handshakes {
    my ($key) = @_;
    my $ca = Certificates->new;
    my @far = map {"far$_"} 1 .. $hosts;
    my $world = Lonc->new(hosts => ['msul1', @far], settings => {log_level => 'info'},
        variables => {$ca->variables($ca->issue('annarborl1', key => $key))});
    my $lond = $world->lond('msul1');
    # One process plays all other londs. In reality they compute on machines of their own, so here the process gets only
    # what the others leave of the processors.
    my $others = $world->lond('far1', (map { ('--listen', "$world->{address}{$_}:5663", '--id', $_) } @far[1 .. $#far]),
        $ca->lond($ca->issue('far.example.edu', key => $key)), '--auth', 'ssl');
    setpriority 0, $others->{pid}, 19;
    $world->keeper;
    $world->activate('msul1');
    my @listeners = map { $world->host_listener($_) } @far;
    my $shim = $world->shim(listeners => \@listeners, options => ['--linger', 600]);
    my @clients = map { my $host = $_; map { $world->client($host) } 1 .. $each } @far;
    is scalar(grep { $_->ask('reset_retries') eq 'ok' } @clients), $hosts * $each, '(the keeper has all clients)';

    my ($short, @took) = (0);
    my $all_at_once = sub {
        my $start = time;
        $_->send("sleep:20:done\n") for @clients;
        my $done = grep { ($_->line // '') eq 'done' } @clients;
        push @took, 1000 * (time - $start);
        $short++ if $done != @clients || $others->counts->{ssl} != @clients;
    };
    my $apart = sub {
        $others->control('close-all');
        $others->has(0, 'connections') or die 'connections stay';
        $others->control('reset');
    };
    compare($world, $lond, 1.2, "$key: beside 200 handshakes at once, the p99 of live requests grows by 20 % at most",
        meanwhile => $all_at_once, end => $apart);
    diag sprintf 'the last of 200 answers came after %s ms', join ' ', map { sprintf '%.0f', $_ } @took;
    is $short, 0, "$key: ... and each time all 200 connections were made by ssl, and all who asked were answered";
}

beside_handshakes($_) for qw(ec rsa);

done_testing;
