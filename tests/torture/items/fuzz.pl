#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Bad input: runs the fuzz targets (tests/fuzz/), each for its share of the time. Inputs that libFuzzer keeps stay in
# build/fuzz/corpus, where the next run continues; so do findings.
#
#     fuzz.pl --seconds N --seed S [TARGET...]
#
# Exits with 1 if a target has found something. `make fuzz-build` builds them.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use Getopt::Long;

my $root = abs_path(dirname(__FILE__) . '/../../..');
my $build = "$root/build/fuzz";

# The largest input in bytes. A larger one makes a target do the same again, more slowly.
my %longest = (settings => 512, channel => 64, key => 128, request => 256, cipher => 512, http => 1024, tls => 1024, control => 512);

my ($seconds, $seed);
GetOptions('seconds=i' => \$seconds, 'seed=i' => \$seed) && $seconds && defined $seed or die "usage: fuzz.pl --seconds N --seed S [TARGET...]\n";
my @targets = @ARGV ? @ARGV : sort map { basename($_) } glob "$root/tests/fuzz/corpus/*";
my $share = int($seconds / @targets) || 1;
my ($executions, $findings) = (0, 0);

for my $target (@targets) {
    my $corpus = "$build/corpus/$target";
    make_path($corpus);
    system("$root/tests/fuzz/corpus.pl", 'unpack', "$root/tests/fuzz/corpus/$target", $corpus) == 0 or die "$target: no corpus\n";
    my $log = "$build/$target.log";
    my @command = ("$build/fuzz/$target", "-max_total_time=$share", '-seed=' . ($seed || 1), '-timeout=20', '-rss_limit_mb=2048',
        '-print_final_stats=1', "-artifact_prefix=$build/finding-$target-", '-max_len=' . ($longest{$target} || 2048), $corpus);
    my $status = system('sh', '-c', 'log=$1; shift; exec "$@" >"$log" 2>&1', 'sh', $log, @command);
    open my $file, '<', $log or die "$log: $!\n";
    my $said = do { local $/; <$file> };
    my ($count) = $said =~ /^stat::number_of_executed_units:\s*(\d+)/m;
    my ($rate) = $said =~ /^stat::average_exec_per_sec:\s*(\d+)/m;
    my @reached = $said =~ /cov: (\d+) ft: (\d+) corp: (\d+)/g;
    printf "fuzz: %-10s %9d executions, %6d/s, %5d edges, %5d features, %d inputs\n", $target, $count // 0, $rate // 0,
        (@reached[-3 .. -1], 0, 0, 0)[0 .. 2];
    $executions += $count // 0;
    next if $status == 0;
    $findings++;
    my ($what) = $said =~ /^(.*(?:does not hold|ERROR: |runtime error).*)$/m;
    my ($where) = $said =~ /Test unit written to (\S+)/;
    printf "fuzz: %s: %s\n  try it again: %s %s\n", $target, $what // "it ended with status $status", "$build/fuzz/$target", $where // '';
}
printf "fuzz: %d executions of %d targets in %d s, seed %d, findings: %d\n", $executions, scalar @targets, $share * @targets, $seed, $findings;
exit($findings > 0);
