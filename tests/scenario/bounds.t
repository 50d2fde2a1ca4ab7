#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Every wait and every store is limited. Beyond a limit, a client is answered con_lost or closed, and nobody else
# notices.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use Test::More;
use Time::HiRes qw(time);
use Lonc;

# The seconds that something takes.
sub seconds { my ($code) = @_; my $start = time; $code->(); return time - $start }

# The next line of a client that is sure to wait no longer than a test may.
sub line_of { my ($client, $patience) = @_; return eval { $client->line($patience || 10) } // 'nothing' }

# The answers, each of which is read as soon as it is there, whereupon its client leaves.
sub answers_of_leaving {
    my @clients = @_;
    my %waiting = map { fileno($clients[$_]{socket}) => $_ } 0 .. $#clients;
    my $select = IO::Select->new(map { $_->{socket} } @clients);
    my @answers = ('nothing') x @clients;
    while (my @ready = $select->can_read(20)) {
        for my $socket (@ready) {
            my $i = $waiting{fileno $socket};
            $answers[$i] = line_of($clients[$i]);
            $select->remove($socket);
            $clients[$i]->close;
        }
    }
    return @answers;
}

# --- Waits of requests ----------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1, queue_timeout => '300ms'});
    my ($served) = $world->asking('msul1', 'sleep:4000:served');
    $lond->has(1, 'busy') or die 'the only connection is not in use';
    my ($waits) = $world->asking('msul1', 'count:waits');
    my $took = seconds(sub { is line_of($waits), 'con_lost', 'a request that waits too long in the queue: con_lost' });
    cmp_ok $took, '>=', 0.25, '... not before its time';
    cmp_ok $took, '<', 3, '... but then';
    is $served->line, 'served', '... while the request under way is answered';
    is $lond->executed('count:waits'), 0, '... and lond never sees the one that waited';
}

{
    my ($world, $lond) = Lonc->up(settings => {request_timeout => '4s', reply_timeout => '300ms'});
    my $took = seconds(sub {
        is $world->ask('msul1', 'drip:100:' . 'a reply that comes, but takes too long' x 4), 'con_lost',
            'a request that takes too long in all: con_lost, though its reply makes progress';
    });
    cmp_ok $took, '>=', 3.95, '... not before its time';
    cmp_ok $took, '<', 10, '... but then';
    is $world->ask('msul1', 'echo:next'), 'next', '... and the next request does not get the rest of the reply';
    $took = seconds(sub {
        is $world->ask('msul1', 'stall:a reply that stops'), 'con_lost', 'a reply that makes no progress: con_lost';
    });
    cmp_ok $took, '>=', 0.25, '... not before its time';
    cmp_ok $took, '<', 3.5, '... but sooner than the bound of the whole request';
    is $world->{keeper}->said(qr/dead/), 0, '... and neither makes a host dead';
}

