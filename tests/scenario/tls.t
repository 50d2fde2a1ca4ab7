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
    $world->{keeper}->await(qr/(\d+ hosts in force|reload failed)[^\n]*/);
    return $world->{keeper}{log} =~ /.*(hosts in force|reload failed)/s ? $1 : 'nothing';
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
    ['close@TLSKey', 'tls', $closed, 'lond closes instead of the key'],
    ['reset@TLSKey', 'tls', $reset, 'lond resets instead of the key'],
    ['farewell@TLSKey', 'tls', qr/TLS failed: close_notify instead of a key/, 'lond takes leave instead of the key'],
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
        my ($name, $reason, $why, $what) = @$fault;
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
    fails($world, $lond, 'tls', qr/TLS failed: tlsv1 alert unknown ca/, "TLS $version, lond does not take the keeper's certificate");
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
    is reload($world), 'hosts in force', '(until tls_verify_name)';
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

    copy($ca->revocations([], due => -2), $list) or die "copy: $!";
    is reload($world), 'hosts in force', '(the list is overdue)';
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/$failed \(CRL has expired\)/, 'a list that is overdue');

    $world->write_file('no-list', 'no list');
    $world->{settings}{tls_revocations} = $world->path('no-list');
    $world->write_config;
    is reload($world), 'reload failed', 'a file that is no list fails the reload';
    ok $world->{keeper}->said(qr/no-list: tls_revocations: expected a list of revoked certificates/), '... and the log says which';
}

