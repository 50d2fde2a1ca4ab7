#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# A random world for a few seconds, always with the same seed: each request is accounted for, whatever goes
# wrong meanwhile. `make torture` has as many worlds, and as long, as there is time for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lonc;
use World;

World::isolate();
Lonc::need_descriptors(4096);

my $account = World->new(seed => 8, seconds => 8)->run;
is_deeply [$account->violations], [], 'a world in which everything fails at some time: no request is lost, doubled or answered wrongly';
cmp_ok $account->{outcomes}{ok} // 0, '>', 100, '... of which many were answered';
cmp_ok $account->{requests}, '>', $account->{outcomes}{ok} // 0, '... and not all';
cmp_ok scalar(keys %{$account->{happened}}), '>', 10, '... and much has happened';
diag $account->summary;

done_testing;
