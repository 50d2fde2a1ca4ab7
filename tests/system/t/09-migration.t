#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# From the old daemon to this one and back, with the commands of lonc(7). A few lines of Perl play the old daemon, as far as
# others can see it: lonc.pid, a child with a host's socket, and that SIGTERM ends both.
use strict;
use warnings;
use Booted;
use Test::More;

plan skip_all => 'there is no package' if !glob '/opt/lonc-tests/*.deb';
my $perl = '/home/httpd/perl';
my ($there, $back) = read_file('/opt/lonc-tests/lonc.7') =~ /^\.Sh MIGRATING\n(.*?)^\.Ss Back again\n(.*?)^\.Sh /ms;

# The commands that a text shows, step by step.
sub steps { return grep {defined} $_[0] =~ /^\.Dl (.*)|^\.Bd -literal.*\n((?:(?!\.Ed).*\n)*)/mg }

sub type {
    my ($step) = @_;
    my ($status, $said) = sh("cd /opt/lonc-tests; set -e; $step");
    is $status, 0, 'typed: ' . $step =~ s/\s+/ /gr or diag $said;
    return $said;
}
sub as_loncron { return sh("setpriv --reuid=www --regid=www --init-groups $perl/loncnew") }

write_file("$perl/loncnew", <<'END');
#!/usr/bin/perl
use IO::Socket::UNIX;
exit if fork;
my ($pid_file, $path) = ('/home/httpd/perl/logs/lonc.pid', '/home/httpd/sockets/msul1');
open my $file, '>', $pid_file or die; print $file "$$\n"; close $file;
close $_ for *STDIN, *STDOUT, *STDERR;
my $child = fork;
if (!$child) {
    unlink $path;
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die;
    while (my $client = $listener->accept) { print $client 'old:' . <$client> }
}
$SIG{TERM} = sub { kill 'KILL', $child; unlink $pid_file, $path; exit };
sleep 1 while 1;
END
chmod 0755, "$perl/loncnew";
as_loncron();
ok within($patience, sub { ask('msul1', 'ping') eq 'old:ping' }), 'the old daemon serves';
my $old = read_file("$perl/logs/lonc.pid");
write_file("$sockets/delayed/" . (time - 100) . '.1.1.c.msul2', "count:migrated\n");

my @there = steps($there);
is scalar @there, 5, 'there are five steps';
type(shift @there);
is ask('msul1', 'ping'), 'old:ping', '... and the old daemon still serves';
type(shift @there);
is as_loncron(), 0, '... and what loncron starts is not the old one';
is read_file("$perl/logs/lonc.pid"), $old, '... which is the only one that runs';
is ask('msul1', 'ping'), 'old:ping', '... and serves';
type(shift @there);
ok within($patience, sub { !-e "$perl/logs/lonc.pid" }), '... and the old daemon is gone';
type(shift @there);
is ask("msul$_", 'ping'), "pong:msul$_", "... and msul$_ answers" for 1 .. 5;
like type(shift @there), qr/msul5 .*listening.*5 healthy/s, '... and all can be seen';
ok within($patience, sub { lond('executed count:migrated') == 1 && !(() = glob "$sockets/delayed/*.*") }), 'what was deferred before is delivered';
is as_loncron(), 0, 'loncron comes by';
is ask('msul1', 'ping'), 'pong:msul1', '... and nothing changes';

my @back = steps($back);
is scalar @back, 2, 'back: two steps to type';
type(shift @back);
is output(q(systemctl list-units --plain --no-legend 'lonc*' | grep -v lonc-test)), '', '... and nothing is left of it';
is output("ls $sockets"), 'delayed', '... nor a socket';
type(shift @back);
as_loncron();
ok within($patience, sub { ask('msul1', 'ping') eq 'old:ping' }), 'the old daemon serves again';

type('kill $(cat /home/httpd/perl/logs/lonc.pid)');
unlink "$perl/loncnew";
is sh('dpkg --purge lonc-keeper'), 0, '(removed)';
done_testing;
