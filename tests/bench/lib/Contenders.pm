# SPDX-License-Identifier: GPL-3.0-or-later
#
# Who takes part in the bench: each a name, how lonnet-load reaches it (`at`), and the processes behind
# it, the peer last; the best of a `group` can be asked for. All of them are there all the time; who has
# nothing to do costs the others nothing.
package Contenders;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;
use Lonc;

our @EXPORT = qw(peer direct floor shared per_connection proxyd haproxy socat);

my $world;
sub in_world { $world = $_[1] }

# Starts a program; its name is what the tables call it.
sub ready {
    my ($name, $said, @command) = @_;
    my $process = $world->start($name, \@command);
    $process->await($said);
    return $process;
}

# The same for one that says nothing when it listens.
sub listening {
    my ($socket, $name, @command) = @_;
    my $process = $world->start($name, \@command);
    Lonc::within($Lonc::PATIENCE, sub { IO::Socket::UNIX->new(Peer => $socket) }) or die "$name does not listen: " . $process->log;
    return $process;
}

sub through { my ($path) = @_; return ['--socket', $path] }

# A lond that echoes, at the addresses of some hosts of the world.
sub peer {
    my ($hosts, @options) = @_;
    my @addresses = map {"$world->{address}{$_}:5663"} @$hosts;
    my $peer = ready('peer', qr/ready/, Lonc::program('bench-peer'), @options, @addresses);
    ($peer->{address}, @{$peer->{others}}) = @addresses;
    return $peer;
}

# An address of its own for each relay that connects for each client: a connection's port is taken for a
# minute after its end, and there are 28,000 for an address.
sub own_address { my ($peer) = @_; return shift @{$peer->{others}} // die "more relays than addresses\n" }

# Without a relay: connections to the peer that are kept.
sub direct {
    my ($peer, %with) = @_;
    return {name => 'direct', processes => [$peer], at => ['--tcp', $peer->{address}, '--handshake-remote', 'msul1'], %with};
}

# Featureless relays; bench-floor tells the ways to hand over.
sub floor {
    my ($peer, $handover, %with) = @_;
    my ($socket, $channel) = map { $world->path("run/$handover-$_") } qw(socket channel);
    my $relay = ready('relay', qr/ready/, Lonc::program('bench-floor'), 'relay', $channel, $peer->{address}, $handover);
    my $shim = ready('shim', qr/ready/, Lonc::program('bench-floor'), 'shim', $socket, $channel, $handover);
    return {processes => [$shim, $relay, $peer], at => through($socket), %with};
}

sub keeper {
    my $keeper = $world->{keeper};
    if (!$keeper) {
        $world->{address}{msul3} = $world->{address}{msul1};
        $world->write_config;
        $keeper = $world->keeper;
    }
    $keeper->{name} = 'keeper';
    return $keeper;
}

# A shim that stays.
sub shared {
    my ($peer) = @_;
    my $keeper = keeper();
    my $shim = $world->shim(listeners => [$world->host_listener('msul1')], options => ['--linger', 86400]);
    $shim->{name} = 'shim';
    return {name => 'lonc-keeper, shared shim', processes => [$shim, $keeper, $peer], at => through($world->path('sockets/msul1'))};
}

# A shim for each connection. It has a host of its own, at the same address: the keeper takes a client's
# host from the name of the socket that it came by.
sub per_connection {
    my ($peer) = @_;
    my $keeper = keeper();
    my $starter = $world->activate('msul3', mode => 'accept');
    $starter->{name} = 'shims';
    return {name => 'lonc-keeper, a shim each', processes => [$starter, $keeper, $peer], at => through($world->path('sockets/msul3'))};
}

# --- What one would take instead ------------------------------------------------------------------
#
# They know nothing of lond: each client gets a connection to the peer. Where the peer asks everybody for
# a handshake, each client has to shake hands itself (`strict`).

sub other {
    my ($name, $socket, $process, $peer, $strict) = @_;
    return {name => $strict ? "$name, handshakes" : $name, processes => [$process, $peer], group => $strict ? 'others, handshakes' : 'others',
        at => [@{through($socket)}, $strict ? ('--handshake-remote', 'msul1') : ()]};
}

my $number = 0;
sub new_socket { return $world->path('run/other-' . $number++) }

sub proxyd {
    my ($peer, $strict) = @_;
    my $socket = new_socket();
    my ($program) = grep {-x} map {"$_/systemd/systemd-socket-proxyd"} qw(/usr/lib /lib) or die "no systemd-socket-proxyd\n";
    my $process = ready('socket-proxyd', qr/Listening on/, 'systemd-socket-activate', '--listen', $socket,
        $program, '--connections-max=4096', own_address($peer));
    return other('systemd-socket-proxyd', $socket, $process, $peer, $strict);
}

# Neither as many threads as there are processors, which is its default, nor one alone is always the faster
# here, where the load and the peer need processors too.
sub haproxy {
    my ($peer, $strict, $threads) = @_;
    my $socket = new_socket();
    my $file = (split m{/}, $socket)[-1] . '.cfg';
    my $address = own_address($peer);
    $world->write_file($file, <<"END");
global
    nbthread $threads
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option tcp-smart-connect
frontend host
    bind $socket backlog 4096
    default_backend lond
backend lond
    server lond $address
END
    my $process = listening($socket, 'haproxy', 'haproxy', '-db', '-f', $world->path($file));
    return other('HAProxy, ' . ($threads == 1 ? '1 thread' : "$threads threads"), $socket, $process, $peer, $strict);
}

sub socat {
    my ($peer, $strict) = @_;
    my $socket = new_socket();
    my $process = listening($socket, 'socat', 'socat', "UNIX-LISTEN:$socket,fork,backlog=4096",
        'TCP:' . own_address($peer) . ',nodelay');
    return other('socat', $socket, $process, $peer, $strict);
}

1;
