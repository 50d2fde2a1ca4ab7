#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes every call fail that can, one by one (tests/faults/Faults.pm). First comes one call for each way that leads to
# it, in an order that the seed decides; then all calls that were reached in the same ways. A life in which no call
# fails tells how many there are, for each kind of life and each command of loncctl.
#
#     calls.pl [--seconds N] [--seed S] [--processes P] [--ways] [--brief] [--from N] [--lives KIND,...] [--only LIFE:CALL:ERROR:AT]
#
# With --brief, only the program's own functions distinguish ways, not the inside of libraries. That is some hundreds of
# ways instead of thousands, and still reaches each line of the program that a failing call can reach. --ways ends when
# each way has failed with each error. --from continues after the first N cases of the same seed. The order of a census
# is not always the same, so a seed alone does not repeat a case; --only does. A life mostly waits, so six run at once
# by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../faults", "$FindBin::Bin/../../scenario/lib";
use Getopt::Long;
use List::Util qw(shuffle);
use Time::HiRes qw(time);
use Commands;
use Faults;

my ($seconds, $seed, $processes, $ways_only, $brief, $from, $lives, @only) = (120, time | 0, 6, 0, 0, 0, 'insecure,ssl,local,names,backlog,loncctl');
GetOptions('seconds=f' => \$seconds, 'seed=i' => \$seed, 'processes=i' => \$processes, 'ways' => \$ways_only, 'from=i' => \$from,
    'lives=s' => \$lives, 'brief' => \$brief, 'only=s' => \@only) or exit 2;
$ENV{FAULT_BRIEF} = 1 if $brief;
STDOUT->autoflush(1);
my $end = time + $seconds;
my $build = $ENV{BUILD} || 'build';
my $sanitized = $ENV{FAULTS_BUILD} || "$build/sanitized";

# The life of that name: a kind of Faults.pm, or a command of Commands.pm.
sub faults {
    my ($life) = @_;
    my ($loncctl, $words) = split / /, $life, 2;
    return Commands->new(loncctl => "$sanitized/loncctl", interposer => "$build/interpose.so", words => $words) if $loncctl eq 'loncctl';
    return Faults->new(keeper => "$sanitized/lonc-keeper", interposer => "$build/interpose.so", life => $life);
}

# All cases, [life, call, error, at], in their order, and how many of them are the first of their way.
sub cases {
    my (@lives) = @_;
    my (@first, @rest);
    srand $seed;
    for my $life (@lives) {
        my %seen;
        for my $entry (shuffle faults($life)->census) {
            my ($call, $at, $way) = @$entry;
            my $to = $seen{"$call $way"}++ ? \@rest : \@first;
            push @$to, map { [$life, $call, $_, $at] } @{$Faults::ERRORS{$call} or die "no errors for $call"};
        }
    }
    @first = shuffle @first;
    return (scalar @first, @first, shuffle @rest);
}

# The share of one process, which prints one line for each case on its standard output.
sub work {
    my ($share, @cases) = @_;
    my %faults;
    for my $i (grep { $_ % $processes == $share } $from .. $#cases) {
        last if time > $end;
        my ($life, $call, $error, $at) = @{$cases[$i]};
        my $case = "$life:$call:$error:$at";
        print STDERR "# $case ...\n" if $ENV{FAULTS_TIMES};
        my $faults = $faults{$life} ||= do { my $new = faults($life); $new->census; $new };
        my @wrong = $faults->life({call => $call, error => $error, at => $at});
        print join("\t", $i, $life, $call, $faults->{struck}, $faults->{refused} ? 1 : 0, $faults->{spoiled} ? 1 : 0, scalar @wrong), "\n";
        printf STDERR "# $case %.2f s\n", $faults->{took} if $ENV{FAULTS_TIMES};
        next if !@wrong && !$ENV{FAULTS_TIMES};
        print STDERR "$case: $_\n" for @wrong;
        print STDERR "  at ", $faults->trace, "\n";
        my $log = $faults->{process}->log;
        if (@only) { print STDERR $log }
        else { print STDERR map {"  $_\n"} grep {/ERROR|SUMMARY|runtime error|lonc-keeper: |loncctl: |    #[0-4] /} split /\n/, $log }
    }
}

my ($first, @cases) = @only ? () : cases(map { $_ eq 'loncctl' ? map {"loncctl $_"} @Commands::COMMANDS : $_ } split /,/, $lives);
($first, @cases) = (scalar @only, map { [split /:/] } @only) if @only;
splice @cases, $first if $ways_only || @only;
print "seed $seed; ", scalar(@cases), " cases, $first of them ways to a call\n";

my @pipes = map {
    my $share = $_;
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if ($pid == 0) {
        STDOUT->autoflush(1);
        work($share, @cases);
        exit 0;
    }
    $pipe;
} 0 .. $processes - 1;

my ($done, $struck, $refused, $spoiled, $violations, $ways, %of, %lived) = (0, 0, 0, 0, 0, 0);
for my $pipe (@pipes) {
    while (<$pipe>) {
        my ($i, $life, $call, $hit, $no, $lame, $wrong) = split /[\t\n]/;
        $done++;
        $ways += $i < $first;
        $struck += $hit;
        $refused += $no;
        $spoiled += $lame;
        $violations += $wrong > 0;
        $lived{(split / /, $life)[0]}++;
        $of{$call}[0]++;
        $of{$call}[1] += $hit;
        $of{$call}[2] += $wrong > 0;
    }
    close $pipe or $violations++;
}
printf "%-18s %6s lives, %6s struck, %4s violations; %s\n", $_, @{$of{$_}}, join ' ', @{$Faults::ERRORS{$_}} for sort keys %of;
print 'lives: ', join(', ', map {"$_ $lived{$_}"} sort keys %lived), "\n";
print "calls: $done of ", scalar(@cases), " cases, $ways of $first ways, $struck struck, $refused refused to start, $spoiled with an OpenSSL that is spoiled, $violations violations\n";
exit($violations || !$struck ? 1 : 0);
