#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The keeper stops, crashes and hangs: what clients notice of it.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

sub said { my ($n) = @_; join ', ', map {"$_ $n->{$_}"} qw(requests ok con_lost wrong empty cut refused unanswered) }

# Nobody is refused, nobody gets half a line or another's.
sub nothing_worse_than_con_lost {
    my ($n, $what) = @_;
    is $n->{wrong} + $n->{cut} + $n->{refused} + $n->{unanswered}, 0, "$what: " . said($n);
}

my $load = load('--socket', "$sockets/msul1", '--clients', 20, '--rate', 200, '--seconds', 6, '--check');
for (1 .. 5) {
    sleep 0.8;
    is sh('systemctl restart lonc-keeper.service'), 0, 'a restart under 200 requests a second';
}
my $n = $load->numbers;
is $n->{ok}, $n->{requests}, 'no request noticed: ' . said($n);

# Requests in flight, too: they are finished first.
my @slow = map { my $c = client('msul2'); $c->print("sleep:1500:slow-$_\n"); $c } 1 .. 5;
ok within($patience, sub { lond('busy') == 5 }), 'five requests are in flight';
my $start = time;
sh('systemctl restart lonc-keeper.service');
cmp_ok time - $start, '<', 9, 'a stop with requests in flight takes as long as they do, not the 10 s it may';
is join('', map { readline $_ } @slow), join('', map {"slow-$_\n"} 1 .. 5), 'and they are answered';

$start = time;
sh('systemctl restart lonc-keeper.service');
my $restart = time - $start; # what the machine makes of it

$load = load('--socket', "$sockets/msul1", '--clients', 20, '--rate', 200, '--seconds', 4, '--check');
sleep 1;
my $pid = main_pid();
kill 'KILL', $pid;
my $killed = time;
within($patience, sub { main_pid() != $pid && main_pid() != 0 && property('lonc-keeper.service', 'ActiveState') eq 'active' });
my $back = time - $killed;
cmp_ok $back, '<', 1.5 + 5 * $restart, sprintf 'a killed keeper is back after %.2f s; a restart takes %.2f s', $back, $restart;
$n = $load->numbers;
nothing_worse_than_con_lost($n, 'killed under load');
cmp_ok $n->{empty} + $n->{con_lost}, '<=', 20, 'only those it had taken notice';
is ask('msul1', 'ping'), 'pong:msul1', 'and it works as before';

# 3 s instead of 30, to save the test's time.
drop_in('lonc-keeper.service', "[Service]\nWatchdogSec=3\n");
sh('systemctl restart lonc-keeper.service');
sleep 4;
is property('lonc-keeper.service', 'NRestarts'), '0', 'a healthy keeper feeds its watchdog';
$pid = main_pid();
kill 'STOP', $pid;
$start = time;
is ask('msul1', 'ping'), 'pong:msul1', 'a request to a keeper that hangs is answered by the next one';
cmp_ok time - $start, '<', 10, sprintf 'after %.1f s', time - $start;
isnt main_pid(), $pid, 'the watchdog has killed the one that hung';
like journal("-u lonc-keeper.service --since=-120s"), qr/Watchdog timeout/, 'the journal says so';
drop_in('lonc-keeper.service', undef);
sh('systemctl restart lonc-keeper.service');

# A keeper that cannot run: every client gets its answer, and PID 1 has time for other things.
drop_in('lonc-keeper.service', "[Service]\nExecStart=\nExecStart=/bin/false\n");
sh('systemctl stop lonc-keeper.service');
my $cpu = pid1_cpu();
$start = time;
my @clients = map { my $c = client("msul$_"); $c->print("ping\n"); $c } 1 .. 5;
my @answers = map { scalar(readline $_) // '' } @clients;
my $took = time - $start;
my $share = 100 * (pid1_cpu() - $cpu) / $took;
is join('', @answers), "con_lost\n" x 5, sprintf 'a keeper that exits at once: con_lost after %.1f s', $took;
cmp_ok $share, '<', 10, sprintf 'PID 1 uses %.1f %% of a CPU', $share;
drop_in('lonc-keeper.service', undef);
sh('lonc-hosts sync');
ok within($patience, sub { ask('msul1', 'ping') eq 'pong:msul1' }), 'and once it can run, it is back';
done_testing;
