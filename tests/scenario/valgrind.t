#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Through a mixed life, however it ends, the keeper touches no byte that is not its own, and at its
# end every allocation is freed and every descriptor that it opened is closed; so is the shim's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use POSIX ();
use Time::HiRes qw(time);
use Certificates;
use Lonc;

my ($valgrind) = grep {-x} map {"$_/valgrind"} split /:/, $ENV{PATH};
plan skip_all => 'valgrind is not installed' if !$valgrind;
$Lonc::PATIENCE = 90;

my @checks = ($valgrind, '-q', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible',
    '--errors-for-leak-kinds=definite,indirect,possible', '--track-fds=yes', '--error-exitcode=9', '--num-callers=20');

# A program under valgrind, whose verdict goes to a file of the world.
sub wrapper { my ($world, $name, @more) = @_; return [@checks, @more, '--log-file=' . $world->path("valgrind.$name")] }

# `left` descriptors may stay open: those of the program itself, not one a client.
sub verdict {
    my ($world, $name, $process, $what, $left) = @_;
    my $status = $process->wait_exit(60);
    my $said = $world->read_file("valgrind.$name") // 'no log';
    is $status >> 8, 0, "$what: it exits 0, so valgrind has found no error and no leak" or diag $said;
    # What valgrind calls inherited was opened by who started it, the test.
    my @open = grep { /Open (?:file descriptor|AF_)/ && !/inherited from parent/ } split /^==\d+== \n/m, $said;
    cmp_ok scalar(@open), '<=', $left || 0, "$what: the descriptors that it opened are closed" or diag $said;
    like $said, qr/FILE DESCRIPTORS/, "$what: valgrind has looked";
}

sub start_keeper {
    my ($world) = @_;
    return $world->keeper(wrapper => wrapper($world, 'keeper'));
}

sub reload {
    my ($world) = @_;
    $world->write_config;
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/(hosts? in force|reload failed)[^\n]*/);
}

sub busy {
    my ($lond, $count) = @_;
    Lonc::within(30, sub { $lond->control('busy') == $count }) or die "lond is not busy with $count requests";
}

sub in_flight {
    my ($world, $lond, $host, $request) = @_;
    my $client = $world->client($host);
    $client->send("$request\n");
    busy($lond, 1);
    return $client;
}

my %quick = (create_timeout => '1s', connections_per_host => 3, connect_timeout => '1s', handshake_timeout => '2s', reply_timeout => '2s',
    retry_delay => '50ms', probe_min => '100ms', queue_timeout => '5s', drain_timeout => '4s', request_timeout => '5s', line_limit => '9M');

