#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# No host stays dead: how the keeper finds that a host is down, probes it and brings it back, when the peer sees attempts,
# and what the log says. Most of it runs at 50 times the speed: probes come after 100 ms and double up to 1200 ms, instead
# of 5 s and 60 s.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::INET;
use JSON::PP;
use List::Util qw(max min);
use Socket;
use Time::HiRes qw(time);
use Lonc;
use Deferred;

my $scale = 50;
my %fast = (retry_delay => '20ms', probe_min => '100ms', probe_max => '1200ms');
my %by_signal = (retry_delay => '20ms'); # probes as shipped: after 5 s, so not during such a test

sub attempts { my ($lond) = @_; return @{decode_json($lond->control('attempts'))} }
sub pauses { my (@at) = @_; return map { $at[$_] - $at[$_ - 1] } 1 .. $#at }

# How many seconds it takes until the code returns true; undef if it never does.
sub seconds_until {
    my ($code, $patience) = @_;
    my $start = time;
    return Lonc::within($patience || 10, $code) ? time - $start : undef;
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# --- Without a signal -----------------------------------------------------------------------------

# Eight hosts refuse in the handshake, so that a few seconds show many pauses: 20 ms, then 100, 200, 400, 800, and 1200 from
# then on. Eight seconds have nine pauses.
my @wanted = (20, 100, 200, 400, 800, (1200) x 5);

# Measures each host's pauses, and how many seconds after their repair all hosts are back.
sub probed {
    my @hosts = map {"msul$_"} 1 .. 8;
    my ($world, @londs) = Lonc->up(settings => {%fast}, hosts => \@hosts, lond => ['--fault', 'refuse@Initialized']);
    $_->line for map { $world->asking($_, 'ping') } @hosts;
    ok Lonc::within(60, sub { !grep { attempts($_) < 11 } @londs }), 'eight dead hosts are probed, though nobody asks';
    my @pauses = map { [pauses((attempts($_))[0 .. 10])] } @londs;
    is_deeply [map { $_->peak } @londs], [(1) x 8], '... one connection at a time';

    $_->control('fault none') for @londs;
    my %back;
    my $took = seconds_until(sub {
        $back{$_}++ for $world->{keeper}->log =~ /(msul\d): host is back/g;
        return keys %back == 8;
    }, $Lonc::PATIENCE);
    ok $took, 'eight hosts that are mended come back without a signal';
    is_deeply [map { $world->ask($_, 'ping') } @hosts], [map {"pong:$_"} @hosts], '... and answer';
    return (\@pauses, $took // $Lonc::PATIENCE);
}

# Which of them are too long. The machine may cause delays by itself, so some rounds may fail.
sub late {
    my ($pauses, $took) = @_;
    my @late;
    for my $n (1 .. 9) {
        # The longest are over before 65 s have passed, at this scale.
        my $most = $wanted[$n] == 1200 ? 65 / 60 * 1200 : 1.2 * $wanted[$n] + 60;
        my $longest = max(map { $_->[$n] } @$pauses);
        push @late, "pause $n: $longest ms, at most $most" if $longest > $most;
    }
    push @late, "back after $took s" if $took > 65 / $scale + 0.1;
    return @late;
}

{
    my @late;
    for my $round (1 .. 5) {
        my ($pauses, $took) = probed();
        for my $n (1 .. 9) {
            my $shortest = min(map { $_->[$n] } @$pauses);
            cmp_ok $shortest, '>=', 0.8 * $wanted[$n] - 2, "... pause $n is not shorter than 80 % of $wanted[$n] ms";
        }
        my @long = map { @$_[5 .. 9] } @$pauses;
        cmp_ok max(@long) - min(@long), '>', 60, '... they differ, so that hosts that died together are not probed together';
        @late = late($pauses, $took);
        last if !@late;
        diag join '; ', "round $round was late", @late;
    }
    is "@late", '', '... pauses are not longer than 120 %, and hosts are back within 65 s, at this scale';
}

# --- By a signal ----------------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {%by_signal});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my %ways = (
        SIGUSR1 => sub { $keeper->signal('USR1') },
        reset_retries => sub { is $world->ask('msul1', 'reset_retries'), 'ok', 'reset_retries is answered ok' },
        'a reload by SIGHUP' => sub { $keeper->signal('HUP') },
        'a reload by SIGUSR2' => sub { $keeper->signal('USR2') },
    );
    for my $way (sort keys %ways) {
        is $world->ask('msul1', 'ping'), 'con_lost', '(the host is down)';
        my $lond = $world->lond('msul1');
        is $world->ask('msul1', 'ping'), 'con_lost', '(it is back, and nobody knows)';
        my $start = time;
        $ways{$way}->();
        ok $keeper->await(qr/host is back/), "$way brings it back";
        cmp_ok time - $start, '<', 3.9, '... before it would have been probed';
        is $world->ask('msul1', 'ping'), 'pong:msul1', '... and it answers';
        $lond->end;
    }

    $world->ask('msul1', 'ping');
    my $dead = $keeper->said(qr/host is dead/);
    for (1 .. 20) {
        $keeper->signal('USR1');
        $world->ask('msul1', 'ping');
    }
    is $keeper->said(qr/host is dead/), $dead, 'a dead host that is forgiven 20 times and fails again is not logged again';
}

{
    my $world = Lonc->new(settings => {%by_signal});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    for my $kept (0, 1) {
        my $client = $world->client('msul1');
        my @took = map {
            my $start = time;
            die 'not con_lost' if ($kept ? $client->ask('ping') : $world->ask('msul1', 'ping')) ne 'con_lost';
            1000 * (time - $start);
        } 1 .. 201;
        cmp_ok median(@took), '<', 5 + 10 * Lonc::round_trip_ms(), 'a dead host: con_lost comes within 5 ms' . ($kept ? ', on a kept connection too' : '');
        note sprintf '%.2f ms in the middle of 201', median(@took);
    }
}

# --- One at a time --------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%fast, handshake_timeout => '150ms', deferred_hold => '20ms'});
    $lond->control('fault silent@Initialized');
    $world->ask('msul1', 'ping');
    $world->{keeper}->await(qr/host is dead/);
    my $waits = drop_many($world, 'msul1', 1 .. 10);
    my $client = $world->client('msul1');
    my ($asked, $end) = (0, time + 2.5);
    while (time < $end) {
        $client->ask('ping') eq 'con_lost' ? $asked++ : die 'answered';
        $_->line for $world->asking('msul1', ('ping') x 3);
    }
    is $lond->peak, 1, 'a dead host that is slow to fail, files that wait for it, and many requests: one probing connection at a time';
    note "$asked requests one after the other, and three at once between each of them";
    my @pauses = pauses(attempts($lond));
    cmp_ok min(@pauses[1 .. $#pauses]), '>=', 150 + 80 - 5, '... and the next one only when its time has come' or diag "@pauses";

    my ($before, $since) = (scalar attempts($lond), time);
    for (1 .. 50) { $world->{keeper}->signal('USR1'); $client->ask('reset_retries') }
    is $lond->peak, 1, '... though it is forgiven a hundred times';
    cmp_ok attempts($lond) - $before, '<=', 3 + (time - $since) / 0.15, '... which does not make it a hundred attempts';
    $lond->control('fault none');
    $world->{keeper}->signal('USR1');
    ok await_gone($world, $waits), '... and when it is back the files are delivered';
}

# --- Slow start -----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%by_signal});
    $lond->control('stop-listening');
    $lond->control('close-all');
    $world->ask('msul1', 'ping');
    $world->{keeper}->await(qr/host is dead/);
    $lond->control('listen');
    $lond->control('reset');
    $lond->control('set delay 60'); # a handshake has five answers, so it takes 300 ms
    $world->{keeper}->signal('USR1');
    $world->{keeper}->await(qr/host is back/);
    my @clients = $world->asking('msul1', map {"sleep:1500:$_"} 1 .. 20);
    is_deeply [map { $_->line } @clients], [1 .. 20], 'twenty slow requests for a host that has just come back are answered';
    my @at = attempts($lond);
    is scalar(@at), 10, '... by ten connections in the end';
    my @waves = (1);
    $_ > 150 ? push(@waves, 1) : $waves[-1]++ for pauses(@at);
    is_deeply \@waves, [1, 1, 2, 4, 2], '... first the probe, then one attempt, then two at once, four, and what is left of ten'
        or diag "waves of @waves; at @at ms";

    $lond->control('reset');
    $_->line for $world->asking('msul1', map {"sleep:100:$_"} 1 .. 20);
    is scalar(attempts($lond)), 0, '... and from then on they are used';
}

# --- What makes no host dead ----------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up; # with the settings as they are shipped
    my $keeper = $world->{keeper};
    for my $round (1 .. 5) {
        my @busy = $world->asking('msul1', map {"sleep:300000:$_"} 1 .. ($round % 2 ? 10 : 5));
        $lond->has(scalar @busy, 'busy') or die 'not in flight';
        $world->ask_at_once('msul1', map {"sleep:50:$_"} 1 .. 5) if @busy < 10;
        $lond->has(10, 'open');
        my $what = @busy < 10 ? 'five of them idle' : 'all of them busy';
        $lond->kill_hard;
        is_deeply [map { $_->line } @busy], [('con_lost') x @busy], "a peer is killed with ten connections, $what: what was in flight is con_lost";
        my @meanwhile = $world->asking('msul1', map {"echo:$round.$_"} 1 .. 5); # the first attempt is refused
        $lond = $world->lond('msul1');
        is_deeply [map { $_->line } @meanwhile], [map {"$round.$_"} 1 .. 5], '... what is asked while it starts again is answered';
    }
    is $keeper->said(qr/host is dead/), 0, '... and no restart makes the host dead';
}

