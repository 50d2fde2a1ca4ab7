#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# 10,000 connections, 1,000 of them while the keeper is masked: nothing is left behind, and service is back within a minute
# after the keeper is unmasked.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

# Once before counting, so that PID 1 has allocated what it keeps.
load('--socket', "$sockets/msul1", '--clients', 50, '--requests', 1000, '--check')->numbers;
my $before = pid1_memory();
my $n = load('--socket', "$sockets/msul1", '--clients', 20, '--requests', 9000, '--check')->numbers;
is $n->{ok}, 9000, sprintf '9,000 connections are answered (%d a second)', $n->{rate};

my $masked = int time;
is sh('systemctl mask --runtime --now lonc-keeper.service'), 0, 'the keeper is masked';
$n = load('--socket', "$sockets/msul1", '--clients', 50, '--requests', 1000, '--command', 'ping', '--expect', 'con_lost')->numbers;
is $n->{ok} + $n->{con_lost}, 1000, sprintf '1,000 clients get con_lost, in %.0f s', $n->{seconds};
my $lines = () = journal("-t lonc-shim --since=\@$masked") =~ /no keeper takes clients/g;
cmp_ok $lines, '<=', 2 + $n->{seconds} / 60, "the log has $lines lines about it, not 1,000";

is sh('systemctl unmask --runtime lonc-keeper.service'), 0, 'it is unmasked';
my $start = time;
# The timer may take 55 s after the last sync has ended; the rest is for the machine.
ok within(90, sub { sleep 0.5; ask('msul1', 'ping') eq 'pong:msul1' }), 'service is back by itself';
note sprintf 'after %.0f s', time - $start;

ok within($patience, sub { units_left() == 0 }), 'no unit is left';
my $grown = pid1_memory() - $before;
cmp_ok $grown, '<', 2 << 20, sprintf 'PID 1 has grown by %d kB', $grown / 1024;
done_testing;
