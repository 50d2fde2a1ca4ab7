#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# A host cannot be reached, or misbehaves: clients get con_lost within a limited time, and only for as long as necessary.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw(time);
use Lonc;

my %never_probe = (probe_min => '1h', probe_max => '1h');

# Milliseconds that a request takes, in the middle of 51.
sub median_ms {
    my ($ask) = @_;
    my @took = sort { $a <=> $b } map { my $start = time; $ask->(); 1000 * (time - $start) } 1 .. 51;
    return $took[25];
}

# --- Nobody listens -------------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {retry_delay => '300ms', %never_probe});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my $start = time;
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 5);
    is_deeply [map { $_->line } @waiting], [('con_lost') x 5], 'nobody listens at the host: all that ask are answered con_lost';
    cmp_ok time - $start, '>=', 0.29, '... after a second attempt';
    cmp_ok time - $start, '<', 20, '... and soon after that';
    ok $keeper->await(qr/msul1: host is dead: connection refused.*; 5 queued.*reason=refused\n/),
        '... and the log says once that the host is dead, and why';

    my $limit = 5 + 10 * Lonc::round_trip_ms();
    cmp_ok median_ms(sub { $world->ask('msul1', 'ping') }), '<', $limit, 'a dead host answers con_lost within 5 ms';
    my $client = $world->client('msul1');
    cmp_ok median_ms(sub { $client->ask('ping') }), '<', $limit, '... to who is connected already, too';

    my $lond = $world->lond('msul1');
    is $lond->counts->{accepted}, 0, '(lond is back, and nobody has told the keeper)';
    is $world->ask('msul1', 'ping'), 'con_lost', 'a dead host stays dead until it is probed';
    $keeper->signal('USR1');
    ok $keeper->await(qr/msul1: host is back after \d/), 'SIGUSR1 probes a dead host now, though nobody asks';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and it answers';
}

{
    my ($world, $lond) = Lonc->up(settings => {retry_delay => '20ms', probe_min => '100ms', probe_max => '400ms'});
    $lond->control('fault close@Initialized');
    is $world->ask('msul1', 'ping'), 'con_lost', 'a peer that closes in the handshake: the host is dead';
    Lonc::within($Lonc::PATIENCE, sub { $lond->counts->{accepted} >= 7 }) or die 'no probes';
    my @came = @{decode_json($lond->control('attempts'))};
    my @pauses = map { $came[$_] - $came[$_ - 1] } 2 .. 6;
    my @least = (80, 160, 320, 320, 320);
    is scalar(grep { $pauses[$_] < $least[$_] - 5 } 0 .. 4), 0, '... and is probed more and more seldom, down to a limit'
        or diag "pauses: @pauses ms";
    is $lond->peak, 1, '... by one connection';
    $lond->control('fault none');
    ok $world->{keeper}->await(qr/host is back/), 'a host that is mended comes back by the probe, without a signal';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and answers';
    is_deeply [$world->ask_at_once('msul1', map {"sleep:50:$_"} 1 .. 30)], [1 .. 30], '... to many at once, as before';
}

{
    my ($world, $lond) = Lonc->up(settings => {retry_delay => '20ms', %never_probe});
    $lond->control('fault close@Initialized');
    is $world->ask('msul1', 'ping'), 'con_lost', '(the host is dead)';
    $world->{keeper}->signal('USR1');
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->counts->{accepted} == 3 }),
        'SIGUSR1 has a dead host tried at once';
    is $world->ask('msul1', 'ping'), 'con_lost', '... it fails again, and is as dead as before';
    is $world->{keeper}->said(qr/host is dead/), 1, '... and the log does not tell the old story again';
    $lond->control('fault none');
    $world->{keeper}->signal('USR1');
    ok $world->{keeper}->await(qr/host is back/), '... until it is tried after it has come back';
}

