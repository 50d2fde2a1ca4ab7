#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The shim: all ways in which it starts and ends, and what its client sees.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::UNIX;
use POSIX ();
use Socket;
use Time::HiRes qw(time clock_gettime CLOCK_MONOTONIC);
use Lonc;

my $program = ($ENV{BUILD} || 'build') . '/lonc-shim';

sub exit_code { my $status = $_[0]->wait_exit; return $status & 127 ? "signal $status" : $status >> 8 }

# A connection to the host's socket that has been accepted, as PID 1 or inetd does: both ends.
sub connection {
    my ($world, $listener) = @_;
    my $client = $world->client('msul1');
    return ($client, scalar $listener->accept);
}

# A shim that serves one connection, on which its client has written a line.
sub serve_one {
    my ($world, $listener, %with) = @_;
    my ($client, $accepted) = connection($world, $listener);
    $client->send($with{line} // "ping\n");
    my $shim = $world->shim(socket => $accepted, %with);
    close $accepted;
    return ($client, $shim);
}

# All that a client gets; where its stream does not end, that is said.
sub to_end {
    my ($client) = @_;
    return eval { $client->everything($Lonc::PATIENCE) } // "$client->{rest} and no end of the stream";
}

# --- With a keeper --------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1', 'msul2']);
    $world->lond($_) for 'msul1', 'msul2';
    my $keeper = $world->keeper;
    my $listener = $world->host_listener('msul1');

    my ($client, $shim) = serve_one($world, $listener);
    is $client->line, 'pong:msul1', 'a connection on descriptor 0 is handed over';
    is exit_code($shim), 0, 'and the shim exits 0';
    is $client->ask('echo:again'), 'again', 'the conversation goes on without the shim';

    ($client, $shim) = serve_one($world, $listener, inetd => 1);
    is $client->line, 'pong:msul1', 'as inetd nowait starts it, with the client on 0, 1 and 2: it is handed over';
    is exit_code($shim), 0, 'and the shim exits 0';
    $client->half_close;
    is to_end($client), '', 'inetd: nothing else reaches the client';

    my ($gone, $accepted) = connection($world, $listener);
    $gone->close;
    $shim = $world->shim(socket => $accepted);
    is exit_code($shim), 0, 'a client that has left already is handed over too, and the shim exits 0';
    close $accepted;

    $shim = $world->shim(socket => $listener, options => ['--linger', '0.3']);
    is $world->ask('msul1', 'echo:one'), 'one', 'a listener on descriptor 0 (inetd wait): a client is served';
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 40)], [1 .. 40], 'and 40 at once';
    my $last = time;
    is exit_code($shim), 0, 'without clients the shim leaves with 0';
    my $lingered = time - $last;
    ok $lingered > 0.2 && $lingered < 8, 'after --linger seconds' or diag "$lingered s";

    my $other = $world->host_listener('msul2');
    $shim = $world->shim(listeners => [$listener, $other], options => ['--linger', '0.3']);
    is_deeply [map { $world->ask($_, 'ping') } qw(msul1 msul2 msul1 msul2)],
        [qw(pong:msul1 pong:msul2 pong:msul1 pong:msul2)], 'several listeners by LISTEN_FDS: each client reaches its host';
    is exit_code($shim), 0, 'and it leaves with 0 when nobody comes';

    # What is meant for a parent or a sibling process must not be taken for one's own.
    ($client, $accepted) = connection($world, $listener);
    $client->send("ping\n");
    $shim = $world->start('lonc-shim', [$program, '--channel', $world->path('run/keeper.sock')], setup => sub {
        Lonc::give_descriptors(0, $accepted);
        @ENV{qw(LISTEN_PID LISTEN_FDS)} = (1, 1);
    });
    close $accepted;
    is $client->line, 'pong:msul1', "LISTEN_FDS of another process (LISTEN_PID) is not the shim's";
    is exit_code($shim), 0, 'and it exits 0';

    # More clients than descriptors: they wait in the backlog.
    $shim = $world->shim(socket => $listener, wrapper => ['prlimit', '--nofile=24:24'], options => ['--linger', '0.3']);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a shim with 24 descriptors serves';
    $keeper->pause;
    my @clients = map { my $c = $world->client('msul1'); $c->send("echo:few $_\n"); $c } 1 .. 100;
    $keeper->resume;
    is_deeply [map { $_->line($Lonc::PATIENCE) } @clients], [map {"few $_"} 1 .. 100],
        'a shim with 24 descriptors and a stopped keeper loses none of 100 clients';
    is exit_code($shim), 0, 'and leaves with 0';
    $_->close for @clients;
}

