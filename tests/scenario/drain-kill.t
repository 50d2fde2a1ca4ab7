#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# 10,000 deferred files are delivered while the keeper is killed 200 times, and again while the host is killed 100 times:
# nothing is lost, and hardly anything is delivered twice.
#
# LONC_SEED repeats a run, as far as chance goes: it prints the seed it used.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Lonc;
use Deferred;

my $files = 10_000;
my $seed = srand($ENV{LONC_SEED} // time);
diag "LONC_SEED=$seed";

# --- The keeper -----------------------------------------------------------------------------------

{
    my $kills = 200;
    my $world = Lonc->new(settings => {deferred_hold => '10ms', retry_delay => '50ms'});
    my $lond = $world->lond('msul1', '--delay', 1); # so that 200 kills come before the end
    drop_many($world, 'msul1', 1 .. $files);
    my $start = time;
    my ($in_drain, $before) = (0, 0);
    for (1 .. $kills) {
        my $keeper = $world->keeper;
        # Some while it reads the folder, most while it delivers: after so many files, not after so long, since
        # a fast disk would deliver the last file before the last kill.
        sleep rand 0.01;
        my $enough = $before + int rand $files / $kills;
        Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') > $enough }) if rand > 0.1;
        $keeper->kill_hard;
        $in_drain++ if left($world);
        $before = $lond->control('distinct'); # none yet, perhaps
    }
    diag sprintf '%d kills in %.1f s; then %d of %d had been executed', $kills, time - $start, $before, $files;
    is $in_drain, $kills, "the keeper is killed $kills times, each time with files left";
    $world->keeper;
    ok Lonc::within(120, sub { $lond->control('distinct') == $files }), "0 of $files files are lost: each is executed";
    ok Lonc::within($Lonc::PATIENCE, sub { !left($world) }), '... and gone from the folder';
    my $executed = $lond->counts->{commands}{count};
    my $twice = $lond->control('repeated');
    diag sprintf '%d executions more than files; %d files executed more than once', $executed - $files, $twice;
    cmp_ok $executed - $files, '<=', $kills, '... at most one is executed again for each kill';
    my @delivered = commands($world, 'S');
    my %delivered;
    $delivered{$_}++ for @delivered;
    is scalar(keys %delivered), $files, '... each has its S line';
    diag sprintf '%d S lines more than files', @delivered - $files;
    cmp_ok scalar(@delivered), '<=', $files + $kills, '... and there is at most one more for each kill';
    cmp_ok scalar(@delivered), '<=', $executed, '... but none without a delivery';
    my @numbers = map {/(\d+)/} @delivered;
    is scalar(grep { $numbers[$_] < $numbers[$_ - 1] } 1 .. $#numbers), 0, '... in order';
    is_deeply [aside($world, 'rejected'), aside($world, 'corrupt'), aside($world, 'storing')], [], '... and nothing was set aside';
}

# --- The host -------------------------------------------------------------------------------------

{
    my $kills = 100;
    # A restart takes some 10 ms here, so retry_delay, within which it must be over, may be a fifth of 1 s.
    my $world = Lonc->new(settings => {deferred_hold => '10ms', retry_delay => '200ms', deferred_retry => '2s'});
    my @lond = ('msul1', '--delay', 1);
    my $lond = $world->lond(@lond);
    drop_many($world, 'msul1', 1 .. $files);
    my $keeper = $world->keeper; # not before, or a slow machine drops them as fast as they are delivered
    my ($start, $executed, $in_drain, $slowest, $late) = (time, 0, 0, 0, 0);
    for (1 .. $kills) {
        my $enough = int rand $files / $kills / 2; # counted anew by each: see above
        Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') > $enough }) or last;
        $executed += $lond->control('distinct'); # at least: more may be executed before it is killed
        my $down = time;
        $lond->kill_hard;
        $lond = $world->lond(@lond);
        my $took = time - $down;
        $slowest = $took if $took > $slowest;
        $late += $took > 0.2;
        $in_drain++ if left($world);
    }
    diag sprintf '%d kills in %.1f s; the slowest restart took %.0f ms; %d executed by then', $kills, time - $start, 1000 * $slowest, $executed;
    is $in_drain, $kills, "the host is killed and started again $kills times, each time with files left";
    ok Lonc::within(120, sub { !left($world) }), '0 files are lost: none is left';
    my %delivered;
    $delivered{$_}++ for commands($world, 'S');
    is scalar(keys %delivered), $files, '... each has its S line';
    is scalar(grep { $_ != 1 } values %delivered), 0, '... exactly one';
    is_deeply [aside($world, 'rejected'), aside($world, 'corrupt')], [], '... and nothing was set aside';
    cmp_ok $keeper->said(qr/host is dead/), '<=', $late, '... and no restart within retry_delay makes the host dead';
}

done_testing;
