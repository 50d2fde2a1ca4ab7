#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the items of tests/torture/items one after the other, each for its share of a budget:
#
#     torture.pl --budget 900 --seed 7 [NAME...]
#
# An item is called with --seconds and --seed, exits with 0 if everything held, and prints a line `NAME: numbers`. This
# program prints the seed first, so that a run can be repeated, and the items' lines again at the end.
use strict;
use warnings;
use FindBin;
use Getopt::Long;

my $usage = "usage: torture.pl [--budget SECONDS] [--seed N] [ITEM...]\n";
GetOptions('budget=i' => \(my $budget = 900), 'seed=i' => \my $seed) or die $usage;
$seed ||= 1 + int rand 1_000_000;
my @all = map { m{([^/]+)\.pl\z} } sort glob "$FindBin::Bin/items/*.pl";
my @items = @ARGV ? @ARGV : @all;
for my $item (@items) {
    die "no item $item; there are: @all\n" if !grep { $_ eq $item } @all;
}
my $share = int($budget / @items) || 1;

$| = 1;
print "torture: seed $seed, $budget s for @items\n";
my (@summaries, @failed);
for my $item (@items) {
    open my $out, '-|', $^X, "$FindBin::Bin/items/$item.pl", '--seconds', $share, '--seed', $seed or die "$item: $!";
    my @own;
    while (my $line = <$out>) {
        print "  $line";
        push @own, $line if $line =~ /^\Q$item\E:/;
    }
    push @failed, $item if !close $out;
    push @summaries, @own ? @own : "$item: no summary\n";
}
print "torture: seed $seed\n", @summaries;
print @failed ? "torture: failed: @failed\n" : "torture: all held\n";
exit(@failed ? 1 : 0);
