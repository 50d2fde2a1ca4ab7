#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# loncctl metrics, which Prometheus reads. Other programs check the formats: the parser of Prometheus's Python client checks
# OpenMetrics, promtool the older text format, and Prometheus itself both, fetching them over HTTP as it would from
# lonc-metrics.socket.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);
use Canned;
use Lonc;
use StandInKeeper;

local $SIG{PIPE} = 'IGNORE';
my $loncctl = Lonc::program('loncctl');
my $promtool = Lonc::program('prometheus/promtool');
my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {retry_delay => '50ms', probe_min => '1h', probe_max => '1h'});
my $control = $world->path('stand-in.sock');

sub metrics {
    my (@words) = @_;
    my $said = `$loncctl --socket $control metrics @words 2>&1`;
    return wantarray ? ($said, $? >> 8) : $said;
}

# What a program says of a text it reads; '' when it is content.
sub judged {
    my ($text, @program) = @_;
    $world->write_file('judged', $text);
    my $said = `@program < @{[$world->path('judged')]} 2>&1`;
    return $said . ($? == 0 || $said ne '' ? '' : "exit status $?");
}

sub strict_openmetrics { judged($_[0], '/usr/bin/python3', "-c '@{[join ' ', 'import sys; from prometheus_client.openmetrics import parser;',
    'list(parser.text_string_to_metric_families(sys.stdin.read()))']}'") }

