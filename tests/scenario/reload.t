#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Reload, by SIGHUP or SIGUSR2: it is all or nothing, and hosts that have not changed do not notice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::UNIX;
use Time::HiRes qw(time);
use Lonc;

# How often the keeper has connected to this lond.
sub connects { return scalar(() = $_[0]->control('attempts') =~ /\d+/g) }

sub busy {
    my ($lond, $count) = @_;
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('busy') == $count }) or die "lond is not busy with $count requests";
}

sub gone { my ($lond) = @_; return Lonc::within($Lonc::PATIENCE, sub { $lond->open_connections == 0 }) }

# Sends the request and returns when lond has it.
sub in_flight {
    my ($world, $lond, $host, $request) = @_;
    my $client = $world->client($host);
    $client->send("$request\n");
    busy($lond, 1);
    return $client;
}

# Tells the keeper to read its files again, and returns when it has.
sub reload {
    my ($world, $signal) = @_;
    $world->{keeper}->signal($signal || 'HUP');
    $world->{keeper}->await(qr/(\d+ hosts? in force|reload failed)[^\n]*/);
}

# What status says about a configuration that is not in force; undef if it is in force.
sub trouble {
    my ($keeper) = @_;
    my ($trouble) = grep { $_->{trouble} eq 'config' } @{$keeper->tells('status')->{troubles}};
    return $trouble && $trouble->{detail};
}

# A world with londs and shims for these hosts, and a keeper with that number of connections to each.
sub world {
    my ($connections, @hosts) = @_;
    my $world = Lonc->new(hosts => [@hosts], settings => {connections_per_host => $connections});
    $world->{londs} = {map { $_ => $world->lond($_) } @hosts};
    $world->keeper;
    $world->activate($_) for @hosts;
    return $world;
}

# --- Hosts that come and go -----------------------------------------------------------------------

for my $signal (qw(HUP USR2)) {
    my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {connections_per_host => 1});
    my %londs = map { $_ => $world->lond($_) } qw(msul1 msul2);
    my $second = delete $world->{address}{msul2};
    $world->write_config;
    my $keeper = $world->keeper;
    $world->activate($_) for qw(msul1 msul2);

    is $world->ask('msul1', 'ping'), 'pong:msul1', "SIG$signal: a host of the first table";
    my $early = $world->client('msul2');
    is $early->ask('ping'), 'con_lost', "SIG$signal: a host that no table has yet";
    my $flying = in_flight($world, $londs{msul1}, 'msul1', 'sleep:2000:flown');
    my $queued = $world->client('msul1');
    $queued->send("echo:queued\n");

    $world->{address}{msul2} = $second;
    $world->write_config;
    reload($world, $signal);
    is $world->ask('msul2', 'ping'), 'pong:msul2', "SIG$signal: a host that was added is served";
    is $early->ask('ping'), 'pong:msul2', "SIG$signal: also to a client that was refused it before";
    is $flying->line($Lonc::PATIENCE), 'flown', "SIG$signal: an unchanged host's request in flight goes on";
    is $queued->line($Lonc::PATIENCE), 'queued', "SIG$signal: and so does its queue";
    is connects($londs{msul1}), 1, "SIG$signal: all on the one connection that it had";

    $flying = in_flight($world, $londs{msul2}, 'msul2', 'sleep:4000:flown');
    $queued = $world->client('msul2');
    $queued->send("echo:queued\n");
    is $world->ask('msul1', 'ping'), 'pong:msul1', "SIG$signal: (which the queued request has had time to reach)";
    delete $world->{address}{msul2};
    $world->write_config;
    my $begun = time;
    reload($world, $signal);
    is $queued->line($Lonc::PATIENCE), 'con_lost', "SIG$signal: a removed host's queued request is answered con_lost";
    is $world->ask('msul2', 'ping'), 'con_lost', "SIG$signal: and so is the next client";
    cmp_ok time - $begun, '<', 3.5, "SIG$signal: both at once";
    is $flying->line($Lonc::PATIENCE), 'flown', "SIG$signal: what a removed host had in flight is finished";
    ok gone($londs{msul2}), "SIG$signal: and then its connection is closed";
    is $flying->ask('ping'), 'con_lost', "SIG$signal: a client that stays gets con_lost";
    like $keeper->log, qr/1 host in force/, "SIG$signal: the log has the number of hosts";

    $world->{address}{msul2} = $second;
    $world->write_config;
    reload($world, $signal);
    is $world->ask('msul2', 'ping'), 'pong:msul2', "SIG$signal: a removed host that is restored is served again";
    is $flying->ask('ping'), 'pong:msul2', "SIG$signal: also to a client that was there all the time";
    is connects($londs{msul1}), 1, "SIG$signal: through all of this the unchanged host kept its connection";
}

