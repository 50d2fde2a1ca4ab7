#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Limits of the machine and default limits of the settings are reached and left again. bounds.t tests the limits one by one,
# with small numbers; defer-verb.t a full disk under delayed/; tests/torture/items/limits.pl what takes longer.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use List::Util qw(min max);
use Test::More;
use Time::HiRes qw(time);
use Deferred;
use Lonc;
use World;

World::isolate();
Lonc::need_descriptors(6000);

# The numbers of lonnet-load.
sub load {
    my ($world, @options) = @_;
    my $load = $world->start('load', [Lonc::program('lonnet-load'), '--socket', $world->path('sockets/msul1'), '--json', @options]);
    $load->wait_exit(120);
    return decode_json(($load->log =~ /^(\{.*\})$/m)[0] // '{}');
}

# The peak memory of a process, in megabytes.
sub peak {
    my ($process) = @_;
    open my $file, '<', "/proc/$process->{pid}/status" or die "status: $!";
    return (join('', <$file>) =~ /^VmHWM:\s*(\d+)/m)[0] / 1024;
}

# --- Descriptors ----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(keeper => {descriptors => 64});
    my $keeper = $world->{keeper};
    my (@took, @cpu);
    for my $round (1 .. 5) {
        my @holding = map { $world->client('msul1') } 1 .. 40;
        Lonc::within($Lonc::PATIENCE, sub { $keeper->said(qr/limit reached: open descriptors/) >= $round }) or die 'descriptors are not short';
        my ($late) = $world->asking('msul1', 'echo:late');
        my ($cpu, $start) = ($keeper->cpu, time);
        select undef, undef, undef, 0.5; # doing nothing is what is tested
        push @cpu, ($keeper->cpu - $cpu) / (time - $start);
        $start = time;
        $_->close for @holding;
        is $late->line, 'late', "64 descriptors, the $round. time: who waits is served when they come free";
        push @took, time - $start;
        $late->close;
        Lonc::within($Lonc::PATIENCE, sub { $keeper->said(qr/limit left: open descriptors/) >= $round });
    }
    cmp_ok min(@cpu), '<=', 0.05, '... meanwhile the keeper takes less than 5 % of a processor';
    cmp_ok min(@took), '<', 0.1, '... and goes on within 100 ms'; # the best of five, for this machine may have other work
    diag sprintf 'out of descriptors: %.1f %% CPU, on again after %.1f to %.1f ms', 100 * min(@cpu), 1000 * min(@took), 1000 * max(@took);
}

# The kernel is out of descriptors although the keeper's own account has room, so freeing its own would not help.
{
    my ($world, $lond) = Lonc->up;
    my $keeper = $world->{keeper};
    my $allow = sub { system 'prlimit', "--pid=$keeper->{pid}", "--nofile=$_[0]:" and die 'prlimit' };
    my ($took, $cpu) = (9, 9);
    for my $round (1 .. 5) {
        $allow->(4); # whose numbers are taken: not 0, with which poll would be refused
        my ($late) = $world->asking('msul1', 'echo:late');
        Lonc::within($Lonc::PATIENCE, sub { $keeper->said(qr/cannot accept connections at the private channel: Too many open files/) >= $round }) or die "no accept has failed: " . $keeper->log;
        my $administrator = IO::Socket::UNIX->new(Peer => $world->path('run/control.sock')) or die "control: $!";
        $administrator->print("status\n");
        my ($before, $start) = ($keeper->cpu, time);
        select undef, undef, undef, 0.5; # doing nothing is what is tested
        $cpu = min($cpu, ($keeper->cpu - $before) / (time - $start));
        $start = time;
        $allow->(1024);
        is $late->line, 'late', "the kernel has no descriptors, the $round. time: who waits is served when it has";
        $took = min($took, time - $start);
        like readline $administrator, qr/^\{.*\}$/, '... an administrator, too';
        $late->close;
    }
    is $keeper->said(qr/cannot accept connections at the control socket: Too many open files/), 5, '... who is told of in the log, once each time';
    is $keeper->said(qr/limit left: open descriptors/), 5, '... as is the end of it';
    cmp_ok $cpu, '<=', 0.05, '... meanwhile the keeper takes less than 5 % of a processor';
    cmp_ok $took, '<', 0.2, '... and goes on within 200 ms, for it looks ten times a second'; # the best of five, as above
}

# --- Many at once ---------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {queue_per_host => 4000, log_level => 'info'});
    my $got = load($world, '--clients', 2000, '--requests', 4000);
    is_deeply [@$got{qw(ok refused con_lost wrong empty cut)}], [4000, 0, 0, 0, 0, 0], '2,000 clients connect at once: none is refused, all are answered';
}

# --- Lines of 64 MiB ------------------------------------------------------------------------------

