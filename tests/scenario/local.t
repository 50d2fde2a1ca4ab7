#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# local: the lond of this very host gets the key in a file that nobody else can read. However the handshake ends, no such
# file is left behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Certificates;
use Lonc;

my %once = (failures_until_dead => 1, handshake_timeout => '1s', retry_delay => '20ms', probe_min => '1h', probe_max => '1h');

# A world with this very host, annarborl1, in its table, and a lond that listens only at 127.0.0.1, not at the address in
# the table.
sub world {
    my (%with) = @_;
    my $world = Lonc->new(hosts => ['annarborl1'], settings => {%once, %{$with{settings} || {}}});
    mkdir $world->path('certs') or die "mkdir: $!";
    my $lond = $world->lond('annarborl1', '--listen', '127.0.0.1:0', '--auth', 'local,insecure', '--verbose', @{$with{lond} || []});
    my ($port) = $lond->control('addresses') =~ /127\.0\.0\.1:(\d+)/;
    $world->{variables} = {londPort => $port, lonCertificateDirectory => $world->path('certs'), %{$with{variables} || {}}};
    $world->write_config;
    return ($world, $lond);
}

# ... at work.
sub up {
    my ($world, $lond) = world(@_);
    $world->keeper;
    $world->activate('annarborl1');
    return ($world, $lond);
}

sub enciphered { my ($world) = @_; return $world->ask('annarborl1', 'encrypt:echo:the quick brown fox') }

sub key_files {
    my ($world) = @_;
    my @files = map {s{.*/}{}r} glob $world->path('certs/lonc-key-*');
    return @files;
}

# A client may get its answer a moment before the file is removed.
sub none_left { my ($world) = @_; return Lonc::within($Lonc::PATIENCE, sub { !key_files($world) }) }

# Waits until lond has been told of a key file, and returns its path.
sub told {
    my ($lond) = @_;
    $lond->await(qr/ -> init:local:\S+\n/);
    return ($lond->log =~ / -> init:local:(\S+)$/mg)[-1];
}

# --- How it should be -----------------------------------------------------------------------------

{
    my ($world, $lond) = up(variables => {lonVersion => '2.11.4'});
    is $world->ask('annarborl1', 'ping'), 'pong:annarborl1', "this very host's lond answers, at 127.0.0.1";
    is enciphered($world), 'the quick brown fox', '... and both have the key of the file';
    is_deeply [$world->ask_at_once('annarborl1', map {"sleep:100:$_"} 1 .. 10)], [1 .. 10], '... on ten connections as well';
    my $counts;
    Lonc::within($Lonc::PATIENCE, sub { $counts = $lond->counts; $counts->{open} == $counts->{connections} }); # the last may be on their way
    is $counts->{local}, $counts->{accepted}, 'all of them are local';
    is $counts->{wrong_lines}, 0, '... and each file was as it must be, mode and content';
    is $counts->{malformed}, 0, '... and each key';
    my @told = $lond->log =~ / -> init:local:(\S+)$/mg;
    is scalar @told, $counts->{accepted}, '(lond tells of each)';
    is scalar(grep { !m{^\Q@{[$world->path('certs')]}\E/lonc-key-[^/:]+$} } @told), 0, 'each file was in lonCertificateDirectory';
    my %names = map { $_ => 1 } @told;
    is scalar keys %names, scalar @told, '... with a name of its own';
    ok none_left($world), '... and none is left';
    ok $world->{keeper}->said(qr/annarborl1: connected to lond \S.*, local/), 'the log says how they are connected';
    is $world->{keeper}->tells('connections annarborl1')->{connections}[0]{mode}, 'local', '... and so does the control socket';
}

