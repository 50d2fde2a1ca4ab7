#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# lonSockCreate: a lonnet that cannot connect to a host's socket asks for it there, and is answered `done` once somebody
# listens. The keeper has lonc-hosts create the socket, by touching `reloaded`. Anything else gets an error line.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Socket;
use Test::More;
use Time::HiRes qw(time sleep);
use Lonc;

Lonc::need_descriptors(4096);
my $PARENT = 'common_parent';

sub asked { my ($world) = @_; return $world->read_file('run/reloaded') // '' }
sub counts { my ($world) = @_; my $status = $world->{keeper}->tells('status'); return "$status->{create_done} $status->{create_failed}" }

# lonc-hosts has been asked again; what there is to compare with next time.
sub is_asked {
    my ($world, $before, $what) = @_;
    ok Lonc::within($Lonc::PATIENCE, sub { asked($world) =~ /\n/ && asked($world) ne $before }), $what;
    return asked($world);
}

# A host's line in hosts.tab, beside those of the world.
sub add_hosts {
    my ($world, @lines) = @_;
    $world->write_config;
    $world->replace_file('tabs/hosts.tab', $world->read_file('tabs/hosts.tab') . join '', map {"$_\n"} @lines);
}

# Which asks for a sync, too.
sub reload {
    my ($world) = @_;
    my $before = asked($world);
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/hosts? in force/);
    Lonc::within($Lonc::PATIENCE, sub { asked($world) =~ /\n/ && asked($world) ne $before }) or die 'no sync was asked for';
}

# A world with a keeper and a socket for its parent; `started` is run before it starts.
sub parented {
    my (%with) = @_;
    my $world = Lonc->new(%with, hosts => $with{hosts} || ['msul1', 'msul2']);
    add_hosts($world, @{$with{more} || []});
    $world->keeper;
    $world->activate($PARENT);
    return $world;
}

# As a lonnet from 2007 on: connects, or asks the parent and tries again, a second later. The number of the try.
sub lonnet {
    my ($world, $host, $request) = @_;
    for my $try (1 .. 10) {
        my $socket = IO::Socket::UNIX->new(Peer => $world->path("sockets/$host.example.edu"), Timeout => 10);
        return ($try, Lonc::Client->new($socket)->ask($request)) if $socket;
        $world->ask($PARENT, "$host.example.edu:$host:$host");
        sleep 1;
    }
    return (11, '');
}

# --- Lines ----------------------------------------------------------------------------------------

