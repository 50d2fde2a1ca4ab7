#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# One shim for the sockets of all hosts. Hosts are added, removed, and switched to the other way and back, while 1,000
# requests a second go to others, which lose nothing. The shim is killed, and clients wait for the next one. And an
# upgrade from a release with a shim for each host.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

my $usual = "probe_min = 500ms\nprobe_max = 1s\n";
my @five = map {"msul$_"} 1 .. 5;
my @more = map {"more$_"} 1 .. 100;
sub settings { write_file('/etc/lonc/keeper.conf', $usual . $_[0]) }
sub table { write_hosts(@five, map { my ($n) = /(\d+)$/; $_ . '=127.0.1.' . (1 + $n % 6) } @_) }
sub shim { return property('lonc-shared.service', 'MainPID') }
sub busy { return load('--socket', "$sockets/msul1", '--socket', "$sockets/msul2", '--clients', 20, '--rate', 1000, '--seconds', $_[0], '--check') }
sub nothing_lost {
    my ($load, $what) = @_;
    my $n = $load->numbers;
    is $n->{ok}, $n->{requests}, sprintf '%s: none of %d requests to others was lost or refused (p50 %.1f ms, p99 %.0f ms, max %.0f ms)',
        $what, $n->{requests}, map { $_ / 1000 } @$n{qw(p50 p99 max)};
    is $n->{refused} + $n->{backlog_full}, 0, "$what: ... nor had to try again";
    return $n;
}

is ask('msul1', 'ping'), 'pong:msul1', 'the first request starts the shim';
my $first = shim();
is ask("msul$_", 'ping'), "pong:msul$_", "... which serves msul$_, too" for 2 .. 5;
is shim(), $first, '... the same one';
is output('pgrep -c lonc-shim'), '1', '... the only one';

# --- Hosts come and go ----------------------------------------------------------------------------