# --- Every handshake fault ------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(
        settings => {connect_timeout => '250ms', handshake_timeout => '250ms', retry_delay => '20ms', %never_probe},
        lond => ['--drip', 1]);
    my %reason = (refuse => 'authentication', silent => 'timed-out', close => 'handshake', reset => 'handshake',
        garbage => 'handshake', noline => 'handshake', drip => '', half => 'handshake', stall => 'timed-out',
        two => 'handshake');
    my @kinds = sort keys %reason;
    my %kinds = (accept => [grep { !/drip|half|stall|two/ } @kinds], map { $_ => \@kinds }
        qw(Initialized ChallengeReplied ReadingVersionString HostSet ReceivingKey));
    # A key is any text, so 64 bytes of garbage are one; so is a challenge, but not the one that lond has echoed. At accept lond may be gone before it is connected to.
    my %exception = ('garbage@ReceivingKey' => '', 'garbage@Initialized' => 'authentication', map { ("$_\@accept" => 'handshake|refused') } qw(close reset));

    for my $state (sort keys %kinds) {
        for my $kind (@{$kinds{$state}}) {
            my $fault = "$kind\@$state";
            my $reason = $exception{$fault} // $reason{$kind};
            $lond->control('close-all');
            $lond->control("fault $fault");
            my $dead = $world->{keeper}->said(qr/host is dead/);
            my $start = time;
            my $answer = $world->ask('msul1', 'echo:through');
            my $took = time - $start;
            my ($why) = ($world->{keeper}->log =~ /host is dead.*reason=(\S+)\n/g)[-1];
            $lond->control('fault none');
            $world->ask('msul1', 'reset_retries');
            my $next = $world->ask('msul1', 'echo:next');
            $reason ||= 'none';
            $why = 'none' if $world->{keeper}->said(qr/host is dead/) == $dead;
            my $what = $reason eq 'none' ? "handshake fault $fault: the request is answered nevertheless"
                : "handshake fault $fault: con_lost in time, for reason $reason, and the next is answered once it is mended";
            my $well = $answer eq ($reason eq 'none' ? 'through' : 'con_lost') && $why =~ /^(?:$reason)$/ && $took < 10 && $next eq 'next';
            ok $well, $what or diag "answer $answer, reason $why, took $took s, then $next";
        }
    }
}

{
    my ($world, $lond) = Lonc->up(settings => {connect_timeout => '300ms', retry_delay => '20ms', %never_probe},
        lond => ['--backlog', 0, '--fault', 'no-accept']);
    # Once the backlog is full, the kernel drops who connects.
    my @full = map { IO::Socket::INET->new(PeerAddr => "$world->{address}{msul1}:5663", Blocking => 0) } 1 .. 3;
    my $start = time;
    is $world->ask('msul1', 'ping'), 'con_lost', 'a host that does not answer a connect at all: con_lost';
    cmp_ok time - $start, '>=', 0.6, '... after two time-outs';
    cmp_ok time - $start, '<', 5, '... and no more';
    ok $world->{keeper}->await(qr/host is dead: timed out.*reason=timed-out\n/), '... and the log says that it timed out';
}

{
    my $world = Lonc->new(settings => {retry_delay => '20ms', %never_probe});
    $world->write_file('tabs/hosts.tab', "msul1:msu:library:msul1.example.edu:255.255.255.255\n");
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'con_lost', 'an address to which no way leads: con_lost';
    ok $world->{keeper}->await(qr/host is dead: unreachable.*reason=unreachable\n/), '... and the log says unreachable';
}

# --- What counts ----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {handshake_timeout => '400ms', retry_delay => '400ms', %never_probe});
    $lond->control('fault silent@Initialized');
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 15);
    $lond->has(10, 'connections') or die 'no ten attempts at once';
    $lond->control('fault none');
    is_deeply [map { $_->line } @waiting], [1 .. 15],
        'ten attempts that overlap fail: they count as one failure, and who waits is answered by the next attempt';
    is $world->{keeper}->said(qr/dead/), 0, '... and the host is not dead';
}

{
    my ($world, $lond) = Lonc->up(settings => {retry_delay => '400ms', %never_probe});
    my @flying = $world->asking('msul1', map {"sleep:20000:$_"} 1 .. 10);
    $lond->has(10, 'busy') or die 'no requests in flight';
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 10);
    $world->client('msul1')->ask('reset_retries') for 1 .. 2; # from here on they are in the queue
    $lond->kill_hard;
    is_deeply [map { $_->line } @flying], [('con_lost') x 10], 'lond dies: what was in flight is con_lost';
    $lond = $world->lond('msul1');
    is_deeply [map { $_->line } @waiting], [1 .. 10], '... and what waited is answered, since lond is back before the second attempt';
    is $world->{keeper}->said(qr/dead/), 0, '... and the host was never dead';

    @flying = $world->asking('msul1', map {"sleep:20000:$_"} 1 .. 10);
    $lond->has(10, 'busy') or die 'no requests in flight';
    $lond->kill_hard;
    is_deeply [map { $_->line } @flying], [('con_lost') x 10], 'lond dies for good: what was in flight is con_lost';
    is_deeply [$world->ask_at_once('msul1', ('ping') x 10)], [('con_lost') x 10], '... and what comes later as well';
    is $world->{keeper}->said(qr/host is dead/), 1, '... and now the host is dead';
}

