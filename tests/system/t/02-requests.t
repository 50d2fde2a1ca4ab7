#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Requests as lonnet makes them, through both kinds of socket; who may send them; and that the first one starts the keeper.
use strict;
use warnings;
use Booted;
use Test::More;

sub serve {
    my ($activation) = @_;
    write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\nactivation = $activation\n");
    return sh('systemctl reload lonc-keeper');
}

for my $activation ('shared', 'per-connection') {
    is serve($activation), 0, "all hosts are served $activation";
    is ask("msul$_", 'ping'), "pong:msul$_", "msul$_ answers" for 1 .. 5;
    is ask('msul1', 'encrypt:echo:a secret'), 'a secret', 'an enciphered request too';

    my @wrong = grep { ask('msul' . (1 + $_ % 5), "echo:$_") ne $_ } 1 .. 500;
    is "@wrong", '', '500 quick connects, one after the other: each answered right';

    my @clients = map { my $c = client('msul1'); $c->print("echo:at-once-$_\n"); $c } 1 .. 100;
    my @answers = map { scalar readline $_ } @clients;
    @wrong = grep { ($answers[$_] // '') ne 'at-once-' . ($_ + 1) . "\n" } 0 .. 99;
    is "@wrong", '', '100 at once: each answered right';

    my $numbers = load('--socket', "$sockets/msul2", '--clients', 100, '--requests', 1000, '--check')->numbers;
    is $numbers->{ok}, 1000, sprintf '1,000 by 100 clients: all right (%d/s, p50 %.1f ms)', $numbers->{rate}, $numbers->{p50} / 1000;

    # Not at once where somebody of the hundred who were there has it started again.
    ok within($patience, sub { sh('systemctl stop lonc-keeper.service'); output('systemctl is-active lonc-keeper.service') eq 'inactive' }),
        'the keeper is stopped';
    is ask('msul3', 'ping'), 'pong:msul3', 'and the first request starts it';
    is output('systemctl is-active lonc-keeper.service'), 'active', 'now it is up';

    my ($nobody) = (getpwnam 'nobody')[2];
    for my $path (map({"$sockets/msul$_"} 1 .. 5), '/run/lonc/control.sock') {
        local $> = $nobody;
        my $socket = IO::Socket::UNIX->new(Peer => $path);
        ok !$socket && $!{EACCES}, "nobody may not connect to $path";
    }
}
like output('systemd-analyze security --no-pager lonc-host-msul1@1.service'), qr/exposure level for \S+: (5\.[0-8]|[0-4])/, 'the sandbox of a shim for each connection';
is serve('shared'), 0, 'and back';
ok within($patience, sub { units_left() == 0 }), 'no unit is left of any connection';
done_testing;