my $load = busy(32);
my $began = time;
my @took;
for my $i (0 .. $#more) {
    table(@more[0 .. $i]);
    my $start = time;
    sh('lonc-hosts sync') == 0 or last;
    push @took, time - $start;
}
is scalar @took, 100, sprintf '100 hosts are added one by one, %.0f ms each', 1000 * (sort { $a <=> $b } @took)[50];
is sh('systemctl reload lonc-keeper'), 0, '... the keeper knows them';
ok !(grep { ask($more[$_], 'ping') !~ /^pong:/ } 0 .. $#more), '... and they are served';
settings('activation_exceptions = ' . join(' ', @more) . "\n");
is sh('systemctl reload lonc-keeper'), 0, '... switched to the other way';
is output(q(systemctl list-units --plain --no-legend 'lonc-host-more*.socket' | wc -l)), '100', '... all of them';
settings('');
is sh('systemctl reload lonc-keeper'), 0, '... and back';
is output(q(systemctl list-units --plain --no-legend 'lonc-shared@more*.socket' | wc -l)), '100', '... all of them';
ok !(grep { ask($more[$_], 'ping') !~ /^pong:/ } 0, 50, 99), '... and they are served';
table();
is sh('systemctl reload lonc-keeper'), 0, '... all at once are removed';
table(@more);
is sh('systemctl reload lonc-keeper'), 0, '... and added';
ok !(grep { ask($more[$_], 'ping') !~ /^pong:/ } 0 .. $#more), '... and served';
table();
is sh('systemctl reload lonc-keeper'), 0, '... and removed';
my $took = time - $began;
cmp_ok $took, '<', 30, sprintf '... in %.0f s', $took;
nothing_lost($load, 'hosts come, switch and go');
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';

# Clients of a host that is removed, or switched, while they wait to be accepted.
table('more1');
is sh('systemctl reload lonc-keeper'), 0, '(one more host)';
is ask('more1', 'ping'), 'pong:more1', '(it serves)';
kill 'STOP', shim();
my @waiting = map { my $c = client('more1'); $c->print("echo:$_\n"); $c } 1 .. 50;
table();
my $stopped = fork // die "fork: $!";
if (!$stopped) { exec 'lonc-hosts', 'sync' }
waitpid $stopped, 0;
kill 'CONT', shim();
is join(' ', map { (readline $_) // '-' } @waiting), join(' ', map {"$_\n"} 1 .. 50), 'whoever waited for a host that is removed is answered';

# --- It is killed ---------------------------------------------------------------------------------

my ($lost, @away) = (0);
for my $round (1 .. 5) {
    $load = busy(2);
    sleep 0.5;
    my $pid = shim();
    kill 'KILL', $pid;
    my $start = time;
    within(5, sub { my $now = shim(); $now != $pid && $now != 0 && property('lonc-shared.service', 'ActiveState') eq 'active' });
    push @away, time - $start;
    my $n = $load->numbers;
    $lost += $n->{empty} + $n->{con_lost};
    is $n->{ok} + $n->{empty}, $n->{requests}, "killed under 1,000 requests a second: $n->{empty} had been accepted, $n->{requests} asked";
    is $n->{refused} + $n->{wrong} + $n->{cut} + $n->{unanswered}, 0, '... everybody else waited for the next one';
}
my $median = (sort { $a <=> $b } @away)[2];
cmp_ok $median, '<', 0.2, sprintf '... which is there after %.0f ms', 1000 * $median;
cmp_ok $lost, '<=', 20, '... five times: no more than it held';

# --- It cannot start ------------------------------------------------------------------------------

drop_in('lonc-shared.service', "[Service]\nExecStart=\nExecStart=/bin/false\n");
sh('systemctl stop lonc-shared.service');
my @clients = map { my $c = client("msul$_"); $c->print("ping\n"); $c } 1 .. 5;
my ($cpu, $start) = (pid1_cpu(), time);
sleep 3; # for as long PID 1's work is looked at
my $share = 100 * (pid1_cpu() - $cpu) / (time - $start);
cmp_ok $share, '<', 20, sprintf 'a shim that ends at once: PID 1 uses %.1f %% of a CPU', $share;
drop_in('lonc-shared.service', undef);
is join('', map { scalar(readline $_) // '-' } @clients), join('', map {"pong:msul$_\n"} 1 .. 5), '... and when it can be started, who has waited is served';

# --- An upgrade -----------------------------------------------------------------------------------

# As it was: a service for each host, a unit without Service=, and drop-ins for them.
my ($units) = grep { -e "$_/lonc-shared.service" } '/usr/lib/systemd/system', '/lib/systemd/system';
sh('systemctl stop lonc.target');
sh('systemctl start lonc-keeper.socket lonc-keeper.service');
write_file("$units/lonc-shared\@.service", read_file("$units/lonc-shared.service") =~ s/3600/60/r);
sh('rm -f /run/systemd/system/lonc-*.socket; mkdir -p /etc/systemd/system/lonc-shared@.service.d');
write_file('/etc/systemd/system/lonc-shared@.service.d/mine.conf', "[Service]\nNice=1\n");
write_file("/run/systemd/system/lonc-shared\@$_.socket", <<"END") for @five;
[Unit]
PartOf=lonc.target
[Socket]
ListenStream=$sockets/$_
ListenStream=$sockets/$_.example.edu
SocketUser=www
SocketMode=0600
RemoveOnStop=yes
END
sh('systemctl daemon-reload');
is sh('systemctl start ' . join ' ', map {"lonc-shared\@$_.socket"} @five), 0, 'as it was before: a shim for each host';
$load = busy(6);
ok within($patience, sub { output('pgrep -c lonc-shim') eq '2' }), '... of which two run';
unlink "$units/lonc-shared\@.service";
my ($status, $said) = sh('lonc-hosts sync');
is $status, 0, 'the upgrade' or diag $said;
is output('pgrep -c lonc-shim'), '1', '... leaves one';
is output(q(systemctl list-units --all --plain --no-legend 'lonc-shared@*.service')), '', '... and no old unit';
like $said, qr{lonc-shared\@\.service\.d: without effect, since there is one service for all hosts; lonc-shared\.service\.d has one}, '... and tells of an old drop-in';
is ask("msul$_", 'ping'), "pong:msul$_", "... msul$_ is served" for 1 .. 5;
nothing_lost($load, 'an upgrade');
sh('rm -r /etc/systemd/system/lonc-shared@.service.d');
is sh('systemctl start lonc.target'), 0, '(the target again)';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'all is as it should be';
done_testing;
