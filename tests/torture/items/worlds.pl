#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Random worlds (tests/scenario/lib/World.pm), each with its own seed. Several run at once, since a world mostly waits:
#
#     worlds.pl --seconds 300 --seed 1      as many as fit into 300 s
#     worlds.pl --world 42                  the one with seed 42
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../scenario/lib";
use Getopt::Long;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(time);
use Lonc;
use World;

my @arguments = @ARGV;
GetOptions('seconds=i' => \(my $seconds = 60), 'seed=i' => \(my $seed = 1), 'world=i' => \my $only,
    'length=i' => \(my $length = 15), 'jobs=i' => \(my $jobs = 4)) or exit 2;
@ARGV = @arguments;
World::isolate();
Lonc::need_descriptors(4096);
$| = 1;
my $owner = $$;
$SIG{$_} = sub { $$ == $owner ? exit 3 : POSIX::_exit(3) } for qw(INT TERM); # so that END blocks run, which end the processes

my ($began, $first) = (time, $only // 1000 * $seed);
my $end = $began + $seconds;
$jobs = 1 if defined $only;

# Runs every $jobs-th world from this one on, and prints a line of JSON for each.
sub work {
    my ($next) = @_;
    do {
        my $account = World->new(seed => $next, seconds => $length)->run;
        my @violations = $account->violations;
        print "world $next: ", $account->summary, "\n", map {"world $next: VIOLATION: " . s/\n.*//sr . "\n"} @violations;
        print encode_json({violations => scalar @violations, map { $_ => $account->{$_} } qw(outcomes cuts requests executed files redelivered)}), "\n";
        $next += $jobs;
    } while (!defined $only && time < $end);
}

my @workers = map {
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        $owner = $$;
        World::own();
        work($first + $_);
        exit 0;
    }
    $out;
} 0 .. $jobs - 1;

my %sum = map { $_ => 0 } qw(worlds violations requests executed files redelivered keeper restart shim);
my %outcomes;
for my $out (@workers) {
    while (my $line = <$out>) {
        if ($line !~ /^\{/) {
            print $line;
            next;
        }
        my $account = decode_json($line);
        $sum{worlds}++;
        $sum{$_} += $account->{$_} for qw(violations requests executed files redelivered);
        $outcomes{$_} += $account->{outcomes}{$_} for keys %{$account->{outcomes}};
        $sum{/^(?:keeper|restart)$/ ? $_ : 'shim'} += @{$account->{cuts}{$_}} for keys %{$account->{cuts}};
    }
    close $out or $sum{violations}++; # a world that did not reach its end
}
printf "worlds: %d requests in %d worlds, %d violations; %.0f requests/s; %s; %d executed, %d deferred files, %d delivered again; "
    . "keepers killed %d, restarted %d, shims killed %d; first seed %d\n", @sum{qw(requests worlds violations)}, $sum{requests} / (time - $began),
    join(', ', map {"$_ $outcomes{$_}"} sort keys %outcomes), @sum{qw(executed files redelivered keeper restart shim)}, $first;
exit($sum{violations} || !$sum{requests} ? 1 : 0);
