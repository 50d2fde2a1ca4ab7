#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What the keeper's verbs tell and do, asked over the control socket itself: one line in, one JSON value out.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(time);
use Lonc;
use Deferred;

sub control { IO::Socket::UNIX->new(Peer => $_[0]->path('run/control.sock')) or die "control: $!" }

# The answer, decoded; JSON::PP dies of what is no JSON.
sub answer {
    my ($world, $line) = @_;
    my $socket = control($world);
    print $socket "$line\n";
    local $/;
    return decode_json(scalar <$socket>);
}

sub host_of { my ($world, $id) = @_; return answer($world, "hosts $id")->{hosts}[0] }

my $true = JSON::PP::true;
my ($world, $lond, $second) = Lonc->up(hosts => ['msul1', 'msul2'],
    settings => {connections_per_host => 2, probe_min => '1h', probe_max => '1h', retry_delay => '20ms', deferred_hold => '10ms', deferred_attempts => 1});
my $keeper = $world->{keeper};

# --- Looking --------------------------------------------------------------------------------------

$world->ask('msul1', 'ping') for 1 .. 10;
my $status = answer($world, 'status');
is $status->{requests}, 10, 'status counts requests';
is $status->{replies}, 10, '... and replies';
is $status->{hosts}{total}, 2, '... and hosts';
is_deeply $status->{connections}, {opening => 0, idle => 1, busy => 0}, '... and connections';
ok $status->{latency}{p50} > 0 && $status->{latency}{p50} <= $status->{latency}{p99} && $status->{latency}{p99} < 10, '... and tells how long they took';
is $status->{deferred_folder}, $world->path('sockets/delayed'), '... and where the deferred files lie';

my $hosts = answer($world, 'hosts')->{hosts};
is_deeply [map { $_->{id} } @$hosts], ['msul1', 'msul2'], 'hosts tells all, in order';
is_deeply [map { $_->{id} } @{answer($world, "hosts $_")->{hosts}}], ['msul2'], "hosts $_ tells whom it matches" for 'msul2', '*2', 'MSUL2.EXAMPLE.*';
is_deeply answer($world, 'hosts nobody*'), {hosts => []}, '... or nobody';
my ($host) = @$hosts;
is $host->{$_->[0]}, $_->[1], "a host's $_->[0]"
    for ['name', 'msul1.example.edu'], ['state', 'healthy'], ['mode', 'insecure'], ['requests', 10], ['replies', 10], ['queued', 0], ['deferred', 0];
ok $host->{latency}{p50} > 0, 'its latency';
is $hosts->[1]{latency}{p50}, undef, '... which is null for one that was never asked';
is_deeply $hosts->[1]{con_lost}, {}, '... and so are its failures nothing';

my $histograms = answer($world, 'histograms');
is scalar @{$histograms->{request}{counts}}, 1 + @{$histograms->{bounds}}, 'histograms have a count for each bound, and one more';
my $sum = 0;
$sum += $_ for @{$histograms->{request}{counts}};
is $sum, 10, '... of all replies';
is $histograms->{request}{count}, 10, '... as the total says';
is $histograms->{con_lost}{count}, 0, '... and of con_lost there were none';
my $history = answer($world, 'history');
is scalar @{$history->{hour}{samples}}, 60, 'the last hour has 60 samples';
is scalar @{$history->{day}{samples}}, 96, '... the last day 96';
$sum = 0;
$sum += $_->{requests} for @{$history->{hour}{samples}};
is $sum, 10, '... which together have all requests';

my %settings = map { $_->{name} => $_ } @{answer($world, 'config')->{settings}};
is $settings{connections_per_host}{value}, 2, 'config tells a setting';
is $settings{connections_per_host}{default}, 10, '... and its default';
ok $settings{connections_per_host}{changed}, '... that they differ';
ok !$settings{reply_timeout}{changed}, '... or do not';
is $settings{reply_timeout}{value}, '30s', '... as one would write it';