# --- Waits of clients -----------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {client_line_timeout => '400ms', client_idle_timeout => '2s',
        client_write_timeout => '2s'});

    my $client = $world->client('msul1');
    $client->send('pi');
    my $took = seconds(sub { ok $client->closed_within($Lonc::PATIENCE), 'a client that leaves its line unfinished is closed' });
    cmp_ok $took, '>=', 0.35, '... not before its time';
    is line_of($client), 'nothing', '... without an answer';

    $client = $world->client('msul1');
    $took = seconds(sub { $client->closed_within(0.05) while $client->send('x') && $took++ < 300 });
    cmp_ok $took, '>', 0.35, 'a client whose line grows byte by byte is closed, not before its time';
    cmp_ok $took, '<', 10, '... however many bytes there are';

    $client = $world->client('msul1');
    is_deeply [map { ($client->ask('ping'), $client->closed_within(0.5)) } 1 .. 5], [('pong:msul1', undef) x 5],
        'a client that asks now and then stays, for longer than it may be silent';
    $client->ask('ping');
    $took = $client->closed_within($Lonc::PATIENCE);
    ok $took, 'a client that is silent between its requests is closed';
    cmp_ok $took, '>', 1.9, '... not before its time';
    ok $world->client('msul1')->closed_within($Lonc::PATIENCE), '... and so is one that never asks';

    ($client) = $world->asking('msul1', 'size:' . (8 << 20));
    $took = $client->closed_within($Lonc::PATIENCE);
    ok $took, 'a client that takes no byte of its 8 MiB is closed';
    cmp_ok $took, '>', 1.9, '... not before its time';

    ($client) = $world->asking('msul1', 'size:' . (3 << 20));
    my $got = 0;
    while (sysread $client->{socket}, my $bytes, 64 << 10) {
        $got += length $bytes;
        last if $bytes =~ /\n/;
        select undef, undef, undef, 0.05; # reading slowly is what is tested
    }
    is $got, (3 << 20) + 1, 'a client that takes its reply slowly, for longer than that, gets all of it';

    # The answers to short lines fill the socket as surely as one long reply.
    $world->activate('nohost1');
    my @taking_none;
    for my $host ('msul1', 'nohost1') {
        for my $lines (200, 1000, 5000) {
            $client = $world->client($host);
            $client->send("ping\n" x $lines);
            push @taking_none, [$client, "$lines lines to $host"];
        }
    }
    ok $_->[0]->closed_within($Lonc::PATIENCE), "a client that sends $_->[1] and takes no answer is closed" for @taking_none;
}

# --- The queues -----------------------------------------------------------------------------------

{
    my ($world, $first, $second) = Lonc->up(hosts => [qw(msul1 msul2)],
        settings => {connections_per_host => 1, queue_per_host => 6, queue_total => 9});
    my $keeper = $world->{keeper};
    my $witness = $world->client('msul1');
    my $heard = sub { $witness->ask('reset_retries') for 1 .. 2; @_ }; # who asked before has been heard

    my @served = map { $world->asking($_, 'sleep:4000:') } qw(msul1 msul2);
    $first->has(1, 'busy') && $second->has(1, 'busy') or die 'nothing in flight';
    my @waiting = $heard->($world->asking('msul1', map {"count:$_"} 1 .. 6));
    is $keeper->said(qr/limit reached/), 0, '(the queue of one host is full to the brim)';
    for my $i (1 .. 3) {
        my $answer;
        my $took = seconds(sub { $answer = $world->ask('msul1', "count:more $i") });
        is $answer, 'con_lost', "the queue of a host is full: request $i that finds no room is con_lost";
        cmp_ok $took, '<', 3, '... at once';
    }
    is $keeper->said(qr/msul1: limit reached: requests queued for one host/), 1, '... which is logged once';

    push @waiting, $heard->($world->asking('msul2', map {"count:$_"} 1 .. 3));
    is $keeper->said(qr/limit reached/), 1, '(another host still takes three, then all queues together are full)';
    is $world->ask('msul2', 'count:more'), 'con_lost', 'the queues of all hosts are full: con_lost at once';
    is $world->ask('msul2', 'count:more'), 'con_lost', '... again';
    is $keeper->said(qr/limit reached: requests queued for all hosts/), 1, '... which is logged once';
    is $keeper->said(qr/limit left/), 0, '(neither is over yet)';

    is_deeply [map { line_of($_) } @waiting], [('ok') x 9], 'who was in the queues is answered';
    is line_of($_), '', '... as is what was under way' for @served;
    is $keeper->said(qr/msul1: limit left: requests queued for one host, after 3 times/), 1, '... the end is logged once';
    is $keeper->said(qr/limit left: requests queued for all hosts, after 2 times/), 1, '... for all hosts, too';
    is $first->executed('count:more 1') + $second->executed('count:more'), 0, '... and what was refused was never sent';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and all is well again';
}

