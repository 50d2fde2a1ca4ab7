#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Crowds on the keeper's own sockets: clients of any user that follow events, say nothing, send half a line, or take their
# answers slowly or never do not hold up root, a reload or lonnet. A client for whom there is no place is told so at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP;
use List::Util qw(max);
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(time);
use Lonc;

Lonc::need_descriptors(6000);
my $loncctl = Lonc::program('loncctl');
my $NOBODY = 65534;

sub control { my ($world) = @_; return $world->client_at($world->path('run/control.sock')) }

sub asked { my ($world, $line) = @_; my $client = control($world); $client->send("$line\n"); return $client }

# Runs loncctl: what it wrote, its exit code, and the seconds it took.
sub loncctl {
    my ($world, @words) = @_;
    my $start = time;
    my $said = `timeout 60 $loncctl --socket @{[$world->path('run/control.sock')]} @words 2>&1`;
    return ($said, $? >> 8, time - $start);
}

# Root and lonnet notice nothing.
sub all_are_served {
    my ($world, $crowd) = @_;
    my ($said, $code, $took) = loncctl($world, 'status');
    is $code, 0, "$crowd: loncctl status is answered" or diag $said;
    cmp_ok $took, '<', 2, '... at once';
    ($said, $code, $took) = loncctl($world, 'metrics');
    is $code, 0, '... so are the metrics' or diag $said;
    ($said, $code, $took) = loncctl($world, 'reload');
    is_deeply [$said, $code], ['', 0], '... and a reload';
    cmp_ok $took, '<', 2, '... at once';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and lonnet is';
}

sub trouble { my ($world) = @_; return [map { $_->{trouble} } @{$world->{keeper}->tells('status')->{troubles}}] }

# Each of these has been told that there is no place, in the words that name the setting.
sub is_turned_away {
    my ($client, $setting, $what) = @_;
    my $verdict = decode_json($client->line(5) // 'null');
    is_deeply [@$verdict{qw(ok busy)}], [JSON::PP::false, JSON::PP::true], "$what is told so";
    like $verdict->{errors}[0], qr/^no place left on the control socket: .*\b$setting\b/, '... in words, with the setting';
    is $client->line(5), undef, '... and that is all';
}

# Becomes another user for good.
sub become { my ($uid) = @_; $( = $) = "$uid $uid"; $> = $< = $uid; $> == $uid or die "uid: $!" }

# --- Followers ------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info'});
    my $keeper = $world->{keeper};
    my @following = map { asked($world, 'events') } 1 .. 16;
    all_are_served($world, 'sixteen follow the events');
    is_deeply trouble($world), [], '... which is what there is room for: no trouble';
    is_turned_away(asked($world, 'events'), 'control_followers', 'a seventeenth');
    my ($said, $code, $took) = loncctl($world, 'events');
    is $code, 1, 'loncctl events exits with 1 then';
    like $said, qr/^no place left on the control socket: events are followed by as many as control_followers allows/, '... says why';
    cmp_ok $took, '<', 2, '... at once';
    like +(loncctl($world, '--json', 'events'))[0], qr/^\{"ok":false,"busy":true,/, '... as JSON, too';
    is_deeply trouble($world), ['control-limit'], '... the limit is a trouble';
    is $keeper->tells('status')->{control_refused}, 3, '... and they are counted';
    like +(loncctl($world, 'status'))[0], qr/^  control +3 turned away/m, '... which loncctl status shows';
    is $keeper->said(qr/limit reached: followers of events/), 1, '... the log has said it once';
    all_are_served($world, 'more than sixteen follow the events');
    for my $follower (@following) {
        my $line;
        $line = $follower->line while !defined $line || $line !~ /limit-reached/;
        like $line, qr/followers of events/, 'a follower is told of it' if $follower == $following[0];
    }
    $_->close for @following;
    ok Lonc::within($Lonc::PATIENCE, sub { !@{trouble($world)} }), 'they have left: the trouble is over';
    my $next = asked($world, 'events');
    $keeper->signal('USR1');
    $keeper->signal('HUP');
    like $next->line, qr/"event":"loaded"/, '... and there are places again';
}

# One that does not take its events goes, and nobody else: not even when that is news for others.
{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', control_followers => 2, retry_delay => '10ms', probe_min => '1h', probe_max => '1h'});
    my @deaf = map { asked($world, 'events') } 1 .. 2;
    setsockopt $_->{socket}, SOL_SOCKET, SO_RCVBUF, 1 for @deaf;
    is_turned_away(asked($world, 'events'), 'control_followers', 'a third follower');
    ok Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->tells('reload') for 1 .. 50; !@{trouble($world)} }), 'followers that do not read are let go';
    all_are_served($world, 'followers that did not read');
}