# Where it is from: line by line of keeper.conf, comments and blank lines counted.
sub from { my ($name) = @_; my ($of) = grep { $_->{name} eq $name } @{answer($world, 'config')->{settings}}; return [@$of{qw(value from line)}] }
is_deeply from('connections_per_host'), [2, 'file', 1], '... and where it is from: a line of the file';
is_deeply from('reply_timeout'), ['30s', 'default', undef], '... or nowhere: the default';
{
    my $written = $world->read_file('keeper.conf');
    $world->write_file('keeper.conf', "# Added above.\n\nreply_timeout = 30s # as it was\n$written");
    ok answer($world, 'reload')->{ok}, 'a reload with a line more';
    is_deeply from('reply_timeout'), ['30s', 'file', 3], '... from which the value is, though it is the default';
    is_deeply from('connections_per_host'), [2, 'file', 4], '... and the others moved down';
    ok answer($world, 'log level info')->{ok} && answer($world, 'log transactions off')->{ok}, 'what is changed by hand';
    is_deeply from($_->[0]), [$_->[1], 'loncctl', undef], "... says so: $_->[0]" for ['log_level', 'info'], ['log_transactions', 'no'];
    $world->write_file('keeper.conf', "$written\nreply_timeout = 31\nno_such = 1\n");
    ok !answer($world, 'reload')->{ok}, 'a reload that fails';
    is_deeply from('reply_timeout'), ['30s', 'file', 3], '... leaves value and line';
    is_deeply from('log_level'), ['info', 'loncctl', undef], '... and what was changed by hand';
    $world->write_file('keeper.conf', $written);
    ok answer($world, 'reload')->{ok}, 'a reload with the line gone';
    is_deeply from('reply_timeout'), ['30s', 'default', undef], '... and it is the default again';
    is_deeply from('connections_per_host'), [2, 'file', 1], '... the others where they were';
    is_deeply from('log_transactions'), ['no', 'default', undef], '... and nothing by hand';
    is((from('log_level'))->[1], 'file', '... nothing at all');
}

my $client = $world->client('msul1');
$client->ask('ping');
my $clients = answer($world, 'clients');
is $clients->{total}, 1, 'clients counts them';
is $clients->{clients}[0]{pid}, $$, '... tells whose they are';
is $clients->{clients}[0]{host}, 'msul1', '... and for whom';
$client->close;

# --- Asking a host --------------------------------------------------------------------------------

is answer($world, 'send msul1 echo:as  it is ')->{reply}, 'as  it is ', 'send asks a host, and the command is passed to the byte';
is answer($world, 'send msul1.example.edu encrypt:echo:secret')->{reply}, 'secret', '... enciphered where it says so';
is answer($world, "send msul1 echo:\xe4\xf6")->{reply}, "\x{e4}\x{f6}", 'a reply that is no UTF-8 is told as Latin-1';
is length answer($world, 'send msul1 size:300000')->{reply}, 300_000, 'a long reply is told whole';
is answer($world, 'send msul1 echo:' . 'x' x 60_000)->{reply}, 'x' x 60_000, '... and so is one to a long command';
ok !grep({/secret/} $keeper->log), '... and nothing of it is in the log';
{
    my $gone = control($world);
    print $gone "send msul1 sleep:300:too late\n";
    $lond->has(1, 'busy') or die 'the request is not under way';
    close $gone;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'who asks and leaves costs nobody anything';
    ok $lond->has(0, 'busy'), '(its reply has come, for nobody)';
    my $half = control($world);
    print $half "send msul1 sleep:50:in time\n";
    shutdown $half, 1;
    local $/;
    is decode_json(scalar <$half>)->{reply}, 'in time', 'who has only shut down its sending side is answered';
}

# --- Pausing --------------------------------------------------------------------------------------

