#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# An administrator manages the deferred queue: `loncctl queue` shows, holds, releases, requeues and deletes files, even while
# the keeper delivers them. Nothing is lost, and nothing is delivered twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);
use Lonc;
use Deferred;

my $loncctl = Lonc::program('loncctl');

# Files are taken at once instead of after 3 s, and pauses are as much shorter.
my %quick = (deferred_hold => '20ms', retry_delay => '50ms', deferred_retry => '200ms');

# The command line of `loncctl queue` with these words.
sub command { my ($world, @words) = @_; return join ' ', $loncctl, '--socket', $world->path('run/control.sock'), 'queue', @words }

# Runs it: what it wrote to both outputs, and its exit code. Standard input is no terminal.
sub queue {
    my ($world, @words) = @_;
    my $said = `@{[command($world, @words)]} 2>&1 </dev/null`;
    return ($said, $? >> 8);
}

sub queue_json { my ($world, @words) = @_; return decode_json((queue($world, '--json', @words))[0]) }

sub status { my ($world) = @_; return decode_json(scalar `$loncctl --socket @{[$world->path('run/control.sock')]} --json status`) }

# Waits until the keeper counts so many deferred files.
sub counts {
    my ($world, $number) = @_;
    my $deferred;
    Lonc::within($Lonc::PATIENCE, sub { ($deferred = status($world)->{deferred}) == $number });
    return $deferred == $number || do { diag "the keeper counts $deferred, not $number"; 0 };
}

sub row { my ($json, $host) = @_; return (grep { $_->{host} eq $host } @{$json->{hosts}})[0] }

# Puts a file into one of the folders below.
sub put_aside {
    my ($world, $where, $name, $text) = @_;
    my $folder = $world->path("sockets/delayed/$where");
    -d $folder or mkdir $folder, 0700 or die "mkdir: $!";
    $world->write_file("sockets/delayed/$where/$name", $text);
    return $name;
}

