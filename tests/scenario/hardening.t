#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The programs are built with all hardening of the compiler: position independent, with read-only relocations, without
# executable data, with checked copies, guarded stacks, and marked targets of jumps.
use strict;
use warnings;
use Test::More;

my $build = $ENV{BUILD} || 'build';
my @programs = qw(lonc-keeper lonc-shim loncctl lonc-hosts);
chomp(my $machine = `uname -m`);

# What readelf says of a file.
sub readelf {
    my ($option, $file) = @_;
    my $said = `LC_ALL=C readelf --wide $option '$file'`;
    die "readelf $option $file failed" if $?;
    return $said;
}

# Undefined symbols of the program's own objects, which a stripped program no longer shows.
sub needs {
    my ($program) = @_;
    my %folders = ('lonc-keeper' => 'keeper/{,core/,net/,lond/,host/,deferred/,client/,control/}*.o', 'lonc-shim' => 'shim/*.o', loncctl => 'keeper/loncctl/{,*/}*.o', 'lonc-hosts' => 'units/lonc-hosts/*.o');
    my @objects = glob("$build/obj/$folders{$program}") or die "no objects of $program";
    return `nm --undefined-only @objects`;
}

for my $program (@programs) {
    my $file = "$build/$program";
    my ($header, $segments, $dynamic) = map { readelf($_, $file) } qw(--file-header --segments --dynamic);
    my $undefined = needs($program);

    like $header, qr/Type:\s+DYN/, "$program is loaded at an address that nobody knows before (PIE)";
    like $dynamic, qr/\(FLAGS_1\).*\bPIE\b/, '... and says so';
    like $segments, qr/GNU_RELRO/, "$program: what the loader wrote is read-only afterwards (RELRO)";
    like $dynamic, qr/\(BIND_NOW\)|\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b/, '... which is all of it, since all is bound at the start';
    like $segments, qr/GNU_STACK(?:\s+0x[0-9a-f]+){5}\s+RW\s/, "$program: the stack is not executable";
    unlike $segments, qr/^\s+LOAD(?:\s+0x[0-9a-f]+){5}\s+RWE/m, '... and nothing is writable and executable at once';
    unlike $dynamic, qr/TEXTREL/, '... nor written by the loader where code is';
    like $undefined, qr/ U __stack_chk_fail\b/, "$program: stacks are guarded";
    like $undefined, qr/ U __\w+_chk\b(?<!__stack_chk_fail)/, "$program: copies whose room is known are checked (FORTIFY)";
}

# Targets of jumps are marked, and returns may be checked (CET). The linker keeps the mark where all parts have it,
# which is the C library's matter too: Debian 12's start files are without.
SKIP: {
    skip "CET is for x86_64, and this is $machine", 1 if $machine ne 'x86_64';
    my $mark = qr/x86 feature:.*\bIBT\b.*\bSHSTK\b/;
    my @unmarked = grep { readelf('--notes', $_) !~ $mark } map { glob "$build/obj/$_/*.o" } qw(common shim keeper keeper/* keeper/loncctl/* units/*);
    is "@unmarked", '', 'every object is marked for CET';
    chomp(my $start = `gcc -print-file-name=Scrt1.o`);
    skip 'the C library is not marked for CET', 1 if readelf('--notes', $start) !~ $mark;
    like readelf('--notes', "$build/$_"), $mark, "$_ is" for @programs;
}

done_testing;