{
    my ($world, $lond) = Lonc->up(settings => {reply_timeout => '200ms'});
    is_deeply [$world->ask_at_once('msul1', map {"sleep:60000:$_"} 1 .. 10)], [('con_lost') x 10],
        'ten slow requests that time out at one time are con_lost';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... the next is answered';
    is $world->{keeper}->said(qr/host is dead/), 0, '... and the host is not dead';
}

# --- What the log tells ---------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%fast, retry_delay => '300ms', dead_reminder => '1s', log_level => 'info'});
    my $keeper = $world->{keeper};
    $world->ask('msul1', 'ping');
    $lond->end;
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 7);
    my $start = time;
    is_deeply [map { $_->line } @waiting], [('con_lost') x 7], 'a host dies with seven requests in its queue';
    ok $keeper->await(qr/msul1: host is dead: connection refused[^\n]*; 7 queued requests are answered con_lost \| reason=refused\n/),
        '... the log says why, and how many';
    my $died = time;
    Lonc::within(2.5, sub { $world->ask('msul1', 'ping'); 0 });
    is $keeper->said(qr/msul1: host is dead/), 1, '... once, whatever is asked and probed meanwhile';
    my $reminded = $keeper->said(qr/msul1: host is still dead, for \d+ s now: connection refused \| reason=refused\n/);
    ok $reminded >= 1 && $reminded <= 1 + time - $start, '... it reminds of it when an hour has passed (here, a second), not with each probe'
        or diag "$reminded times";
    my $least = time - $died;
    $lond = $world->lond('msul1');
    $keeper->await(qr/host is back after ([\d.]+) s/);
    my $most = time - $start;
    my ($said) = $keeper->log =~ /msul1: host is back after ([\d.]+) s/;
    ok $said >= $least - 0.1 && $said <= $most + 0.1, "... when it is back, the log says after how long ($said s)";
    is $keeper->said(qr/host is back/), 1, '... once';
    my @lines = grep {/msul1: /} split /\n/, $keeper->log;
    is scalar(@lines), 3 + $keeper->said(qr/msul1: host is still dead/), '... and nothing else of this host, but its version' or diag join "\n", @lines;
}

