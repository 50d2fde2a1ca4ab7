#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The keeper's own troubles, those that are limits of the service as a whole: each is made and cleared, and looked
# for wherever it is shown: the control socket, loncctl, the metrics, the events, and systemd's STATUS=.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;
use Lonc;

my $loncctl = Lonc::program('loncctl');

# A world with one lond whose keeper has somebody to tell its status to, as systemd is.
sub world {
    my ($settings, %with) = @_;
    my $world = Lonc->new(settings => $settings);
    $world->{notified} = IO::Socket::UNIX->new(Local => $world->path('notify'), Type => SOCK_DGRAM) or die "notify: $!";
    $world->{lond} = $world->lond('msul1');
    $world->keeper(wrapper => ['env', 'NOTIFY_SOCKET=' . $world->path('notify')], %with);
    $world->activate('msul1');
    return $world;
}

# Waits until STATUS= is such, whatever it was before; what it was last.
sub status_becomes {
    my ($world, $wanted) = @_;
    my $end = time + $Lonc::PATIENCE;
    my $is = $world->{status_line} // '';
    while ($is !~ $wanted && time < $end) {
        IO::Select->new($world->{notified})->can_read(1) or next;
        $world->{notified}->recv(my $text, 65536);
        $is = $1 if $text =~ /^STATUS=(.*)$/m;
    }
    return $world->{status_line} = $is;
}

sub troubles { my ($world) = @_; return map { $_->{trouble} } @{$world->{keeper}->tells('status')->{troubles}} }
sub ask_loncctl { my ($world, @words) = @_; return scalar `$loncctl --socket @{[$world->path('run/control.sock')]} @words 2>&1` }

# It is there, everywhere.
sub is_there {
    my ($world, $kind, $what) = @_;
    Lonc::within($Lonc::PATIENCE, sub { grep { $_ eq $kind } troubles($world) });
    is_deeply [troubles($world)], [$kind], "$what is a trouble";
    my ($trouble) = @{$world->{keeper}->tells('status')->{troubles}};
    ok $trouble->{$_}, "... that says its $_: $trouble->{$_}" for qw(detail cost remedy);
    like status_becomes($world, qr/troubles: $kind$/), qr/; troubles: $kind$/, '... STATUS= has it, though nothing else changed';
    like ask_loncctl($world, 'status'), qr/^lonc-keeper .*\nTROUBLE: $kind, for \d+s\n/, '... loncctl status begins with it';
    like ask_loncctl($world, 'metrics'), qr/^lonc_trouble\{trouble="$kind"\} 1$/m, '... the metrics count it';
}

sub is_gone {
    my ($world, $kind, $why) = @_;
    ok Lonc::within($Lonc::PATIENCE, sub { !troubles($world) }), "$why: it is over";
    unlike status_becomes($world, qr/^(?!.*troubles)/), qr/troubles/, '... STATUS= says so';
    unlike ask_loncctl($world, 'status'), qr/TROUBLE/, '... loncctl status too';
    like ask_loncctl($world, 'metrics'), qr/^lonc_trouble\{trouble="$kind"\} 0$/m, '... and the metrics';
    like $world->{events}->line, qr/"event":"trouble".*"message":"$kind: /, '... whoever follows the events was told of the beginning';
    like $world->{events}->line, qr/"event":"trouble-over".*"message":"$kind: mended after/, '... and of the end';
}

# Events of troubles alone.
package Follower;
sub new { my ($class, $world) = @_; my $self = bless $world->client_at($world->path('run/control.sock')), $class; $self->send("events\n"); return $self }
our @ISA = ('Lonc::Client');
sub line { my ($self) = @_; while (defined(my $line = $self->SUPER::line)) { return $line if $line =~ /"event":"trouble/ } return undef }
package main;

{
    my $world = world({connections_per_host => 1, queue_per_host => 2, queue_total => 2, drain_timeout => '100ms'});
    $world->{events} = Follower->new($world);
    is_deeply [troubles($world)], [], 'a keeper that is well has no trouble';
    my @sent = $world->asking('msul1', 'sleep:60000:held');
    $world->{lond}->has(1, 'busy') or die 'no request in flight';
    push @sent, $world->asking('msul1', 'echo:first');
    Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->tells('status')->{queued} == 1 });
    push @sent, $world->asking('msul1', 'echo:second');
    Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->tells('status')->{queued} == 2 });
    status_becomes($world, qr/2 queued/);
    # One host's own limit is that host's; all hosts' is the keeper's.
    is $world->ask('msul1', 'echo:third'), 'con_lost', '(a request finds the queue of its host full)';
    is_deeply [troubles($world)], [], "a host's own limit is no trouble of the keeper's";
    $_->close for @sent;
}