{
    # lond has not removed the file, so its content can be compared with the log.
    my ($world, $lond) = up(lond => ['--fault', 'keep-key-file,silent@Initialized']);
    my ($client) = $world->asking('annarborl1', 'echo:through');
    my $path = told($lond);
    my $line = $world->read_file('certs/' . $path =~ s{.*/}{}r);
    like $line, qr/^[0-9a-fA-F]{32}\n$/, 'the file is one line of 32 hex digits';
    my @stat = stat $path;
    is sprintf('%o', $stat[2] & 07777), '600', '... that nobody else can read';
    is $client->line, 'con_lost', '(lond does not answer)';
    ok none_left($world), 'lond takes the file, but leaves it: the keeper removes it';
    chomp $line;
    is scalar(() = $world->{keeper}->log =~ /$line/gi), 0, '... and its content is not in the log, even at level debug';
    $world->ask('annarborl1', 'reset_retries');
    ($client) = $world->asking('annarborl1', 'echo:through');
    my $second = told($lond);
    isnt $second, $path, 'the next handshake has a file of another name';
    my $other = $world->read_file('certs/' . $second =~ s{.*/}{}r);
    like $other, qr/^[0-9a-fA-F]{32}\n$/, '... with a key as well';
    isnt $other, "$line\n", '... that is another';
    $lond->control('fault none');
    $lond->control('close-all');
    is $client->line, 'con_lost', '(lond gives up)';
    $world->ask('annarborl1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', '... and then answers';
}

{
    my ($world, $lond) = up(lond => ['--fault', 'keep-key-file']);
    is enciphered($world), 'the quick brown fox', 'a lond that says ok:local but does not remove the file';
    ok none_left($world), '... has it removed by the keeper';
}

# --- Every fault ----------------------------------------------------------------------------------

my $handshake = qr/the handshake failed/;
my $refused = qr/authentication failed: lond does not accept this server/;
my @faults = (
    ['close@accept', 'handshake|refused', qr/$handshake|connection refused/, 'lond closes unheard'],
    ['silent@accept', 'timed-out', qr/timed out/, 'lond does not listen'],
    ['refuse@Initialized', 'authentication', $refused, 'lond refuses'],
    ['silent@Initialized', 'timed-out', qr/timed out/, 'lond does not answer'],
    ['close@Initialized', 'handshake', $handshake, 'lond closes'],
    ['reset@Initialized', 'handshake', $handshake, 'lond resets'],
    ['garbage@Initialized', 'handshake', $handshake, 'lond answers garbage'],
    ['noline@Initialized', 'handshake', $handshake, 'lond answers without end'],
    ['half@Initialized', 'handshake', $handshake, 'lond closes in the middle of ok:local'],
    ['stall@Initialized', 'timed-out', qr/timed out/, 'lond falls silent in the middle of ok:local'],
    ['two@Initialized', 'handshake', $handshake, 'lond answers twice'],
    ['short@Initialized', 'handshake', $handshake, 'lond answers ok:loca'],
    ['last@Initialized', 'handshake', $handshake, 'lond closes behind ok:local'],
    ['silent@ReadingVersionString', 'timed-out', qr/timed out/, 'lond does not tell its version'],
    ['refuse@HostSet', 'authentication', $refused, 'lond does not know the host'],
    ['close@HostSet', 'handshake', $handshake, 'lond closes before it is ready'],
);

{
    my ($world, $lond) = up();
    enciphered($world);
    my $descriptors = $world->{keeper}->settled_descriptors;
    for my $kept ('', 'keep-key-file,') {
        for my $fault (@faults) {
            my ($name, $reason, $why, $what) = @$fault;
            next if $kept && $name =~ /accept/; # lond has not read it, so it is the same
            $what .= ', and leaves the file' if $kept;
            $lond->control('close-all');
            $lond->control("fault $kept$name");
            my $seen = length $world->{keeper}->log;
            my $start = time;
            my $answer = $world->ask('annarborl1', 'echo:through');
            my $took = time - $start;
            my @left = none_left($world) ? () : key_files($world);
            my $said = substr $world->{keeper}->log, $seen;
            my ($text, $word) = $said =~ /annarborl1: host is dead: (.*); \d+ queued.*reason=(\S+)\n/ ? ($1, $2) : ('', 'none');
            ok(($answer eq 'con_lost' && $word =~ /^(?:$reason)$/ && $text =~ /^$why$/ && $took < 15 && !@left),
                "$what: con_lost, since $reason, and the file is gone")
                || diag "answer $answer, reason $word: $text, took $took s, left: @left";
            $lond->control('fault none');
            $world->ask('annarborl1', 'reset_retries');
            my $next = enciphered($world);
            my $now = -1;
            my $same = $lond->has(1, 'connections') && Lonc::within($Lonc::PATIENCE, sub { ($now = $world->{keeper}->descriptors) <= $descriptors });
            ok(($next eq 'the quick brown fox' && $same), "$what: mended, it works, and nothing is left over")
                || diag "answer $next, $now descriptors instead of $descriptors";
        }
    }
    is $lond->counts->{insecure}, 0, 'nothing of all this was ever less than local';

    $lond->control('close-all');
    $lond->control('stop-listening');
    my $seen = length $world->{keeper}->log;
    is $world->ask('annarborl1', 'echo:through'), 'con_lost', 'lond is down: con_lost';
    like substr($world->{keeper}->log, $seen), qr/host is dead: connection refused;/, '... for that reason';
    ok none_left($world), '... and the file that it was to get is gone';
}

# --- Falling back ---------------------------------------------------------------------------------

{
    my ($world, $lond) = up(lond => ['--auth', 'insecure']);
    is enciphered($world), 'the quick brown fox', 'a lond that speaks insecure only is spoken to so, where loncAllowInsecure is 1';
    is $lond->counts->{insecure}, 1, '... in insecure mode';
    ok none_left($world), '... and the file is gone, though lond never read it';
}

{
    my ($world, $lond) = up(lond => ['--auth', 'insecure'], variables => {loncAllowInsecure => 0});
    is $world->ask('annarborl1', 'ping'), 'con_lost', 'a lond that speaks insecure only, where loncAllowInsecure is 0: con_lost';
    ok $world->{keeper}->said(qr/host is dead: authentication failed: lond speaks insecure only, and loncAllowInsecure is 0;/),
        '... and the log says why';
    is $lond->counts->{wrong_lines}, 0, '... and it is sent nothing after its challenge';
    ok none_left($world), '... and the file is gone';
}

# --- For whom, and where --------------------------------------------------------------------------

{
    my ($world, $lond) = world(lond => ['--id', 'msul1']);
    $world->{address}{msul1} = '127.0.0.1';
    $world->write_config;
    $world->keeper;
    $world->activate($_) for qw(annarborl1 msul1);
    is $world->ask('msul1', 'ping'), 'pong:msul1', "another host, though at the same address,";
    is $lond->counts->{insecure}, 1, '... is none that files are left for';
    is $world->ask('annarborl1', 'ping'), 'pong:annarborl1', '... while this very host';
    is $lond->counts->{local}, 1, '... is';
}

{
    my ($world, $lond) = world();
    $world->{variables}{lonCertificateDirectory} = $world->path('nowhere');
    $world->{variables}{londPort} = 5663;
    $world->write_config;
    $world->keeper;
    $world->activate('annarborl1');
    is enciphered($world), 'the quick brown fox', "without lonCertificateDirectory this host's lond is one like any other";
    is $lond->counts->{insecure}, 1, '... at its address of the table, in insecure mode';
}

{
    my $ca = Certificates->new;
    my $mine = $ca->issue('annarborl1');
    my ($world, $lond) = world(variables => {$ca->variables($mine)}, lond => [$ca->lond($mine), '--auth', 'local,ssl,insecure']);
    $world->keeper;
    $world->activate('annarborl1');
    is enciphered($world), 'the quick brown fox', 'with certificates, too,';
    is $lond->counts->{local}, 1, '... this host is served in local mode';
}

{
    my ($world, $lond) = up();
    is enciphered($world), 'the quick brown fox', '(local mode works)';
    rename $world->path('certs'), $world->path('moved') or die "rename: $!";
    $lond->control('close-all');
    is $world->ask('annarborl1', 'ping'), 'con_lost', 'lonCertificateDirectory vanishes: con_lost';
    ok $world->{keeper}->said(qr/annarborl1: cannot write a key file in \S+certs: No such file or directory/), '... and the log says why';
    ok $world->{keeper}->said(qr/host is dead: authentication failed: no key file can be written in lonCertificateDirectory;/),
        '... and what it means';
    rename $world->path('moved'), $world->path('certs') or die "rename: $!";
    $world->ask('annarborl1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', '... until it is there again';
}

# --- The keeper's end -----------------------------------------------------------------------------

# A keeper that waits for lond's answer while its key file exists.
sub waiting {
    my ($world, $lond) = up(settings => {handshake_timeout => '1min', drain_timeout => '1s'}, lond => ['--fault', 'keep-key-file,silent@Initialized']);
    my ($client) = $world->asking('annarborl1', 'echo:through');
    my $path = told($lond);
    return ($world, $lond, $client, $path);
}

for my $signal (qw(TERM QUIT)) {
    my ($world, $lond, $client, $path) = waiting();
    ok -e $path, "(the file is there when SIG$signal comes)";
    $world->{keeper}->signal($signal);
    is $world->{keeper}->wait_exit, 0, "SIG$signal in the middle of a handshake";
    ok none_left($world), '... leaves no file';
}

{
    my ($world, $lond, $client, $path) = waiting();
    $world->{keeper}->kill_hard;
    ok -e $path, 'a keeper that is killed leaves its file';
    $world->write_file('certs/lonc-key', 'not one of them');
    $world->write_file('certs/lonhostcert.pem', 'nor this');
    $lond->control('fault none');
    $world->keeper;
    ok none_left($world), '... and the next removes it at its start';
    ok -e $world->path('certs/lonc-key') && -e $world->path('certs/lonhostcert.pem'), '... and nothing else';
    is enciphered($world), 'the quick brown fox', '... and goes on';
}

{
    my ($world, $lond, $client, $path) = waiting();
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/hosts? in force/);
    ok -e $path, 'a reload leaves the file of a handshake under way where it is';
    $lond->control('close-all');
    is $client->line, 'con_lost', '(until that ends)';
    ok none_left($world), '... and then it goes';
}

done_testing;