ok answer($world, 'pause msul1')->{ok}, 'pause';
my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 5);
ok Lonc::within(10, sub { host_of($world, 'msul1')->{queued} == 5 }), '... has requests wait';
my $paused = host_of($world, 'msul1');
ok $paused->{paused}, '... and says so';
ok defined $paused->{oldest_wait}, '... and for how long the first has waited';
is answer($world, 'status')->{hosts}{paused}, 1, '... and status counts the host';
is answer($world, 'status')->{hosts}{trouble}[0]{id}, 'msul1', '... among those that want attention';
is $world->ask('msul2', 'ping'), 'pong:msul2', '... while another host answers';
is $lond->counts->{busy} // 0, 0, '... and nothing is sent';
ok answer($world, 'resume msul1')->{ok}, 'resume';
is_deeply [map { $_->line } @waiting], [1 .. 5], '... answers them all';

my $accepted = $lond->counts->{accepted};
ok answer($world, 'reconnect msul1')->{ok}, 'reconnect';
is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the next request';
is $lond->counts->{accepted}, $accepted + 1, '... has a fresh connection';

{
    # A lond may say what it likes of itself; nobody else's line of the list may suffer from it.
    $lond->control("set lond-version 1.\xff\"\\");
    answer($world, 'reconnect msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a lond whose version is no UTF-8';
    is_deeply [map { $_->{id} } @{answer($world, 'hosts')->{hosts}}], ['msul1', 'msul2'], '... leaves the list whole';
    is host_of($world, 'msul1')->{lond}, qq(\$Revision: 1.\x{ff}"\\ \$), '... and stands in it, byte by byte';
}

# --- Events ---------------------------------------------------------------------------------------

my $events = control($world);
print $events "events\n";
my $rest = '';
sub event {
    my ($word) = @_;
    my $select = IO::Select->new($events);
    while ($select->can_read(20)) {
        sysread $events, $rest, 65536, length $rest or return undef;
        while ($rest =~ s/^(.*)\n//) {
            my $event = decode_json($1);
            return $event if $event->{event} eq $word;
        }
    }
    return undef;
}
ok answer($world, 'clients'), '(the keeper has heard that somebody follows)';
$second->end;
is $world->ask('msul2', 'ping'), 'con_lost', 'a host dies';
my $event = event('host-dead');
is $event->{host}, 'msul2', '... which who follows the events is told';
is $event->{reason}, 'refused', '... with the reason';
like $event->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, '... and the time';
like $event->{message}, qr/^host is dead/, '... and in words';
my $lost = answer($world, 'histograms')->{con_lost};
is $lost->{count}, 1, 'con_lost is counted by how long it took, too';
cmp_ok $lost->{sum}, '>=', 0.02, '... at least retry_delay, of a host whose first attempt failed';
is $world->ask('msul2', 'ping'), 'con_lost', '(at once, now that it is dead)';
my $both = answer($world, 'histograms')->{con_lost};
is $both->{count}, 2, '... each';
cmp_ok $both->{sum} - $lost->{sum}, '<', $lost->{sum} + 0.02, '... with its own time';
ok defined answer($world, 'status')->{con_lost_time}{p99}, '... and status tells of the last minutes';
my $dead = host_of($world, 'msul2');
is $dead->{state}, 'dead', 'hosts tells the same';
is $dead->{reason}, 'refused', '... with the reason';
ok $dead->{dead_for} >= 0 && $dead->{next_attempt_in} > 0, '... since when, and when it is tried next';
like answer($world, 'send msul2 ping')->{errors}[0], qr/^con_lost: /, 'send says con_lost, and why';

# --- Deferred -------------------------------------------------------------------------------------

ok answer($world, 'defer msul2 count:later')->{ok}, 'defer stores a transaction';
ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 1 }), '... which waits for its host';
{
    # Both arrive at once: the file is being written when it is seen that nobody waits any more.
    my ($before, $socket) = scalar(() = glob $world->path('sockets/delayed/*.msul2'));
    $world->{keeper}->while_stopped(sub { $socket = control($world); print $socket "defer msul2 count:alone\n"; close $socket });
    ok Lonc::within(10, sub { $before + 1 == (() = glob $world->path('sockets/delayed/*.msul2')) }), '... also for one who does not stay to hear of it';
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 2 }), '... and counts it';
    unlink +(sort glob $world->path('sockets/delayed/*.msul2'))[-1];
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 1 }), '(it is taken away again)';
}
my $oldest = host_of($world, 'msul2')->{deferred_oldest};
ok defined $oldest && $oldest >= 0 && $oldest < 100, '... and how long it does is told';
is host_of($world, 'msul1')->{deferred_oldest}, undef, '... where nothing waits, nothing is';
{
    # The names tell the time, in whatever order they come.
    my $put = sub { my ($ago, $command) = @_; return $world->path('sockets/delayed/' . drop($world, 'msul2', 1, $command, epoch => int(time) - $ago)) };
    my $older = $put->(5000, 'count:older');
    my $old = $put->(3000, 'count:old');
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 3 }), 'older ones come';
    my $within = sub { my ($ago) = @_; my $told = host_of($world, 'msul2')->{deferred_oldest} // -1; return $told >= $ago && $told < $ago + 100 };
    ok $within->(5000), '... and the oldest counts';
    unlink $older or die;
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 2 && $within->(3000) }), '... until it goes';
    unlink $old or die;
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 1 && $within->(0) }), '... and the next';
    my $tomorrow = $put->(-86400, 'count:tomorrow');
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 2 && $within->(0) }), '... one of tomorrow is no older';
    unlink $tomorrow or die;
    ok Lonc::within(10, sub { host_of($world, 'msul2')->{deferred} == 1 }), '(which goes)';
}
$second = $world->lond('msul2');
ok answer($world, 'flush msul2')->{ok}, 'flush tries the host now';
is event('host-back')->{host}, 'msul2', '... which is back';
ok Lonc::within(10, sub { $second->executed('count:later') == 1 }), '... and gets it';
$second->control('fault none');
drop_many($world, 'msul2', 1);
ok Lonc::within(10, sub { !left($world) }), '(and so one that lonnet left)';
my $closed = sub { $second->counts->{commands}{close} };
drop($world, 'msul2', 2, 'close');
ok Lonc::within(10, sub { $closed->() == 1 && host_of($world, 'msul2')->{connections}{busy} == 0 }), '(one costs its connection, and is put off)';
my ($put_off) = left($world);
my $age_of_name = time - ($put_off =~ /^(\d+)\./)[0];
ok abs(host_of($world, 'msul2')->{deferred_oldest} - $age_of_name) < 100, '... its age is that of its name still';
ok answer($world, 'flush msul2')->{ok}, 'flush tries what was put off';
ok Lonc::within(10, sub { $closed->() == 2 }), '... now';
is answer($world, "queue $_ ALL")->{folder}, $world->path('sockets/delayed'), "queue $_ says where" for qw(hold release requeue delete);
ok !answer($world, 'queue burn ALL')->{ok}, '... but not for what it does not know';

