#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# ssl: both sides show certificates, lond gives the key through TLS, and all else is in clear text. What
# does not go as it must ends in con_lost, for a reason that the log tells, and never in less security
# than was asked for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::More;
use Time::HiRes qw(time);
use Certificates;
use Lonc;

my $ca = Certificates->new;
my $mine = $ca->issue('annarborl1');
my $londs = $ca->issue('msul1.example.edu');

# One failed attempt tells enough, and nothing is tried again unasked.
my %once = (failures_until_dead => 1, handshake_timeout => '2s', retry_delay => '20ms', probe_min => '1h', probe_max => '1h');

# A world whose lond offers ssl and insecure. `ca`, `mine` and `londs` are this CA's and its certificates,
# `variables` and `settings` are added to the usual ones, `lond` to its options.
sub world {
    my (%with) = @_;
    my $authority = $with{ca} || $ca;
    return Lonc->up(
        settings => {%once, %{$with{settings} || {}}},
        variables => {$authority->variables($with{mine} || $mine), %{$with{variables} || {}}},
        lond => [$ca->lond($with{londs} || $londs), '--verbose', @{$with{lond} || []}]);
}

# Both sides have the same key, or else this is not what comes back.
sub enciphered { my ($world) = @_; return $world->ask('msul1', 'encrypt:echo:the quick brown fox') }

# Whether one request fails in time, for this reason and no other, and is answered in no other mode.
sub fails {
    my ($world, $lond, $reason, $why, $what) = @_;
    my $seen = length $world->{keeper}->log;
    my $insecure = $lond->counts->{insecure};
    my $start = time;
    my $answer = $world->ask('msul1', 'echo:through');
    my $took = time - $start;
    my $said = substr $world->{keeper}->log, $seen;
    my ($text, $word) = $said =~ /msul1: host is dead: (.*); \d+ queued.*reason=(\S+)\n/ ? ($1, $2) : ('', 'none');
    my $more = $lond->counts->{insecure} - $insecure;
    return ok(($answer eq 'con_lost' && $word eq $reason && $text =~ /^$why$/ && $took < 15 && !$more),
        "$what: con_lost, since $reason" . ($text =~ /: (.+)/ ? ", $1" : ''))
        || diag "answer $answer, reason $word: $text, took $took s, $more insecure handshakes; lond: "
        . $lond->control('tls-failure');
}

# Whether it works again, with nothing left over of what went wrong.
sub recovers {
    my ($world, $lond, $descriptors, $what) = @_;
    $world->ask('msul1', 'reset_retries');
    my $answer = enciphered($world);
    my $alone = $lond->has(1, 'connections');
    my $now = 'unknown';
    my $same = Lonc::within($Lonc::PATIENCE, sub { ($now = $world->{keeper}->descriptors) <= $descriptors });
    return ok(($answer eq 'the quick brown fox' && $alone && $same), "$what: mended, it works, and nothing is left over")
        || diag "answer $answer, $now descriptors instead of $descriptors, " . $lond->connections . ' connections';
}

sub reload {
    my ($world) = @_;
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/(\d+ hosts? in force|reload failed)[^\n]*/);
    return $world->{keeper}{log} =~ /.*(?:(host)s?( in force)|(reload failed))/s ? $3 // "$1$2" : 'nothing';
}

# --- How it should be -----------------------------------------------------------------------------

