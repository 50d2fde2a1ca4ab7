#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The hand-over: whether the keeper is stopped, killed, restarted or missing, no client is lost and none is answered twice.
# Strangers and nonsense on the private channel harm nobody.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Socket;
use Time::HiRes qw(time sleep);
use Lonc;

Lonc::need_descriptors(6000);

# Large enough, so that a crowd does not reach the limit of the queue.
my %roomy = (queue_per_host => 10000, queue_total => 10000);

# A world in which the test holds the channel's listener, as systemd does.
sub world {
    my $world = Lonc->new(hosts => ['msul1'], settings => {%roomy, @_});
    $world->{lond} = $world->lond('msul1', '--count-texts');
    $world->{channel} = $world->channel_listener;
    $world->keeper(channel => $world->{channel});
    return $world;
}

# A client that has written its line and closed its side for writing.
sub asker {
    my ($world, $text) = @_;
    my $client = $world->client('msul1');
    $client->{text} = $text;
    $client->{since} = time;
    $client->send("echo:$text\n");
    $client->half_close;
    return $client;
}

# Makes clients connect while the shim is stopped, so that it sends them in full batches afterwards. When this returns, they
# are in the channel.
sub crowd {
    my ($world, $shim, $count, $name) = @_;
    $shim->pause;
    my @clients = map { asker($world, "$name-$_") } 1 .. $count;
    $shim->resume;
    Lonc::within($Lonc::PATIENCE, sub { $shim->descriptors > $count }) or die 'the shim did not take the crowd';
    return @clients;
}

# What each client got until the end of its stream: 'own' reply, 'con_lost', 'nothing', or something else.
sub fates {
    my %fates = (own => 0);
    for my $client (@_) {
        my $got = $client->everything($Lonc::PATIENCE);
        $client->{fate} = $got eq "$client->{text}\n" ? 'own' : $got eq "con_lost\n" ? 'con_lost'
            : $got eq '' ? 'nothing' : "other: $got";
        $fates{$client->{fate}}++;
        $client->close;
    }
    return \%fates;
}

# --- 2,000 hand-overs in the channel --------------------------------------------------------------

