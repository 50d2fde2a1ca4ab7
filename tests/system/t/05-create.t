#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lonSockCreate: a host that was added a moment ago is served at lonnet's second try, with either kind of socket.
use strict;
use warnings;
use Booted;
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(sleep time);

my $usual = "probe_min = 500ms\nprobe_max = 1s\n";
my @five = map {"msul$_"} 1 .. 5;
my $parent = 'common_parent';
sub settings { write_file('/etc/lonc/keeper.conf', $usual . $_[0]); return sh('systemctl reload lonc-keeper') }
sub signal { my ($signal) = @_; kill $signal, main_pid() }
sub status { return output('loncctl --json status') =~ /"$_[0]":\s*(\d+)/ ? $1 : undef }

# As a lonnet from 2007 on: the number of the try at which it could connect, and the answer.
sub lonnet {
    my ($host, $request, $path) = @_;
    for my $try (1 .. 10) {
        my $socket = eval { client("$host.example.edu") };
        if ($socket) {
            $socket->print("$request\n");
            my $answer = <$socket> // '';
            chomp $answer;
            return "$answer at try $try";
        }
        ask($path // $parent, "$host.example.edu:$host:$host");
        sleep 1;
    }
    return 'never';
}

for my $activation ('per-connection', 'shared') {
    my $since = time;
    write_hosts(@five);
    is settings("activation = $activation\n"), 0, "hosts are served $activation";
    like output('lonc-hosts list'), qr/^$parent +$activation +listening +\Q$sockets\/$parent\E$/m, 'so is the socket where lonnet asks';
    unlike output('loncctl hosts'), qr/$parent/, '... which is no host';
    is ask($parent, 'msul6.example.edu:msul6'), 'error: msul6.example.edu is no DNS name in hosts.tab', 'a host that is not in the table';

    # By signal, as LON-CAPA's scripts do it. lonnet may come before the sync that the keeper asks for has made the socket.
    write_hosts(@five, 'msul6');
    signal('HUP');
    ok within($patience, sub { output('loncctl hosts') =~ /msul6/ }), 'a host is added, and the keeper gets a HUP';
    like lonnet('msul6', 'ping'), qr/^pong:msul6 at try [12]$/, 'it is served at the second try at the latest';

    # A table that the keeper has, and of which nobody has told lonc-hosts.
    write_hosts(@five, 'msul6', 'msul7=127.0.1.5');
    is sh('loncctl reload'), 0, 'one more, by loncctl alone: no socket is made';
    my ($done, $start) = (status('create_done'), time);
    is lonnet('msul7', 'ping'), 'pong:msul7 at try 2', 'it is served at the second try';
    diag sprintf '%s: %.2f s, of which 1 s is lonnet\'s own', $activation, time - $start;
    is status('create_done'), $done + 1, '... after the keeper has said so';
    write_hosts(@five, 'msul7=127.0.1.5');
    signal('HUP');
    ok within($patience, sub { ask($parent, 'msul6.example.edu:msul6') eq 'error: msul6.example.edu is no DNS name in hosts.tab' }), 'one that is removed is not served any more';
    unlink "$sockets/msul7.example.edu";
    is ask($parent, 'msul7.example.edu:msul7'), 'done', 'a path that somebody has removed is mended when it is asked for, if not before';
    is ask('msul7.example.edu', 'ping'), 'pong:msul7', '... and serves';

    # The socket itself.
    unlink "$sockets/$parent";
    ok within($patience, sub { ask($parent, 'msul1.example.edu:msul1') eq 'done' }), 'where lonnet asks: its own path is mended, too';
    my $journal = journal(sprintf '-p warning --since=@%d -u lonc-keeper.service -u lonc-hosts-sync.service -u "lonc-shared*" -u "lonc-host-*"', $since);
    unlike $journal, qr/$parent|msul[67]/, 'the journal has nothing to complain about';
    unlike output('loncctl status'), qr/TROUBLE/, '... nor has the keeper';
}

# Elsewhere, in a folder that does not exist.
is settings(''), 0, 'as usual again';
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\nPerlSetVar lonSockCreate /srv/parent/create\n");
is sh('systemctl reload lonc-keeper'), 0, 'lonSockCreate elsewhere';
ok -S '/srv/parent/create' && !-e "$sockets/$parent", 'the socket is there';
is ask('../../../srv/parent/create', 'msul1.example.edu:msul1'), 'done', '... and serves';
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\nPerlSetVar lonSockCreate nowhere\n");
my ($code, $said) = sh('lonc-hosts sync');
is $code, 0, 'a path that no socket can have: all hosts are served';
like $said, qr/^lonc-hosts: lonSockCreate: "nowhere": expected an absolute path of up to 107 bytes$/m, '... and it is said';
ok !-e '/srv/parent/create', '... there is none';
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\n");

# A host of that name.
write_hosts(@five, "$parent=127.0.1.1");
is sh('systemctl reload lonc-keeper'), 0, 'a host of that name';
like output('lonc-hosts list'), qr/^$parent .* \Q$sockets\/$parent $sockets\/$parent.example.edu\E$/m, 'it has the socket';
isnt ask($parent, 'msul1.example.edu:msul1'), 'done', '... and nobody is promised one there';
write_hosts(@five);
is sh('systemctl reload lonc-keeper'), 0, 'the usual hosts again';
is ask($parent, 'msul1.example.edu:msul1'), 'done', '... and sockets can be asked for';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';
done_testing;
