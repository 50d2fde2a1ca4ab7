#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Several lonHostIDs share one DNS name and one socket: `sethost:<id>:` says which host a request is for, lond keeps acting
# as the id that it was last told, and no request runs under another id than its own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lonc;

# msul1 and msul2 are one server of one name; other is another server.
my $world = Lonc->new(hosts => ['msul1', 'other'], settings => {connections_per_host => 1});
my $lond = $world->lond('msul1', map { ('--id', $_) } qw(msul2 other nobody)); # and it answers for more than it should
my $other = $world->lond('other');
my $table = $world->read_file('tabs/hosts.tab');
$world->write_file('tabs/hosts.tab', $table . "msul2:msu:access:MSUL1.example.edu:$world->{address}{msul1}\n");
my $keeper = $world->keeper;
$world->activate('msul1.example.edu');
my $name = 'msul1.example.edu';

is $world->ask($name, 'ping'), 'pong:msul1', 'a request without sethost: is for the first id of the name';
is $world->ask($name, 'sethost:msul1:ping'), 'pong:msul1', 'one may say so';
is $lond->counts->{accepted}, 1, '... and both have the same connection';
is $world->ask($name, 'sethost:msul2:ping'), 'pong:msul2', 'one for the second id runs as that';
is $lond->counts->{accepted}, 2, '... on a connection of its own';
is $world->ask($name, 'ping'), 'pong:msul1', '... and the next without sethost: runs as the first again';
is_deeply [map { $world->ask($name, "sethost:msul$_:ping") } 1, 2, 2, 1, 2], [map {"pong:msul$_"} 1, 2, 2, 1, 2],
    'in any order, each runs as whom it was meant for';
is $lond->counts->{accepted}, 2, '... and no further connection is needed';
is $world->ask($name, 'sethost:msul2:count:once'), 'ok', '(one that is counted)';
is $lond->executed('sethost:msul2:count:once'), 1, '... the prefix passes through to the byte';

my $client = $world->client($name);
is_deeply [map { $client->ask($_) } 'sethost:msul2:ping', 'ping', 'sethost:msul1:ping', 'sethost:msul2:ping', 'ping'],
    [map {"pong:msul$_"} 2, 1, 1, 2, 1], 'the requests of one client are told apart as well';
$client->send("sethost:msul2:echo:one\necho:two\nsethost:msul2:echo:three\n");
is_deeply [map { $client->line } 1 .. 3], [qw(one two three)], '... and pipelined ones are answered in order';

# --- Enciphered ---
my $before = $lond->counts;
is $world->ask($name, 'sethost:msul2:encrypt:echo:secret'), 'secret', 'encrypt: behind sethost: is enciphered';
is $world->ask($name, 'sethost:msul1:encrypt:ping'), 'pong:msul1', '... for either id';
is $world->ask($name, 'encrypt:sethost:msul1:ping'), 'pong:msul1', 'encrypt: before sethost: is enciphered whole';
is $lond->counts->{enciphered} - $before->{enciphered}, 3, '... and reaches lond so';
is $lond->counts->{malformed}, $before->{malformed}, '... with nothing malformed';

# --- An id that is none of the name's ---
$before = $lond->counts;
is $world->ask($name, 'sethost:other:ping'), 'pong:other', 'an id of another server passes through to the name\'s own lond';
is $world->ask($name, 'ping'), 'pong:msul1', '... but the next request does not run as that id';
is $lond->counts->{accepted} - $before->{accepted}, 1, '... for it has a fresh connection';
is $other->counts->{accepted}, 0, '... and the other server has not been asked';
is $world->ask($name, 'sethost:nobody:ping'), 'pong:nobody', 'so does an id that is in no table';
is $world->ask($name, 'ping'), 'pong:msul1', '... with the same care';
is $world->ask($name, 'sethost:msul2'), 'ok', 'sethost: by itself is a command that lond answers';
is $world->ask($name, 'ping'), 'pong:msul1', '... and holds for nobody after';
is $world->ask($name, 'encrypt:sethost:msul2:ping'), 'pong:msul2', 'one that is enciphered with the command passes';
is $world->ask($name, $_), 'unknown_cmd', "\"$_\" is for lond to judge" for 'sethost', 'sethost:';
is $world->ask($name, 'sethost::ping'), 'error:no such host', '"sethost::ping" is for lond to judge';
is $world->ask($name, 'sethost:' . 'x' x 300 . ':ping'), 'error:no such host', '... and so is an id that is too long';
is $world->ask($name, 'ping'), 'pong:msul1', 'after all of which a request still runs as its own id';

# One more `sethost:` in a line is a command, or none: who lond is behind it is not known.
for my $stray ('sethost:msul1:sethost:msul2', 'encrypt:sethost:msul2', 'sethost:msul1:encrypt:sethost:msul2:ping', 'sethost:msul1:sethost:msul1:encrypt:ping') {
    my $answer = $world->ask($name, $stray);
    is $world->ask($name, 'ping'), 'pong:msul1', "... nor does \"$stray\", answered $answer, leave it to another";
}

# --- Each id has its own health and queue ---
my ($first) = $world->asking($name, 'sethost:msul2:sleep:300:slow');
$lond->has(1, 'busy') or die 'the request is not under way';
is $world->ask($name, 'ping'), 'pong:msul1', 'while the second id\'s only connection is busy, the first answers';
is $first->line, 'slow', '... and then the second';

# --- Reload ---
$world->write_file('tabs/hosts.tab', $table);
kill HUP => $keeper->{pid};
ok Lonc::within(20, sub { $keeper->said(qr/2 hosts in force/) }), '(the second id leaves the table)';
is $client->ask('sethost:msul2:ping'), 'pong:msul2', 'an id that left the table passes through as any other';
is $client->ask('ping'), 'pong:msul1', '... with the same care';
is $lond->counts->{wrong_lines} // 0, 0, 'lond has had no wrong line';

done_testing;
