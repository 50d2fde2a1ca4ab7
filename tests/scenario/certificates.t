#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The files for ssl may be expired, half renewed, unreadable or missing, at the start, at a reload and in between. That never
# leads to less security than was asked for, and never holds up the host table. Status says what is wrong, and repaired
# files come into force by themselves.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);
use Certificates;
use Lonc;

my $ca = Certificates->new;
my ($mine, $fresh) = map { $ca->issue($_) } 'annarborl1', 'annarborl1 renewed';
my $londs = $ca->issue('msul1.example.edu');

# One failed attempt tells enough, and nothing is tried again unasked. What is wrong is noticed by events alone.
my %once = (failures_until_dead => 1, handshake_timeout => '5s', retry_delay => '20ms', probe_min => '1h', probe_max => '1h',
    certificate_settle => '20ms', trouble_retry => '1h');

# --- A world with files of its own ----------------------------------------------------------------

my @kinds = qw(certificate key authority);

# One whose files for ssl are good, and may be replaced with place(). `lond` are the lond's options beside ssl's.
sub world {
    my (%with) = @_;
    my $world = Lonc->new(settings => {%once, %{$with{settings} || {}}});
    mkdir $world->path('certs') or die "mkdir: $!";
    $world->{variables} = {lonCertificateDirectory => $world->path('certs'), lonnetCertificate => 'certificate.pem',
        lonnetPrivateKey => 'key.pem', lonnetCertificateAuthority => 'authority.pem', %{$with{variables} || {}}};
    place($world, good($mine));
    $world->write_config;
    my $lond = $world->lond('msul1', $ca->lond($londs), '--verbose', @{$with{lond} || []});
    return ($world, $lond);
}

# ... at work.
sub up {
    my ($world, $lond) = world(@_);
    $world->keeper;
    $world->activate('msul1');
    return ($world, $lond);
}

sub good { my ($issued) = @_; return (certificate => $issued->{certificate}, key => $issued->{key}, authority => $ca->file) }

sub file_of { my ($world, $kind) = @_; return $world->path("certs/$kind.pem") }

# Puts copies of files in the places of the keeper's; undef for none.
sub place {
    my ($world, %files) = @_;
    for my $kind (sort keys %files) {
        my $path = file_of($world, $kind);
        -d $path && !-l $path ? remove_tree($path) : unlink $path;
        copy($files{$kind}, $path) or die "copy $files{$kind}: $!" if defined $files{$kind};
    }
}

sub enciphered { my ($world) = @_; return $world->ask('msul1', 'encrypt:echo:the quick brown fox') }

# A reload by the control socket: {ok, hosts, errors, warnings}.
sub reload { my ($world) = @_; return $world->{keeper}->tells('reload') }

# What status lists of this kind; undef when there is no such trouble.
sub trouble {
    my ($world, $kind) = @_;
    my ($trouble) = grep { $_->{trouble} eq $kind } @{$world->{keeper}->tells('status')->{troubles}};
    return $trouble && $trouble->{detail};
}