# --- A long life ----------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => [qw(msul1 msul2 msul3 msul4)], settings => {%quick});
    my %lond = map { $_ => $world->lond($_) } qw(msul1 msul2);
    my $faulty = $world->lond('msul3', '--fault', 'garbage@ReceivingKey,times=3');
    my $keeper = start_keeper($world);
    $world->activate($_) for qw(msul1 msul2 msul3 msul4);
    $world->activate('stranger');
    $world->activate('common_parent');
    $world->activate('elsewhere', path => $world->path('elsewhere'));

    is $world->ask('msul1', 'ping'), 'pong:msul1', 'under valgrind: a request';
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 30)], [1 .. 30], '30 clients at once';
    is $world->ask('msul1', "encrypt:echo:$_"), $_, 'an enciphered request' for '1234567', '12345678', '';
    is $world->ask('msul1', 'encrypt:encreply:secret'), 'secret', 'an enciphered reply to an enciphered request';
    is length($world->ask('msul1', 'size:8000000')), 8_000_000, 'a reply of 8 MB';
    is length($world->ask('msul1', 'echo:' . 'x' x 4_000_000)), 4_000_000, 'a request of 4 MB';
    is $world->ask('msul1', 'size:10000000'), 'con_lost', 'a reply over the limit';
    is $world->ask('msul1', 'echo:' . 'x' x 10_000_000), undef, 'a request over the limit';
    my $pipelining = $world->client('msul1');
    $pipelining->send(join '', map {"echo:$_\n"} 1 .. 200);
    is_deeply [map { $pipelining->line } 1 .. 200], [1 .. 200], '200 pipelined requests';
    is $pipelining->ask('close_connection_exit'), 'con_lost', 'close_connection_exit';
    is $pipelining->ask('reset_retries'), 'ok', 'reset_retries';

    is $world->ask('stranger', 'ping'), 'con_lost', 'a host that is in no table';
    is $world->client('stranger')->ask("x" x 1000), 'con_lost', 'whatever is asked of it';
    $world->activate('msul1.example.edu');
    is $world->ask('common_parent', 'msul1.example.edu:msul1'), 'done', 'a socket that lonnet asks for';
    like $world->ask('common_parent', $_), qr/^error: /, '... and none' for '', 'nobody:msul1', 'x' x 100_000;
    my @waiting = $world->asking('common_parent', ('msul2.example.edu:msul2') x 3, 'msul3.example.edu:msul3');
    $waiting[0]->close;
    like $waiting[3]->line, qr/^error: nobody listens/, 'one that waits for it in vain, beside one that leaves';
    my $outside = Lonc::Client->new(IO::Socket::UNIX->new(Peer => $world->path('elsewhere')));
    is $outside->ask('ping'), 'con_lost', 'a socket that is not in lonSockDir';
    is $world->ask('msul4', 'ping'), 'con_lost', 'a host whose lond is down';

    for my $fault (qw(close reset half:abc stall:abc noline two:abc last:abc silent)) {
        my $got = eval { $world->ask('msul2', $fault) } // 'nothing';
        like $got, qr/^(con_lost|abc)$/, "a lond's fault: $fault";
    }
    is $world->ask('msul2', 'encreply:in clear'), 'in clear', 'an enciphered reply to a clear request';
    $lond{msul2}->control('fault close@ReceivingReply,times=2');
    $world->ask('msul2', 'ping') for 1 .. 2;
    is $world->ask('msul2', 'ping'), 'pong:msul2', 'after its faults that lond is asked again';
    my $third;
    Lonc::within(30, sub { ($third = $world->ask('msul3', 'ping')) eq 'pong:msul3' });
    is $third, 'pong:msul3', 'a lond that spoils its first handshakes';
    $lond{msul2}->control($_) for 'close-idle', 'tell-idle nonsense';
    is $world->ask('msul2', 'ping'), 'pong:msul2', 'a lond that closes its idle connections';

    # Clients that leave: before a line, within one, queued, in flight, and while taking their reply.
    $world->client('msul1')->close;
    my $partly = $world->client('msul1');
    $partly->send('echo:unfin');
    $partly->close;
    my $flying = in_flight($world, $lond{msul1}, 'msul1', 'sleep:1000:nobody');
    my @queued = map { my $c = $world->client('msul1'); $c->send("sleep:500:$_\n"); $c } 1 .. 12;
    busy($lond{msul1}, 3);
    $_->close for $flying, @queued;
    my $taking = $world->client('msul1');
    $taking->send("size:8000000\n");
    sysread $taking->{socket}, my $some, 1000;
    $taking->close;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'after clients that vanished at every stage';

    # Tables that change under clients, one of them in conversation all the time.
    my $stays = $world->client('msul2');
    is $stays->ask('echo:here'), 'here', 'a client in conversation';
    my $address = delete $world->{address}{msul2};
    my $removed = in_flight($world, $lond{msul2}, 'msul2', 'sleep:500:done');
    reload($world);
    is $removed->line, 'done', 'a host that is removed with a request in flight';
    is $stays->ask('ping'), 'con_lost', 'and then answers con_lost';
    $world->{address}{msul2} = $address;
    reload($world);
    is $stays->ask('ping'), 'pong:msul2', 'and is restored while a client is still there';
    $world->{address}{msul9} = $address;
    $world->{variables}{lonVersion} = '2.11';
    reload($world);
    is $stays->ask('ping'), 'pong:msul2', 'a changed lonVersion, and one more host';
    $world->write_file('tabs/hosts.tab', "bad/id\n");
    $keeper->signal('HUP');
    $keeper->await(qr/reload failed/);
    $world->{settings}{connections_per_host} = 2;
    delete $world->{address}{$_} for qw(msul9 msul3 msul4);
    reload($world);
    reload($world) for 1 .. 3;
    $keeper->signal('USR1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'after bad tables and good ones';

    # Nonsense on the channel.
    my $channel = $world->channel_connection;
    pipe my $out, my $in;
    Lonc::send_descriptors($channel, Lonc::handover_message(count => 2), $out, $in);
    Lonc::send_descriptors($channel, 'nonsense', $out, $in);
    sysread $channel, my $answer, 100;
    close $channel;

    # The end, with all kinds of work left.
    my $last = in_flight($world, $lond{msul2}, 'msul2', 'sleep:500:last');
    $partly = $world->client('msul1');
    $partly->send('echo:unfin');
    $keeper->signal('TERM');
    is $last->line, 'last', 'SIGTERM with a request in flight';
    verdict($world, 'keeper', $keeper, 'a long life that ends with SIGTERM');
}

