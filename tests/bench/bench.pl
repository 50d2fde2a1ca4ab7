#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# How fast it is, beside what a request's way costs at least on this machine. One run, everything at once: the
# contenders are all there all the time, and take turns in an order that rotates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../scenario/lib";
use Bench;
use Lonc;

$| = 1;
Lonc::need_descriptors(4096);
my $rounds = $ENV{ROUNDS} || 5;
my $seconds = $ENV{SECONDS} || 1;
my $world = Lonc->new(hosts => ['msul1'], settings => {log_level => 'info'});

sub ready { my $process = $world->start(@_); $process->await(qr/ready/); return $process }

my $address = "$world->{address}{msul1}:5663";
my $peer = ready('peer', [Lonc::program('bench-peer'), $address]);

sub direct { return {name => 'direct', processes => [$peer], kept_only => 1, at => ['--tcp', $address, '--handshake-remote', 'msul1']} }

sub featureless {
    my ($name, @mode) = @_;
    my ($socket, $channel) = map { $world->path("run/$name-$_") } qw(socket channel);
    my $relay = ready('relay', [Lonc::program('bench-floor'), 'relay', $channel, $address, @mode]);
    my $shim = ready('shim', [Lonc::program('bench-floor'), 'shim', $socket, $channel, @mode]);
    return {name => "floor, $name", processes => [$shim, $relay, $peer], at => ['--socket', $socket]};
}

sub shared {
    my $keeper = $world->keeper;
    $keeper->{name} = 'keeper';
    my $shim = $world->shim(listeners => [$world->host_listener('msul1')], options => ['--linger', 86400]);
    $shim->{name} = 'shim';
    return {name => 'keeper, shared shim', processes => [$shim, $keeper, $peer], at => ['--socket', $world->path('sockets/msul1')]};
}

my @contenders = (direct(), featureless('blind'), featureless('acknowledged', '--acknowledged'), shared());
my @cases = ((map { {clients => $_, kept => 0} } 1, 20), (map { {clients => $_, kept => 1} } 1, 10, 20));
my %got;

for my $round (1 .. $rounds) {
    for my $case (@cases) {
        for my $n (0 .. $#contenders) {
            my $contender = $contenders[($n + $round) % @contenders];
            next if $contender->{kept_only} && !$case->{kept};
            next if $case->{clients} == 10 && !$contender->{kept_only};
            push @{$got{$contender->{name}}{"$case->{clients} $case->{kept}"}}, measure($world, $contender, $case, $seconds);
        }
    }
}

for my $case (@cases) {
    printf "\n%-28s %9s %6s %7s %7s %7s %6s  CPU us/request\n",
        sprintf('%d client%s, %s', $case->{clients}, $case->{clients} > 1 ? 's' : '', $case->{kept} ? 'kept' : 'connect per request'),
        'rate/s', 'spread', 'p50', 'p99', 'p99.9', 'failed';
    for my $contender (@contenders) {
        my @runs = @{$got{$contender->{name}}{"$case->{clients} $case->{kept}"} || []} or next;
        my $of = sub { my ($what) = @_; median(map { $what->($_) } @runs) };
        printf "%-28s %9.0f %5.1f%% %7.0f %7.0f %7.0f %6d ", $contender->{name}, $of->(sub { $_[0]{rate} }),
            100 * spread(map { $_->{rate} } @runs), (map { my $p = $_; $of->(sub { $_[0]{$p} }) } 'p50', 'p99', 'p99.9'),
            $of->(sub { $_[0]{failed} });
        printf ' %s %.1f', $_, $of->(do { my $name = $_; sub { $_[0]{cpu}{$name} } }) for (map { $_->{name} } @{$contender->{processes}}), 'load';
        print "\n";
    }
}