{
    my ($world, $lond) = Lonc->up(settings => {reply_timeout => '300ms', retry_delay => '300ms', %never_probe});
    $world->ask('msul1', 'ping');
    my $start = time;
    is $world->ask('msul1', 'silent'), 'con_lost', 'a request without a reply: con_lost';
    cmp_ok time - $start, '>=', 0.29, '... not before its time';
    cmp_ok time - $start, '<', 20, '... but then';
    ok $lond->has(1, 'open') && $lond->has(1, 'connections'), '... its connection is closed, and a fresh one stands';
    is $lond->counts->{accepted}, 2, '... by one handshake';
    is_deeply [$world->ask_at_once('msul1', ('silent') x 4)], [('con_lost') x 4], 'four replies that time out at once';
    $world->ask('msul1', 'silent') for 1 .. 2;
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and two after each other do not make a host dead';
    is $world->{keeper}->said(qr/dead/), 0, '... nor does the log say so';

    $lond->control('fault close@Initialized,times=1');
    is $world->ask('msul1', 'silent'), 'con_lost', 'the fresh handshake after a lost reply fails';
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('fault') eq 'none' }) or die 'no fresh handshake';
    $lond->control('close-all');
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... which counts once: the host is not dead, the next request is answered';
    is $world->{keeper}->said(qr/dead/), 0, '... and the log does not call it dead';
}

{
    # In all it takes longer than the time-out, and no piece of it comes near that, even on a busy machine.
    my ($world) = Lonc->up(settings => {reply_timeout => '2s', %never_probe});
    is $world->ask('msul1', 'drip:300:12345678'), '12345678', 'a reply that comes slowly, but comes, is no time-out';
}

# --- Before, in and after the reply ---------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {reply_timeout => '400ms', request_timeout => '1500ms', line_limit => '1M', %never_probe});
    my @ways = (
        ['close', 'con_lost', 'before its reply'],
        ['reset', 'con_lost', 'before its reply, by RST'],
        ['half:a reply', 'con_lost', 'in the midst of its reply'],
        ['stall:a reply', 'con_lost', 'never, but stops in the midst of its reply'],
        ['last:a reply', 'a reply', 'after its reply'],
    );
    for my $way (@ways) {
        my ($request, $answer, $when) = @$way;
        is $world->ask('msul1', $request), $answer, "the peer leaves $when: $answer";
        is $lond->executed($request), 1, '... executed once';
        $lond->has(0, 'open') if $request =~ /^last/; # a request that meets the close on its way would be con_lost
        is $world->ask('msul1', 'echo:next'), 'next', '... and the next request is answered';
    }
    my %faults = (refuse => 'refused', silent => 'con_lost', close => 'con_lost', reset => 'con_lost', noline => 'con_lost',
        drip => 'a reply', half => 'con_lost', stall => 'con_lost', two => 'a reply', last => 'a reply');
    for my $kind (sort keys %faults) {
        $lond->control("fault $kind\@ReceivingReply,times=1");
        my $start = time;
        is $world->ask('msul1', 'reply:a reply'), $faults{$kind}, "reply fault $kind: $faults{$kind}";
        cmp_ok time - $start, '<', 20, '... within its bound';
        $lond->has(0, 'open') if $kind eq 'last';
        is $world->ask('msul1', 'echo:next'), 'next', '... and the next request is answered';
    }
    $lond->control('fault garbage@ReceivingReply,times=1');
    is length $world->ask('msul1', 'reply:a reply'), 64, 'a reply of any bytes is a reply';
    is $world->{keeper}->said(qr/dead/), 0, '... and none of this makes a host dead';
}

done_testing;