{
    my @hosts = qw(refused timedout unreachable handshake authentication noaddress);
    my $world = Lonc->new(settings => {%by_signal, connect_timeout => '200ms', resolve_servers => '127.0.0.1:1'}, hosts => \@hosts);
    my %lond = (handshake => $world->lond('handshake', '--fault', 'garbage@ChallengeReplied'),
        authentication => $world->lond('authentication', '--fault', 'refuse@Initialized'));
    my $full = IO::Socket::INET->new(LocalAddr => $world->{address}{timedout}, LocalPort => 5663, Listen => 1) or die "listen: $!";
    listen $full, 0; # one connection fits; it never answers those behind
    my @crowd = map { IO::Socket::INET->new(Proto => 'tcp', Blocking => 0) } 1 .. 3;
    connect $_, pack_sockaddr_in(5663, inet_aton($world->{address}{timedout})) for @crowd;
    $world->{address}{unreachable} = '255.255.255.255'; # TCP has no broadcast
    $world->write_config;
    my $table = $world->read_file('tabs/hosts.tab') =~ s/^(noaddress:.*):[\d.]+$/$1/mr;
    $world->write_file('tabs/hosts.tab', $table =~ s/noaddress\.example\.edu/no-such-name.invalid/r);
    my $keeper = $world->keeper;
    $world->activate($_) for @hosts;
    my %says = (refused => ['connection refused', 'refused'], timedout => ['timed out', 'timed-out'],
        unreachable => ['unreachable', 'unreachable'], noaddress => ['name not resolved', 'name'],
        handshake => ['the handshake failed', 'handshake'], authentication => ['authentication failed: lond does not accept this server', 'authentication']);
    for my $host (@hosts) {
        is $world->ask($host, 'ping'), 'con_lost', "$host: con_lost";
        my ($text, $reason) = @{$says{$host}};
        my $found = Lonc::within($Lonc::PATIENCE, sub { $keeper->said(qr/$host: host is dead/) });
        like $keeper->log, qr/$host: host is dead: \Q$text\E[^\n]* \| reason=$reason\n/, "... and the log tells it from the others: $reason";
    }
}

done_testing;
