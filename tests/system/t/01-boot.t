#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# After the reboot, everything is up, and what was deferred before it is delivered although nobody has sent a request.
use strict;
use warnings;
use Booted;
use Test::More;

my @hosts = map {"msul$_"} 1 .. 5;

cmp_ok pid1_began(), '>', read_file('/opt/lonc-tests/first-boot'), 'this is another boot';
my @deferred = ('msul3:count:by-the-keeper', map {"msul2:count:before-$_"} 1 .. 20);
ok within($patience, sub { !grep { lond('executed ' . s/^\w+://r) < 1 } @deferred }), 'what was deferred before it is delivered';
ok within($patience, sub { !(() = glob "$sockets/delayed/*.*") }), 'and its files are gone';
is join(' ', grep { lond('executed ' . s/^\w+://r) != 1 } @deferred), '', 'each was delivered once';
my @stored = read_file('/home/httpd/perl/logs/lonnet.perm.log') =~ /^\d+:S:(.*):\w{3} \w{3} .{16}$/mg;
is_deeply [sort @stored], [sort @deferred], 'the log has a line for each that says so';
is output('systemctl is-active lonc.target'), 'active', 'lonc.target is active';
is output('systemctl is-active lonc-keeper.service'), 'active', 'the keeper is up';
is property('lonc-keeper.service', 'NRestarts'), '0', 'and has been from the start';
is read_file('/home/httpd/perl/logs/lonc.pid'), main_pid() . "\n", 'lonc.pid holds its number';
like property('lonc-keeper.service', 'StatusText'), qr/5 hosts|hosts/, 'it tells systemd how it is: ' . property('lonc-keeper.service', 'StatusText');
is output("systemctl list-units --failed --plain --no-legend 'lonc*'"), '', 'nothing has failed';

for my $host (@hosts) {
    is output("systemctl is-active lonc-shared\@$host.socket"), 'active', "the socket of $host is up";
}
my ($www) = (getpwnam 'www')[2];
for my $path (map({("$sockets/$_", "$sockets/$_.example.edu")} @hosts), '/run/lonc/keeper.sock', '/run/lonc/control.sock') {
    my ($mode, $uid) = (stat $path)[2, 4];
    ok -S $path && ($mode & 0777) == 0600 && $uid == $www, "$path is www's alone";
}

my ($status, $said) = sh('systemd-analyze verify /lib/systemd/system/lonc* 2>&1 | grep -v "^$"');
is $said, '', 'systemd-analyze verify says nothing; each manual page that a unit names is there';
my %most = ('lonc-keeper.service' => 1.6, 'lonc-shared.service' => 3, 'lonc-hosts-sync.service' => 3,
    'lonc-page.service' => 1.6, 'lonc-metrics.service' => 1.6);
for my $unit (sort keys %most) {
    my ($score) = output("systemd-analyze security --no-pager '$unit'") =~ /exposure level for \S+: ([\d.]+)/;
    ok defined $score && $score <= $most{$unit}, "exposure of $unit: " . ($score // '?') . ", at most $most{$unit}";
}
done_testing;