# --- Other ends -----------------------------------------------------------------------------------

# Requests in flight and queued, a client that waits for a socket, and a host that has left the table with one still in flight.
sub world_at_work {
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {%quick, connections_per_host => 1, reply_timeout => '30s', create_timeout => '60s'});
    my %lond = map { $_ => $world->lond($_) } qw(msul1 msul2);
    my $keeper = start_keeper($world);
    $world->activate($_) for qw(msul1 msul2 common_parent);
    my @clients = map { in_flight($world, $lond{$_}, $_, 'sleep:60000:never') } qw(msul1 msul2);
    push @clients, map { my $c = $world->client($_); $c->send("echo:queued\n"); $c } qw(msul1 msul1);
    push @clients, $world->client('msul1'), $world->asking('common_parent', 'msul1.example.edu:msul1');
    delete $world->{address}{msul2};
    reload($world);
    return ($world, $keeper, @clients);
}

{
    my ($world, $keeper, @clients) = world_at_work();
    $keeper->signal('TERM');
    is $clients[0]->line($Lonc::PATIENCE), 'con_lost', 'when the drain ends: a request in flight';
    is $clients[1]->line($Lonc::PATIENCE), 'con_lost', 'when the drain ends: one of a host that was removed';
    verdict($world, 'keeper', $keeper, 'a life that ends with its drain');
}

{
    my ($world, $keeper, @clients) = world_at_work();
    $clients[1]->close;
    $keeper->signal('TERM');
    verdict($world, 'keeper', $keeper, 'a life that ends with its drain, the last client of a removed host gone');
}

for my $signals (['QUIT'], ['TERM', 'TERM']) {
    my ($world, $keeper, @clients) = world_at_work();
    for my $signal (@$signals) {
        $keeper->signal($signal);
        $keeper->await(qr/stopping/) if $signal eq 'TERM' && $keeper->log !~ /stopping/;
    }
    verdict($world, 'keeper', $keeper, "a life that ends with SIG@$signals and requests in flight");
}

{
    my $world = Lonc->new(hosts => ['msul1'], settings => {%quick});
    $world->write_file('tabs/hosts.tab', "bad/id\n");
    my $keeper = start_keeper($world);
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'con_lost', 'a keeper that never had a table';
    $keeper->signal('TERM');
    verdict($world, 'keeper', $keeper, 'a life without a table');

    $world->write_file('keeper.conf', "nonsense\nprobe_min = 90s\nruntime_dir = run\n");
    my $check = $world->start('lonc-keeper', [@{wrapper($world, 'check')}, ($ENV{BUILD} || 'build') . '/lonc-keeper',
            '--check', '--config', $world->path('keeper.conf')]);
    is $check->wait_exit >> 8, 1, '--check with mistakes exits 1, not 9, so valgrind has found nothing'
        or diag $world->read_file('valgrind.check');
}

# --- ssl and local --------------------------------------------------------------------------------

# A host that is reached by ssl, and this very host, locally; each starts with these faults.
sub world_of_modes {
    my (%faults) = @_;
    my $ca = Certificates->new;
    my $mine = $ca->issue('annarborl1');
    my $world = Lonc->new(hosts => [qw(annarborl1 msul1)],
        settings => {%quick, failures_until_dead => 1, handshake_timeout => $faults{timeout} || '5s'});
    my $local = $world->lond('annarborl1', '--listen', '127.0.0.1:0', '--auth', 'local', '--fault', $faults{local} || 'none');
    my ($port) = $local->control('addresses') =~ /127\.0\.0\.1:(\d+)/;
    my $ssl = $world->lond('msul1', '--listen', "$world->{address}{msul1}:$port",
        $ca->lond($ca->issue('msul1.example.edu')), '--fault', $faults{ssl} || 'none');
    $world->{variables} = {londPort => $port, $ca->variables($mine)};
    $world->write_config;
    my $keeper = start_keeper($world);
    $world->activate($_) for qw(annarborl1 msul1);
    return ($world, $keeper, $local, $ssl, $ca);
}

sub mended {
    my ($world, $lond, $host, $what) = @_;
    $lond->control('fault none');
    $world->ask($host, 'reset_retries');
    is $world->ask($host, 'encrypt:echo:secret'), 'secret', $what;
}

