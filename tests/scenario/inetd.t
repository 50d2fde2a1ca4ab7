#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The shim under a real inetd (Debian's openbsd-inetd), with the lines that README.md shows: `nowait`, a shim for each
# connection, and `wait`, one for the socket.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lonc;

my ($nowait, $wait) = ('msul1', 'msul2');
my $world = Lonc->new(hosts => [$nowait, $wait]);

# The README's lines, with this world's folder, user and channel, and a shim that leaves sooner.
sub inetd_lines {
    open my $readme, '<', "$FindBin::Bin/../../README.md" or die "README.md: $!";
    my $shim = Lonc::program('lonc-shim');
    my $channel = $world->path('run/keeper.sock');
    my $user = getpwuid $>;
    my @lines = grep {/ stream unix /} <$readme>;
    for (@lines) {
        s/^ +//;
        s{/home/httpd/sockets}{$world->path('sockets')}e;
        s/ www / $user /;
        s{\S+/lonc-shim lonc-shim}{$shim lonc-shim --channel $channel};
        s/--linger \d+/--linger 1/;
    }
    return @lines;
}

sub listens {
    my ($host) = @_;
    my $path = quotemeta $world->path("sockets/$host");
    open my $sockets, '<', '/proc/net/unix' or die "/proc/net/unix: $!";
    return scalar grep {/^\S+ \S+ \S+ 00010000 .* $path$/} <$sockets>; # __SO_ACCEPTCON
}

my @lines = inetd_lines();
is_deeply [map {/\bunix (\w+)/} @lines], ['nowait', 'wait'], 'the README has a line of each kind';
$world->write_file('inetd.conf', join '', @lines);
$world->lond($_) for $nowait, $wait;
$world->keeper;
my $inetd = $world->start('inetd', ['/usr/sbin/inetd', '-i', '-q', 4096, $world->path('inetd.conf')]);
ok Lonc::within($Lonc::PATIENCE, sub { listens($nowait) && listens($wait) }), 'inetd listens for both hosts'
    or BAIL_OUT('inetd: ' . $inetd->log);

# The shims there are.
sub shims {
    open my $file, '<', "/proc/$inetd->{pid}/task/$inetd->{pid}/children" or return;
    return split ' ', <$file> // '';
}

for my $host ($nowait, $wait) {
    my $kind = $host eq $nowait ? 'nowait' : 'wait';
    is $world->ask($host, 'ping'), "pong:$host", "$kind: a request is answered by its own host";
    is $world->ask($host, 'encrypt:echo:a secret'), 'a secret', "$kind: an enciphered one too";
    my $client = $world->client($host);
    is_deeply [map { $client->ask("echo:$_") } 1, 2], [1, 2], "$kind: and several by one client";
    $client->half_close;
    is $client->everything, '', "$kind: of which it gets nothing but the answers";

    # More than the 256 a minute that inetd starts by itself.
    my @wrong = grep { ($world->ask($host, "echo:$_") // 'nothing') ne $_ } 1 .. 300;
    is "@wrong", '', "$kind: 300 one after the other";
    is_deeply [$world->ask_at_once($host, map {"echo:at-once-$_"} 1 .. 100)], [map {"at-once-$_"} 1 .. 100],
        "$kind: 100 at once";
}

ok Lonc::within($Lonc::PATIENCE, sub {
    my ($one) = shims();
    my $answer = $world->ask($wait, 'ping');
    return $one && $answer eq "pong:$wait" && grep { $_ == $one } shims();
}), 'wait: a shim stays for the next client';
ok Lonc::within($Lonc::PATIENCE, sub { !shims() }), 'and leaves when none comes';
is $world->ask($wait, 'ping'), "pong:$wait", 'and then inetd starts another';

# No keeper.
$world->{keeper}->end;
unlink $world->path('run/keeper.sock');
for my $host ($nowait, $wait) {
    my $client = $world->client($host);
    $client->send("ping\n");
    is $client->everything, "con_lost\n", "without a keeper: con_lost and the end of the stream ($host)";
}
$world->keeper;
is $world->ask($_, 'ping'), "pong:$_", "with one again: $_ answers" for $nowait, $wait;
done_testing;