# --- Silence, and half a line ---------------------------------------------------------------------

for my $half ('', 'stat') {
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info'});
    my $what = $half eq '' ? 'silent connections' : 'connections with half a line';
    my @silent;
    for (1 .. 100) { push @silent, control($world); $silent[-1]->send($half) }
    all_are_served($world, "a hundred $what");
    is_turned_away($silent[$_], 'control_silent', "number $_ of them, which were more than there are places for,") for 0, 83;
    ok $silent[95]->hears_nothing, '... but not those that came last';
    $silent[99]->send(substr("status\n", length $half));
    like $silent[99]->line(5), qr/^\{"version"/, '... who may still ask';
    is_deeply trouble($world), ['control-limit'], '... a trouble, while they are there';
    # Each who asks meanwhile may be silent for a moment himself, and one more of them be turned away for it.
    my $refused = $world->{keeper}->tells('status')->{control_refused};
    ok $refused >= 84 && $refused < 95, "... and counted ($refused)";
    $_->close for @silent;
    ok Lonc::within($Lonc::PATIENCE, sub { !@{trouble($world)} }), '... until they have left';
}

# --- Answers --------------------------------------------------------------------------------------

# The answer about 3,000 hosts does not fit into a socket: whoever does not read it has its place for ten seconds, and
# whoever reads a byte now and then for longer, but not for ever.
{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', control_answers => 4, control_timeout => '700ms', request_timeout => '3s'});
    my $table = $world->read_file('tabs/hosts.tab');
    $world->write_file('tabs/hosts.tab', $table . join '', map {"many$_:msu:library:many$_.example.edu:192.0.2.1\n"} 1 .. 3000);
    ok $world->{keeper}->tells('reload')->{ok}, '(a large table)';
    my @slow = map { asked($world, 'hosts') } 1 .. 4;
    ok Lonc::within($Lonc::PATIENCE, sub { my $line = asked($world, 'status')->line(5); $line =~ /control_answers/ }), 'four do not read their answers: a fifth is told that there is no place';
    my ($said, $code, $took) = loncctl($world, 'status');
    is $code, 1, '... loncctl status exits with 1';
    like $said, qr/^no place left on the control socket: as many answers are under way/, '... and says why';
    ($said, $code) = loncctl($world, 'metrics');
    is $code, 3, '... loncctl metrics has none to show';
    like $said, qr/no place left on the control socket/, '... and says why';
    is_deeply [loncctl($world, 'page', $world->path('page.html'))]->[1], 0, '... the page is written';
    like $world->read_file('page.html'), qr/no place left on the control socket/, '... and has the reason';
    ($said, $code) = loncctl($world, 'queue');
    is $code, 1, '... loncctl queue exits with 1';
    like $said, qr/^no place left on the control socket/, '... and does not take that for an answer';
    ($said, $code, $took) = loncctl($world, 'reload');
    is_deeply [$said, $code], ['', 0], '... but a reload has a place of its own';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and lonnet is served';
    my $start = time;
    ok Lonc::within(30, sub {
        select undef, undef, undef, 0.1; # slow is what is tested
        $_->{socket}->blocking(0), $_->{socket}->sysread(my $bytes, 6000) for @slow;
        return decode_json(asked($world, 'status')->line(5))->{version};
    }), 'they take a little again and again: that is no way to stay for ever';
    cmp_ok time - $start, '>', 1.5, '(they were not closed for taking nothing)';
    cmp_ok time - $start, '<', 6, '... after the time for a request there is room';
    ok Lonc::within($Lonc::PATIENCE, sub { !@{trouble($world)} }), '... and the trouble is over';
}

# A reload that waits, for whom nobody reads: it is there while it lasts, and then gone.
{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', control_answers => 2});
    my @waiting = map { asked($world, 'reload') } 1 .. 40;
    all_are_served($world, 'forty reloads whose askers do not read');
    my %said;
    $said{$_->line(5)}++ for @waiting;
    is scalar(grep { !/^\{"ok":(?:true|false),/ } keys %said), 0, '... each has its answer all the same';
}

# --- Whose places ---------------------------------------------------------------------------------

# The keeper runs as an ordinary user, and a third one may look.
SKIP: {
    skip 'only root can be several users', 14 if $> != 0;
    my $world = Lonc->new(settings => {log_level => 'info'});
    my $lond = $world->lond('msul1');
    my $www = 4711;
    my $listener = IO::Socket::UNIX->new(Local => $world->path('run/control.sock'), Listen => 4096) or die "listen: $!";
    chmod 0666, $world->path('run/control.sock');
    chmod 0755, $world->{dir}, $world->path('run');
    system 'chown', '-R', $www, $world->{dir} and die 'chown';
    chmod 0755, $world->{dir};
    $world->keeper(control => $listener, wrapper => ['setpriv', "--reuid=$www", "--regid=$www", '--clear-groups']);
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', '(a keeper of an ordinary user)';

    # A process of that user that does what it is told and stays until its input ends.
    my $crowd = sub {
        my ($uid, @lines) = @_;
        pipe(my $wait, my $go) or die "pipe: $!";
        pipe(my $ready, my $tell) or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            close $_ for $go, $ready;
            become($uid);
            my @clients = map { $_ eq '' ? control($world) : asked($world, $_) } @lines;
            syswrite $tell, 'x';
            sysread $wait, my $byte, 1;
            POSIX::_exit(0);
        }
        close $_ for $wait, $tell;
        sysread $ready, my $byte, 1;
        return sub { close $go; waitpid $pid, 0 };
    };
    my $as = sub {
        my ($uid, @words) = @_;
        my $start = time;
        my $said = `setpriv --reuid=$uid --regid=$uid --clear-groups timeout 60 $loncctl --socket @{[$world->path('run/control.sock')]} @words 2>&1`;
        return ($said, $? >> 8, time - $start);
    };
    SKIP: {
        my ($said, $code) = $as->($www, 'status');
        skip "another user cannot run $loncctl", 13 if $code != 0;
        for my $uid ($NOBODY, $www) {
            my $name = $uid == $www ? "the keeper's own user" : 'another user';
            my $end = $crowd->($uid, ('events') x 40, ('') x 40, ('hosts') x 40);
            all_are_served($world, "$name follows, is silent and asks, forty times each"); # as root
            my ($said, $code, $took) = $as->($www, 'reload');
            is_deeply [$said, $code], ['', 0], "... a reload as the keeper's own user, as systemd asks for it, is done";
            ($said, $code) = $as->($www, 'status');
            is $code, 0, '... as is its status' if $uid == $NOBODY;
            ok asked($world, 'events')->hears_nothing, '... and root can follow';
            $end->();
        }
    }
}

# --- The private channel --------------------------------------------------------------------------

# Connections that bring nobody: of processes of the keeper's own user, or of shims that hang.
{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', channel_connections => 20}, mode => 'accept');
    my $kept = $world->client('msul1');
    is $kept->ask('ping'), 'pong:msul1', '(a client of before)';
    my @idle = map { $world->channel_connection } 1 .. 60;
    my ($start, $longest) = (time, 0);
    for my $round (1 .. 3) {
        my $began = time;
        is $world->ask('msul1', "echo:$round"), $round, "the channel is full of those who bring nobody: request $round is answered";
        $longest = max($longest, time - $began);
    }
    cmp_ok $longest, '<', 5, '... before the shim would have given up';
    is $kept->ask('ping'), 'pong:msul1', '... as is a client of before';
    is_deeply trouble($world), ['channel-limit'], '... it is a trouble';
    is $world->{keeper}->said(qr/limit reached: connections of shims/), 1, '... which the log has said once';
    close $_ for @idle;
    ok Lonc::within($Lonc::PATIENCE, sub { !@{trouble($world)} }), '... until they have left';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and it goes on';
}

# --- Few descriptors ------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', control_silent => 1000, control_followers => 1000}, keeper => {descriptors => 64});
    my @crowd = ((map { asked($world, 'events') } 1 .. 60), map { control($world) } 1 .. 60);
    all_are_served($world, '64 descriptors, and a hundred and twenty on the control socket');
    cmp_ok $world->{keeper}->tells('status')->{descriptors}, '<', 48, '... who get their share and no more';
}