# --- Lines ----------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {line_limit => '48k', connections_per_host => 1});
    my $keeper = $world->{keeper};
    my $limit = 48 << 10; # no power of two, so that a buffer has room for more than the limit
    my $bystander = $world->client('msul1');
    is $bystander->ask('ping'), 'pong:msul1', '(a client that has nothing to do with it)';

    is $world->ask('msul1', 'x' x ($limit - 1)), 'unknown_cmd', 'a line as long as the limit, its LF included, is a request';
    my $n = 0;
    for my $line ('x' x $limit . "\n", 'x' x ($limit + 1), 'x' x (10 * $limit), "ping\n" . 'x' x (10 * $limit) . "\nping\n") {
        my $client = $world->client('msul1');
        $client->send($line);
        ok $client->closed_within($Lonc::PATIENCE), 'a longer one closes its client: ' . length($line) . ' bytes';
        is $keeper->said(qr/client closed: its line is over the limit of 49152 bytes.*reason=too-large/), ++$n,
            '... which is logged once';
    }
    is $bystander->ask('ping'), 'pong:msul1', '... and nobody else notices';

    is length $world->ask('msul1', 'size:' . ($limit - 1)), $limit - 1, 'a reply as long as the limit is delivered';
    for my $size ($limit, $limit + 1, 10 * $limit, 8 << 20) {
        is $world->ask('msul1', "size:$size"), 'con_lost', "a longer one is con_lost: $size bytes";
        is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the next is answered';
    }
    is $lond->counts->{accepted}, 1, '... all by one connection, which lives on';

    # The same while its connection is to be closed.
    $lond->control('set delay 200');
    for my $size (10, $limit, 2 * $limit) {
        my ($client) = $world->asking('msul1', "size:$size");
        $lond->has(1, 'busy') or die 'no request in flight';
        $world->ask('msul1', 'close_connection_exit');
        line_of($client);
        ok $lond->has(0, 'connections', 5), "close_connection_exit closes the connection after its reply, of $size bytes";
        $lond->control('close-all');
    }
}

{
    my ($world, $lond) = Lonc->up(settings => {line_limit => '256k', connections_per_host => 1, reply_timeout => '2s'});
    my $took = seconds(sub { is $world->ask('msul1', 'noline'), 'con_lost', 'a reply without end is con_lost' });
    cmp_ok $took, '<', 1.9, '... once it is over the limit, though the rest of it is still read';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... which ends with reply_timeout: then another connection serves';
    is $lond->counts->{accepted}, 2, '... in the place of that one';
    is $world->{keeper}->said(qr/dead/), 0, '... and the host is well';
}

# --- Memory ---------------------------------------------------------------------------------------

SKIP: {
    skip 'a sanitizer copies what it makes larger, which takes too long here', 19 if $ENV{LONC_SANITIZED};
    my ($world, $lond) = Lonc->up(settings => {buffers_limit => '1M', line_limit => '1M', connections_per_host => 1});
    my $keeper = $world->{keeper};
    my $bystander = $world->client('msul1');
    is $bystander->ask('ping'), 'pong:msul1', '(a client that has nothing to do with it)';

    my $holder = $world->client('msul1');
    $holder->send('x' x 400_000); # takes half of the budget, and keeps it while its line is unfinished
    for my $i (1 .. 3) {
        my $client = $world->client('msul1');
        $client->send('y' x 700_000 . "\necho:behind\n");
        is line_of($client), 'con_lost', "request $i that does not fit into the budget of all buffers is con_lost";
        is line_of($client), 'behind', '... and what the same client asks behind it is answered';
        is $bystander->ask('ping'), 'pong:msul1', '... as are others';
    }
    is $world->ask('msul1', 'size:700000'), 'con_lost', 'a reply that does not fit is con_lost';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the next is answered';
    is $lond->counts->{accepted}, 1, '... by the same connection';
    is $keeper->said(qr/limit reached: memory of all buffers/), 1, '... and the log has said once that memory is short';
    is $keeper->said(qr/limit left: memory of all buffers/), 0, '(not yet that it is over)';

    my $gone = $world->client('msul1');
    $keeper->while_stopped(sub { $gone->send('z' x 150_000); $gone->send("\n"); $gone->close });
    is $bystander->ask('ping'), 'pong:msul1', 'one that does not fit, of a client who has gone, harms nobody';

    $holder->send("\n");
    is line_of($holder), 'unknown_cmd', 'the request that held the memory is answered';
    is length $world->ask('msul1', 'size:400000'), 400_000, '... and then there is room for a large reply again';
    is $world->ask('msul1', 'y' x 400_000), 'unknown_cmd', '... or a large request';
    is $keeper->said(qr/limit left: memory of all buffers, after \d+ times/), 1, '... which the log says once';
}

