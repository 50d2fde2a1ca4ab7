#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The pool of connections to a host: how many there are, which one is used, and that no client gets the reply to another
# request.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Lonc;

# --- How many -------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    my @wanted = map {"client $_"} 1 .. 50;
    is_deeply [$world->ask_at_once('msul1', map {"sleep:300:$_"} @wanted)], \@wanted,
        '50 clients of slow requests are answered, each with its own';
    is $lond->peak, 10, '... by 10 connections, never more';
    is $lond->counts->{accepted}, 10, '... and the same 10 all the time';
}

{
    my ($world, $lond) = Lonc->up;
    is_deeply [map { $world->ask('msul1', "echo:$_") } 1 .. 200], [1 .. 200], '200 requests, one after the other,';
    is $lond->counts->{accepted}, 1, '... open a single connection';

    is_deeply [$world->ask_at_once('msul1', map {"sleep:1500:$_"} 1 .. 3)], [1 .. 3], '3 requests at once';
    is $lond->counts->{accepted}, 3, '... open one more connection for each of the two that had none';
    $world->ask_at_once('msul1', map {"sleep:50:$_"} 1 .. 3) for 1 .. 5;
    is $lond->counts->{accepted}, 3, '... and 3 at once need no other, as often as they come';
}

{
    my ($world, $lond) = Lonc->up(lond => ['--delay', 50]);
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 4)], [1 .. 4], '4 requests that wait for slow handshakes';
    is $lond->counts->{accepted}, 4, '... open 4 connections, though they wait through five answers';
}

# --- Which one ------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {connection_idle_timeout => '2s'});
    $world->ask_at_once('msul1', map {"sleep:1000:$_"} 1 .. 4);
    is $lond->connections, 4, '(four connections are idle)';
    my $start = time;
    my $client = $world->client('msul1');
    my $left = Lonc::within($Lonc::PATIENCE, sub { $client->ask('ping'); $lond->connections == 1 ? time - $start : 0 });
    ok $left, 'the connection used last is used next: with one client, three grow old and are pruned';
    cmp_ok $left, '>', 1.5, '... not before their time';
    is $lond->counts->{accepted}, 4, '... and the one that is used stays';
    ok $lond->has(0, 'connections'), '... until it is idle itself: then it is pruned too';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the next request opens another';
    is $lond->counts->{accepted}, 5, '... a single one';
    is $world->{keeper}->said(qr/dead|reason=/), 0, '... and pruning is no failure';
}

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1}, lond => ['--verbose', '--count-texts']);
    my ($first) = $world->asking('msul1', 'sleep:3000:first');
    $lond->has(1, 'busy') or die 'the only connection is not in use';
    my $witness = $world->client('msul1');
    my @waiting = map {
        my ($c) = $world->asking('msul1', "echo:order $_");
        $witness->ask('reset_retries') for 1 .. 2; # whoever is answered now was heard after that
        $c
    } 1 .. 30;
    is_deeply [map { $_->line } $first, @waiting], ['first', map {"order $_"} 1 .. 30], 'requests wait in a queue';
    is_deeply [$lond->log =~ /<- order (\d+)/g], [1 .. 30], '... and are sent in the order in which they came';
}

