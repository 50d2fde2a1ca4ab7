# SPDX-License-Identifier: GPL-3.0-or-later
#
# The report of the bench: tables, the ratios that have limits, JSON, plots, and the README's table.
package Report;
use strict;
use warnings;
use Bench;
use JSON::PP;
use List::Util qw(sum0);
use Measured;
use POSIX qw(strftime);

# The limits: the ratio of a's figure to b's in the same round, as the median of all rounds. Both are names, or groups
# of which the best counts. `fatal`: if the limit is exceeded, the bench measures nothing.
my $shared = 'lonc-keeper, shared shim';
my @asked = (
    {case => '20 connect', of => 'rate', a => 'floors, blind', b => 'direct, 10 kept', least => 0.14, fatal => 1},
    {case => '20 kept', of => 'rate', a => 'floors, blind', b => 'direct, 10 kept', least => 0.43, fatal => 1},
    {case => '20 connect', of => 'rate', a => $shared, b => 'floor, acknowledged', least => 0.85},
    {case => '20 connect', of => 'rate', a => $shared, b => 'floors, blind', least => 0.72},
    {case => '1 connect', of => 'p50', a => $shared, b => 'floor, acknowledged', most => 1.2},
    {case => '20 kept', of => 'rate', a => $shared, b => 'floors, blind', least => 0.8},
    {case => '20 connect', of => 'rate', a => $shared, b => 'others', least => 1.6},
    {case => '20 connect', of => 'p99', a => $shared, b => 'others', most => 0.65},
    {case => '20 connect', of => 'rate', a => $shared, b => 'others, handshakes'},
    {case => '20 connect', of => 'p99', a => $shared, b => 'others, handshakes'},
);

sub new { my ($class, %with) = @_; return bless {%with, date => strftime('%Y-%m-%d', gmtime)}, $class }

# --- Figures --------------------------------------------------------------------------------------

sub runs { my ($self, $case, $name) = @_; return @{$self->{runs}{$case}{$name} || []} }

sub median_of {
    my ($self, $case, $name, $of) = @_;
    return median(map { $_->{$of} } $self->runs($case, $name));
}

# Microseconds of CPU for a request, of one process or of all between client and peer. Over all rounds, because the
# kernel counts in ticks.
sub cpu {
    my ($self, $case, $name, @processes) = @_;
    my @runs = $self->runs($case, $name);
    return sum0(map { my $run = $_; $run->{ok} * sum0(@{$run->{cpu}}{@processes}) } @runs) / (sum0(map { $_->{ok} } @runs) || 1);
}

sub own { my ($contender) = @_; return grep { $_ ne 'peer' } map { $_->{name} } @{$contender->{processes}} }

# System calls or context switches for a request, or memory (kB), of some processes; undef if they could not be counted.
sub counted {
    my ($self, $case, $name, $what, @processes) = @_;
    my $counts = $self->{counts}{$case}{$name}{$what} || {};
    return (grep { !defined $counts->{$_} } @processes) ? undef : sum0(@$counts{@processes});
}