{
    my ($world, $lond) = Lonc->up(settings => {buffers_limit => '1M', line_limit => '1M'});
    my $keeper = $world->{keeper};
    my $holder = $world->client('msul1');
    $holder->send('x' x 1_000_000); # its buffer, doubled, is the whole budget
    my $status;
    Lonc::within($Lonc::PATIENCE, sub { $status = eval { $keeper->tells('status') } // {}; ($status->{buffers} // 0) == 1 << 20 });
    is $status->{buffers}, 1 << 20, 'not a byte of memory is left: who asks for the status is told so';
    is eval { scalar @{$keeper->tells('hosts')->{hosts}} }, 1, '... and how the hosts are';
    my $client = $world->client('msul1');
    my $before = $keeper->cpu;
    $client->send("echo:without memory\n");
    my $answer = line_of($client, 2);
    like $answer, qr/^(?:con_lost|without memory)$/, '... and a new client is answered, with con_lost if need be';
    cmp_ok $keeper->cpu - $before, '<', 0.5, '... and the keeper does not spin';
    $holder->close;
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and when the memory is free again, all is well';
}

SKIP: {
    skip 'a sanitizer copies what it makes larger', 1 if $ENV{LONC_SANITIZED};
    my ($world, $lond) = Lonc->up(settings => {buffers_limit => '14M', line_limit => '14M'});
    my $keeper = $world->{keeper};
    my $holder = $world->client('msul1');
    $holder->send('x' x 5_000_000); # takes 8M
    my $before = $keeper->cpu;
    my $client = $world->client('msul1');
    $client->send('y' x 6_500_000 . "\n"); # has 4M, would double to 8M, and there are 2M more
    line_of($client);
    cmp_ok $keeper->cpu - $before, '<', 0.5, 'near the edge of the budget a line does not cost a system call for every byte';
}

{
    # The reply has 2M, the request behind it and a line without end 1M each: less is left than a piece takes.
    my ($world, $lond) = Lonc->up(settings => {buffers_limit => (4 << 20) + 12_000, line_limit => '4M', connections_per_host => 1});
    my $holder = $world->client('msul1');
    $holder->send('x' x 700_000);
    $lond->control('set delay 300');
    my ($large) = $world->asking('msul1', 'size:1500000');
    $lond->has(1, 'busy') or die 'no request in flight';
    my ($next) = $world->asking('msul1', 'encrypt:echo:' . 'z' x 700_000);
    my $reply = line_of($large);
    ok $reply eq substr(join('', map { chr } 33 .. 126) x 16000, 0, 1_500_000),
        'a reply is delivered unharmed while there is no memory to encipher the next request'
        or diag 'it has ' . length($reply) . ' bytes and starts ' . substr($reply, 0, 20) =~ s/[^ -~]/?/gr;
    is line_of($next), 'con_lost', '... which is con_lost';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the keeper lives';
}

# --- Descriptors ----------------------------------------------------------------------------------

for my $mode (qw(shared accept)) {
    my ($world, $lond) = Lonc->up(mode => $mode, keeper => {descriptors => 64});
    my $keeper = $world->{keeper};
    my @clients = $world->asking('msul1', map {"sleep:30:$_"} 1 .. 60);
    is_deeply [answers_of_leaving(@clients)], [1 .. 60],
        "$mode: with 64 descriptors, 60 clients at once are answered, none is lost";
    is $world->ask('msul1', 'ping'), 'pong:msul1', "$mode: ... and whoever comes after them";
}

{
    my ($world, $lond) = Lonc->up(keeper => {descriptors => 64});
    my $keeper = $world->{keeper};
    my @holding = map { $world->client('msul1') } 1 .. 40;
    $keeper->await(qr/limit reached: open descriptors/);
    my ($cpu, $waits, $since) = ($keeper->cpu, $keeper->waits, time);
    my ($late) = $world->asking('msul1', 'echo:late');
    select undef, undef, undef, 1; # doing nothing is what is tested
    cmp_ok $keeper->cpu - $cpu, '<', 0.05, 'out of descriptors, the keeper does not spin';
    cmp_ok $keeper->waits - $waits, '<', 20 * (time - $since), '... but sleeps';
    ok $late->hears_nothing, '(a late client waits)';
    my $took = seconds(sub { $_->close for @holding; is line_of($late), 'late', '... and is served when others leave' });
    $late->close;
    cmp_ok $took, '<', 5, '... soon';
    ok $keeper->said(qr/limit left: open descriptors/), '... and the log says that it is over';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and all is well again';
}

{
    # Idle connections to londs are descriptors as well, which nobody needs while others wait.
    my @hosts = map {"msul$_"} 1 .. 8;
    my ($world, @londs) = Lonc->up(hosts => \@hosts, keeper => {descriptors => 98});
    my $answered = 0;
    for my $host (@hosts) {
        my @clients = $world->asking($host, map {"sleep:50:$_"} 1 .. 5);
        $answered += grep { line_of($_) =~ /^\d$/ } @clients;
    }
    is $answered, 40, 'idle connections to hosts do not keep clients of other hosts from being served when descriptors are short';
}

# --- Secrets --------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {retry_delay => '20ms', request_timeout => '300ms', line_limit => '64k', probe_min => '1h', probe_max => '1h'});
    my $keeper = $world->{keeper};
    $world->activate('nohost1');
    my @requests = map {"encrypt:$_"} 'auth:domain:me:sesame', 'echo:sesame', 'encreply:sesame', 'half:sesame', 'close',
        'sleep:1000:sesame', 'reply:enc:sesame', 'sesame' x 20000;
    $world->ask('msul1', $_) for @requests, 'encreply:sesame', 'reply:enc:5:sesame';
    $world->ask('nohost1', $_) for @requests;
    $lond->control('fault garbage@ChallengeReplied');
    $lond->control('close-all');
    $world->ask('msul1', $_) for @requests;
    is $keeper->said(qr/host is dead/), 1, '(the host has died meanwhile)';
    is $keeper->said(qr/sesame/), 0, 'no text of an encrypt: request is in the log at its most talkative';
    is $keeper->said(qr/73 ?65 ?73 ?61 ?6d ?65/i), 0, '... not in hexadecimal either';
}

# --- Idleness -------------------------------------------------------------------------------------

{
    my %short = map { $_ => '300ms' } qw(connect_timeout handshake_timeout reply_timeout queue_timeout request_timeout
        client_line_timeout client_write_timeout client_idle_timeout connection_idle_timeout deferred_hold);
    # Where no other test makes files: the keeper watches the folders above its own, for they may be moved.
    local $ENV{TMPDIR} = -w '/dev/shm' ? '/dev/shm' : $ENV{TMPDIR};
    my ($world, $lond) = Lonc->up(settings => \%short);
    my $keeper = $world->{keeper};
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 20)], [1 .. 20], '(the keeper has worked)';
    my $kept = $world->client('msul1');
    $kept->ask('ping');
    $kept->closed_within($Lonc::PATIENCE) && $lond->has(0, 'connections') or die 'not all is pruned';
    my $waits;
    Lonc::within($Lonc::PATIENCE, sub { # the last deadline is over
        $waits = $keeper->waits;
        select undef, undef, undef, 0.7;
        return $keeper->waits == $waits;
    });
    select undef, undef, undef, 3; # doing nothing is what is tested
    is $keeper->waits - $waits, 0, 'a keeper that has nothing to do is not woken at all';
}

done_testing;