# --- The log --------------------------------------------------------------------------------------

ok answer($world, 'log transactions on')->{ok}, 'log transactions on';
$world->ask('msul1', 'encrypt:echo:secret');
$world->ask('msul1', 'echo:for the log');
ok Lonc::within(10, sub { $keeper->said(qr/msul1: echo \(\d+ bytes\) answered with \d+ bytes after/) }), '... and each request is logged';
ok $keeper->said(qr/msul1: encrypt \(\d+ bytes\) answered/), '... an enciphered one too';
is scalar(() = $keeper->log =~ /secret|for the log/g), 0, '... but none of their text';
ok answer($world, 'log transactions off')->{ok}, 'log transactions off';
my $before = length $keeper->log;
$world->ask('msul1', 'echo:again');
answer($world, 'log level err');
answer($world, 'retry msul1');
is substr($keeper->log, $before) =~ s/.*asks for log level.*\n//r, '', '... and then log level err: nothing is';
ok answer($world, 'log level debug')->{ok}, 'log level debug';

# --- What is no request ---------------------------------------------------------------------------

for my $line ('', ' ', 'nonsense', 'status now', 'hosts a b', 'connections', 'retry', 'send msul1', 'send', 'log', 'log level', 'log level loud',
    'log transactions maybe', 'log what ever', 'queue', 'queue hold', 'pause nobody', 'send nobody ping', 'connections ' . 'x' x 1000, 'x' x 1000) {
    my $said = answer($world, $line);
    ok !$said->{ok} && length $said->{errors}[0], "\"" . substr($line, 0, 40) . "\" is refused with a sentence";
}

