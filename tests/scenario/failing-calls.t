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
use Faults;

my ($strace) = grep {-x} map {"$_/strace"} split /:/, $ENV{PATH};
my $seed = $ENV{SEED} // 1;
srand $seed;
diag "seed $seed";
my $build = $ENV{BUILD} || 'build';
my $faults = Faults->new(keeper => "$build/lonc-keeper", interposer => "$build/interpose.so");

# On a machine that is busy fewer of them must do.
my $end = time + 16;
sub judged {
    my ($what, @wrong) = @_;
    is join("\n", @wrong), '', $what or diag 'at ', $faults->trace, "\n", $faults->{process}->log;
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
        my (undef, $at) = @{$first{$call}};
        my $errors = $Faults::ERRORS{$call} or die "no errors for $call";
        my $error = (shuffle @$errors)[0];
        judged("$call, the ${at}th: $error", $faults->life({call => $call, error => $error, at => $at}));
        $struck += $faults->{struck};
    }
    note "$struck calls have failed, each in another function";
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
