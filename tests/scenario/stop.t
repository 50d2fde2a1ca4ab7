#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The keeper's end: what is in flight is finished, what is queued is answered, who comes later waits
# for its successor; and its beginning where another was before.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::UNIX;
use Socket;
use Time::HiRes qw(time);
use Lonc;

my $build = $ENV{BUILD} || 'build';

# One connection to lond, so that a second request has to wait in the queue.
sub narrow {
    my (%settings) = @_;
    my $world = Lonc->new(hosts => ['msul1'], settings => {connections_per_host => 1, %settings});
    my $lond = $world->lond('msul1');
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a keeper at work';
    return ($world, $lond, $world->{keeper});
}

sub busy {
    my ($lond, $count) = @_;
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('busy') == $count }) or die "lond is not busy with $count requests";
}

# A client whose request lond has.
sub in_flight {
    my ($world, $lond, $request) = @_;
    my $client = $world->client('msul1');
    $client->send("$request\n");
    busy($lond, 1);
    return $client;
}

# A client that the keeper has taken, and that has written nothing so far.
sub silent {
    my ($world) = @_;
    my $before = $world->{keeper}->settled_descriptors;
    my $client = $world->client('msul1');
    Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->descriptors > $before }) or die 'the keeper did not take the client';
    return $client;
}

sub since { return time - $_[0] }

# --- With nothing to do ---------------------------------------------------------------------------

for my $signal (qw(TERM INT QUIT)) {
    my ($world, $lond, $keeper) = narrow();
    my $begun = time;
    $keeper->signal($signal);
    is $keeper->wait_exit, 0, "SIG$signal with nothing to do: the keeper exits 0";
    cmp_ok since($begun), '<', 8, "SIG$signal with nothing to do: at once";
    ok !-e $world->path('run/keeper.sock'), "SIG$signal: the channel that it had bound is gone";
    is $lond->open_connections, 0, "SIG$signal: its connections to lond are closed";
}

# --- With something to do -------------------------------------------------------------------------

{
    my ($world, $lond, $keeper) = narrow();
    my $persistent = silent($world);
    is $persistent->ask('echo:hello'), 'hello', 'a client that keeps its connection';
    my $writing = silent($world);
    $writing->send('echo:unfin');
    my $mute = silent($world);
    my $flying = in_flight($world, $lond, 'sleep:4000:flown');
    my $queued = silent($world);
    $queued->send("echo:queued\n");

    my $begun = time;
    $keeper->signal('TERM');
    $keeper->await(qr/stopping: /);
    is $queued->line($Lonc::PATIENCE), 'con_lost', 'SIGTERM: what is queued is answered con_lost';
    cmp_ok since($begun), '<', 3.5, 'SIGTERM: at once, not behind what is in flight';
    is $persistent->everything($Lonc::PATIENCE), '', 'SIGTERM: a client between two requests sees a clean end of the stream';
    is $persistent->{error}, undef, 'SIGTERM: and no error';
    $writing->send("ished\n");
    is $writing->line($Lonc::PATIENCE), 'con_lost', 'SIGTERM: a line finished after it is answered, here con_lost, for no connection is free';
    is $flying->line($Lonc::PATIENCE), 'flown', 'SIGTERM: what is in flight is finished';
    is $flying->everything($Lonc::PATIENCE), '', 'SIGTERM: and then that client sees a clean end of the stream';
    is $mute->everything($Lonc::PATIENCE), '', 'SIGTERM: a client that never writes is not waited for to the end';
    is $keeper->wait_exit, 0, 'SIGTERM: then the keeper exits 0';
    cmp_ok since($begun), '<', 9, 'SIGTERM: without waiting for more';
}

{
    my ($world, $lond, $keeper) = narrow();
    my $late = silent($world);
    $keeper->signal('TERM');
    $keeper->await(qr/stopping: /);
    $late->send("echo:late\n");
    is $late->line($Lonc::PATIENCE), 'late', 'a client handed over just before SIGTERM whose line comes just after is answered';
    is $late->everything($Lonc::PATIENCE), '', 'and then sees a clean end of the stream';
    is $keeper->wait_exit, 0, 'and the keeper exits 0';
}

