#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# lonc-hosts: both kinds of socket and switching between them; it repairs what is broken, and otherwise does nothing.
use strict;
use warnings;
use Booted;
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(sleep);

my $usual = "probe_min = 500ms\nprobe_max = 1s\n";
sub state_of { return output("systemctl is-active '$_[0]'") }
sub settings { write_file('/etc/lonc/keeper.conf', $usual . $_[0]) }

is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';
is output('lonc-hosts sync'), '', 'a sync says nothing then';
like output('lonc-hosts list'), qr/^msul1 +shared +listening +\Q$sockets\/msul1 $sockets\/msul1.example.edu\E$/m, 'the list shows it';

settings("activation_exceptions = msul2\n");
is output('lonc-hosts sync --dry-run'), 'start lonc-host-msul2.socket: it was shared', 'one host is to be served per connection';
is state_of('lonc-shared@msul2.socket'), 'active', 'a dry run changes nothing';
is sh('systemctl reload lonc-keeper'), 0, 'a reload does it';
is state_of('lonc-shared@msul2.socket') . state_of('lonc-host-msul2.socket'), 'inactiveactive', 'one socket is stopped, the other started';
is state_of('lonc-shared@msul1.socket'), 'active', 'the others are as they were';
is ask('msul2', 'ping'), 'pong:msul2', 'it answers';
is ask('msul1', 'ping'), 'pong:msul1', 'as do the others';
is state_of('lonc-shared.service'), 'active', '... by a shim that stays';
settings('');
is sh('systemctl reload lonc-keeper'), 0, 'all are shared again';
is output(q(systemctl list-units --all --plain --no-legend 'lonc-host-*')), '', 'no unit of the other way is left';
is output(q(ls /run/systemd/system | grep -v '\.socket$')), '', '... nor a file of one';

# There and back under load. What was accepted is answered; who comes in the gap, or has not been accepted by PID 1
# before it, is not served.
my $load = load('--socket', "$sockets/msul1", '--clients', 10, '--rate', 50, '--seconds', 8, '--check');
for (1 .. 5) {
    settings("activation = per-connection\n");
    is sh('systemctl reload lonc-keeper'), 0, 'all hosts are served per connection';
    sleep 0.5;
    settings('');
    is sh('systemctl reload lonc-keeper'), 0, 'and shared again';
    sleep 0.5;
}
my $n = $load->numbers;
is $n->{wrong} + $n->{cut} + $n->{unanswered} + $n->{con_lost}, 0, 'switched ten times under 50 requests a second: nobody got a wrong answer';
cmp_ok $n->{refused} + $n->{empty}, '<=', $n->{requests} / 4,
    "what the ten gaps cost: $n->{refused} could not connect, $n->{empty} were not accepted, of $n->{requests}";

# Mending.
unlink "$sockets/msul3";
is output('lonc-hosts sync'), "stop lonc-shared\@msul3.socket: its path was gone\nstart lonc-shared\@msul3.socket: its path was gone", 'a path that is gone comes back';
is ask('msul3', 'ping'), 'pong:msul3', 'and serves';
sh('systemctl stop lonc-shared@msul4.socket');
is output('lonc-hosts sync'), 'start lonc-shared@msul4.socket', 'so does a socket that was stopped';
is ask('msul4', 'ping'), 'pong:msul4', 'and serves';
chown 0, 0, "$sockets/msul4";
is output('lonc-hosts sync'), '', 'a socket that is root\'s';
is ask('msul4', 'ping'), 'pong:msul4', '... is given to www';
unlink '/run/lonc/keeper.sock';
is output('lonc-hosts sync'), 'restart lonc-keeper.socket: its path was gone', 'the channel, too';
is ask('msul3', 'ping'), 'pong:msul3', 'and the keeper has the new one';
settings("activation_exceptions = msul5\n");
sh('systemctl reload lonc-keeper');
is ask('msul5', 'ping'), 'pong:msul5', 'served per connection';
unlink "$sockets/msul5";
is output('lonc-hosts sync'), 'restart lonc-host-msul5.socket: its path was gone', '... a path that is gone comes back, too';
is ask('msul5', 'ping'), 'pong:msul5', '... and serves';

# Somebody else's socket in the place is not taken for systemd's, nor given away; not even by a sync that has waited
# for another one.
{
    unlink "$sockets/msul4";
    my $stranger = IO::Socket::UNIX->new(Local => "$sockets/msul4", Listen => 10) or die "listen: $!";
    chmod 0600, "$sockets/msul4";
    open my $turn, '<', '/run/systemd/system' or die "open: $!";
    flock $turn, 2 or die "flock: $!"; # LOCK_EX
    my $sync = fork // die "fork: $!";
    if (!$sync) { open STDOUT, '>', '/dev/null'; exec 'lonc-hosts', 'sync' }
    ok within($patience, sub { read_file("/proc/$sync/wchan") =~ /poll/ || read_file("/proc/$sync/syscall") =~ /^(7|271) / }), '(a sync waits)';
    flock $turn, 8; # LOCK_UN
    waitpid $sync, 0;
    is $?, 0, 'a sync where somebody else listens';
    is ask('msul4', 'ping'), 'pong:msul4', '... has systemd listen there again';
}

# Drop-ins of an administrator are said to be without effect when they are.
drop_in('lonc-host-msul1.socket', "[Socket]\nBacklog=100\n");
drop_in('lonc-host-msul5.socket', "[Socket]\nBacklog=100\n");
my $dead = 'lonc-hosts: /run/systemd/system/lonc-host-msul1.socket.d: without effect, since msul1 is shared; lonc-shared@.socket.d has one';
is output('lonc-hosts list 2>&1 >/dev/null'), $dead, 'a drop-in for the other way of a host is told of';
is output('lonc-hosts sync 2>&1'), '', '... but not each minute';
drop_in('lonc-host-msul1.socket', undef);
drop_in('lonc-host-msul5.socket', undef);
settings('');
is sh('systemctl reload lonc-keeper'), 0, 'all are shared again';