# --- Leaving, again and again ---------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    $world->lond('msul1');
    $world->keeper;
    my $listener = $world->host_listener('msul1');
    my ($shim, $starts, %codes) = (undef, 0);

    # What systemd does: a listener that is readable while nobody serves it gets a shim.
    my $tend = sub {
        if ($shim && waitpid($shim, POSIX::WNOHANG()) == $shim) {
            $codes{$? >> 8}++;
            undef $shim;
        }
        my $ready = '';
        vec($ready, fileno($listener), 1) = 1;
        return if $shim || !select $ready, undef, undef, 0;
        $starts++;
        $shim = fork // die "fork: $!";
        return if $shim;
        Lonc::give_descriptors(0, $listener);
        exec $program, '--channel', $world->path('run/keeper.sock'), '--linger', '0.02' or POSIX::_exit(127);
    };
    my @wrong;
    for my $n (1 .. 200) {
        # So that clients come a little before, while and after the shim leaves.
        my $until = time + 0.016 + rand 0.008;
        while (time < $until) { $tend->(); select undef, undef, undef, 0.001 }
        my $client = $world->client('msul1');
        $client->send("echo:$n\n");
        my $end = time + 10;
        my $ready;
        do {
            $tend->();
            vec($ready = '', fileno($client->{socket}), 1) = 1;
        } until select($ready, undef, undef, 0.002) || time > $end;
        my $got = eval { $client->line(1) } // 'nothing';
        push @wrong, "$n: $got" if $got ne $n;
    }
    is_deeply \@wrong, [], 'a shim that leaves loses none of 200 clients that come about that moment';
    cmp_ok $starts, '>', 20, 'for which it was started again and again';
    diag "started $starts times";
    Lonc::within($Lonc::PATIENCE, sub { $tend->(); !$shim });
    is_deeply [keys %codes], [0], 'and each left with 0';
}

# --- Told to leave --------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    $world->lond('msul1');
    my $channel = $world->channel_listener;
    my $keeper = $world->keeper(channel => $channel);

    # The only one who has the listener, as when a host is removed or served the other way: who is lost sees the end of
    # the stream. It hears SIGTERM once it has served somebody.
    my $start = sub {
        my $listener = $world->host_listener('msul1');
        my $shim = $world->shim(socket => $listener, options => ['--linger', 600, '--ack-timeout', 120]);
        close $listener;
        is $world->ask('msul1', 'ping'), 'pong:msul1', 'a shared shim serves';
        return $shim;
    };
    my $answers = sub { [map { $_->line // 'the end of the stream' } @_] };

    my $shim = $start->();
    $shim->signal('TERM');
    is exit_code($shim), 0, 'told to leave while nobody waits it does, with 0';

    $shim = $start->();
    my @waiting;
    $shim->while_stopped(sub {
        @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 100);
        $shim->signal('TERM');
    });
    is_deeply $answers->(@waiting), [1 .. 100], 'told to leave while 100 wait in the backlog it hands all of them over';
    is exit_code($shim), 0, 'and leaves with 0';

    $shim = $start->();
    $keeper->pause;
    @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 40);
    $shim->signal('TERM');
    ok Lonc::within($Lonc::PATIENCE, sub { $shim->descriptors > 40 }), 'told to leave while the keeper is stopped it takes who waits';
    is waitpid($shim->{pid}, POSIX::WNOHANG()), 0, 'and stays, since the keeper has not got them';
    $keeper->resume;
    is_deeply $answers->(@waiting), [1 .. 40], 'then they are answered';
    is exit_code($shim), 0, 'and it leaves with 0';

    $shim = $start->();
    $keeper->pause;
    @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 20);
    $shim->signal('TERM');
    $keeper->kill_hard;
    $world->keeper(channel => $channel);
    is_deeply $answers->(@waiting), [1 .. 20], 'told to leave when the keeper is killed it hands over to the next one';
    is exit_code($shim), 0, 'and leaves with 0';
}