{
    my ($world, $lond, $keeper) = narrow();
    my $large = $world->client('msul1');
    $large->send("size:8000000\n");
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('counts') =~ /"size":1/ }) or die 'lond has not got the request';
    $keeper->signal('TERM');
    $keeper->await(qr/stopping: /);
    is length($large->line), 8_000_000, 'SIGTERM: a client that is still taking its 8 MB gets all of them';
    is $keeper->wait_exit, 0, 'SIGTERM: then the keeper exits 0';
}

{
    my ($world, $lond, $keeper) = narrow(drain_timeout => '500ms');
    my $flying = in_flight($world, $lond, 'sleep:8000:never');
    my $begun = time;
    $keeper->signal('TERM');
    is $flying->line($Lonc::PATIENCE), 'con_lost', 'when drain_timeout is over, what is in flight is answered con_lost';
    my $took = since($begun);
    ok $took > 0.4 && $took < 7, 'not before, and not long after' or diag "$took s";
    is $flying->everything($Lonc::PATIENCE), '', 'and that client sees a clean end of the stream';
    is $keeper->wait_exit, 0, 'and the keeper exits 0';
    like $keeper->log, qr/time is up/, 'and has said so';
}

for my $how (['a second SIGTERM', 'TERM', 'TERM'], ['SIGQUIT', 'QUIT'], ['SIGQUIT after SIGTERM', 'TERM', 'QUIT']) {
    my ($name, @signals) = @$how;
    my ($world, $lond, $keeper) = narrow();
    my $flying = in_flight($world, $lond, 'sleep:8000:never');
    my $persistent = $world->client('msul1');
    $persistent->send("echo:queued\n");
    my $begun = time;
    for my $signal (@signals) {
        $keeper->signal($signal);
        $keeper->await(qr/stopping: /) if $signal eq 'TERM' && @signals > 1 && $keeper->log !~ /stopping/;
    }
    is $keeper->wait_exit, 0, "$name: the keeper exits 0";
    cmp_ok since($begun), '<', 7, "$name: now, whatever is in flight";
    is $flying->everything($Lonc::PATIENCE), "con_lost\n", "$name: what is in flight is answered con_lost, as every line is answered";
}

# --- Hand-overs that it has not taken -------------------------------------------------------------

for my $signal (qw(TERM QUIT)) {
    my $world = Lonc->new(hosts => ['msul1'], settings => {queue_per_host => 2000});
    my $lond = $world->lond('msul1', '--count-texts');
    my $channel = $world->channel_listener;
    my $keeper = $world->keeper(channel => $channel);
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    $keeper->pause;
    my @clients = map { my $c = $world->client('msul1'); $c->send("echo:$_\n"); $c } 1 .. 300;
    $keeper->signal($signal);
    $keeper->resume;
    is $keeper->wait_exit, 0, "SIG$signal with 300 hand-overs in the channel: the keeper exits 0";
    $world->keeper(channel => $channel);
    my (%got, @wrong);
    for my $n (1 .. 300) {
        my $line = eval { $clients[$n - 1]->line(15) } // 'nothing';
        $got{$line eq $n ? 'own' : $line}++;
        push @wrong, "$n: $line" if $line ne $n && $line ne 'con_lost';
    }
    is_deeply \@wrong, [], "SIG$signal: each of them gets its reply, from the keeper or its successor, or con_lost";
    cmp_ok $got{own} // 0, '>', 100, "SIG$signal: most get their reply";
    is $lond->control('repeated'), 0, "SIG$signal: and lond executed none twice";
    diag "SIG$signal: " . join ', ', map {"$_ $got{$_}"} sort keys %got;
}

