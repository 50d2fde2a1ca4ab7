#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# A table of thousands of hosts: a reload takes many turns of the loop. Clients that ask between two turns, by lonHostID
# or by DNS name, and another reload never see it half done.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::UNIX;
use JSON::PP;
use Lonc;

my $hosts = 5_000;

# Real hosts and many more, of which nothing is asked.
sub write_table {
    my ($world, %with) = @_;
    my @lines = map {"$_:msu:library:$_.example.edu:$world->{address}{$_}\n"} @{$with{first} || []};
    push @lines, map { sprintf "more%d:msu:access:more%d.example.edu:127.99.%d.%d\n", $_, $_, $_ >> 8, $_ & 255 } 1 .. $hosts;
    push @lines, map {"$_:msu:library:$_.example.edu:$world->{address}{$_}\n"} @{$with{last} || []};
    push @lines, @{$with{lines} || []};
    $world->write_file('tabs/hosts.tab', join '', @lines);
}

# Asks for a reload; the answer is read later.
sub ask_reload {
    my ($world) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $world->path('run/control.sock')) or die "control: $!";
    $socket->print("reload\n");
    return $socket;
}

sub answer { my ($socket) = @_; local $/; return decode_json(scalar <$socket>) }

my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {log_level => 'info'});
my %lond = map { $_ => $world->lond($_) } qw(msul1 msul2);
write_table($world, last => ['msul1']);
my $keeper = $world->keeper;
$world->activate('msul1');
$world->activate($_, path => $world->path("sockets/$_")) for 'msul1.example.edu', 'msul2';
is $world->ask($_, 'echo:one'), 'one', "$_ is served" for qw(msul1 msul1.example.edu);
is $world->ask('msul2', 'echo:one'), 'con_lost', 'msul2 is not in the table yet';

# --- Requests meanwhile ---------------------------------------------------------------------------

{
    my (%wrong, $reloads);
    for my $round (1 .. 5) {
        write_table($world, $round % 2 ? (first => ['msul1']) : (last => ['msul1']));
        my $reload = ask_reload($world);
        for (1 .. 10) {
            for my $name (qw(msul1 msul1.example.edu)) {
                my $said = $world->ask($name, 'echo:meanwhile') // 'the end';
                $wrong{"$name: $said"}++ if $said ne 'meanwhile';
            }
        }
        my $said = answer($reload);
        $reloads++ if $said->{ok} && $said->{hosts} == $hosts + 1;
    }
    is $reloads, 5, 'five reloads of 5,001 hosts succeed';
    is_deeply \%wrong, {}, '... and who asks meanwhile, by lonHostID or by DNS name, gets his reply';
    is scalar(() = $lond{msul1}->control('attempts') =~ /\d+/g), 1, '... by the connection that was there before'
        or diag $lond{msul1}->control('attempts');
}

# --- Reloads meanwhile ----------------------------------------------------------------------------

{
    my ($gone, @waiting);
    # While it is stopped, all of them come; the first begins, the others are one more.
    $keeper->while_stopped(sub {
        write_table($world, last => ['msul1']);
        $gone = ask_reload($world);
        @waiting = map { ask_reload($world) } 1 .. 5;
        close $gone;
    });
    is_deeply [map { my $said = answer($_); $said->{ok} ? $said->{hosts} : 0 } @waiting], [($hosts + 1) x 5], 'reloads that are asked for at once all get their answer, also when the first has gone';
    my $first = ask_reload($world);
    write_table($world, last => ['msul1', 'msul2']);
    my $second = ask_reload($world);
    # What the first has read may be the half of a table, which is none: then it fails, and says so.
    ok exists answer($first)->{ok}, 'a reload, and while it goes on the table grows and another is asked for';
    is answer($second)->{hosts}, $hosts + 2, '... whose answer is about the table as it is then';
    is $world->ask('msul2', 'echo:two'), 'two', '... and the new host is served';
}

# --- All or nothing -------------------------------------------------------------------------------

{
    my $before = $keeper->descriptors;
    write_table($world, last => ['msul2'], lines => ["bad line\n", "more7:msu:access:again.example.edu\n"]);
    my $said = answer(ask_reload($world));
    ok !$said->{ok}, 'a table with two mistakes at its end is refused';
    like "@{$said->{errors}}", qr/hosts\.tab:5002: .*hosts\.tab:5003: id: "more7": expected a unique id, but line 7 has it too/, '... both are named';
    is $world->ask($_, 'echo:still'), 'still', "... and $_ is served as before" for qw(msul1 msul2);
    write_table($world, last => ['msul2']);
    ok answer(ask_reload($world))->{ok}, 'mended, it is in force';
    is $world->ask('msul1', 'echo:gone'), 'con_lost', '... and who is not in it any more is not served';
    is $world->ask('msul2', 'echo:still'), 'still', '... but who is';
}

# --- Stopped meanwhile ----------------------------------------------------------------------------

{
    write_table($world, last => ['msul1', 'msul2']);
    my $reload;
    $keeper->while_stopped(sub { $reload = ask_reload($world); $keeper->signal('TERM') });
    is $keeper->wait_exit, 0, 'a keeper that is told to leave in a reload leaves';
}

done_testing;
