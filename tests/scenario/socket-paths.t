#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The paths of sockets, removed or replaced by somebody: a keeper that bound its own binds them anew, and asks
# lonc-hosts, by touching `reloaded`, for those that systemd has. What is wrong meanwhile is in its status.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time sleep);
use Lonc;

sub trouble { my ($world) = @_; return join ' ', map {"$_->{trouble}: $_->{detail}"} @{$world->{keeper}->tells('status')->{troubles}} }
sub asked { my ($world) = @_; return $world->read_file('run/reloaded') // '' }

# lonc-hosts is asked, within a second.
sub is_asked {
    my ($world, $before, $what) = @_;
    my $start = time;
    ok Lonc::within($Lonc::PATIENCE, sub { asked($world) =~ /\n/ && asked($world) ne $before }), "$what: lonc-hosts is asked to mend it";
    cmp_ok time - $start, '<', 2, sprintf '... after %.2f s', time - $start;
    return asked($world);
}

# --- Bound by the keeper itself -------------------------------------------------------------------

{
    my ($world) = Lonc->up;
    my %away = (
        'removed' => sub { unlink $_[0] },
        'moved away' => sub { rename $_[0], "$_[0].away" },
        'replaced by a file' => sub { open my $file, '>', "$_[0].new"; rename "$_[0].new", $_[0] },
        'replaced by a listener that is not ours' => sub {
            unlink "$_[0].new";
            $world->{stranger} = IO::Socket::UNIX->new(Local => "$_[0].new", Listen => 1) or die "listen: $!";
            rename "$_[0].new", $_[0];
        },
        'replaced by a link' => sub { unlink "$_[0].new"; symlink 'elsewhere', "$_[0].new"; rename "$_[0].new", $_[0] },
    );
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a keeper by itself, without systemd';
    for my $socket ('run/keeper.sock', 'run/control.sock') {
        for my $what (sort keys %away) {
            my $said = $world->{keeper}->said('listening at \S+ again');
            $away{$what}->($world->path($socket));
            ok Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->said('listening at \S+ again') > $said }), "$socket $what: the keeper listens again";
            is $world->ask('msul1', 'ping'), 'pong:msul1', '... a client is served';
            is trouble($world), '', '... loncctl is, too, and there is no trouble left';
        }
    }
    # A folder is nobody's to remove.
    my $path = $world->path('run/keeper.sock');
    $world->{keeper}->pause;
    unlink $path;
    mkdir $path or die "mkdir: $!";
    $world->{keeper}->resume;
    ok Lonc::within($Lonc::PATIENCE, sub { trouble($world) =~ /^sockets: \Q$path\E: a folder is in its place$/ }), 'a folder in its place is a trouble';
    rmdir $path;
    ok Lonc::within($Lonc::PATIENCE, sub { trouble($world) eq '' }), '... that ends with it';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and a client is served';

    # All of runtime_dir.
    rename $world->path('run'), $world->path('run.old') or die "rename: $!";
    mkdir $world->path('run');
    ok Lonc::within($Lonc::PATIENCE, sub { -S $path && -S $world->path('run/control.sock') }), 'runtime_dir made anew: the sockets are in the new one';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and a client is served';
    is trouble($world), '', '... without a trouble';
    my $before = $world->{keeper}->settled_descriptors;
    for (1 .. 20) {
        my $said = $world->{keeper}->said('listening at \S+ again');
        unlink $path;
        Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->said('listening at \S+ again') > $said });
    }
    is $world->{keeper}->settled_descriptors, $before, 'twenty times more: no descriptor is lost';
    cmp_ok $world->{keeper}->tells('status')->{descriptors}, '>=', $before - 2, '... nor counted wrong';
    $world->{keeper}->signal('TERM');
    is $world->{keeper}->wait_exit, 0, 'it leaves in good order';
    ok !-e $path, '... and takes the path with it';
}

