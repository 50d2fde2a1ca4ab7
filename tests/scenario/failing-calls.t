#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Whatever call fails, every client has one answer, nothing is executed twice, nothing deferred is lost, and the
# keeper serves on. Here each call fails once, in one way of those that were reached; tests/torture/items/calls.pl
# has all of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../faults";
use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(time);
use Commands;
use Faults;

my ($strace) = grep {-x} map {"$_/strace"} split /:/, $ENV{PATH};
my $seed = $ENV{SEED} // 1;
srand $seed;
diag "seed $seed";
my $build = $ENV{BUILD} || 'build';
my $faults = Faults->new(keeper => "$build/lonc-keeper", interposer => "$build/interpose.so");

# On a machine that is busy fewer of them must do.
my $end = time + 13;
sub judged {
    my ($what, @wrong) = @_;
    is join("\n", @wrong), '', $what or diag 'at ', $faults->trace, "\n", $faults->{process}->log;
}

# A call of those in the census, in one of the ways in which it can fail.
sub any_fault {
    my (@census) = @_;
    my ($call, $at) = @{$census[rand @census]};
    my $errors = $Faults::ERRORS{$call} or die "no errors for $call";
    return {call => $call, at => $at, error => $errors->[rand @$errors]};
}

{
    my @census = shuffle $faults->census;
    cmp_ok scalar(@census), '>', 500, 'a life without a fault, in which calls are counted';

    # A folder that cannot be made: the interposer works, and who called is told.
    $faults->life({call => 'mkdirat', error => 'ENOSPC', at => 1});
    ok $faults->{struck}, 'a call that is to fail fails';
    like $faults->{process}->log . $faults->trace, qr/No space left on device/, '... and its caller has seen it';

    # Watching one more descriptor needs memory, wherever it is done: whoever cannot be watched must not be forgotten.
    my %ways;
    for my $call (grep { $_->[0] eq 'epoll_ctl' && !$ways{$_->[2]}++ } @census) {
        judged("epoll_ctl, the $call->[1]th: ENOSPC", $faults->life({call => 'epoll_ctl', error => 'ENOSPC', at => $call->[1]}));
    }
    cmp_ok scalar(keys %ways), '>=', 8, '... in all the places where one is watched';

    my %first = map { $_->[0] => $_ } @census;
    my $struck = 0;
    for my $call (shuffle sort keys %first) {
        last if time > $end;
        my $fault = any_fault($first{$call});
        judged("$call, the $fault->{at}th: $fault->{error}", $faults->life($fault));
        $struck += $faults->{struck};
    }
    note "$struck calls have failed, each in another function";
}

# lond found and met otherwise; and loncctl, which has no memory.
{
    my ($first, $struck) = ($faults, 0);
    for my $life (qw(ssl local names)) {
        $faults = Faults->new(keeper => "$build/lonc-keeper", interposer => "$build/interpose.so", life => $life);
        my $fault = any_fault(grep { $_->[0] ne 'malloc' } $faults->census);
        judged("$life: $fault->{call}, the $fault->{at}th: $fault->{error}", $faults->life($fault));
        $struck += $faults->{struck};
    }
    for my $words ('status', '--json status', 'metrics', 'page PAGE', 'queue', 'queue hold ALL') {
        $faults = Commands->new(loncctl => "$build/loncctl", interposer => "$build/interpose.so", words => $words);
        # The later, the more of it has been said.
        my @allocations = grep { $_->[0] =~ /alloc/ } $faults->census;
        for my $part (0, 0.5, 0.8) {
            my $fault = any_fault($allocations[$#allocations * ($part + rand 0.2)]);
            judged("loncctl $words: $fault->{call}, the $fault->{at}th: $fault->{error}", $faults->life($fault));
            $struck += $faults->{struck};
        }
    }
    $faults = $first;
    cmp_ok $struck, '>=', 15, 'calls did fail there, too';
}

SKIP: {
    skip 'strace is not installed', 1 if !$strace;
    $end = time + 5;
    my $struck = 0;
    for my $mode (qw(single shared)) {
        for my $call (shuffle $faults->shim_census($mode)) {
            last if time > $end;
            my ($name, $at) = @$call;
            my $error = (shuffle @{$Faults::SHIM_ERRORS{$name}})[0];
            judged("a $mode shim's $name, the ${at}th: $error", $faults->shim_life($mode, {call => $name, error => $error, at => $at}));
            $struck += $faults->{struck};
        }
    }
    cmp_ok $struck, '>=', 1, 'calls of shims did fail';
}

done_testing;
