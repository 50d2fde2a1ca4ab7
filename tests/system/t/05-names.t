#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Hosts known by DNS name, resolved from inside the keeper's sandbox: by the DNS server of
# /etc/resolv.conf, as it is now and not as it was when the keeper started, and by /etc/hosts.
use strict;
use warnings;
use Booted;
use Test::More;

my ($dnsmasq) = grep {-x} map {"$_/dnsmasq"} split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'dnsmasq is not installed' if !$dnsmasq;

my $five = join '', map {"msul$_:msu:library:msul$_.example.edu:127.0.1.$_\n"} 1 .. 5;
my ($resolv_conf, $hosts) = map { read_file($_) } '/etc/resolv.conf', '/etc/hosts';

sub resolv_conf {
    unlink '/etc/resolv.conf'; # it may be a link to what somebody else writes
    write_file('/etc/resolv.conf', $_[0]);
}

sub asked_until {
    my ($host, $answer) = @_;
    return within(20, sub { ask($host, 'ping') eq $answer });
}

resolv_conf("nameserver 127.0.0.77\n"); # where nobody is
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\nresolve_failure_cache = 100ms\n");
write_file('/home/httpd/lonTabs/hosts.tab', $five =~ s/:127[.\d]+$//mgr);
is sh('systemctl restart lonc-keeper'), 0, 'a table without addresses, and a DNS server that is not there';
is ask('msul1', 'ping'), 'con_lost', 'its hosts cannot be reached';
like journal('-u lonc-keeper.service --since=-30s'), qr/cannot resolve msul1\.example\.edu: Could not contact DNS servers/, 'the journal says why';
like journal('LONC_HOST=msul1 LONC_REASON=name --since=-30s'), qr/host is dead: name not resolved/, 'and finds it by its fields';

sh('mkdir -p /run/names');
write_file('/run/names/hosts', join '', map {"127.0.1.$_ msul$_.example.edu\n"} 1 .. 3);
is sh("systemd-run --quiet --unit=names $dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --pid-file= "
        . '--addn-hosts=/run/names/hosts --listen-address=127.0.0.1 --bind-interfaces --local=/example.edu/'), 0, 'dnsmasq is started';
resolv_conf("nameserver 127.0.0.1\n");
ok asked_until('msul1', 'pong:msul1'), '/etc/resolv.conf names it: the host is back, and nobody has reloaded anything';
is ask("msul$_", 'ping'), "pong:msul$_", "msul$_ is found by its name" for 2, 3;
is ask('msul4', 'ping'), 'con_lost', 'msul4 is not known to it';

write_file('/etc/hosts', "$hosts\n127.0.1.4 msul4.example.edu\n");
ok asked_until('msul4', 'pong:msul4'), '... but to /etc/hosts, once it is written there';

SKIP: {
    skip 'there is no IPv6 here', 1
        if sh('systemd-run --quiet --unit=lond6 -p Type=exec /opt/lonc-tests/stand-in-lond --peer annarborl1 --listen [::1]:5663') != 0
        || !within(5, sub { sh('grep -q 00000000000000000000000001000000:161F /proc/net/tcp6') == 0 });
    write_file('/run/names/hosts', "127.0.1.1 msul1.example.edu\n::1 msul5.example.edu\n");
    sh('systemctl kill --signal=HUP names');
    ok asked_until('msul5', 'pong:msul5'), 'a host with an IPv6 address only';
}
is property('lonc-keeper.service', 'NRestarts'), '0', 'the keeper has lived through all of it';

sh('systemctl stop names lond6');
write_file('/etc/hosts', $hosts);
resolv_conf($resolv_conf);
write_file('/home/httpd/lonTabs/hosts.tab', $five);
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\n");
is sh('systemctl reload lonc-keeper'), 0, 'addresses in the table again';
ok asked_until("msul$_", "pong:msul$_"), "msul$_ is served as before" for 1 .. 5;
done_testing;