# --- Restarts under load --------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1'], settings => {log_level => 'notice', log_transactions => 'yes'});
    my $lond = $world->lond('msul1', '--count-texts');
    my $channel = $world->channel_listener;
    my $keeper = $world->keeper(channel => $channel);
    $world->activate('msul1');
    my $load = $world->start('lonnet-load', ["$build/lonnet-load", '--socket', $world->path('sockets/msul1'),
            '--clients', '20', '--rate', '200', '--requests', '1000', '--timeout', '300', '--json']);
    my ($restarts, $without) = (0, 0); # ... a connection when their keeper had to leave: a busy machine's
    my $executed = sub { $lond->control('counts') =~ /"requests":(\d+)/ ? $1 : 0 };
    # Each keeper is at work before it has to leave again, and the last before the load is over.
    while ((my $before = $executed->()) < 850) {
        Lonc::within($Lonc::PATIENCE, sub { $executed->() > $before + 60 }) or last;
        $keeper->signal('TERM');
        my $status = $keeper->wait_exit;
        is $status, 0, 'a keeper that is restarted under load exits 0' if $status;
        $without += $keeper->said(qr/con_lost for [^\n]*: the keeper is stopping/);
        $keeper = $world->keeper(channel => $channel);
        $restarts++;
    }
    my $status = $load->wait_exit;
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    my %count = ($json // '') =~ /"(\w+)":\s*(\d+)/g;
    is_deeply {map { $_ => $count{$_} } qw(con_lost wrong empty cut refused unanswered)},
        {con_lost => $without, map { $_ => 0 } qw(wrong empty cut refused unanswered)},
        "restarts under 200 requests/s: no request is lost, refused or answered wrongly" or diag $load->log;
    cmp_ok $without, '<', 500, '... and most did not wait for a connection when their keeper had to leave';
    cmp_ok $restarts, '>=', 3, 'restarts under load: there were several';
    is $count{ok}, 1000 - $without, 'restarts under load: the load was there';
    is $lond->control('repeated'), 0, 'restarts under load: lond executed no request twice';
    diag "$restarts restarts, $count{ok} requests, $without without a connection";
}

# --- Where another was ----------------------------------------------------------------------------

{
    my ($world, $lond, $keeper) = narrow();
    my $second = $world->keeper(no_wait => 1);
    is $second->wait_exit >> 8, 1, 'a second keeper with the same runtime_dir exits 1';
    like $second->log, qr{cannot listen at \S*/run/keeper\.sock: Address already in use},
        'a second keeper says where somebody listens already';
    unlike $second->log, qr/is ready/, 'a second keeper does not say that it is ready';
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'the first keeper goes on';

    $keeper->kill_hard;
    ok -S $world->path('run/keeper.sock'), 'a killed keeper leaves its socket behind';
    my $third = $world->keeper;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'the next keeper binds over it and serves';
    my $mode = (stat $world->path('run/keeper.sock'))[2] & 0777;
    is sprintf('%o', $mode), '600', 'the channel that a keeper binds is for its own user only';
    $third->end;
    is $third->{status}, 0, 'and it leaves as any other';

    # What is no socket is nobody's leftover.
    $world->write_file('run/keeper.sock', "precious\n");
    my $fourth = $world->keeper(no_wait => 1);
    is $fourth->wait_exit >> 8, 1, 'a keeper whose channel would be in the place of a file exits 1';
    is $world->read_file('run/keeper.sock'), "precious\n", 'and leaves the file alone';
    unlink $world->path('run/keeper.sock');
    $world->{settings}{runtime_dir} = $world->path('nowhere/run');
    $world->write_config;
    my $fifth = $world->keeper(no_wait => 1);
    is $fifth->wait_exit >> 8, 1, 'a keeper whose runtime_dir cannot be exits 1';
    like $fifth->log, qr{cannot listen at \S*/nowhere/run/keeper\.sock: No such file or directory}, 'and says what is missing';
}

done_testing;
