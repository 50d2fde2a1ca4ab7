#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Tries what lonc(7) says under SECURITY that nobody can do. Other tests cover parts of it: who may not speak on the
# channel, nonsense on it, too many descriptors and descriptors that are no client (handover.t); who may not
# change anything over the control socket (control.t, verbs.t); links, folders, FIFOs and sockets in delayed/
# (deferred.t); what a lond may answer in the handshake (faults.t, tls.t); memory and lines (bounds.t, limits.t);
# whom systemd lets connect (tests/system).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Fcntl qw(:DEFAULT :mode);
use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use Socket;
use Time::HiRes qw(time);
use Certificates;
use Deferred;
use Lonc;

my $O_PATH = 010000000; # Perl does not know it

# Hands these over as a shim; true if the keeper has acknowledged them.
sub hand_over {
    my ($world, @them) = @_;
    my $channel = $world->channel_connection;
    Lonc::send_descriptors($channel, Lonc::handover_message(count => scalar @them), @them) or return 0;
    my $answer = '';
    sysread $channel, $answer, 100;
    return substr($answer, 5, 1) eq 'T';
}

# Both ends of a connection through a listener at this path.
sub connection_at {
    my ($path) = @_;
    unlink $path;
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 4) or die "listen at $path: $!";
    my $client = IO::Socket::UNIX->new(Peer => $path) or die "connect to $path: $!";
    return (Lonc::Client->new($client), $listener->accept, $listener);
}

# --- A hostile shim -------------------------------------------------------------------------------

SKIP: {
    my ($world, $first, $second) = Lonc->up(hosts => ['msul1', 'msul2'], settings => {client_idle_timeout => '1s', client_line_timeout => '1s'},
        lond => ['--count-texts']);
    skip 'sendmsg is not known here', 1 if !Lonc::send_descriptors($world->channel_connection, 'x') && $! == 0;
    my $keeper = $world->{keeper};
    $world->ask($_, 'ping') for qw(msul1 msul2);
    my $before = $keeper->settled_descriptors;

    # It has no word in which to name a host: the kernel does, by the listener's path.
    mkdir $world->path('elsewhere');
    my %path = ('another folder' => 'elsewhere/msul1', 'a folder that begins alike' => 'sockets-msul1',
        'a folder below' => 'sockets/delayed/msul1', 'an unknown name' => 'sockets/nohost1', 'the control socket' => 'sockets/..msul1');
    for my $what (sort keys %path) {
        my ($client, $accepted) = connection_at($world->path($path{$what}));
        $client->send("echo:from $what\n");
        ok hand_over($world, $accepted), "a shim hands over a connection by way of $what";
        close $accepted;
        is $client->line($Lonc::PATIENCE), 'con_lost', '... which is no host';
    }
    my ($client, $accepted) = connection_at($world->path('sockets/msul2'));
    $client->send("echo:whose\n");
    hand_over($world, $accepted);
    close $accepted;
    is $client->line($Lonc::PATIENCE), 'whose', q(a connection by way of msul2's path is msul2's, whichever shim brings it);
    is $first->executed('echo:whose') . $second->executed('echo:whose'), '01', "... and never another host's";
    is_deeply [map { my $host = $_; map { $first->executed("echo:from $_") } keys %path } 1], [(0) x keys %path], '... and the others reached no lond';

    # The same connection twice: two conversations on one socket, but each line is read once.
    ($client, $accepted) = connection_at($world->path('sockets/msul1.example.edu')); # another name of it
    ok hand_over($world, $accepted, $accepted), 'a shim hands over one connection twice';
    close $accepted;
    is $client->ask("echo:twice $_"), "twice $_", '... whose lines are answered once' for 1 .. 3;
    is join(' ', map { $first->executed("echo:twice $_") } 1 .. 3), '1 1 1', '... and executed once';

    # Descriptors that can be sent and are nothing to read from: only their names, or the wrong end.
    sysopen my $name, $0, $O_PATH or die "O_PATH: $!";
    sysopen my $folder, '/', $O_PATH or die "O_PATH: $!";
    mkfifo($world->path('fifo'), 0600);
    sysopen my $fifo, $world->path('fifo'), O_RDWR;
    open my $self, '<', '/proc/self/mem';
    socketpair(my $seq, my $other, AF_UNIX, 5, 0);
    my $control = IO::Socket::UNIX->new(Peer => $world->path('run/control.sock'));
    my $listener = IO::Socket::UNIX->new(Local => $world->path('sockets/listener'), Listen => 4);
    ok hand_over($world, $name, $folder, $fifo, $self, $seq, $control, $listener), 'O_PATH, a FIFO, /proc/self/mem, a listener: taken';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and nobody else notices';
    my $cpu = $keeper->cpu;
    close $_ for $name, $folder, $fifo, $self, $seq, $other, $control, $listener;
    $client->close;
    ok Lonc::within($Lonc::PATIENCE, sub { $keeper->settled_descriptors <= $before }), '... they are closed when their time as clients is over'
        or diag $keeper->descriptors . " instead of $before";
    cmp_ok $keeper->cpu - $cpu, '<', 0.5, '... and did not keep the keeper busy';
}

