#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# No secret leaves memory: marked secrets pass through every program, with every prefix, to every outcome that a request can
# have. Then everything that was written is searched, except the content of deferred files, which is the transaction
# itself, and rejected replies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use File::Find;
use IO::Socket::UNIX;
use Socket;
use Deferred;
use Lonc;

my ($mark, $number) = ('SESAME', 1000);
sub secret { return $mark . ++$number } # each another, so that it is known which one was seen

my $loncctl = Lonc::program('loncctl');
my $line_limit = 64 * 1024;
my $root = $> == 0;

# --- A world whose every output is kept -----------------------------------------------------------

my @hosts = qw(alive other dead slow);
my $world = Lonc->new(hosts => \@hosts,
    settings => {log_transactions => 'yes', log_target => $root ? 'journal' : 'stderr', line_limit => $line_limit, deferred_hold => '20ms',
        connections_per_host => 1, queue_per_host => 4, queue_timeout => '1s', reply_timeout => '1s', request_timeout => '3s',
        retry_delay => '50ms', probe_min => '1h', probe_max => '1h', deferred_retry => '1h'});
$world->{settings}{log_file} = $world->path('logs/lonc.log');
$world->write_config;
# `dead`, and another id of alive's name.
$world->write_file('tabs/hosts.tab', $world->read_file('tabs/hosts.tab') . "alias:msu:library:alive.example.edu:$world->{address}{alive}\n");
my %lond = map { $_ => $world->lond($_, $_ eq 'alive' ? ('--id', 'alias') : ()) } qw(alive other slow);
mkdir $world->path($_) for 'journal', 'pages';

# What systemd hears, and what journald does.
my %told = (journal => '', systemd => '', titles => '', loncctl => '', events => '');
my %ear = map {
    my $socket = IO::Socket::UNIX->new(Local => $world->path($_->[1]), Type => SOCK_DGRAM) or die "$_->[1]: $!";
    setsockopt $socket, SOL_SOCKET, 33, pack 'l', 8 << 20; # SO_RCVBUFFORCE
    $socket->blocking(0);
    ($_->[0] => $socket)
} ['journal', 'journal/socket'], ['systemd', 'notify.sock'];

sub listen_to_all {
    for my $who (keys %ear) {
        while (defined recv $ear{$who}, my $bytes, 1 << 16, 0) { $told{$who} .= "$bytes\n" }
    }
    for my $process (@{$world->{processes}}) {
        next if defined $process->{status} || $process->{name} =~ /^lond/;
        open my $line, '<', "/proc/$process->{pid}/cmdline" or next;
        local $/;
        $told{titles} .= <$line> // '';
    }
}

my @wrapper = $root ? ('unshare', '--mount', 'sh', '-c', 'mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"',
    $world->path('journal')) : ();
$ENV{NOTIFY_SOCKET} = $world->path('notify.sock');
sub start_keeper {
    my $keeper = $world->keeper(no_wait => 1, wrapper => \@wrapper);
    Lonc::within($Lonc::PATIENCE, sub { listen_to_all(); -S $world->path('run/control.sock') && eval { $keeper->tells('status')->{pid} == $keeper->{pid} } })
        or die 'no keeper: ' . $keeper->log;
    return $keeper;
}
my $keeper = start_keeper();
my %shim = map { $_ => $world->activate($_) } @hosts, 'nobody';
my $events = $world->start('events', [$loncctl, '--socket', $keeper->{control}, 'events', '--json']);

# What a program says, kept.
sub run {
    my ($in, @words) = @_;
    open my $to, '>', $world->path('stdin') or die $!;
    print $to $in;
    close $to;
    my $program = $world->start('loncctl', [$loncctl, '--socket', $keeper->{control}, @words], keep_stdin => 1,
        setup => sub { open STDIN, '<', $world->path('stdin') or die $!; });
    $program->wait_exit;
    $told{loncctl} .= $program->log;
    unlink $world->path('stdin');
    return $program->log;
}

# --- Ways to write a secret -----------------------------------------------------------------------

# How often `encrypt:` or a prefix stands there, in which order, in which case, with which id.
my @prefixes = ('', 'lonc_defer:', 'sethost:HOST:', 'lonc_defer:sethost:HOST:', 'sethost:HOST:lonc_defer:', 'lonc_defer:lonc_defer:',
    'sethost:HOST:sethost:HOST:', 'lonc_defer:sethost:HOST:lonc_defer:sethost:HOST:', 'sethost::', 'sethost:a:b:', 'sethost:alias:', 'sethost:nobody:',
    'lonc_defer:sethost:nobody:', 'SetHost:HOST:', 'LONC_DEFER:', 'lonc_defer: ', ' ', 'sethost:HOST: ', 'sethost:', 'lonc_defer:sethost:',
    'encrypt:', 'encrypt:sethost:HOST:', 'lonc_defer:encrypt:lonc_defer:');
