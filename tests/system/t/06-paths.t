#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Somebody removes or replaces the path of a socket. It is back within about a second, since the keeper watches it; what
# cannot be repaired is in the keeper's status.
use strict;
use warnings;
use Booted;
use IO::Socket::UNIX;
use Socket;
use Test::More;
use Time::HiRes qw(time sleep);

my $usual = "probe_min = 500ms\nprobe_max = 1s\n";
sub troubles { return join ' ', output('loncctl status') =~ /^TROUBLE: (\S+),/mg }

# A listener of root's, as systemd's are.
my $stranger;
sub replace {
    my ($path) = @_;
    unlink "$path.x";
    $stranger = IO::Socket::UNIX->new(Local => "$path.x", Listen => 10) or die "listen: $!";
    rename "$path.x", $path or die "rename: $!";
}
my %away = (
    'removed' => sub { unlink $_[0] },
    'moved away' => sub { rename $_[0], "$_[0].away"; unlink "$_[0].away" },
    'replaced by a file' => sub { write_file("$_[0].x", ''); rename "$_[0].x", $_[0] },
    'replaced by a listener' => \&replace,
);

# Whether it is systemd that listens, and the host answers.
sub systemd_listens {
    my ($name) = @_;
    my $socket = eval { client($name) } or return 0;
    my $who = getsockopt($socket, SOL_SOCKET, 17); # SO_PEERCRED: who called listen()
    return unpack('i', $who) == 1 && ask($name, 'ping') eq "pong:$name";
}

# One that is bound right there: nothing but who listens tells it from systemd's, when its owner is the same. (Its
# backlog does not fill up, or nobody could be asked.)
sub bind_there {
    my ($path) = @_;
    unlink $path;
    as_www(sub { $stranger = IO::Socket::UNIX->new(Local => $path, Listen => 4096) }) or die "listen: $!";
}

# How long it takes until it is served again.
sub back {
    my ($what, $code, $most) = @_;
    my $start = time;
    ok within(65, $code), "$what: it is back";
    my $took = time - $start;
    cmp_ok $took, '<', $most, sprintf '... after %.2f s', $took;
}

for my $activation ('shared', 'per-connection') {
    write_file('/etc/lonc/keeper.conf', $usual . "activation = $activation\n");
    is sh('systemctl reload lonc-keeper'), 0, "served $activation";
    for my $what (sort keys %away) {
        ask('msul1', 'ping');
        $away{$what}->('/run/lonc/keeper.sock');
        back("$activation: keeper.sock $what", sub { ask('msul1', 'ping') eq 'pong:msul1' }, 5);
        $away{$what}->('/run/lonc/control.sock');
        back("$activation: control.sock $what", sub { sh('loncctl status') == 0 }, 5);
        ok within($patience, sub { ask('msul1', 'ping') eq 'pong:msul1' }), '... and requests are answered';
        # What a listener's client sees who has got to it is not ours to say: only the path counts.
        $away{$what}->("$sockets/msul1");
        back("$activation: a host's socket $what", sub {
            my $before = (lstat "$sockets/msul1")[4];
            defined $before && $before == (getpwnam 'www')[2] && ask('msul1', 'ping') eq 'pong:msul1';
        }, 5);
        $away{$what}->("$sockets/msul2.example.edu");
        back("$activation: the socket of a DNS name $what", sub {
            my $owner = (lstat "$sockets/msul2.example.edu")[4];
            defined $owner && $owner == (getpwnam 'www')[2] && ask('msul2.example.edu', 'ping') eq 'pong:msul2';
        }, 5);
        undef $stranger;
    }
    # Nobody but a sync can tell: the timer's, within a minute, or one by hand.
    bind_there("$sockets/msul3");
    sh('lonc-hosts sync') if $activation ne 'shared';
    back("$activation: a host's socket replaced by another one of www's", sub { sleep 0.5; systemd_listens('msul3') }, 65);
    undef $stranger;
}
write_file('/etc/lonc/keeper.conf', $usual);
is sh('systemctl reload lonc-keeper'), 0, 'shared again';

# All at once; and the folders with them.
unlink glob "$sockets/msul*";
back('the sockets of all hosts removed', sub { !grep { ask("msul$_", 'ping') ne "pong:msul$_" } 1 .. 5 }, 10);
sh("mv $sockets $sockets.old; install -d -o www -g www $sockets $sockets/delayed");
back('lonSockDir moved and made anew', sub { !grep { ask("msul$_", 'ping') ne "pong:msul$_" } 1 .. 5 }, 10);
sh("rm -r $sockets.old");
sh('rm -rf /run/lonc');
back('/run/lonc removed', sub { ask('msul1', 'ping') eq 'pong:msul1' }, 65);
# The shim and the keeper have each other, so requests do not wait for the folder.
ok within($patience, sub { -S '/run/lonc/keeper.sock' && (getpwuid((stat '/run/lonc')[4]))[0] eq 'www' }), '... and the new one is www\'s';
ok within($patience, sub { output('loncctl status') !~ /TROUBLE/ }), 'no trouble is left' or diag output('loncctl status');

# What cannot be mended.
unlink "$sockets/msul3";
mkdir "$sockets/msul3";
ok within($patience, sub { troubles() =~ /sockets/ }), 'a folder where a socket should be is a trouble';
like output('loncctl status'), qr{\Q$sockets/msul3\E: }, '... with its path';
is ask('msul1', 'ping'), 'pong:msul1', '... and no other host is concerned';
rmdir "$sockets/msul3";
back('the folder removed', sub { ask('msul3', 'ping') eq 'pong:msul3' }, 65);
ok within($patience, sub { troubles() eq '' }), '... and the trouble is over';
sh('systemctl reset-failed lonc-hosts-sync.service');
done_testing;
