#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# /home/httpd is a file system of its own, which is mounted late, cannot be mounted, or is unmounted and mounted again.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

my $units = '/run/systemd/system';
sub state_of { return output("systemctl is-active '$_[0]'") }
sub late { write_file("$units/late.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c '$_[0]'\n"); sh('systemctl daemon-reload') }
sub served { my $start = time; within(65, sub { sleep 0.1; ask('msul1', 'ping') eq 'pong:msul1' }); return time - $start }

is sh('systemctl stop lonc.target'), 0, 'lonc.target is stopped';
ok within($patience, sub { state_of('lonc-keeper.service') eq 'inactive' }), 'and with it the keeper';
sh('mv /home/httpd /srv/httpd; mkdir /home/httpd');
write_file("$units/home-httpd.mount", "[Unit]\nRequires=late.service\nAfter=late.service\n[Mount]\nWhat=/srv/httpd\nWhere=/home/httpd\nOptions=bind\n");

# As in a boot: lonc.target is started before the file system is there.
late('until [ -e /run/it-is-late ]; do sleep 0.1; done');
my $began = time;
is sh('systemctl start --no-block lonc.target'), 0, 'lonc.target is started, before /home/httpd is mounted';
ok within($patience, sub { state_of('home-httpd.mount') ne 'active' && output('systemctl list-jobs --no-legend') =~ /home-httpd\.mount/ }), 'the mount is waited for';
sleep 1;
is join(' ', map { state_of($_) } 'lonc-keeper.service', 'lonc-hosts-sync.service', 'lonc-shared@msul1.socket'), 'inactive inactive inactive', 'the keeper and the sockets wait for it';
write_file('/run/it-is-late', '');
cmp_ok served(), '<', 30, 'once it is mounted, requests are answered';
unlike journal("-u lonc-keeper.service --since=\@" . int $began), qr/no valid configuration/, 'the keeper has found its configuration at once';

# It goes, with all that is in use, and comes back.
my $keeper = main_pid();
sh('umount --lazy /home/httpd');
ok within($patience, sub { state_of('home-httpd.mount') ne 'active' }), 'it is unmounted';
is state_of('lonc-keeper.service') . ' ' . main_pid(), "active $keeper", 'the keeper goes on';
is state_of('lonc-hosts-sync.timer'), 'active', 'so does the timer';
is sh('systemctl start home-httpd.mount'), 0, 'it is mounted again';
my $took = served();
cmp_ok $took, '<', 20, sprintf 'requests are answered after %.1f s', $took;

# One that fails: nothing is refused because of it, and somebody mounts it by hand.
sh('systemctl stop lonc.target; systemctl stop home-httpd.mount late.service');
late('exit 1');
is sh('systemctl start lonc.target'), 0, 'lonc.target is started, and the mount fails';
ok within($patience, sub { state_of('lonc-keeper.service') eq 'active' }), 'the keeper is up all the same';
is sh('mount --bind /srv/httpd /home/httpd'), 0, 'mounted by hand';
$took = served();
cmp_ok $took, '<', 65, sprintf 'requests are answered after %.1f s', $took;

# Directories elsewhere: by a drop-in.
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\nPerlSetVar lonSockDir /home/more-disks/lonc\n");
sh('mkdir -p /home/more-disks; install -d -o www -g www /home/more-disks/lonc /home/more-disks/lonc/delayed; lonc-hosts sync');
for my $unit ('lonc-keeper.service', 'lonc-hosts-sync.service', 'lonc-page.service') {
    like property($unit, 'After'), qr/\bhome-more\\+x2ddisks\.mount\b/, "$unit is ordered after the mount of another lonSockDir";
    like property($unit, 'Wants'), qr/\bhome-more\\+x2ddisks-lonc\.mount\b/, '... and wants it, wherever it is mounted';
    unlike property($unit, 'RequiresMountsFor'), qr{/home}, '... and requires none';
}
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\n");
sh('lonc-hosts sync; rm -r /home/more-disks');
is output('ls /etc/systemd/system.control 2>/dev/null'), '', 'no drop-in is left';

sh('systemctl stop lonc.target');
ok within($patience, sub { state_of('lonc-keeper.service') eq 'inactive' }), 'as before:';
is sh("umount /home/httpd; rm $units/home-httpd.mount $units/late.service; systemctl daemon-reload; systemctl reset-failed; rmdir /home/httpd && mv /srv/httpd /home/httpd"), 0, 'nothing is mounted';
is sh('systemctl start lonc.target'), 0, 'lonc.target is started';
cmp_ok served(), '<', 20, 'and requests are answered';
done_testing;
