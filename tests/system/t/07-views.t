#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What can be seen without a shell: the status page that a timer writes, and the metrics over HTTP.
use strict;
use warnings;
use Booted;
use IO::Socket::INET;
use Test::More;

my $page = '/home/httpd/html/lon-status/lonc.html';

# --- The page -------------------------------------------------------------------------------------

is output('systemctl is-active lonc-page.timer'), 'active', 'the timer is part of lonc.target';
ok within(90, sub { -s $page }), 'and has the page written';
like read_file($page), qr/hosts/, '... which shows hosts';
my ($mode, $uid) = (stat $page)[2, 4];
is sprintf('%o', $mode & 07777), 644, 'Apache may read it';
is $uid, (getpwnam 'www')[2], 'www has written it';
unlink $page;
is ask('msul1', 'ping'), 'pong:msul1', 'a host answers';
is sh('systemctl start lonc-page.service'), 0, 'written again';
like read_file($page), qr/<tr id="h-msul5">/, '... with the hosts of the table';
is join(' ', glob '/home/httpd/html/lon-status/lonc.html.*'), '', '... and no draft is left';

# lonDocRoot elsewhere.
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\nPerlSetVar lonDocRoot /srv/html\n");
sh('install -d -o www -g www /srv/html /srv/html/lon-status');
is sh('lonc-hosts sync'), 0, 'another lonDocRoot';
is sh('systemctl start lonc-page.service'), 0, 'the sandbox lets it write there';
like read_file('/srv/html/lon-status/lonc.html'), qr/msul5/, '... and it does';
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\n");
is sh('lonc-hosts sync'), 0, 'the usual one again';
is output(q(ls /etc/systemd/system.control 2>/dev/null)), '', 'no drop-in is left';
is sh('systemctl start lonc-page.service'), 0, 'and the page is written where it was';
sh('rm -r /srv/html');

# --- The metrics ----------------------------------------------------------------------------------

sub get {
    my ($path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1:9663', Timeout => 10) or return "no connection: $@";
    print $socket "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n";
    local $/;
    return scalar(<$socket>) // '';
}
like get('/metrics'), qr/^no connection/, 'metrics are off';
is sh('systemctl start lonc-metrics.socket'), 0, 'they are switched on';
my $answer = get('/metrics');
like $answer, qr{^HTTP/1\.1 200 OK\r\n}, 'they are there';
like $answer, qr/^lonc_up 1$/m, '... from the keeper';
like $answer, qr/^lonc_requests_total\{host="msul1"\} \d+$/m, '... for each host';
like get('/'), qr{^HTTP/1\.1 404 }, 'and nothing else is';
my @idle = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1:9663', Timeout => 10) } 1 .. 100;
print $_ "GET /metrics HTTP/1.1\r\n" for @idle[50 .. 99];
like get('/metrics'), qr/^lonc_up 1$/m, 'a hundred who connect and say nothing, or half a request, keep nobody from being answered';
is sh('systemctl reload lonc-keeper'), 0, '... nor a reload';
undef @idle;
is output('systemctl is-active lonc-metrics.socket'), 'active', 'the socket goes on';
my @quick = map { get('/metrics') =~ /lonc_up 1/ } 1 .. 20;
is scalar(@quick), 20, 'so often in a row, too';
is sh('systemctl stop lonc-metrics.socket'), 0, 'they are switched off';
like get('/metrics'), qr/^no connection/, 'and are off';
is output("systemctl list-units --failed --plain --no-legend 'lonc-page*' 'lonc-metrics*'"), '', 'nothing has failed';
done_testing;