# A contender by its name, or the best of a group by its median: the highest rate, the lowest of anything else.
sub best {
    my ($self, $case, $of, $which) = @_;
    my @names = sort { $self->median_of($case, $a, $of) <=> $self->median_of($case, $b, $of) }
        grep { $self->runs($case, $_) } map { $_->{name} } grep { $_->{name} eq $which || ($_->{group} // '') eq $which } @{$self->{contenders}};
    return $of eq 'rate' ? $names[-1] : $names[0];
}

sub judge {
    my ($self, $asked) = @_;
    my ($case, $of) = @$asked{'case', 'of'};
    my @names = map { $self->best($case, $of, $_) } @$asked{'a', 'b'};
    my ($a_runs, $b_runs) = map { [$self->runs($case, $_)] } @names;
    my @ratios = map { $a_runs->[$_]{$of} / ($b_runs->[$_]{$of} || 1e-9) } 0 .. $#$a_runs;
    my $ratio = median(@ratios);
    my $met = defined $asked->{least} ? $ratio >= $asked->{least} : defined $asked->{most} ? $ratio <= $asked->{most} : undef;
    my ($what) = map { title($_) } grep { $_->{name} eq $case } @{$self->{cases}};
    return {%$asked, what => "$names[0]: $what: $of", against => $names[1], ratio => $ratio, spread => spread(@ratios), met => $met,
        values => [map { $self->median_of($case, $_, $of) } @names]};
}

# --- Text -----------------------------------------------------------------------------------------

sub title {
    my ($case) = @_;
    return sprintf '%d client%s, %s', $case->{clients}, $case->{clients} > 1 ? 's' : '', $case->{kept} ? 'kept connections' : 'connect per request';
}

sub number { my ($format, $value) = @_; return defined $value ? sprintf($format, $value) : '-' }

sub text {
    my ($self) = @_;
    my $text = "$self->{date}, $self->{rounds} rounds of $self->{seconds} s; medians; us; a request's CPU, system calls and context switches\n";
    for my $case (@{$self->{cases}}) {
        $text .= sprintf "\n%-34s %8s %6s %7s %7s %7s\n", title($case), 'rate/s', 'spread', 'p50', 'p99', 'p99.9';
        for my $contender (@{$self->{contenders}}) {
            my $name = $contender->{name};
            my @runs = $self->runs($case->{name}, $name) or next;
            $text .= sprintf "%-34s %8.0f %5.0f%% %7.0f %7.0f %7.0f ", $name, $self->median_of($case->{name}, $name, 'rate'),
                100 * spread(map { $_->{rate} } @runs), map { $self->median_of($case->{name}, $name, $_) } 'p50', 'p99', 'p99.9';
            for my $process (map { $_->{name} } @{$contender->{processes}}) {
                my @of = ($case->{name}, $name);
                $text .= sprintf ' | %s %.1f us', $process, $self->cpu(@of, $process);
                $text .= sprintf ', %s calls, %s switches, %s kB', (map { number('%.1f', $self->counted(@of, $_, $process)) } 'syscalls', 'switches'),
                    number('%d', $self->counted(@of, 'memory', $process));
            }
            $text .= sprintf " | load %.1f us\n", $self->cpu($case->{name}, $name, 'load');
        }
    }
    return $text;
}

sub bound { my ($asked) = @_; return defined $asked->{least} ? sprintf('at least %.2f', $asked->{least}) : defined $asked->{most} ? sprintf('at most %.2f', $asked->{most}) : '' }

sub verdicts {
    my ($self) = @_;
    return join '', map {
        my $of = $_->{of} eq 'rate' ? '%.0f to %.0f a second' : '%.0f to %.0f us';
        sprintf "%-8s %.2f (%s; +-%.0f %%; $of): %s, to that of %s\n",
            defined $_->{met} ? $_->{met} ? 'met' : 'NOT MET' : 'stated', $_->{ratio},
            bound($_) || 'no bound',
            100 * $_->{spread}, @{$_->{values}}, $_->{what}, $_->{against};
    } @{$self->{judged}};
}

# --- The README's table ---------------------------------------------------------------------------

# A Markdown table with a row for each contender: its name, and its `cells`. No row if there are no cells.
sub rows {
    my ($self, $cells) = @_;
    return join '', map { my @cells = $cells->($_); @cells ? join(' | ', "| $_->{name}", @cells) . " |\n" : () } @{$self->{contenders}};
}

sub markdown {
    my ($self) = @_;
    my $of = sub {
        my ($name, $case, @what) = @_;
        return map { $self->runs($case, $name) ? sprintf '%.0f', $self->median_of($case, $name, $_) : '' } @what;
    };
    my $text = "Measured on $self->{date}, " . machine() . ": medians of $self->{rounds} rounds of $self->{seconds} s; times in microseconds.\n\n"
        . "| a connection for each request | 1 client: p50 | 20 clients: requests/s | p50 | p99 | p99.9 | 500 clients: requests/s | p99 |\n|---|" . '--:|' x 7 . "\n"
        . $self->rows(sub {
            my ($name) = $_[0]{name};
            return $self->runs('20 connect', $name) && !$_[0]{like} ? ($of->($name, '1 connect', 'p50'), $of->($name, '20 connect', qw(rate p50 p99 p99.9)), $of->($name, '500 connect', qw(rate p99))) : ();
        })
        . "\n| kept connections | 1 client: p50 | 20 clients: requests/s | p50 | p99 | 500 clients: requests/s | p99 |\n|---|" . '--:|' x 6 . "\n"
        . $self->rows(sub {
            my ($name) = $_[0]{name};
            return $self->runs('20 kept', $name) ? ($of->($name, '1 kept', 'p50'), $of->($name, '20 kept', qw(rate p50 p99)), $of->($name, '500 kept', qw(rate p99))) : ();
        })
        . "\n| what a request costs, 20 clients, a connection for each | CPU | system calls | context switches | kB with 500 kept clients |\n|---|" . '--:|' x 4 . "\n"
        . $self->rows(sub {
            my ($name, @own) = ($_[0]{name}, own($_[0]));
            return @own ? (sprintf('%.0f', $self->cpu('20 connect', $name, @own)), (map { number('%.1f', $self->counted('20 connect', $name, $_, @own)) } 'syscalls', 'switches'),
                number('%d', $self->counted('500 kept', $name, 'memory', @own))) : ();
        })
        . "\n| the median of each round's ratio | to | wanted | is |\n|---|---|--:|--:|\n"
        . join '', map { sprintf "| %s | %s | %s | %.2f |\n", $_->{what}, $_->{against}, bound($_), $_->{ratio} } @{$self->{judged}};
    return $text;
}

# --- Plots ----------------------------------------------------------------------------------------

sub plot {
    my ($self, $file, $title, $axis, $columns, @rows) = @_;
    my $data = join '', map { '"' . $_->[0] . '"' . join('', map {" $_"} @$_[1 .. $#$_]) . "\n" } @rows;
    my $n = @$columns;
    open my $gnuplot, '|-', 'gnuplot' or die "gnuplot: $!";
    print $gnuplot <<"END", map { "'\$data' using " . ($_ + 2) . ":xtic(1) title '$columns->[$_]'" . ($_ < $n - 1 ? ", \\\n" : "\n") } 0 .. $n - 1;
set terminal svg size 1000,560 background 'white' font 'sans,13'
set output '$self->{results}/$file.svg'
set title '$title'
set ylabel '$axis'
set style data histograms
set style histogram @{[$file =~ /cpu/ ? 'rowstacked' : 'clustered gap 1']}
set style fill solid 0.8 border -1
set boxwidth 0.9
set xtics rotate by -25
set grid ytics
set key outside top center horizontal
@{[$file =~ /cpu/ ? 'set yrange [0:*]' : "set logscale y\nset yrange [*:*]"]}
\$data << END
${data}END
plot \\
END
    close $gnuplot or die "gnuplot failed ($?)\n";
}

sub plots {
    my ($self) = @_;
    for my $kind ('connect', 'kept') {
        my @names = grep { my $name = $_; !grep { !$self->runs("$_ $kind", $name) } 1, 20, 500 } map { $_->{name} } @{$self->{contenders}};
        my $long = $kind eq 'kept' ? 'kept connections' : 'connect per request';
        $self->plot("rate-$kind", "$long: requests a second", 'requests/s', ['1 client', '20 clients', '500 clients'],
            map { my $name = $_; [$name, map { $self->median_of("$_ $kind", $name, 'rate') } 1, 20, 500] } @names);
        $self->plot("latency-$kind", "$long, 20 clients: latency", 'microseconds', ['p50', 'p99', 'p99.9'],
            map { my $name = $_; [$name, map { $self->median_of("20 $kind", $name, $_) } 'p50', 'p99', 'p99.9'] } @names);
    }
    my @measured = grep { $self->runs('20 connect', $_->{name}) } grep { !$_->{like} } @{$self->{contenders}};
    $self->plot('cpu', 'connect per request, 20 clients: CPU', 'microseconds a request', ['relay', 'its shim or starter', 'peer', 'load'],
        map {
            my ($name, @own) = ($_->{name}, reverse own($_));
            [$name, map { $_ ? $self->cpu('20 connect', $name, $_) : 0 } $own[0], $own[1], 'peer', 'load'];
        } @measured);
}

# --- All of it ------------------------------------------------------------------------------------

sub write {
    my ($self, $name, $text) = @_;
    open my $file, '>', "$self->{results}/$name" or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

# Prints the report, writes it into the folder, and returns the exit status of the bench.
sub all {
    my ($self) = @_;
    $self->{judged} = [map { $self->judge($_) } @asked];
    my $text = $self->text . "\n" . $self->verdicts;
    $self->write('table.txt', $text);
    $self->write('table.md', $self->markdown);
    $self->write('results.json', JSON::PP->new->canonical->pretty->encode({(map { $_ => $self->{$_} } qw(date rounds seconds runs counts judged)), machine => machine()}));
    $self->plots;
    print $text, "\nin $self->{results}: table.txt, table.md, results.json, and plots\n";
    my @slow = grep { $_->{fatal} && !$_->{met} } @{$self->{judged}};
    print "FAILED: the floor is slow, so that the ratios to it say nothing\n" if @slow;
    return $self->all_answered && !@slow ? 0 : 1;
}

sub all_answered {
    my ($self) = @_;
    my $failed = 0;
    for my $case (map { $_->{name} } @{$self->{cases}}) {
        for my $name (map { $_->{name} } @{$self->{contenders}}) {
            for my $run (grep { $_->{failed} } $self->runs($case, $name)) {
                print "FAILED: $name, $case: $run->{failed} requests of $run->{requests}: $run->{said}" if ++$failed <= 10;
            }
        }
    }
    return !$failed;
}

1;
