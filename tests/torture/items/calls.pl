#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Every call that can fail, one by one (tests/faults/Faults.pm). Each way to a call comes first, in an
# order that the seed decides; then all the calls that were reached the same way. How many there are is
# found by a life in which none fails.
#
#     calls.pl [--seconds N] [--seed S] [--processes P] [--ways] [--from N] [--only CALL:ERROR:AT]
#
# --ways ends when each way to a call has failed with each error, and --from goes on behind the first N cases
# of the same seed; --only is for who looks for a mistake. The order of a census is not always the same, so
# a seed alone does not bring a case back: --only does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../faults", "$FindBin::Bin/../../scenario/lib";
use Getopt::Long;
use List::Util qw(shuffle);
use Time::HiRes qw(time);
use Faults;

my ($seconds, $seed, $processes, $ways_only, $from, @only) = (120, time | 0, 2, 0, 0);
GetOptions('seconds=f' => \$seconds, 'seed=i' => \$seed, 'processes=i' => \$processes, 'ways' => \$ways_only, 'from=i' => \$from, 'only=s' => \@only)
    or exit 2;
STDOUT->autoflush(1);
my $end = time + $seconds;
my $build = $ENV{BUILD} || 'build';
my $keeper = $ENV{FAULTS_KEEPER} || "$build/sanitized/lonc-keeper";

sub faults { return Faults->new(keeper => $keeper, interposer => "$build/interpose.so") }

# [call, error, at] in their order, and how many of them are the first of their way.
sub cases {
    my (@census) = @_;
    my (%seen, @first, @rest);
    srand $seed;
    for my $entry (shuffle @census) {
        my ($call, $at, $way) = @$entry;
        my $to = $seen{"$call $way"}++ ? \@rest : \@first;
        push @$to, map { [$call, $_, $at] } @{$Faults::ERRORS{$call} or die "no errors for $call"};
    }
    @first = shuffle @first;
    return (scalar @first, @first, shuffle @rest);
}

# One process's share; what it says goes to its standard output, a line a case.
sub work {
    my ($share, @cases) = @_;
    my $faults = faults();
    $faults->census;
    for my $i (grep { $_ % $processes == $share } $from .. $#cases) {
        last if time > $end;
        my ($call, $error, $at) = @{$cases[$i]};
        printf STDERR "# %s:%s:%s ...\n", $call, $error, $at if $ENV{FAULTS_TIMES};
        my @wrong = $faults->life({call => $call, error => $error, at => $at});
        print join("\t", $i, $call, $error, $at, $faults->{struck}, $faults->{refused} ? 1 : 0, scalar @wrong), "\n";
        printf STDERR "# %s:%s:%s %.2f s\n", $call, $error, $at, $faults->{took} if $ENV{FAULTS_TIMES};
        next if !@wrong && !$ENV{FAULTS_TIMES};
        print STDERR "$call:$error:$at: $_\n" for @wrong;
        print STDERR "  at ", $faults->trace, "\n";
        if (@only) { print STDERR $faults->{process}->log }
        else { print STDERR map {"  $_\n"} grep {/ERROR|SUMMARY|runtime error|lonc-keeper: |    #[0-4] /} split /\n/, $faults->{process}->log }
    }
}

my $faults = faults();
my ($first, @cases) = cases($faults->census);
undef $faults;
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

my ($done, $struck, $refused, $violations, $ways, %of) = (0, 0, 0, 0, 0);
for my $pipe (@pipes) {
    while (<$pipe>) {
        my ($i, $call, $error, $at, $hit, $no, $wrong) = split /\s+/;
        $done++;
        $ways += $i < $first;
        $struck += $hit;
        $refused += $no;
        $violations += $wrong > 0;
        $of{$call}[0]++;
        $of{$call}[1] += $hit;
        $of{$call}[2] += $wrong > 0;
    }
    close $pipe or $violations++;
}
printf "%-18s %6s lives, %6s struck, %4s violations; %s\n", $_, @{$of{$_}}, join ' ', @{$Faults::ERRORS{$_}} for sort keys %of;
print "calls: $done of ", scalar(@cases), " cases, $ways of $first ways, $struck struck, $refused refused to start, $violations violations\n";
exit($violations || !$struck ? 1 : 0);
