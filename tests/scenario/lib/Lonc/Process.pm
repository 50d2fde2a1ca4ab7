# SPDX-License-Identifier: GPL-3.0-or-later
#
# A process that a test has started: its log, its exit, what the kernel says about it and, for a keeper, what its
# control socket answers. Lonc.pm makes it.
package Lonc::Process;
use strict;
use warnings;
use IO::Socket::UNIX;
use POSIX ();
use Time::HiRes qw(time);

sub drain {
    my ($self) = @_;
    while (sysread $self->{out}, my $bytes, 65536) { $self->{log} .= $bytes }
}

# Waits until the log matches, behind the last match. Dies if that does not happen in time.
sub await {
    my ($self, $wanted, $patience) = @_;
    my $end = time + ($patience || $Lonc::PATIENCE);
    while (1) {
        $self->drain;
        if (substr($self->{log}, $self->{seen}) =~ /$wanted/) {
            $self->{seen} += $+[0];
            return 1;
        }
        my $left = $end - time;
        die "$self->{name} did not say $wanted; its log:\n$self->{log}" if $left <= 0 || $self->{ended};
        my $ready = '';
        vec($ready, fileno($self->{out}), 1) = 1;
        select($ready, undef, undef, $left);
        $self->{ended} = 1 if waitpid($self->{pid}, POSIX::WNOHANG()) > 0 && !$self->note_exit($?);
    }
}

sub note_exit {
    my ($self, $status) = @_;
    $self->{status} = $status;
    $self->drain;
    $self->note_finding if $ENV{LONC_SANITIZED} && $self->{log} =~ /runtime error: /;
    return 0;
}

# UBSan reports only to standard error when it runs beside AddressSanitizer, so tests/sanitized gets a file.
sub note_finding {
    my ($self) = @_;
    open my $file, '>', "$ENV{LONC_SANITIZED}/undefined.$self->{pid}" or die "$ENV{LONC_SANITIZED}: $!";
    print $file "$self->{name}:\n$self->{log}";
}

sub log { my ($self) = @_; $self->drain; return $self->{log} }

# How often the log matches.
sub said { my ($self, $what) = @_; return scalar(() = $self->log =~ /$what/g) }

# The processor time that it has used, in seconds.
sub cpu {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{pid}/stat" or die "stat of $self->{name}: $!";
    my @fields = split ' ', (<$file> =~ s/.*\)//r); # the first one is the state, field 3 of proc(5)
    return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# How often it has gone to sleep: voluntary context switches of its main thread ...
sub waits {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{pid}/status" or die "status of $self->{name}: $!";
    return (join('', <$file>) =~ /^voluntary_ctxt_switches:\s*(\d+)/m)[0];
}

# ... and of all its threads.
sub waits_of_all {
    my ($self) = @_;
    my $sum = 0;
    for my $path (glob "/proc/$self->{pid}/task/*/status") {
        open my $file, '<', $path or next; # the thread has ended
        $sum += (join('', <$file>) =~ /^voluntary_ctxt_switches:\s*(\d+)/m)[0];
    }
    return $sum;
}

# All of its writable memory, as gcore would dump it. Only for root.
sub memory {
    my ($self) = @_;
    open my $maps, '<', "/proc/$self->{pid}/maps" or die "maps: $!";
    open my $file, '<:raw', "/proc/$self->{pid}/mem" or die "mem: $!";
    my $memory = '';
    while (<$maps>) {
        no warnings "portable"; # addresses have more than 32 bits
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        my ($at, $size) = (hex $from, hex($to) - hex $from);
        sysseek $file, $at, 0 or next;
        while ($size > 0 && (my $n = sysread $file, my $bytes, $size)) { $memory .= $bytes; $size -= $n }
    }
    return $memory;
}

# Runs the code while the process is stopped, so that it sees everything that the code has done at once.
sub while_stopped {
    my ($self, $code) = @_;
    $self->signal('STOP');
    my $stopped = sub { open my $f, '<', "/proc/$self->{pid}/stat" or die; (<$f> =~ /\) (\w)/)[0] eq 'T' };
    Lonc::within($Lonc::PATIENCE, $stopped) or die "$self->{name} does not stop";
    $code->();
    $self->signal('CONT');
}

sub signal { kill $_[1], $_[0]{pid} or die "kill $_[0]{name}: $!" }

# Waits for its exit and returns the status of waitpid. Kills it if it does not exit in time.
sub wait_exit {
    my ($self, $patience) = @_;
    return $self->{status} if defined $self->{status};
    local $SIG{ALRM} = sub { kill 'KILL', $self->{pid} };
    alarm($patience || $Lonc::PATIENCE);
    waitpid $self->{pid}, 0;
    $self->note_exit($?);
    alarm 0;
    return $self->{status};
}

sub end {
    my ($self) = @_;
    return if defined $self->{status};
    kill 'CONT', $self->{pid};
    kill 'TERM', $self->{pid};
    $self->wait_exit(15);
}

# Stops it. When this returns, it does not execute another instruction.
sub pause {
    my ($self) = @_;
    $self->signal('STOP');
    my $pid = waitpid $self->{pid}, POSIX::WUNTRACED();
    return if $pid == $self->{pid} && $? == 0 && kill 0, $pid;
    $self->note_exit($?);
    die "$self->{name} ended instead of stopping; its log:\n$self->{log}";
}

sub resume { $_[0]->signal('CONT') }

# For a keeper: what it answers at its control socket.
sub tells {
    my ($self, $request) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{control}) or die "control of $self->{name}: $!";
    $socket->print("$request\n");
    local $/;
    require JSON::PP;
    return JSON::PP::decode_json(scalar <$socket>);
}

# How many descriptors it has open ...
sub descriptors {
    my ($self) = @_;
    if (opendir my $folder, "/proc/$self->{pid}/fd") { return scalar(grep {/^\d+$/} readdir $folder) }
    # Only root may look into the keeper; without root, its own count has to do.
    return $self->tells('status')->{descriptors};
}

# ... once the number does not change any more. No event tells when descriptors that are about to be closed are.
sub settled_descriptors {
    my ($self) = @_;
    my ($last, $before) = (-1);
    Lonc::within($Lonc::PATIENCE, sub {
        $before = $last;
        select undef, undef, undef, 0.05;
        ($last = $self->descriptors) == $before;
    });
    return $last;
}

sub kill_hard { my ($self) = @_; kill 'KILL', $self->{pid}; $self->wait_exit }

1;