{
    my ($world, $lond) = world(lond => ['--tls', '1.0-1.1']);
    fails($world, $lond, 'tls', qr/TLS failed: .*(?:unsupported protocol|protocol version)/, 'a lond that has nothing newer than TLS 1.1');
    for my $version ('1.1', '1.0') {
        $world->{settings}{tls_min_version} = $version;
        $world->write_config;
        is $lond->control("set tls $version"), 'ok', "(lond has nothing but $version)";
        $lond->control('close-all');
        is reload($world), 'hosts in force', "(tls_min_version is $version)";
        ok $world->{keeper}->said(qr/tls_min_version allows TLS older than 1\.2/), '... which the log notes';
        is enciphered($world), 'the quick brown fox', "TLS $version is spoken where tls_min_version allows it";
        is $lond->counts->{'tls_' . ($version =~ s/\./_/r)}, 1, '... and was';
    }
    is $lond->control('set tls 1.2'), 'ok', '(lond has 1.2)';
    $lond->control('close-all');
    $world->{settings}{tls_min_version} = '1.3';
    $world->write_config;
    is reload($world), 'hosts in force', '(tls_min_version is 1.3)';
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

# --- The files ------------------------------------------------------------------------------------

{
    my $fresh = $ca->issue('annarborl1 renewed');
    my ($world) = Lonc->new(settings => {%once});
    my %file = map { $_ => $world->path("$_.pem") } qw(certificate key authority);
    my $place = sub {
        my (%files) = @_;
        for (keys %files) {
            unlink $file{$_};
            copy($files{$_}, $file{$_}) or die "copy $files{$_}: $!" if $files{$_};
        }
    };
    $place->(certificate => $mine->{certificate}, key => $mine->{key}, authority => $ca->file);
    $world->{variables} = {lonnetCertificate => $file{certificate}, lonnetPrivateKey => $file{key},
        lonnetCertificateAuthority => $file{authority}};
    $world->write_config;
    my $lond = $world->lond('msul1', $ca->lond($londs));
    my $keeper = $world->keeper;
    $world->activate('msul1');
    enciphered($world);
    is $lond->control('tls-client'), 'annarborl1', 'the keeper shows its certificate';

    my $flying = ($world->asking('msul1', 'sleep:500:flown'))[0];
    $lond->has(1, 'busy') or die 'no request in flight';
    $place->(certificate => $fresh->{certificate}, key => $fresh->{key});
    is reload($world), 'hosts in force', 'a reload takes a new certificate';
    is $flying->line, 'flown', '... a request in flight does not notice';
    is $lond->control('close-all'), 1, '... its connection stays';
    is enciphered($world), 'the quick brown fox', '... the next connection';
    is $lond->control('tls-client'), 'annarborl1 renewed', '... shows the new one';

    my $check = sub {
        my $said = `@{[Lonc::program('lonc-keeper')]} --check --config @{[$world->path('keeper.conf')]} 2>&1`;
        return $? >> 8 ? $said : "all is well: $said";
    };
    like $check->(), qr/^all is well/, 'lonc-keeper --check finds the files good';
    $world->write_file('nonsense', 'nonsense');
    my $expired = $ca->issue('annarborl1 expired', days => -1);
    my $another = qr/key\.pem: lonnetPrivateKey: expected that certificate's private key.*: key values mismatch/;
    my @bad = (
        ['a key of another certificate', {key => $mine->{key}}, $another],
        ['a certificate of another key', {certificate => $mine->{certificate}}, $another],
        ['an expired certificate', {map { $_ => $expired->{$_} } qw(certificate key)},
            qr/certificate\.pem: lonnetCertificate: expected a certificate that is valid, but it expired at 20/],
        ['a certificate that is none', {certificate => $world->path('nonsense')},
            qr/certificate\.pem: lonnetCertificate: expected a certificate in PEM that OpenSSL accepts: no start line/],
        ['a key that is none', {key => $world->path('nonsense')}, qr/key\.pem: lonnetPrivateKey: expected .*private key/],
        ['a CA that is none', {authority => $world->path('nonsense')},
            qr/authority\.pem: lonnetCertificateAuthority: expected a CA's certificate/],
        ['a missing certificate', {certificate => undef}, qr/certificate\.pem: lonnetCertificate: does not exist/],
        ['a missing key', {key => undef}, qr/key\.pem: lonnetPrivateKey: does not exist/],
        ['a missing CA', {authority => undef}, qr/authority\.pem: lonnetCertificateAuthority: does not exist/],
    );
    my $locked = $world->path('locked');
    $ca->openssl('pkey', '-in', $fresh->{key}, '-aes128', '-passout', 'pass:secret', '-out', $locked);
    push @bad, ['a key with a password', {key => $locked}, qr/key\.pem: lonnetPrivateKey: expected that certificate's private key in PEM, without a password/];
    my $short = $ca->issue('annarborl1', key => 'rsa1024');
    push @bad, ['a certificate with a short key', {certificate => $short->{certificate}, key => $short->{key}},
        qr/lonnetCertificate: expected a certificate in PEM that OpenSSL accepts: ee key too small/];
    for (@bad) {
        my ($what, $files, $why) = @$_;
        $place->(%$files);
        my $seen = length $keeper->log;
        is reload($world), 'reload failed', "$what fails the reload";
        like substr($keeper->log, $seen), $why, '... the log says why';
        like $check->(), $why, '... and so does lonc-keeper --check, which fails';
        $lond->control('close-all');
        is enciphered($world), 'the quick brown fox', '... while the old ones are in force';
        $place->(certificate => $fresh->{certificate}, key => $fresh->{key}, authority => $ca->file);
    }
    is $lond->control('tls-client'), 'annarborl1 renewed', '... to the last';
    is $lond->counts->{insecure}, 0, '... and none of it led to less than ssl';

    $place->(certificate => $short->{certificate}, key => $short->{key});
    $world->{settings}{tls_security_level} = 0;
    $world->write_config;
    like $check->(), qr/^all is well/, 'a short key is taken where tls_security_level says so';
    delete $world->{settings}{tls_security_level};
    $world->write_config;

    # Nobody can look at them, not even root: as at files in a folder that is closed to the keeper.
    for (values %file) {
        unlink $_;
        symlink $_, $_ or die "symlink: $!";
    }
    my $seen = length $keeper->log;
    is reload($world), 'reload failed', 'files that cannot be looked at fail the reload: ssl is not off for that';
    like substr($keeper->log, $seen), qr/authority\.pem: lonnetCertificateAuthority: expected .*: Too many levels of symbolic links/, '... and the log says why';
    $lond->control('close-all');
    is enciphered($world), 'the quick brown fox', '... while the old ones are in force';
    is $lond->counts->{insecure}, 0, '... by ssl';

    $place->(certificate => undef, key => undef, authority => undef);
    is reload($world), 'hosts in force', 'without any of the files ssl is off, which is no mistake';
    $lond->control('close-all');
    is enciphered($world), 'the quick brown fox', '... so the next connection';
    is $lond->counts->{insecure}, 1, '... is insecure';
}

{
    # Between `init:ssl` and lond's answer to it, the keeper loses what it needs to go on.
    my $world = Lonc->new(settings => {%once, handshake_timeout => '20s'});
    my %file = map { $_ => $world->path("$_.pem") } qw(certificate key);
    copy($mine->{$_}, $file{$_}) or die "copy: $!" for keys %file;
    copy($ca->file, $world->path('authority.pem')) or die "copy: $!";
    $world->{variables} = {lonnetCertificate => $file{certificate}, lonnetPrivateKey => $file{key},
        lonnetCertificateAuthority => $world->path('authority.pem')};
    $world->write_config;
    my $lond = $world->lond('msul1', $ca->lond($londs), '--delay', 3000, '--verbose');
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my ($client) = $world->asking('msul1', 'echo:through');
    $lond->await(qr/ -> init:ssl/);
    unlink values %file, $world->path('authority.pem');
    is reload($world), 'hosts in force', '(ssl is turned off while lond is about to say ok:ssl)';
    is $lond->control('set delay 0'), 'ok', '(and lond says it)';
    like $client->line // 'nothing', qr/^(?:con_lost|through)$/, 'ssl that is turned off in the middle of a handshake: an answer, whatever it is';
    $world->ask('msul1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', '... and the keeper lives';
}

{
    my $world = Lonc->new(settings => {%once}, variables => {$ca->variables($mine), lonnetPrivateKey => $londs->{key}});
    my $lond = $world->lond('msul1', $ca->lond($londs));
    my $keeper = $world->keeper;
    $world->activate('msul1');
    ok $keeper->said(qr/lonnetPrivateKey: expected that certificate's private key/), 'a keeper that is started with a bad certificate says so';
    ok $keeper->said(qr/ssl is off until a reload/), '... and what it means';
    is enciphered($world), 'the quick brown fox', '... serves as far as that is allowed';
    is $lond->counts->{insecure}, 1, '... in insecure mode';
    $world->{variables}{lonnetPrivateKey} = $mine->{key};
    $world->write_config;
    is reload($world), 'hosts in force', '... and takes a good one by a reload';
    $lond->control('close-all');
    enciphered($world);
    is $lond->counts->{ssl}, 1, '... for the next connection';

    $world->{variables}{loncAllowInsecure} = 0;
    $world->{variables}{lonnetPrivateKey} = $londs->{key};
    $world->write_config;
    $keeper->end;
    $world->keeper;
    fails($world, $lond, 'authentication', qr/authentication failed: there is nothing to show, and loncAllowInsecure is 0/,
        'a keeper that is started with a bad certificate where loncAllowInsecure is 0');
}

# --- Expiry ---------------------------------------------------------------------------------------

for my $days (13, 15) {
    my $soon = $ca->issue("expires in $days days", days => $days);
    my ($world, $lond) = world(mine => $soon);
    is enciphered($world), 'the quick brown fox', "a certificate that expires in $days days is good";
    my $said = $world->{keeper}->said(qr/\Q$soon->{certificate}\E: the certificate expires at 20\d\d-\d\d-\d\d \d\d:\d\d UTC/);
    is $said, $days == 13 ? 1 : 0, $days == 13 ? '... and the log says that it ends soon' : '... and the log says nothing yet';
    is reload($world), 'hosts in force', '... and no reason to fail a reload';
    my $again = $world->{keeper}->said(qr/the certificate expires at/);
    is $again, $days == 13 ? 2 : 0, $days == 13 ? '... which says it again' : '... which says nothing either';
}

done_testing;
