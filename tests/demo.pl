#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# `make demo` shows requests on their way, with a stand-in lond, the real keeper, sockets that are activated as by systemd,
# and a client that asks as lonnet does. It ends by itself, and exits with 0 if everything went as it says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/scenario/lib";
use Time::HiRes qw(time);
use Lonc;

$| = 1;
my ($bold, $dim, $good, $bad, $plain) = -t STDOUT && !exists $ENV{NO_COLOR}
    ? ("\e[1m", "\e[2m", "\e[32m", "\e[31m", "\e[0m") : ('') x 5;
my $failed = 0;

my $world = Lonc->new(hosts => ['msul1'], settings => {log_level => 'notice', probe_min => '500ms'});
my ($keeper, $lond);

sub heading { print "\n$bold$_[0]$plain\n" }

sub what_the_keeper_said {
    my $log = substr $keeper->log, $keeper->{shown} // 0;
    $keeper->{shown} += length $log;
    print "    $dim$_$plain\n" for split /\n/, $log;
}

# Asks as lonnet does. Shows request, reply and the time between them.
sub ask {
    my ($request, $wanted) = @_;
    my $start = time;
    my $answer = $world->ask('msul1', $request) // '(the end of the stream)';
    my $took = 1000 * (time - $start);
    my $right = $answer eq $wanted;
    $failed++ unless $right;
    printf "    %-34s -> %s%-24s%s %7.2f ms%s\n", $request, $right ? $good : $bad, $answer, $plain, $took,
        $right ? '' : "   (expected $wanted)";
    what_the_keeper_said();
}

print "${bold}lonc-keeper: a request's way$plain\n",
    "    lonnet -> sockets/msul1 -> lonc-shim -> keeper.sock -> lonc-keeper -> lond of msul1\n";

heading 'Everything is started: a stand-in lond, the keeper, and the socket of msul1 by systemd-socket-activate.';
$lond = $world->lond('msul1', '--count-texts');
$keeper = $world->keeper;
$world->activate('msul1');
what_the_keeper_said();

heading 'A request is answered. The first one opens a connection to lond; the next ones find it open.';
ask('ping', 'pong:msul1');
ask('echo:how are you?', 'how are you?');

heading 'A request that starts encrypt: crosses the network enciphered; the reply too.';
ask('encrypt:echo:a secret', 'a secret');
printf "    lond deciphered and executed \"echo:a secret\" %d time\n", $lond->executed('echo:a secret');

heading 'Now msul1 stops. Two failed attempts, a second apart, and it is dead; from then on the answer is immediate.';
$lond->end;
ask('ping', 'con_lost');
ask('ping', 'con_lost');

heading 'What must not be lost is deferred: stored on disk before the answer.';
ask('lonc_defer:count:a grade', 'con_delayed');
print "    $dim$_$plain\n" for split /\n/, $world->read_file('logs/lonnet.perm.log');

heading 'msul1 comes back. Nobody has to tell the keeper: it probes a dead host.';
$lond = $world->lond('msul1', '--count-texts');
$keeper->await(qr/host is back/);
what_the_keeper_said();
ask('ping', 'pong:msul1');

heading 'And what was deferred is delivered: once, with its line in lonnet.perm.log, and its file gone.';
my $end = time + 20;
select undef, undef, undef, 0.05 until $lond->executed('count:a grade') || time > $end;
my $times = $lond->executed('count:a grade');
$failed++ if $times != 1;
print "    lond executed \"count:a grade\" $times time\n";
select undef, undef, undef, 0.05 until $world->read_file('logs/lonnet.perm.log') =~ /:S:/ || time > $end;
print "    $dim$_$plain\n" for split /\n/, $world->read_file('logs/lonnet.perm.log');

heading 'Stopping: what is in flight is finished first.';
$keeper->signal('TERM');
my $status = $keeper->wait_exit;
what_the_keeper_said();
$failed++ if $status != 0;

print $failed ? "\n${bad}$failed things went otherwise than they should$plain\n" : "\n${good}All as it should be.$plain\n";
undef $world;
exit($failed ? 1 : 0);