# --- Passed by systemd ----------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1', 'msul2']);
    my $channel = $world->channel_listener;
    my $control = IO::Socket::UNIX->new(Local => $world->path('run/control.sock'), Listen => 10) or die "control: $!";
    $world->keeper(channel => $channel, control => $control);
    my $path = $world->path('run/keeper.sock');
    is trouble($world), '', 'sockets that systemd passes';

    my $before = asked($world);
    unlink $path;
    is_asked($world, $before, 'the channel is removed');
    is trouble($world), "sockets: $path: it is gone", '... and it is a trouble';
    my $other = $world->channel_listener;
    ok Lonc::within($Lonc::PATIENCE, sub { !-e $path }), 'another listener in its place is removed, so that lonc-hosts sees what is missing';
    close $other;

    # Until it can be mended it is asked for now and then, not in a loop.
    my $start = time;
    my %times;
    while (time < $start + 4) {
        $times{asked($world)}++;
        mkdir "$path.new"; # stirs the folder
        rmdir "$path.new";
        sleep 0.02;
    }
    cmp_ok scalar(keys %times), '<=', 6, 'lonc-hosts is asked ' . keys(%times) . ' times in 4 s at most, whatever happens meanwhile';
}

# --- The hosts' sockets ---------------------------------------------------------------------------

{
    my ($world) = Lonc->up(hosts => ['msul1', 'msul2']);
    my $socket = $world->path('sockets/msul1');
    my $asked = asked($world);
    unlink $socket;
    $asked = is_asked($world, $asked, "a host's socket is removed");
    sleep 1;
    my $mine = $world->host_listener('msul2');
    sleep 1;
    is asked($world), $asked, 'one that is replaced by its owner (a restart) is not asked for';
    unlink $world->path('sockets/msul2');
    $world->write_file('sockets/msul2', '');
    $asked = is_asked($world, $asked, 'one that is replaced by a file');
    $world->write_file('sockets/nobody', '');
    unlink $world->path('sockets/nobody');
    unlink $world->path('sockets/msul2.lock');
    sleep 1.5;
    is asked($world), $asked, 'what is no socket of a host is nothing to ask for';
    rename $world->path('sockets'), $world->path('sockets.old') or die "rename: $!";
    mkdir $world->path('sockets');
    mkdir $world->path('sockets/delayed');
    $asked = is_asked($world, $asked, 'lonSockDir moved and made anew');
    sleep 1;
    my $new = $world->host_listener('msul1');
    unlink $socket;
    $asked = is_asked($world, $asked, 'and a socket in the new one is looked after');

    # A flood: each second at first, and then each 30.
    my $start = time;
    my %times;
    while (time < $start + 16) {
        $times{asked($world)}++;
        $world->write_file('sockets/msul1', '');
        unlink $socket;
        sleep 0.05;
    }
    cmp_ok scalar(keys %times), '<=', 12, 'removed all the time: lonc-hosts is asked ' . keys(%times) . ' times in 16 s';

    # What lonc-hosts has to say.
    is trouble($world), '', 'no trouble is known';
    $world->write_file('run/unserved.new', "$socket: failed\n$socket.example.edu: failed\n");
    rename $world->path('run/unserved.new'), $world->path('run/unserved');
    ok Lonc::within($Lonc::PATIENCE, sub { trouble($world) }), 'lonc-hosts could not mend two: it is a trouble';
    is trouble($world), "sockets: $socket: failed; and 1 more", '... that names the first';
    $world->write_file('run/unserved.new', "$socket: failed\n");
    rename $world->path('run/unserved.new'), $world->path('run/unserved');
    ok Lonc::within($Lonc::PATIENCE, sub { trouble($world) eq "sockets: $socket: failed" }), 'one is mended';
    $world->{keeper}->signal('TERM');
    $world->{keeper}->wait_exit;
    $world->keeper;
    is trouble($world), "sockets: $socket: failed", 'the next keeper knows it, too';
    unlink $world->path('run/unserved');
    ok Lonc::within($Lonc::PATIENCE, sub { trouble($world) eq '' }), 'all are mended: it is over';
}
done_testing;
