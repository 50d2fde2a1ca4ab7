# SPDX-License-Identifier: GPL-3.0-or-later
#
# The results of the bench: figures, some of which have a limit, and tables. It writes them as text, as the README's
# tables, as a file of longer tables, and as JSON.
package Findings;
use strict;
use warnings;
use JSON::PP;
use Measured;
use POSIX qw(strftime);

sub new {
    my ($class, %with) = @_;
    return bless {%with, date => strftime('%Y-%m-%d', gmtime), figures => [], tables => []}, $class;
}

# One figure: `what`, `unit`, `format` (%.2f), and its `values`, one for each round. `most` or `least` limits their
# median; with `worst => 1`, it limits each of them.
sub figure {
    my ($self, %figure) = @_;
    my @sorted = sort { $a <=> $b } @{$figure{values}};
    die "$figure{what}: nothing was measured" if !@sorted;
    $figure{is} = !$figure{worst} ? median(@sorted) : defined $figure{least} ? $sorted[0] : $sorted[-1];
    $figure{spread} = spread(@sorted);
    $figure{met} = $figure{is} <= $figure{most} ? JSON::PP::true : JSON::PP::false if defined $figure{most};
    $figure{met} = $figure{is} >= $figure{least} ? JSON::PP::true : JSON::PP::false if defined $figure{least};
    push @{$self->{figures}}, \%figure;
    print text_of(\%figure);
}

# A table with these columns, the first of which has words; rows are lists. It goes into the README unless it is long.
sub table { my ($self, @table) = @_; return $self->add_table(0, @table) }
sub long_table { my ($self, @table) = @_; return $self->add_table(1, @table) }

sub add_table {
    my ($self, $long, $columns, @rows) = @_;
    push @{$self->{tables}}, {columns => $columns, rows => \@rows, long => $long};
    print "\n", join('', map { sprintf("%-64s", $_->[0]) . join('', map { sprintf ' %14s', $_ } @$_[1 .. $#$_]) . "\n" } $columns, @rows), "\n";
}

sub with_unit {
    my ($figure, $value) = @_;
    my $number = sprintf $figure->{format} || '%.2f', $value;
    return defined $figure->{unit} ? "$number $figure->{unit}" : $number;
}

sub wanted {
    my ($figure) = @_;
    return defined $figure->{most} ? 'at most ' . with_unit($figure, $figure->{most}) : defined $figure->{least} ? 'at least ' . with_unit($figure, $figure->{least}) : '';
}

sub verdict { my ($figure) = @_; return !defined $figure->{met} ? '' : $figure->{met} ? 'met' : 'NOT MET' }

sub text_of {
    my ($figure) = @_;
    return sprintf "%-8s %-84s %14s  (+-%.0f %%)%s\n", verdict($figure), $figure->{what}, with_unit($figure, $figure->{is}), 100 * $figure->{spread},
        defined $figure->{met} ? ' wanted: ' . wanted($figure) : '';
}

sub table_markdown {
    my ($table) = @_;
    return "\n| " . join(' | ', @{$table->{columns}}) . " |\n|---|" . '--:|' x $#{$table->{columns}} . "\n"
        . join '', map { '| ' . join(' | ', @$_) . " |\n" } @{$table->{rows}};
}

sub measured { my ($self) = @_; return "Measured on $self->{date}, " . machine() . ", $self->{systemd}: medians of $self->{rounds} rounds.\n" }

sub markdown {
    my ($self) = @_;
    return $self->measured . "\n| as installed, on a booted systemd | wanted | is | |\n|---|--:|--:|---|\n"
        . join('', map { sprintf "| %s | %s | %s | %s |\n", $_->{what}, wanted($_), with_unit($_, $_->{is}), verdict($_) } @{$self->{figures}})
        . join '', map { table_markdown($_) } grep { !$_->{long} } @{$self->{tables}};
}

# Writes system.md, system-options.md and system.json into a folder. Returns how many figures exceed their limit.
sub write {
    my ($self, $folder) = @_;
    my %text = ('system.md' => $self->markdown, 'system-options.md' => $self->measured . join('', map { table_markdown($_) } grep { $_->{long} } @{$self->{tables}}),
        'system.json' => JSON::PP->new->canonical->pretty->encode({(map { $_ => $self->{$_} } qw(date rounds systemd figures tables)), machine => machine()}));
    mkdir $folder;
    for my $name (keys %text) {
        open my $file, '>', "$folder/$name" or die "$name: $!";
        print $file $text{$name};
        close $file or die "$name: $!";
    }
    return scalar grep { defined $_->{met} && !$_->{met} } @{$self->{figures}};
}

1;
