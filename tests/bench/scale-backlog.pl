#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What grows with the number of deferred files of one host: start, memory, delivery, and the latency of another host's
# live requests while the folder is read and while it drains.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use Scale;

my @sizes = split ' ', $ENV{SCALE_FILES} || '1000 10000 100000 1000000';
my $most_seconds = $ENV{SCALE_SECONDS} || 600; # how long a drain is observed

# Hard links to a few files, because only the number of names matters.
sub fill {
    my ($world, $files) = @_;
    my ($from, $folder) = map { $world->path($_) } qw(sockets/content sockets/delayed);
    mkdir $from;
    for my $n (1 .. $files) {
        my $source = sprintf '%s/%d', $from, $n / 50_000;
        if (!-e $source) {
            open my $file, '>', $source or die "$source: $!";
            print $file "count:scale\n";
            close $file or die "$source: $!";
        }
        link $source, sprintf '%s/%d.%d.%d.count.host2', $folder, 1_700_000_000 + int($n / 100), $n % 100, 4711 or die "link: $!";
    }
}

my (@rows, %of);
for my $files (@sizes) {
    my $world = Scale::big_world(2, settings => {deferred_hold => '1s'});
    fill($world, $files);
    my $start = time;
    my $keeper = $world->keeper(wrapper => [Scale::turns_setup($world)]);
    my $ready = 1000 * (time - $start);
    $world->activate('host1');
    $keeper->tells('pause host2');
    my $scanning = load($world, 'host1', 500, 1)->{max} / 1000;
    my $empty = Scale::memory($keeper)->{private};
    Lonc::within(600, sub { my $said = $keeper->tells('status')->{deferred}; (ref $said ? $said->{files} : $said) == $files }) or die 'not all are found';
    my $found = time - $start;
    my $scan_cpu = Scale::cpu_ns($keeper) / 1e9;
    my $memory = Scale::memory($keeper)->{private};
    my $alone = load($world, 'host1', 500, 3)->{p99};
    $keeper->tells('resume host2');
    my $lond = $world->{lond};
    my $delivered = sub { $lond->executed('count:scale') };
    my $beside = load($world, 'host1', 500, 3)->{p99};
    my ($before, $cpu, $began) = ($delivered->(), Scale::cpu_ns($keeper), time);
    Lonc::within($most_seconds, sub { select undef, undef, undef, 0.2; $delivered->() == $files });
    my ($count, $took) = ($delivered->() - $before, time - $began);
    my $cpu_file = (Scale::cpu_ns($keeper) - $cpu) / 1000 / ($count || 1);
    my ($turn) = turns($world);
    push @rows, [$files, sprintf('%.1f', $ready), sprintf('%.2f', $found), sprintf('%.2f', 1e6 * $scan_cpu / $files), $empty, $memory,
        sprintf('%.0f', $count / $took), sprintf('%.1f', $cpu_file), sprintf('%.0f', $alone), sprintf('%.0f', $beside), sprintf('%.1f', $scanning), sprintf('%.2f', $turn / 1e6)];
    diag "@{$rows[-1]}";
    is $delivered->(), $files, "$files files: each is delivered once";
    cmp_ok $memory, '<', 8000 + 64 * 1024, '... and the memory that they take is bounded by deferred_memory';
}
my $slope = report('scale-backlog', 'deferred files of one host', ['files', 'start ms', 'all found s', 'CPU us to find one', 'private kB at start',
    'private kB', 'delivered/s', 'CPU us to deliver one', 'p99 us without', 'p99 us in the drain', 'latest answer in the scan ms', 'longest turn ms'], @rows);
cmp_ok $slope->{'CPU us to deliver one'}, '<', 0.1, 'to deliver a file costs the same, however many there are' if @rows > 1;

done_testing;
