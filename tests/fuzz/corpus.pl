#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The corpus of a fuzz target is a text file, an input a line (see replay.c); libFuzzer wants a folder,
# an input a file.
#
#     corpus.pl unpack FILE FOLDER     adds the inputs of FILE to FOLDER
#     corpus.pl pack FOLDER FILE       writes those of FOLDER to FILE, the shortest first
use strict;
use warnings;
use Digest::SHA qw(sha1_hex);

my %names = ("\n" => 'n', "\r" => 'r', "\t" => 't', '\\' => '\\');
my %bytes = reverse %names;

sub encode { return $_[0] =~ s{([^ -~]|\\)}{'\\' . ($names{$1} // sprintf 'x%02x', ord $1)}segr }
sub decode { return $_[0] =~ s{\\(?:x([0-9a-f]{2})|(.))}{defined $1 ? chr hex $1 : $bytes{$2} // die "\\$2\n"}segr }

sub contents {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!\n";
    local $/;
    return <$file> // '';
}

sub put {
    my ($path, $text) = @_;
    open my $file, '>:raw', $path or die "$path: $!\n";
    print $file $text;
    close $file or die "$path: $!\n";
}

sub unpack_corpus {
    my ($from, $folder) = @_;
    mkdir $folder;
    put("$folder/" . sha1_hex($_), $_) for map { decode($_) } split /\n/, contents($from);
}

sub pack_corpus {
    my ($folder, $to) = @_;
    my %inputs = map { encode(contents($_)) => 1 } grep {-f} glob "$folder/*";
    put($to, join '', map {"$_\n"} sort { length $a <=> length $b || $a cmp $b } keys %inputs);
}

my %verbs = (unpack => \&unpack_corpus, pack => \&pack_corpus);
my $verb = $verbs{shift // ''};
die "usage: corpus.pl unpack FILE FOLDER | pack FOLDER FILE\n" if !$verb || @ARGV != 2;
$verb->(@ARGV);