# --- Hosts that change ----------------------------------------------------------------------------

{
    my $world = world(2, 'msul1', 'msul2');
    my $old = $world->{londs}{msul1};
    is_deeply [$world->ask_at_once('msul1', 'sleep:100:a', 'sleep:100:b')], ['a', 'b'], 'two connections to a host';
    my $flying = in_flight($world, $old, 'msul1', 'sleep:600:from the old');
    ($world->{address}{msul1} = $world->{address}{msul2}) =~ s/\d+$/'2' . ($& % 10) . '0'/e;
    $world->write_config;
    my $new = $world->lond('msul1', '--control', $world->path('new.sock'));
    $new->{control} = $world->path('new.sock');
    reload($world);
    ok Lonc::within($Lonc::PATIENCE, sub { $old->open_connections == 1 }), "a changed address: the old address's idle connections close at once";
    is $world->ask('msul1', 'echo:from the new'), 'from the new', 'a changed address: new requests are answered';
    is connects($new), 1, 'a changed address: by the new lond';
    is $flying->line($Lonc::PATIENCE), 'from the old', 'a changed address: what the old one had in flight is finished there';
    ok gone($old), 'a changed address: and then that connection closes too';
    is $flying->ask('ping'), 'pong:msul1', 'a changed address: the same client then asks the new lond';
    is connects($old), 2, 'a changed address: the old one hears no more';
}

{
    # A lond for a server with another id: the keys differ, so enciphered requests fail.
    my $world = Lonc->new(hosts => ['msul1']);
    my $lond = $world->lond('msul1', '--peer', 'annarborl2');
    $world->keeper;
    $world->activate('msul1');
    isnt $world->ask('msul1', 'encrypt:echo:secret'), 'secret', 'before lonHostID is right, lond cannot decipher';
    my $before = connects($lond);
    $world->{variables}{lonHostID} = 'annarborl2';
    $world->write_config;
    reload($world);
    is $world->ask('msul1', 'encrypt:echo:secret'), 'secret', 'a changed lonHostID: connections are made anew, with the new key';
    cmp_ok connects($lond), '>', $before, 'a changed lonHostID: the old connection is not used again';
    like $world->{keeper}->log, qr/1 host in force, as annarborl2/, 'a changed lonHostID: the log has the new name';
}

{
    # A host that is dead is tried when its administrator reloads, not when its probe is due.
    my $world = Lonc->new(hosts => ['msul1'], settings => {retry_delay => '50ms', probe_min => '60s'});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'con_lost', 'a host that is down';
    $keeper->await(qr/host is dead/);
    $world->lond('msul1');
    reload($world);
    ok $keeper->await(qr/host is back/, 5), 'a reload probes a dead host now';
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'which is served then';
}

# --- Settings -------------------------------------------------------------------------------------

{
    my $world = Lonc->new(hosts => ['msul1'], settings => {reply_timeout => '30s'});
    my $lond = $world->lond('msul1');
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'sleep:400:patient'), 'patient', 'a reply_timeout of 30 s: a slow reply is awaited';
    $world->{settings}{reply_timeout} = '200ms';
    $world->write_config;
    reload($world);
    is $world->ask('msul1', 'sleep:20000:late'), 'con_lost', 'a reload makes it 200 ms: a slow reply is not awaited';
    $world->{settings}{reply_timeout} = '30s';
    $world->write_config;
    reload($world);
    is $world->ask('msul1', 'sleep:400:patient'), 'patient', 'another makes it 30 s: it is again';

    # The shorter time-out applies to new requests even behind one that began with the longer time-out.
    my $flying = in_flight($world, $lond, 'msul1', 'sleep:20000:slow');
    $world->{settings}{reply_timeout} = '300ms';
    $world->write_config;
    reload($world);
    my $begun = time;
    is $world->ask('msul1', 'sleep:20000:slow'), 'con_lost', 'a shorter reply_timeout: a request behind an older one';
    cmp_ok time - $begun, '<', 15, 'a shorter reply_timeout: it holds from the reload on, not when the older one ends';
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'and the host is served';
}