# --- Without a keeper -----------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    my $listener = $world->host_listener('msul1');

    my $begun = time;
    my ($client, $shim) = serve_one($world, $listener);
    is to_end($client), "con_lost\n", 'no channel at all: the client gets con_lost and the end of the stream';
    my $took = time - $begun;
    cmp_ok $took, '<', 8, 'soon, since there is nothing to wait for';
    is exit_code($shim), 69, 'and the shim exits 69';
    like $shim->log, qr{no keeper takes clients at \S+/run/keeper.sock .*reason=unreachable}, 'and says where it looked, and why';

    my $left = $world->channel_listener;
    close $left;
    ($client, $shim) = serve_one($world, $listener);
    is to_end($client), "con_lost\n", 'a channel that nobody listens at: con_lost';
    is exit_code($shim), 69, 'and 69';
    like $shim->log, qr/refused.*reason=unreachable/i, 'and the reason';
    unlink $world->path('run/keeper.sock');

    ($client, $shim) = serve_one($world, $listener, channel => '/' . 'x' x 300);
    is to_end($client), "con_lost\n", 'a path for the channel that is longer than any note of it: con_lost';
    ($client, $shim) = serve_one($world, $listener, channel => '/' . 'x' x 120);
    is to_end($client), "con_lost\n", 'a path that no socket can have: con_lost';
    is exit_code($shim), 69, 'and 69';

    ($client, $shim) = serve_one($world, $listener, inetd => 1);
    is to_end($client), "con_lost\n", 'inetd: what the shim has to say does not reach the client on descriptor 2';
    is exit_code($shim), 69, 'inetd: and 69';

    # A keeper without systemd that is being restarted.
    $world->lond('msul1');
    ($client, $shim) = serve_one($world, $listener);
    $world->keeper;
    is $client->line($Lonc::PATIENCE), 'pong:msul1', 'a keeper that comes while the shim looks for it gets the client';
    is exit_code($shim), 0, 'and 0';
    $world->{keeper}->end;

    my $channel = $world->channel_listener;
    my @soon = (options => ['--ack-timeout', '0.4']);
    $begun = time;
    ($client, $shim) = serve_one($world, $listener, @soon);
    is to_end($client), "con_lost\n", 'a keeper that does not answer: con_lost and the end of the stream';
    $took = time - $begun;
    ok $took > 0.35 && $took < 8, 'when --ack-timeout is over' or diag "$took s";
    is exit_code($shim), 75, 'and the shim exits 75';
    like $shim->log, qr/reason=unanswered/, 'and says so';

    ($client, $shim) = serve_one($world, $listener, inetd => 1, @soon);
    is to_end($client), "con_lost\n", 'inetd: of that the client sees con_lost only';
    is exit_code($shim), 75, 'inetd: and 75';

    # The client's socket is full of its line; nobody reads it before the shim gives up.
    ($client, my $accepted) = connection($world, $listener);
    $shim = $world->shim(socket => $accepted, @soon);
    close $accepted;
    my $writer = fork // die "fork: $!";
    if ($writer == 0) {
        POSIX::_exit($client->send('x' x (8 << 20) . "\n") ? 0 : 1);
    }
    waitpid $writer, 0;
    is $? >> 8, 0, 'a client writing 8 MiB when it is given up can finish its line';
    is to_end($client), "con_lost\n", 'and gets con_lost, nothing more and nothing less';
    is $client->{error}, undef, 'and no error';
    is exit_code($shim), 75, 'and the shim exits 75';

    # Unread bytes behind the line must not turn the answer into an error either.
    ($client, $shim) = serve_one($world, $listener, @soon, line => join('', map {"echo:$_\n"} 1 .. 5000) . 'half a li');
    is to_end($client), "con_lost\n" x 5000, 'a client with 5,000 lines written gets con_lost for each, and the end of the stream';
    is exit_code($shim), 75, 'and 75';

    # Shared: who dawdles is nobody else's trouble.
    $shim = $world->shim(socket => $listener, options => ['--ack-timeout', '1', '--linger', '60']);
    my @slow;
    my @quick;
    for (1 .. 12) {
        push @slow, $world->client('msul1');
        $slow[-1]->send('half a li');
        select undef, undef, undef, 0.01; # so that the shim takes each in a batch of its own
        push @quick, $world->client('msul1');
        $quick[-1]{since} = time;
        $quick[-1]->send("ping\n");
        select undef, undef, undef, 0.01;
    }
    my ($slowest, @wrong) = (0);
    for my $client (@quick) {
        push @wrong, 1 if (eval { $client->line(30) } // '') ne 'con_lost';
        $slowest = time - $client->{since} if time - $client->{since} > $slowest;
    }
    is scalar(@wrong), 0, 'among clients that do not finish their lines 12 that did get con_lost';
    cmp_ok $slowest, '<', 8, 'and when their own time is over, not when the others are';
    diag sprintf 'the slowest took %.1f s', $slowest;
    @slow = @quick = ();
    $shim->kill_hard;
}