# --- A hostile lond -------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {line_limit => '256k', buffers_limit => '4M', request_timeout => '60s', reply_timeout => '60s',
        connections_per_host => 2});
    my $keeper = $world->{keeper};
    $world->ask('msul1', 'ping');
    my $start = time;
    is $world->ask('msul1', 'noline'), 'con_lost', 'a line without end is con_lost';
    cmp_ok time - $start, '<', 30, '... as soon as it is too long, not when a time-out is over';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and others are answered meanwhile';
    open my $status, '<', "/proc/$keeper->{pid}/status" or die $!;
    my ($peak) = join('', <$status>) =~ /^VmHWM:\s*(\d+)/m;
    cmp_ok $peak, '<', 40_000, '... and it took no more memory than it may';
    is $world->ask('msul1', "two:$_"), $_, "a second line that nobody asked for is nobody's reply" for 1 .. 3;
    $lond->control('tell-idle nonsense');
    is $world->ask('msul1', 'echo:mine'), 'mine', '... nor is one that comes before it is asked';
    is $world->ask('msul1', "reply:$_"), $_, "a reply that looks like a command is a reply: $_" for 'close_connection_exit', 'con_delayed', '../../etc/passwd';
}

# --- A hostile client -----------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(lond => ['--count-texts']);
    my %lines = ('NUL bytes' => "echo:\0\0", 'every byte' => 'echo:' . join('', map {chr} 1 .. 9, 11 .. 255), 'a format' => 'echo:%s%n%s',
        'a path' => 'echo:../../../etc/passwd', 'an escape' => "echo:\e]0;x\a");
    is $world->ask('msul1', $lines{$_}), $lines{$_} =~ s/^echo://r, "$_: passed as it is" for sort keys %lines;
    for my $id ('../msul2', 'msul2', 'x' x 5000, "\0") {
        like $world->ask('msul1', "sethost:$id:ping") // '', qr/^(?:con_lost|error|pong:msul1|unknown_cmd)/, 'sethost: of another does not leave the host: ' . substr $id, 0, 10;
    }
    unlike $world->{keeper}->log, qr/etc\/passwd|\e/, '... and none of it is in the log, as it is';
    my $name = drop($world, 'msul1', 1, "count:1\ncount:2");
    ok Lonc::within($Lonc::PATIENCE, sub { aside($world, 'corrupt') == 1 }), 'a deferred file cannot smuggle in a second request';
    is $lond->executed('count:2'), 0, '... which is not executed';
    is $world->ask('msul1', 'lonc_defer:count:../../x'), 'ok', '(a request that could be stored)';
    $lond->end;
    Lonc::within($Lonc::PATIENCE, sub { $world->ask('msul1', 'ping') eq 'con_lost' });
    is $world->ask('msul1', 'lonc_defer:../../../tmp/x:y'), 'con_delayed', 'a command with a path is stored';
    my ($stored) = grep {/\.msul1\z/} left($world);
    like $stored, qr/^\d+\.\d+\.\d+\.[A-Za-z0-9]*\.msul1\z/, '... under a name in which only letters of it are';
}