{
    my ($world, $keeper, $local, $ssl, $ca) = world_of_modes();
    for my $fault ('none', map({"$_\@TLS"} qw(close reset garbage half alert)),
        map({"$_\@TLSKey"} qw(close farewell half short long two notify ticket last)), 'close@Initialized', 'refuse@Initialized')
    {
        $ssl->control('close-all');
        $ssl->control("fault $fault");
        is $world->ask('msul1', 'echo:through'), $fault eq 'none' ? 'through' : 'con_lost', "ssl, and lond's fault $fault";
        mended($world, $ssl, 'msul1', 'and after it');
    }
    for my $certificate (Certificates->new->issue('msul1.example.edu')->{both}, $ca->issue('msul1.example.edu', days => -1)->{both}, 'none') {
        my $good = $ca->issue('msul1.example.edu')->{both};
        $ssl->control('close-all');
        is $ssl->control("set certificate $certificate"), 'ok', '(a bad certificate)';
        is $world->ask('msul1', 'echo:through'), 'con_lost', 'ssl, and a bad certificate';
        is $ssl->control("set certificate $good"), 'ok', '(a good one)';
        mended($world, $ssl, 'msul1', 'and after it');
    }
    for my $fault (map { ("$_\@Initialized", "keep-key-file,$_\@Initialized") } qw(none close refuse short)) {
        $local->control('close-all');
        $local->control("fault $fault");
        is $world->ask('annarborl1', 'echo:through'), $fault =~ /none/ ? 'through' : 'con_lost', "local, and lond's fault $fault";
        mended($world, $local, 'annarborl1', 'and after it');
    }

    # Reloads: the same, another, bad ones, a revocation list, none.
    my @variables = ({$ca->variables($ca->issue('another'))}, {$ca->variables($ca->issue('expired', days => -1))},
        {$ca->variables($ca->issue('soon', days => 1))}, {$ca->variables({certificate => $world->path('keeper.conf'), key => '/nonexistent'})});
    my $port = $world->{variables}{londPort};
    for my $variables (@variables) {
        reload($world);
        $world->{variables} = {londPort => $port, %$variables};
        reload($world);
        $ssl->control('close-all');
        is $world->ask('msul1', 'echo:through'), 'through', 'ssl after a reload';
    }
    $world->{variables} = {londPort => $port, %{$variables[0]}};
    $world->{settings}{tls_revocations} = $ca->revocations([]);
    reload($world);
    $ssl->control('close-all');
    is $world->ask('msul1', 'echo:through'), 'through', 'ssl with a revocation list';
    $world->{settings}{tls_revocations} = $world->path('keeper.conf');
    reload($world);
    $world->{variables} = {londPort => $port};
    $world->{settings}{tls_revocations} = '';
    reload($world);
    $ssl->control('close-all');
    is $world->ask('msul1', 'echo:through'), 'through', 'insecure after a reload without certificates';
    $keeper->signal('TERM');
    verdict($world, 'keeper', $keeper, 'a life with ssl and local');
}

for my $fault ('silent@TLS', 'stall@TLS', 'stall@TLSKey') {
    my ($world, $keeper, $local, $ssl) = world_of_modes(timeout => '1h', ssl => $fault, local => 'silent@Initialized');
    my @clients = map { my $client = $world->client($_); $client->send("echo:never\n"); $client } qw(annarborl1 msul1);
    Lonc::within(30, sub { $local->counts->{faults} && $ssl->counts->{faults} }) or die 'no handshakes';
    $keeper->signal('QUIT');
    verdict($world, 'keeper', $keeper, "a life that ends with SIGQUIT and handshakes under way, $fault");
}

# --- The shim -------------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    $world->lond('msul1');
    $world->keeper;
    my $listener = $world->host_listener('msul1');
    # It is static, so allocations are not followed, and the C library's own reads of whole words
    # look like mistakes; what is left is addresses and descriptors.
    my @static = ('--undef-value-errors=no');
    my $shim = $world->shim(socket => $listener, wrapper => wrapper($world, 'shared', @static),
        options => ['--linger', '1', '--ack-timeout', '0.5']);
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 40)], [1 .. 40], 'a shim under valgrind hands 40 clients over';
    $world->{keeper}->pause;
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 40)], [('con_lost') x 40], 'and answers 40 con_lost';
    $world->{keeper}->resume;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'and hands over again';
    verdict($world, 'shared', $shim, 'a shared shim, but for its channel, its epolls and its signal,', 4);

    my $client = $world->client('msul1');
    my $accepted = $listener->accept;
    $client->send("ping\n");
    $shim = $world->shim(socket => $accepted, wrapper => wrapper($world, 'single', @static));
    is $client->line, 'pong:msul1', 'a shim of one connection under valgrind hands it over';
    verdict($world, 'single', $shim, 'a shim of one connection, but for its channel and its epoll,', 2);
}

done_testing;
