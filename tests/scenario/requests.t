#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# When everything works, a request is answered by the right host, byte for byte.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Lonc;

# Numbers its bytes, so that a piece that is lost, doubled or moved does not go unseen.
sub text_of { my ($bytes) = @_; return substr join('', map { sprintf '%07x ', $_ } 0 .. $bytes / 8), 0, $bytes }

# --- One line in, one line out --------------------------------------------------------------------

for my $mode (qw(shared accept)) {
    my ($world, $lond) = Lonc->up(mode => $mode);
    is $world->ask('msul1', 'ping'), 'pong:msul1', "$mode: one request is answered";

    my @wanted = map {"client $_"} 1 .. 20;
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} @wanted)], \@wanted,
        "$mode: 20 clients at once get an answer each, their own";

    my $client = $world->client('msul1');
    is_deeply [map { $client->ask("echo:$_") } 1 .. 200], [1 .. 200],
        "$mode: one client is answered as often as it asks, 200 times";
}

{
    my ($world, $lond) = Lonc->up(lond => ['--count-texts']);

    my $client = $world->client('msul1');
    $client->send(join '', map {"echo:$_\n"} 1 .. 5000);
    is_deeply [map { $client->line } 1 .. 5000], [1 .. 5000],
        'pipelined lines are answered in order, 5,000 of them sent at once';

    $client->send("sleep:100:slow\necho:quick\n");
    is_deeply [map { $client->line } 1 .. 2], [qw(slow quick)],
        'pipelined lines are answered in order, though the first takes lond longer';

    is $client->ask(''), 'unknown_cmd', 'an empty line is a request like any other: lond is asked, and answers';
    is $client->ask('echo:after'), 'after', '... and the next line has its own answer';

    $client = $world->client('msul1');
    $client->send("echo:one\necho:two\n");
    $client->half_close;
    is_deeply [map { $client->line } 1 .. 3], ['one', 'two', undef],
        'a client that has shut down its sending side is answered, then its connection ends';

    $client = $world->client('msul1');
    $client->send("echo:whole\ncount:unterminated");
    $client->half_close;
    is_deeply [map { $client->line } 1 .. 2], ['whole', undef],
        'an unterminated line at the end of the stream is dropped without an answer';
    is $client->{rest}, '', '... of not a single byte';
    is $lond->executed('count:unterminated'), 0, '... and lond never sees it';

    is $world->ask('msul1', 'sethost:msul1:ping'), 'pong:msul1', 'a request that starts with sethost: is passed';
    is $lond->executed('sethost:msul1:ping'), 1, '... to the byte';
}

# --- Clients that vanish --------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
    my ($first) = $world->asking('msul1', 'sleep:3000:first');
    $lond->has(1, 'busy') or die 'the only connection is not in use';
    my $witness = $world->client('msul1');
    my $known = $world->client('msul1');
    is $known->ask('reset_retries'), 'ok', '(the keeper has the client that is going to vanish)';
    $known->send("count:vanished\n");
    my ($stays) = $world->asking('msul1', 'count:stays');
    # Events come to the keeper in order, so whoever is answered now was heard after the others.
    $witness->ask('reset_retries') for 1 .. 2;
    $known->close;
    is_deeply [$first->line, $stays->line], ['first', 'ok'], 'a client vanishes from the queue, others are answered';
    is $lond->executed('count:stays'), 1, '... lond executes what another has asked after it';
    is $lond->executed('count:vanished'), 0, '... but never what the vanished client asked';

    my ($leaves) = $world->asking('msul1', 'sleep:2000:of another');
    $lond->has(1, 'busy') or die 'the only connection is not in use';
    $leaves->close;
    is $world->ask('msul1', 'echo:mine'), 'mine',
        'a client vanishes with its request under way: its reply is not given to the next';
    is $lond->counts->{accepted}, 1, '... who is served by the same connection';
    is $lond->executed('sleep:2000:of another'), 1, '... and the request was executed once';
}

