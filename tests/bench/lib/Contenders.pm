# SPDX-License-Identifier: GPL-3.0-or-later
#
# The contenders of the bench. Each has a name, a way for lonnet-load to reach it (`at`), and its processes, of which the
# peer is the last; of a `group`, the best can be chosen. All of them run all the time; an idle one costs nothing.
package Contenders;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;
use Lonc;

our @EXPORT = qw(peer direct floor shared per_connection proxyd haproxy socat);

my $world;
sub in_world { $world = $_[1] }

# Starts a program under the name that the tables use.
sub ready {
    my ($name, $said, @command) = @_;
    my $process = $world->start($name, \@command);
    $process->await($said);
    return $process;
}

# The same for a program that does not announce that it listens.
sub listening {
    my ($socket, $name, @command) = @_;
    my $process = $world->start($name, \@command);
    Lonc::within($Lonc::PATIENCE, sub { IO::Socket::UNIX->new(Peer => $socket) }) or die "$name does not listen: " . $process->log;
    return $process;
}

sub through { my ($path) = @_; return ['--socket', $path] }

# Starts a peer at the addresses of some hosts of the world.
sub peer {
    my ($hosts, @options) = @_;
    my @addresses = map {"$world->{address}{$_}:5663"} @$hosts;
    my $peer = ready('peer', qr/ready/, Lonc::program('bench-peer'), @options, @addresses);
    ($peer->{address}, @{$peer->{others}}) = @addresses;
    return $peer;
}

# A relay that makes a connection for each client has an address of its own: the port of a connection stays in use for
# a minute after its end, and an address has 28,000.
sub own_address { my ($peer) = @_; return shift @{$peer->{others}} // die "more relays than addresses\n" }

# No relay: kept connections directly to the peer.
sub direct {
    my ($peer, %with) = @_;
    return {name => 'direct', processes => [$peer], at => ['--tcp', $peer->{address}, '--handshake-remote', 'msul1'], %with};
}

# Relays without features. bench-floor explains the ways to hand over.
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

# One shim for all connections.
sub shared {
    my ($peer) = @_;
    my $keeper = keeper();
    my $shim = $world->shim(listeners => [$world->host_listener('msul1')], options => ['--linger', 86400]);
    $shim->{name} = 'shim';
    return {name => 'lonc-keeper, shared shim', processes => [$shim, $keeper, $peer], at => through($world->path('sockets/msul1'))};
}

# A shim for each connection. It needs a host of its own, at the same address, because the keeper takes the host from
# the name of the client's socket.
sub per_connection {
    my ($peer) = @_;
    my $keeper = keeper();
    my $starter = $world->activate('msul3', mode => 'accept');
    $starter->{name} = 'shims';
    return {name => 'lonc-keeper, a shim each', processes => [$starter, $keeper, $peer], at => through($world->path('sockets/msul3'))};
}

# --- Alternatives ---------------------------------------------------------------------------------
#
# They know nothing of lond: each client gets a connection to the peer. If the peer asks everybody for a handshake, each
# client has to make it itself (`strict`).

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

# With its default, a thread for each processor, it is sometimes faster and sometimes slower than with one thread, since
# the load and the peer need processors too.
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
