#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs in a boot of its own, before all others: the peers are down, lonnet defers transactions, and the machine is powered
# off. In the next boot, 01-boot.t looks what becomes of them.
use strict;
use warnings;
use Booted;
use POSIX qw(strftime);
use Test::More;

# As lonnet's critical() does: asks twice, then leaves a file and a line in its log.
my $count = 0;

sub critical {
    my ($host, $command) = @_;
    for (1, 2) {
        my $answer = ask($host, $command);
        return $answer if $answer ne 'con_lost';
    }
    my $now = time;
    my $letters = substr($command, 0, 16) =~ s/[^A-Za-z]//gr;
    as_www(sub {
        write_file(sprintf('%s/delayed/%d.%d.%d.%s.%s', $sockets, $now, $count++, $$, $letters, $host), "$command\n");
        open my $log, '>>', '/home/httpd/perl/logs/lonnet.perm.log' or die "lonnet.perm.log: $!";
        print $log "$now:D:$host:$command:" . strftime('%c', localtime $now) . "\n";
    });
    return 'con_delayed';
}

is sh('systemctl stop lond.service'), 0, 'no peer can be reached';
is join(' ', map { critical('msul2', "count:before-$_") } 1 .. 20), join(' ', ('con_delayed') x 20), 'lonnet defers 20 transactions';
is ask('msul3', 'lonc_defer:count:by-the-keeper'), 'con_delayed', 'the keeper stores one itself';
is scalar(() = glob "$sockets/delayed/*.*"), 21, 'all are on disk';
write_file('/opt/lonc-tests/first-boot', pid1_began());
is output('systemctl is-active lonc-keeper.service'), 'active', 'the keeper is at work when the machine goes down';
done_testing;