# --- A full backlog -------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    my $lond = $world->lond('msul1');
    my $listener = $world->host_listener('msul1');
    my $channel = $world->channel_listener;
    listen($channel, 1);
    my @filling;
    while (1) {
        socket(my $socket, AF_UNIX, 5 | 0x800, 0) or die "socket: $!"; # SOCK_SEQPACKET, SOCK_NONBLOCK
        last unless connect $socket, pack_sockaddr_un($world->path('run/keeper.sock'));
        push @filling, $socket;
    }

    my $begun = time;
    my ($client, $shim) = serve_one($world, $listener, options => ['--ack-timeout', '0.5']);
    is to_end($client), "con_lost\n", "a channel whose backlog stays full: con_lost";
    my $took = time - $begun;
    ok $took > 0.45 && $took < 8, 'when --ack-timeout is over' or diag "$took s";
    is exit_code($shim), 75, 'and 75';

    ($client, $shim) = serve_one($world, $listener);
    my @shared = map { my $c = $world->client('msul1'); $c->send("echo:$_\n"); $c } 1 .. 20;
    my $server = $world->shim(socket => $listener, options => ['--linger', '0.3']);
    $world->keeper(channel => $channel);
    is $client->line($Lonc::PATIENCE), 'pong:msul1', 'a channel whose backlog gets room: the shim has waited, and hands over';
    is exit_code($shim), 0, 'and 0';
    is_deeply [map { $_->line($Lonc::PATIENCE) } @shared], [1 .. 20], 'a shared shim does the same';
    is exit_code($server), 0, 'and 0';
}