for my $version ('1.2', '1.3') {
    my ($world, $lond) = world(lond => ['--tls', $version]);
    is $world->ask('msul1', 'ping'), 'pong:msul1', "TLS $version: a request is answered";
    my $long = join '', map { sprintf '%07x ', $_ } 1 .. 100_000;
    ok $world->ask('msul1', "encrypt:echo:$long") eq $long, "TLS $version: lond's key is the keeper's";
    is_deeply [$world->ask_at_once('msul1', map {"sleep:100:$_"} 1 .. 10)], [1 .. 10],
        "TLS $version: ten clients at once are answered";
    my (@open, $counts);
    Lonc::within($Lonc::PATIENCE, sub { # the last may still be on their way
        @open = grep { ($_->{mode} // '') eq 'ssl' && $_->{tls} eq "TLSv$version" } @{$world->{keeper}->tells('connections msul1')->{connections}};
        $counts = $lond->counts;
        @open == $counts->{connections} && $counts->{open} == $counts->{connections};
    });
    is scalar @open, $counts->{connections}, "TLS $version: the control socket tells of each that it is by ssl";
    is $counts->{ssl}, $counts->{accepted}, "TLS $version: all of them by ssl";
    is $counts->{'tls_' . ($version =~ s/\./_/r)}, $counts->{ssl}, "TLS $version: all by that version";
    is $counts->{clients_verified}, $counts->{ssl}, "TLS $version: each with the keeper's certificate";
    is $lond->control('tls-client'), 'annarborl1', '... which is the one configured';
    is $counts->{$_}, 0, "TLS $version: $_" for qw(wrong_lines malformed overlapping tls_failed);
    ok $world->{keeper}->said(qr/msul1: connected to lond \S.*, ssl by TLSv\Q$version\E/), 'the log says how they are connected';

    my @keys = $lond->log =~ / <- ([0-9a-f]{32})$/mg;
    is scalar @keys, $counts->{ssl}, '(lond has told its keys)';
    is scalar(grep { $world->{keeper}->log =~ /$_/i } @keys), 0, "TLS $version: no key is in the keeper's log, even at level debug";
}

{
    my $rsa = Certificates->new;
    my ($shown, $peer) = map { $rsa->issue($_, key => 'rsa') } 'annarborl1', 'msul1.example.edu';
    my $world = Lonc->new(settings => {%once}, variables => {lonVersion => '2.11.4'});
    mkdir $world->path('certs') or die "mkdir: $!";
    copy($rsa->file, $world->path('certs/loncapaCA.pem')) or die "copy: $!";
    copy($shown->{certificate}, $world->path('certs/lonhostcert.pem')) or die "copy: $!";
    $world->{variables} = {lonVersion => '2.11.4', lonCertificateDirectory => $world->path('certs'),
        lonnetCertificateAuthority => 'loncapaCA.pem', lonnetCertificate => 'lonhostcert.pem', lonnetPrivateKey => $shown->{key}};
    $world->write_config;
    my $lond = $world->lond('msul1', $rsa->lond($peer), '--verbose', '--auth', 'ssl');
    $world->keeper;
    $world->activate('msul1');
    is enciphered($world), 'the quick brown fox', 'files named relatively lie in lonCertificateDirectory; keys may be RSA';
    $lond->await(qr/ -> (init\S*)/);
    ok $lond->log =~ / -> init:ssl:2\.11\.4$/m, '... and lond is told lonVersion';
}

# --- Every fault ----------------------------------------------------------------------------------

my $closed = qr/TLS failed: unexpected eof while reading/;
my $reset = qr/TLS failed: Connection reset by peer/;
# By 1.3 lond looks at the keeper's certificate when the keeper has finished, and this is all that tells of it.
my $rejected = qr/TLS failed: lond does not accept our certificate \((?:unexpected eof while reading|Connection reset by peer|close_notify instead of a key)\)/;
my $no_tls = qr/TLS failed: wrong version number/;
my $too_long = qr/TLS failed: the key's line is too long/;
my $too_short = qr/TLS failed: the key's line is too short/;
my $handshake = qr/the handshake failed/;
my @faults = (
    ['close@TLS', 'tls', qr/$closed|$reset/, 'lond closes instead of TLS'],
    ['reset@TLS', 'tls', $reset, 'lond resets instead of TLS'],
    ['garbage@TLS', 'tls', $no_tls, 'lond sends garbage instead of TLS'],
    ['noline@TLS', 'tls', $no_tls, 'lond sends bytes without end instead of TLS'],
    ['refuse@TLS', 'tls', qr/$no_tls|TLS failed: packet length too long/, 'lond refuses in clear text instead of TLS'],
    ['half@TLS', 'tls', $closed, 'lond closes in the middle of its first flight'],
    ['alert@TLS', 'tls', qr/TLS failed: tlsv1 alert internal error/, 'lond sends an alert'],
    ['close@TLSKey', 'tls', $closed, 'lond closes instead of the key', $rejected],
    ['reset@TLSKey', 'tls', $reset, 'lond resets instead of the key', $rejected],
    ['farewell@TLSKey', 'tls', qr/TLS failed: close_notify instead of a key/, 'lond takes leave instead of the key', $rejected],
    ['half@TLSKey', 'tls', $closed, 'lond closes in the middle of the key'],
    ['short@TLSKey', 'tls', $too_short, 'the key lacks a digit'],
    ['long@TLSKey', 'tls', $too_long, 'the key has a digit too many'],
    ['refuse@TLSKey', 'tls', $too_short, 'the line is no key'],
    ['garbage@TLSKey', 'tls', $too_long, 'the line is 64 bytes of anything'],
    ['noline@TLSKey', 'tls', $too_long, 'the line does not end'],
    ['two@TLSKey', 'tls', qr/TLS failed: something follows the key's line/, 'more bytes are behind the key in its record'],
    ['notify@TLSKey', 'handshake', $handshake, 'close_notify is behind the key'],
    ['ticket@TLSKey', 'handshake', $handshake, 'a session ticket is behind the key'],
    ['last@TLSKey', 'handshake', $handshake, 'lond closes behind the key'],
    ['garbage@Initialized', 'handshake', $handshake, 'lond answers init:ssl with garbage'],
    ['two@Initialized', 'handshake', $handshake, 'lond answers init:ssl twice'],
    ['short@Initialized', 'handshake', $handshake, 'lond answers ok:ss'],
    ['refuse@Initialized', 'authentication', qr/authentication failed: lond does not accept this server/, 'lond refuses'],
    ['refuse@HostSet', 'authentication', qr/authentication failed: lond does not accept this server/, 'lond refuses after TLS'],
);

# What nothing answers takes its time, so only one version sees it.
my @silences = (
    ['silent@TLS', 'lond is silent instead of TLS'],
    ['stall@TLS', 'lond falls silent in the middle of its first flight'],
    ['silent@TLSKey', 'lond is silent instead of the key'],
    ['stall@TLSKey', 'lond falls silent in the middle of the key'],
    ['bare@TLSKey', 'the key has no end of line'],
);

for my $version ('1.2', '1.3') {
    my ($world, $lond) = world(lond => ['--tls', $version, '--drip', 1]);
    enciphered($world);
    my $descriptors = $world->{keeper}->settled_descriptors;
    # fails() looks at each of them: nothing here is ever less than ssl.
    for my $fault (@faults, $version eq '1.3' ? map { [$_->[0], 'timed-out', qr/timed out/, $_->[1]] } @silences : ()) {
        my ($name, $reason, $why, $what, $by_1_3) = @$fault;
        $why = $by_1_3 if $by_1_3 && $version eq '1.3';
        next if $name eq 'ticket@TLSKey' && $version eq '1.2';
        $lond->control('close-all');
        $lond->control("fault $name");
        fails($world, $lond, $reason, $why, "TLS $version, $what");
        $lond->control('fault none');
        recovers($world, $lond, $descriptors, "TLS $version, $what");
    }
    $lond->control('close-all');
    $lond->control('fault drip@TLSKey');
    is enciphered($world), 'the quick brown fox', "TLS $version: a key that comes byte by byte is a key";
    next if $version eq '1.2';
    $lond->control('close-all');
    $lond->control('set drip 500'); # 16 s for the key, where two are allowed
    fails($world, $lond, 'timed-out', qr/timed out/, 'a key that comes byte by byte, but too slowly');
    $lond->control('fault none');
    recovers($world, $lond, $descriptors, 'a key that comes byte by byte, but too slowly');
}

# --- Whom to believe ------------------------------------------------------------------------------

my $other = Certificates->new;
my $failed = qr/TLS failed: certificate verify failed/;

for my $version ('1.2', '1.3') {
    my ($world, $lond) = world(lond => ['--tls', $version]);
    enciphered($world);
    my $descriptors = $world->{keeper}->settled_descriptors;
    my @certificates = (
        ['of another CA', $other->issue('msul1.example.edu')->{both}, qr/$failed \(unable to get local issuer certificate\)/],
        ['expired', $ca->issue('msul1.example.edu', days => -1)->{both}, qr/$failed \(certificate has expired\)/],
        ['not yet valid', $ca->issue('msul1.example.edu', begins => 2)->{both}, qr/$failed \(certificate is not yet valid\)/],
        ['not there', 'none', qr/TLS failed: .*(?:handshake failure|protocol version)/],
    );
    for (@certificates) {
        my ($what, $file, $why) = @$_;
        is $lond->control("set certificate $file"), 'ok', "(lond's certificate is $what)";
        $lond->control('close-all');
        fails($world, $lond, 'tls', $why, "TLS $version, a certificate that is $what");
        my ($trouble) = @{$world->{keeper}->tells('status')->{hosts}{trouble}};
        is $trouble->{reason}, 'tls', '... and the control socket says the same';
        like "TLS failed: $trouble->{detail}", qr/^$why$/, '... with the same words';
        is $lond->control("set certificate $londs->{both}"), 'ok', '(it has a good one again)';
        recovers($world, $lond, $descriptors, "TLS $version, a certificate that is $what");
    }

    # In 1.3 lond's refusal comes when the keeper thinks that TLS's handshake is over.
    is $lond->control('set ca ' . $other->file), 'ok', '(lond believes in another CA)';
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/TLS failed: lond does not accept our certificate \(tlsv1 alert unknown ca\)/, "TLS $version, lond does not take the keeper's certificate");
    is $lond->counts->{tls_failed} > 0 && $lond->counts->{insecure}, 0, '... and they do not do without';
    is $lond->control('set ca ' . $ca->file), 'ok', '(and in this one again)';
    recovers($world, $lond, $descriptors, "TLS $version, lond does not take the keeper's certificate");
}

{
    my $stranger = $ca->issue('elsewhere.example.edu');
    my ($world, $lond) = world(londs => $stranger);
    is enciphered($world), 'the quick brown fox', "a certificate of another name will do, for the CA vouches for it";
    $world->{settings}{tls_verify_name} = 'yes';
    $world->write_config;
    is reload($world), 'host in force', '(until tls_verify_name)';
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/$failed \(hostname mismatch\)/, 'tls_verify_name, and a certificate of another name');
    is $lond->control("set certificate $londs->{both}"), 'ok', "(the certificate gets the host's name)";
    $world->ask('msul1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', 'tls_verify_name, and a certificate of the right name';
}

{
    my $revoked = $ca->issue('msul1.example.edu');
    my $list = $ca->revocations([$revoked]);
    my ($world, $lond) = world(londs => $revoked, settings => {tls_revocations => $list});
    fails($world, $lond, 'tls', qr/$failed \(certificate revoked\)/, 'a certificate on the list of revoked ones');
    is $lond->control("set certificate $londs->{both}"), 'ok', '(it gets another)';
    $world->ask('msul1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', 'one that is not on the list is good';
}

{
    my ($world, $lond) = world(lond => ['--tls', '1.0-1.1']);
    fails($world, $lond, 'tls', qr/TLS failed: .*(?:unsupported protocol|protocol version)/, 'a lond that has nothing newer than TLS 1.1');
    for my $version ('1.1', '1.0') {
        $world->{settings}{tls_min_version} = $version;
        $world->write_config;
        is $lond->control("set tls $version"), 'ok', "(lond has nothing but $version)";
        $lond->control('close-all');
        is reload($world), 'host in force', "(tls_min_version is $version)";
        ok $world->{keeper}->said(qr/tls_min_version allows TLS older than 1\.2/), '... which the log notes';
        is enciphered($world), 'the quick brown fox', "TLS $version is spoken where tls_min_version allows it";
        is $lond->counts->{'tls_' . ($version =~ s/\./_/r)}, 1, '... and was';
    }
    is $lond->control('set tls 1.2'), 'ok', '(lond has 1.2)';
    $lond->control('close-all');
    $world->{settings}{tls_min_version} = '1.3';
    $world->write_config;
    is reload($world), 'host in force', '(tls_min_version is 1.3)';
    fails($world, $lond, 'tls', qr/TLS failed: .*(?:unsupported protocol|protocol version)/, 'a lond without what tls_min_version wants');
}

# --- Falling back ---------------------------------------------------------------------------------

{
    my ($world, $lond) = world(lond => ['--auth', 'insecure']);
    is enciphered($world), 'the quick brown fox', 'a lond that speaks insecure only is spoken to so, where loncAllowInsecure is 1';
    is $lond->counts->{insecure}, 1, '... in insecure mode';
    ok $world->{keeper}->said(qr/msul1: connected to lond \S.*, insecure/), '... and the log says so';
    is $world->{keeper}->tells('connections msul1')->{connections}[0]{mode}, 'insecure', '... and the control socket';
    is $lond->control('set auth ssl'), 'ok', '(now it speaks ssl)';
    $lond->control('close-all');
    is enciphered($world), 'the quick brown fox', 'the next connection is made by ssl';
    is $lond->counts->{ssl}, 1, '... is it';
    ok $world->{keeper}->said(qr/msul1: connected to lond \S.*, ssl/), '... and the log says that it has changed';
}

{
    my ($world, $lond) = world(lond => ['--auth', 'insecure'], variables => {loncAllowInsecure => 0});
    my $only = qr/authentication failed: lond speaks insecure only, and loncAllowInsecure is 0/;
    fails($world, $lond, 'authentication', $only, 'a lond that speaks insecure only, where loncAllowInsecure is 0');
    is $lond->counts->{wrong_lines}, 0, '... and it is sent nothing after its challenge';
    is $lond->control('set auth ssl,insecure'), 'ok', '(now it speaks ssl as well)';
    my $descriptors = $world->{keeper}->settled_descriptors;
    recovers($world, $lond, $descriptors + 1, 'a lond that speaks insecure only');
}

{
    my ($world, $lond) = Lonc->up(settings => {%once}, variables => {loncAllowInsecure => 0}, lond => [$ca->lond($londs)]);
    my $nothing = qr/authentication failed: there is nothing to show, and loncAllowInsecure is 0/;
    fails($world, $lond, 'authentication', $nothing, 'a keeper without certificates, where loncAllowInsecure is 0');
    is $lond->counts->{accepted}, 0, '... which does not even connect';
}

{
    my ($world, $lond) = world(lond => ['--auth', 'local']);
    fails($world, $lond, 'authentication', qr/authentication failed: lond does not accept this server/, 'a lond that offers neither');
}

done_testing;
