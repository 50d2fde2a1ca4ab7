# SPDX-License-Identifier: GPL-3.0-or-later
#
# A client that speaks as lonnet does: lines out, lines in.
package Lonc::Client;
use strict;
use warnings;
use IO::Poll;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

sub new { return bless {socket => $_[1], rest => ''}, $_[0] }

sub send {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $self->{socket}->blocking(1);
    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes;
        return 0 unless defined $n;
        substr($bytes, 0, $n) = '';
    }
    return 1;
}

# The next line without its LF. undef at the end of the stream; an unfinished line is then in {rest}.
sub line {
    my ($self, $patience) = @_;
    my $end = time + ($patience || 150);
    while ((my $at = index $self->{rest}, "\n") < 0) {
        my $ready = '';
        vec($ready, fileno($self->{socket}), 1) = 1;
        my $left = $end - time;
        die "no answer in time" if $left <= 0 || !select($ready, undef, undef, $left);
        my $n = sysread $self->{socket}, $self->{rest}, 1 << 20, length $self->{rest};
        return undef unless $n;
    }
    my $line = substr $self->{rest}, 0, index($self->{rest}, "\n") + 1, '';
    chomp $line;
    return $line;
}

# Everything until the end of the stream. {error} is set if there was an error instead.
sub everything {
    my ($self, $patience) = @_;
    my $end = time + ($patience || 150);
    while (1) {
        my $ready = '';
        vec($ready, fileno($self->{socket}), 1) = 1;
        my $left = $end - time;
        die "no end of the stream in time" if $left <= 0 || !select($ready, undef, undef, $left);
        my $n = sysread $self->{socket}, $self->{rest}, 1 << 20, length $self->{rest};
        $self->{error} = "$!" unless defined $n;
        last unless $n;
    }
    return $self->{rest};
}

sub ask { my ($self, $request) = @_; $self->send("$request\n"); return $self->line }
sub half_close { shutdown $_[0]{socket}, 1 }

# Waits until the other side closes, without reading. Returns how many seconds that took, undef if it did not.
sub closed_within {
    my ($self, $seconds) = @_;
    my $start = time;
    my $poll = IO::Poll->new;
    $poll->mask($self->{socket}, IO::Poll::POLLHUP());
    return $poll->poll($seconds) > 0 ? time - $start : undef;
}

# Whether there is nothing to read, not even the end of the stream.
sub hears_nothing {
    my ($self) = @_;
    my $ready = '';
    vec($ready, fileno($self->{socket}), 1) = 1;
    return $self->{rest} eq '' && !select($ready, undef, undef, 0);
}
sub close { close $_[0]{socket} }

1;