# --- Looking --------------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1', 'msu.l2', 'msul3'], settings => {deferred_hold => '1h'});
    my $now = int time;
    # Half an interval from the bounds, so that a slow test is not in the next one.
    my @ages = map {$_ * 60} 2, 7, 7, 15, 30, 60, 120, 240, 480, 960, 2000, 2001;
    my $n = 0;
    my @names = map { drop($world, 'msul1', ++$n, 'count:top secret', epoch => $now - $_) } @ages;
    drop($world, 'msu.l2', 1, 'count:1', epoch => $now - 400);
    drop($world, 'gone', 1, 'count:1', epoch => $now + 100_000);
    my $held = put_aside($world, 'held', name_of('msul1', 50, epoch => $now - 100), 'count:50');
    my $rejected = put_aside($world, 'rejected', name_of('msul1', 60, epoch => $now - 9_000), 'error');
    put_aside($world, 'rejected', "$rejected$_", 'x') for '.reply', '.1', '.1.reply';
    put_aside($world, 'rejected', name_of('msu.l2', 61) . '.7', 'x');
    my $corrupt = put_aside($world, 'corrupt', name_of('msul1', 70), '');
    $world->write_file("sockets/delayed/$_", 'x') for 'README', '.1700000000.1.4711.count.msul1';
    my $keeper = $world->keeper;

    my $json = queue_json($world);
    is_deeply [map { $_->{host} } @{$json->{hosts}}], ['gone', 'msu.l2', 'msul1'], 'loncctl --json queue: a row for each host that has files';
    is_deeply $json->{bounds}, [map {60 * $_} 5, 10, 20, 40, 80, 160, 320, 640, 1280], '... ages by the bounds of qshape';
    my $row = row($json, 'msul1');
    is_deeply [@$row{qw(files held rejected corrupt)}], [12, 1, 2, 1], '... counts what waits, is held, rejected, corrupt: replies are none';
    is_deeply $row->{ages}, [1, 2, 1, 1, 1, 1, 1, 1, 1, 2], '... and what waits by age';
    ok $row->{oldest} >= 2001 * 60 && $row->{oldest} < 2001 * 60 + 300, '... with the oldest';
    is_deeply [@{row($json, 'msu.l2')}{qw(files rejected)}], [1, 1], '... whole lonHostIDs where they have dots, also with the number of a second one of its name';
    is_deeply row($json, 'gone')->{ages}, [1, (0) x 9], '... what is of the future is new, and an unknown host has a row too';
    is $json->{strange}, 1, '... and a file that is no deferred one is counted apart';

    my ($said, $code) = queue($world);
    is $code, 0, 'loncctl queue exits 0';
    my @lines = split /\n/, $said;
    like $lines[0], qr/^HOST +FILES +OLDEST +HELD +REJECTED +CORRUPT +5m +10m +20m +40m +80m +160m +320m +640m +1280m +older$/, '... with a heading like that of qshape';
    is_deeply [map { length } @lines[1 .. 3]], [(length $lines[0]) x 3], '... above columns that are aligned';
    like $said, qr/^msul1 +12 +1d 9h +1 +2 +1 +1 +2 +1 +1 +1 +1 +1 +1 +1 +2$/m, '... of the same numbers';

    $json = queue_json($world, 'msul1');
    is scalar(@{$json->{hosts}}), 1, 'loncctl queue HOST: its row alone';
    is_deeply [map { $_->{name} } @{$json->{list}}], [$corrupt, @names[11, 10, 9, 8, 7], $rejected, "$rejected.1", @names[6, 5, 4, 3, 1, 2, 0], $held],
        '... with its files, the oldest first' or diag explain $json->{list};
    my %of = map { ($_->{name} => $_) } @{$json->{list}};
    is_deeply [map { [@{$of{$_}}{qw(size state)}] } $names[0], $held, $rejected, $corrupt],
        [[length "count:top secret\n", 'waiting'], [8, 'held'], [5, 'rejected'], [0, 'corrupt']], '... each with its size and state';
    ok abs($of{$names[0]}{age} - 120) < 60, '... and age';
    unlike join('', map { (queue($world, $_))[0] } '', 'msul1', '--json msul1'), qr/secret/, '... and nothing of what is in them';
    like((queue($world, 'msul1'))[0], qr/^ +2min \d+s +17 +waiting +\Q$names[0]\E$/m, '... for people too');
    is queue_json($world, 'msul1.example.edu')->{hosts}[0]{host}, 'msul1', 'a host is known by its DNS name too';
    is_deeply [@{queue_json($world, 'msul3')->{hosts}[0]}{qw(files oldest)}], [0, undef], 'a host that has no files has a row of zeros when asked for';
    ($said, $code) = queue($world, 'nobody');
    is $code, 1, 'a host that is none, and has no files: exit 1';
    like $said, qr/^nobody: no such host/, '... with a sentence';

    $keeper->signal('TERM');
    $keeper->wait_exit;
    $json = queue_json($world, '--config', $world->path('keeper.conf'));
    is row($json, 'msul1')->{files}, 12, 'without a keeper the folder is found by keeper.conf';
    is row($json, 'l2')->{rejected}, 1, '... and the host is what follows the last dot';
    ($said, $code) = queue($world, 'hold', 'ALL');
    is $code, 3, '... but nothing is changed without asking a keeper: exit 3';
    is row(queue_json($world, '--config', $world->path('keeper.conf')), 'msul1')->{held}, 1, '... indeed';
}

{
    my $world = Lonc->new(settings => {deferred_hold => '1h'});
    drop_many($world, 'msul1', 1 .. 10_500);
    $world->keeper;
    my $json = queue_json($world, 'msul1');
    is_deeply [$json->{hosts}[0]{files}, scalar(@{$json->{list}}), $json->{list}[-1]{name}], [10_500, 10_000, name_of('msul1', 10_000)],
        'of a host with very many files the oldest 10,000 are named, and all counted';
}

