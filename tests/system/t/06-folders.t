#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the keeper may write: its folders, and where links in them lead that root has made.
use strict;
use warnings;
use Booted;
use Test::More;
use Time::HiRes qw(time sleep);

my $logs = '/home/httpd/perl/logs';

# In the keeper's own mounts, as www.
sub may_write {
    my ($folder) = @_;
    my $pid = main_pid() or return 'no keeper';
    return sh("nsenter --target $pid --mount setpriv --reuid=www --regid=www --clear-groups touch '$folder/lonc-test' && rm '$folder/lonc-test'") == 0 ? 'yes' : 'no';
}
sub restart { sh('lonc-hosts sync; systemctl restart lonc-keeper') }

is may_write($_), 'yes', "$_ may be written" for $sockets, "$sockets/delayed", $logs, '/home/httpd/html/lon-status', '/home/httpd/lonCerts', '/run/lonc';
is may_write($_), 'no', "$_ may not" for '/home/httpd', '/home/httpd/perl', '/home/httpd/lonTabs', '/srv', '/var/tmp/..';

sh('install -d -o www -g www /srv/queue /srv/delayed /srv/logs /srv/other');
sh("mv $sockets/delayed $sockets/delayed.away; ln -s /srv/queue/../delayed $sockets/delayed");
sh("mv $logs/lonnet.perm.log /srv/logs/; ln -s /srv/logs/lonnet.perm.log $logs/lonnet.perm.log");
restart();
is may_write('/srv/delayed'), 'yes', 'delayed/ is a link: what it leads to may be written';
is may_write("$sockets/delayed"), 'yes', '... by its own name, too';
is may_write('/srv/logs'), 'yes', 'lonnet.perm.log is a link: the folder that it leads to may be written';
is may_write($_), 'no', "$_ may not" for '/srv', '/srv/queue', '/srv/other';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'a sync leaves it so';
is ask('msul1', 'ping'), 'pong:msul1', 'the keeper serves';

sh("ln -sfn /srv/other $sockets/delayed");
like output('lonc-hosts sync'), qr/^write \S+lonc-keeper\.service\S+: .*\nlonc-keeper\.service: restart it/m, 'the link leads elsewhere: a sync notices, and says what is to be done';
restart();
is may_write('/srv/other') . ' ' . may_write('/srv/delayed'), 'yes no', '... and the keeper may write there, and no longer where it was';

# Else a keeper that was taken over could let itself write wherever www may.
sh("chown --no-dereference www $sockets/delayed");
like output('lonc-hosts sync 2>&1'), qr/delayed: not followed, since this link is not root's/, "a link of www's is not followed";
restart();
is may_write('/srv/other'), 'no', '... and what it leads to may not be written';

sh("rm $sockets/delayed $logs/lonnet.perm.log; mv $sockets/delayed.away $sockets/delayed; mv /srv/logs/lonnet.perm.log $logs/; rm -r /srv/queue /srv/delayed /srv/logs /srv/other");
restart();
is output('ls /etc/systemd/system.control 2>/dev/null'), '', 'no links: no drop-in is left';

# log_file, anywhere.
sh('install -d -o www -g www /var/log/lonc-test');
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\nlog_file = /var/log/lonc-test/lonc.log\n");
restart();
ok within($patience, sub { -s '/var/log/lonc-test/lonc.log' }), 'log_file is written, wherever it is';
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\n");
restart();
sh('rm -r /var/log/lonc-test');
is ask('msul1', 'ping'), 'pong:msul1', 'as before';
done_testing;
