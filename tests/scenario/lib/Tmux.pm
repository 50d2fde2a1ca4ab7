# SPDX-License-Identifier: GPL-3.0-or-later
#
# A terminal in which a test runs a program, types, and looks at the screen.
#
#     my $terminal = Tmux->new(80, 24, $world->path('tmux'), 'loncctl top');
#     $terminal->shows(qr/msul1/);
#     $terminal->types('q');
package Tmux;
use strict;
use warnings;
use Fcntl;
use POSIX ();
use Test::More ();
use Time::HiRes qw(time);
use Lonc;

my @all;

# Runs a shell command. The screen stays when it has ended.
sub new {
    my ($class, $columns, $rows, $socket, $command) = @_;
    my $self = bless {socket => $socket, owner => $$}, $class;
    unlink $socket;
    push @all, $self;
    # A program that uses the whole screen must restore in the end what was there before.
    $self->tmux('new-session', '-d', '-x', $columns, '-y', $rows, "echo before; $command; echo \"exit \$?\"; exec cat");
    POSIX::mkfifo("$socket.out", 0600) or die "$socket.out: $!";
    sysopen $self->{output}, "$socket.out", O_RDONLY | O_NONBLOCK or die "$socket.out: $!";
    $self->tmux('pipe-pane', '-O', "cat >$socket.out");
    return $self;
}

sub tmux {
    my ($self, @words) = @_;
    open my $out, '-|', 'tmux', '-u', '-f', '/dev/null', '-S', $self->{socket}, @words or die "tmux: $!";
    local $/;
    my $said = <$out> // '';
    close $out;
    utf8::decode($said);
    return $said;
}

# What is on the screen, on request with its colors.
sub screen { my ($self, @options) = @_; return $self->tmux('capture-pane', '-p', @options) }

# Waits until something is written to the screen, and a moment longer, since the screen may show it later.
sub hears {
    my ($self) = @_;
    my $ready = '';
    vec($ready, fileno $self->{output}, 1) = 1;
    select undef, undef, undef, 0.1 if select($ready, undef, undef, 1) && !sysread $self->{output}, my $bytes, 65536;
}

# Waits until the code returns true for the screen, and returns its last result.
sub until_it {
    my ($self, $code) = @_;
    my $end = time + $Lonc::PATIENCE;
    my $yes;
    $self->hears until ($yes = $code->()) || time > $end;
    return $yes;
}

# Waits until the screen matches; otherwise reports what it shows.
sub shows {
    my ($self, $wanted, @options) = @_;
    my $screen;
    return 1 if $self->until_it(sub { ($screen = $self->screen(@options)) =~ $wanted });
    Test::More::diag("not on the screen: $wanted\n$screen");
    return 0;
}

sub types { my ($self, @keys) = @_; $self->tmux('send-keys', @keys) }
sub resize { my ($self, $columns, $rows) = @_; $self->tmux('resize-window', '-x', $columns, '-y', $rows) }
sub end { my ($self) = @_; $self->tmux('kill-server') if $self->{owner} == $$ && !$self->{ended}++ }

END { local $?; $_->end for @all }

1;
