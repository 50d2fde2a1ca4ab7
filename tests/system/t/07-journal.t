#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What administrators read in the journal: fields, explanations, and few lines.
use strict;
use warnings;
use Booted;
use JSON::PP;
use Test::More;

my $dead = '8531d056262b474ba433fe8db05ddebf';
sh('systemctl stop lond.service');
ok within($patience, sub { ask('msul1', 'ping') eq 'con_lost' && journal("MESSAGE_ID=$dead LONC_HOST=msul1") ne '' }), 'a host dies';
my @entries = map { decode_json($_) } split /\n/, output("journalctl --no-pager -o json MESSAGE_ID=$dead LONC_HOST=msul1");
is $entries[0]{_SYSTEMD_UNIT}, 'lonc-keeper.service', 'the journal knows the unit';
is $entries[0]{SYSLOG_IDENTIFIER}, 'lonc-keeper', 'and the program';
is $entries[0]{PRIORITY} <= 5, 1, 'it is worth reading';
like $entries[0]{LONC_REASON}, qr/^[a-z-]+$/, 'the reason is a field';
like output("journalctl --no-pager -x MESSAGE_ID=$dead LONC_HOST=msul1"), qr/Host msul1 is dead.*loncctl retry msul1/s, 'journalctl -x explains it, with the host';

# 5,000 of them, and the log is silent.
my $start = int time;
my $n = load('--socket', "$sockets/msul1", '--kept', '--clients', 10, '--requests', 5000, '--command', 'ping', '--expect', 'con_lost')->numbers;
is $n->{ok} + $n->{con_lost}, 5000, sprintf '5,000 con_lost, %.0f a second', $n->{rate};
my @lines = split /\n/, journal("--since=\@$start -u lonc-keeper.service -t lonc-shim -t systemd");
cmp_ok scalar(@lines), '<', 30, scalar(@lines) . ' lines in the journal meanwhile';

sh('systemctl start lond.service');
ok within($patience, sub { ask('msul1', 'ping') eq 'pong:msul1' }), 'the host is back';
isnt journal('MESSAGE_ID=b66493bc46944e53a9548e3c58a6bad6 LONC_HOST=msul1'), '', 'and the journal says so';

my %explained = map { $_ => 1 } output('journalctl --list-catalog') =~ /^([0-9a-f]{32})/mg;
my @ids = read_file('/opt/lonc-tests/log.c') =~ /"([0-9a-f]{32})"/g;
cmp_ok scalar(@ids), '>=', 11, scalar(@ids) . ' kinds of messages';
is join(' ', grep { !$explained{$_} } @ids), '', 'each has its explanation';

ask('msul1', 'encrypt:echo:very-secret');
is journal('--grep=very-secret'), '', 'no secret is in the journal';
done_testing;