# The samples of a text: {'lonc_requests_total{host="msul1"}' => 3}
sub samples { return {$_[0] =~ /^([^#\s]\S*(?:\{.*\})?) (\S+)$/mg} }

# Over TCP, where closing with bytes unread would take the answer away.
my $listener = IO::Socket::INET->new(LocalAddr => "$world->{net}.200", Listen => 16) or die "listen: $!";

# Begun first, since it takes its 10 s: a client that does not get to the end of its request.
sub connection {
    my $ours = IO::Socket::INET->new(PeerAddr => $listener->sockhost, PeerPort => $listener->sockport) or die "connect: $!";
    my $theirs = $listener->accept or die "accept: $!";
    my $process = $world->start('loncctl metrics --http', [$loncctl, '--socket', $_[0] // $control, 'metrics', '--http'],
        keep_stdin => 1, setup => sub { POSIX::dup2(fileno $theirs, 0) });
    return ($ours, $process);
}
my ($slow, $slow_process) = connection();
syswrite $slow, "GET /metrics HTTP/1.1\r\nHost: ";

# --- The formats ----------------------------------------------------------------------------------

my $keeper = StandInKeeper->new($control, hosts => 3);
my $hosts = $keeper->{answers}{hosts}{hosts};
$hosts->[0]{lond} = qq(1.4 "quoted" \\ back\nslash);
$keeper->{answers}{status}{troubles} = [Canned::trouble('tls')];
$keeper->serve;
my ($text, $code) = metrics();
is $code, 0, 'loncctl metrics exits 0';
is strict_openmetrics($text), '', 'a strict parser of OpenMetrics takes it';
like $text, qr/\n# EOF\n\z/, '... and it has its end mark';
my $of = samples($text);
is $of->{lonc_up}, 1, 'the keeper is up';
my $host = $hosts->[1];
is $of->{"lonc_requests_total{host=\"$host->{id}\"}"}, $host->{requests}, 'the requests of a host';
is $of->{"lonc_con_lost_total{host=\"$host->{id}\",reason=\"refused\"}"}, $host->{con_lost}{refused}, '... its con_lost, by reason';
is $of->{"lonc_host_latency_seconds{host=\"$host->{id}\",quantile=\"0.99\"}"}, $host->{latency}{p99}, '... its latency';
my ($dead) = grep { $_->{state} eq 'dead' } @$hosts;
is_deeply [map { $of->{"lonc_host_state{host=\"$dead->{id}\",state=\"$_\"}"} } qw(healthy failing dead)], [0, 0, 1], 'a dead host is in one state';
is $of->{"lonc_host_dead_seconds{host=\"$dead->{id}\"}"}, $dead->{dead_for}, '... and since when is told in seconds';
like $text, qr/lonc_host_info\{host="$hosts->[0]{id}",.*lond="1\.4 \\"quoted\\" \\\\ back\\nslash"\} 1/, 'a text with quotes in it is escaped';
my @request = map { $of->{"lonc_request_duration_seconds_bucket{le=\"$_\"}"} } qw(0.0001 0.001 0.01 0.1 1.0 10.0 100.0 +Inf);
is_deeply \@request, [0, 120, 4120, 4430, 4442, 4445, 4445, 4446], 'each bucket of a histogram holds those below it too';
is $of->{lonc_request_duration_seconds_count}, $request[-1], '... the last one all';
is $of->{lonc_request_duration_seconds_sum}, 161.25, '... and there is the sum';
is $of->{'lonc_con_lost_duration_seconds_bucket{le="10.0"}'}, 32, 'con_lost has a histogram of its own';
is $of->{"lonc_deferred_oldest_seconds{host=\"$dead->{id}\"}"}, $dead->{deferred_oldest}, 'how old the oldest deferred file is';
ok !exists $of->{"lonc_deferred_oldest_seconds{host=\"$host->{id}\"}"}, '... where there is none, there is no sample' if !exists $host->{deferred_oldest};
is_deeply [map { $of->{"lonc_trouble{trouble=\"$_\"}"} } qw(config perm-log tls)], [0, 0, 1], "the keeper's own troubles: a sample for each kind, 1 for those that are there";
is_deeply {map { $_ => $of->{$_} } grep {/^lonc_trouble_seconds/} keys %$of}, {'lonc_trouble_seconds{trouble="tls"}' => 7384.5}, '... and since when';
is scalar(() = $text =~ /^# TYPE /mg), scalar(() = $text =~ /^# HELP \S+ [A-Z0-9].*\.$/mg), 'each family says what it means';

my ($old) = metrics('--text');
is judged($old, "$promtool check metrics"), '', 'promtool finds nothing wrong with --text, the older format';
is_deeply samples($old), $of, '... whose samples are the same';

my $dashboard = do { local (@ARGV, $/) = "$FindBin::Bin/../../units/lonc-grafana.json"; decode_json(<>) };
my %known = map { s/\{.*//r => 1 } keys %$of;
my @queries = map { $_->{expr} } map { @{$_->{targets} || []} } @{$dashboard->{panels}};
cmp_ok scalar(@queries), '>=', 10, 'the Grafana dashboard has ' . @queries . ' queries';
is join(' ', grep { !$known{$_} } map { /\b(lonc_\w+)/g } @queries), '', '... and each metric in them is one of these';
$keeper->end;

$keeper = StandInKeeper->new($control, hosts => 2000)->serve;
$text = metrics();
is strict_openmetrics($text), '', '2,000 hosts are as well formed';
is scalar(() = $text =~ /^lonc_requests_total\{/mg), 2000, '... all of them';
is judged(scalar metrics('--text'), "$promtool check metrics"), '', '... in the older format too';
unlike $text, qr/^lonc_host_latency_seconds\{host="msul10"/m, 'a host that nobody has asked has no latency';
like $text, qr/^lonc_requests_total\{host="msul10"\} 0$/m, '... but no requests';

is((metrics('more'))[1], 2, 'another word is wrong usage');
is((metrics('--more'))[1], 2, '... and so is an unknown option');
is system("$loncctl --socket $control metrics > /dev/full") >> 8, 1, 'what cannot be written is no success';
$keeper->end;
($text, $code) = metrics();
is $code, 3, 'without a keeper, loncctl metrics exits 3';
unlike $text, qr/lonc_up/, '... and writes no metrics';

# --- HTTP -----------------------------------------------------------------------------------------

# The answer to these bytes: status, headers, body.
sub http {
    my ($bytes, %with) = @_;
    my ($socket, $process) = connection();
    for my $part ($with{bytewise} ? split(//, $bytes) : $bytes) { syswrite $socket, $part }
    shutdown $socket, 1 if $with{ends};
    my $answer = do { local $/; <$socket> } // '';
    close $socket;
    is $process->wait_exit, 0, 'loncctl metrics --http exits 0' if $process->wait_exit != 0;
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    my ($status) = ($head // '') =~ m{^HTTP/1\.1 (\d+) };
    return ($status // "no answer: $answer", $head // '', $body // '');
}
my $get = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9663\r\n";

{
    my ($socket, $process) = connection();
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    syswrite $socket, "$get\r\n";
    close $socket; # a reset
    is $process->wait_exit, 0, 'a client that asks and goes away does no harm';
}

$keeper = StandInKeeper->new($control, hosts => 200)->serve;
my ($status, $head, $body) = http("$get\r\n");
is $status, 200, 'GET /metrics';
like $head, qr{^Content-Type: text/plain; version=0\.0\.4; charset=utf-8\r?$}m, '... in the older format for who asks for nothing';
is_deeply samples($body), samples(scalar metrics()), '... has the samples';
like $head, qr/^Content-Length: @{[length $body]}\r?$/m, '... and says how long it is';
like $head, qr/^Connection: close\r?$/m, '... and that it is all';
my $length = length $body;
($status, $head, $body) = http("${get}accept:application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n");
like $head, qr{^Content-Type: application/openmetrics-text; version=1\.0\.0; charset=utf-8\r?$}m, 'OpenMetrics for who asks for it';
is strict_openmetrics($body), '', '... and it is that';
($status, $head, $body) = http("HEAD /metrics HTTP/1.0\r\n\r\n");
is "$status $body", '200 ', 'HEAD has no body';
like $head, qr/^Content-Length: $length\r?$/m, '... but its length';
is((http("$get\r\n", bytewise => 1))[0], 200, 'a request that comes byte by byte');
is((http("GET /metrics HTTP/1.1\nHost: x\n\n"))[0], 200, '... one with bare line feeds');
is((http("GET http://x:9663/metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n"))[0], 200, '... and one that names the server in its target');
is((http("$get" . "Cookie: " . 'x' x 15_000 . "\r\n\r\n"))[0], 200, 'a large one');

is((http("GET $_ HTTP/1.1\r\nHost: x\r\n\r\n"))[0], 404, "$_ is not there") for '/', '/metrics/', '/metric', '/metrics2', '*';
($status, $head) = http("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" . 'x' x 300_000);
is $status, 405, 'POST is no method of it';
like $head, qr/^Allow: GET, HEAD\r?$/m, '... and what is, is said';
for (['no HTTP at all' => "hello\r\n\r\n"], ['HTTP/0.9' => "GET /metrics\r\n\r\n"], ['HTTP/2' => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ['four words' => "GET /metrics HTTP/1.1 x\r\nHost: x\r\n\r\n"], ['an empty line' => "\r\n\r\n"], ['no Host' => "GET /metrics HTTP/1.1\r\nHosts: x\r\n\r\n"],
    ['a NUL byte' => "${get}X: \0\r\n\r\n"], ['a target of 2,000 bytes' => 'GET /' . 'x' x 2000 . " HTTP/1.1\r\nHost: x\r\n\r\n"],
    ['a method of 100 bytes' => 'X' x 100 . " /metrics HTTP/1.1\r\nHost: x\r\n\r\n"],
    ['17,000 bytes' => "${get}X: " . 'x' x 17_000 . "\r\n\r\n"], ['no end' => 'x' x 100_000]) {
    my ($what, $bytes) = @$_;
    my ($status, $head, $body) = http($bytes);
    is $status, 400, "$what is a bad request";
    is $body, "the request is too large\n", '... which is said' if $what =~ /17,000|no end/;
}
is((http($get, ends => 1))[0], 400, 'so is half of one');
is((http('', ends => 1))[2], '', 'who leaves without a word gets none');
$keeper->end;
($status, $head, $body) = http("$get\r\n");
is $status, 200, 'without a keeper there is an answer';
is_deeply samples($body), {lonc_up => 0}, '... lonc_up 0, and nothing that is not known';
is system("$loncctl metrics --http < /dev/null > /dev/null 2>&1") >> 8, 2, 'without a socket, --http is wrong usage';

# --- The keeper, and Prometheus -------------------------------------------------------------------

$control = $world->path('run/control.sock');
my $lond = $world->lond('msul1');
$world->keeper;
$world->activate($_) for 'msul1', 'msul2';
is $world->ask('msul1', 'ping'), 'pong:msul1', 'a host answers';
is $world->ask('msul2', 'ping'), 'con_lost', '... and one is down';
my $before = samples(scalar metrics());
is $before->{lonc_keeper_requests_total}, 2, 'the keeper counts its requests';
is $before->{'lonc_keeper_con_lost_total{reason="dead"}'}, 1, '... and con_lost by reason';
is $before->{"lonc_requests_total{host=\"$_\"}"}, 1, "... those for $_" for 'msul1', 'msul2';
is $before->{'lonc_host_state{host="msul2",state="dead"}'}, 1, '... says which host is dead';
is $before->{'lonc_request_duration_seconds_bucket{le="+Inf"}'}, 1, '... and how long the one with a reply took';
is $before->{'lonc_con_lost_duration_seconds_bucket{le="+Inf"}'}, 1, '... and the one without';
is $world->ask('msul1', 'ping'), 'pong:msul1', 'another request';
my $after = samples(scalar metrics());
is $after->{lonc_keeper_replies_total}, $before->{lonc_keeper_replies_total} + 1, '... is another reply';
is join(' ', grep { /_total|_count|_bucket|_sum/ && $after->{$_} < $before->{$_} } keys %$before), '', 'no counter goes back';
is strict_openmetrics(scalar metrics()), '', 'the strict parser takes what the keeper says';

my ($ours, $theirs) = map {"$world->{net}.200:$_"} 9663, 9090;
my $endpoint = $world->start('lonc-metrics.socket', ['systemd-socket-activate', '--inetd', '--listen', $ours,
    $loncctl, '--socket', $control, 'metrics', '--http']);
$endpoint->await(qr/Listening on/);
$world->write_file('prometheus.yml', <<"END");
global: {scrape_interval: 1s}
scrape_configs: [{job_name: lonc, static_configs: [{targets: ["$ours"]}]}]
END
my $prometheus = $world->start('prometheus', [Lonc::program('prometheus/prometheus'), '--config.file=' . $world->path('prometheus.yml'),
    '--storage.tsdb.path=' . $world->path('tsdb'), "--web.listen-address=$theirs"]);
$prometheus->await(qr/Server is ready to receive web requests/, 120);

sub query {
    my ($query) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $theirs, Timeout => 30) or return {};
    print $socket "GET $query HTTP/1.0\r\n\r\n";
    my ($answer) = (do { local $/; <$socket> } // '') =~ /\r\n\r\n(.*)/s;
    return eval { decode_json($answer) } || {};
}
my $result;
Lonc::within(60, sub { $result = query('/api/v1/query?query=lonc_keeper_replies_total')->{data}{result}; $result && @$result });
is $result->[0]{value}[1], $after->{lonc_keeper_replies_total}, 'Prometheus fetches it over HTTP';
my $target = query('/api/v1/targets')->{data}{activeTargets}[0];
is "$target->{health} $target->{lastError}", 'up ', '... and has nothing to complain about';
my $metadata = query('/api/v1/metadata?metric=lonc_keeper_replies')->{data};
is $metadata->{lonc_keeper_replies}[0]{type}, 'counter', '... and knows it for a counter, from OpenMetrics';

# --- Those who say nothing ------------------------------------------------------------------------

sub read_status { open my $file, '<', $_[0] or return undef; return scalar <$file> }

# As over the listening socket: the first line of the answer, and the seconds that took.
sub fetched {
    my $start = time;
    my $socket = IO::Socket::INET->new(PeerAddr => $ours, Timeout => 30) or return "no connection: $@";
    print $socket "$get\r\n";
    my $answer = do { local $/; <$socket> } // '';
    return ($answer =~ /^lonc_up 1$/m ? 'up' : "answer: $answer", time - $start);
}
my @idle = map { IO::Socket::INET->new(PeerAddr => $ours, Timeout => 30) or die "connect: $!" } 1 .. 150;
print $_ "GET /metrics HTTP/1.1\r\n" for @idle[50 .. 99]; # half a request
print $_ "$get\r\n" for @idle[100 .. 149]; # whose answer is not read
my ($got, $took) = fetched();
is $got, 'up', 'a hundred and fifty who say nothing, or do not read: who asks is answered';
cmp_ok $took, '<', 5, '... at once';
is((fetched())[0], 'up', "... as is the next, number $_") for 1 .. 40;
my @children = grep { (read_status($_) // '') =~ m{\(loncctl\) \w $endpoint->{pid} } } glob '/proc/[0-9]*/stat';
ok @children > 0 && @children <= 33, '... and they have no more than their share: ' . @children . ' processes';
close $_ for @idle;
$endpoint->signal('TERM');
is $endpoint->wait_exit, 0, 'told to leave, it leaves';

# --- At last --------------------------------------------------------------------------------------

my $answer = do { local $/; <$slow> } // '';
like $answer, qr{^HTTP/1\.1 400 .*took too long\n\z}s, 'a client that does not end its request is told, and let go';
is $slow_process->wait_exit, 0, '... which is no failure';

done_testing;
