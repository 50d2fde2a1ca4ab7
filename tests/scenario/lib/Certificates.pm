# SPDX-License-Identifier: GPL-3.0-or-later
#
# A LON-CAPA certificate authority for a test, and the certificates it issues. openssl makes them when the test asks for
# them, in a folder that is removed with the test.
#
#     my $ca = Certificates->new;
#     my $mine = $ca->issue('annarborl1');                       # {certificate, key, both, name}
#     my $londs = $ca->issue('msul1.example.edu', days => -1);   # expired yesterday
#     my $other = Certificates->new;                             # another CA
#     my $world = Lonc->new(variables => {$ca->variables($mine)});
#     my $lond = $world->lond('msul1', $ca->lond($londs));       # offers ssl and insecure
package Certificates;
use strict;
use warnings;
use File::Temp qw(tempdir);
use POSIX qw(strftime);

my $count = 0;

# Makes a CA. `begins` and `days` are those of issue(). `renews` is another CA, whose name and key this one takes over, as
# when a CA's certificate is renewed.
sub new {
    my ($class, %with) = @_;
    my $dir = tempdir('lonc-ca-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless {dir => $dir, count => 0, name => $with{renews} ? $with{renews}{name} : 'LON-CAPA test CA ' . ++$count}, $class;
    write_file("$dir/index", '');
    write_file("$dir/crlnumber", "01\n");
    write_file("$dir/conf", <<"END");
[ca]
default_ca = this
[this]
database = $dir/index
crlnumber = $dir/crlnumber
new_certs_dir = $dir
rand_serial = yes
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
    write_file("$dir/ca.key", read_file("$with{renews}{dir}/ca.key")) if $with{renews};
    $self->openssl('req', '-new', '-subj', "/CN=$self->{name}", '-out', "$dir/ca.req",
        $with{renews} ? ('-key', "$dir/ca.key") : new_key("$dir/ca.key"));
    $self->openssl('ca', '-config', "$dir/conf", '-batch', '-notext', '-selfsign', '-in', "$dir/ca.req", '-out', $self->file,
        '-extensions', 'authority', '-startdate', day($with{begins} // -400), '-enddate', day($with{days} // 3650));
    return $self;
}

# The date that many days from now, in the form of openssl.
sub day { return strftime('%Y%m%d%H%M%SZ', gmtime(time + 86400 * $_[0])) }

sub write_file {
    my ($path, $text) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file $text;
    close $file or die "$path: $!";
}

sub read_file {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    local $/;
    return scalar <$file>;
}

sub openssl {
    my ($self, $command, @options) = @_;
    local $ENV{OPENSSL_CONF} = "$self->{dir}/conf";
    open my $out, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', 'openssl', $command, @options or die "openssl: $!";
    my $said = do { local $/; <$out> };
    close $out or die "openssl $command @options: $said";
}

sub new_key {
    my ($path, $kind) = @_;
    my @kind = ($kind || 'ec') =~ /^rsa(\d*)$/ ? 'rsa:' . ($1 || 2048) : ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
    return ('-nodes', '-keyout', $path, '-newkey', @kind);
}

# The CA's own certificate.
sub file { return "$_[0]{dir}/ca.pem" }

# Issues a certificate for a name, with its key. `days` until it expires (default 365; negative if it has), `begins` in
# how many days it becomes valid (default -400), `key` rsa for 2048 bits or rsa1024 for 1024 (default EC).
sub issue {
    my ($self, $name, %with) = @_;
    my $path = "$self->{dir}/" . ++$self->{count};
    my %issued = (name => $name, certificate => "$path.pem", key => "$path.key", both => "$path.both");
    $self->openssl('req', '-new', '-subj', "/CN=$name", new_key($issued{key}, $with{key}), '-out', "$path.req");
    write_file("$path.extensions", "subjectAltName = DNS:$name\n");
    $self->openssl('ca', '-config', "$self->{dir}/conf", '-batch', '-notext', '-in', "$path.req", '-out', $issued{certificate},
        '-extfile', "$path.extensions", '-startdate', day($with{begins} // -400), '-enddate', day($with{days} // 365));
    write_file($issued{both}, read_file($issued{certificate}) . read_file($issued{key}));
    return \%issued;
}

# The CA's current revocation list, with these certificates on it. `days` until the next one is due.
sub revocations {
    my ($self, $issued, %with) = @_;
    my $path = "$self->{dir}/" . ++$self->{count} . '.crl';
    my @config = ('-config', "$self->{dir}/conf");
    $self->openssl('ca', @config, '-revoke', $_->{certificate}) for @$issued;
    my @due = $with{due} ? ('-crl_nextupdate', strftime('%Y%m%d%H%M%SZ', gmtime(time + 86400 * $with{due}))) : ();
    my @since = $with{due} ? ('-crl_lastupdate', strftime('%Y%m%d%H%M%SZ', gmtime(time - 86400 * 100))) : ();
    $self->openssl('ca', @config, '-gencrl', @since, @due, '-out', $path);
    return $path;
}

# The variables of loncapa.conf that make the keeper present this certificate and trust this CA.
sub variables {
    my ($self, $issued) = @_;
    return (lonnetCertificateAuthority => $self->file, lonnetCertificate => $issued->{certificate},
        lonnetPrivateKey => $issued->{key});
}

# The options of a stand-in lond that also offers ssl.
sub lond {
    my ($self, $issued) = @_;
    return ('--auth', 'ssl,insecure', '--ca', $self->file, '--certificate', $issued->{both});
}

1;