# By lonHostID, by DNS name, or both; in both ways of being served.
sub answers { return join ' ', map { ask($_, 'ping') =~ s/:? .*//sr } 'msul1', 'msul1.example.edu' }
for my $activation ('per-connection', 'shared') {
    my $unit = $activation eq 'shared' ? 'lonc-shared@' : 'lonc-host-';
    settings("activation = $activation\n");
    is sh('systemctl reload lonc-keeper'), 0, "served $activation";
    is answers(), 'pong:msul1 pong:msul1', "$activation: a host answers by its lonHostID and by its DNS name";
    settings("activation = $activation\nsocket_names = dns\n");
    like output('lonc-hosts sync --dry-run'), qr/^stop \Q${unit}\Emsul1\.socket: its paths have changed$/m, 'DNS names only: its socket must change';
    is sh('systemctl reload lonc-keeper'), 0, 'a reload does it';
    ok !-e "$sockets/msul1", 'the other path is gone';
    is answers(), 'no pong:msul1', 'it answers by its DNS name';
    is output('lonc-hosts sync'), '', 'a sync finds nothing to do';
    settings("activation = $activation\nsocket_names = id\n");
    is sh('systemctl reload lonc-keeper'), 0, 'lonHostIDs only';
    ok !-e "$sockets/msul1.example.edu", 'the other path is gone';
    is answers(), 'pong:msul1 no', 'it answers by its lonHostID';
    settings("activation = $activation\n");
    is sh('systemctl reload lonc-keeper'), 0, 'both again';
    is answers(), 'pong:msul1 pong:msul1', 'it answers by both';
    unlink "$sockets/msul1.example.edu";
    like output('lonc-hosts sync'), qr/^(re)?start \Q${unit}\Emsul1\.socket: its path was gone$/m, 'a path that is gone comes back, also a DNS name';
    is answers(), 'pong:msul1 pong:msul1', 'and it answers by both';

    # Two ids of one server: its DNS name is the first one's, until that is gone.
    my $table = '/home/httpd/lonTabs/hosts.tab';
    my $usual = read_file($table);
    write_file($table, $usual . "msul6:msu:library:MSUL1.example.edu:127.0.1.6\n");
    is sh('systemctl reload lonc-keeper'), 0, 'another id of the same server';
    is join(' ', map { ask($_, 'ping') } 'msul6', 'msul1.example.edu'), 'pong:msul6 pong:msul1', 'the name is that of the first';
    ok !-e "$sockets/MSUL1.example.edu", 'and not of the second';
    write_file($table, $usual =~ s/msul1:.*//r . "msul6:msu:library:msul1.example.edu:127.0.1.6\n");
    is sh('systemctl reload lonc-keeper'), 0, 'the first is removed';
    is join(' ', map { ask($_, 'ping') } 'msul6', 'msul1.example.edu'), 'pong:msul6 pong:msul6', 'and now the name is that of the second';
    write_file($table, $usual);
    is sh('systemctl reload lonc-keeper'), 0, 'the usual hosts again';
    is answers(), 'pong:msul1 pong:msul1', 'and the name is that of the first';
}
settings('');
is sh('systemctl reload lonc-keeper'), 0, 'shared again';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';

# lonSockDir elsewhere.
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\nPerlSetVar lonSockDir \"/srv/100% lonc\"\n");
sh(q(install -d -o www -g www '/srv/100% lonc' '/srv/100% lonc/delayed'));
is sh('systemctl reload lonc-keeper'), 0, 'another lonSockDir';
ok -S '/srv/100% lonc/msul1', 'the sockets are there';
is output("ls $sockets"), 'delayed', 'and no longer where they were';
sh('systemctl restart lonc-keeper');
{
    local $Booted::sockets = '/srv/100% lonc';
    is ask('msul1', 'ping'), 'pong:msul1', 'and serve';
    write_file("$Booted::sockets/delayed/1900000000.1.99.count.msul1", "count:elsewhere\n");
    ok within($patience, sub { !-e "$Booted::sockets/delayed/1900000000.1.99.count.msul1" }), 'the keeper may write there';
}
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\n");
is sh('systemctl reload lonc-keeper'), 0, 'the usual one again';
sh('systemctl restart lonc-keeper');
is ask('msul1', 'ping'), 'pong:msul1', 'serves';
is output(q(ls /etc/systemd/system.control 2>/dev/null)), '', 'no drop-in is left';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';

# What cannot be done is said, and told by the exit status.
is sh('lonc-hosts'), 2, 'wrong usage';
is sh('lonc-hosts --config /nowhere sync'), 1, 'no configuration';
is sh('systemctl stop dbus.socket dbus.service; lonc-hosts list; r=$?; systemctl start dbus.socket; exit $r'), 3, 'no bus';

is sh('systemctl stop lonc.target'), 0, 'lonc.target is stopped';
# What failed meanwhile, as a sync that a timer ran while there was no bus, is still told of, but does not run.
my $running = q(systemctl list-units --plain --no-legend --state=active,reloading,activating,deactivating 'lonc*' | grep -v lonc-test);
ok within($patience, sub { output($running) eq '' }), 'and with it everything' or diag output($running);
sh(q(systemctl reset-failed 'lonc*'));
is output("ls $sockets"), 'delayed', 'no socket is left';
is sh('systemctl start lonc.target'), 0, 'it is started';
is ask("msul$_", 'ping'), "pong:msul$_", "msul$_ answers" for 1 .. 5;
done_testing;