# --- A peer that closes ---------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(lond => ['--count-texts']);
    my $kept = $world->client('msul1');
    for my $how ('', ' reset') {
        my @answers;
        for my $i (1 .. 50) {
            $lond->control("close-idle$how");
            push @answers, $world->ask('msul1', "echo:new$how$i");
            $lond->control("close-idle$how");
            push @answers, $kept->ask("echo:kept$how$i");
        }
        is_deeply \@answers, [map { ("new$how$_", "kept$how$_") } 1 .. 50],
            'the peer closes its idle connection' . ($how && ' by RST') . ': the next request is answered, 100 times';
    }
    is $lond->control('repeated'), 0, '... and none was executed twice';

    for my $how ('', ' reset') {
        $world->{keeper}->while_stopped(sub {
            $kept->send("echo:before$how\n");
            $lond->control("close-idle$how");
        });
        is $kept->line, "before$how",
            'a request and the close of the only idle connection, seen at one time' . ($how && ', by RST') . ': answered';
    }

    $lond->end;
    $lond = $world->lond('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'lond was restarted while nobody asked: the next request is answered';
    is $world->{keeper}->said(qr/dead/), 0, '... and none of this makes a host dead';
}

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
    # It has closed before the next one asks; whether the keeper has seen that is open.
    my $ask = sub {
        my $answer = $world->ask('msul1', "last:$_[0]");
        $lond->has(0, 'open');
        return $answer;
    };
    is_deeply [map { $ask->($_) } 1 .. 20], [1 .. 20],
        'a peer that closes after each reply: each request is answered';
    is $lond->counts->{accepted}, 20, '... by a connection of its own';

    my ($last) = $world->asking('msul1', 'sleep:2000:farewell');
    $lond->has(1, 'busy') or die 'the only connection is not in use';
    my ($queued) = $world->asking('msul1', 'count:queued');
    $world->client('msul1')->ask('reset_retries') for 1 .. 2; # from here on it is in the queue
    $world->{keeper}->while_stopped(sub {
        $lond->has(1, 'idle') or die 'lond did not reply'; # the reply is in the keeper's socket
        $lond->control('close-all');
    });
    is $last->line, 'farewell', 'a reply that is seen together with the end of its connection is delivered';
    is $queued->line, 'ok', '... and the request that waits is not sent into the ended connection';
    is $lond->executed('count:queued'), 1, '... but on another, once';
}

# --- A line that nobody asked for -----------------------------------------------------------------

# One that comes while the next request is on its way is taken for its reply: the protocol cannot tell. One that
# is there before the request is sent is not, however late the keeper has looked: here it sleeps behind each
# receipt, from lond (2) or from a client (1), while the line comes.
SKIP: {
    skip 'a sanitizer comes first', 6 if $ENV{LONC_SANITIZED};
    for my $family (2, 1) {
        my $world = Lonc->new(settings => {connections_per_host => 1});
        my $lond = $world->lond('msul1', '--count-texts');
        $world->keeper(wrapper => ['env', 'LD_PRELOAD=' . Lonc::program('interpose.so'), 'FAULT_FILE=' . $world->path('faults'), 'FAULT_CALL=recv',
            'FAULT_AT=100', 'FAULT_ERROR=slow', "FAULT_FAMILY=$family"]);
        $world->activate('msul1');
        my ($kept, $other) = map { $world->client('msul1') } 1 .. 2;
        $kept->ask('ping');
        $other->ask('ping');
        my ($unasked, @answers) = (0);
        for my $i (1 .. 8) {
            if ($family == 2) {
                # The connection has been busy, and the next request waits for it.
                $kept->send("echo:first $i\n");
                $other->send("echo:second $i\n");
                Lonc::within($Lonc::PATIENCE, sub { $lond->executed("echo:first $i") });
            } else {
                # It is idle, and the next request has been read.
                $kept->send("echo:first $i\n");
                select undef, undef, undef, 0.05;
            }
            $unasked += $lond->control('tell-idle poison');
            $other->send("echo:second $i\n") if $family == 1;
            push @answers, $kept->line, $other->line;
        }
        my $how = $family == 2 ? 'a connection that was busy until now' : 'an idle connection, behind the back of a keeper that has read the request,';
        is_deeply \@answers, [map { ("first $_", "second $_") } 1 .. 8], "a line that $how says before the next request is sent is nobody's reply";
        cmp_ok $unasked, '>=', 7, '... as often as it comes';
        cmp_ok $lond->counts->{accepted}, '>=', 7, '... and costs its connection';
    }
}

# The same without sleeping, in a crowd, many times.
{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 2}, lond => ['--count-texts']);
    my @kept = map { $world->client('msul1') } 1 .. 4;
    my (%wrong, $unasked);
    for my $i (1 .. 200) {
        $kept[$_]->send("echo:$i of $_\n") for 0 .. 2;
        $kept[$_]->line eq "$i of $_" or $wrong{$i}++ for 0 .. 2; # the connections have just been busy
        $unasked += $lond->control('tell-idle poison');
        my $answer = $kept[3]->ask("echo:$i");
        $answer eq $i or $wrong{$answer}++;
    }
    is_deeply \%wrong, {}, 'a line that nobody asked for is nobody\'s reply, 200 times';
    cmp_ok $unasked, '>=', 200, '... each time on every connection';
}