SKIP: {
    skip 'only root can ask as somebody else', 28 if $> != 0;
    chmod 0755, $world->{dir}, $world->path('run');
    chmod 0666, $world->path('run/control.sock');
    my $as_nobody = sub {
        my ($line) = @_;
        pipe(my $out, my $in);
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            $( = $) = 65534;
            $> = $< = 65534;
            my $socket = control($world);
            print $socket "$line\n";
            syswrite $in, join '', <$socket>;
            POSIX::_exit(0);
        }
        close $in;
        waitpid $pid, 0;
        local $/;
        return scalar <$out>;
    };
    for my $line ('reload', 'retry ALL', 'pause msul1', 'resume msul1', 'reconnect msul1', 'flush msul1', 'queue delete ALL',
        'send msul1 encrypt:secret', 'defer msul1 secret', 'log level debug') {
        like $as_nobody->($line), qr/only root and the keeper's own user/, "another user may not ask for $line";
        my ($verb) = $line =~ /^(\w+)/;
        ok $keeper->said(qr/user 65534 may not ask for $verb/), '... which is logged';
    }
    ok !$keeper->said(qr/may not ask for .*secret/), '... but not what was to be sent';
    unlike $as_nobody->($_), qr/only root/, "another user may ask for $_" for 'status', 'hosts', 'clients', 'config', 'history', 'histograms', 'connections msul1';
}

# --- Many hosts, and slow readers -----------------------------------------------------------------

{
    my $table = $world->read_file('tabs/hosts.tab');
    $world->write_file('tabs/hosts.tab', $table . join '', map {"many$_:msu:library:many$_.example.edu:127.0.0.1\n"} 1 .. 2000);
    ok answer($world, 'reload')->{ok}, '2,000 hosts more';
    my $slow = control($world);
    setsockopt $slow, SOL_SOCKET, SO_RCVBUF, pack('i', 2048);
    print $slow "hosts\n";
    is scalar @{answer($world, 'hosts')->{hosts}}, 2002, 'hosts tells them all, while somebody does not read';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and requests are answered';
    my $start = time;
    answer($world, 'status') for 1 .. 20;
    my $took = (time - $start) / 20;
    diag sprintf 'status of 2,002 hosts takes %.1f ms', 1000 * $took;
    cmp_ok $took, '<', 0.05, 'status of 2,002 hosts takes less than 50 ms';
    local $/;
    is scalar @{decode_json(scalar <$slow>)->{hosts}}, 2002, 'who read late is told all as well';
    my $leaves = control($world);
    print $leaves "hosts\n";
    close $leaves;
    $world->write_file('tabs/hosts.tab', $table);
    ok answer($world, 'reload')->{ok}, 'hosts leave the table';
    is scalar @{answer($world, 'hosts')->{hosts}}, 2, '... and the list';
}

# --- The end --------------------------------------------------------------------------------------

answer($world, 'pause msul1');
my $asks = control($world);
print $asks "send msul1 echo:never\n";
ok Lonc::within(10, sub { host_of($world, 'msul1')->{queued} == 1 }), '(one waits still)';
$keeper->signal('TERM');
{
    local $/;
    like decode_json(scalar <$asks>)->{errors}[0], qr/^con_lost: the keeper is stopping/, 'a keeper that stops answers who waits';
}
is event('stopping')->{event}, 'stopping', '... tells who follows';
is $keeper->wait_exit, 0, '... and leaves in order';
done_testing;