{
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {connections_per_host => 1, queue_per_host => 2, queue_total => 2, drain_timeout => '100ms'});
    $world->{notified} = IO::Socket::UNIX->new(Local => $world->path('notify'), Type => SOCK_DGRAM) or die "notify: $!";
    my %lond = map { $_ => $world->lond($_) } 'msul1', 'msul2';
    $world->keeper(wrapper => ['env', 'NOTIFY_SOCKET=' . $world->path('notify')]);
    $world->activate($_) for 'msul1', 'msul2';
    $world->{events} = Follower->new($world);
    my @sent;
    for my $host ('msul1', 'msul2') {
        push @sent, $world->asking($host, 'sleep:60000:held');
        $lond{$host}->has(1, 'busy') or die 'no request in flight';
        push @sent, $world->asking($host, 'echo:waits');
    }
    Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->tells('status')->{queued} == 2 });
    status_becomes($world, qr/2 queued/);
    is $world->ask('msul1', 'echo:third'), 'con_lost', 'a request finds the queue of all hosts full';
    is_there($world, 'queue-limit', 'queue_total that is reached');
    $_->close for @sent;
    is_gone($world, 'queue-limit', 'those who waited have left');
}

SKIP: {
    skip 'a sanitizer copies what it makes larger', 14 if $ENV{LONC_SANITIZED};
    my $world = world({buffers_limit => '1M', line_limit => '1M'});
    $world->{events} = Follower->new($world);
    is $world->ask('msul1', 'ping'), 'pong:msul1', '(the host is known)';
    my $holder = $world->client('msul1');
    $holder->send('x' x 400_000);
    my $other = $world->client('msul1');
    $other->send('y' x 700_000 . "\n");
    is $other->line, 'con_lost', 'a request finds no memory';
    is_there($world, 'memory', 'buffers_limit that is reached');
    $holder->close;
    is_gone($world, 'memory', 'who held the memory has left');
}

{
    my $world = world({}, descriptors => 64);
    $world->{events} = Follower->new($world);
    my @holding = map { $world->client('msul1') } 1 .. 40;
    is_there($world, 'descriptors', 'a limit of descriptors that is reached');
    $_->close for @holding;
    is_gone($world, 'descriptors', 'those who held them have left');
}

# Not clients, but a connection to a lond lacks the descriptor: another of those who begin it, and its end.
{
    my $world = world({retry_delay => '10ms', log_level => 'debug'});
    my $keeper = $world->{keeper};
    my $client = $world->client('msul1');
    is $client->ask('close_connection_exit'), 'con_lost', '(a client is there)';
    $world->{events} = Follower->new($world);
    my @asking = map { $world->client_at($world->path('run/control.sock')) } 1 .. 2;
    Lonc::within($Lonc::PATIENCE, sub { $keeper->settled_descriptors });
    my ($lowest) = grep { !-e "/proc/$keeper->{pid}/fd/$_" } 3 .. 1000;
    system 'prlimit', "--pid=$keeper->{pid}", "--nofile=$lowest:" and die 'prlimit';
    $client->send("echo:waits\n");
    $keeper->await(qr/descriptors: the limit of open descriptors is met/);
    $asking[0]->send("status\n");
    is_deeply [map { $_->{trouble} } @{decode_json($asking[0]->line)->{troubles}}], ['descriptors'], 'the kernel has no descriptor for a connection to lond: a trouble';
    system 'prlimit', "--pid=$keeper->{pid}", '--nofile=1024:' and die 'prlimit';
    is $client->line, 'waits', '... and when it has, the request is answered';
    ok Lonc::within(5, sub { !troubles($world) }), '... and the trouble is over';
}

done_testing;
