#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# loncctl with a control socket whose answers the test chooses: what it asks for, how it shows the answer on a terminal and
# in a pipe, and how it exits.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use POSIX ();
use JSON::PP;
use Lonc;
use Canned;

$ENV{LC_ALL} = 'C.UTF-8';
$ENV{TERM} = 'xterm';
delete $ENV{NO_COLOR};
delete $ENV{COLUMNS};

my $canned = Canned->new;
my $program = Lonc::program('loncctl');
my $loncctl = "$program --socket $canned->{socket}";

# Runs a shell command; what it wrote to standard output, to standard error, and its exit code.
sub run {
    my ($command) = @_;
    my $errors = $canned->{world}->path('errors');
    my $said = `{ $command
} 2>$errors`;
    return ($said, $canned->{world}->read_file('errors'), $? >> 8);
}

sub said { my ($said) = run("$loncctl $_[0]"); return $said }
sub jq { my ($filter, $words) = @_; chomp(my $said = `$loncctl --json $words | jq -c '$filter'`); return $said }

# --- What it asks, and what it makes of the answer ------------------------------------------------

$canned->hosts(Canned::host('msul1'), Canned::host('msul2', state => 'dead'),
    Canned::host('msul3', state => 'failing', reason => 'tls', detail => 'certificate has expired'),
    Canned::host('msul4', paused => JSON::PP::true, queued => 17, oldest_wait => 90.5, deferred => 1000, deferred_exact => JSON::PP::false, deferred_oldest => 7500));
{
    my ($text, $errors, $code) = run("$loncctl status");
    is_deeply [$errors, $code], ['', 0], 'status';
    like $text, qr/^lonc-keeper 0\.1, process 4711, up for 3d 4h$/m, '... says who it is';
    like $text, qr/^  hosts +4: 2 healthy, 1 failing, 1 dead, 1 paused$/m, '... counts the hosts';
    like $text, qr/^  con_lost +dead 400, lost 50, queue-full 6$/m, '... and the causes of con_lost, the most frequent first';
    like $text, qr{^  requests +123456, of which 123000 got lond's reply\n  rate +41\.4/s$}m, '... and requests';
    like $text, qr/^  latency +p50 1\.23ms, p99 34\.0ms, p99\.9 1\.25s$/m, '... their latency';
    like $text, qr/^  lost after +p50 0us, p99 31\.5s$/m, '... and how long those waited that got con_lost';
    like $text, qr/^  descriptors 345 of 131072$/m, '... and what it uses';
    like $text, qr/^msul2 +dead +refused +1min 15s +4s +192\.0\.2\.1:5663$/m, '... and the hosts that want attention';
    like $text, qr/^msul3 +failing +tls \(certificate has expired\) /m, '... with all that is known of the reason';
    like $text, qr/^msul4 +healthy, paused /m, '... those that are paused, too';
    unlike $text, qr/^msul1/m, '... but no others';
    is jq('[.pid, .hosts.dead, .latency.p99]', 'status'), '[4711,1,0.034]', 'status --json is the same for programs';
    is_deeply decode_json(said('status --json')), decode_json($canned->{world}->read_file('answers/status')), '... all of it';
}
{
    my @lines = split /\n/, said('hosts');
    is scalar @lines, 5, 'hosts: a line for each, and a heading';
    like $lines[0], qr/^HOST +STATE +OPENING +IDLE +BUSY +QUEUED +OLDEST +REQUESTS +P50 +P99 +DEFERRED +OLDEST FILE +MODE +LOND +CON_LOST$/, '... with everything in a pipe';
    like $lines[4], qr/^msul4 +healthy, paused +0 +2 +1 +17 +1min 30s +1000 +1\.23ms +34\.0ms +1000\+ +2h 5min +insecure +1\.421 +dead 2, lost 1$/, '... values under it';
    my %ends = map { ($_ => index($lines[0], $_) + length) } ('OPENING', 'IDLE', 'QUEUED', 'P99', 'DEFERRED', 'OLDEST FILE');
    is_deeply [grep { my $line = $_; grep { substr($line, $ends{$_} - 1, 2) !~ /^\S / } keys %ends } @lines], [], '... numbers end where their headings end';
    said(q(hosts 'msul*'));
    is $canned->was_asked('hosts msul*'), 1, 'hosts PATTERN asks the keeper to choose';
    is jq('[.hosts[].state]', 'hosts'), '["healthy","dead","failing","healthy"]', 'hosts --json';
}

# What is wrong with the keeper itself comes first.
$canned->troubled([Canned::trouble('tls'), Canned::trouble('memory', detail => "evil\e[2J", for => 3)], Canned::host('msul1'), Canned::host('msul2', state => 'dead'));
is said('status') =~ s/^  hosts .*//msr, <<'END', 'status begins with what is wrong with the keeper itself: since when, what it costs, what to do';
lonc-keeper 0.1, process 4711, up for 3d 4h
TROUBLE: tls, for 2h 3min
  found       /home/httpd/lonCerts/lonhost.pem: has expired
  costs       londs that offer ssl are not reached with ssl
  to do       mend the certificate, key or CA file named
TROUBLE: memory, for 3s
  found       evil\x1b[2J
  costs       londs that offer ssl are not reached with ssl
  to do       mend the certificate, key or CA file named

END
is jq('[.troubles[].trouble]', 'status'), '["tls","memory"]', '... as JSON';

$canned->hosts(Canned::host('msul5', state => 'dead', addresses => []));
unlike said('status'), qr/TROUBLE/, 'status: without one, it is not mentioned';
like said('status'), qr/^msul5 +dead +refused +1min 15s +4s(?: +-)?$/m, 'status: a host in trouble whose address is not known';

$canned->says(connections => {host => 'msul1', connections => [
    {state => 'Idle', mode => 'ssl', tls => 'TLSv1.3', address => '192.0.2.1:5663', busy => JSON::PP::false},
    {state => 'Connected', address => '192.0.2.1:5663', busy => JSON::PP::true}]});
like said('connections msul1'), qr/^STATE +MODE +TLS +IN USE +ADDRESS\nIdle +ssl +TLSv1\.3 +no +192\.0\.2\.1:5663\nConnected +- +- +yes +192/, 'connections HOST';
is jq('.connections[1].busy', 'connections msul1'), 'true', '... as JSON';

$canned->says(clients => {total => 1500, clients => [{pid => 815, uid => 33, host => 'msul1', state => 'waiting', since => 61}, {pid => 4, uid => 0, host => undef, state => 'idle', since => 0.2}]});
like said('clients'), qr/^PID +UID +HOST +STATE +FOR\n815 +33 +msul1 +waiting +1min 1s\n  4 +0 +- +idle +0s\nthe first 2 of 1500 clients$/m, 'clients, and how many more there are';
is jq('.total', 'clients'), '1500', '... as JSON';

$canned->says(config => {file => '/etc/lonc/keeper.conf', settings => [
    {name => 'queue_per_host', value => '1000', default => '1000', changed => JSON::PP::false, from => 'default', meaning => 'Requests that may wait for one host.'},
    {name => 'connect_timeout', value => '5s', default => '3s', changed => JSON::PP::true, from => 'file', line => 12, meaning => 'How long connecting may take.'},
    {name => 'log_level', value => 'debug', default => 'info', changed => JSON::PP::true, from => 'loncctl', meaning => 'The least important messages.'},
    {name => 'log_file', value => '', default => '', changed => JSON::PP::false, from => 'default', meaning => 'A file.'}]});
like said('config'), qr{^# /etc/lonc/keeper\.conf\nSETTING.*\nqueue_per_host +1000 +1000 +default +Requests that may wait for one host\.\nconnect_timeout +5s +3s +/etc/lonc/keeper\.conf:12 +How.*\nlog_level +debug +info +loncctl +The.*\nlog_file +\(empty\)}, 'config: value, default, where from, meaning';
is jq('.settings[1].changed', 'config'), 'true', '... as JSON';

# The queue is read where the keeper says it lies; how it is read and changed is queue.t's.
my $spool = $canned->{world}->path('spool');
mkdir $_ or die "$_: $!" for $spool, map {"$spool/$_"} qw(held rejected corrupt);
my $spooled = 0;
sub spool {
    my ($age, $host, $place) = @_;
    my $file = sprintf '%s/%d.%d.4711.put.%s', join('/', $spool, $place // ()), time - $age, ++$spooled, $host;
    open my $out, '>', $file or die "$file: $!";
}
my $known = decode_json(said('--json status'));
$canned->says(status => {%$known, deferred_folder => $spool});
spool(1, 'few') for 1 .. 3;
spool(1, 'few', 'held');
for my $bucket (0 .. 9) {
    spool($bucket == 9 ? 2 * 86400 : 300 * 2**$bucket - 120, 'many') for 0 .. $bucket;
}
spool(1, 'many', $_) for qw(rejected rejected corrupt);
is said('queue') =~ s/(?<= )\ds(?= )/1s/r, <<'END', 'queue: hosts and ages as qshape has them, the most files first';
HOST   FILES  OLDEST  HELD  REJECTED  CORRUPT  5m  10m  20m  40m  80m  160m  320m  640m  1280m  older
TOTAL     58   2d 0h     1         2        1   4    2    3    4    5     6     7     8      9     10
many      55   2d 0h     0         2        1   1    2    3    4    5     6     7     8      9     10
few        3      1s     1         0        0   3    0    0    0    0     0     0     0      0      0
END
is jq('.hosts[1].ages[9]', 'queue'), '10', '... as JSON';
like said('queue few'), qr/^few .*\n\n.*STATE.*\n(?:.* waiting .*put\.few\n){3}.* held .*put\.few\n/ms, 'queue HOST names its files';

$canned->says($_ => {ok => JSON::PP::true}) for qw(retry reconnect pause resume flush reload log);
for my $words ('retry ALL', 'retry msul1', 'reconnect msul1', 'pause msul1', 'resume msul1', 'flush msul1', 'reload', 'log level debug', 'log transactions off') {
    is_deeply [run("$loncctl $words")], ['', '', 0], "$words: quiet when it is done";
    is $canned->was_asked($words), 1, '... and asked as it stands';
    is jq('.ok', $words), 'true', '... as JSON';
}
$canned->says(queue => {ok => JSON::PP::true, folder => $spool});
for (['hold', "3 files\n"], ['release', "4 files\n"], ['requeue', "0 files\n"], ['delete', "4 files\n"]) {
    my ($action, $files) = @$_;
    is said("queue $action few"), $files, "queue $action says how many files";
    is $canned->was_asked("queue $action few"), 1, '... and the keeper was asked whether it may';
}

$canned->says(reload => {ok => JSON::PP::false, hosts => 2, errors => ["hosts.tab:1: bad", "keeper.conf:2: \e[2Jworse"]});
is_deeply [run("$loncctl reload")], ['', "hosts.tab:1: bad\nkeeper.conf:2: \\x1b[2Jworse\n", 1], 'the keeper says no: its sentences on standard error, without what a terminal obeys';
my (undef, $errors, $code) = run("$loncctl --json reload");
is_deeply [$errors, $code], ['', 1], '... with --json in the JSON';

# --- send and defer -------------------------------------------------------------------------------

$canned->says(send => {ok => JSON::PP::true, reply => 'pong'});
is_deeply [run("$loncctl send msul1 --json 'two  words' -x")], ["pong\n", '', 0], 'send prints the reply alone';
is $canned->was_asked('send msul1 --json two  words -x'), 1, '... and what follows the host is sent as it stands, options too';
is jq('.reply', 'send msul1 ping'), '"pong"', '... as JSON';
like((run("$loncctl send --json msul1 ping"))[0], qr/"reply": "pong"/, '... an option before the host is one');
is((run("echo 'encrypt:auth secret' | $loncctl send msul1 -"))[0], "pong\n", 'send HOST - takes the command from standard input');
is $canned->was_asked('send msul1 encrypt:auth secret'), 1, '... as it stands there';
is((run("$loncctl send msul1 - </dev/null"))[2], 2, '... which must have a line');
is((run("$loncctl send msul1 'a\nb'"))[2], 2, 'a command cannot have two lines');
is((run("$loncctl retry 'msul1 x'"))[2], 2, 'nor a host a blank');
$canned->says(send => {ok => JSON::PP::true, reply => "a\0b\x{7}\x{e9}\x{9b}31m"});
is said('send msul1 x'), "a\0b\a\xc3\xa9\xc2\x9b31m\n", 'a reply into a pipe is byte for byte what lond said';
is_deeply [Canned::on_terminal(80, 24, "$loncctl send msul1 x")], ["a\\x00b\\x07\xc3\xa9\\xc2\\x9b31m"], '... on a terminal without what it would obey';
$canned->says(send => {ok => JSON::PP::true, encoding => 'latin-1', reply => "a\x{e9}\x{ff}\x{80}b"});
is said('send msul1 x'), "a\xe9\xff\x80b\n", '... and so is one that is no UTF-8';
$canned->says(send => {ok => JSON::PP::false, errors => ['con_lost: dead the host had died before']});
is_deeply [run("$loncctl send msul1 x")], ['', "con_lost: dead the host had died before\n", 1], 'send without a reply exits 1';
$canned->says(defer => {ok => JSON::PP::true});
is_deeply [run("$loncctl defer msul1 x  y")], ['', '', 0], 'defer is quiet when it is done';

# --- The command line -----------------------------------------------------------------------------

is((run("$loncctl $_"))[2], 2, "usage: $_")
    for 'dance', 'retry', 'status me', 'retry a b', 'queue hold', 'queue dance msul1', 'log', 'log level', 'hosts a b', 'send msul1', '--dance', 'status --dance', q(retry ''), '';
like((run("$loncctl retry"))[1], qr/^usage: loncctl retry HOST\|ALL$/, '... is told for the verb');
like((run("$loncctl log"))[1], qr/^usage: loncctl log level .*\nusage: loncctl log transactions on\|off$/, '... or for all that start so');
like((run("$loncctl dance"))[1], qr/dance: there is no such verb/, '... or that there is none');
my @verbs = map { [split /\t/, $_, -1] } split /\n/, (run("$program --list-verbs"))[0];
is scalar(grep { @$_ == 2 } @verbs), scalar @verbs, '--list-verbs: name and arguments';
my ($help) = run("$program --help");
for (@verbs) {
    my ($name, $arguments) = @$_;
    like $help, qr/^  \Q$name\E /m, "--help has $name";
    my ($long, undef, $exit) = run("$program $name --help");
    like $long, qr/^usage: loncctl \Q$name\E/m, '... which has a long help';
    is $exit, 0, '... without a keeper';
}
my %times;
$times{$_->[0]}++ for @verbs;
is_deeply [grep { $times{$_} > 1 } sort keys %times], [], 'no verb is there twice';
is_deeply [run("$program --socket /nonexistent/x status")], ['', "loncctl: no keeper answers at /nonexistent/x: No such file or directory\n", 3], 'without a keeper it exits 3';
is((run("$program --socket /@{['x' x 200]} status"))[2], 2, 'a path that is too long is wrong usage');
$canned->says(status => $_->[0]), is((run("$loncctl status"))[2], 3, "a keeper that $_->[1]: 3") for ['', 'hangs up'], ['{"pid":', 'dies while it speaks'];

# --- Terminals ------------------------------------------------------------------------------------

sub without_colour { my ($line) = @_; $line =~ s/\e\[[\d;]*m//g; utf8::decode($line); return $line }

my @many = map { Canned::host("host$_", $_ % 37 == 3 ? (state => 'dead') : $_ % 41 == 4 ? (state => 'failing', reason => 'timed-out', detail => 'something quite long ' x 5) : (),
        con_lost => {map { ("reason-$_" => $_) } 1 .. 9}) } 1 .. 2000;
$canned->hosts(@many);
$canned->says(status => {%{decode_json(said('--json status'))}, deferred_folder => $spool});
spool(1e7 + 86400 * $_, 'host' x $_) for 1 .. 20;
for my $columns (200, 80, 60) {
    for my $verb ('status', 'hosts', 'queue', 'config', 'clients', 'connections msul1') {
        my @shown = map { without_colour($_) } Canned::on_terminal($columns, 24, "$loncctl $verb");
        is_deeply [grep { length > $columns } @shown], [], "$verb fits into $columns columns";
        cmp_ok scalar @shown, '<=', 23, '... and into the screen' if $verb eq 'status';
        cmp_ok scalar(@shown), '>=', 2, '... and is there';
    }
}
like join("\n", Canned::on_terminal(80, 24, "TERM=unheard-of $loncctl top")), qr/^loncctl: top: this terminal is not known; see TERM/m, 'top on a terminal that is none';
{
    my $screen = join "\n", map { without_colour($_) } Canned::on_terminal(80, 24, "$loncctl status");
    like join("\n", map { without_colour($_) } Canned::on_terminal(80, 24, "$loncctl queue")), qr/ +1280m +older\S*$/m, 'queue takes ages together where there is no room for all';
    like $screen, qr/^\d+ more: loncctl hosts$/m, 'status says what the screen has no room for';
    like $screen, qr/^host3 +dead/m, '... and has the dead first';
    like join("\n", Canned::on_terminal(80, 24, "$loncctl hosts")), qr/…/, 'what is cut is marked';
    like join("\n", Canned::on_terminal(80, 24, "LC_ALL=C $loncctl hosts")), qr/\.\.\./, '... in ASCII where the locale has no more';
    is scalar(() = said('hosts') =~ /^host\d/mg), 2000, 'in a pipe there are all of 2,000 hosts';
    is jq('.hosts | length', 'hosts'), '2000', '... as JSON';
    like said('hosts'), qr/^host4 .* reason-9 9, .* reason-1 1$/m, '... and nothing is cut';
    unlike said('hosts'), qr/\e/, '... and no colour';
    like join("\n", Canned::on_terminal(80, 24, "$loncctl hosts")), qr/\e\[1;31mhost3\e\[0m/, 'the dead are red on a terminal,';
    like join("\n", Canned::on_terminal(80, 24, "$loncctl hosts")), qr/\e\[33mhost4\e\[0m/, '... the failing yellow';
    unlike join("\n", Canned::on_terminal(80, 24, "$_ $loncctl hosts")), qr/\e/, "... but not with $_" for 'NO_COLOR=1', 'TERM=dumb', 'env -u TERM';
    like join("\n", Canned::on_terminal(80, 24, "NO_COLOR= $loncctl hosts")), qr/\e/, '... an empty NO_COLOR counts as none';
}
$canned->troubled([map { Canned::trouble($_, detail => 'a long path, and what is wrong with it, ' x 5) } 'tls', 'config'], @many[0 .. 9]);
for my $columns (80, 60) {
    my @shown = map { without_colour($_) } Canned::on_terminal($columns, 50, "$loncctl status");
    is_deeply [grep { length > $columns } @shown], [], "status with trouble of the keeper's own fits into $columns columns";
    cmp_ok scalar(grep {/^ {14}\S/} @shown), '>=', 4, '... for what is long is wrapped';
}
like join("\n", Canned::on_terminal(80, 50, "$loncctl status")), qr/\e\[1;31mTROUBLE: tls\e\[0m, for/, '... and red';

$canned->hosts(Canned::host("evil\e]0;title\a\x{202e}\x{9b}2J", state => 'dead', detail => "two\nlines\r"), Canned::host("\x{4e2d}\x{6587}\x{e9}"));
for my $verb ('status', 'hosts') {
    my ($text) = run("$loncctl $verb");
    utf8::decode($text);
    unlike $text, qr/[\x00-\x09\x0b-\x1f\x7f-\x9f\x{202e}]/, "$verb: no byte of a name reaches a terminal that it would obey";
    like $text, qr/^evil\\x1b\]0;title\\x07\\xe2\\x80\\xae\\xc2\\x9b2J  /m, '... and it can be seen';
}
like said('status'), qr/refused \(two\\x0alines\\x0d\)/, '... nor a line feed';
unlike join('', Canned::on_terminal(80, 24, "$loncctl --json hosts")), qr/[\x80-\xff]/, '... as JSON neither';
like said('hosts'), qr/^\xe4\xb8\xad\xe6\x96\x87\xc3\xa9  /m, 'what is printable is printed';
like((run("LC_ALL=C $loncctl hosts"))[0], qr/^\\xe4\\xb8\\xad/m, '... unless the locale has no such character');

# --- Pipes that break, disks that are full --------------------------------------------------------

$canned->hosts(@many);
is_deeply [(run("bash -c '$loncctl hosts | head -1 | wc -l'"))[0, 1]], ["1\n", ''], 'a broken pipe ends it quietly';
is_deeply [(run("(trap '' PIPE; $loncctl hosts) | true"))[1]], [''], '... where SIGPIPE is ignored, too';
is_deeply [(run("$loncctl hosts >/dev/full"))[1, 2]], ["loncctl: standard output: No space left on device\n", 1], 'a full disk is said';

# --- Events ---------------------------------------------------------------------------------------

# Starts to follow; the process, whose log is what it says.
sub following {
    my ($options, @wrapper) = @_;
    return $canned->{world}->start('loncctl events', [@wrapper, $program, '--socket', $canned->{socket}, @$options, 'events']);
}

my @events = map { {time => "2026-11-22T14:45:33.12${_}Z", event => 'host-dead', host => "msul$_", reason => 'refused', message => "host is dead\e[2J"} } 1, 2;
$canned->says(events => join '', map { JSON::PP->new->canonical->encode($_) . "\n" } @events);
{
    my $follower = following([]);
    $follower->await(qr/msul2.*\n/);
    is $follower->log, join('', map {"2026-11-22T14:45:33.12${_}Z msul$_ host-dead (refused): host is dead\\x1b[2J\n"} 1, 2), 'events: a line for each, as it comes';
    $follower->signal('INT');
    is $follower->wait_exit, 0, '... SIGINT ends it, with 0';
    $follower = following(['--json']);
    $follower->await(qr/msul2.*\n/);
    is_deeply [map { decode_json($_) } split /\n/, $follower->log], \@events, 'events --json: an object a line';
    $canned->stop;
    is $follower->wait_exit >> 8, 3, '... it ends with 3 when the keeper goes';
    like $follower->log, qr/no keeper answers at/, '... and says so';
    $canned->start;
    my ($line, undef, $exit) = run("bash -c 'set -o pipefail; timeout -s KILL $Lonc::PATIENCE $loncctl events | head -1'");
    is $line, "2026-11-22T14:45:33.121Z msul1 host-dead (refused): host is dead\\x1b[2J\n", '... it may be cut off by who reads it';
    isnt $exit, 137, '... and ends then, though nothing happens';
    $canned->says(events => qq({"ok":false,"errors":["not you"]}\n));
    is_deeply [run("$loncctl events")], ['', "not you\n", 1], '... and when the keeper says no';
}

# --- Completion -----------------------------------------------------------------------------------

# What bash would offer for the last of these words.
sub completes {
    my (@words) = @_;
    local $ENV{FILE} = "$FindBin::Bin/../../units/loncctl.bash-completion";
    my $script = 'source "$FILE"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _loncctl "$1" "${@: -1}" "${@: -2:1}"; printf "%s\n" "${COMPREPLY[@]}"';
    open my $bash, '-|', 'bash', '-c', $script, 'bash', $program, '--socket', $canned->{socket}, @words or die "bash: $!";
    chomp(my @offers = <$bash>);
    return join ' ', grep {length} @offers;
}

$canned->hosts(Canned::host('msul1'), Canned::host('msul2'));
is completes('re'), 'reconnect reload resume retry', 'completion: verbs';
is completes('retry', 'A'), 'ALL', '... words that are meant as they stand';
is completes('retry', ''), 'ALL msul1 msul2', '... hosts';
is completes('retry', 'ms'), 'msul1 msul2', '... that start so';
is $canned->was_asked('hosts ms*'), 1, '... only those are asked for';
is completes('queue', 'h'), 'hold', '... the second word of a verb';
is completes('queue', 'hold', 'm'), 'msul1 msul2', '... and its argument';
is completes('queue', 'm'), 'msul1 msul2', '... or the argument in its place';
is completes('log', 'level', 'w'), 'warning', '... levels';
is completes('log', ''), 'level transactions', '... a verb that has no first word alone';
is completes('send', 'm'), 'msul1 msul2', '... the host of send';
is completes('send', 'msul1', 'x'), '', '... but not its command';
is completes('status', ''), '', '... nothing where nothing is wanted';
is completes('--js'), '--json', '... options';
$canned->stop;
is completes('retry', 'm'), '', '... and nothing without a keeper';

# --- A real keeper --------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(hosts => ['msul1'], settings => {connections_per_host => 3, retry_delay => '50ms', probe_min => '1h', probe_max => '1h'});
    $loncctl = "$program --socket " . $world->path('run/control.sock');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a real keeper at work';
    is jq('[.hosts.healthy, .requests]', 'status'), '[1,1]', 'status';
    like said('hosts'), qr/^msul1 +healthy +0 +1 +0 +0 +- +1 +\S+[mu]?s +\S+ +0 +- +insecure +1\.421 +-$/m, 'hosts';
    is scalar(split /\n/, said(q(hosts 'nobody*'))), 1, '... none that matches: the heading alone';
    like said('connections msul1'), qr/^Idle +insecure +- +no +127\./m, 'connections';
    is((run("$loncctl connections nobody"))[2], 1, '... of nobody: 1');
    like said('config'), qr{^connections_per_host +3 +10 +/\S+/keeper\.conf:1 }m, 'config: what is set';
    like said('config'), qr/^queue_per_host +1000 +1000 +default /m, '... and what is not';
    is jq('.settings[] | select(.name == "connections_per_host") | [.value, .changed]', 'config'), '["3",true]', '... as JSON';
    is said('send msul1 echo:a  b'), "a b\n", 'send';
    is said(q(send msul1 'echo:a  b')), "a  b\n", '... blanks and all';
    is said(q(send msul1 "$(printf 'echo:\\351\\377')")), "\xe9\xff\n", '... any bytes';
    my ($none, $why, $exit) = run("$loncctl send nobody ping");
    is_deeply [$none, $exit], ['', 1], '... to nobody: 1';
    like $why, qr/no such host/, '... with a sentence';

    my $follower = $world->start('loncctl events', [split(' ', $loncctl), '--json', 'events']);
    ok Lonc::within($Lonc::PATIENCE, sub { said('reload'); $follower->log =~ /"event":"loaded"/ }), 'events --json: a reload';
    is_deeply [run("$loncctl pause msul1")], ['', '', 0], 'pause';
    my ($client) = $world->asking('msul1', 'echo:paused');
    ok Lonc::within($Lonc::PATIENCE, sub { jq('[.hosts[0].queued, .hosts[0].paused]', 'hosts') eq '[1,true]' }), '... requests wait';
    like said('clients'), qr/^ *$$ +\d+ +msul1 +waiting +\d+s$/m, 'clients: who waits';
    like said('status'), qr/^msul1 +healthy, paused /m, '... it wants attention';
    is_deeply [run("$loncctl resume msul1")], ['', '', 0], 'resume';
    is $client->line, 'paused', '... and they are answered';
    is_deeply [run("$loncctl $_")], ['', '', 0], $_ for 'reconnect msul1', 'flush msul1', 'log level debug', 'log transactions on', 'log transactions off', 'reload', 'retry ALL';
    is((run("$loncctl log level loud"))[2], 1, 'log level: no such one');
    $lond->end;
    $world->ask('msul1', 'ping') for 1 .. 2;
    $world->{keeper}->await(qr/host is dead/);
    $follower->await(qr/"event":"host-dead".*\n/);
    my ($event) = grep { $_->{event} eq 'host-dead' } map { decode_json($_) } split /\n/, $follower->log;
    is_deeply [@$event{qw(host reason)}], ['msul1', 'refused'], 'events --json: a host that died';
    is_deeply [run("$loncctl defer msul1 echo:later")], ['', '', 0], 'defer';
    my $stored = $world->path('sockets/delayed');
    is scalar(() = glob "$stored/*.msul1"), 1, '... it is on the disk';
    $world->write_file('tabs/hosts.tab', join '', map {"$_:msu:library:shared.example.edu:$world->{address}{msul1}\n"} 'msul1', 'msul2');
    is((run("$loncctl reload"))[2], 0, '(two hosts share a name)');
    for my $verb ('queue', 'queue hold', 'queue --yes delete') {
        my (undef, $errors, $code) = run("$loncctl $verb shared.example.edu");
        is "$errors$code", "shared.example.edu: several hosts have this name; expected a lonHostID\n1", "$verb NAME of several hosts: which one is not guessed";
    }
    is scalar(() = glob "$stored/*.msul1"), 1, '... and nothing is touched';
    like((run("$loncctl queue requeue 1700000000.1.1.count.msul1"))[1], qr/^1700000000\.1\.1\.count\.msul1: there is no such file$/, 'queue requeue FILE, where nothing was ever rejected');
    my (undef, $errors, $code) = run("$program --socket '' queue --config @{[$world->path('nothing.conf')]}");
    is $code, 1, 'queue without a socket reads the configuration, and says that it cannot';
    like $errors, qr/nothing\.conf: cannot be read/, '... and why';
    $world->{keeper}->signal('TERM');
    is $follower->wait_exit >> 8, 3, 'events end with 3 when the keeper goes';
}

done_testing;
