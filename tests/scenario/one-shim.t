#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# One shim for the listeners of all hosts: crowds, hosts that flood others, a shim that is stopped or killed under load, and
# the cost of thousands of listeners.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP;
use List::Util qw(max sum0);
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(time);
use Lonc;

# Each listener is open once here and twice in the child that becomes the shim.
Lonc::need_descriptors(12_000);

# How many clients a shim may hold while the keeper works: one message that is not acknowledged yet.
my $HELD = 16;

sub exit_code { my ($shim) = @_; my $status = $shim->wait_exit; return $status & 127 ? "signal $status" : $status >> 8 }

# A world whose hosts are all served by one lond, with a keeper and, in {listeners}, a listener for each host, as systemd
# has them.
sub world_of {
    my ($count, %settings) = @_;
    my $world = Lonc->new(hosts => ['host1'], settings => {log_level => 'notice', queue_per_host => 10_000, queue_total => 10_000, %settings});
    my $address = $world->{address}{host1};
    $world->{hosts} = [map {"host$_"} 1 .. $count];
    $world->{address} = {map { $_ => $address } @{$world->{hosts}}};
    $world->write_config;
    $world->start('lond', [Lonc::program('stand-in-lond'), '--listen', "$address:5663", '--ready-fd', 1, '--lifetime', 600])->await(qr/:5663/);
    $world->keeper;
    $world->{listeners} = [map { $world->host_listener($_) } @{$world->{hosts}}];
    return $world;
}

# Starts a shim for all listeners of the world, or for those given.
sub shim {
    my ($world, %with) = @_;
    return $world->shim(listeners => $world->{listeners}, %with, options => ['--linger', 600, @{$with{options} || []}]);
}

# Additional idle listeners, bound to a name and never connected to.
sub idle_listeners {
    my ($world, $count) = @_;
    my $at = $world->path('idle');
    return map { IO::Socket::UNIX->new(Local => "$at$_", Listen => 16) || die "listen: $!" } 1 .. $count;
}

# Makes clients of all hosts in turn, each of which has sent a request.
sub all_asking {
    my ($world, @texts) = @_;
    my $n = 0;
    return map { ($world->asking($world->{hosts}[$n++ % @{$world->{hosts}}], "echo:$_"))[0] } @texts;
}

