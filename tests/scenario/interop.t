#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The keeper and a lond that is not our C code: it has Perl, IO::Socket::SSL like the real lond, and the IDEA of Botan
# instead of libgcrypt's. First, the parts of that lond are tested themselves.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use IO::Socket::SSL;
use POSIX ();
use Test::More;
use Certificates;
use Enciphered;
use Lonc;

# LONC_SEED=<the seed in the tests' names> repeats a failed run. The londs derive their seeds from it.
my $seed = $ENV{LONC_SEED} // int rand 2**31;
srand $seed;

sub one_of { return $_[rand @_] }
sub random_name { return join '', one_of('a' .. 'z', 'A' .. 'Z'), map { one_of('a' .. 'z', 'A' .. 'Z', 0 .. 9, qw(- _ .)) } 1 .. rand 20 }

# The lond of a host, at the host's address unless `listen` is given.
sub perl_lond {
    my ($world, $host, %with) = @_;
    my $lond = $world->start("Perl lond of $host", [$^X, "$FindBin::Bin/lib/lond.pl", '--id', $host,
            '--peer', $world->{variables}{lonHostID} // 'annarborl1', '--seed', int rand 2**31,
            '--listen', $with{listen} // "$world->{address}{$host}:5663", @{$with{options} || []}]);
    $lond->await(qr/listens at \S+:\d+\n/);
    ($lond->{port}) = $lond->{log} =~ /listens at \S+:(\d+)/;
    return $lond;
}

# Checks that the londs received nothing wrong, and that Perl did not warn.
sub pleased {
    my ($what, @londs) = @_;
    my @complaints = map { grep {/: breach:| line \d+\.$/} split /\n/, $_->log } @londs;
    is scalar @complaints, 0, "$what: lond has nothing to complain of" or diag join "\n", @complaints;
}

# --- Certificates ---------------------------------------------------------------------------------

my ($cluster, $strangers) = map { Certificates->new } 1 .. 2;
my %issued = ((map { ($_ => $cluster->issue($_, key => 'rsa')) } qw(annarborl1 msul1 msul2)), stranger => $strangers->issue('stranger'));

# The variables of loncapa.conf for a certificate of ours, as names in lonCertificateDirectory, as LON-CAPA has them.
sub ssl_variables {
    my ($name) = @_;
    my %files = $cluster->variables($issued{$name});
    return (lonCertificateDirectory => $cluster->{dir}, map { ($_ => $files{$_} =~ s{^\Q$cluster->{dir}\E/}{}r) } keys %files);
}

# The options of lond.pl for ssl with a certificate.
sub ssl_options {
    my ($name) = @_;
    return ('--ca', $cluster->file, '--certificate', $issued{$name}{certificate}, '--key', $issued{$name}{key});
}

# --- IDEA and keys, by the others -----------------------------------------------------------------

{
    my $key = Enciphered::key_of_build('msul1', 'annarborl1', '12345A0BC7D89EF54321');
    is uc unpack('H*', $key), '62451A77A1B815112345A0BC7D89EF54', "the key in lonc-protocol(7), by Perl's own pack";
    my %vectors = ('1234567' => 'enc:7:d0aae4b321ae396d',
        '12345678' => 'enc:8:a16e0bbee58b112d2b97fffd4db49122', '' => 'enc:0:2b97fffd4db49122');
    my $cipher = Enciphered->new($key);
    for my $text (sort keys %vectors) {
        is $cipher->seal($text), $vectors{$text}, "`$text` enciphered as in lonc-protocol(7), by Botan";
        is $cipher->unseal($vectors{$text}), $text, '... and deciphered again';
    }
    is $cipher->seal('12345678', short => 1), 'enc:8:a16e0bbee58b112d', '... and without the extra block';
    is $cipher->unseal($_), undef, "... which a request must have, and other things not: $_"
        for 'enc:8:a16e0bbee58b112d', 'enc:7:D0AAE4B321AE396D', 'enc:07:d0aae4b321ae396d', 'enc:5:d0aae4b321ae396d', 'enc:7:';
}

# --- The lond, by a lonc of a few lines -----------------------------------------------------------

{
    package Client;

    # Authenticates with the line `init`, and `tls` or `key`; dies if lond does not answer as it must.
    sub new {
        my ($class, $port, $init, %with) = @_;
        my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die "connect: $!";
        my $self = bless {socket => $socket}, $class;
        my $line = $self->ask($init);
        if ($with{tls}) {
            die "no ok:ssl but $line" if $line ne 'ok:ssl';
            my $duplicate = IO::Socket::INET->new;
            $duplicate->fdopen(POSIX::dup(fileno $socket), 'r+') or die "dup: $!";
            my $tls = IO::Socket::SSL->start_SSL($duplicate, @{$with{tls}}) or die "TLS: $IO::Socket::SSL::SSL_ERROR\n";
            sysread($tls, $with{key}, 33) == 33 or die "no key line: $IO::Socket::SSL::SSL_ERROR\n";
            $self->{tls} = $tls->get_sslversion;
            $tls->close(SSL_no_shutdown => 1);
        } elsif ($with{key}) {
            die "no ok:local but $line" if $line ne 'ok:local';
        } else {
            $line =~ /^\d+\z/ && $self->ask($line) eq 'ok' or die 'no challenge';
        }
        $self->ask('version') =~ /^version:/ or die 'no version';
        $self->ask('sethost:msul1') eq 'ok' or die 'no ok of sethost';
        $self->{cipher} = Enciphered->new($with{key} ? Enciphered::key_of_line($with{key} =~ s/\n//r)
            : Enciphered::key_of_build('msul1', 'annarborl1', $self->ask('ekey')));
        return $self;
    }

    sub ask {
        my ($self, $line) = @_;
        local $SIG{PIPE} = 'IGNORE';
        $self->{socket}->print("$line\n");
        my $answer = readline($self->{socket}) // return '';
        chomp $answer;
        return $answer;
    }

    sub ask_enciphered { my ($self, $command) = @_; return $self->ask($self->{cipher}->seal($command)) }

    # An enciphered reply, deciphered; its extra block may be missing.
    sub ask_secret {
        my ($self, $text) = @_;
        my $line = $self->ask("secret:$text");
        return $line eq $self->{cipher}->seal($text, short => 1) || $line eq $self->{cipher}->seal($text) ? $text : $line;
    }
}

{
    my $world = Lonc->new;
    my $lond = perl_lond($world, 'msul1', listen => '127.0.0.1:0',
        options => ['--local', $world->{dir}, ssl_options('msul1')]);
    my @with_tls = (SSL_ca_file => $cluster->file, SSL_verifycn_scheme => 'none');
    my $certificate = sub { return (SSL_cert_file => $issued{$_[0]}{certificate}, SSL_key_file => $issued{$_[0]}{key}) };

    my $works = sub {
        my ($client, $what) = @_;
        is $client->ask('ping'), 'pong:msul1', "$what: the lond answers in clear";
        is $client->ask_enciphered('echo:12345678'), '12345678', '... to an enciphered request';
        is $client->ask_secret($_), $_, "... and enciphered: $_" for '', '1234567', '12345678';
    };

    $works->(Client->new($lond->{port}, $_), "insecure by $_") for 'init', 'init::3.1';
    for my $version (qw(TLSv1_2 TLSv1_3)) {
        my $client = Client->new($lond->{port}, 'init:ssl',
            tls => [@with_tls, $certificate->('annarborl1'), SSL_version => $version]);
        is $client->{tls}, $version, "TLS is of the version that was asked for, $version";
        $works->($client, "ssl by $version");
    }

    my $digits = '0123456789abcdefFEDCBA9876543210';
    $world->write_file('lonc-key-1', "$digits\n");
    chmod 0600, $world->path('lonc-key-1');
    $works->(Client->new($lond->{port}, 'init:local:' . $world->path('lonc-key-1'), key => $digits), 'local');
    ok !-e $world->path('lonc-key-1'), '... and the key file is gone';
    pleased('in all modes', $lond);

    # What lond must not accept; each ends a connection.
    ok !eval { Client->new($lond->{port}, 'init:ssl', tls => [@with_tls]) }, 'no certificate: the lond does not go on';
    $lond->await(qr/TLS failed: .*certificate/);
    ok !eval { Client->new($lond->{port}, 'init:ssl', tls => [@with_tls, $certificate->('stranger')]) }, 'nor with that of another authority';
    $lond->await(qr/TLS failed: .*certificate/);
    $world->write_file('lonc-key-2', "$digits\n");
    chmod 0644, $world->path('lonc-key-2');
    ok !eval { Client->new($lond->{port}, 'init:local:' . $world->path('lonc-key-2'), key => $digits) }, 'nor with a key file for all to read';
    $lond->await(qr/breach: a key file of mode 100644/);
    my $client = Client->new($lond->{port}, 'init');
    is $client->ask('enc:8:0123456789abcdef'), '', 'nor an enciphered request without its extra block';
    $lond->await(qr/breach: no enciphered line/);
}

# --- The keeper -----------------------------------------------------------------------------------

# Requests of all kinds, each as [request, right reply, whether the reply is enciphered]. The texts have all lengths from 0
# to 40 bytes and any bytes except LF; many end with blanks.
sub random_requests {
    my ($count) = @_;
    return map {
        my $length = $_ % 41;
        my $text = join '', map { one_of(map { chr } 0 .. 9, 11 .. 255) } 1 .. $length;
        my $blanks = one_of(0, 0, 1, 2, 8);
        substr($text, -$blanks) = ' ' x $blanks if $blanks && $blanks <= $length;
        my $enciphered = one_of(0, 1, 1);
        # A text that begins with 0x80 is no command of a lond or of the keeper.
        my ($command, $answer) = @{one_of(["echo:$text", $text], ["secret:$text", $text],
            [$length ? "\x80" . substr($text, 1) : '', 'unknown_cmd'])};
        [$enciphered ? "encrypt:$command" : $command, $answer, $enciphered]
    } 1 .. $count;
}

# Asks them in turn, with new connections, and therefore new keys, every 10 requests. Checks all replies, how each request
# reached lond, and the mode.
sub property {
    my ($world, $londs, $count, $mode, $what) = @_;
    my @hosts = sort keys %$londs;
    my @requests = random_requests($count);
    my $said = sub { my $n = 0; $n += $_->said($_[0]) for values %$londs; return $n };
    my ($enciphered, $clear, $keys) = map { $said->($_) } qr/: enciphered,/, qr/: in clear,/, qr/: idle by/;
    my @wrong;
    for my $n (0 .. $#requests) {
        my $host = $hosts[$n / 10 % @hosts];
        my ($request, $wanted) = @{$requests[$n]};
        $world->ask($host, 'close_connection_exit') if $n % 10 == 0;
        my $answer = $world->ask($host, $request) // 'the end of the stream';
        push @wrong, join ' ', $host, map { unpack 'H*', $_ } $request, $answer, $wanted if $answer ne $wanted;
    }
    is scalar @wrong, 0, "$what: $count random requests, their texts of 0 to 40 bytes, are answered rightly (seed $seed)"
        or diag join "\n", 'host, request, answer, what it should be:', @wrong;
    my $secret = grep { $_->[2] } @requests;
    is $said->(qr/: enciphered,/) - $enciphered, $secret, '... lond got those that start encrypt: enciphered';
    is $said->(qr/: in clear,/) - $clear, $count - $secret, '... and all others in clear';
    cmp_ok $said->(qr/: idle by/) - $keys, '>=', $count / 10, '... over connections with a key of its own each';
    is $said->(qr/: idle by (?!$mode)/), 0, "... which all speak $mode and nothing else";
    pleased($what, values %$londs);
}

# With a Perl lond, a keeper works as with any other.
sub everyday {
    my ($world, $host, $what) = @_;
    is $world->ask($host, 'ping'), "pong:$host", "$what: a request is answered";
    is $world->ask($host, 'encrypt:echo:a secret'), 'a secret', '... one that is enciphered on its way too';
    is $world->ask($host, 'secret:another'), 'another', '... and an enciphered reply is deciphered';
    my $megabyte = substr '0123456789abcdef' x (1 << 16), 0, 1 << 20;
    ok $world->ask($host, 'size:' . (1 << 20)) eq $megabyte, '... one of a megabyte comes whole';
    ok $world->ask($host, "encrypt:secret:$megabyte") eq $megabyte, '... and so it does enciphered both ways';
    is_deeply [$world->ask_at_once($host, map {"echo:$_"} 1 .. 20)], [1 .. 20], '... and 20 clients at once get their own';
}

{
    my $world = Lonc->new;
    my $lond = perl_lond($world, 'msul1');
    $world->keeper;
    $world->activate('msul1');
    everyday($world, 'msul1', 'insecure');
    $lond->await(qr/idle by insecure/);
    pleased('insecure', $lond);
}

{
    my @hosts = map { random_name() } 1 .. 6;
    my $world = Lonc->new(hosts => \@hosts, variables => {lonHostID => random_name(), lonVersion => '2.11.4'});
    my %londs = map { ($_ => perl_lond($world, $_)) } @hosts;
    $world->keeper;
    $world->activate($_) for @hosts;
    property($world, \%londs, 300, 'insecure', 'insecure, with random lonHostIDs');
    like $londs{$hosts[0]}->log, qr/: asked by init::2\.11\.4\n/, '... and lond is told the version of LON-CAPA';
}

{
    my %tls = (msul1 => 'TLSv1_2', msul2 => 'TLSv1_3');
    my $world = Lonc->new(hosts => [sort keys %tls], variables => {ssl_variables('annarborl1'), lonVersion => '2.11.4'});
    my %londs = map {
        ($_ => perl_lond($world, $_, options => [ssl_options($_), '--tls', $tls{$_}]))
    } sort keys %tls;
    $world->keeper;
    $world->activate($_) for keys %tls;
    for my $host (sort keys %tls) {
        everyday($world, $host, "ssl by $tls{$host}");
        like $londs{$host}->log, qr/: asked by init:ssl:2\.11\.4\n/, '... the version of LON-CAPA is told to lond';
        like $londs{$host}->log, qr/: ssl with $tls{$host} and annarborl1/, '... and lond knows who asks';
        my $version = $tls{$host} =~ tr/_/./r;
        like $world->{keeper}->log, qr/$host: connected to lond [^\n]*, ssl by $version/, '... and the log says how they speak';
    }
    property($world, \%londs, 300, 'ssl', 'ssl');
}

# This server's own lond, which the keeper expects at 127.0.0.1 whatever hosts.tab says.
sub local_world {
    my (%with) = @_;
    my $world = Lonc->new(hosts => ['annarborl1'], variables => {lonHostID => 'annarborl1'});
    my $lond = perl_lond($world, 'annarborl1', listen => '127.0.0.1:0', options => $with{can} ? ['--local', $world->{dir}] : []);
    $world->{variables}{londPort} = $lond->{port};
    $world->write_config;
    $world->keeper;
    $world->activate('annarborl1');
    return ($world, $lond);
}

# Connections that no request waits for any more may still be in their handshake.
sub no_key_file_left {
    my ($world) = @_;
    my $none = sub { my @files = glob $world->path('lonc-key-*'); return !@files };
    ok Lonc::within($Lonc::PATIENCE, $none), '... and no key file is left';
}

{
    my ($world, $lond) = local_world(can => 1);
    everyday($world, 'annarborl1', 'local');
    property($world, {annarborl1 => $lond}, 300, 'local', 'local');
    no_key_file_left($world);
}

# --- What lond cannot, or does not believe --------------------------------------------------------

{
    my $world = Lonc->new(variables => {ssl_variables('annarborl1')});
    my $lond = perl_lond($world, 'msul1');
    $world->keeper;
    $world->activate('msul1');
    everyday($world, 'msul1', 'insecure with a lond that cannot ssl');
    like $lond->log, qr/: asked by init:ssl\n.*: idle by insecure/s, '... which was asked for ssl first';
    pleased('it cannot ssl', $lond);
}

{
    my ($world, $lond) = local_world();
    everyday($world, 'annarborl1', 'insecure with a lond that cannot local');
    like $lond->log, qr/: asked by init:local:.*: idle by insecure/s, '... which was asked for local first';
    no_key_file_left($world);
    pleased('it cannot local', $lond);
}

# A host that cannot be authenticated: con_lost, for a reason that the log has.
sub refusal {
    my ($what, $said, %with) = @_;
    my $world = Lonc->new(settings => {retry_delay => '20ms'},
        variables => {ssl_variables($with{ours} // 'annarborl1'), %{$with{variables} || {}}});
    my $lond = perl_lond($world, 'msul1', options => [$with{theirs} ? ssl_options($with{theirs}) : (), $with{tls} ? ('--tls', $with{tls}) : ()]);
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'con_lost', "$what: con_lost";
    like $world->{keeper}->log, $said, '... and the log says why';
    unlike $lond->log, qr/: idle by/, '... and lond has let nobody in';
    pleased($what, $lond);
}

refusal('it cannot ssl, and loncAllowInsecure is 0', qr/speaks insecure only/, variables => {loncAllowInsecure => 0});
refusal('its certificate is of another authority', qr/certificate verify failed/, theirs => 'stranger');
# Its alert may be lost when it closes, because it has not read everything. With TLS 1.3 that is just as telling.
refusal('ours is of another authority, by TLS 1.2', qr/TLS failed: \w.*reason=tls/, theirs => 'msul1', ours => 'stranger', tls => 'TLSv1_2');
refusal('ours is of another authority, by TLS 1.3', qr/TLS failed: lond does not accept our certificate \(.*reason=tls/,
    theirs => 'msul1', ours => 'stranger', tls => 'TLSv1_3');

done_testing;