# --- Clients who ask nothing ----------------------------------------------------------------------

# More than there are descriptors for: those who find no room wait with their shims, and hear nothing before they ask.
for my $mode ('shared', 'accept') {
    my $world = Lonc->new(settings => {log_level => 'info', client_idle_scarce => '1h'});
    my $lond = $world->lond('msul1');
    my $keeper = $world->keeper(descriptors => 96);
    $world->activate('msul1', mode => $mode, options => ['--ack-timeout', 1]);
    my $start = time;
    my @idle = map { $world->client('msul1') } 1 .. 300;
    Lonc::within($Lonc::PATIENCE, sub { $keeper->said(qr/limit reached: open descriptors/) }) or die 'descriptors are not short';
    my ($first) = $world->asking('msul1', 'echo:no room');
    is $first->line(10), 'con_lost', "$mode, 300 clients who ask nothing, 96 descriptors: one who asks and finds no room is told so";
    my $heard = 0;
    Lonc::within(3, sub { $heard = grep { !$_->hears_nothing } @idle }); # three times as long as a shim waits for an answer
    is $heard, 0, '... but none of those who have asked nothing is told anything, or closed';
    my @answers = map { $_->ask('echo:now') } @idle[0, 299];
    is_deeply \@answers, ['now', 'con_lost'], '... who is taken is answered when he asks, who waits is told that there is no room';
    my $taken = $keeper->tells('status')->{clients};
    cmp_ok $taken, '>=', 10, "... of whom $taken are taken";
    $_->close for @idle[0 .. $taken - 1];
    is $idle[150]->ask('echo:then'), 'then', '... they have left: one who has waited is answered when he asks';
    is $world->ask('msul1', 'echo:new'), 'new', '... and so is somebody new';
    $_->close for @idle;
}

