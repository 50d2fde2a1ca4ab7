# SPDX-License-Identifier: GPL-3.0-or-later
#
# For tests that run inside the booted system: runs commands, makes clients, asks systemd, writes files.
package Booted;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::UNIX;
use JSON::PP;
use Socket;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(sh output ask client within socket_of lond load property main_pid units_left pid1_memory pid1_cpu pid1_began
    write_file read_file write_hosts drop_in journal as_www $sockets $patience);
our $sockets = '/home/httpd/sockets';

# Seconds. Events come much sooner; only a failing test waits so long.
our $patience = 60;
my $tools = $ENV{BUILD} || '/opt/lonc-tests';

# Runs a command. Returns its exit status and what it printed on standard output and error.
sub sh {
    my ($command) = @_;
    my $out = `($command) 2>&1`;
    return wantarray ? ($? >> 8, $out) : $? >> 8;
}
sub output { my $out = `$_[0]`; chomp $out; return $out }

# For conditions that no event announces: calls the code until it returns true, and returns its last result.
sub within {
    my ($seconds, $code) = @_;
    my $end = time + $seconds;
    my $yes;
    sleep 0.02 until ($yes = $code->()) || time > $end;
    return $yes;
}

# --- Clients --------------------------------------------------------------------------------------

# As www, like Apache's children.
sub as_www {
    my ($code) = @_;
    my ($uid, $gid) = (getpwnam 'www')[2, 3];
    local $) = "$gid $gid";
    local $> = $uid;
    return $code->();
}

# Connects as lonnet does. Dies with the reason if that fails.
sub client {
    my ($host) = @_;
    return as_www(sub {
        IO::Socket::UNIX->new(Peer => "$sockets/$host", Type => SOCK_STREAM, Timeout => 10) || die "connect: $!\n";
    });
}

# Asks as lonnet does: sends one line, reads one. '' for the end of the stream.
sub ask {
    my ($host, $line) = @_;
    my $socket = eval { client($host) } or return "no connection: $@";
    $socket->print("$line\n");
    my $answer = <$socket> // '';
    chomp $answer;
    return $answer;
}

# Sends a line to the control socket of the stand-in lond, and returns the answer.
sub lond {
    my ($line) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => '/run/lond.sock') or return "no lond: $!";
    $socket->print("$line\n");
    my $answer = <$socket> // '';
    chomp $answer;
    return $answer;
}

# Many clients at once: starts lonnet-load and returns its numbers. The time-out is for a failing test.
sub load {
    my (@options) = @_;
    my ($uid, $gid) = (getpwnam 'www')[2, 3];
    # The numbers come on standard output; standard error has the same in words.
    my $pid = open my $out, '-|', 'sh', '-c', 'exec "$@" 2>/dev/null', 'sh', 'setpriv', "--reuid=$uid", "--regid=$gid", '--clear-groups', '--',
        "$tools/lonnet-load", '--json', '--timeout', 300, @options or die "lonnet-load: $!";
    return bless {pid => $pid, out => $out}, 'Booted::Load';
}

sub Booted::Load::numbers {
    my ($self) = @_;
    my $text = join '', readline $self->{out};
    close $self->{out};
    return decode_json($text =~ /(\{.*\})/s ? $1 : '{}');
}

# --- systemd --------------------------------------------------------------------------------------

sub property { return output("systemctl show -P $_[1] '$_[0]'") }
sub main_pid { return property('lonc-keeper.service', 'MainPID') }

# The services of single connections that systemd has loaded, in whatever state.
sub units_left { return scalar(() = output(q(systemctl list-units --all --plain --no-legend 'lonc-host-*.service')) =~ /^\S/mg) }

sub status_of {
    my ($field) = @_;
    return (read_file('/proc/1/status') =~ /^$field:\s+(\d+)/m)[0];
}
sub pid1_memory { return status_of('RssAnon') * 1024 }
# When PID 1 started, in ticks. It identifies a boot, since a container has no boot id of its own.
sub pid1_began { return (split ' ', read_file('/proc/1/stat'))[21] }
sub pid1_cpu { return (split ' ', read_file('/proc/1/schedstat'))[0] / 1e9 }

sub drop_in {
    my ($unit, $text) = @_;
    my $directory = "/run/systemd/system/$unit.d";
    if (defined $text) {
        sh("mkdir -p '$directory'");
        write_file("$directory/99-test.conf", $text);
    } else {
        unlink "$directory/99-test.conf";
        rmdir $directory;
    }
    sh('systemctl daemon-reload');
}

sub journal { return output("journalctl --no-pager -o cat $_[0]") }

# --- Files ----------------------------------------------------------------------------------------

sub write_file {
    my ($name, $text) = @_;
    open my $file, '>', $name or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

sub read_file {
    open my $file, '<', $_[0] or return '';
    local $/;
    return scalar(<$file>) // '';
}

# Writes hosts.tab with these ids. "msul6=127.0.1.6" also gives the host's address.
sub write_hosts {
    write_file('/home/httpd/lonTabs/hosts.tab', join '', map {
        my ($id, $address) = split /=/;
        $address //= '127.0.1.' . ($id =~ /(\d+)$/)[0];
        "$id:msu:library:$id.example.edu:$address\n";
    } @_);
}

1;