{
    my $world = world();
    my $lond = $world->{lond};
    my $shim = $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'before anything happens a request is answered';

    $world->{keeper}->pause;
    my @clients = crowd($world, $shim, 2000, 'stopped');
    $world->{keeper}->resume;
    is_deeply fates(@clients), {own => 2000},
        'a keeper that was stopped: 2,000 waiting hand-overs are each answered once, by their own reply';

    $world->{keeper}->pause;
    @clients = crowd($world, $shim, 2000, 'killed');
    $world->{keeper}->kill_hard;
    $world->keeper(channel => $world->{channel});
    is_deeply fates(@clients), {own => 2000},
        'a keeper that was killed: its successor answers the 2,000 hand-overs that it had not taken';

    $world->{keeper}->pause;
    @clients = crowd($world, $shim, 2000, 'restarted');
    $world->{keeper}->signal('TERM');
    $world->{keeper}->resume;
    is $world->{keeper}->wait_exit, 0, 'a keeper that is restarted with 2,000 hand-overs waiting leaves with 0';
    $world->keeper(channel => $world->{channel});
    my $fates = fates(@clients);
    is $fates->{own} + ($fates->{con_lost} // 0), 2000,
        'a keeper that is restarted: each of 2,000 waiting clients gets its reply or con_lost, and nothing else';
    cmp_ok $fates->{own}, '>', 1800,
        'a keeper that is restarted: what it had not taken before it heard of it is left to its successor';
    is $lond->control('repeated'), 0, 'through all of this lond executed no request twice';
    my @con_lost = grep { $_->{fate} eq 'con_lost' } @clients;
    is scalar(grep { $lond->executed("echo:$_->{text}") } @con_lost), 0,
        'a request answered con_lost by a keeper that leaves was not sent to lond';

    # The end of its stream reaches the keeper together with its line.
    my $half_closed = $world->client('msul1');
    is $half_closed->ask('echo:first'), 'first', 'a client that will half-close is in conversation';
    $world->{keeper}->pause;
    $half_closed->send("echo:second\n");
    $half_closed->half_close;
    $world->{keeper}->resume;
    is eval { $half_closed->everything(3) }, "second\n",
        'a client that half-closes behind its line gets its reply and then the end of the stream';

    # Killed while it works: clients that it had acknowledged may see the end of the stream.
    my (%all, %executed_lost);
    for my $round (1 .. 5) {
        @clients = map { asker($world, "midst$round-$_") } 1 .. 400;
        $clients[40 * $round]->everything; # by then it is in the midst
        $world->{keeper}->kill_hard;
        $world->keeper(channel => $world->{channel});
        my $fates = fates(@clients);
        $all{$_} += $fates->{$_} for keys %$fates;
        $executed_lost{$_}++ for grep { $lond->executed("echo:$_->{text}") }
            grep { $_->{fate} eq 'con_lost' } @clients;
    }
    is $all{own} + ($all{nothing} // 0), 2000,
        'a keeper killed at work, 5 times: each of 2,000 clients gets its own reply, or the end of the stream';
    cmp_ok $all{own}, '>', 1000, 'a keeper killed at work: most clients were not in its hands, and are answered';
    is $lond->control('repeated'), 0, 'a keeper killed at work: lond executed no request twice';
    diag "killed at work: " . join ', ', map {"$_ $all{$_}"} sort keys %all;
}

{
    my $world = world();
    my $shims = $world->activate('msul1', mode => 'accept');
    $world->{keeper}->pause;
    my @clients = map { asker($world, "one-$_") } 1 .. 150;
    $world->{keeper}->kill_hard;
    my $second = $world->keeper(channel => $world->{channel}, no_wait => 1);
    push @clients, map { asker($world, "two-$_") } 1 .. 50;
    $second->await(qr/is ready/);
    is_deeply fates(@clients), {own => 200},
        'per connection: 200 shims across a keeper stopped, killed and restarted have their clients answered';
    is $world->{lond}->control('repeated'), 0, 'per connection: lond executed no request twice';
}

# --- A keeper that never starts -------------------------------------------------------------------

my $nobody = Lonc->new(hosts => ['msul1', 'msul2']);
my $unaccepted = $nobody->channel_listener;
$nobody->activate('msul1');
$nobody->activate('msul2', mode => 'accept');
my @waiting = map { my $c = $nobody->client($_ % 2 ? 'msul1' : 'msul2'); $c->{since} = time; $c->send("ping\n"); $c } 1 .. 80;

# That takes ten seconds, so another process waits while the test goes on.
my $watcher = open(my $watched, '-|') // die "fork: $!";
if ($watcher == 0) {
    my ($wrong, $slowest, $open) = (0, 0, 0);
    for my $client (@waiting) {
        $wrong++ if (eval { $client->line(15) } // '') ne 'con_lost';
        $slowest = time - $client->{since} if time - $client->{since} > $slowest;
    }
    # The channel still holds copies of these sockets, which will never be served.
    for my $client (@waiting) {
        $open++ if !$open && !defined eval { $client->everything(1) };
        $wrong++ if $client->{rest} ne '';
    }
    print "$wrong $slowest $open\n";
    close STDOUT;
    POSIX::_exit(0);
}
@waiting = ();

# --- Resumed as the shims give up -----------------------------------------------------------------

# Searches for the moment to resume the keeper at which the shim has given up half of the clients, since there keeper and shim
# race. `$ask` begins the requests of a round and returns their clients.
sub race {
    my ($world, $rounds, $aim, $ask) = @_;
    my (%fates, @twice, %mixed);
    my $delay = $aim;
    for my $round (1 .. $rounds) {
        $world->{keeper}->pause;
        my $begun = time;
        my @clients = $ask->($round);
        my $left = $begun + $delay + rand(0.002) - 0.001 - time;
        sleep $left if $left > 0; # the random moment itself
        $world->{keeper}->resume;
        my $fates = fates(@clients);
        $fates{$_ =~ /^other/ ? 'other' : $_} += $fates->{$_} for keys %$fates;
        push @twice, grep { $_->{fate} eq 'con_lost' && $world->{lond}->executed("echo:$_->{text}") } @clients;
        $mixed{join '+', sort grep { $fates->{$_} } keys %$fates}++;
        my $given_up = $fates->{con_lost} // 0;
        $delay += $given_up * 2 > @clients ? -0.0005 : 0.0005;
    }
    return (\%fates, scalar @twice, \%mixed);
}

{
    my $world = world(log_level => 'notice');
    my $shim = $world->activate('msul1', options => ['--ack-timeout', '0.01']);
    $world->ask('msul1', 'ping');
    my ($fates, $twice, $mixed) = race($world, 900, 0.012,
        sub { my $round = $_[0]; map { asker($world, "shared$round-$_") } 1 .. 4 });
    is $fates->{own} + ($fates->{con_lost} // 0), 3600,
        'shared: a keeper resumed as the shim gives up, 900 rounds: each client gets exactly one line'
        or diag explain $fates;
    is $twice, 0, 'shared: whom the shim answered con_lost the keeper did not serve';
    cmp_ok $fates->{con_lost} // 0, '>', 300, 'shared: the rounds met the moment from one side';
    cmp_ok $fates->{own}, '>', 300, 'shared: and from the other';
    is $world->{lond}->control('repeated'), 0, 'shared: lond executed no request twice';
    diag 'shared rounds: ' . join ', ', map {"$_ $mixed->{$_}"} sort keys %$mixed;
}

{
    my $world = world(log_level => 'notice');
    $world->activate('msul1', mode => 'accept', options => ['--ack-timeout', '0.02']);
    $world->ask('msul1', 'ping');
    my ($fates, $twice, $mixed) = race($world, 150, 0.03,
        sub { my $round = $_[0]; map { asker($world, "single$round-$_") } 1 .. 8 });
    is $fates->{own} + ($fates->{con_lost} // 0), 1200,
        'per connection: a keeper resumed as the shims give up, 150 rounds of 8: each client gets exactly one line'
        or diag explain $fates;
    is $twice, 0, 'per connection: whom a shim answered con_lost the keeper did not serve';
    cmp_ok $fates->{con_lost} // 0, '>', 100, 'per connection: the rounds met the moment from one side';
    cmp_ok $fates->{own}, '>', 100, 'per connection: and from the other';
    is $world->{lond}->control('repeated'), 0, 'per connection: lond executed no request twice';
    diag 'rounds of single shims: ' . join ', ', map {"$_ $mixed->{$_}"} sort keys %$mixed;
}

# --- A keeper that never starts, continued --------------------------------------------------------

{
    my ($wrong, $slowest, $open) = split ' ', scalar <$watched>;
    is $wrong, 0, 'a keeper that never starts: 40 clients of a shared shim and 40 of single ones all get con_lost';
    cmp_ok $slowest, '<', 15, 'a keeper that never starts: each has its con_lost when its 10 s are over';
    is $open, 0, 'a keeper that never starts: behind con_lost comes the end of the stream, not silence';
    diag sprintf 'the slowest con_lost took %.2f s', $slowest;
}

{
    my $world = Lonc->new(hosts => ['msul1']);
    my $channel = $world->channel_listener;
    $world->activate('msul1', options => ['--ack-timeout', '3']);
    my @clients = map { my $c = $world->client('msul1'); $c->{since} = time; $c->send("ping\n"); $c } 1 .. 20;
    select undef, undef, undef, 2; # so that these are 2 s older than those
    push @clients, map { my $c = $world->client('msul1'); $c->{since} = time; $c->send("ping\n"); $c } 1 .. 20;
    my @took;
    for my $client (@clients) {
        $client->line;
        push @took, time - $client->{since};
    }
    my @sorted = sort { $a <=> $b } @took;
    cmp_ok $sorted[0], '>=', 2.98, 'a keeper that never starts: nobody is given up before its own time';
    cmp_ok $sorted[-1], '<', 4.9, 'a keeper that never starts: nobody waits longer for those that came before';
}

# --- Strangers and nonsense -----------------------------------------------------------------------

{
    my $world = world();
    my $keeper = $world->{keeper};
    my $shim = $world->activate('msul1');
    $world->ask('msul1', 'ping');
    my $persistent = $world->client('msul1');
    is $persistent->ask('echo:before'), 'before', 'a client is in conversation before the nonsense';
    my $before = $keeper->descriptors;

    SKIP: {
        skip 'only root can be somebody else', 2 if $> != 0;
        chmod 0755, $world->{dir}, $world->path('run');
        chmod 0666, $world->path('run/keeper.sock');
        my $stranger = $world->start('a stranger', [$^X, '-MSocket', '-MPOSIX', '-e', <<'CHILD', $world->path('run/keeper.sock')]);
            POSIX::setgid(65534); POSIX::setuid(65534);
            socket(my $s, AF_UNIX, 5, 0); connect($s, pack_sockaddr_un($ARGV[0])) or die "connect: $!";
            print 'end of the stream' if !sysread $s, my $byte, 1;
CHILD
        $stranger->await(qr/end of the stream/);
        ok 1, "a stranger's connection to the channel is closed";
        ok $keeper->await(qr/hand-over refused: .*stranger.*reason=stranger/), 'a stranger is named in the log';
    }

    my @pairs = map {
        socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";
        [$one, $other];
    } 1 .. 20;
    my @ends = map { $_->[1] } @pairs;
    my %nonsense = (
        'a wrong magic' => [Lonc::handover_message(magic => 'lync'), $ends[0]],
        'another version' => [Lonc::handover_message(version => 2), $ends[0]],
        'another kind' => [Lonc::handover_message(kind => 'T'), $ends[0]],
        'no descriptor' => [Lonc::handover_message(count => 1)],
        'no descriptor and a count of none' => [Lonc::handover_message(count => 0)],
        'fewer descriptors than it says' => [Lonc::handover_message(count => 3), @ends[0, 1]],
        'more descriptors than it says' => [Lonc::handover_message(count => 1), @ends[0, 1]],
        '20 descriptors' => [Lonc::handover_message(count => 20), @ends],
        '17 descriptors that say 16' => [Lonc::handover_message(count => 16), @ends[0 .. 16]],
        'a message that is too short' => ['lonc', $ends[0]],
        'a message that is too long' => [Lonc::handover_message() . 'x' x 100, $ends[0]],
        'a descriptor and no byte' => ['', $ends[0]],
    );
    for my $what (sort keys %nonsense) {
        my $channel = $world->channel_connection;
        if (!Lonc::send_descriptors($channel, @{$nonsense{$what}})) {
            SKIP: { skip 'sendmsg is not known here', 1 if $! == 0 }
            die "sendmsg: $!" if $! != 0;
            next;
        }
        my $n = sysread $channel, my $answer, 100;
        is $n, 0, "nonsense ($what): the channel is closed without an acknowledgement";
        ok $keeper->await(qr/hand-over refused: [^\n]*reason=/), "nonsense ($what): it is logged";
    }
    # The end of the stream reads like an empty message.
    my $empty = $world->channel_connection;
    Lonc::send_descriptors($empty, '');
    is sysread($empty, my $answer, 100), 0, 'nonsense (an empty message): the channel is closed';
    close $empty;

    # Acknowledgments go by order, so one that follows a refused message would be taken for that message's.
    SKIP: {
        my $channel = $world->channel_connection;
        socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";
        $keeper->pause;
        my @sent = map { Lonc::send_descriptors($channel, Lonc::handover_message(magic => $_), $other) } 'lync', 'lonc';
        $keeper->resume;
        skip 'sendmsg is not known here', 1 if !$sent[1];
        ok !sysread($channel, my $answer, 100), 'behind a refused message nothing is acknowledged on its channel';
    }

    is $persistent->ask('echo:after'), 'after', 'the client in conversation did not notice';
    is $world->ask('msul1', 'ping'), 'pong:msul1', "the shim's channel goes on after the nonsense of others";
    undef @ends;
    # When the keeper has closed its copies, the ends here see the end of the stream.
    close $_->[1] for @pairs;
    %nonsense = ();
    my @open = grep { my $r = ''; vec($r, fileno($_->[0]), 1) = 1; !select $r, undef, undef, 5 } @pairs;
    is scalar(@open), 0, 'of the 20 sockets in refused messages the keeper has closed every one';
    ok Lonc::within($Lonc::PATIENCE, sub { $keeper->descriptors == $before }), 'strangers and nonsense: no descriptor is leaked'
        or diag $keeper->descriptors . " instead of $before";
}

# --- Descriptors that are no client ---------------------------------------------------------------

SKIP: {
    my $world = world(client_idle_timeout => '2s', client_line_timeout => '2s'); # what cannot be told from a silent client goes then
    my $keeper = $world->{keeper};
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    my $before = $keeper->descriptors;

    my $channel = $world->channel_connection;
    pipe my $out, my $in;
    open my $file, '<', $0;
    open my $folder, '<', '/';
    open my $zero, '<', '/dev/zero';
    my $listener = IO::Socket::UNIX->new(Local => $world->path('other.sock'), Listen => 1, Type => SOCK_STREAM);
    my $tcp = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
    my $tcp_client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $tcp->sockport);
    my $accepted = $tcp->accept;
    socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, 0);
    socketpair(my $datagram, my $datagrams, AF_UNIX, SOCK_DGRAM, 0);
    socket(my $unconnected, AF_UNIX, SOCK_STREAM, 0);
    my $itself = $world->channel_connection;
    print $tcp_client "ping\n";
    $tcp_client->flush;
    syswrite $one, "ping\n";
    syswrite $datagram, 'no line';

    my @them = ($out, $in, $file, $folder, $zero, $listener, $tcp, $accepted, $other, $datagrams, $unconnected, $itself);
    if (!Lonc::send_descriptors($channel, Lonc::handover_message(count => scalar @them), @them)) {
        skip 'sendmsg is not known here', 5 if $! == 0;
        die "sendmsg: $!";
    }
    sysread $channel, my $answer, 100;
    is substr($answer, 5, 1), 'T', 'descriptors that are no clients: the message is acknowledged all the same';
    is(Lonc::Client->new($tcp_client)->line($Lonc::PATIENCE), 'con_lost', 'a TCP connection handed over gets con_lost');
    is(Lonc::Client->new($one)->line($Lonc::PATIENCE), 'con_lost', 'a socket without a path handed over gets con_lost');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a pipe, a file, a folder, a device, listeners: nobody else notices';
    close $_ for @them, $channel, $tcp_client, $one, $datagram;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'nor when they are closed';
    ok Lonc::within($Lonc::PATIENCE, sub { $keeper->descriptors <= $before }), 'of descriptors that are no clients none is left'
        or diag $keeper->descriptors . " instead of $before";
}

done_testing;