sub answers { return [map { eval { $_->line($Lonc::PATIENCE) } // 'the end of the stream' } @_] }

# Starts clients of all hosts that make a connection for each request, for that long. Returns once they have begun.
sub start_load {
    my ($world, $clients, $seconds) = @_;
    my $load = $world->start('load', [Lonc::program('lonnet-load'), map({ ('--socket', $world->path("sockets/$_")) } @{$world->{hosts}}),
            '--clients', $clients, '--seconds', $seconds, '--warm', '--json']);
    $load->await(qr/^warm/m);
    return $load;
}

sub said {
    my ($load) = @_;
    $load->wait_exit(120);
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    return decode_json($json // die 'no numbers of ' . $load->log);
}

# systemd passes it, although it is of no use to a shim.
local $ENV{LISTEN_FDNAMES} = join ':', ('h') x 200;

# --- Crowds ---------------------------------------------------------------------------------------

{
    my $world = world_of(200);
    my $shim = shim($world);
    is $world->ask('host7', 'echo:first'), 'first', '200 listeners in one shim: a request is answered';
    my @clients;
    $shim->while_stopped(sub { @clients = all_asking($world, 1 .. 2000) });
    is_deeply answers(@clients), [1 .. 2000], '... and 2,000 that are there at once, ten of each host';

    $shim->end;
    local $ENV{LISTEN_FDNAMES} = 'not:as:many';
    $shim = shim($world);
    is $world->ask('host200', 'echo:again'), 'again', '... whatever the names of the descriptors are';

    # The keeper takes none of them, and no client waits longer than one with a shim of its own.
    $shim->end;
    $shim = shim($world, options => ['--ack-timeout', 1]);
    is $world->ask('host3', 'echo:before'), 'before', 'a keeper that takes a client';
    $world->{keeper}->pause;
    my $start = time;
    @clients = all_asking($world, 1 .. 1000);
    is_deeply answers(@clients), [('con_lost') x 1000], '... and is stopped: 1,000 clients of 200 hosts get con_lost';
    my $took = time - $start;
    cmp_ok $took, '<', 4, '... when their time is over, none of them after the others';
    diag sprintf 'the last after %.2f s', $took;
    $world->{keeper}->resume;
    is $world->ask('host3', 'echo:after'), 'after', '... and then it is served again';
}

# --- Whose turn it is -----------------------------------------------------------------------------

# A keeper that acknowledges when it is told to. It does not receive the descriptors of a message, so the kernel closes them:
# a client sees the end of the stream once it has been handed over and acknowledged.
package StepKeeper {
    sub new {
        my ($class, $world) = @_;
        my $listener = $world->channel_listener;
        return bless {listener => $listener}, $class;
    }

    # Receives one message. Returns the number of its clients.
    sub take {
        my ($self) = @_;
        accept($self->{channel}, $self->{listener}) or die "accept: $!" if !$self->{channel};
        my $ready = '';
        vec($ready, fileno($self->{channel}), 1) = 1;
        select($ready, undef, undef, 10) or return 0;
        sysread $self->{channel}, my $message, 100 or die 'the shim has closed the channel';
        syswrite $self->{channel}, pack 'a4 C a S', 'lonc', 1, 'T', 0;
        return unpack 'x6 S', $message;
    }
}

{
    my $world = Lonc->new(hosts => []);
    $world->{listeners} = [map { $world->host_listener("host$_") } 1 .. 20];
    my $keeper = StepKeeper->new($world);
    my $shim = shim($world, options => ['--ack-timeout', 120]);
    my @flood;
    $shim->while_stopped(sub { @flood = map { $world->client('host1') } 1 .. 1000 });
    $keeper->take for 1 .. 5;
    my $quiet = $world->client('host2');
    my $before = 0;
    Lonc::within(10, sub { $before += $keeper->take; $quiet->closed_within(0.01) });
    cmp_ok $before, '<=', 2 * $HELD, '1,000 clients of one host wait: one of another is handed over next to the message that is under way';
    diag "$before clients before that one and with it";

    # Hosts take turns: of 20 hosts with 50 clients each, every host has one among the first 32.
    my $taken = 5 * $HELD + $before;
    $taken += $keeper->take while $taken < 1001;
    is $taken, 1001, '... and all others follow';
    my @clients;
    $shim->while_stopped(sub { for my $n (1 .. 50) { push @clients, map { $world->client("host$_") } 1 .. 20 } });
    $keeper->take for 1 .. 2;
    my @served = grep { defined $_->closed_within(0.2) } @clients[0 .. 19];
    is scalar(@served), 20, '20 hosts with 50 clients each: the first of each is among the first two messages';

    # A client that the keeper does not take is accepted nevertheless, so that its time-out runs.
    ok Lonc::within($Lonc::PATIENCE, sub { $shim->descriptors > 800 }), 'a keeper that acknowledges no more: all who wait are accepted';
    $shim->kill_hard;
}

# --- Told to leave --------------------------------------------------------------------------------

{
    my $world = world_of(20);
    my @idle = idle_listeners($world, 1500);
    my @listeners = @{$world->{listeners}};
    push @{$world->{listeners}}, @idle;
    my $shim = shim($world);
    my $load = start_load($world, 100, 8);
    my (@took, %codes);
    for my $round (1 .. 12) {
        select undef, undef, undef, 0.1 + rand 0.1; # any moment of a load will do
        my $start = time;
        $shim->signal('TERM');
        $codes{exit_code($shim)}++;
        push @took, 1000 * (time - $start);
        $shim = shim($world);
        is $world->ask('host1', "echo:$round"), $round, 'the next shim serves'; # so that it hears the next SIGTERM
    }

    # As after the removal of a host: the path is gone, and only the shim still has the listener.
    my $gone = $world->host_listener('gone');
    $shim->signal('TERM');
    $codes{exit_code($shim)}++;
    $world->{address}{gone} = $world->{address}{host1};
    $world->write_config;
    $world->{keeper}->tells('reload');
    $shim = $world->shim(listeners => [@{$world->{listeners}}, $gone], options => ['--linger', 600]);
    close $gone;
    is $world->ask('gone', 'echo:here'), 'here', 'a host that will be removed is served';
    my @waiting;
    $shim->while_stopped(sub {
        @waiting = $world->asking('gone', map {"echo:$_"} 1 .. 200);
        unlink $world->path('sockets/gone');
        $shim->signal('TERM');
    });
    $codes{exit_code($shim)}++;
    $shim = shim($world);
    is_deeply answers(@waiting), [1 .. 200], 'told to leave under load, by a host that was removed with 200 clients waiting: all of them are answered';

    my $said = said($load);
    is_deeply [@$said{qw(con_lost wrong empty cut refused unanswered backlog_full)}], [(0) x 7], '20 hosts under load, 1,500 that are idle, 14 shims one after the other: no request is lost, none refused'
        or diag explain $said;
    diag sprintf '%.0f requests a second', $said->{rate};
    is_deeply \%codes, {0 => 14}, '... each shim leaves with 0';
    # On a busy machine clients leave when it is their turn to run.
    @took = sort { $a <=> $b } @took;
    my $limit = 100 + 50 * Lonc::round_trip_ms();
    cmp_ok $took[6], '<', $limit, '... in less than 100 ms';
    diag sprintf 'ms: %s; the limit is %.0f', join(' ', map { sprintf '%.1f', $_ } @took), $limit;
}

# --- Killed ---------------------------------------------------------------------------------------

{
    my $world = world_of(20);
    my $shim = shim($world);
    my $load = start_load($world, 100, 4);
    my $kills = 8;
    for my $round (1 .. $kills) {
        select undef, undef, undef, 0.1 + rand 0.1;
        $shim->kill_hard;
        $shim = shim($world);
    }
    my $said = said($load);
    is_deeply [@$said{qw(con_lost wrong cut refused unanswered backlog_full)}], [(0) x 6], "$kills shims killed under load: nobody is refused, nor told anything wrong" or diag explain $said;
    is $said->{ok} + $said->{empty}, $said->{requests}, '... each request is answered, or sees the end of the stream';
    cmp_ok $said->{empty}, '<=', $kills * $HELD, '... which are no more than what the keeper had not acknowledged';
    diag "$said->{empty} of $said->{requests} lost";
}

# --- What it costs --------------------------------------------------------------------------------

SKIP: {
    my ($strace) = grep {-x} map {"$_/strace"} split /:/, $ENV{PATH};
    skip 'strace is not installed', 4 if !$strace;
    skip 'a sanitizer makes calls of its own', 4 if $ENV{LONC_SANITIZED};
    my $world = world_of(2);
    my @hosts = @{$world->{listeners}};
    my @idle = idle_listeners($world, 2000);
    my (%a_request, %to_leave, %watched);
    for my $count (2, 2002) {
        my $trace = $world->path("trace$count");
        my $shim = $world->shim(listeners => [@hosts, $count > 2 ? @idle : ()], options => ['--linger', 600], wrapper => [$strace, '-D', '-qq', '-o', $trace]);
        is $world->ask('host1', 'echo:first'), 'first', "$count listeners: it serves";
        my $calls = sub { return grep {/^\w+\(/} split /\n/, $world->read_file("trace$count") };
        my $before = () = $calls->();
        $world->ask($_ % 2 ? 'host1' : 'host2', "echo:$_") for 1 .. 200;
        answers(all_asking($world, 1 .. 200));
        my $served = () = $calls->();
        $a_request{$count} = ($served - $before) / 400;
        $shim->signal('TERM');
        exit_code($shim);
        my @all;
        Lonc::within($Lonc::PATIENCE, sub { @all = $calls->(); $all[-1] =~ /^exit_group/ });
        $to_leave{$count} = @all - $served;
        my ($first) = grep { $all[$_] =~ /^accept4/ } 0 .. $#all;
        $watched{$count} = grep {/^epoll_ctl/} @all[$first .. $#all];
    }
    diag sprintf 'system calls a request: %.2f with 2 listeners, %.2f with 2,002; to leave: %d and %d', @a_request{2, 2002}, @to_leave{2, 2002};
    my $ratio = $a_request{2002} / $a_request{2};
    ok $ratio > 0.8 && $ratio < 1.25, 'a request takes as many system calls with 2,002 listeners as with 2' or diag $ratio;
    cmp_ok $to_leave{2002}, '<', 20, '... and leaving, when nobody waits, hardly any';
    is_deeply \%watched, {2 => 1, 2002 => 1}, '... the channel alone is watched when the listeners are';
}

done_testing;
