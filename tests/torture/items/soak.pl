#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Endurance: repeats the same mixed lap for as long as asked: kept connections and connections for one request,
# enciphered requests, clients that leave, deferred files, reloads with one host more and less, a lond that is killed
# and comes back, questions of loncctl. Between laps, when everything is done, the keeper and its shims should be as
# before: after the first laps, neither memory nor descriptors grow.
#
#     soak.pl --seconds N --seed S
#
# The growth is the slope of a straight line through the laps (least squares). The test fails if the slope exceeds the
# limit by more than four times its standard error, so that noise is not taken for a leak.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../scenario/lib";
use Getopt::Long;
use Time::HiRes qw(time);
use Lonc;
use Deferred;

# A lap has some 1,300 requests. A leak of one byte in each exceeds the limit.
my $bytes_a_lap = 1024;
my $descriptors_a_lap = 0.05;
my $laps_least = 12; # with fewer, a slope means nothing

my ($seconds, $seed) = (60, 1);
GetOptions('seconds=i' => \$seconds, 'seed=i' => \$seed) or die "usage: soak.pl --seconds N --seed S\n";
srand $seed;

my @lond = ('--lifetime', $seconds + 600); # by default a stand-in lond exits after ten minutes
my ($world, @londs) = Lonc->up(hosts => [qw(msul1 msul2)], lond => \@lond,
    settings => {log_level => 'notice', retry_delay => '50ms', probe_min => '100ms', probe_max => '200ms', deferred_hold => '10ms'});
my %lond = (msul1 => $londs[0], msul2 => $londs[1]);
my @processes = map {
    my $process = $_;
    $process->{name} =~ /^(lonc-keeper|shim of msul1)$/ ? $process : ()
} @{$world->{processes}};
my $keeper = $world->{keeper};
my ($requests, $con_lost, $count, $laps) = (0, 0, 0, 0);

# --- A lap ----------------------------------------------------------------------------------------

sub load {
    my ($host, @options) = @_;
    my $load = $world->start('load', [Lonc::program('lonnet-load'), '--socket', $world->path("sockets/$host"),
            '--clients', 20, '--requests', 500, @options]);
    my $status = $load->wait_exit(120);
    die "lap $laps: the load of $host ended with $status: ", $load->log, substr $keeper->log, -2000 if $status != 0;
    $world->{processes} = [grep { $_ != $load } @{$world->{processes}}];
    $requests += 500;
}

# Asks a host that was in trouble until it answers.
sub answers {
    my ($host) = @_;
    my $answer;
    Lonc::within(60, sub { $requests++; ($answer = $world->ask($host, 'ping') // '') eq "pong:$host" || ++$con_lost && 0 })
        or die "$host does not answer any more: $answer";
}

sub ask_enciphered {
    my $text = join '', map { chr 97 + int rand 26 } 1 .. 1 + rand 200;
    my $got = $world->ask('msul1', "encrypt:echo:$text");
    $requests++;
    die "an enciphered request came back as $got" if $got ne $text;
}

sub leave_early {
    my $client = $world->client('msul1');
    $client->send(('echo:unfinished', "sleep:20:nobody\n", "size:300000\n")[rand 3]);
    $client->close;
    $requests++;
}

sub deliver {
    await_gone($world, $_) or die "$_ stays" for map { drop($world, 'msul2', ++$count, "count:$count") } 1 .. 10;
    $requests += 10;
}

sub reload {
    my ($with) = @_;
    if ($with) { $world->{address}{extra} = "$world->{net}.250" }
    else { delete $world->{address}{extra} }
    $world->write_config;
    my $answer = $keeper->tells('reload');
    die "a reload failed: @{$answer->{errors}}" if !$answer->{ok};
}

sub restart_lond {
    $lond{msul2}->kill_hard;
    $world->{processes} = [grep { $_ != $lond{msul2} } @{$world->{processes}}];
    $con_lost++ if ($world->ask('msul2', 'ping') // '') eq 'con_lost';
    $requests++;
    $lond{msul2} = $world->lond('msul2', @lond);
    answers('msul2');
}

sub lap {
    my ($lap) = @_;
    load('msul1');
    load('msul1', '--kept');
    ask_enciphered() for 1 .. 10;
    leave_early() for 1 .. 5;
    deliver();
    reload($lap % 2);
    restart_lond();
    load('msul2', '--kept');
    $keeper->tells($_) for qw(status hosts clients config history histograms), 'connections msul1';
}

# --- What is measured -----------------------------------------------------------------------------

sub anonymous_memory {
    my ($process) = @_;
    open my $file, '<', "/proc/$process->{pid}/status" or die "$process->{name} is gone: " . $process->log;
    return 1024 * ((join '', <$file>) =~ /^RssAnon:\s*(\d+) kB/m)[0];
}

# Waits until nothing is under way any more.
sub rest {
    Lonc::within(60, sub {
        my $status = $keeper->tells('status');
        $status->{clients} == 0 && $status->{queued} == 0 && $status->{deferred} == 0;
    }) or die 'the keeper does not come to rest';
}

# Slope and its standard error, of values at 0, 1, 2, ..
sub slope {
    my @values = @_;
    my $n = @values;
    my ($mean_x, $mean_y, $xx, $xy, $rest) = (($n - 1) / 2, 0, 0, 0, 0);
    $mean_y += $_ / $n for @values;
    for my $x (0 .. $n - 1) {
        $xx += ($x - $mean_x)**2;
        $xy += ($x - $mean_x) * ($values[$x] - $mean_y);
    }
    my $slope = $xy / $xx;
    $rest += ($values[$_] - $mean_y - $slope * ($_ - $mean_x))**2 for 0 .. $n - 1;
    return ($slope, sqrt($rest / ($n - 2) / $xx));
}

# --- The soak -------------------------------------------------------------------------------------

my (%memory, %descriptors);
my $began = time;
while (time - $began < $seconds || $laps < $laps_least) {
    lap($laps++);
    rest();
    for my $process (@processes) {
        push @{$memory{$process->{name}}}, anonymous_memory($process);
        push @{$descriptors{$process->{name}}}, $process->descriptors;
    }
}

my $grown = 0;
printf "soak: %d laps, %d requests, %d times con_lost, %.0f s, seed %d\n", $laps, $requests, $con_lost, time - $began, $seed;
for my $process (@processes) {
    my $name = $process->{name};
    for ([memory => $memory{$name}, $bytes_a_lap], [descriptors => $descriptors{$name}, $descriptors_a_lap]) {
        my ($what, $all, $bound) = @$_;
        my @values = @$all[@$all / 3 .. $#$all]; # the first laps may still allocate
        my ($slope, $error) = slope(@values);
        my $bad = $slope - 4 * $error > $bound;
        $grown += $bad;
        printf "soak: %s: %s %d at first, %d in the end; %+.3f +- %.3f a lap, bound %g%s\n", $name, $what, $values[0],
            $values[-1], $slope, $error, $bound, $bad ? ': IT GROWS' : '';
    }
}
exit($grown > 0);