SKIP: {
    skip 'a sanitizer copies what it makes larger, and takes memory of its own', 7 if $ENV{LONC_SANITIZED};
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info'});
    my $keeper = $world->{keeper};
    my $most = (64 << 20) - 1;
    my $got = load($world, '--clients', 1, '--requests', 1, '--command', "size:$most");
    is $got->{ok}, 1, 'a reply of 64 MiB, its LF included, is delivered';
    is load($world, '--clients', 1, '--requests', 1, '--command', 'size:' . ($most + 1))->{con_lost}, 1, '... and one of a byte more is con_lost';
    $got = load($world, '--clients', 8, '--requests', 16, '--command', "size:$most");
    is $got->{ok} + $got->{con_lost}, 16, 'eight at once are more than the budget of 256 MiB: each is whole, or con_lost';
    cmp_ok $got->{ok}, '>=', 1, '... but not all con_lost';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and a small request is answered';
    cmp_ok peak($keeper), '<', 256 + 32, '... and the memory stays within the budget';
    diag sprintf '%d whole, %d con_lost; at most %d MB', @$got{qw(ok con_lost)}, peak($keeper);
    ok Lonc::within($Lonc::PATIENCE, sub { load($world, '--clients', 1, '--requests', 1, '--command', "size:$most")->{ok} == 1 }), '... and all of it is free again';
}

# --- A runtime_dir that is full -------------------------------------------------------------------

SKIP: {
    my $world = Lonc->new;
    my $run = $world->path('run');
    skip 'only root can have a full disk', 1 if $> != 0 || system('mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', $run) != 0;
    my $fill = sub { open my $file, '>', "$run/ballast"; 1 while syswrite $file, 'x' x 1024 };
    my $lond = $world->lond('msul1');
    my $keeper = $world->keeper;
    $world->activate('msul1');
    $fill->();
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'runtime_dir is full: requests are answered';
    ok $keeper->tells('reload')->{ok}, '... a reload succeeds';
    ok $keeper->tells('status'), '... and administrators are answered';
    $keeper->kill_hard;
    my $next = $world->keeper;
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... a new keeper takes the place of a killed one';
    $next->end;
    is $next->{status}, 0, '... which leaves as it should';
    is $world->ask('msul1', 'ping'), 'con_lost', '... and without a keeper the shim answers';
    system 'umount', '--lazy', $run;
}

# --- A clock that steps ---------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {deferred_hold => '200ms', client_idle_timeout => '60s'});
    my $set = sub { $world->write_file('clock', pack 'q', $_[0]) };
    my $step = sub {
        open my $clock, '+<', $world->path('clock') or die "clock: $!";
        syswrite $clock, pack 'q', 86400 * $_[0];
    };
    $set->(0);
    my $lond = $world->lond('msul1', '--count-texts');
    my $keeper = $world->keeper(wrapper => ['env', 'LD_PRELOAD=' . Lonc::program('stepped-clock.so'), 'LONC_CLOCK=' . $world->path('clock')]);
    $world->activate('msul1');
    my $kept = $world->client('msul1');
    is $kept->ask('echo:before'), 'before', '(a client is in conversation)';
    my $n = 0;
    for my $days (1, -1, 400, -400, 0) {
        my ($slow) = $world->asking("msul1", "sleep:300:slow $n");
        $lond->has(1, 'busy') or die 'no request in flight';
        my $file = drop($world, 'msul1', ++$n, "count:$n");
        $step->($days);
        like $keeper->tells('events-none')->{errors}[0], qr/unknown verb/, '(the keeper has heard of nothing but that)' if $n == 1;
        is $slow->line, "slow " . ($n - 1), "the clock steps to $days days from now: a request in flight is answered";
        is $kept->ask("echo:$days"), $days, '... a client in conversation stays';
        ok await_gone($world, $file), '... a deferred file goes';
    }
    is $lond->counts->{accepted}, $lond->counts->{peak}, '... no connection was closed for it';
    is $lond->control('repeated'), 0, '... nothing was executed twice';
    is $keeper->said(qr/dead|timed out/), 0, '... and nobody is dead';
    my %years = map { (split ' ', $_->[4])[4] => 1 } grep { $_->[1] eq 'S' } permlog($world);
    cmp_ok scalar(keys %years), '>=', 2, '(the S lines show that the keeper saw the steps)';

    $lond->end;
    Lonc::within($Lonc::PATIENCE, sub { $world->ask('msul1', 'ping') eq 'con_lost' && $keeper->said(qr/host is dead/) });
    for my $days (0, -1, 1) {
        $step->($days);
        is $world->ask('msul1', "lonc_defer:count:stored $days"), 'con_delayed', "a transaction is stored, $days days from now";
    }
    is scalar(my @left = left($world)), 3, '... under three names';
    $lond = $world->lond('msul1', '--count-texts');
    $keeper->signal('USR1');
    ok Lonc::within($Lonc::PATIENCE, sub { !left($world) }), '... and all are delivered';
    is_deeply [map { $lond->executed("count:stored $_") } 0, -1, 1], [1, 1, 1], '... once';
}

done_testing;