# --- Moving ---------------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {%quick});
    my $folder = $world->path('sockets/delayed');
    drop_many($world, $_, 1 .. 5) for 'msul1', 'msul2', 'nobody';
    chmod 0750, $folder;
    my $as_root = $> == 0;
    if ($as_root) { chown 65534, 65534, $_ for $folder, glob "$folder/*" }
    my @owner = ((stat $folder)[4, 5]);
    my $keeper = $world->keeper;
    ok counts($world, 10), 'two hosts are down, and have ten files';

    is_deeply [queue($world, 'hold', 'msul1')], ["5 files\n", 0], 'queue hold HOST says how many';
    is_deeply [left($world)], [sort map { my $host = $_; map { name_of($host, $_) } 1 .. 5 } 'msul2', 'nobody'], '... leaves those of others';
    is_deeply [aside($world, 'held')], [map { name_of('msul1', $_) } 1 .. 5], '... and moves its own to held/';
    is_deeply [(stat "$folder/held")[4, 5], (stat _)[2] & 07777], [@owner, 0750], '... which has the owner and the mode of the folder';
    is_deeply [map { [(stat)[4, 5]] } glob "$folder/held/*"], [([@owner]) x 5], '... the files have theirs';
    ok counts($world, 5), '... and the keeper counts them no longer, though their host is dead';
    $keeper->signal('HUP');
    $keeper->await(qr/hosts? in force/);
    is $keeper->said(qr/held/), 0, '... nor wonders about held/';
    is_deeply [queue($world, 'hold', 'msul1')], ["0 files\n", 0], '... again: there are none';

    is_deeply [queue($world, 'release', name_of('msul1', 3))], ["1 file\n", 0], 'queue release FILE';
    ok counts($world, 6), '... which the keeper counts again';
    is_deeply [queue($world, 'release', 'ALL')], ["4 files\n", 0], 'queue release ALL';
    is_deeply [aside($world, 'held')], [], '... leaves none';
    ok counts($world, 10), '... and the keeper counts all';
    is_deeply [queue($world, 'delete', name_of('msul2', 2))], ["1 file\n", 0], 'queue delete FILE asks nothing where there is no terminal';
    ok counts($world, 9), '... it waits no longer';
    is_deeply [queue($world, 'hold', name_of('msul2', 3))], ["1 file\n", 0], '(one is held)';
    is_deeply [queue($world, 'delete', 'msul2')], ["4 files\n", 0], 'queue delete HOST deletes what is held too';
    is_deeply [queue($world, 'hold', 'ALL')], ["10 files\n", 0], 'queue hold ALL: of unknown hosts too';
    is_deeply [left($world)], [], '... all';
    ok counts($world, 0), '... and the keeper counts none';

    my $name = name_of('msul1', 1);
    drop($world, 'msul1', 1, 'count:another');
    my ($said, $code) = queue($world, 'hold', 'msul1');
    is $code, 1, 'one of the same name is held already: exit 1';
    like $said, qr/^\Q$name\E: a file of this name exists already.*^0 files$/ms, '... with a sentence';
    is_deeply [map { $world->read_file("sockets/delayed/$_") } $name, "held/$name"], ["count:another\n", "count:1\n"], '... neither replaces the other';
    for (['hold', name_of('msul1', 99)], ['release', 'nobody2'], ['requeue', '1.2./../x.msul1']) {
        my ($said, $code) = queue($world, @$_);
        is $code, 1, "queue @$_: there is none, exit 1";
        like $said, qr/^\Q$_->[1]\E: (?:there is )?no such/, '... with a sentence';
    }
    is((queue($world, @$_))[1], 2, "queue @$_ is wrong usage") for ['hold', 'msul1', 'msul2'], ['dance', 'ALL'], ['--dance'];
    is((queue($world, '--help'))[1], 0, 'queue --help');
    is_deeply decode_json((queue($world, '--json', 'release', name_of('msul1', 2)))[0]), {ok => JSON::PP::true, files => 1}, '--json says it to programs';
    is decode_json((queue($world, '--json', 'release', name_of('msul1', 2)))[0])->{ok}, JSON::PP::false, '... also that it is not there';

    ok $keeper->said(qr/user $> asks for queue delete msul2/), 'the log says who has asked for what';
    is $keeper->said(qr{deferred file |ignoring (?!.*nobody)}), 0, '... and nothing else of files that come and go';
    SKIP: {
        skip 'only root can ask as somebody else', 4 if !$as_root;
        chmod 0755, $world->{dir}, $world->path('run'), $world->path('sockets');
        chmod 0777, $folder, "$folder/held";
        chmod 0666, $world->path('run/control.sock');
        my $as_nobody = "setpriv --reuid 65533 --regid 65533 --clear-groups ";
        my $said = `$as_nobody @{[command($world, 'release', 'ALL')]} 2>&1`;
        is $? >> 8, 1, 'another user, even where the folder would let him: exit 1';
        like $said, qr/only root/, '... with a sentence';
        is scalar(aside($world, 'held')), 9, '... and nothing is moved';
        ok $keeper->said(qr/user 65533 may not ask for queue release ALL/), '... which the log has';
    }
}

