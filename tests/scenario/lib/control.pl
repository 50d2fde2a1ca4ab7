#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# A control socket without a keeper: the content of the file FOLDER/VERB is the answer to VERB. If there is no such file,
# the client waits forever. `events` stays open after its answer.
#
#     control.pl SOCKET FOLDER
#
# It prints "ready", and then "asked: LINE" for each request.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::UNIX;

my ($path, $folder) = @ARGV;
local $SIG{PIPE} = 'IGNORE';
unlink $path;
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 128) or die "listen at $path: $!";
STDOUT->autoflush(1);
print "ready\n";

my $select = IO::Select->new($listener);
my %asked;

sub drop {
    my ($client) = @_;
    delete $asked{$client};
    $select->remove($client);
    close $client;
}

sub answer {
    my ($client, $line) = @_;
    my ($verb) = split ' ', $line;
    print "asked: $line\n";
    open my $file, '<:raw', "$folder/$verb" or return; # the client waits
    local $/;
    my $answer = <$file>;
    $client->blocking(1);
    print {$client} $answer;
    drop($client) if $verb ne 'events';
}

while (1) {
    for my $ready ($select->can_read) {
        if ($ready == $listener) {
            my $client = $listener->accept or next;
            $client->autoflush(1);
            $asked{$client} = '';
            $select->add($client);
        }
        elsif (!sysread $ready, $asked{$ready}, 65536, length $asked{$ready}) { drop($ready) }
        elsif ($asked{$ready} =~ s/^(.*)\n//) { answer($ready, $1) }
    }
}
