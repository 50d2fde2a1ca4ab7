# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the benches of growth share: a world of thousands of hosts behind one stand-in lond; what a process holds and
# uses; and how one number grows with another, as the slope on logarithmic scales (0: not at all, 1: in proportion), as
# a table and as a plot.
package Scale;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use lib "$FindBin::Bin/../scenario/lib";
use File::Path qw(make_path);
use JSON::PP;
use List::Util qw(sum max min);
use Test::More;
use Time::HiRes qw(time);
use Lonc;

our @EXPORT = qw(median slope big_world memory turns load cpu_of report results_folder $rounds);

my $worlds = 0;

# Rounds behind each median. SCALE_ROUNDS=1 is for trying a bench out.
our $rounds = $ENV{SCALE_ROUNDS} || 5;

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# The slope of [x, y] pairs on logarithmic scales, by least squares.
sub slope {
    my @points = map { [log $_->[0], log($_->[1] > 0 ? $_->[1] : 1e-9)] } @_;
    my ($x, $y) = map { my $i = $_; sum(map { $_->[$i] } @points) / @points } 0, 1;
    return sum(map { ($_->[0] - $x) * ($_->[1] - $y) } @points) / sum(map { ($_->[0] - $x)**2 } @points);
}

sub name_of_host { return sprintf 'host%d', $_[0] }
sub address_of_host { my ($n) = @_; return sprintf '127.%d.%d.%d', 101 + ($n >> 16), ($n >> 8) & 255, $n & 255 }

# Puts hosts 1 to `count` into the table.
sub set_hosts {
    my ($world, $count) = @_;
    $world->{address} = {map { (name_of_host($_) => address_of_host($_)) } 1 .. $count};
    $world->write_config;
}

# Makes a world with that number of hosts, all served by one stand-in lond that listens at every address. `settings` are
# those of the keeper, `lond` options of the lond. Only the lond has been started.
sub big_world {
    my ($count, %with) = @_;
    my $port = 20_000 + ($$ + 17 * $worlds++) % 10_000;
    my $world = Lonc->new(settings => {log_level => 'notice', %{$with{settings} || {}}}, variables => {londPort => $port});
    set_hosts($world, $count);
    my $control = $world->path('lond.sock');
    $world->{lond} = $world->start('lond', [Lonc::program('stand-in-lond'), '--listen', "0.0.0.0:$port", '--control', $control,
            '--ready-fd', 1, '--lifetime', 3600, @{$with{lond} || []}]);
    $world->{lond}->await(qr/:$port/);
    $world->{lond}{control} = $control;
    bless $world->{lond}, 'Lonc::Lond';
    return $world;
}

# Kilobytes of a process: rss, pss, private (dirty and clean).
sub memory {
    my ($process) = @_;
    open my $file, '<', "/proc/$process->{pid}/smaps_rollup" or die "smaps_rollup: $!";
    my $text = join '', <$file>;
    my %kb = map { lc $_->[0] => $_->[1] } map { [/^(\w+):\s+(\d+) kB/] } grep {/^\w+:/} split /\n/, $text;
    return {rss => $kb{rss}, pss => $kb{pss}, private => $kb{private_clean} + $kb{private_dirty}};
}

# The turns of a keeper that was started with turns_setup: [longest, count, sum] in nanoseconds; forgets them.
sub turns_setup { my ($world) = @_; return ('env', 'TURNS=' . $world->path('turns'), 'LD_PRELOAD=' . Lonc::program('turns.so')) }

sub turns {
    my ($world) = @_;
    open my $file, '+<:raw', $world->path('turns') or die "turns: $!";
    read $file, my $bytes, 24;
    seek $file, 0, 0;
    syswrite $file, "\0" x 24;
    return unpack 'Q3', $bytes;
}

# Live requests of one host in an open loop, as lonnet-load reports them; `meanwhile` runs beside it.
sub load {
    my ($world, $host, $rate, $seconds, %with) = @_;
    my $before = $world->{lond}->counts->{requests};
    my $load = $world->start('load', [Lonc::program('lonnet-load'), '--socket', $world->path("sockets/$host"), '--clients', $with{clients} || 20,
            '--kept', '--rate', $rate, '--seconds', $seconds, '--json', @{$with{options} || []}]);
    if ($with{meanwhile}) {
        Lonc::within($Lonc::PATIENCE, sub { $world->{lond}->counts->{requests} > $before + 50 }) or die 'there is no load: ' . $load->log . "\nthe keeper: " . substr($world->{keeper}->log, -2000);
        $with{meanwhile}->();
    }
    my $status = $load->wait_exit(300);
    my ($json) = $load->log =~ /^(\{.*\})$/m;
    my $said = decode_json($json || '{}');
    die 'not all were answered: ' . $load->log if $status != 0;
    return $said;
}

# Microseconds of CPU that the process spends on a request while the code runs, which returns the number of requests.
sub cpu_of {
    my ($process, $code) = @_;
    my $before = cpu_ns($process);
    my $requests = $code->();
    return (cpu_ns($process) - $before) / 1000 / $requests;
}

# The CPU time of all threads, in nanoseconds, since ticks of 10 ms are too coarse.
sub cpu_ns {
    my ($process) = @_;
    my $sum = 0;
    for my $path (glob "/proc/$process->{pid}/task/*/schedstat") {
        open my $file, '<', $path or next;
        $sum += (split ' ', <$file>)[0];
    }
    return $sum;
}

sub results_folder { my $path = Lonc::program('bench-results'); make_path($path); return $path }

# A table of the rows (the first column is what grows), as text and as a plot. Returns the slopes by column.
sub report {
    my ($name, $title, $columns, @rows) = @_;
    my $path = results_folder() . "/$name";
    open my $file, '>', "$path.tsv" or die "$path.tsv: $!";
    print $file join("\t", @$columns), "\n", map { join("\t", @$_) . "\n" } @rows;
    close $file;
    my @width = map { my $i = $_; max map { length $_->[$i] } $columns, @rows } 0 .. $#$columns;
    diag join '  ', map { sprintf '%*s', $width[$_], $columns->[$_] } 0 .. $#$columns;
    for my $row (@rows) { diag join '  ', map { sprintf '%*s', $width[$_], $row->[$_] } 0 .. $#$columns }
    my %slope = map { my $i = $_; ($columns->[$i] => slope(map { [$_->[0], $_->[$i]] } @rows)) } 1 .. $#$columns;
    diag join '  ', 'slopes:', map { sprintf '%s %.2f', $_, $slope{$_} } @$columns[1 .. $#$columns];
    plot("$path.svg", "$path.tsv", $title, $columns);
    return \%slope;
}

sub plot {
    my ($svg, $tsv, $title, $columns) = @_;
    open my $gnuplot, '|-', 'gnuplot' or return diag "no plot: $!";
    print $gnuplot <<"EOT";
set terminal svg size 900,600 font 'sans,14'
set output '$svg'
set title '$title' noenhanced
set logscale xy
set grid
set key outside right noenhanced
set datafile separator '\\t'
set xlabel '$columns->[0]' noenhanced
EOT
    print $gnuplot 'plot ', join(', ', map { "'$tsv' skip 1 using 1:" . ($_ + 1) . " with linespoints title '$columns->[$_]'" } 1 .. $#$columns), "\n";
    close $gnuplot or diag "gnuplot: $?";
}

1;