# --- On a terminal --------------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {deferred_hold => '1h'});
    drop_many($world, 'msul1', 1 .. 3);
    $world->keeper;
    my $on_terminal = sub {
        my ($input, @words) = @_;
        return `printf '$input' | script -qec '@{[command($world, @words)]}' /dev/null`;
    };
    like $on_terminal->('n\n', 'delete', 'msul1'), qr/Remove 3 files, never to be delivered\? \[y\/N\] .*0 files/s, 'on a terminal delete asks';
    is scalar(left($world)), 3, '... and deletes nothing when the answer is no';
    like $on_terminal->('y\n', 'delete', name_of('msul1', 1)), qr/Remove 1 file, .*\b1 file/s, '... but when it is yes';
    is scalar(left($world)), 2, '... then it does';
    unlike $on_terminal->('', 'delete', '--yes', 'ALL'), qr/Remove/, '--yes: it does not ask';
    is scalar(left($world)), 0, '... and deletes';
}

# --- Requeueing -----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_empty_timeout => '200ms'});
    my $rejected = drop($world, 'msul1', 1, 'reply:error:no such user');
    my $corrupt = drop($world, 'msul1', 2, '', end => '');
    my $folder = $world->path('sockets/delayed');
    ok Lonc::within($Lonc::PATIENCE, sub { aside($world, 'rejected') == 2 && aside($world, 'corrupt') }), 'one file is rejected, one is corrupt';
    is_deeply [queue($world, 'requeue', $rejected)], ["1 file\n", 0], 'queue requeue FILE';
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->executed('reply:error:no such user') == 2 && aside($world, 'rejected') == 2 }), '... has it sent again, and rejected again';
    is_deeply [aside($world, 'rejected')], [$rejected, "$rejected.reply"], '... with one reply beside it';
    $world->write_file("sockets/delayed/rejected/$rejected", "count:mended\n");
    rename "$folder/rejected/$rejected", "$folder/rejected/$rejected.1";
    rename "$folder/rejected/$rejected.reply", "$folder/rejected/$rejected.1.reply";
    $world->write_file("sockets/delayed/corrupt/$corrupt", "count:mended too\n");
    is_deeply [queue($world, 'requeue', 'msul1')], ["2 files\n", 0], 'both are mended; queue requeue HOST';
    ok Lonc::within($Lonc::PATIENCE, sub { commands($world, 'S') == 2 && !left($world) }), '... has them delivered';
    is_deeply [sort(commands($world, 'S'))], ['count:mended', 'count:mended too'], '... also what had got a number';
    is_deeply [aside($world, 'rejected'), aside($world, 'corrupt')], [], '... and nothing is left, nor is the reply';
}

# --- In flight ------------------------------------------------------------------------------------

# Drops a file, has `code` run while its lond has it and says nothing, and waits for its S line.
sub while_in_flight {
    my ($world, $lond, $command, $code) = @_;
    my $name = name_of('msul1', 1);
    my $delivered = commands($world, 'S');
    $world->ask('msul1', 'ping'); # there is a connection
    $lond->while_stopped(sub {
        drop($world, 'msul1', 1, $command);
        Lonc::within($Lonc::PATIENCE, sub { status($world)->{connections}{busy} == 1 }) or die 'it is not sent';
        $code->($name);
    });
    ok Lonc::within($Lonc::PATIENCE, sub { status($world)->{connections}{busy} == 0 && (commands($world, 'S') > $delivered || $command =~ /^reply/) }), '... it is answered';
    ok counts($world, 0), '... the keeper counts none';
    return $name;
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_retry => '60s', deferred_pace => '1ms'});
    while_in_flight($world, $lond, 'count:1', sub { is_deeply [queue($world, 'hold', $_[0])], ["1 file\n", 0], 'a file is held while its lond has it' });
    ok Lonc::within($Lonc::PATIENCE, sub { !aside($world, 'held') }), '... it is delivered, hence gone from held/';
    is_deeply [queue($world, 'release', 'ALL')], ["0 files\n", 0], '... and cannot be released';

    while_in_flight($world, $lond, 'count:2', sub { queue($world, $_, $_[0]) for 'hold', 'release'; is_deeply [left($world)], [$_[0]], 'a file is held and released while its lond has it' });
    ok Lonc::within($Lonc::PATIENCE, sub { !left($world) }), '... and gone';

    while_in_flight($world, $lond, 'count:3', sub { is_deeply [queue($world, 'delete', $_[0])], ["1 file\n", 0], 'a file is deleted while its lond has it' });
    is_deeply [commands($world, 'S')], [map {"count:$_"} 1 .. 3], 'each has its S line';

    put_aside($world, 'held', name_of('msul1', 1), "count:other\n");
    while_in_flight($world, $lond, 'count:4', sub { unlink $world->path("sockets/delayed/$_[0]") or die "unlink: $!" });
    is_deeply [aside($world, 'held')], [name_of('msul1', 1)], 'another file of that name that is held stays there';
    queue($world, 'release', 'ALL');
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->executed('count:other') && !left($world) }), '... and is delivered when it is released';

    my $name = while_in_flight($world, $lond, 'reply:rejected', sub { queue($world, 'hold', $_[0]); pass 'a file is held while its lond has it, and rejected' });
    is_deeply [aside($world, 'held'), aside($world, 'rejected')], [$name], '... it stays held';
    queue($world, 'release', 'ALL');
    ok Lonc::within($Lonc::PATIENCE, sub { aside($world, 'rejected') == 2 }), '... and is sent again, and set aside, when it is released';
    is_deeply [map { $lond->executed("count:$_") } 1 .. 4], [(1) x 4], 'none was delivered twice';
    is $world->{keeper}->said(qr{deferred file (?!\S+ was rejected)|ignoring }), 0, '... and the log has nothing to say of it';
}