# --- Never another's reply ------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
    my $kept = $world->client('msul1');
    $kept->ask('ping');
    my @answers;
    for my $i (1 .. 50) {
        $lond->control("tell-idle poison");
        push @answers, $world->ask('msul1', "echo:new $i");
        $lond->control("tell-idle poison");
        push @answers, $kept->ask("echo:kept $i");
    }
    is_deeply \@answers, [map { ("new $_", "kept $_") } 1 .. 50],
        'a line that an idle connection says unasked is never taken for a reply, 100 times';
    $world->{keeper}->while_stopped(sub {
        $kept->send("echo:at one time\n");
        $lond->control('tell-idle poison');
    });
    is $kept->line, 'at one time', '... not even when it is seen at one time with the next request';

    # What fits into a buffer exactly leaves the second line in the socket.
    for my $length (4, 100, 1023, 16383, 32767, 65535, 200_000) {
        my $text = 'poison' x ($length / 6) . 'x' x ($length % 6);
        my ($holder) = $world->asking('msul1', 'sleep:300:');
        $lond->has(1, 'busy');
        my @clients = $world->asking('msul1', "two:$text", map {"echo:$_"} 1 .. 3);
        my $first = $clients[0]->line;
        ok $first eq $text, "a peer that says two lines of $length bytes: the first is the reply";
        is_deeply [map { substr $_->line, 0, 20 } @clients[1 .. 3]], [1 .. 3],
            '... and the second is not the reply of a request that waited';
    }
}

# --- At most once ---------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    for my $how (qw(close reset)) {
        is_deeply [$world->ask_at_once('msul1', ($how) x 20)], [('con_lost') x 20],
            "20 requests are lost after they were sent ($how): each is con_lost";
        is $lond->executed($how), 20, '... and executed once, not twice';
        is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the host is as well as before';
    }
    my @lost = $world->asking('msul1', map {"sleep:20000:$_"} 1 .. 15);
    $lond->has(10, 'busy') or die 'no requests in flight';
    is $lond->control('kill-busy reset'), 10, 'ten connections are lost with their requests, five requests wait';
    is_deeply [map { $lost[$_]->line } 0 .. 9], [('con_lost') x 10], '... the ten are con_lost';
    ok $lond->has(5, 'busy'), '... the five are sent on new connections';
    $lond->control('kill-busy');
    is_deeply [map { $lost[$_]->line } 10 .. 14], [('con_lost') x 5], '... until these are lost too';
    is_deeply [map { $lond->executed("sleep:20000:$_") } 1 .. 15], [(1) x 15], '... and each was executed once';
}

{
    my ($world, $lond) = Lonc->up(lond => ['--count-texts']);
    my $load = $world->start('lonnet-load', [Lonc::program('lonnet-load'), '--socket', $world->path('sockets/msul1'),
        '--clients', 20, '--requests', 10000, '--kept', '--command', 'count:%u', '--expect', 'ok', '--timeout', 300]);
    my ($killed, $enough) = (0, 0);
    Lonc::within(320, sub {
        if ($lond->control('distinct') >= $enough) { # or a slow machine would do nothing but shake hands
            $killed += $lond->control($_) for 'kill-busy', 'kill-busy reset', 'close-idle', 'close-all reset';
            $enough = $lond->control('distinct') + 50;
        }
        return waitpid($load->{pid}, 1) != 0; # WNOHANG
    }) or $load->kill_hard;
    $load->{status} = $?;
    my $counts = $lond->counts;
    cmp_ok $killed, '>', 20, "under load $killed connections are cut in all moments of a request";
    is $lond->control('repeated'), 0, '... and none of 10,000 requests is executed twice';
    my ($ok) = $load->log =~ /\bok\D*(\d+)/;
    my ($lost) = $load->log =~ /con_lost\D*(\d+)/;
    is $ok + $lost, 10000, '... each is answered by its reply or by con_lost' or diag $load->log;
    cmp_ok $ok, '<=', $counts->{distinct}, '... and what was answered was executed';
}

done_testing;