my @marks = ('encrypt:', 'Encrypt:', 'ENCRYPT:');

# Requests with these commands, of which %s is the secret; each with every prefix.
sub requests {
    my ($host, @commands) = @_;
    my @requests;
    for my $command (@commands) {
        for my $prefix (@prefixes) {
            for my $encrypt ($prefix =~ /^(?:lonc_defer:)?(?:sethost:HOST:)?\z/ ? @marks : $marks[0]) {
                push @requests, sprintf("%s%s$command", $prefix =~ s/HOST/$host/gr, $encrypt, secret());
            }
        }
    }
    return @requests;
}

# Asks for all of them on one connection, as many times as it ends; returns how often each answer came.
sub ask_all {
    my ($host, @requests) = @_;
    my ($client, %seen);
    for my $request (@requests) {
        $client ||= $world->client($host);
        my $answer = $client->ask($request);
        $seen{$answer // 'the end'}++;
        $client = undef if !defined $answer;
        listen_to_all();
    }
    return \%seen;
}

# --- Every end ------------------------------------------------------------------------------------

my $seen = ask_all('alive', requests('alive', 'count:%s', 'echo:%s', 'auth:u:%s:d', '%s', ':%s', 'put:x:encrypt:%s'));
cmp_ok $seen->{ok}, '>', 4, 'secrets are answered' or diag explain $seen;
cmp_ok $seen->{unknown_cmd}, '>', 20, '... or lond does not know them';
ok !(grep {/$mark/ && !/^$mark/} keys %$seen), '... and no prefix comes back with them' or diag explain $seen;

$seen = ask_all('alive', requests('alive', 'half:%s'));
cmp_ok $seen->{con_lost}, '>', 2, 'their connection is lost' or diag explain $seen;
ask_all('slow', 'encrypt:stall:' . secret(), 'lonc_defer:encrypt:stall:' . secret(), 'lonc_defer:sethost:slow:encrypt:stall:' . secret());
ok 1, 'they time out';

$world->ask('dead', 'ping') for 1 .. 2;
Lonc::within($Lonc::PATIENCE, sub { listen_to_all(); $keeper->tells('hosts dead')->{hosts}[0]{state} eq 'dead' }) or die 'not dead';
$seen = ask_all('dead', requests('dead', 'auth:u:%s:d', '%s', 'x:%s', 'count:%s'));
cmp_ok $seen->{con_lost}, '>', 20, 'the host is dead';
cmp_ok $seen->{con_delayed}, '>', 20, '... and they are stored';
my @stored = left($world);
cmp_ok scalar(@stored), '>', 20, '... in files';
$seen = ask_all('nobody', requests('nobody', 'auth:u:%s:d'));
cmp_ok $seen->{con_failed}, '>', 5, 'there is no such host: they cannot be stored';

{
    # The queue is full, and clients leave it.
    my @waiting = $world->asking('slow', map { 'encrypt:stall:' . secret() } 1 .. 3);
    my @refused = $world->asking('slow', map { ('encrypt:auth:' . secret(), 'lonc_defer:sethost:slow:encrypt:auth:' . secret()) } 1 .. 6);
    Lonc::within($Lonc::PATIENCE, sub { ($keeper->tells('hosts slow')->{hosts}[0]{con_lost}{'queue-full'} // 0) > 0 });
    cmp_ok $keeper->tells('hosts slow')->{hosts}[0]{con_lost}{'queue-full'} // 0, '>', 0, 'the queue is full';
    listen_to_all();
    $_->close for @waiting, @refused;
}
{
    # No whole lines, and too long ones.
    for my $text ('encrypt:auth:' . secret(), 'lonc_defer:sethost:alive:encrypt:auth:' . secret(), "encrypt:auth:\0" . secret(), 'sethost:alive:encr') {
        my $client = $world->client('alive');
        $client->send($text);
        $client->close;
    }
    for my $prefix ('', 'lonc_defer:sethost:alive:', 'sethost:' . 'x' x 5000 . ':') {
        my $client = $world->client('alive');
        $client->send("${prefix}encrypt:auth:" . secret() x 10_000 . "\n");
        is $client->line, undef, 'a line over the limit ends its connection';
    }
    is $world->ask('alive', 'encrypt:ping'), 'pong:alive', '(all is well after that)';
}

# Files in the folder: delivered, rejected, corrupt, of nobody.
my $file = 100;
for my $host ('alive', 'slow', 'dead') {
    drop($world, $host, $file++, $_) for requests($host, 'count:%s', 'auth:u:%s');
}
drop($world, 'alive', $file++, join "\n", requests('alive', 'count:%s'));
drop($world, 'nobody', $file++, 'encrypt:' . secret());
drop($world, 'alive', $file++, 'lonc_defer:sethost:alive:encrypt:count:' . secret() x 10_000);
drop($world, 'alive', $file++, 'sethost:' . 'x' x 4080 . ':encrypt:count:' . secret());
ok Lonc::within($Lonc::PATIENCE, sub { listen_to_all(); !grep {/4711.*\.alive\z/} left($world) }), 'deferred ones are delivered';
cmp_ok scalar(aside($world, 'rejected')), '>', 5, '... or rejected';
cmp_ok scalar(aside($world, 'corrupt')), '>', 1, '... or set aside';

# The same without a place to store it, and without a perm log.
rename $world->path('sockets/delayed/storing'), $world->path('storing') or die $!;
$world->write_file('sockets/delayed/storing', '');
$seen = ask_all('dead', 'lonc_defer:sethost:dead:encrypt:auth:' . secret(), 'lonc_defer:encrypt:auth:' . secret());
is $seen->{con_failed}, 2, 'they cannot be stored';
unlink $world->path('sockets/delayed/storing');
rename $world->path('storing'), $world->path('sockets/delayed/storing');

# What was kept for a line of lonnet.perm.log is gone from memory with it.
SKIP: {
    skip 'only root can look', 2 if !$root;
    skip 'a sanitizer has terabytes of memory that are not there', 2 if $ENV{LONC_SANITIZED};
    my %answers = %{ask_all('dead', map { ("lonc_defer:encrypt:count:$_", "lonc_defer:sethost:dead:encrypt:count:$_") } map { secret() x 300 } 1 .. 4)};
    is $answers{con_delayed}, 8, 'long secrets are stored';
    # The answer is there before the buffer that the request came in is wiped.
    my $left;
    Lonc::within($Lonc::PATIENCE, sub { $left = () = $keeper->memory =~ /(?:$mark\d+){3}/g; return $left == 0 });
    is $left, 0, '... and nothing of them stays in memory';
}

# --- By hand --------------------------------------------------------------------------------------

like run('', 'send', 'alive', 'encrypt:echo:' . secret()), qr/^$mark/, 'loncctl send shows the reply, which was asked for';
$told{loncctl} = '';
like run('encrypt:echo:' . secret() . "\n", 'send', 'alive', '-'), qr/^$mark/, '... also of what it reads';
$told{loncctl} = '';
for my $verb ('send', 'defer') {
    run('', $verb, $_, 'encrypt:auth:' . secret()) for 'alive', 'dead', 'unknown';
    run('', $verb, $_, 'sethost:alive:encrypt:auth:' . secret()) for 'alive', 'dead';
    run('', $verb, 'alive', 'encrypt:auth:' . secret() . "\nrest");
    run("sethost:dead:encrypt:auth:" . secret() . "\n", $verb, 'dead', '-');
    # Half of the words, or the wrong way round; also past loncctl, which would notice.
    run('', $verb, 'encrypt:auth:u:' . secret() . ':d', $_) for 'alive', 'a rest';
    $told{answers} .= JSON::PP::encode_json($keeper->tells($_ . secret())) for "$verb encrypt:auth:", "$verb alive encrypt:auth:", "$verb x:y: z:",
        "$verb  encrypt:u:$mark x ", 'encrypt:auth:', 'lonc_defer:encrypt:auth:', "$verb dead lonc_defer:encrypt:auth:";
}
{
    # In the list of processes only for the moment before it is read.
    my $secret = secret();
    my $asked = sub { $keeper->tells('hosts slow')->{hosts}[0]{requests} };
    my $before = $asked->();
    my $program = $world->start('loncctl', [$loncctl, '--socket', $keeper->{control}, 'send', 'slow', "encrypt:stall:$secret"]);
    ok Lonc::within($Lonc::PATIENCE, sub { $asked->() > $before }), '(a command is under way)';
    open my $line, '<', "/proc/$program->{pid}/cmdline" or die $!;
    local $/;
    unlike <$line>, qr/$secret/, 'a command given as an argument does not stay in the list of processes';
    $program->wait_exit;
    $told{loncctl} .= $program->log;
}
run('', 'queue', $_) for 'dead', 'alive', 'slow';
run('', 'queue');
run('', 'queue', 'hold', 'dead');
run('', 'queue', 'release', 'dead');
run('', 'queue', 'requeue', 'alive');
run('', 'queue', 'hold', (grep {/\.dead\z/} left($world))[0]);
run('', 'queue', '--yes', 'delete', 'alive');
run('', @$_) for ['status'], ['status', '--json'], ['hosts'], ['hosts', '--json'], ['connections', 'alive'], ['clients'], ['config'], ['metrics'],
    ['page', $world->path('pages/lonc.html')], ['log', 'level', 'debug'], ['reload'], ['retry', 'ALL'];

# --- The host is back, the keeper leaves and another comes -----------------------------------------

$lond{dead} = $world->lond('dead');
run('', 'flush', 'dead');
run('', 'queue', 'requeue', 'dead');
ok Lonc::within($Lonc::PATIENCE, sub { listen_to_all(); !grep {/\.dead\z/} left($world) }), 'what was stored is delivered or set aside';
$keeper->signal('USR1');
Lonc::within($Lonc::PATIENCE, sub { -s $world->path('html/lon-status/loncstatus.txt') });
listen_to_all();
$told{answers} .= JSON::PP::encode_json($keeper->tells($_)) for qw(status hosts clients config history histograms), map {"connections $_"} @hosts;
{
    my @waiting = $world->asking('slow', map { 'lonc_defer:sethost:slow:encrypt:stall:' . secret() } 1 .. 3);
    $keeper->signal('TERM');
    $keeper->wait_exit;
    listen_to_all();
}
$events->end;
{
    # No keeper: the shim answers.
    my $client = $world->client('alive');
    $client->send('encrypt:auth:' . secret() . "\n");
    is $client->line, 'con_lost', 'without a keeper it is con_lost';
    listen_to_all();
}
$keeper = start_keeper();
is $world->ask('alive', 'encrypt:ping'), 'pong:alive', 'another keeper serves';
listen_to_all();

# --- The search -----------------------------------------------------------------------------------

$_->end for grep { $_->{name} !~ /^lond/ } @{$world->{processes}};
listen_to_all();

# As it stands there, or only its letters.
sub found_in {
    my ($what, $text) = @_;
    my %found = map { $_ => 1 } $text =~ /(.{0,60}$mark.{0,10})/gi;
    is join("\n", sort keys %found), '', "no secret is in $what";
}

for my $who (sort keys %told) {
    found_in({journal => 'what journald gets', systemd => 'what systemd is told', titles => 'the titles of processes',
        loncctl => 'what loncctl shows', events => 'events', answers => 'what the control socket answers'}->{$who}, $told{$who});
}
for my $process (@{$world->{processes}}) {
    next if $process->{name} =~ /^(?:lond|loncctl)/;
    found_in("what $process->{name} says", $process->log);
}
my (%text, $names);
find({no_chdir => 1, wanted => sub {
    $names .= "$File::Find::name\n";
    return if !-f $_ || m{/sockets/delayed/};
    open my $handle, '<:raw', $_ or die "$_: $!";
    local $/;
    $text{s{^\Q$world->{dir}/}{}r} = <$handle> // '';
}}, $world->{dir});
found_in('the name of a file', $names);
found_in($_, $text{$_}) for sort keys %text;

# Else nothing was looked at.
sub is_there {
    my ($text, $wanted, $what) = @_;
    ok scalar($text =~ $wanted), "($what)";
}
is_there($told{journal} . $world->{keeper}->log . $text{'logs/lonc.log'}, qr/encrypt \(\d+ bytes\) answered/, 'requests leave messages');
is_there($told{journal}, qr/con_lost for encrypt \(\d+ bytes\)/, '... in the journal') if $root;
is_there($text{'logs/lonc.log'}, qr/con_lost for encrypt \(\d+ bytes\)/, '... and in lonc.log');
is_there($events->log, qr/deferred file \S+ was rejected/, 'events come');
is_there($text{'logs/lonnet.perm.log'}, qr/:$_:\w+:(?:sethost:\w+:)?encrypt:\w+ \(\d+ bytes\):/, "there are $_ lines") for qw(D S F);
is_there($told{systemd}, qr/READY=1/, 'systemd is told');
is_there($told{titles}, qr/lonc-keeper/, 'processes have titles');
is_there($text{'html/lon-status/loncstatus.txt'}, qr/LONC status/, 'loncstatus.txt is there');
is_there($text{'pages/lonc.html'}, qr/<html/, 'a page is there');
is_there($told{loncctl}, qr/lonc_/, 'metrics are there');

done_testing;
