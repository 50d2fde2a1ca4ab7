#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# How much do 2,000 abusive clients cost the others? 1,000 of them send a byte a second, and 1,000 do not read their
# reply of 10 MB. Compares the 99th percentile of the others' latency with and without them, as in Load.pm, and looks at
# the keeper's memory. tests/scenario/limits.t has the quick tests.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../scenario/lib";
use Getopt::Long;
use Test::More;
use Time::HiRes qw(time sleep);
use Load;
use Lonc;

my @arguments = @ARGV;
GetOptions('seconds=i' => \(my $seconds = 120), 'seed=i' => \my $seed) or exit 2;
@ARGV = @arguments;
Lonc::need_descriptors(8192);
# A round has three runs, after some seconds in which the 2,000 clients connect.
$Load::rounds = $seconds >= 150 ? 7 : $seconds >= 100 ? 5 : 3;

my ($world, $lond) = Lonc->up(hosts => ['msul1', 'msul2'], settings => {log_level => 'info', queue_per_host => 2000, client_line_timeout => '300s'});
my $keeper = $world->{keeper};

# Starts a process that sends a byte a second for each of its clients.
sub dribbler {
    my (@clients) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    while (1) {
        my $next = time + 1;
        for my $client (@clients) { syswrite $client->{socket}, 'x' }
        my $left = $next - time;
        select undef, undef, undef, $left if $left > 0;
    }
}

my (@slow, @deaf, $pid);
my $heard = 0;
compare($world, $lond, 1.2, 'beside 1,000 clients that send a byte a second and 1,000 that do not read 10 MB, the p99 of others is at most 1.2 times that without',
    begin => sub {
        @slow = map { $world->client('msul1') } 1 .. 1000;
        @deaf = $world->asking('msul2', ('size:' . 10 * 1024 * 1024) x 1000);
        $pid = dribbler(@slow);
        # Each has got the beginning of its reply, or con_lost.
        $heard = 0;
        Lonc::within(60, sub { $heard = grep { !$_->hears_nothing } @deaf; $heard == 1000 });
    }, end => sub {
        kill 'KILL', $pid;
        waitpid $pid, 0;
        $_->close for @slow, @deaf;
        (@slow, @deaf) = ();
        Lonc::within(60, sub { $keeper->tells('clients')->{total} == 0 });
    });
is $heard, 1000, '... each of those has the beginning of its reply, or con_lost';
open my $file, '<', "/proc/$keeper->{pid}/status" or die "status: $!";
my ($peak) = join('', <$file>) =~ /^VmHWM:\s*(\d+)/m;
cmp_ok $peak / 1024, '<', 256 + 32, '... and the memory stays within 256 MiB and what an idle keeper has';
is $world->ask('msul2', 'ping'), 'pong:msul2', '... and when they have left all is well';
done_testing;
printf "limits: %d rounds beside 2,000 clients, ratio of p99 %.2f (noise %.2f), keeper's peak %.0f MB, %s\n", $Load::rounds, @Load::measured{qw(ratio spread)},
    $peak / 1024, Test::More->builder->is_passing ? 'held' : 'failed';
