#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The deferred queue: what lonnet leaves in lonSockDir/delayed is delivered, in order, once, and
# nothing is ever thrown away. What takes longer to show is in tests/torture.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use File::Path qw(remove_tree);
use IO::Socket::UNIX;
use List::Util qw(max shuffle);
use POSIX qw(mkfifo);
use Time::HiRes qw(time sleep);
use Lonc;
use Deferred;

# Files are taken at once instead of after 3 s, and pauses are as much shorter.
my %quick = (deferred_hold => '20ms', retry_delay => '50ms', deferred_retry => '200ms');

sub troubles { my ($world) = @_; return @{$world->{keeper}->tells('status')->{troubles}} }

sub in_folder { my ($world, $name) = @_; return $world->path("sockets/delayed/$name") }

# --- With the settings as they are shipped --------------------------------------------------------

{
    my ($world, $lond) = Lonc->up;
    my $start = time;
    my %written = map { (drop($world, 'msul1', $_, "count:$_ of lonnet", end => $_ % 2 ? '' : "\n") => "count:$_ of lonnet") } 1 .. 50;
    my $half = drop($world, 'msul1', 60, 'count:a who', end => '');

    sleep 2 - (time - $start); # as lonnet does before it reads back
    my %read = map { chomp(my $text = $world->read_file("sockets/delayed/$_") // ''); ($_ => $text) } keys %written;
    is_deeply \%read, \%written, q(lonnet's sequence: written, closed, 2 s later each of 50 files is there and as it was);
    my $again = time;
    is drop($world, 'msul1', 60, 'count:a whole line'), $half, '(a file of which half was written is written anew)';

    ok Lonc::within($Lonc::PATIENCE, sub { $lond->executed('count:50 of lonnet') }), 'a file for an idle host is delivered without a request';
    my $took = time - $start;
    cmp_ok $took, '<', 20, '... soon after its first 3 s';
    cmp_ok $took, '>=', 3, '... but not in its first 3 s';
    ok await_gone($world, $half), 'a file that is written anew in its first seconds is delivered';
    cmp_ok time - $again, '>=', 3, '... not in the first 3 s after that';
    is_deeply [$lond->executed('count:a who'), $lond->executed('count:a whole line')], [0, 1], '... as a whole';
    is_deeply [commands($world, 'S')], [(map {"count:$_ of lonnet"} 1 .. 50), 'count:a whole line'],
        '... and with an LF or without one, each has its S line, in their order';
    my $counts = $lond->counts;
    is_deeply [@$counts{qw(requests accepted)}], [51, 1], '... by one connection, each sent once';
    is_deeply [left($world)], [], '... and nothing is left';
}

# --- Order and number -----------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {%quick});
    my @files = map { my $epoch = 1_700_000_000 + $_; map { [$epoch, $_] } 1 .. 12, 99, 100, 101 } 0 .. 9;
    drop($world, 'msul1', $_->[1], "count:$_->[0].$_->[1]", epoch => $_->[0]) for shuffle @files;
    drop($world, 'msul1', 1, 'count:999.1', epoch => 999);
    my $lond = $world->lond('msul1', '--verbose');
    $world->keeper;
    ok await_gone($world, name_of('msul1', 101, epoch => 1_700_000_009)), 'a keeper that starts delivers what it finds';
    my @wanted = ('count:999.1', map {"count:$_->[0].$_->[1]"} @files);
    is_deeply [$lond->log =~ /-> (count:\S+)/g], \@wanted,
        '... in the order of epochs, and of counts as numbers: 10 after 9';
    is_deeply [commands($world, 'S')], \@wanted, '... and so are the S lines';
    my @odd = grep { abs($_->[0] - time) > 60 || $_->[2] ne 'msul1' || $_->[4] ne localtime $_->[0] } permlog($world);
    is_deeply \@odd, [], q(... each with the time of its delivery, the host, and the time as Perl's localtime says it);
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $start = time;
    my $last = drop_many($world, 'msul1', 1 .. 10_000);
    ok await_gone($world, $last, 60), '10,000 files that are dropped one after the other are delivered';
    note sprintf 'in %.1f s', time - $start;
    is_deeply [left($world)], [], '... all of them';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [10_000, 0], '... each is executed once';
    my @done = commands($world, 'S');
    is scalar(@done), 10_000, '... and has one S line';
    my @late = grep { $done[$_] ne "count:" . ($_ + 1) } 0 .. $#done;
    is scalar(@late), 0, '... in the order in which they were dropped'
        or diag "the first out of order is $done[$late[0]] at place " . ($late[0] + 1);
}

# Whether all of 1 .. $last have been delivered in order.
sub in_order {
    my ($world, $last, $what) = @_;
    my @done = commands($world, 'S');
    my ($odd) = grep { ($done[$_] // 'nothing') ne 'count:' . ($_ + 1) } 0 .. max($#done, $last - 1);
    ok !defined $odd, $what or diag scalar(@done) . " S lines; at place " . ($odd + 1) . ' is ' . ($done[$odd] // 'nothing');
}

{
    my $world = Lonc->new(settings => {%quick, deferred_memory => '4k'});
    my $last = drop_many($world, 'msul1', shuffle(1 .. 1999), 2000);
    my $lond = $world->lond('msul1');
    my $keeper = $world->keeper;
    ok await_gone($world, $last), '2,000 files are there, of which 50 may be known by name: they are delivered';
    is_deeply [left($world)], [], '... all of them';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [2000, 0], '... each once';
    in_order($world, 2000, '... in order');
    is_deeply [grep {/deferred/} split /\n/, $keeper->log], [], '... and the log has nothing to say';
}

{
    my $world = Lonc->new(settings => {%quick, deferred_memory => '4k'});
    drop_many($world, 'msul1', 1 .. 1000);
    my $lond = $world->lond('msul1', '--delay', 1);
    my $keeper = $world->keeper;
    Lonc::within($Lonc::PATIENCE, sub { $lond->executed('count:5') }) or die 'the drain has not begun';
    my $last = drop_many($world, 'msul1', 1001 .. 1500);
    ok await_gone($world, $last), '500 files arrive while 1,000 are being delivered, of which 50 are known by name';
    ok Lonc::within(30, sub { !left($world) }), '... all are delivered';
    in_order($world, 1500, '... the new ones after the old ones that are not known by name');
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_hold => '500ms', deferred_arrivals => 10});
    my $last = drop_many($world, 'msul1', 1 .. 3000);
    my $start = time;
    ok await_gone($world, $last), '3,000 files arrive at once, of which 10 may be watched: they are delivered';
    cmp_ok time - $start, '>=', 0.5, '... not in their first 3 s (here, half a second)';
    ok Lonc::within(30, sub { !left($world) }), '... all of them';
    is $lond->control('repeated'), 0, '... each once';
    in_order($world, 3000, '... in order');
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_memory => '4k', deferred_empty_timeout => '60s'}, hosts => ['msul1']);
    $lond->control('stop-listening');
    drop($world, 'msul1', 1, '', end => '');
    symlink '/nowhere', in_folder($world, name_of('msul1', $_)) or die "symlink: $!" for 2 .. 4;
    my $last = drop_many($world, 'msul1', 5 .. 40);
    $world->{keeper}->await(qr/host is dead/);
    $lond->control('listen');
    $world->{keeper}->signal('USR1');
    ok await_gone($world, $last, 5), 'none of the few files that are known by name can be sent: the others are found all the same';
    is_deeply [commands($world, 'S')], [map {"count:$_"} 5 .. 40], '... and delivered';
}

# The folder is read again and again, since somebody takes files away, and reading it takes a while.
{
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {%quick});
    my $lond = $world->lond('msul1');
    my ($many, $files) = (20_000, 1000);
    drop_many($world, 'msul2', 1 .. $many);
    my $keeper = $world->keeper;
    ok Lonc::within($Lonc::PATIENCE, sub { $keeper->tells('status')->{deferred} == $many }), "(there are $many files for a host that is down)";
    for (1 .. $files) {
        drop($world, 'msul1', $_, "count:$_");
        unlink in_folder($world, name_of('msul2', $_));
    }
    ok await_gone($world, name_of('msul1', $files)), 'files settle while the folder is being read: they are delivered';
    ok Lonc::within($Lonc::PATIENCE, sub { commands($world, 'S') == $files }), '... all of them';
    in_order($world, $files, '... in order');
}

# --- Beside live requests -------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick, connections_per_host => 1}, lond => ['--verbose', '--count-texts']);
    drop($world, 'msul1', $_, "sleep:60:deferred $_") for 1 .. 12;
    $lond->has(1, 'busy') or die 'the drain has not begun';
    my $client = $world->client('msul1');
    my @answers = map { $client->ask("echo:live $_") } 1 .. 6;
    is_deeply \@answers, [map {"live $_"} 1 .. 6], 'a single connection drains slow requests: live ones are answered';
    ok await_gone($world, name_of('msul1', 12)), '... and the drain goes on';
    my $order = join ' ', map { s/ .*//r } $lond->log =~ /-> (?:sleep:60:|echo:)((?:deferred|live) \d+)/g;
    unlike $order, qr/^(?:.* )?live deferred deferred (?:.* )?live/, '... each live request waits for one deferred at most'
        or diag $order;
    like $order, qr/live live/, '... and while clients ask, the drain pauses after a file (deferred_pace)';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    drop($world, 'msul1', $_, "sleep:100:deferred $_") for 1 .. 5;
    $lond->has(1, 'busy') or die 'the drain has not begun';
    my @peaks = map { select undef, undef, undef, 0.02; $lond->control('busy') } 1 .. 10;
    cmp_ok max(@peaks), '<=', 1, 'one connection of a host drains, one file at a time';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and a live request has another';
}

{
    my ($world, @londs) = Lonc->up(settings => {%quick}, hosts => ['msul1', 'msul2']);
    drop($world, 'msul1', $_, "sleep:300:slow $_") for 1 .. 3;
    my $last = drop_many($world, 'msul2', 1 .. 100);
    ok await_gone($world, $last, 10), 'a host whose files take long does not hold up those of another';
    ok !is_gone($world, name_of('msul1', 3)), '... which are delivered before';
}

# --- What lond answers ----------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_retry => '60s'}, lond => ['--verbose']);
    my %reply = (1 => 'refused', 2 => 'rejected', 3 => 'error:no such user', 4 => 'unknown_cmd', 5 => 'error');
    my @rejected = map { drop($world, 'msul1', $_, "reply:$reply{$_}") } sort keys %reply;
    push @rejected, drop($world, 'msul1', 6, 'no command');
    my @fine = map { drop($world, 'msul1', 10 + $_, 'reply:' . (qw(refused_not rejecter unknown_cmds con_loster ok), ' error')[$_]) } 0 .. 5;
    ok await_gone($world, $fine[-1]), 'those behind a rejected file are delivered';
    is_deeply [aside($world, 'rejected')], [sort map { ($_, "$_.reply") } @rejected],
        'refused, rejected, error..., unknown_cmd: the file is set aside in rejected/, the reply beside it';
    is_deeply [map { $world->read_file("sockets/delayed/rejected/$rejected[$_]") } 0 .. 5],
        [(map {"reply:$reply{$_}\n"} 1 .. 5), "no command\n"], '... as it was';
    is_deeply [map { $world->read_file("sockets/delayed/rejected/$rejected[$_].reply") } 0 .. 5],
        [(map {"$reply{$_}\n"} 1 .. 5), "unknown_cmd\n"], '... with the reply as it came';
    is_deeply [commands($world, 'S')], [map {"reply:$_"} qw(refused_not rejecter unknown_cmds con_loster ok), ' error'],
        '... without an S line; what only begins like these words is delivered';
    my $log = $world->{keeper}->log;
    is_deeply [map { scalar(() = $log =~ /deferred file \Q$_\E was rejected/g) } @rejected], [(1) x 6], '... and logged once each';
    unlike $log, qr/no such user|reply:/, '... without their text';
    is_deeply [left($world)], [], '... and none is left where it was';

    drop($world, 'msul1', 1, "reply:$reply{1}") for 1 .. 1;
    ok await_gone($world, $rejected[0]), 'another one of the same name is rejected';
    is_deeply [grep {/^\Q$rejected[0]\E/} aside($world, 'rejected')], [map { ($rejected[0] . $_) } '', '.1', '.1.reply', '.reply'],
        '... and replaces nothing that was set aside';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_retry => '60s'});
    my $name = drop($world, 'msul1', 1, 'reply:con_lost');
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->executed('reply:con_lost') == 2 }), 'the reply con_lost: it is sent again';
    my $behind = drop_many($world, 'msul1', 2 .. 5);
    ok await_gone($world, $behind), '... and does not hold up those behind it for ever';
    is_deeply [left($world), commands($world, 'S')], [$name, map {"count:$_"} 2 .. 5], '... it stays, without an S line';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, reply_timeout => '100ms', deferred_attempts => 2, deferred_retry => '3s'});
    my @bad = ('close', 'reset', 'silent', 'stall:much', 'half:of it');
    my @names = map { drop($world, 'msul1', $_ + 1, $bad[$_]) } 0 .. $#bad;
    my $behind = drop_many($world, 'msul1', 11 .. 20);
    ok await_gone($world, $behind), 'files that always cost their connection do not block those behind them';
    is_deeply [left($world), commands($world, 'S')], [@names, map {"count:$_"} 11 .. 20], '... they stay, without an S line';
    is_deeply [aside($world, 'rejected'), aside($world, 'corrupt')], [], '... where they are';
    ok Lonc::within($Lonc::PATIENCE, sub { !grep { $lond->executed($_) < 3 } @bad }), '... and are tried again and again';
    is_deeply [map { $world->{keeper}->said(qr/\Q$_\E has cost several connections/) } @names], [(1) x @names],
        '... which the log says once each';
    is $world->{keeper}->said(qr/dead/), 0, '... and none of it makes the host dead';
    is $lond->executed("count:$_"), 1, "... nor count:$_ be sent twice" for 11, 20;
}