{
    my $world = world(1, 'msul1');
    is_deeply [$world->ask_at_once('msul1', map {"sleep:30:$_"} 1 .. 4)], [1 .. 4], 'one connection: requests wait for each other';
    is $world->{londs}{msul1}->peak, 1, 'one connection: lond has seen no more';
    $world->{settings}{connections_per_host} = 4;
    $world->write_config;
    reload($world);
    is_deeply [$world->ask_at_once('msul1', map {"sleep:1500:$_"} 1 .. 4)], [1 .. 4], 'a reload allows four';
    is $world->{londs}{msul1}->peak, 4, 'and four there are';
}

# --- Mistakes -------------------------------------------------------------------------------------

{
    my $world = world(1, 'msul1');
    my $keeper = $world->{keeper};
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'before any mistake';
    my $table = $world->read_file('tabs/hosts.tab');
    my $flying = in_flight($world, $world->{londs}{msul1}, 'msul1', 'sleep:1500:flown');

    my %mistakes = (
        'tabs/hosts.tab' => ["${table}bad/id:msu:library:b.example.edu:127.0.0.1\n", qr{tabs/hosts\.tab:2: id: "bad/id": expected }],
        'keeper.conf' => ["loncapa_conf = @{[$world->path('loncapa.conf')]}\n\nqueue_per_host = many\n", qr{keeper\.conf:3: queue_per_host: "many": expected }],
        'loncapa.conf' => ["PerlSetVar lonHostID annarborl1\nPerlSetVar londPort none\n", qr{loncapa\.conf:2: londPort: "none": expected }],
    );
    for my $file (sort keys %mistakes) {
        my ($text, $complaint) = @{$mistakes{$file}};
        my $right = $world->read_file($file);
        $world->write_file($file, $text);
        $keeper->signal('HUP');
        ok $keeper->await($complaint), "a mistake in $file: a reload names file, line, value and expectation";
        ok $keeper->await(qr/reload failed: 1 error; the old configuration stays in force/),
            "a mistake in $file: and says what is in force";
        unlink $world->path($file);
        $keeper->signal('HUP');
        ok $keeper->await(qr/\Q$file\E: cannot be read: No such file.*reload failed/s), "$file is missing: a reload says so";
        ok $keeper->await(qr/config: \S*\Q$file\E: cannot be read: No such file/), '... the trouble is in the log';
        like trouble($keeper) // 'none', qr/^\S*\Q$file\E: cannot be read: No such file/, '... and in status until a reload succeeds';
        $world->write_file($file, $right);
    }
    is $flying->line($Lonc::PATIENCE), 'flown', 'failed reloads: what is in flight does not notice';
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'failed reloads: the old table is in force';
    is connects($world->{londs}{msul1}), 1, 'failed reloads: and its connections are kept';
    reload($world);
    $keeper->await(qr/config: mended after \d+ s/);
    like $keeper->log, qr/.*1 host in force, as annarborl1\n.*config: mended after \d+ s: [^\n]*\n\z/s, 'with the mistakes mended a reload succeeds';
    is trouble($keeper), undef, '... and status has no trouble with the configuration any more';
}

# A keeper that starts with a mistake in its files runs, answers con_lost, and waits for a correction.
sub started_with_mistake {
    my ($name, $file, $text, $complaint, %with) = @_;
    my $world = Lonc->new(hosts => ['msul1']);
    $world->lond('msul1');
    my $right = $world->read_file($file);
    $text = $text->($right) if ref $text;
    defined $text ? $world->write_file($file, $text) : unlink $world->path($file);
    my $control = !$with{passed} ? undef
        : IO::Socket::UNIX->new(Local => $world->path('run/control.sock'), Listen => 9, Type => SOCK_STREAM);
    my $keeper = $world->keeper(no_wait => 1, $with{passed} ? (channel => $world->channel_listener, control => $control) : ());
    ok eval { $keeper->await(qr/is ready/, 10) }, "$name: the keeper starts all the same" or do {
        diag $keeper->log;
        return;
    };
    like $keeper->log, $complaint, "$name: and names the mistake";
    like $keeper->log, qr/config: .*$complaint.*every request is answered con_lost/, "$name: and says what follows from it";
    $world->activate('msul1');
    my $client = $world->client('msul1');
    my $begun = time;
    is $client->ask('ping'), 'con_lost', "$name: a request is answered con_lost";
    cmp_ok time - $begun, '<', 10, "$name: at once";
    if ($file ne 'tabs/hosts.tab') {
        $keeper->signal('USR1');
        ok eval { $keeper->await(qr/cannot write loncstatus\.txt: No such file/) }, "$name: SIGUSR1 has no place to write to, and does no harm";
    }
    $world->write_file($file, $right);
    reload($world);
    is $client->ask('ping'), 'pong:msul1', "$name: a reload mends it, for the client that was there too";
    is $world->ask('msul1', 'ping'), 'pong:msul1', "$name: and for others";
    $keeper->end;
    is $keeper->{status}, 0, "$name: and it leaves as any other";
}

