#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Mistakes in a configuration or its files, under systemd: a start that came too early recovers by itself, sockets included;
# unusable files for ssl do not hold up a table, and systemctl status reports them.
use strict;
use warnings;
use Booted;
use Test::More;

my @five = map {"msul$_"} 1 .. 5;
my $certs = '/home/httpd/lonCerts';
sub state_of { return output("systemctl is-active 'lonc-shared\@$_[0].socket'") }
sub status_text { return property('lonc-keeper.service', 'StatusText') }

# --- Started too early ----------------------------------------------------------------------------

rename '/home/httpd/lonTabs', '/home/httpd/lonTabs.away' or die "rename: $!";
is sh('systemctl restart lonc-keeper'), 0, 'a keeper that is started without its tables';
is ask('msul1', 'ping'), 'con_lost', '... answers con_lost';
ok within($patience, sub { status_text() =~ /troubles: .*\bconfig\b/ }), '... and systemctl status says why';
rename '/home/httpd/lonTabs.away', '/home/httpd/lonTabs' or die "rename: $!";
write_hosts(@five, 'msul6');
ok within($patience, sub { ask('msul1', 'ping') eq 'pong:msul1' }), 'when they are there, they are in force by themselves';
ok within($patience, sub { state_of('msul6') eq 'active' && ask('msul6', 'ping') eq 'pong:msul6' }), '... and the sockets follow';
ok within($patience, sub { status_text() !~ /troubles/ }), '... and the trouble is over';
write_hosts(@five);
is sh('systemctl reload lonc-keeper'), 0, '(the usual hosts again)';

# --- Files for ssl --------------------------------------------------------------------------------

my ($conf) = grep { -e } '/etc/httpd/conf/loncapa.conf', '/etc/apache2/loncapa.conf';
my $before = read_file($conf);
my $there = -d $certs;
mkdir $certs;
write_file($conf, $before . join '', map {"PerlSetVar $_\n"} 'lonnetCertificate certificate.pem', 'lonnetPrivateKey key.pem', 'lonnetCertificateAuthority authority.pem');
write_file("$certs/$_.pem", 'half') for qw(certificate key authority);
write_hosts(@five, 'msul6');
is sh('systemctl reload lonc-keeper'), 0, 'files for ssl that are of no use: a reload succeeds';
is state_of('msul6'), 'active', '... the sockets follow the new table';
is ask('msul6', 'ping'), 'pong:msul6', '... and so does the keeper, which speaks insecurely with a lond that offers nothing better';
ok within($patience, sub { status_text() =~ /troubles: .*\btls\b/ }), '... systemctl status says that something is wrong';
like journal('-u lonc-keeper.service --since=-120s'), qr/warning: .*authority\.pem: lonnetCertificateAuthority: expected/, '... the journal says what';
my ($status, $said) = sh('loncctl reload');
is $status, 4, '... and loncctl reload has an exit code for it';
is property('lonc-keeper.service', 'ActiveState'), 'active', '... and the service has not failed';

unlink map {"$certs/$_.pem"} qw(certificate key authority) or die "unlink: $!";
write_file($conf, $before);
write_hosts(@five);
is sh('systemctl reload lonc-keeper'), 0, '(without them again)';
ok within($patience, sub { status_text() !~ /troubles/ }), '... there is no trouble';
rmdir $certs if !$there;

done_testing;