{
    my $world = parented(more => ['msul3:msu:library:msul1.example.edu:127.0.0.1', 'other.edu:msu:library:other.example.edu:127.0.0.1',
        'msul4:msu:library:other.edu:127.0.0.1', 'Msul5.edu:msu:library:msul5.edu:127.0.0.1']);
    $world->activate('msul1.example.edu');
    $world->activate('other.edu');
    my $touched = asked($world);
    my $ids = join ':', ('msul1') x 679;
    my %done = (
        'a host that listens' => 'msul1.example.edu:msul1',
        'as lonnet writes it, the id twice' => 'msul1.example.edu:msul1:msul1',
        'with all ids of the name' => 'msul1.example.edu:msul3:msul1:msul3',
        'the longest line' => substr("msul1.example.edu:$ids", 0, 4095) =~ s/:[^:]*\z//r,
    );
    is $world->ask($PARENT, $done{$_}), 'done', $_ for sort keys %done;

    my $expected = 'error: expected DNSNAME:LONHOSTID[:LONHOSTID...]';
    my %wrong = (
        '' => $expected, ':' => $expected, '::' => $expected, 'msul1.example.edu' => $expected, 'msul1.example.edu:' => $expected,
        ':msul1' => $expected, 'msul1.example.edu::msul1' => $expected, 'msul1.example.edu:msul1:' => $expected,
        'msul1.example.edu:msul1::msul3' => $expected, "msul1.example.edu:msul1\0" => $expected, "msul1\0.example.edu:msul1" => $expected,
        "\0" => $expected, "\xff\xfe:msul1" => $expected, "msul1.example.edu:\e[31m" => $expected, "msul1.example.edu:msul1\r" => $expected,
        '../../etc/passwd:msul1' => $expected, 'delayed:msul1' => $expected, '..:msul1' => $expected, ' msul1.example.edu:msul1' => $expected,
        'x' x 254 . ':msul1' => $expected, 'reset_retries' => $expected, 'close_connection_exit' => $expected,
        'encrypt:auth:secret' => 'error: encrypt is no DNS name in hosts.tab',
        'lonc_defer:put:secret' => 'error: lonc_defer is no DNS name in hosts.tab',
        'nobody.example.edu:msul1' => 'error: nobody.example.edu is no DNS name in hosts.tab',
        'msul1:msul1' => 'error: msul1 is no DNS name in hosts.tab',
        'msul1.example.edu:msul2' => 'error: msul2 is no lonHostID of msul1.example.edu in hosts.tab',
        'msul1.example.edu:msul1:nobody' => 'error: nobody is no lonHostID of msul1.example.edu in hosts.tab',
        'msul1.example.edu:MSUL1' => 'error: MSUL1 is no lonHostID of msul1.example.edu in hosts.tab',
        'MSUL1.example.edu:msul1' => 'error: the socket of MSUL1.example.edu is msul1.example.edu',
        'other.edu:msul4' => 'error: other.edu is the lonHostID of another host',
        'x' x 4096 => 'error: expected a line of up to 4096 bytes', 'secret' x 200_000 => 'error: expected a line of up to 4096 bytes',
        "msul1.example.edu:$ids:msul1:msul1" => 'error: expected a line of up to 4096 bytes',
    );
    for my $line (sort keys %wrong) {
        my $shown = substr($line =~ s/[^ -~]/?/gr, 0, 40);
        is $world->ask($PARENT, $line), $wrong{$line}, "an error for \"$shown\"";
    }
    is counts($world), keys(%done) . ' ' . keys(%wrong), 'both are counted';
    is asked($world), $touched, '... and no sync was asked for';

    my $kept = $world->client($PARENT);
    is $kept->ask('nobody:msul1'), 'error: nobody is no DNS name in hosts.tab', 'a client that stays: an error';
    is $kept->ask('x' x 500_000), 'error: expected a line of up to 4096 bytes', '... a line that is too long';
    is $kept->ask('msul1.example.edu:msul1'), 'done', '... and a right one';
    $kept->send("x:y\nmsul1.example.edu:msul1\n" . 'x' x 5000 . "\n\nmsul1.example.edu:msul1\nhalf");
    is join(',', map { $kept->line =~ s/ .*//r } 1 .. 5), 'error:,done,error:,error:,done', 'several lines at once get their answers in order';
    $kept->half_close;
    is $kept->line, undef, '... what is no line gets none';

    srand 7;
    for (1 .. 300) {
        my $garbage = join '', map { chr rand 256 } 1 .. rand 300;
        my $lines = () = $garbage =~ /\n/g;
        my $client = $world->client($PARENT);
        $client->send($garbage);
        $client->half_close;
        my $all = $client->everything;
        next if $all =~ /\A(?:error: [ -~]+\n){$lines}\z/;
        fail "garbage is answered: $all";
        last;
    }
    is asked($world), $touched, 'garbage gets an error line for each line, and changes nothing';
    my $log = $world->{keeper}->log;
    unlike $log, qr/secret|nobody|lonc_defer|xxxx|passwd/, 'nothing of all this is logged';
    is join(' ', map { $_->{id} } @{$world->{keeper}->tells('hosts')->{hosts}}), 'Msul5.edu msul1 msul2 msul3 msul4 other.edu', 'it is none of the hosts';
    is scalar(@{$world->{keeper}->tells('connections msul1')->{connections}}), 0, '... and no lond was spoken to';
    is -s $world->path('logs/lonnet.perm.log'), undef, '... nor was anything recorded';
}

# --- Waiting --------------------------------------------------------------------------------------

{
    my $world = parented();
    $world->lond($_) for qw(msul1 msul2);
    my $touched = asked($world);

    # The test does what lonc-hosts does, when it is asked.
    my $client = $world->client($PARENT);
    $client->send("msul2.example.edu:msul2\nmsul2.example.edu:msul1\n");
    $touched = is_asked($world, $touched, 'a socket that is not there: lonc-hosts is asked for it');
    ok $client->hears_nothing, '... and the client waits';
    like $world->{keeper}->log, qr{nobody listens at \Q@{[$world->path('sockets/msul2.example.edu')]}\E, which lonnet asks for: asking lonc-hosts},
        '... which is logged';
    my $second = $world->client($PARENT);
    $second->send("msul2.example.edu:msul2\n");
    $touched = is_asked($world, $touched, 'another one comes: it is asked again, for the first time may have been too early');
    my $listener = $world->host_listener('msul2.example.edu');
    is $client->line, 'done', 'as soon as somebody listens it is done';
    is $second->line, 'done', '... for both';
    like $client->line, qr/^error: msul1 is no lonHostID/, '... and the next line has its answer';
    $world->shim(listeners => [$listener]);
    is $world->ask('msul2.example.edu', 'ping'), 'pong:msul2', '... the host is served';

    my $before = $touched;
    my $shim = $world->start('lonc-hosts', ['systemd-socket-activate', '--inetd', '--listen', $world->path('sockets/msul1.example.edu'),
            Lonc::program('lonc-shim'), '--channel', $world->path('run/keeper.sock')],
        setup => sub { Lonc::within($Lonc::PATIENCE, sub { asked($world) ne $before }) });
    my ($try, $reply) = lonnet($world, 'msul1', 'ping');
    is $reply, 'pong:msul1', 'what lonnet does: it is served';
    is $try, 2, '... at its second try';
    $shim->kill_hard;
    my $left = IO::Socket::UNIX->new(Peer => $world->path('sockets/msul1.example.edu'));
    ok !$left && -S $world->path('sockets/msul1.example.edu'), 'a socket whose owner has died is left behind';
    $touched = asked($world);
    $client = $world->client($PARENT);
    $client->send("msul1.example.edu:msul1\n");
    $touched = is_asked($world, $touched, '... lonc-hosts is asked for that, too');
    ok $client->hears_nothing, '... and it is no listener';
    $client->half_close;
    $listener = $world->host_listener('msul1.example.edu');
    is $client->line, 'done', '... until there is one, also for a client that has closed its half';

    # A backlog that is full: lonnet could not connect.
    close $listener;
    unlink $world->path('sockets/msul1.example.edu');
    $listener = IO::Socket::UNIX->new(Local => $world->path('sockets/msul1.example.edu'), Listen => 1) or die "listen: $!";
    my @full;
    while (my $one = IO::Socket::UNIX->new(Peer => $world->path('sockets/msul1.example.edu'), Timeout => 1)) { push @full, $one }
    is $world->ask($PARENT, 'msul1.example.edu:msul1'), 'done', 'where the backlog is full, somebody listens';
    close $listener;
    unlink $world->path('sockets/msul1.example.edu');

    # Many at once, and some of them leave.
    $touched = asked($world);
    $before = $world->{keeper}->settled_descriptors;
    my @clients = $world->asking($PARENT, ('msul1.example.edu:msul1') x 150);
    my $new = is_asked($world, $touched, '150 clients at once wait for one socket: lonc-hosts is asked');
    $_->close for splice @clients, 0, 50;
    is $world->{keeper}->settled_descriptors, $before + 100, '... fifty of them leave';
    is asked($world), $new, '... it was asked once';
    $listener = $world->host_listener('msul1.example.edu');
    is join(' ', map { $_->line } @clients), join(' ', ('done') x 100), '... the others are answered';
    my $connected = 0;
    $listener->blocking(0);
    $connected++ while $listener->accept;
    is $connected, 1, '... for one connection to it';
    $_->close for @clients;
    is $world->{keeper}->settled_descriptors, $before, '... and no descriptor is lost';
}

# --- Bounds ---------------------------------------------------------------------------------------

{
    my $world = parented(settings => {create_timeout => '600ms', client_line_timeout => '300ms', client_idle_timeout => '500ms', drain_timeout => '5s'});
    my $late = 'error: nobody listens there yet; lonc-hosts has been asked';
    my $start = time;
    is $world->ask($PARENT, 'msul1.example.edu:msul1'), $late, 'a socket that does not come: an error';
    my $took = time - $start;
    ok $took >= 0.6 && $took < 5, sprintf '... after create_timeout (%.2f s)', $took;
    my $touched = asked($world);
    is join(' ', $world->ask_at_once($PARENT, map {"msul$_.example.edu:msul$_"} 1, 2, 1, 2)), join(' ', ($late) x 4), 'two sockets, four clients: each has its error';
    is counts($world), '0 5', '... which are counted';
    my %times;
    my $end = time + 3;
    while (time < $end) {
        $world->client($PARENT)->send("msul1.example.edu:msul1\n");
        $times{asked($world)}++;
        sleep 0.02;
    }
    cmp_ok scalar(keys %times), '<=', 5, 'asked for all the time, for 3 s: lonc-hosts is asked ' . keys(%times) . ' times';

    my $half = $world->client($PARENT);
    $half->send('msul1.example');
    my $silent = $world->client($PARENT);
    ok defined $half->closed_within(10), 'an unfinished line costs its connection';
    ok defined $silent->closed_within(10), '... and so does silence';

    # 1,000 may wait.
    $world->write_file('keeper.conf', $world->read_file('keeper.conf') =~ s/create_timeout.*/create_timeout = 60s/r);
    reload($world);
    my @clients = $world->asking($PARENT, ('msul2.example.edu:msul2') x 1000);
    ok Lonc::within($Lonc::PATIENCE, sub { my $all = $world->{keeper}->tells('clients'); my @waiting = grep { $_->{state} eq 'waiting' } @{$all->{clients}}; @waiting >= 1000 }),
        '1,000 wait';
    is $world->ask($PARENT, 'msul1.example.edu:msul1'), 'error: too many wait for sockets', '... one more does not';
    my ($first) = splice @clients, 0, 1;
    $first->close;
    my $one = $world->client($PARENT);
    Lonc::within($Lonc::PATIENCE, sub { my $all = $world->{keeper}->tells('clients'); $all->{total} <= 1000 });
    $one->send("msul1.example.edu:msul1\n");
    sleep 0.3;
    ok $one->hears_nothing, '... but when one of them has left';
    $start = time;
    $world->{keeper}->signal('TERM');
    is $one->line, 'error: lonc is stopping', 'the keeper stops: nobody waits any longer';
    is scalar(grep { $_->line eq 'error: lonc is stopping' } @clients), 999, '... all have their answer';
    is $world->{keeper}->wait_exit, 0, '... and it leaves in good order';
    cmp_ok time - $start, '<', 4, '... at once';
}

# --- Configuration --------------------------------------------------------------------------------

{
    my $world = parented(settings => {socket_names => 'id', create_timeout => '300ms'}, more => ['same.edu:msu:library:same.edu:127.0.0.1']);
    is $world->ask($PARENT, 'msul1.example.edu:msul1'), 'error: by socket_names in keeper.conf, no host has a socket by its DNS name',
        'socket_names = id: there never will be one';
    like $world->ask($PARENT, 'same.edu:same.edu'), qr/^error: nobody listens there yet/, '... but where the lonHostID is the DNS name';
    $world->{settings}{socket_names} = 'dns';
    add_hosts($world, 'same.edu:msu:library:same.edu:127.0.0.1');
    reload($world);
    like $world->ask($PARENT, "$_.edu:" . s/\.example//r . ($_ eq 'same' ? '.edu' : '')), qr/^error: nobody listens there yet/, "socket_names = dns: $_.edu may come"
        for 'msul1.example', 'same';

    # A host that is added: by the table in force, not by the file.
    add_hosts($world, 'msul7:msu:library:msul7.example.edu:127.0.0.1');
    is $world->ask($PARENT, 'msul7.example.edu:msul7'), 'error: msul7.example.edu is no DNS name in hosts.tab', 'a host that only the file has is not known';
    reload($world);
    like $world->ask($PARENT, 'msul7.example.edu:msul7'), qr/^error: nobody listens there yet/, '... a reload makes it known';
    my $client = $world->client($PARENT);
    $client->send("msul7.example.edu:msul7\n");
    add_hosts($world);
    reload($world);
    like $client->line, qr/^error: nobody listens there yet/, 'one that leaves the table meanwhile does not come';
    is $client->ask('msul7.example.edu:msul7'), 'error: msul7.example.edu is no DNS name in hosts.tab', '... and is not known any more';

    # A host of that name goes first.
    my $lond = $world->lond('msul1');
    add_hosts($world, "$PARENT:msu:library:parent.example.edu:$world->{address}{msul1}");
    reload($world);
    isnt $world->ask($PARENT, 'msul1.example.edu:msul1') =~ s/ .*//r, 'error:', 'a host whose lonHostID is the name of the socket goes first';
    add_hosts($world, "parent:msu:library:$PARENT:$world->{address}{msul1}");
    reload($world);
    isnt $world->ask($PARENT, 'msul1.example.edu:msul1') =~ s/ .*//r, 'error:', '... and so does one by its DNS name';
    add_hosts($world);
    reload($world);
    like $world->ask($PARENT, 'msul1.example.edu:msul1'), qr/^error: nobody/, '... when it is gone, sockets are asked for again';

    # Elsewhere.
    mkdir $world->path('parent');
    $world->{variables}{lonSockCreate} = $world->path('parent/create');
    $world->write_config;
    reload($world);
    is $world->ask($PARENT, 'msul1.example.edu:msul1'), 'con_lost', 'lonSockCreate elsewhere: where it was, there is no host';
    my $shim = $world->activate('create', path => $world->path('parent/create'));
    like $world->client_at($world->path('parent/create'))->ask('msul1.example.edu:msul1'), qr/^error: nobody listens there yet/, '... and there it is';
    my $touched = asked($world);
    unlink $world->path('parent/create');
    $touched = is_asked($world, $touched, 'its path is removed: lonc-hosts is asked to mend it');
    for my $path ($world->path('parent') . '/x' x 60, 'parent/create', '/', $world->path('parent/') . '/delayed') {
        $world->{variables}{lonSockCreate} = $path;
        $world->write_config;
        reload($world);
        is $world->ask($PARENT, 'msul1.example.edu:msul1'), 'con_lost', 'lonSockCreate is ' . substr($path, -20) . ': there is none';
    }
    delete $world->{variables}{lonSockCreate};
    $world->write_config;
    reload($world);
    $touched = asked($world);
    unlink $world->path("sockets/$PARENT");
    $touched = is_asked($world, $touched, 'the path in lonSockDir is looked after as well');
    $world->write_file("sockets/$PARENT.x", '');
    unlink $world->path("sockets/$PARENT.x");
    sleep 1.5;
    is asked($world), $touched, '... once';

    my $broken = Lonc->new(hosts => ['msul1']);
    $broken->write_file('tabs/hosts.tab', "nonsense\n");
    $broken->keeper(no_wait => 1)->await(qr/is ready/);
    $broken->activate($PARENT);
    is $broken->ask($PARENT, 'msul1.example.edu:msul1'), 'con_lost', 'without a valid table: con_lost';
}
done_testing;