for my $passed (1, 0) {
    my $how = $passed ? 'its sockets from systemd' : 'sockets of its own';
    started_with_mistake("started with a bad table, $how", 'tabs/hosts.tab', "msul1:msu\n",
        qr{tabs/hosts\.tab:1: DNS name: "": expected }, passed => $passed);
    started_with_mistake("started without a table, $how", 'tabs/hosts.tab', undef,
        qr{tabs/hosts\.tab: cannot be read: No such file}, passed => $passed);
    started_with_mistake("started without loncapa.conf, $how", 'loncapa.conf', undef,
        qr{loncapa\.conf: cannot be read: No such file}, passed => $passed);
    started_with_mistake("started with a bad setting, $how", 'keeper.conf', sub {"$_[0]queue_per_host = many\n"},
        qr{keeper\.conf:\d+: queue_per_host: "many": expected }, passed => $passed);
}
# Without it a keeper cannot know where its sockets would be, so only systemd's can serve.
started_with_mistake('started without keeper.conf, its sockets from systemd', 'keeper.conf', undef,
    qr{keeper\.conf: cannot be read: No such file}, passed => 1);

# --- Started too early ----------------------------------------------------------------------------

# Files that a keeper did not find at its start come into force by themselves when they appear.
for my $case (['tabs', 'a table that is mounted late'], ['loncapa.conf', 'a loncapa.conf that is restored late'],
    ['tabs/hosts.tab', 'a table that is away for a moment']) {
    my ($name, $what) = @$case;
    my $world = Lonc->new(hosts => ['msul1'], settings => {log_level => 'info', config_retry_min => '20ms', config_retry_max => '300ms'});
    $world->lond('msul1');
    rename $world->path($name), $world->path('away') or die "rename: $!";
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my $client = $world->client('msul1');
    is $client->ask('ping'), 'con_lost', "$what: a request is answered con_lost";
    like trouble($keeper) // 'none', qr/\Q$name\E\S*: cannot be read: No such file/, '... status says why';
    my ($said, $waits) = ($keeper->log, $keeper->waits);
    my $begun = time;
    select undef, undef, undef, 0.05 until time - $begun > 1.5; # in which five attempts or six fall
    is $keeper->log, $said, '... the log says it once, however often it is tried';
    cmp_ok $keeper->waits - $waits, '<', 100, '... and trying takes no time';
    ok !-e $world->path('run/reloaded'), '... nor is lonc-hosts told of what has failed';
    rename $world->path('away'), $world->path($name) or die "rename: $!";
    ok $keeper->await(qr/1 host in force.*config: mended after \d+ s/s, 5), '... it comes into force by itself';
    is $client->ask('ping'), 'pong:msul1', '... for the client that was there';
    is trouble($keeper), undef, '... status has no trouble any more';
    ok -e $world->path('run/reloaded'), '... and lonc-hosts is told, so that the sockets follow';
    is $keeper->said(qr/config: mended/), 1, '... which the log says once';
}

{
    # The first attempt would come late, but whoever has corrected the files need not wait for it.
    my $world = Lonc->new(hosts => ['msul1'], settings => {config_retry_min => '10min', config_retry_max => '1h'});
    $world->lond('msul1');
    rename $world->path('tabs'), $world->path('away') or die "rename: $!";
    my $keeper = $world->keeper;
    $world->activate('msul1');
    ok !$keeper->tells('reload')->{ok}, 'a reload while the table is away fails';
    rename $world->path('away'), $world->path('tabs') or die "rename: $!";
    ok $keeper->tells('reload')->{ok}, '... and one when it is back succeeds, at once';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the host is served';
}

done_testing;
