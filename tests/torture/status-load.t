#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# How much are live requests slowed down by an administrator who asks for `loncctl status` and `loncctl hosts` of 2,000
# hosts again and again, and how long does the administrator wait?
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use Test::More;
use Time::HiRes qw(time);
use Load;
use Lonc;

my ($world, $lond) = Lonc->up(settings => {log_level => 'info'});
my $table = $world->read_file('tabs/hosts.tab');
$world->write_file('tabs/hosts.tab', $table . join '', map {"many$_:msu:library:many$_.example.edu:127.0.0.1\n"} 2 .. 2000);
my $loncctl = Lonc::program('loncctl') . ' --socket ' . $world->path('run/control.sock');
system("$loncctl reload") == 0 or die 'the table is not taken';

# The answer about 2,000 hosts is a megabyte, which is made in turns of a fraction of a millisecond.
my %most = (status => 1.05, hosts => 2);
my %took;
for my $verb ('status', 'hosts') {
    compare($world, $lond, $most{$verb}, "beside loncctl $verb of 2,000 hosts, the p99 of live requests stays below $most{$verb} of what it is",
        meanwhile => sub {
            for (1 .. 5) {
                my $start = time;
                system "$loncctl $verb >/dev/null";
                push @{$took{$verb}}, 1000 * (time - $start);
            }
        });
    my @sorted = sort { $a <=> $b } @{$took{$verb}};
    diag sprintf 'loncctl %s under load: median %.1f ms, longest %.1f ms', $verb, $sorted[$#sorted / 2], $sorted[-1];
}
cmp_ok((sort { $a <=> $b } @{$took{status}})[$#{$took{status}} / 2], '<', 50, 'loncctl status takes less than 50 ms');

done_testing;
