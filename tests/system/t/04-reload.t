#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Reload: its result is true, it is all or nothing, the sockets follow, and no client notices.
use strict;
use warnings;
use Booted;
use IO::Socket::UNIX;
use Test::More;

my @five = map {"msul$_"} 1 .. 5;
sub state_of { return output("systemctl is-active 'lonc-shared\@$_[0].socket'") }

write_hosts(@five, 'msul6');
is sh('systemctl reload lonc-keeper'), 0, 'a table with one more host: the reload succeeds';
is ask('msul6', 'ping'), 'pong:msul6', 'and the host is served when it returns';

write_file('/home/httpd/lonTabs/hosts.tab', "msul1:msu:library:msul1.example.edu:127.0.1.1\nms ul2:msu\n");
my ($status, $said) = sh('systemctl reload lonc-keeper');
isnt $status, 0, 'a bad table: the reload fails';
like journal('-u lonc-keeper.service --since=-120s'), qr/hosts\.tab:2: id: "ms ul2": expected/, 'with file, line and reason';
is ask("msul$_", 'ping'), "pong:msul$_", "the old table holds: msul$_" for 1 .. 6;
is sh('lonc-hosts sync'), 1, 'lonc-hosts sync does not follow a bad table';
is state_of('msul6'), 'active', 'and no socket was touched';

write_file('/etc/lonc/keeper.conf', "probe_min = soon\n");
write_hosts(@five);
isnt sh('systemctl reload lonc-keeper'), 0, 'a bad setting: the reload fails';
is ask('msul6', 'ping'), 'pong:msul6', 'and all is as before';
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\n");

write_file("$sockets/delayed/1800000000.1.99.count.msul6", "count:later\n");
is sh('systemctl reload lonc-keeper'), 0, 'a host is removed';
is state_of('msul6'), 'inactive', 'its socket is gone';
ok !-e "$sockets/msul6", 'its path too';
like ask('msul6', 'ping'), qr/^no connection/, 'and it cannot be asked';
ok -e "$sockets/delayed/1800000000.1.99.count.msul6", 'what was deferred for it is kept';

write_hosts('msul1=127.0.1.6', @five[1 .. 4]);
is lond('reset'), 'ok', 'counting from here';
is sh('systemctl reload lonc-keeper'), 0, 'msul1 has another address';
is ask('msul1', 'ping'), 'pong:msul1', 'it answers from there';

# By signal, as LON-CAPA's own scripts do it: the keeper's path unit has the sockets follow.
write_hosts(@five, 'msul6');
kill 'USR2', main_pid();
ok within($patience, sub { ask('msul6', 'ping') eq 'pong:msul6' }), 'SIGUSR2: a new host is served';
ok within($patience, sub { !-e "$sockets/delayed/1800000000.1.99.count.msul6" }), 'and what was deferred for it is delivered';
write_hosts(@five);
kill 'HUP', main_pid();
ok within($patience, sub { state_of('msul6') eq 'inactive' }), 'SIGHUP: a removed host is not';

is sh('systemctl start lonc-hosts.path'), 0, 'with lonc-hosts.path';
write_hosts(@five, 'msul6');
ok within($patience, sub { ask('msul6', 'ping') eq 'pong:msul6' }), 'a changed table is enough';
write_hosts(@five);
ok within($patience, sub { state_of('msul6') eq 'inactive' }), 'again';
sh('systemctl stop lonc-hosts.path');

# 1,000 reloads, 100 of them by systemctl with all that belongs to it.
my $load = load('--socket', "$sockets/msul1", '--socket', "$sockets/msul2", '--clients', 10, '--rate', 150, '--seconds', 15, '--check');
my $failed = 0;
my $keeper = main_pid();
for my $i (1 .. 1000) {
    write_hosts(@five, $i % 2 ? 'msul6' : ());
    $failed++ if sh($i % 10 ? 'loncctl reload' : 'systemctl reload lonc-keeper') != 0;
}
is $failed, 0, '1,000 reloads succeed';
my $n = $load->numbers;
is $n->{ok}, $n->{requests}, "none of $n->{requests} requests beside them noticed";
is main_pid(), $keeper, 'by one keeper';
write_hosts(@five);
is sh('systemctl reload lonc-keeper'), 0, 'the usual hosts again';

# Whoever holds places of the control socket, be it as the user that a reload asks as.
my @holding = map { IO::Socket::UNIX->new(Peer => '/run/lonc/control.sock') } 1 .. 40; # root's, without a word
for my $user ('www', 'root') {
    for (1 .. 20) {
        open my $following, '-|', 'setpriv', "--reuid=$user", "--regid=$user", '--clear-groups', 'loncctl', 'events' or die "loncctl: $!";
        push @holding, $following;
    }
}
ok within($patience, sub { output('loncctl status') =~ /TROUBLE: control-limit/ }), 'forty say nothing, and forty follow the events: a trouble';
ok within($patience, sub { output('systemctl status lonc-keeper') =~ /Status: ".*; troubles: .*control-limit/ }), '... in systemctl status, too';
is sh('systemctl reload lonc-keeper'), 0, '... a reload is done all the same';
is sh('setpriv --reuid=www --regid=www --clear-groups loncctl status'), 0, '... and www has its status';
@holding = ();
ok within($patience, sub { output('loncctl status') !~ /TROUBLE: control-limit/ }), '... until they have left';
done_testing;