# Told to leave, a shim does not forget those who wait with it.
{
    my $world = Lonc->new(settings => {log_level => 'info'});
    my $lond = $world->lond('msul1');
    my $channel = $world->channel_listener; # where nobody is yet
    my $listener = $world->host_listener('msul1');
    my $shim = $world->shim(socket => $listener, options => ['--ack-timeout', 0.3, '--linger', 0.5]);
    my @idle = map { $world->client('msul1') } 1 .. 40;
    select undef, undef, undef, 1; # longer than it waits for an answer, and for a client
    is scalar(grep { !$_->hears_nothing } @idle), 0, 'a keeper that takes nobody: those who ask nothing are kept';
    $idle[7]->close;
    $idle[8]->send("echo:half");
    my ($got, $rest) = ($idle[9]->ask('echo:whole'), undef);
    is $got, 'con_lost', '... who asks gets con_lost';
    my $keeper = $world->keeper(channel => $channel);
    is $idle[10]->ask('echo:taken'), 'taken', '... or the reply, once there is a keeper';
    $idle[11]->close;
    $shim->signal('TERM');
    is $shim->wait_exit, 0, '... and a shim that is told to leave leaves';
    is_deeply [map { $_->ask('echo:left') } @idle[12 .. 39]], [('left') x 28], '... when it has handed them over';
}

# Who has been silent the longest makes room, and nobody who has only paused.
{
    my ($world, $lond) = Lonc->up(settings => {log_level => 'info', client_idle_scarce => '3s', connections_per_host => 1}, keeper => {descriptors => 96});
    my $keeper = $world->{keeper};
    is $world->ask('msul1', 'ping'), 'pong:msul1', '(its shim and its lond are connected)';
    my $free = 96 - 24 - ($keeper->settled_descriptors); # beside the reserve; a message needs 16 of them, a new shim 20
    my @old = map { $world->client('msul1') } 1 .. $free - 23;
    cmp_ok scalar @old, '>=', 14, '(there is room for ' . @old . ' clients, and some)';
    $old[$_]->ask('ping') for 7 .. $#old; # between requests, or before the first: it is the time that counts
    my $began = time;
    Lonc::within(2.5, sub { 0 });
    my @young = map { $world->client('msul1') } 1 .. 2;
    is $_->ask('echo:young'), 'young', '(a young one)' for $young[0];
    Lonc::within(1, sub { time - $began > 3.1 });
    is scalar(grep { !$_->hears_nothing } @old), 0, 'while there are descriptors, a client may be silent';
    my @late;
    for my $wave (1, 2) { # the first leaves no room for a message
        my @asking = $world->asking('msul1', map {"echo:late $_"} 1 .. 10);
        is_deeply [map { $_->line(20) } @asking], [map {"late $_"} 1 .. 10], "they become short: those who ask are answered, wave $wave";
        push @late, @asking;
    }
    my @closed = grep { !$old[$_]->hears_nothing } 0 .. $#old;
    cmp_ok scalar @closed, '>=', 1, '... for those who have been silent the longest have made room: ' . @closed . ' of ' . @old;
    is_deeply \@closed, [0 .. $#closed], '... in that order';
    is scalar(grep { !$_->hears_nothing } @young), 0, '... but nobody who has only paused';
    is $old[$_]->line, undef, '... their streams have ended, without a word' for @closed ? $closed[0] : ();
    $_->close for @late, @young;
    ok Lonc::within($Lonc::PATIENCE, sub { !@{trouble($world)} }), '... and then it is over';
}

done_testing;
