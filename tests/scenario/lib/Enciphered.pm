# SPDX-License-Identifier: GPL-3.0-or-later
#
# Keys and `enc:` lines (lonc-protocol(7) sections 3 and 4), independent of the programs' code: IDEA is that of Botan, in
# idea.py, and Perl packs the keys, as in the Perl daemons.
#
#     my $cipher = Enciphered->new(Enciphered::key_of_build('msul1', 'annarborl1', $build));
#     $cipher->seal('12345678'); # enc:8:...
#     $cipher->unseal('enc:7:d0aae4b321ae396d');
package Enciphered;
use strict;
use warnings;
use File::Basename qw(dirname);
use IPC::Open2;

my $idea = dirname(__FILE__) . '/idea.py';

# Insecure mode: the key that both sides derive from the two lonHostIDs and lond's build key.
sub key_of_build {
    my ($remote, $own, $build) = @_;
    my $ids = uc "$remote$own";
    $ids =~ tr/G-P/0-9/;
    $ids =~ tr/Q-Z/0-9/;
    return pack 'H32', substr(($ids . $build) x 3, 0, 32);
}

# ssl and local: the key line itself.
sub key_of_line { return pack 'H32', $_[0] }

sub new {
    my ($class, $key) = @_;
    return bless {key => unpack('H*', $key)}, $class;
}

# Enciphers or deciphers whole blocks, in a process that belongs to this object.
sub blocks {
    my ($self, $verb, $bytes) = @_;
    $self->{pid} //= open2($self->{from}, $self->{to}, '/usr/bin/python3', $idea);
    $self->{to}->autoflush(1);
    print {$self->{to}} "$verb $self->{key} ", unpack('H*', $bytes), "\n";
    my $answer = readline($self->{from}) // die 'idea.py has ended; is python3-botan installed?';
    chomp $answer;
    return pack 'H*', $answer;
}

# The enciphered line, without its LF. `short` omits the block of blanks that is added to lengths divisible by 8.
sub seal {
    my ($self, $text, %with) = @_;
    my $size = length $text;
    my $padded = $text . ' ' x (8 - $size % 8);
    substr($padded, $size) = '' if $with{short} && $size % 8 == 0;
    return "enc:$size:" . unpack 'H*', $self->blocks(encipher => $padded);
}

# The text of an enciphered line, if it is exactly as the keeper must write it, to the last blank; otherwise undef.
sub unseal {
    my ($self, $line) = @_;
    my ($size, $digits) = $line =~ /^enc:(0|[1-9]\d*):([0-9a-f]+)\z/ or return undef;
    return undef if length $digits != 16 * (int($size / 8) + 1);
    my $padded = $self->blocks(decipher => pack 'H*', $digits);
    return substr($padded, $size) =~ /^ +\z/ ? substr($padded, 0, $size) : undef;
}

sub DESTROY {
    my ($self) = @_;
    return if !$self->{pid};
    local $?;
    close $self->{to};
    waitpid $self->{pid}, 0;
}

1;
