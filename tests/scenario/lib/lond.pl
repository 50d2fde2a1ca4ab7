#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A small lond that proves that the keeper speaks what Perl daemons understand. It has no code in common with the keeper or
# the stand-in lond: it forks a process for each connection, does TLS with IO::Socket::SSL and IDEA with Botan. It has no
# faults; those are for the stand-in lond.
#
#     lond.pl --listen 127.0.0.1:0 --id msul1 --peer annarborl1
#         [--ca FILE --certificate FILE --key FILE [--tls TLSv1_2]]   # it offers ssl
#         [--local FOLDER]                                            # it offers local; FOLDER has the key files
#         [--seed NUMBER]                                             # makes its random choices repeatable
#
# It is as strict as lonc-protocol(7). If a keeper sends what it must not, it prints `breach: ...` and closes the
# connection. On standard output it prints where it listens, and everything that a test may await or count, each line
# before the answer that it belongs to.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Getopt::Long;
use IO::Socket::INET;
use IO::Socket::SSL;
use POSIX ();
use Enciphered;

use constant LIFETIME => 600; # seconds; so that it does not outlive a test that was killed

my %with = (listen => '127.0.0.1:5663', seed => int rand 2**31);
GetOptions(\%with, map {"$_=s"} qw(listen id peer ca certificate key tls local seed)) or exit 2;
$with{$_} // die "lond.pl needs --$_\n" for qw(id peer);

sub event { syswrite STDOUT, "lond $$: @_\n" }
sub breach { event("breach: @_"); exit 1 }

# Unprintable bytes, for a log.
sub shown { return substr $_[0] =~ s/[^ -~]/?/gr, 0, 60 }

# The next line without its LF. At the end of the stream the process exits.
sub hear {
    my ($client) = @_;
    my $line = <$client>;
    if (!defined $line) {
        event('the connection has ended');
        exit 0;
    }
    chomp $line or breach('the stream ends within the line', shown($line));
    return $line;
}

sub expect {
    my ($client, $wanted) = @_;
    my $line = hear($client);
    $line eq $wanted or breach("not $wanted but", shown($line));
}

sub answer { my ($client, $line) = @_; print $client "$line\n" }

sub digits { my ($count, @alphabet) = @_; return join '', map { $alphabet[rand @alphabet] } 1 .. $count }

# The key comes in a file that only www on this machine can have written.
sub local_key {
    my ($client, $path) = @_;
    breach('local from', $client->peerhost) if $client->peerhost ne '127.0.0.1';
    breach('a key file elsewhere:', $path) if $path !~ m{^\Q$with{local}\E/lonc-key-[^/]+\z};
    my @stat = lstat $path or breach("no key file $path: $!");
    breach(sprintf 'a key file of mode %o', $stat[2]) if $stat[2] != (0100000 | 0600);
    open my $file, '<', $path or breach("$path: $!");
    my ($line, $more) = <$file>;
    breach('a key file with other than a line of 32 hex digits') if defined $more || $line !~ /^[0-9a-fA-F]{32}\n\z/;
    unlink $path or breach("removing $path: $!");
    answer($client, 'ok:local');
    return ('local', Enciphered::key_of_line($line));
}

# TLS uses a duplicate of the descriptor, so that its end does not close the connection. It ends without close_notify,
# which would be read as the first line of what follows.
sub ssl_key {
    my ($client) = @_;
    answer($client, 'ok:ssl');
    my $duplicate = IO::Socket::INET->new;
    $duplicate->fdopen(POSIX::dup(fileno $client), 'r+') or die "a duplicate of the descriptor: $!";
    my $tls = IO::Socket::SSL->start_SSL($duplicate, SSL_server => 1, SSL_ca_file => $with{ca},
        SSL_cert_file => $with{certificate}, SSL_key_file => $with{key},
        SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        $with{tls} ? (SSL_version => $with{tls}) : ());
    if (!$tls) {
        event("TLS failed: $SSL_ERROR");
        exit 0;
    }
    my $line = digits(32, 0 .. 9, 'a' .. 'f');
    event('ssl with', $tls->get_sslversion, 'and', $tls->peer_certificate('commonName'));
    print $tls "$line\n";
    $tls->close(SSL_no_shutdown => 1) or die "the end of TLS: $!";
    return ('ssl', Enciphered::key_of_line($line));
}

sub challenge {
    my ($client) = @_;
    my $challenge = digits(1 + int rand 30, 0 .. 9);
    answer($client, $challenge);
    expect($client, $challenge);
    answer($client, 'ok');
    return ('insecure');
}

# The mode that the keeper asks for, and whether it can have it.
sub authenticate {
    my ($client) = @_;
    my $init = hear($client);
    event('asked by', shown($init));
    my ($mode, $rest) = $init =~ /^init(?::(ssl|local|)(?::([^:]+))?)?\z/ or breach('not init but', shown($init));
    return ssl_key($client) if ($mode // '') eq 'ssl' && $with{ca};
    return local_key($client, $rest // '') if ($mode // '') eq 'local' && $with{local};
    return challenge($client);
}

# Everything before the first request. Returns the cipher.
sub handshake {
    my ($client) = @_;
    my ($mode, $key) = authenticate($client);
    expect($client, 'version');
    answer($client, 'version:$Revision: 1.578 $');
    expect($client, "sethost:$with{id}");
    answer($client, 'ok');
    if (!defined $key) {
        expect($client, 'ekey');
        my $build = digits(1 + int rand 40, 0 .. 9, 'A' .. 'Z', 'a' .. 'z');
        answer($client, $build);
        $key = Enciphered::key_of_build($with{id}, $with{peer}, $build);
    }
    event("idle by $mode");
    return Enciphered->new($key);
}

sub reply_to {
    my ($cipher, $command) = @_;
    my ($verb, $rest) = $command =~ /^(\w+)(?::(.*))?\z/s or return 'unknown_cmd';
    return "pong:$with{id}" if $verb eq 'ping';
    return $rest if $verb eq 'echo' && defined $rest;
    return $cipher->seal($rest, short => rand 2 < 1) if $verb eq 'secret' && defined $rest;
    return substr '0123456789abcdef' x ($rest / 16 + 1), 0, $rest if $verb eq 'size' && ($rest // '') =~ /^\d{1,8}\z/;
    return 'unknown_cmd';
}

sub serve {
    my ($client) = @_;
    my $cipher = handshake($client);
    while (1) {
        my $line = hear($client);
        my $enciphered = $line =~ /^enc:/;
        my $command = $enciphered ? $cipher->unseal($line) : $line;
        breach('no enciphered line:', shown($line)) if !defined $command;
        event($enciphered ? 'enciphered,' : 'in clear,', length $command, 'bytes');
        answer($client, reply_to($cipher, $command));
    }
}

my $listener = IO::Socket::INET->new(LocalAddr => $with{listen}, Listen => 128, ReuseAddr => 1)
    or die "listen at $with{listen}: $!\n";
my (%children, $accepted);
$SIG{TERM} = sub { kill TERM => keys %children; exit 0 };
alarm LIFETIME;
event('listens at ' . $listener->sockhost . ':' . $listener->sockport);

while (1) {
    my $client = $listener->accept or die "accept: $!\n";
    $accepted++;
    # A process that has ended is a zombie until here, so its pid cannot belong to another when TERM comes.
    while ((my $ended = waitpid -1, POSIX::WNOHANG()) > 0) { delete $children{$ended} }
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{TERM} = 'DEFAULT';
        alarm LIFETIME;
        srand $with{seed} + $accepted;
        close $listener;
        serve($client);
    }
    $children{$pid} = 1;
}
