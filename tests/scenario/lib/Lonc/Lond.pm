# SPDX-License-Identifier: GPL-3.0-or-later
#
# A stand-in lond (tests/lond), which is asked and told what to do at its control socket.
package Lonc::Lond;
use strict;
use warnings;
use IO::Socket::UNIX;
use Lonc::Process;
our @ISA = ('Lonc::Process');

sub control {
    my ($self, $line) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{control}) or die "control of $self->{name}: $!";
    $socket->print("$line\n");
    my $answer = <$socket> // die "no answer of $self->{name} to $line";
    chomp $answer;
    return $answer;
}

sub executed { $_[0]->control("executed $_[1]") }
sub connections { $_[0]->control('connections') }
sub counts { require JSON::PP; JSON::PP::decode_json($_[0]->control('counts')) }

# Waits until that number of its connections are in a state ('connections', 'idle', 'busy' or 'open').
sub has {
    my ($self, $number, $state, $patience) = @_;
    my $has;
    Lonc::within($patience || 10, sub { ($has = $self->control($state)) == $number });
    return $has == $number;
}
sub peak { $_[0]->control('peak') }
sub open_connections { $_[0]->control('open') }

1;