# --- Any bytes, any number of them ----------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    my $large = text_of(8 << 20);
    ok $world->ask('msul1', "echo:$large") eq $large, 'a request and a reply of 8 MiB pass unchanged';
    is length $world->ask('msul1', 'size:' . (32 << 20)), 32 << 20, 'a reply of 32 MiB comes whole';

    my $bytes = join '', map { chr } 0 .. 9, 11 .. 255;
    is $world->ask('msul1', "echo:$bytes"), $bytes, 'every byte value but LF passes in both directions';
    is $world->ask('msul1', "encrypt:echo:$bytes"), $bytes, '... and so it does enciphered';

    # --- Enciphered ---
    my $before = $lond->counts->{enciphered};
    my @texts = map { substr 'the quick brown fox', 0, $_ } 0 .. 17;
    is_deeply [map { $world->ask('msul1', "encrypt:echo:$_") } @texts], \@texts,
        'encrypt: requests of all lengths around the size of a block are answered in clear text';
    my $counts = $lond->counts;
    is $counts->{enciphered} - $before, 18, '... and each of them reached lond enciphered';
    is $counts->{malformed}, 0, '... with nothing malformed';
    is $world->ask('msul1', 'encrypt:'), 'unknown_cmd', 'encrypt: with nothing behind it is an empty command';
    is $world->ask('msul1', 'encrypt:sethost:msul1:ping'), 'pong:msul1', 'encrypt: before sethost: is enciphered whole';
    my $megabyte = text_of(1 << 20);
    ok $world->ask('msul1', "encrypt:echo:$megabyte") eq $megabyte, 'a megabyte is enciphered and deciphered';
    is $world->ask('msul1', 'encreply:12345678'), '12345678', 'an enciphered reply to a request in clear is deciphered';

    $lond->control('fault no-extra-block');
    is_deeply [map { $world->ask('msul1', "encrypt:echo:$_") } '', '12345678', text_of(16), 'odd'],
        ['', '12345678', text_of(16), 'odd'], 'a peer that omits the extra block is understood';
    $lond->control('fault none');

    my $connections = $lond->counts->{accepted};
    for my $reply ('enc:', 'enc:5', 'enc:x:00', 'enc:5:d0aae4b321ae396', 'enc:5:nothexadecimal!!', 'enc:99:d0aae4b321ae396d',
        'enc:99999999999999999999999:d0aae4b321ae396d')
    {
        is $world->ask('msul1', "reply:$reply"), 'con_lost', "a reply that cannot be deciphered is con_lost: $reply";
    }
    is $world->ask('msul1', 'echo:next'), 'next', '... and the next request is answered';
    is $lond->counts->{accepted}, $connections, '... by the same connection';
}

# --- Hosts ----------------------------------------------------------------------------------------

{
    my ($world, $silent, $well) = Lonc->up(hosts => [qw(msul1 msul2)], settings => {reply_timeout => '1s'});
    $silent->control('fault silent@ReceivingReply');
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 30);
    $silent->has(10, 'open') or die 'the silent host has not its 10 connections';
    my $client = $world->client('msul2');
    is_deeply [map { ($world->ask('msul2', "echo:$_"), $client->ask("echo:$_")) } 1 .. 50], [map { ($_, $_) } 1 .. 50],
        'while one host is silent, clients of another are answered';
    is scalar(grep { !$_->hears_nothing } @waiting), 0, '... and those of the silent one wait meanwhile';
    is $waiting[0]->line, 'con_lost', '... until the bound of a reply';
}