# --- A hostile table ------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    my $good = $world->read_file('tabs/hosts.tab');
    for my $id ('..', '.', '../evil', 'a/b', 'delayed', 'x' x 300, 'a b', "a\tb", '%s%n', '$(reboot)') {
        $world->write_file('tabs/hosts.tab', $good . "$id:msu:library:evil.example.edu:127.0.0.1\n");
        my $reload = $world->{keeper}->tells('reload');
        my @hosts = map { $_->{host} // $_->{id} // () } @{$world->{keeper}->tells('hosts')->{hosts} || []};
        ok !$reload->{ok}, 'a table with the host ' . substr($id, 0, 10) . ' is refused' or diag explain $reload;
    }
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the one before stays in force';
    unlink $world->path('tabs/hosts.tab');
    mkfifo($world->path('tabs/hosts.tab'), 0600);
    my $start = time;
    ok !eval { local $SIG{ALRM} = sub { die "time\n" }; alarm 20; my $r = $world->{keeper}->tells('reload')->{ok}; alarm 0; $r }, 'a FIFO is no table';
    alarm 0;
    cmp_ok time - $start, '<', 15, '... and nobody waits for what comes out of it';
}

# --- Secrets --------------------------------------------------------------------------------------

{
    my $ca = Certificates->new;
    my $world = Lonc->new(hosts => ['msul1', 'msul2', 'msul3'], variables => {$ca->variables($ca->issue('annarborl1'))},
        settings => {log_transactions => 'yes', deferred_hold => '50ms'});
    my @londs = ($world->lond('msul1', '--build-key', '9182736455463728190'), $world->lond('msul2', $ca->lond($ca->issue('lond'))), $world->lond('msul3'));
    my $keeper = $world->keeper;
    $world->activate($_) for qw(msul1 msul2 msul3);
    my %secrets = (password => 'sesame-open-42', cookie => 'f00dcafe1234567890_msu_msul1', deferred => 'rosebud-in-a-file', reply => 'swordfish-answer',
        dead => 'mellon-for-the-dead', stored => 'abracadabra-later', sent => 'shibboleth-by-hand', put => 'xyzzy-by-hand-later');
    for my $host (qw(msul1 msul2)) {
        $world->ask($host, "encrypt:auth:msu:me:$secrets{password}");
        $world->ask($host, "encrypt:encreply:$secrets{reply}");
        $world->ask($host, "echo:$secrets{cookie}");
    }
    drop($world, 'msul2', 7, "encrypt:count:$secrets{deferred}");
    Lonc::within($Lonc::PATIENCE, sub { !left($world) }) or die 'the file stays';
    $londs[2]->end;
    Lonc::within($Lonc::PATIENCE, sub { $world->ask('msul3', "encrypt:auth:$secrets{dead}") eq 'con_lost' && $keeper->said(qr/msul3: host is dead/) });
    $world->ask('msul3', "lonc_defer:encrypt:auth:$secrets{stored}");
    $keeper->tells("send msul1 encrypt:auth:$secrets{sent}");
    $keeper->tells("defer msul1 encrypt:count:$secrets{put}");

    my $in = sub { my ($text) = @_; return join ', ', grep { index($text, $secrets{$_}) >= 0 } sort keys %secrets };
    my $log = $keeper->log;
    like $log, qr/encrypt \(\d+ bytes\) answered/, '(requests leave messages)';
    is $in->($log), '', 'no text of a request or reply is in the log, at its most talkative and with log_transactions';
    unlike $log, qr/9182736455463728190/, '... nor the key that lond sends';
    require JSON::PP;
    my $told = join '', map { JSON::PP::encode_json($keeper->tells($_)) } qw(status hosts clients config history histograms), map {"connections $_"} qw(msul1 msul2 msul3);
    is $in->($told), '', '... nor in anything that the control socket tells';
    unlike $told, qr/9182736455463728190/, '... nor the key';
    $keeper->signal('USR1');
    Lonc::within($Lonc::PATIENCE, sub { -s $world->path('html/lon-status/loncstatus.txt') });
    is $in->($world->read_file('html/lon-status/loncstatus.txt')), '', '... nor in loncstatus.txt';
    is $in->(join '', map { $world->read_file("logs/$_") // '' } 'lonnet.perm.log'), '', '... nor in lonnet.perm.log';
    is $in->(join '', map { "/$_" } left($world), aside($world, 'storing')), '', '... nor in the name of a file';
    is $in->(join '', map { $_->log } grep { $_->{name} =~ /^shim/ } @{$world->{processes}}), '', "... nor in a shim's";
    for my $file (glob $world->path('sockets/delayed/*')) {
        next if !-f $file;
        is sprintf('%o', (stat $file)[2] & 07777), '600', 'a stored transaction is for its own user only';
    }

    # Nobody without root looks into its memory: other processes of www, the web server's, may not either.
    SKIP: {
        skip 'only root can look from outside', 4 if $> != 0;
        skip 'a sanitizer has terabytes of memory that are not there', 4 if $ENV{LONC_SANITIZED};
        # As root sees it in a core. A line that is still to come is there, so that it would be seen; and it grows.
        $secrets{begun} = 'alohomora-and-no-end';
        my $client = $world->client('msul1');
        $client->send('encrypt:' . 'y' x 300 . ":$secrets{begun}:"); # the allocator uses a block's first bytes
        Lonc::within($Lonc::PATIENCE, sub { $in->($keeper->memory) eq 'begun' });
        is $in->($keeper->memory), 'begun', 'root sees in its memory what is under way, and nothing else of a request or reply';
        $client->send('x' x 20000);
        $client->ask('');
        my $memory = $keeper->memory;
        is $in->($memory), '', '... nor that when it is answered';
        is index($memory, '9182736455463728190') >= 0 ? 'there' : 'gone', 'gone', 'the number of which lond and keeper make the key is gone after the handshake';
        my $key = do { local $/; open my $file, '<', $world->path('loncapa.conf'); my ($path) = <$file> =~ /lonnetPrivateKey (\S+)/; $path };
        open my $pem, '<', $key or die "$key: $!";
        my $text = join '', <$pem>;
        is index($memory, (split /\n/, $text)[1]), -1, 'the text of the private key is gone after it was read (what OpenSSL made of it must stay)';
    }
}

# Of a process that may not be looked into, the kernel gives what shows it to root.
SKIP: {
    my @as_nobody = qw(setpriv --reuid 65534 --regid 65534 --clear-groups);
    skip 'only root can be somebody else', 2 if $> != 0;
    skip 'the programs are not for others here', 2 if system(@as_nobody, 'test', '-x', Lonc::program('lonc-keeper')) != 0;
    my $world = Lonc->new;
    system 'chown', '-R', '65534:65534', $world->{dir};
    my $keeper = $world->keeper(wrapper => \@as_nobody);
    is scalar((stat "/proc/$keeper->{pid}/status")[4]), 0, 'a keeper that is not root shows its memory to root only, not to others of its own user';
    my $look = $world->start('look', [@as_nobody, 'cat', "/proc/$keeper->{pid}/environ"]);
    isnt $look->wait_exit, 0, '... who are refused';
}

done_testing;
