#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# 10,000 connections, 1,000 of them while there is no keeper and must be none: nothing stays behind, and service is
# back within a minute of its being allowed again.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

# Once before counting, so that what PID 1 keeps for later is there.
load('--socket', "$sockets/msul1", '--clients', 50, '--requests', 1000, '--check')->numbers;
my $before = pid1_memory();
my $n = load('--socket', "$sockets/msul1", '--clients', 20, '--requests', 9000, '--check')->numbers;
is $n->{ok}, 9000, sprintf '9,000 connections are answered (%d a second)', $n->{rate};

is sh('systemctl mask --runtime --now lonc-keeper.service'), 0, 'the keeper is masked';
$n = load('--socket', "$sockets/msul1", '--clients', 50, '--requests', 1000, '--command', 'ping', '--expect', 'con_lost', '--timeout', 120)->numbers;
is $n->{ok} + $n->{con_lost}, 1000, sprintf '1,000 clients get con_lost, in %.0f s', $n->{seconds};
my $lines = () = journal('-t lonc-shim --since=-120s') =~ /no keeper takes clients/g;
cmp_ok $lines, '<=', 3, "the log has $lines lines about it, not 1,000";

is sh('systemctl unmask --runtime lonc-keeper.service'), 0, 'it is unmasked';
my $start = time;
ok within(65, sub { sleep 0.5; ask('msul1', 'ping') eq 'pong:msul1' }), 'service is back by itself';
cmp_ok time - $start, '<', 62, sprintf 'after %.0f s', time - $start;

ok within(10, sub { units_left() == 0 }), 'no unit is left';
my $grown = pid1_memory() - $before;
cmp_ok $grown, '<', 2 << 20, sprintf 'PID 1 has grown by %d kB', $grown / 1024;
done_testing;