# Waits until status lists such a trouble, as this or at all, or none (undef): what it says then.
sub await_trouble {
    my ($world, $kind, $like) = @_;
    my $detail;
    Lonc::within($Lonc::PATIENCE, sub { $detail = trouble($world, $kind); defined $like ? ($detail // '') =~ $like : !defined $detail });
    return $detail;
}

sub well { my ($world) = @_; return !defined await_trouble($world, 'tls') && !defined await_trouble($world, 'certificate') }

# Whether one request fails at once, for this reason and no other, and is answered in no other mode.
sub fails {
    my ($world, $lond, $reason, $why, $what) = @_;
    my $seen = length $world->{keeper}->log;
    my $insecure = $lond->counts->{insecure};
    my $answer = $world->ask('msul1', 'echo:through');
    my $said = substr $world->{keeper}->log, $seen;
    my ($text, $word) = $said =~ /msul1: host is dead: (.*); \d+ queued.*reason=(\S+)\n/ ? ($1, $2) : ('', 'none');
    my $more = $lond->counts->{insecure} - $insecure;
    return ok(($answer eq 'con_lost' && $word eq $reason && $text =~ $why && !$more), "$what: con_lost, since $reason")
        || diag "answer $answer, reason $word: $text, $more insecure handshakes";
}

# What lonc-keeper --check says of the files, and its exit code behind it.
sub check {
    my ($world) = @_;
    my $said = `@{[Lonc::program('lonc-keeper')]} --check --config @{[$world->path('keeper.conf')]} 2>&1`;
    return $said . ($? >> 8);
}

# loncctl reload: what it says, and its exit code behind it.
sub loncctl_reload {
    my ($world) = @_;
    my $said = `@{[Lonc::program('loncctl')]} --socket @{[$world->path('run/control.sock')]} reload 2>&1`;
    return $said . ($? >> 8);
}

# --- What can be wrong with them ------------------------------------------------------------------

my $scratch = Lonc->new(hosts => []);
$scratch->write_file('nonsense', 'nonsense');
$scratch->write_file('empty', '');
$scratch->write_file('half', substr Certificates::read_file($mine->{certificate}), 0, 300);
$scratch->write_file('two CAs, one half', Certificates::read_file($ca->file) . substr Certificates::read_file(Certificates->new->file), 0, 300);
$scratch->write_file('huge', 'x' x (1 << 21));
my $expired = $ca->issue('annarborl1 expired', days => -1);
my $early = $ca->issue('annarborl1 early', begins => 2);
my $weak = $ca->issue('annarborl1 weak', key => 'rsa1024');
my $locked = $scratch->path('locked');
$ca->openssl('pkey', '-in', $fresh->{key}, '-aes128', '-passout', 'pass:secret', '-out', $locked);
my $old_ca = Certificates->new(days => -1);

# Instead of a file, what `make` leaves at its path.
sub instead {
    my ($kind, $make) = @_;
    return sub { my ($world) = @_; place($world, $kind => undef); $make->(file_of($world, $kind)) };
}

my $mismatch = qr/key\.pem: lonnetPrivateKey: expected that certificate's private key.*: key values mismatch/;
my @bad = ( # what, the files or what makes them, what is said of it
    ['a key of another certificate', {key => $mine->{key}}, $mismatch],
    ['a certificate renewed before its key', {certificate => $mine->{certificate}}, $mismatch],
    ['an expired certificate', {map { $_ => $expired->{$_} } qw(certificate key)},
        qr/certificate\.pem: lonnetCertificate: expected a valid certificate, but it expired at 20\d\d-/],
    ['a certificate of the day after tomorrow', {map { $_ => $early->{$_} } qw(certificate key)},
        qr/certificate\.pem: lonnetCertificate: expected a valid certificate, but it is not valid before 20\d\d-/],
    ['a certificate that is none', {certificate => $scratch->path('nonsense')},
        qr/certificate\.pem: lonnetCertificate: expected a certificate in PEM that OpenSSL accepts: no start line/],
    ['half a certificate', {certificate => $scratch->path('half')}, qr/certificate\.pem: lonnetCertificate: expected a certificate in PEM/],
    ['an empty certificate', {certificate => $scratch->path('empty')}, qr/certificate\.pem: lonnetCertificate: expected .*: it is empty/],
    ['a key that is none', {key => $scratch->path('nonsense')}, qr/key\.pem: lonnetPrivateKey: expected .*private key/],
    ['an empty key', {key => $scratch->path('empty')}, qr/key\.pem: lonnetPrivateKey: expected .*: it is empty/],
    ['a key with a password', {key => $locked}, qr/key\.pem: lonnetPrivateKey: expected that certificate's private key in PEM, without a password/],
    ['a certificate with a short key', {map { $_ => $weak->{$_} } qw(certificate key)},
        qr/lonnetCertificate: expected a certificate in PEM that OpenSSL accepts: ee key too small/],
    ['a CA that is none', {authority => $scratch->path('nonsense')}, qr/authority\.pem: lonnetCertificateAuthority: expected a CA's certificate/],
    ['an empty CA', {authority => $scratch->path('empty')}, qr/authority\.pem: lonnetCertificateAuthority: expected .*: it is empty/],
    ['a CA file of which a half is there', {authority => $scratch->path('two CAs, one half')}, qr/authority\.pem: lonnetCertificateAuthority: expected a CA's/],
    ['a CA without end', {authority => $scratch->path('huge')}, qr/authority\.pem: lonnetCertificateAuthority: expected .*: it is longer than 1 MiB/],
    ['an expired CA', {authority => $old_ca->file}, qr/authority\.pem: lonnetCertificateAuthority: expected a valid certificate, but it expired/],
    ['a missing certificate', {certificate => undef}, qr/certificate\.pem: lonnetCertificate: does not exist/],
    ['a missing key', {key => undef}, qr/key\.pem: lonnetPrivateKey: does not exist/],
    ['a missing CA', {authority => undef}, qr/authority\.pem: lonnetCertificateAuthority: does not exist/],
    ['a folder as CA', instead(authority => sub { mkdir $_[0] or die "mkdir: $!" }), qr/authority\.pem: .*: it is a folder/],
    ['a folder as certificate', instead(certificate => sub { mkdir $_[0] or die "mkdir: $!" }), qr/certificate\.pem: .*: it is a folder/],
    ['a FIFO as key', instead(key => sub { POSIX::mkfifo($_[0], 0600) or die "mkfifo: $!" }), qr/key\.pem: .*: it is not a regular file/],
    ['a device as CA', instead(authority => sub { symlink '/dev/zero', $_[0] or die "symlink: $!" }), qr/authority\.pem: .*: it is not a regular file/],
    # Nobody can look at such a one, not even root: as at files in a folder that is closed to the keeper.
    ['a certificate that leads to itself', instead(certificate => sub { symlink $_[0], $_[0] or die "symlink: $!" }),
        qr/certificate\.pem: .*: Too many levels of symbolic links/],
    ['files that lead to themselves', sub { my ($world) = @_; instead($_ => sub { symlink $_[0], $_[0] })->($world) for @kinds },
        qr/authority\.pem: .*: Too many levels of symbolic links/],
);
if ($> != 0) { # root may read all
    push @bad, ['a key that is closed to the keeper', sub { my ($world) = @_; chmod 0, file_of($world, 'key') or die "chmod: $!" },
        qr/key\.pem: lonnetPrivateKey: expected .*: Permission denied/],
        ['a folder that is closed to the keeper', sub { my ($world) = @_; chmod 0, $world->path('certs') or die "chmod: $!" }, qr/: Permission denied/];
}

sub spoil { my ($world, $files) = @_; ref $files eq 'CODE' ? $files->($world) : place($world, %$files) }

sub mend {
    my ($world, $issued) = @_;
    chmod 0700, $world->path('certs');
    place($world, good($issued // $fresh));
}

# --- While the keeper runs ------------------------------------------------------------------------

{
    my ($world, $lond) = up();
    my $keeper = $world->{keeper};
    enciphered($world);
    is $lond->control('tls-client'), 'annarborl1', 'the keeper shows its certificate';
    like check($world), qr/^1 host, as annarborl1: all is well\n0$/, '... lonc-keeper --check finds the files good';

    my $flying = ($world->asking('msul1', 'sleep:500:flown'))[0];
    $lond->has(1, 'busy') or die 'no request in flight';
    mend($world);
    $keeper->await(qr/the files for ssl have changed, and are in force as they are now/);
    is $flying->line, 'flown', 'a new certificate is in force by itself: a request in flight does not notice';
    is $lond->control('close-all'), 1, '... its connection stays';
    is enciphered($world), 'the quick brown fox', '... the next connection';
    is $lond->control('tls-client'), 'annarborl1 renewed', '... shows the new one';
    is_deeply reload($world)->{warnings}, [], '... and a reload has nothing to warn of';

    my $hosts = 1;
    for (@bad) {
        my ($what, $files, $why) = @$_;
        spoil($world, $files);
        like await_trouble($world, 'certificate', qr/./), qr/$why.*; what was read before stays in force until 20\d\d-/s,
            "$what: noticed by itself; status says what is wrong";
        # The table is taken all the same.
        $world->{address}{"msul$_"} = "$world->{net}.200" for ++$hosts;
        $world->write_config;
        my $told = reload($world);
        ok $told->{ok} && $told->{hosts} == $hosts && !@{$told->{errors}}, '... a reload takes the new table';
        like join("\n", @{$told->{warnings}}), qr/$why.*\nssl goes on with what was read before, which stays in force until 20\d\d-/s, '... and warns';
        like loncctl_reload($world), qr/^warning: .*$why.*\nwarning: ssl goes on with what was read before.*\n4$/s, '... as loncctl reload does, with an exit code of its own';
        like check($world), qr/$why.*\n\d+ errors?\n1$/s, '... and lonc-keeper --check, which fails';
        is $lond->control('close-all'), 1, '... no connection is closed for it';
        is enciphered($world), 'the quick brown fox', '... while the old ones are in force';
        mend($world);
        ok well($world), '... and when it is mended all is well, by itself';
    }
    is $lond->control('tls-client'), 'annarborl1 renewed', '... to the last';
    is $lond->counts->{insecure}, 0, '... and none of it led to less than ssl';
    is loncctl_reload($world), '0', '... and loncctl reload has nothing to say any more';

    place($world, map { $_ => $weak->{$_} } qw(certificate key));
    $world->{settings}{tls_security_level} = 0;
    $world->write_config;
    like check($world), qr/all is well/, 'a short key is taken where tls_security_level says so';
}

# --- A keeper that starts so ----------------------------------------------------------------------

for (@bad) {
    my ($what, $files, $why) = @$_;
    my ($world, $lond) = world();
    place($world, good($fresh));
    spoil($world, $files);
    $world->keeper;
    $world->activate('msul1');
    like trouble($world, 'tls'), qr/$why.*; londs that offer ssl are not reached$/s, "$what at the start: status says what is wrong and what it means";
    fails($world, $lond, 'tls', $why, '... a lond that offers ssl is offered it');
    is $lond->counts->{wrong_lines}, 0, '... and sent nothing after its ok:ssl';
    like reload($world)->{warnings}[-1], qr/^ssl cannot be used: londs that offer ssl are not reached$/, '... a reload is none to mend it, and says so';
    mend($world);
    ok well($world), '... when it is mended all is well, without a reload';
    is enciphered($world), 'the quick brown fox', '... and the host is not dead any more';
    is_deeply [@{$lond->counts}{qw(ssl insecure)}], [1, 0], '... but reached by ssl';
}

# What a lond that knows no better is told follows loncAllowInsecure, as ever.
for my $allowed (1, 0) {
    my ($world, $lond) = world(lond => ['--auth', 'insecure'], variables => {loncAllowInsecure => $allowed});
    place($world, %$_) for {map { $_ => $expired->{$_} } qw(certificate key)};
    $world->keeper;
    $world->activate('msul1');
    if ($allowed) {
        is enciphered($world), 'the quick brown fox', 'a certificate of no use, and a lond that speaks insecure only: it is spoken to so, where loncAllowInsecure is 1';
        ok $lond->log =~ / -> init:ssl$/m && $lond->log !~ / -> init(?::|$)(?!ssl)/m, '... when it has said so';
    } else {
        fails($world, $lond, 'authentication', qr/lond speaks insecure only, and loncAllowInsecure is 0/, 'and where it is 0');
    }
}

# --- tls_fallback ---------------------------------------------------------------------------------

{
    my ($world, $lond) = world(settings => {tls_fallback => 'yes'});
    place($world, %$_) for {map { $_ => $expired->{$_} } qw(certificate key)};
    my $keeper = $world->keeper;
    $world->activate('msul1');
    is enciphered($world), 'the quick brown fox', 'tls_fallback: whoever prefers insecure service to none has it';
    is_deeply [@{$lond->counts}{qw(insecure ssl)}], [1, 0], '... in insecure mode';
    like trouble($world, 'tls'), qr/it expired at .*; londs are spoken to insecurely, as tls_fallback says$/, '... status says what is wrong, and what it means';
    like reload($world)->{warnings}[-1], qr/^ssl cannot be used: londs are spoken to insecurely, as tls_fallback says$/, '... and so does a reload';
    mend($world);
    ok well($world), '... mended';
    ok $lond->has(0, 'open'), '... the insecure connection closes';
    is enciphered($world), 'the quick brown fox', '... the next is made';
    is $lond->counts->{ssl}, 1, '... by ssl';

    $keeper->end;
    place($world, key => $mine->{key});
    $world->{variables}{loncAllowInsecure} = 0;
    $world->write_config;
    $world->keeper;
    like trouble($world, 'tls'), qr/; londs that offer ssl are not reached$/, 'loncAllowInsecure 0 leaves tls_fallback nothing to fall back to';
    fails($world, $lond, 'tls', $mismatch, '...');
}

# --- How files are renewed ------------------------------------------------------------------------

{
    my ($world, $lond) = world();
    rename $world->path('certs'), $world->path('certs.1') or die "rename: $!";
    mkdir $world->path('certs.2') or die "mkdir: $!";
    symlink 'certs.1', $world->path('certs') or die "symlink: $!";
    $world->keeper;
    $world->activate('msul1');
    my $shows = sub {
        my ($name, $what) = @_;
        my $seen = '';
        Lonc::within($Lonc::PATIENCE, sub {
            $lond->control('close-all');
            enciphered($world);
            ($seen = $lond->control('tls-client')) eq $name;
        });
        is $seen, $name, $what;
    };
    $shows->('annarborl1', 'a folder of certificates behind a symbolic link');
    copy({good($fresh)}->{$_}, $world->path("certs.2/$_.pem")) or die "copy: $!" for @kinds;
    symlink 'certs.2', $world->path('next') or die "symlink: $!";
    rename $world->path('next'), $world->path('certs') or die "rename: $!";
    $shows->('annarborl1 renewed', '... which is made to lead to another: its certificate is shown, by itself');

    my $third = $ca->issue('annarborl1 third');
    copy($third->{$_}, $world->path("certs.2/$_.new")) or die "copy: $!" for qw(certificate key);
    rename $world->path("certs.2/$_.new"), $world->path("certs.2/$_.pem") or die "rename: $!" for qw(certificate key);
    $shows->('annarborl1 third', 'files renamed over the old ones');

    my $fourth = $ca->issue('annarborl1 fourth');
    $world->write_file("certs.2/$_.pem", Certificates::read_file($fourth->{$_})) for qw(certificate key);
    $shows->('annarborl1 fourth', 'files written in place');

    my $fifth = $ca->issue('annarborl1 fifth');
    $world->write_file("elsewhere-$_", Certificates::read_file($fifth->{$_})) for qw(certificate key);
    for (qw(certificate key)) {
        symlink $world->path("elsewhere-$_"), $world->path("certs.2/$_.link") or die "symlink: $!";
        rename $world->path("certs.2/$_.link"), $world->path("certs.2/$_.pem") or die "rename: $!";
    }
    $shows->('annarborl1 fifth', 'links put in the place of files');
    my $sixth = $ca->issue('annarborl1 sixth');
    $world->write_file("elsewhere-$_", Certificates::read_file($sixth->{$_})) for qw(certificate key);
    $shows->('annarborl1 sixth', '... and what they lead to, written in place');

    rename $world->path('certs.2'), $world->path('away') or die "rename: $!";
    like await_trouble($world, 'certificate', qr/./), qr/certs\/\S+: has gone, as all files for ssl have; a reload turns ssl off; what was read before stays/,
        'all files are away: ssl goes on with what was read';
    $lond->control('close-all');
    is enciphered($world), 'the quick brown fox', '... by ssl';
    is $lond->counts->{insecure}, 0, '... and never without';
    rename $world->path('away'), $world->path('certs.2') or die "rename: $!";
    ok well($world), '... and when they are back all is well';

    remove_tree($world->path('certs.2'));
    await_trouble($world, 'certificate', qr/./);
    my $told = reload($world);
    ok $told->{ok}, 'a reload without any of the files turns ssl off, which is no mistake';
    is_deeply $told->{warnings}, ['ssl is off now: none of its files exists any more'], '... but said';
    ok well($world), '... and no trouble';
    is_deeply reload($world)->{warnings}, [], '... and said once';
    $lond->control('close-all');
    is enciphered($world), 'the quick brown fox', '... so the next connection';
    is $lond->counts->{insecure}, 1, '... is insecure';
    mkdir $world->path('certs.2') or die "mkdir: $!";
    copy({good($mine)}->{$_}, $world->path("certs.2/$_.pem")) or die "copy: $!" for @kinds;
    $world->{keeper}->await(qr/the files for ssl have changed, and are in force/);
    ok $lond->has(0, 'open'), 'files that come later turn ssl on by themselves: insecure connections close';
    $shows->('annarborl1', '... and the next is by ssl');
}

{
    # Where the kernel tells nothing, time does: what is wrong is looked at again.
    my ($world, $lond) = world(settings => {trouble_retry => '200ms', certificate_settle => '1h'});
    place($world, key => $mine->{certificate});
    $world->keeper;
    $world->activate('msul1');
    ok trouble($world, 'tls'), '(a key that is none, and events come to nothing)';
    mend($world);
    ok well($world), 'what is wrong is looked at again each trouble_retry as well';
    my $quiet = Lonc::within($Lonc::PATIENCE, sub {
        my $waits = $world->{keeper}->waits_of_all;
        select undef, undef, undef, 1;
        $world->{keeper}->waits_of_all - $waits <= 1;
    });
    ok $quiet, '... and when it is mended nothing wakes up for it any more';
}

{
    # Between `init:ssl` and lond's answer to it, the keeper loses what it needs to go on.
    my ($world, $lond) = up(settings => {handshake_timeout => '20s'}, lond => ['--delay', 3000]);
    my ($client) = $world->asking('msul1', 'echo:through');
    $lond->await(qr/ -> init:ssl/);
    remove_tree($world->path('certs'));
    ok reload($world)->{ok}, '(ssl is turned off while lond is about to say ok:ssl)';
    is $lond->control('set delay 0'), 'ok', '(and lond says it)';
    like $client->line // 'nothing', qr/^(?:con_lost|through)$/, 'ssl that is turned off in the middle of a handshake: an answer, whatever it is';
    $world->ask('msul1', 'reset_retries');
    is enciphered($world), 'the quick brown fox', '... and the keeper lives';
}

# Some of the three settings alone.
for my $missing (qw(lonnetCertificateAuthority lonnetCertificate lonnetPrivateKey)) {
    my ($world, $lond) = world();
    delete $world->{variables}{$missing};
    $world->write_config;
    $world->keeper;
    $world->activate('msul1');
    fails($world, $lond, 'tls', qr/$missing: not set, although other files for ssl exist/, "loncapa.conf without $missing");
}

# A folder that is not mounted yet looks like that of a server that has no certificates.
{
    my ($world, $lond) = world();
    rename $world->path('certs'), $world->path('away') or die "rename: $!";
    like check($world), qr/^warning: ssl is off: loncapa\.conf names files for it, but there is none\n1 host, .*\n0$/, 'lonCertificateDirectory is away: lonc-keeper --check warns';
    $world->keeper;
    $world->activate('msul1');
    is $world->{keeper}->said(qr/ssl is off: loncapa\.conf names files for it, but there is none \(\S+certs does not exist\)/), 1, '... and so does the log at the start';
    is enciphered($world), 'the quick brown fox', '... londs are spoken to insecurely, as by a server without certificates';
    rename $world->path('away'), $world->path('certs') or die "rename: $!";
    ok $lond->has(0, 'open'), '... when it is there, these connections close by themselves';
    is enciphered($world), 'the quick brown fox', '... and the next are made';
    is_deeply [@{$lond->counts}{qw(insecure ssl)}], [1, 1], '... by ssl';
}

# --- CAs ------------------------------------------------------------------------------------------

# One that has expired vouches for nobody, and spoils nothing, wherever it stands and whatever its name.
{
    my $renewed = Certificates->new(renews => $ca, days => -1); # of the same name and key
    for my $case ([$old_ca, 'another CA, expired'], [$renewed, 'the same CA, its certificate expired']) {
        my ($beside, $what) = @$case;
        for my $order (0, 1) {
            my ($world, $lond) = world();
            my @files = $order ? ($beside->file, $ca->file) : ($ca->file, $beside->file);
            $world->write_file('certs/authority.pem', join '', map { Certificates::read_file($_) } @files);
            $world->keeper;
            $world->activate('msul1');
            is enciphered($world), 'the quick brown fox', "$what, " . ($order ? 'before' : 'behind') . ' the good one: londs are believed';
            is $lond->counts->{ssl}, 1, '... by ssl';
            like trouble($world, 'certificate'), qr/authority\.pem: lonnetCertificateAuthority: "\Q$beside->{name}\E" expired at .* and is ignored$/, '... and status warns';
            is_deeply reload($world)->{warnings}, [], '... which is no matter for a reload';
            like check($world), qr/^warning: .* expired at .*\n1 host, as annarborl1: all is well\n0$/, '... but for lonc-keeper --check, which does not fail';
            next if $beside == $renewed;
            my $stranger = $beside->issue('msul1.example.edu');
            is $lond->control("set certificate $stranger->{both}"), 'ok', '(a lond whose CA has expired)';
            $lond->control('close-all');
            fails($world, $lond, 'tls', qr/TLS failed: certificate verify failed \((?:certificate has expired|unable to get local issuer certificate)\)/, '... is not believed');
        }
    }
}

# --- Revoked certificates -------------------------------------------------------------------------

{
    my ($world, $lond) = world();
    my $list = $world->path('certs/list.pem');
    copy($ca->revocations([]), $list) or die "copy: $!";
    $world->{settings}{tls_revocations} = $list;
    $world->write_config;
    $world->keeper;
    $world->activate('msul1');
    is enciphered($world), 'the quick brown fox', 'a list of revoked certificates, which are none';
    my $revoked = $ca->issue('msul1.example.edu');
    is $lond->control("set certificate $revoked->{both}"), 'ok', '(lond gets another)';
    my $seen = length $world->{keeper}->log;
    copy($ca->revocations([$revoked]), $list) or die "copy: $!";
    $world->{keeper}->await(qr/the files for ssl have changed/);
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/TLS failed: certificate verify failed \(certificate revoked\)/, '... a new list is taken by itself');
    is $lond->control("set certificate $londs->{both}"), 'ok', '(lond has its first again)';
    $world->ask('msul1', 'reset_retries');

    my @lists = (
        ['overdue', sub { copy($ca->revocations([], due => -2), $list) or die "copy: $!" }, qr/list\.pem: tls_revocations: expected a valid list, but it expired at/],
        ['missing', sub { unlink $list or die "unlink: $!" }, qr/list\.pem: tls_revocations: expected .*: No such file or directory/],
        ['no list', sub { $world->write_file('certs/list.pem', 'no list') }, qr/list\.pem: tls_revocations: expected a list of revoked certificates in PEM: no start line/],
        ['empty', sub { $world->write_file('certs/list.pem', '') }, qr/list\.pem: tls_revocations: .*: it is empty/],
    );
    for (@lists) {
        my ($what, $make, $why) = @$_;
        $make->();
        like await_trouble($world, 'certificate', qr/./), qr/$why.*; what was read before stays in force/, "a list that is $what: status says so";
        ok reload($world)->{ok}, '... it holds up no table';
        $lond->control('close-all');
        is enciphered($world), 'the quick brown fox', '... the old list is in force';
        $world->{keeper}->end;
        $world->keeper;
        like trouble($world, 'tls'), qr/$why.*; londs that offer ssl are not reached/, '... at a start it means that nobody can be believed';
        fails($world, $lond, 'tls', $why, '... nor is anybody');
        copy($ca->revocations([]), $list) or die "copy: $!";
        ok well($world), '... until it is mended';
        is enciphered($world), 'the quick brown fox', '... by itself';
    }

    # A list that is asked for, and was not before, is not done without.
    $world->{settings}{tls_revocations} = $world->path('certs/other.pem');
    $world->write_config;
    my $told = reload($world);
    ok $told->{ok}, 'another list, which does not exist: the table is taken';
    like $told->{warnings}[-1], qr/ssl cannot be used: londs that offer ssl are not reached/, '... and the warning says what it means';
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/other\.pem: tls_revocations: .*: No such file/, '... no lond is believed without it');
    is $lond->counts->{insecure}, 0, '... and none of this led to less than ssl';
}

# A setting that asks for more is in force, though the files are of no use.
{
    my ($world, $lond) = up();
    is enciphered($world), 'the quick brown fox', '(ssl works)';
    place($world, key => $fresh->{key});
    await_trouble($world, 'certificate', qr/./);
    $world->{settings}{tls_verify_name} = 'yes';
    $world->write_config;
    ok reload($world)->{ok}, 'tls_verify_name by a reload, while the files on disk are of no use';
    my $elsewhere = $ca->issue('elsewhere.example.edu');
    is $lond->control("set certificate $elsewhere->{both}"), 'ok', '(lond shows another name)';
    $lond->control('close-all');
    fails($world, $lond, 'tls', qr/certificate verify failed \(hostname mismatch\)/, '... holds for what was read before');
}

# --- Expiry ---------------------------------------------------------------------------------------

for my $days (13, 15) {
    my $soon = $ca->issue("expires in $days days", days => $days);
    my ($world, $lond) = world();
    place($world, good($soon));
    $world->keeper;
    $world->activate('msul1');
    is enciphered($world), 'the quick brown fox', "a certificate that expires in $days days is good";
    my $said = qr/certificate\.pem: the certificate expires at 20\d\d-\d\d-\d\d \d\d:\d\d UTC; from then on londs that offer ssl are not reached/;
    is $world->{keeper}->said($said), $days == 13 ? 1 : 0, $days == 13 ? '... and the log says that it ends soon, and what then' : '... and the log says nothing yet';
    is_deeply reload($world)->{warnings}, [], '... and no reason to warn at a reload';
    is $world->{keeper}->said($said), $days == 13 ? 2 : 0, $days == 13 ? '... when the log says it again' : '... when the log says nothing either';
    my $trouble = trouble($world, 'certificate');
    if ($days == 13) {
        like $trouble, qr/certificate\.pem: lonnetCertificate: "expires in 13 days" expires at 20/, '... and status lists it';
        $world->{settings}{tls_fallback} = 'yes';
        $world->write_config;
        reload($world);
        ok $world->{keeper}->said(qr/the certificate expires at [^;]*; from then on londs are spoken to insecurely, as tls_fallback says/), '... with tls_fallback, it is the other thing that will happen';
    } else {
        is $trouble, undef, '... nor does status';
    }
}

for my $fallback ('no', 'yes') {
    my $brief = $ca->issue('annarborl1 brief', days => 4 / 86400);
    my ($world, $lond) = world(settings => {tls_fallback => $fallback});
    place($world, good($brief));
    my $keeper = $world->keeper;
    $world->activate('msul1');
    is enciphered($world), 'the quick brown fox', "a certificate that expires in seconds is good (tls_fallback is $fallback)";
    like await_trouble($world, 'tls', qr/./), qr/certificate\.pem: lonnetCertificate: .*it expired at/, '... and when it has expired, status says so, by itself';
    $lond->control('close-all');
    if ($fallback eq 'no') {
        fails($world, $lond, 'tls', qr/certificate\.pem: lonnetCertificate: .*it expired at/, '... londs that offer ssl are not reached from then on');
    } else {
        is enciphered($world), 'the quick brown fox', '... londs are spoken to from then on';
        is $lond->counts->{insecure}, 1, '... insecurely';
    }
    $world->{address}{msul2} = "$world->{net}.200";
    $world->write_config;
    is reload($world)->{hosts}, 2, '... a reload takes a new table';
    mend($world);
    ok well($world), '... and a new certificate mends it, by itself';
    is enciphered($world), 'the quick brown fox', '... for the host, too';
}

{
    # The renewed certificate lies there before the old one expires, but its key came late.
    my $brief = $ca->issue('annarborl1 brief', days => 4 / 86400);
    my ($world, $lond) = world();
    place($world, good($brief));
    $world->keeper;
    $world->activate('msul1');
    place($world, certificate => $fresh->{certificate});
    like await_trouble($world, 'certificate', $mismatch), $mismatch, 'half renewed: a warning while the old one is good';
    like await_trouble($world, 'tls', qr/./), $mismatch, '... a trouble of ssl once it has expired';
    is trouble($world, 'certificate'), undef, '... and of nothing else';
    place($world, key => $fresh->{key});
    ok well($world), '... and the other half mends it';
    is enciphered($world), 'the quick brown fox', '... by ssl';
    is $lond->counts->{insecure}, 0, '... alone';
}

done_testing;
