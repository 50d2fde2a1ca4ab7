#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the keeper may write to: its folders, and the targets of links that root has made in them.
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

# In the place of delayed/, which the keeper makes again at once when it is missing.
sub link_delayed {
    my ($target) = @_;
    sh("ln -sfn $target $sockets/link; mv $sockets/delayed $sockets/delayed.away");
    return within($patience, sub { rmdir "$sockets/delayed"; rename "$sockets/link", "$sockets/delayed" });
}
sub restart { sh('lonc-hosts sync; systemctl restart lonc-keeper') }

is may_write($_), 'yes', "$_ may be written" for $sockets, "$sockets/delayed", $logs, '/home/httpd/html/lon-status', '/home/httpd/lonCerts', '/run/lonc';
is may_write($_), 'no', "$_ may not" for '/home/httpd', '/home/httpd/perl', '/home/httpd/lonTabs', '/srv', '/var/tmp/..';

sh('install -d -o www -g www /srv/queue /srv/delayed /srv/logs /srv/other');
link_delayed('/srv/queue/../delayed');
sh("mv $logs/lonnet.perm.log /srv/logs/; ln -s /srv/logs/lonnet.perm.log $logs/lonnet.perm.log");
restart();
is may_write('/srv/delayed'), 'yes', 'delayed/ is a link: what it leads to may be written';
is may_write("$sockets/delayed"), 'yes', '... by its own name, too';
is may_write('/srv/logs'), 'yes', 'lonnet.perm.log is a link: the folder that it leads to may be written';
is may_write($_), 'no', "$_ may not" for '/srv', '/srv/queue', '/srv/other';
is output('lonc-hosts sync --dry-run'), 'nothing to do', 'a sync leaves it so';
is ask('msul1', 'ping'), 'pong:msul1', 'the keeper serves';

sh("ln -sfn /srv/other $sockets/delayed");
like output('lonc-hosts sync'), qr/^write \S+lonc-keeper\.service\S+: .*\nrestart lonc-keeper\.service: so that it may write/m, 'the link leads elsewhere: a sync notices, and restarts the keeper';
is may_write('/srv/other') . ' ' . may_write('/srv/delayed'), 'yes no', '... and the keeper may write there, and no longer where it was';

# Else a keeper that was taken over could let itself write wherever www may.
sh("chown --no-dereference www $sockets/delayed");
like output('lonc-hosts sync 2>&1'), qr/delayed: not followed, since this link is not root's/, "a link of www's is not followed";
restart();
is may_write('/srv/other'), 'no', '... and what it leads to may not be written';

sh("rm $sockets/delayed $logs/lonnet.perm.log; mv $sockets/delayed.away $sockets/delayed; mv /srv/logs/lonnet.perm.log $logs/; rm -r /srv/queue /srv/delayed /srv/logs /srv/other");
restart();
is output('ls /etc/systemd/system.control 2>/dev/null'), '', 'no links: no drop-in is left';

# While the keeper runs, without a word to anybody: folders made anew, in the place of those that it may write, and a
# link. It is started again, with nobody noticing, and delivers.
sub deliver { my ($name, $where) = @_; as_www(sub { write_file("$where/1900000000.1.99.count.msul1", "count:$name\n") }) }
sub delivered { my ($name) = @_; return lond("executed count:$name") == 1 }
for my $case (
    ['logs/ rotated whole', sub { sh("mv $logs $logs.1; install -d -o www -g www $logs") }, sub { sh("rm -r $logs; mv $logs.1 $logs") }],
    ['delayed/ made a link', sub { sh('install -d -o www -g www /srv/delayed'); link_delayed('/srv/delayed') },
        sub { sh("rm $sockets/delayed; mv $sockets/delayed.away $sockets/delayed; rm -r /srv/delayed") }],
    ['lonSockDir moved and made anew', sub { sh("mv $sockets $sockets.old; install -d -o www -g www $sockets $sockets/delayed") }, sub { sh("rm -r $sockets.old") }],
    ['delayed/ mounted over', sub { sh("mount -t tmpfs -o mode=755,uid=www,gid=www tmpfs $sockets/delayed") }, sub { sh("umount --lazy $sockets/delayed") }],
) {
    my ($what, $make, $undo) = @$case;
    my $name = $what =~ s/\W+/-/gr;
    my $load = load('--socket', "$sockets/msul2", '--clients', 2, '--rate', 5, '--seconds', 5, '--check') if $what !~ /lonSockDir/;
    $make->();
    deliver($name, "$sockets/delayed");
    my $start = time;
    ok within(150, sub { delivered($name) }), "$what: a transaction is delivered";
    note sprintf 'after %.1f s', time - $start;
    ok within($patience, sub { !-e "$sockets/delayed/1900000000.1.99.count.msul1" }), '... and its file removed';
    like read_file("$logs/lonnet.perm.log"), qr/:S:msul1:count:$name:/, '... and recorded';
    ok within($patience, sub { output('loncctl status') !~ /TROUBLE/ }), '... and there is no trouble left' or diag output('loncctl status');
    if ($load) {
        my $n = $load->numbers;
        is $n->{ok}, $n->{requests}, '... and no client noticed';
    }
    $undo->();
    restart();
    ok within($patience, sub { ask('msul1', 'ping') eq 'pong:msul1' }), '... and back';
}

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