# --- Wrong usage ----------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1']);
    my $listener = $world->host_listener('msul1');
    my @wrong = (
        [['--linger', 'soon'], qr/--linger: "soon": expected seconds from 0 to 86400/],
        [['--linger', '-1'], qr/--linger: "-1": expected seconds/],
        [['--linger', '86401'], qr/--linger: "86401": expected seconds/],
        [['--linger', '5s'], qr/--linger: "5s": expected seconds/],
        [['--linger', ''], qr/--linger: "": expected seconds/],
        [['--ack-timeout', 'nan'], qr/--ack-timeout: "nan": expected seconds/],
        [['--ack-timeout', 'inf'], qr/--ack-timeout: "inf": expected seconds/],
        [['--lingre', '5'], qr/--lingre/],
        [['--channel'], qr/--channel/],
        [['msul1'], qr/unexpected argument: msul1/],
    );
    for my $case (@wrong) {
        my ($options, $message) = @$case;
        my $shim = $world->start('lonc-shim', [$program, @$options]);
        is exit_code($shim), 64, "@$options: the shim exits 64";
        like $shim->log, qr/^[^\n]*$message[^\n]*\n\z/, "@$options: and names option and value in one line";

        my ($client, $accepted) = connection($world, $listener);
        $client->send("ping\n");
        $shim = $world->start('lonc-shim', [$program, @$options], setup => sub { Lonc::give_descriptors($_, $accepted) for 0 .. 2 });
        close $accepted;
        unlike to_end($client), qr/shim|linger|channel|expected|argument/,
            "@$options: from inetd, none of that reaches the client on descriptor 2";
    }

    pipe(my $out, my $in);
    socketpair(my $datagram, my $datagrams, AF_UNIX, SOCK_DGRAM, 0);
    open my $file, '<', $0;
    my %not = ('a pipe' => $out, 'a file' => $file, 'a datagram socket' => $datagram);
    for my $what (sort keys %not) {
        my $shim = $world->shim(socket => $not{$what});
        is exit_code($shim), 64, "$what on descriptor 0: the shim exits 64";
        like $shim->log, qr/expected a (stream )?socket/, "$what on descriptor 0: and says what it expected";
    }
    my $shim = $world->shim();
    is exit_code($shim), 64, 'no socket anywhere: 64';
    my ($client, $accepted) = connection($world, $listener);
    $shim = $world->shim(listeners => [$listener, $accepted]);
    is exit_code($shim), 64, 'a connection among LISTEN_FDS: 64';
    like $shim->log, qr/expected listening sockets/, 'a connection among LISTEN_FDS: it says what it expected';

    my $version = $world->start('lonc-shim', [$program, '--version']);
    is exit_code($version), 0, '--version exits 0';
    like $version->log, qr/^lonc-shim \d+\.\d+\S*\n\z/, '--version says it in one line';
    my $help = $world->start('lonc-shim', [$program, '--help']);
    is exit_code($help), 0, '--help exits 0';
    like $help->log, qr/--channel.*--linger.*--ack-timeout.*Exit codes/s, '--help names every option and the exit codes';
}

# --- Cost -----------------------------------------------------------------------------------------

{
    SKIP: {
        skip 'a sanitizer needs room, and a loader', 2 if $ENV{LONC_SANITIZED};
        cmp_ok -s $program, '<=', 900_000, 'the shim has at most 900 kB';
        diag -s $program, ' bytes';
        unlike scalar(`readelf -lW $program`), qr/INTERP/, 'the shim is static: it needs no loader';
    }

    my $world = Lonc->new(hosts => ['msul1'], settings => {log_level => 'notice'});
    $world->lond('msul1');
    $world->keeper;
    my $listener = $world->host_listener('msul1');
    # How long a program takes from exec to exit; `setup` runs in the child before that.
    my $time = sub {
        my ($setup, @command) = @_;
        pipe my $out, my $in;
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            $setup->();
            syswrite $in, pack 'd', clock_gettime(CLOCK_MONOTONIC);
            exec @command or POSIX::_exit(127);
        }
        waitpid $pid, 0;
        my $end = clock_gettime(CLOCK_MONOTONIC);
        sysread $out, my $start, 8;
        return $end - unpack 'd', $start;
    };
    my (@took, @other, $wrong);
    for my $n (1 .. 200) {
        my ($client, $accepted) = connection($world, $listener);
        $client->send("echo:$n\n");
        push @took, $time->(sub { POSIX::dup2(fileno($accepted), 0) }, $program, '--channel', $world->path('run/keeper.sock'));
        $wrong++ if $? != 0 || $client->line ne $n;
        push @other, $time->(sub { }, '/bin/true');
    }
    is $wrong, undef, 'of 200 shims started one after the other each hands its client over';
    @$_ = sort { $a <=> $b } @$_ for \@took, \@other;
    # On a busy machine nothing does, and two programs (the keeper answers) wait for their turns.
    my $limit = 4 * $other[100] > 0.003 ? 4 * $other[100] : 0.003;
    SKIP: {
        skip 'a sanitizer takes longer to start', 1 if $ENV{LONC_SANITIZED};
        cmp_ok $took[100], '<', $limit, 'from exec to exit, the acknowledgement included, it takes less than 3 ms';
    }
    diag sprintf 'from exec to exit: median %.3f ms, 10 %% %.3f ms, 90 %% %.3f ms; true: median %.3f ms',
        map { $_ * 1000 } @took[100, 20, 180], $other[100];
}

done_testing;