# The settings as they are shipped, 300 times as fast: what is tried again after a minute costs a minute and a half.
{
    my ($world, $lond) = Lonc->up(settings => {%quick, reply_timeout => '100ms', retry_delay => '10ms', deferred_retry => '200ms'});
    drop($world, 'msul1', $_, 'silent') for 1 .. 3;
    my $behind = drop_many($world, 'msul1', 11 .. 20);
    ok await_gone($world, $behind, 5), 'three files that are never answered do not starve those behind them by being tried again';
    is_deeply [commands($world, 'S')], [map {"count:$_"} 11 .. 20], '... which are delivered in order';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $last = (map { drop($world, 'msul1', $_, 'encrypt:count:' . 'top secret ' x $_ . $_) } 1 .. 9)[-1];
    ok await_gone($world, $last), 'deferred requests that start encrypt: are delivered';
    is_deeply [map { $lond->executed('count:' . 'top secret ' x $_ . $_) } 1 .. 9], [(1) x 9], '... once each';
    is $lond->counts->{enciphered}, 9, '... enciphered';
    is_deeply [map { $_->[1] } permlog($world)], [('S') x 9], '... with their S lines';
    unlike $world->read_file('logs/lonnet.perm.log') . $world->{keeper}->log, qr/top|secret/, '... and nothing of them in a log';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $text = "count:\0 \r \xff : \t";
    my $name = drop($world, 'msul1', 1, $text);
    ok await_gone($world, $name), 'a file of any bytes is delivered';
    my $log = $world->read_file('logs/lonnet.perm.log');
    like $log, qr/^\d+:S:msul1:\Q$text\E:\w{3} \w{3} .{16}\n\z/, '... and its S line has them, without the LF';
    my $size = 900_000;
    $name = drop($world, 'msul1', 2, 'count:' . 'x' x $size);
    ok await_gone($world, $name), 'a file of 900,000 bytes is delivered';
    is $lond->executed('count:' . 'x' x 10), 0, '(it was not cut)';
    is $lond->control('distinct'), 2, '... once';
    cmp_ok length((commands($world, 'S'))[1] // ''), '>', 1000, '... and its S line says which it was';
}

# --- Files that are none --------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_empty_timeout => '400ms'});
    my $start = time;
    my ($empty, $late) = map { drop($world, 'msul1', $_, '', end => '') } 1, 2;
    my $behind = drop_many($world, 'msul1', 3 .. 5);
    ok await_gone($world, $behind), 'an empty file does not block those behind it';
    is_deeply [grep { -e in_folder($world, $_) } $empty, $late], [$empty, $late], '... and is left alone,';
    drop($world, 'msul1', 2, 'count:late');
    ok await_gone($world, $late), '... for it may be written yet: then it is delivered';
    is $lond->executed('count:late'), 1, '... once';
    ok await_gone($world, $empty), '... but if it stays empty, it goes';
    cmp_ok time - $start, '>=', 0.4, '... after its time';
    is_deeply [aside($world, 'corrupt')], [$empty], '... to corrupt/';
    is $world->{keeper}->said(qr/\Q$empty\E stayed empty; it is set aside/), 1, '... as the log says once';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, line_limit => '1k'});
    my $folder = $world->path('sockets/delayed');
    $world->write_file('elsewhere', "count:not to be read\n");
    my $n = 0;
    my %made = map { my ($what, $make) = @$_; my $name = name_of('msul1', ++$n); $make->("$folder/$name"); ($name => $what) } (
        [link => sub { symlink $world->path('elsewhere'), $_[0] }],
        [dangling => sub { symlink '/nowhere/at/all', $_[0] }],
        [itself => sub { symlink $_[0], $_[0] }],
        [folder => sub { mkdir $_[0] }],
        [FIFO => sub { mkfifo($_[0], 0600) }],
        [socket => sub { IO::Socket::UNIX->new(Local => $_[0], Listen => 1) }],
        [lines => sub { $world->write_file($_[0] =~ s/^\Q$world->{dir}\E\///r, "count:one\ncount:two\n") }],
        [blank => sub { $world->write_file($_[0] =~ s/^\Q$world->{dir}\E\///r, "count:three\n\n") }],
        [long => sub { $world->write_file($_[0] =~ s/^\Q$world->{dir}\E\///r, 'count:' . 'x' x 2000 . "\n") }],
    );
    my @strange = ('1700000000.5', '1700000000.5.4711.count.nobody', 'msul1', 'README.msul1', '1700000000.x.4711.count.msul1',
        '99999999999999999999.1.4711.count.msul1', '1700000000.5.4711.count.', '1700000000.5.4711.count.ms ul1');
    $world->write_file("sockets/delayed/$_", "count:strange\n") for @strange, '.1700000000.5.4711.count.msul1';
    my $behind = drop_many($world, 'msul1', 31 .. 40);
    ok await_gone($world, $behind, 5), 'links, folders, FIFOs, sockets, several lines, over the limit: those behind them are delivered';
    is_deeply [commands($world, 'S')], [map {"count:$_"} 31 .. 40], '... and nothing else is';
    is $lond->control('distinct'), 10, '... no link is followed';
    ok Lonc::within($Lonc::PATIENCE, sub { !grep { exists $made{$_} } left($world) }), 'what will never be a request is set aside';
    is_deeply [aside($world, 'corrupt')], [sort keys %made], '... in corrupt/';
    my %is = map { my $path = "$folder/corrupt/$_"; ($_ => -l $path ? 'l' : -p _ ? 'p' : -S _ ? 's' : -d _ ? 'd' : 'f') } keys %made;
    my %kind = (link => 'l', dangling => 'l', itself => 'l', folder => 'd', FIFO => 'p', socket => 's');
    is_deeply \%is, {map { ($_ => $kind{$made{$_}} || 'f') } keys %made}, '... as it was';
    is_deeply [left($world)], [sort @strange, '.1700000000.5.4711.count.msul1'], 'a name without a host, or of an unknown one, is left';
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/hosts? in force/);
    drop_many($world, 'msul1', 50);
    ok await_gone($world, name_of('msul1', 50)), '(after a reload the queue works as before)';
    my $log = $world->{keeper}->log;
    is_deeply [grep { my $is = $_; 1 != (() = $log =~ /deferred file \Q$is\E /g) } keys %made], [],
        'the log names what was set aside once';
    my %said = map { my $is = $_; ($is => scalar(() = $log =~ /ignoring \Q$is\E in the deferred folder: /g)) } @strange;
    is_deeply [grep { $said{$_} < 1 || $said{$_} > 2 } @strange], [], '... and what is left once, and once more after a reload'
        or diag explain \%said;
}

{
    my $world = Lonc->new(settings => {%quick, deferred_memory => '4k'});
    $world->write_file('sockets/delayed/' . name_of('nobody', 1), "count:strange\n");
    my $last = drop_many($world, 'msul1', 1 .. 300);
    my $lond = $world->lond('msul1');
    my $keeper = $world->keeper;
    ok await_gone($world, $last), '(the folder is read many times)';
    is $keeper->said(qr/its host is not in hosts\.tab/), 1, 'a file of an unknown host is logged once, though the folder is read again and again';
}

# --- Hosts that come and go -----------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {%quick, probe_min => '200ms', probe_max => '400ms'});
    my $keeper = $world->keeper;
    my $last = drop_many($world, 'msul1', 1 .. 20);
    ok $keeper->await(qr/host is dead/), 'a host that is down and has files, but no traffic, is tried';
    my $lond = $world->lond('msul1');
    ok $keeper->await(qr/host is back/), '... and probed until it is back';
    ok await_gone($world, $last, 5), '... and then drained';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [20, 0], '... each file once';
    in_order($world, 20, '... in order');
    is $lond->counts->{accepted}, 1, '... by the connection that probed';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $keeper = $world->{keeper};
    my $name = drop($world, 'msul2', 1, 'count:new');
    ok $keeper->await(qr/ignoring \Q$name\E .*its host is not in hosts\.tab/), 'a file for an unknown host is left';
    $world->{address}{msul2} = $world->{address}{msul1} =~ s/\d+$/39/r;
    my $second = $world->lond('msul2');
    $world->write_config;
    $keeper->signal('HUP');
    ok await_gone($world, $name, 5), '... until a reload brings the host: then it is delivered';
    is $second->executed('count:new'), 1, '... to it';

    $second->end;
    my @stay = map { drop($world, 'msul2', $_, "count:$_") } 2 .. 5;
    $keeper->await(qr/msul2: host is dead/);
    my $address = delete $world->{address}{msul2};
    $world->write_config;
    $keeper->signal('HUP');
    $keeper->await(qr/1 host in force/);
    drop_many($world, 'msul1', 1 .. 3);
    ok await_gone($world, name_of('msul1', 3)), '(a host is removed; the others go on)';
    is_deeply [left($world)], \@stay, 'a host that is removed keeps its files';
    $world->{address}{msul2} = $address;
    $second = $world->lond('msul2');
    $world->write_config;
    $keeper->signal('HUP');
    ok await_gone($world, $stay[-1], 5), '... and gets them when it is restored';
    is $second->control('distinct'), 4, '... all of them';
}

{
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {%quick, deferred_hold => '1s'});
    my %lond = map { $_ => $world->lond($_) } qw(msul1 msul2);
    my $keeper = $world->keeper;
    my $name = drop($world, 'msul2', 1, 'count:1');
    my $address = delete $world->{address}{msul2};
    $world->write_config;
    $keeper->signal('HUP');
    $keeper->await(qr/1 host in force/);
    ok await_gone($world, drop($world, 'msul1', 1, 'count:1')), '(a host is removed while its file is in its first second, which ends)';
    is_deeply [left($world)], [$name], 'a file whose host goes before it has settled stays';
    $world->{address}{msul2} = $address;
    $world->write_config;
    $keeper->signal('HUP');
    ok await_gone($world, $name), '... and is delivered when the host is restored';
    is $lond{msul2}->executed('count:1'), 1, '... once';
}

# --- The folder -----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $folder = $world->path('sockets/delayed');
    ok await_gone($world, drop_many($world, 'msul1', 1)), '(a file is delivered)';
    rmdir $folder or remove_tree($folder);
    mkdir $folder or -d $folder or die "mkdir: $!"; # the keeper makes it, too
    my $name = drop($world, 'msul1', 2, 'count:anew');
    ok await_gone($world, $name, 5), 'the folder is removed and made anew: what arrives in the new one is delivered';
    is $lond->executed('count:anew'), 1, '... once';

    rename $folder, "$folder.old" or die "rename: $!";
    mkdir $folder or -d $folder or die "mkdir: $!"; # the keeper makes it, too
    $name = drop($world, 'msul1', 3, 'count:renamed');
    ok await_gone($world, $name, 5), '... and so it is when the folder was renamed and made anew';

    remove_tree($folder);
    ok Lonc::within($Lonc::PATIENCE, sub { -d $folder }), 'a folder that is removed is made again'; # lonnet does not
    $name = drop($world, 'msul1', 4, 'count:made') if -d $folder;
    ok -d $folder && await_gone($world, $name, 5), '... and watched';
    is $lond->executed("count:$_"), 1, "... count:$_ is delivered once" for qw(anew renamed made);
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    $world->write_file('elsewhere', "count:moved\n");
    rename $world->path('elsewhere'), in_folder($world, name_of('msul1', 1)) or die "rename: $!";
    ok await_gone($world, name_of('msul1', 1)), 'a file that is moved there is delivered';
    $world->write_file('elsewhere', "count:linked\n");
    link $world->path('elsewhere'), in_folder($world, name_of('msul1', 2)) or die "link: $!";
    ok await_gone($world, name_of('msul1', 2)), '... and so is one that is linked there';
    is $world->read_file('elsewhere'), "count:linked\n", '... of which the other name stays';
}

# --- lonnet.perm.log ------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $log = $world->path('logs/lonnet.perm.log');
    mkdir $log or die "mkdir: $!";
    my ($name, $second) = map { drop($world, 'msul1', $_, "count:$_") } 1, 2;
    ok $world->{keeper}->await(qr/perm-log: \Q$log\E: Is a directory/), 'lonnet.perm.log cannot be written: the log says so';
    Lonc::within(0.6, sub {0}); # three times as long as until it is tried again
    is_deeply [left($world)], [$name, $second], '... the files stay';
    is $lond->control('distinct'), 0, '... and nothing is sent that could not be recorded';
    is_deeply [map { $_->{trouble} } troubles($world)], ['perm-log'], '... which status tells';
    rmdir $log or die "rmdir: $!";
    ok await_gone($world, $_, 5), '... they go when the line can be written' for $name, $second;
    is_deeply [map { join ':', @$_[1 .. 3] } permlog($world)], ['S:msul1:count:1', 'S:msul1:count:2'], '... with their S lines, one each';
    is $lond->control('repeated'), 0, '... and were executed once';
    is_deeply [troubles($world)], [], '... and status has no trouble left';
}

# --- Leaving --------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick}, lond => ['--delay', 1]);
    my $last = drop_many($world, 'msul1', 1 .. 1500);
    my @left;
    for my $n (1 .. 10) {
        Lonc::within($Lonc::PATIENCE, sub { $lond->control('distinct') >= 100 * $n }) or last;
        $world->{keeper}->signal('TERM');
        is $world->{keeper}->wait_exit, 0, "SIGTERM during a drain, the $n. time: the keeper leaves";
        push @left, scalar left($world);
        $world->keeper;
    }
    is scalar(grep { $_ == 0 } @left), 0, '... with files left';
    ok await_gone($world, $last), '... the next one goes on';
    is_deeply [left($world), map { $lond->control($_) } qw(distinct repeated)], [1500, 0], '... nothing is lost, nothing is sent twice';
    in_order($world, 1500, '... the S lines are as many, in order');
}

done_testing;
