# SPDX-License-Identifier: GPL-3.0-or-later
#
# A DNS server that answers as it is told: rightly, late, never, or wrongly in every way that a packet can be wrong.
#
#     my $dns = Dns->new($world, 'msul1.example.edu' => {A => ['127.0.0.1']});
#     $world->{settings}{resolve_servers} = $dns->{at};
#     $dns->says('msul1.example.edu' => {A => ['127.0.0.2'], how => 'hold'});
#     $dns->await_question('msul1.example.edu', 'A');
#     $dns->release;                     # answers what was held, as it was last told to
#
# A name that it was not told about does not exist. A name without addresses of a type has none of that type.
# `how`, for one type `how_A` or `how_AAAA`:
#     answer          answers rightly (the default)
#     silent          does not answer
#     hold            answers when it is released
#     servfail, refused, nxdomain
#     garbage         bytes that are no message; once with the question's id
#     wrong-id, wrong-question
#     short           a message that ends inside a record
#     loop            a record whose name points at itself
#     truncated       by UDP only the flag that the answer does not fit; by TCP the answer
#     no-tcp          the same, but the end of the stream by TCP
#     alias           the addresses behind a CNAME
package Dns;
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;
use Socket qw(AF_INET6 inet_aton inet_pton);
our @ISA = ('Lonc::Process');

sub new {
    my ($class, $world, %zone) = @_;
    my $at = "$world->{net}." . ($world->{first} + 38 - $world->{dns_servers}++) . ':5300';
    my $lib = __FILE__ =~ s{/[^/]*$}{}r;
    my $self = $world->start('DNS server', [$^X, "-I$lib", '-mDns', '-e', 'Dns::serve(@ARGV)', $at]);
    $self->await(qr/^ready$/m);
    @$self{qw(at control)} = ($at, IO::Socket::INET->new(PeerAddr => $at, Proto => 'udp'));
    $self = bless $self, $class;
    $self->says(%zone);
    return $self;
}

# Tells it what to answer from now on.
sub says {
    my ($self, %zone) = @_;
    $self->order('zone ' . encode_json(\%zone));
}

sub release { $_[0]->order('release') }

sub order {
    my ($self, $order) = @_;
    $self->{control}->send($order);
    my $ready = '';
    vec($ready, fileno($self->{control}), 1) = 1;
    select($ready, undef, undef, $Lonc::PATIENCE) or die "the DNS server does not hear: $order";
    $self->{control}->recv(my $answer, 16);
}

# How often a name was asked for, by type. (c-ares repeats a question that is not answered.)
sub asked { my ($self, $name, $type) = @_; return $self->said(qr/^asked \Q$name\E $type$/m) }
sub await_question { my ($self, $name, $type) = @_; $self->await(qr/asked \Q$name\E $type\n/) }

# --- The server -----------------------------------------------------------------------------------

my %types = (1 => 'A', 28 => 'AAAA');
my %rcodes = (servfail => 2, nxdomain => 3, refused => 5);
my (%zone, @held);

sub record { my ($name, $type, $data) = @_; return $name . pack('n n N n/a*', $type, 1, 300, $data) }

sub message {
    my ($id, $flags, $question, @records) = @_;
    return pack('n6', $id, 0x8180 | $flags, 1, scalar @records, 0, 0) . $question . join '', @records;
}

# The messages that answer a query: none, or '' for the end of the stream.
sub answers {
    my ($query, $tcp) = @_;
    my ($id) = unpack 'n', $query;
    my ($name, $type) = ('', 0);
    my $at = 12;
    while (my $length = ord substr $query, $at, 1) {
        $name .= ($name ne '' && '.') . lc substr $query, $at + 1, $length;
        $at += $length + 1;
    }
    ($type) = unpack 'n', substr $query, $at + 1;
    my $question = substr $query, 12, $at + 5 - 12;
    my $type_name = $types{$type} || $type;
    my $told = $zone{$name} || {how => 'nxdomain'};
    my $how = $told->{"how_$type_name"} || $told->{how} || 'answer';
    print "asked $name $type_name\n";
    return 'hold' if $how eq 'hold';
    return if $how eq 'silent';
    return message($id, $rcodes{$how}, $question) if $rcodes{$how};
    return ("\xff" x 40, pack('n', $id) . "\xff" x 38, 'x') if $how eq 'garbage';
    return message($id, 0x200, $question) if !$tcp && $how =~ /^(truncated|no-tcp)$/;
    return '' if $how eq 'no-tcp';
    my @data = map { $type_name eq 'A' ? inet_aton($_) : inet_pton(AF_INET6, $_) } @{$told->{$type_name} || []};
    my @records = map { record("\xc0\x0c", $type, $_) } @data;
    if ($how eq 'alias') {
        my $target = "\4real" . substr $question, 0, -4;
        @records = (record("\xc0\x0c", 5, $target), map { record($target, $type, $_) } @data);
    }
    return message($id ^ 1, 0, $question, @records) if $how eq 'wrong-id';
    return message($id, 0, "\5other" . $question, @records) if $how eq 'wrong-question';
    return substr message($id, 0, $question, @records), 0, -3 if $how eq 'short';
    return message($id, 0, $question, record(pack('n', 0xc000 | 12 + length $question), $type, $data[0])) if $how eq 'loop';
    return message($id, 0, $question, @records);
}

# `reply` sends one message to the client.
sub reply_to {
    my ($query, $tcp, $reply) = @_;
    my @answers = answers($query, $tcp);
    if (@answers && $answers[0] eq 'hold') { push @held, [$query, $tcp, $reply] }
    else { $reply->($_) for @answers }
}

sub serve {
    my ($at) = @_;
    $| = 1;
    my $udp = IO::Socket::INET->new(LocalAddr => $at, Proto => 'udp') or die "$at: $!";
    my $tcp = IO::Socket::INET->new(LocalAddr => $at, Listen => 10, ReuseAddr => 1) or die "$at: $!";
    my %streams;
    print "ready\n";
    while (1) {
        my $ready = '';
        vec($ready, fileno $_, 1) = 1 for $udp, $tcp, values %streams;
        select($ready, undef, undef, undef) > 0 or next;
        hear_datagram($udp) if vec $ready, fileno($udp), 1;
        if (vec $ready, fileno($tcp), 1) {
            my $stream = $tcp->accept;
            $streams{fileno $stream} = $stream;
        }
        for my $stream (grep { vec $ready, fileno($_), 1 } values %streams) {
            my $number = fileno $stream;
            delete $streams{$number} if !hear_stream($stream);
        }
    }
}

sub hear_datagram {
    my ($udp) = @_;
    my $from = $udp->recv(my $bytes, 65536);
    my $reply = sub { $udp->send($_[0], 0, $from) };
    if ($bytes =~ s/^zone //) { %zone = %{decode_json($bytes)} }
    elsif ($bytes eq 'release') { reply_to(@$_) for splice @held }
    else { return reply_to($bytes, 0, $reply) }
    $reply->('done');
}

# Reads a whole query at once, since so few bytes are not split on the loopback. False at the end of the stream.
sub hear_stream {
    my ($stream) = @_;
    my $there = 1;
    sysread $stream, my $bytes, 65536 or return 0;
    while ($there && length $bytes > 2) {
        my $length = unpack 'n', $bytes;
        reply_to(substr($bytes, 2, $length), 1, sub {
            $there = $_[0] ne '';
            syswrite $stream, pack('n/a*', $_[0]) if $there;
        });
        substr($bytes, 0, 2 + $length) = '';
    }
    return $there;
}

1;