# --- While the keeper delivers --------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(hosts => ['msul1'], settings => {%quick, deferred_memory => '4k', deferred_arrivals => 500}, lond => ['--delay', 5]);
    my $files = 2000;
    drop_many($world, 'msul1', 1 .. $files);
    my $moved = 0;
    for my $round (1 .. 6) {
        my $enough = $lond->control('distinct') + 50;
        Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') >= $enough }) or die 'nothing is delivered';
        my ($held) = (queue($world, 'hold', 'ALL'))[0] =~ /^(\d+)/m;
        $moved += $held;
        is scalar(left($world)), 0, "in a drain all is held, round $round" or diag "$held files";
        queue($world, 'release', 'ALL');
    }
    cmp_ok $moved, '>', $files, "... again and again, and released";
    ok Lonc::within(120, sub { !left($world) }), '... all files are delivered';
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') == $files }), '... none is lost';
    is $lond->control('repeated'), 0, '... none is delivered twice';
    is scalar(commands($world, 'S')), $files, '... each has one S line';
    is scalar(aside($world, 'held')), 0, '... and nothing is left behind';
    ok counts($world, 0), '... nor in the count';
    is $world->{keeper}->said(qr{deferred file |ignoring }), 0, '... and the log has nothing to say';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_memory => '4k'}, lond => ['--delay', 1]);
    my $files = 3000;
    drop_many($world, 'msul1', 1 .. $files);
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') >= 100 }) or die 'nothing is delivered';
    my ($deleted) = (queue($world, 'delete', 'msul1'))[0] =~ /^(\d+)/m;
    my $name = drop($world, 'msul1', $files + 1, 'count:behind');
    cmp_ok $deleted, '>', 0, "in a drain all is deleted: $deleted files";
    ok await_gone($world, $name), '... what comes then is delivered';
    my $executed = $lond->control('distinct') - 1;
    cmp_ok $executed + $deleted, '>=', $files, '... each of the others was delivered or deleted, or both, if it was in flight'
        or diag "$executed executed, $deleted deleted";
    is scalar(commands($world, 'S')), $executed + 1, '... and has an S line if it was delivered';
    ok counts($world, 0), '... the keeper counts none';
}

# More files than are known by name, of a host that is down.
{
    my $world = Lonc->new(settings => {%quick, deferred_memory => '4k'});
    drop_many($world, 'msul1', 1 .. 2000);
    my $keeper = $world->keeper;
    $keeper->await(qr/host is dead/);
    ok counts($world, 2000), 'a host is down and has 2,000 files, of which 50 are known by name';
    queue($world, 'delete', name_of('msul1', $_)) for 1999, 2000;
    ok counts($world, 1998), '... two that are not are deleted, and counted no longer';
    is_deeply [queue($world, 'hold', 'msul1')], ["1998 files\n", 0], '... all are held';
    ok counts($world, 0), '... and counted no longer';
    is_deeply [queue($world, 'release', 'msul1')], ["1998 files\n", 0], '... and released';
    ok counts($world, 1998), '... and counted again';
    my $lond = $world->lond('msul1');
    $keeper->signal('USR1');
    ok Lonc::within($Lonc::PATIENCE, sub { !left($world) }), 'the host is back: all are delivered';
    is_deeply [commands($world, 'S')], [map {"count:$_"} 1 .. 1998], '... once each, in order';
    is $keeper->said(qr{deferred file |ignoring }), 0, '... and the log has nothing to say';
}

done_testing;