{
    my ($world, $lond) = Lonc->up(settings => {retry_delay => '20ms', probe_min => '1h', probe_max => '1h'});
    $world->activate('nohost1');
    is $world->ask('nohost1', 'ping'), 'con_lost', 'a socket named for no host of the table answers con_lost';
    my $client = $world->client('nohost1');
    $client->send("ping\n" x 5000);
    is scalar(grep { ($client->line // '') eq 'con_lost' } 1 .. 5000), 5000,
        '... to each of 5,000 pipelined lines';
    is $world->ask('nohost1', 'reset_retries'), 'con_lost', '... to reset_retries too, for there is nothing to forgive';

    for my $path ('elsewhere/msul1', 'sockets/delayed/msul1', 'sockets/delayed/delayed', 'msul1', 'sockets2/msul1') {
        mkdir $world->path($path =~ s{/[^/]*$}{}r) if $path =~ m{/};
        $world->activate($path, path => $world->path($path));
        is $world->client_at($world->path($path))->ask('ping'), 'con_lost',
            "a socket that does not lie in lonSockDir answers con_lost, whatever its name: $path";
    }
    is $lond->counts->{accepted}, 0, '... and none of all these requests went to a host';

    # --- reset_retries ---
    $lond->control('stop-listening');
    is $world->ask('msul1', 'ping'), 'con_lost', '(the host is down)';
    $world->{keeper}->await(qr/host is dead/);
    $client = $world->client('msul1');
    $client->send("ping\n" x 5000);
    is scalar(grep { ($client->line // '') eq 'con_lost' } 1 .. 5000), 5000,
        'a dead host answers con_lost to each of 5,000 pipelined lines';
    $lond->control('listen');
    is $world->ask('msul1', 'ping'), 'con_lost', 'a dead host that has come back is dead until it is probed';
    is $world->ask('msul1', 'reset_retries'), 'ok', 'reset_retries is answered ok';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the dead host is tried now, an hour before its probe';
    is $world->ask('msul1', 'reset_retries'), 'ok', 'reset_retries for a healthy host is answered ok as well';
    is $lond->executed('reset_retries'), 0, '... and lond never hears of it';
}

{
    my $world = Lonc->new(hosts => [qw(alpha1 zebra1)]);
    $world->write_file('tabs/hosts.tab', join '', map {"$_:msu:library:shared.example.edu:$world->{address}{$_}\n"} qw(zebra1 alpha1));
    $world->lond($_) for qw(alpha1 zebra1);
    $world->keeper;
    $world->activate($_) for qw(shared.example.edu Shared.Example.EDU alpha1);
    is $world->ask('shared.example.edu', 'ping'), 'pong:zebra1',
        'a socket named by a DNS name means the first id of the table with that name';
    is $world->ask('Shared.Example.EDU', 'ping'), 'pong:zebra1', '... in upper or lower case';
    is $world->ask('alpha1', 'ping'), 'pong:alpha1', '... while an id means that host';
}

# --- close_connection_exit ------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    my @flying = $world->asking('msul1', map {"sleep:3000:$_"} 1 .. 2);
    $lond->has(2, 'busy') or die 'no requests in flight';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '(a third connection is idle now)';
    is $world->ask('msul1', 'close_connection_exit'), 'con_lost', 'close_connection_exit is answered con_lost';
    ok $lond->has(2, 'connections', 2.5), '... and closes the idle connection';
    is_deeply [map { $_->line } @flying], [1, 2], '... while the requests in flight get their replies';
    ok $lond->has(0, 'connections'), '... and their connections close after that';
    is $lond->executed('close_connection_exit'), 0, '... and lond never hears of it';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the next request is answered';
}

# --- Slow clients ---------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
    my $length = 8 << 20;
    my ($slow) = $world->asking('msul1', "size:$length");
    $lond->has(1, 'busy');
    is $world->ask('msul1', 'echo:quick'), 'quick',
        'a client that does not read its 8 MiB does not hold the only connection: another is answered';
    my @more = $world->asking('msul1', map {"size:$length"} 1 .. 5);
    is $world->ask('msul1', 'echo:quick'), 'quick', '... and so it is behind six of them';
    is $lond->counts->{peak}, 1, '... all by one connection';
    is_deeply [map { length $_->line } $slow, @more], [($length) x 6], '... and the slow ones find their replies whole';
}

done_testing;
