#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The Debian package: installing it starts nothing, it works once it is enabled, and removing it leaves nothing behind.
# (First, what `make install` has installed is removed.)
use strict;
use warnings;
use Booted;
use Test::More;

my ($package) = glob '/opt/lonc-tests/*.deb';
plan skip_all => 'there is no package' if !$package;

# Whatever bears our name, where programs, units and state are.
sub files {
    my $places = '/usr/sbin /usr/lib/systemd /usr/lib/lonc-keeper /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/share/doc /usr/share/man /usr/share/lonc-keeper /etc /run /var/lib/systemd';
    return output("find $places -path '*lonc*' 2>/dev/null | grep -v -e lonc-test -e loncapa.conf | sort");
}

# Not where they are installed, for dpkg can be told to leave them out.
my @pages = output("dpkg-deb --contents $package") =~ m{ \./usr/share/man/man\d/(\S+)\.gz$}mg;
is join(' ', sort @pages), 'keeper.conf.5 lonc-hosts.8 lonc-keeper.8 lonc-protocol.7 lonc-shim.8 lonc.7 loncctl.1', 'it has the manual pages';
is sh('systemctl stop lonc.target; sh /opt/lonc-tests/uninstall'), 0, 'make uninstall';
unlink '/etc/lonc/keeper.conf';
rmdir '/etc/lonc';
sh('systemctl disable lonc.target');
my $before = files();
is $before, '', 'nothing is left of what was there';
my ($status, $said) = sh("dpkg --install $package");
is $status, 0, 'the package installs' or diag $said;
is output('systemctl is-enabled lonc.target'), 'disabled', 'and enables nothing';
is output(q(systemctl list-units --plain --no-legend 'lonc*' | grep -v lonc-test)), '', 'nor does it start anything';
is sh('systemctl enable --now lonc.target'), 0, 'enabled';
is ask("msul$_", 'ping'), "pong:msul$_", "msul$_ answers" for 1 .. 5;
my $pid = main_pid();
is sh("dpkg --install $package"), 0, 'an upgrade';
isnt main_pid(), $pid, 'has the new keeper take over';
is ask('msul1', 'ping'), 'pong:msul1', 'and it serves';
is sh('dpkg --remove lonc-keeper'), 0, 'removed';
is output(q(systemctl list-units --all --plain --no-legend 'lonc*' | grep -v -e lonc-test -e not-found)), '', 'no unit is left';
is sh('dpkg --purge lonc-keeper'), 0, 'purged';
is files(), '', 'no file is left';
is output("ls $sockets"), 'delayed', 'nor a socket';
done_testing;
