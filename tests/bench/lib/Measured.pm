# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the report of each bench needs: medians, the spread of runs, and a description of the machine.
package Measured;
use strict;
use warnings;
use Exporter 'import';
use POSIX ();

our @EXPORT = qw(median spread machine);

sub median { my @sorted = sort { $a <=> $b } @_; return @sorted % 2 ? $sorted[@sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2 }

# The spread of runs: half the interquartile range, relative to the median.
sub spread {
    my @sorted = sort { $a <=> $b } @_;
    my $median = median(@sorted);
    return $median ? ($sorted[int 0.75 * $#sorted + 0.5] - $sorted[int 0.25 * $#sorted + 0.5]) / 2 / $median : 0;
}

sub lines { my ($name) = @_; open my $file, '<', $name or return (); return <$file> }

# Processors, system and kernel, in one line.
sub machine {
    my @cpus = lines('/proc/cpuinfo');
    my @models = map { /^model name\s*:\s*(.*)/ ? $1 : () } @cpus;
    my ($system) = join('', lines('/etc/os-release')) =~ /^PRETTY_NAME="?([^"\n]*)/m;
    my $kernel = (POSIX::uname())[2] =~ s/^(\d+\.\d+).*/$1/r;
    my $virtual = (grep {/^flags.*\bhypervisor\b/} @cpus) ? ', virtual' : '';
    return sprintf '%d processors (%s%s), %s, Linux %s', scalar @models, $models[0] || '?', $virtual, $system || '?', $kernel;
}

1;
