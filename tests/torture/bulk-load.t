#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# How much are short requests of one host slowed down by long lines of another? The same bulk runs through the same
# keeper and, in turn, through another keeper beside it, which loads the machine alike but does not hold up the first.
# The difference is the keeper's own fault. Runs of the same round are compared, and the medians count.
#
#     BULK_ROUNDS=5, BULK_SECONDS=1, BULK_KINDS='10 MB|encipher' (a pattern), BULK_OLD=BUILD of another commit,
#     whose own bulk is measured beside
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use JSON::PP;
use Test::More;
use Lonc;

my $rounds = $ENV{BULK_ROUNDS} || 5;
my $seconds = $ENV{BULK_SECONDS} || 1;
my $old = $ENV{BULK_OLD};

# A text of `bytes` for a request or a reply, or the text as it is.
my @kinds = (
    {name => '10 clients that read 10 MB', bytes => 10_000_000, options => ['--command', 'size:10000000']},
    {name => '10 clients that read 1 MB', bytes => 1_000_000, options => ['--command', 'size:1000000']},
    {name => '10 clients that read 300 kB', bytes => 300_000, options => ['--command', 'size:300000']},
    {name => '10 clients that read 100 kB', bytes => 100_000, options => ['--command', 'size:100000']},
    {name => '10 clients that read 1 MB enciphered', bytes => 1_000_000, options => ['--command', 'encrypt:size:1000000']},
    {name => '10 clients that write 10 MB', bytes => 10_000_000, options => ['--size', 10_000_000, '--command', 'count:%u', '--expect', 'ok']},
    {name => '10 clients that write 1 MB to be enciphered', bytes => 1_000_000, options => ['--size', 1_000_000, '--command', 'encrypt:count:%u', '--expect', 'ok']},
);
@kinds = grep { $_->{name} =~ /$ENV{BULK_KINDS}/ } @kinds if $ENV{BULK_KINDS};

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# A world with the hosts msul1, for the short requests, and msul2, for the bulk.
sub world {
    my (%with) = @_;
    my $world = Lonc->new(hosts => [qw(msul1 msul2)], settings => {log_level => 'info'});
    $world->{"lond_$_"} = $world->lond($_) for qw(msul1 msul2);
    $world->keeper($with{program} ? (wrapper => ['sh', '-c', "shift; exec $with{program} \"\$@\"", 'sh']) : ());
    $world->activate($_) for qw(msul1 msul2);
    return $world;
}

sub start_load { my ($world, $host, @options) = @_; return $world->start("load of $host", [Lonc::program('lonnet-load'), '--socket', $world->path("sockets/$host"), '--json', '--timeout', 60, @options]) }

sub numbers_of {
    my ($load) = @_;
    $load->wait_exit(120);
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    return decode_json($json // die 'no numbers: ' . $load->log);
}

# Runs both loads at once: the bulk through one world, the short requests through another or the same. Returns their
# reports.
sub run_both {
    my ($kind, $bulk_world, $short_world) = @_;
    my $asked = $bulk_world->{lond_msul2}->counts->{requests};
    my $bulk = start_load($bulk_world, 'msul2', '--clients', 10, '--seconds', $seconds + 0.5, @{$kind->{options}});
    Lonc::within($Lonc::PATIENCE, sub { $bulk_world->{lond_msul2}->counts->{requests} > $asked }) or die 'there is no bulk';
    my $short = start_load($short_world, 'msul1', '--clients', 1, '--seconds', $seconds);
    my ($said, $of_bulk) = (numbers_of($short), numbers_of($bulk));
    die "not all short requests were answered" if $said->{ok} != $said->{requests};
    return {p50 => $said->{p50}, p99 => $said->{p99}, rate => $of_bulk->{rate} * $kind->{bytes} / 1e6, lost => $of_bulk->{con_lost}, of => $of_bulk->{requests}};
}

my $here = world();
my $there = world();
my $before = $old && world(program => "$old/lonc-keeper");

for my $kind (@kinds) {
    my %took;
    run_both($kind, $_, $here) for $here, $there, $before || (); # the first time takes longer
    for my $round (1 .. $rounds) {
        my @runs = ([same => $here], [beside => $there], $before ? [old => $before] : ());
        push @runs, splice @runs, 0, $round % @runs;
        push @{$took{$_->[0]}}, run_both($kind, $_->[1], $here) for @runs;
    }
    my $of = sub { my ($run, $what) = @_; return map { $_->{$what} } @{$took{$run}} };
    my $ratio = sub { my ($one, $other, $what) = @_; my (@one, @other) = (); return median(map { $took{$one}[$_]{$what} / $took{$other}[$_]{$what} } 0 .. $rounds - 1) };
    for my $run (sort keys %took) {
        my ($lost, $asked) = (0, 0);
        $lost += $_, for $of->($run, 'lost');
        $asked += $_, for $of->($run, 'of');
        diag sprintf '%s, %s: short requests p50 %d us, p99 %d us; bulk %.0f MB/s, %d of %d con_lost', $kind->{name},
            {same => 'the same keeper', beside => 'another keeper beside it', old => "the keeper of $old beside it"}->{$run} // $run,
            median($of->($run, 'p50')), median($of->($run, 'p99')), median($of->($run, 'rate')), $lost, $asked;
    }
    my ($p50, $p99) = map { $ratio->('same', 'beside', $_) } qw(p50 p99);
    diag sprintf '%s: p50 %.2f times, p99 %.2f times that beside another keeper', $kind->{name}, $p50, $p99;
    cmp_ok $p50, '<=', 2, "$kind->{name}: the p50 of another host's short requests is at most twice that beside another keeper";
    cmp_ok $p99, '<=', 3, '... and the p99 at most three times';
    cmp_ok median($of->('same', 'rate')), '>', 0, '... and the bulk goes on';
    next if !$before;
    # Each bulk beside short requests of the same keeper.
    my $rate = $ratio->('beside', 'old', 'rate');
    diag sprintf '%s: the bulk moves %.2f times what %s moves', $kind->{name}, $rate, $old;
    cmp_ok $rate, '>=', 0.9, '... and moves at least 0.9 of what it did before';
}

# --- Bulk beside a flood --------------------------------------------------------------------------

{
    my $flood = start_load($here, 'msul1', '--clients', 200, '--kept', '--seconds', 2);
    my $asked = $here->{lond_msul1}->counts->{requests};
    Lonc::within($Lonc::PATIENCE, sub { $here->{lond_msul1}->counts->{requests} > $asked + 1000 }) or die 'there is no flood';
    my $bulk = numbers_of(start_load($here, 'msul2', '--clients', 2, '--seconds', 1, '--command', 'size:1000000'));
    my $said = numbers_of($flood);
    diag sprintf 'beside %d short requests a second the bulk moves %.0f MB/s', $said->{rate}, $bulk->{rate};
    is $bulk->{ok}, $bulk->{requests}, 'bulk is carried while 200 clients ask as fast as they can';
    cmp_ok $bulk->{rate}, '>=', 5, '... at 5 MB/s at least';
    is $said->{ok}, $said->{requests}, '... who are all answered';
}

done_testing;
