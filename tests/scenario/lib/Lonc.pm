# SPDX-License-Identifier: GPL-3.0-or-later
#
# A small world to test in: a LON-CAPA server's folders, the real lonc-keeper, real shims started by
# systemd-socket-activate, and stand-in londs. A test waits for an event (a line of a log, an answer, an exit),
# never for a time to pass. When the world is destroyed, its processes are ended by pid.
#
#     my $world = Lonc->new(hosts => ['msul1', 'msul2']);
#     my $lond = $world->lond('msul1');
#     $world->keeper;
#     $world->activate('msul1');
#     is $world->ask('msul1', 'ping'), 'pong:msul1';
#
# Each world has loopback addresses of its own (127.x.y.1, .2, ...), so tests run side by side.
package Lonc;
use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::UNIX;
use Lonc::Client;
use Lonc::Lond;
use Lonc::Process;
use POSIX ();
use Scalar::Util qw(weaken);
use Socket;
use Time::HiRes qw(time);

# Seconds. Events come much sooner; only a failing test waits so long.
our $PATIENCE = 60;

my $build = $ENV{BUILD} || 'build';
my $worlds = 0;
my @all; # worlds, as weak references

sub program { "$build/$_[0]" }

sub new {
    my ($class, %with) = @_;
    my $self = bless {
        dir => tempdir('lonc-XXXXXX', TMPDIR => 1, CLEANUP => 0),
        net => sprintf('127.%d.%d', 1 + ($$ >> 8) % 250, $$ % 250),
        owner => $$, processes => [], by_name => $with{by_name}, settings => $with{settings} || {}, variables => $with{variables} || {},
    }, $class;
    # Two worlds of one test must have different addresses too.
    my @hosts = @{$with{hosts} || ['msul1']};
    $self->{first} = 1 + 40 * ($worlds % 6); # six fit into the last octet; the seventh takes the addresses of the first
    $worlds++ if @hosts; # a world without hosts needs no addresses
    make_path(map { "$self->{dir}/$_" } qw(run sockets sockets/delayed tabs logs html/lon-status));
    my $n = 0;
    $self->{address}{$_} = "$self->{net}." . ($self->{first} + $n++) for @hosts;
    $self->write_config;
    weaken($all[@all] = $self);
    return $self;
}

# Makes a world and starts the keeper, and a lond and a shim for each host. Returns the world and its londs.
#     my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
# `lond` has options of each stand-in lond, `keeper` arguments of keeper(), `mode` that of activate().
sub up {
    my ($class, %with) = @_;
    my @hosts = @{$with{hosts} || ['msul1']};
    my $self = $class->new(%with, hosts => \@hosts);
    my @londs = map { $self->lond($_, @{$with{lond} || []}) } @hosts;
    $self->keeper(%{$with{keeper} || {}});
    $self->activate($_, mode => $with{mode}) for @hosts;
    return ($self, @londs);
}

# For conditions that no event announces: calls the code until it returns true, and returns its last result.
sub within {
    my ($seconds, $code) = @_;
    my $end = time + $seconds;
    my $yes;
    select undef, undef, undef, 0.005 until ($yes = $code->()) || time > $end;
    return $yes;
}

# Milliseconds of a round trip between two processes, the median of 51: how fast this machine is at the moment.
sub round_trip_ms {
    socketpair(my $here, my $there, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        close $here;
        while (sysread $there, my $byte, 1) { syswrite $there, $byte }
        POSIX::_exit(0);
    }
    close $there;
    my @took = sort { $a <=> $b } map {
        my $start = time;
        syswrite $here, 'x';
        sysread $here, my $byte, 1;
        1000 * (time - $start);
    } 1 .. 51;
    close $here;
    waitpid $pid, 0;
    return $took[25];
}

sub path { "$_[0]{dir}/$_[1]" }

sub write_file {
    my ($self, $name, $text) = @_;
    open my $file, '>', $self->path($name) or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

sub read_file {
    my ($self, $name) = @_;
    open my $file, '<', $self->path($name) or return undef;
    local $/;
    return scalar <$file>;
}

# The same for a file that a program may be reading: it sees the old content or the new, never half of one.
sub replace_file {
    my ($self, $name, $text) = @_;
    $self->write_file("$name.new", $text);
    rename $self->path("$name.new"), $self->path($name) or die "$name: $!";
}

# Writes keeper.conf, loncapa.conf and hosts.tab from $self->{settings}, {variables} and {address}. With {by_name},
# hosts.tab has no addresses.
sub write_config {
    my ($self) = @_;
    my $dir = $self->{dir};
    my %settings = (loncapa_conf => "$dir/loncapa.conf", runtime_dir => "$dir/run", state_dir => "$dir/state",
        log_target => 'stderr', log_level => 'debug', %{$self->{settings}});
    my %variables = (lonHostID => 'annarborl1', lonSockDir => "$dir/sockets", lonTabDir => "$dir/tabs",
        lonDaemons => $dir, lonDocRoot => "$dir/html", lonCertificateDirectory => $dir,
        %{$self->{variables}});
    $self->replace_file('keeper.conf', join '', map {"$_ = $settings{$_}\n"} sort keys %settings);
    $self->replace_file('loncapa.conf', join '', map {"PerlSetVar $_ $variables{$_}\n"} sort keys %variables);
    $self->replace_file('tabs/hosts.tab', join '',
        map {"$_:msu:library:$_.example.edu" . ($self->{by_name} ? '' : ":$self->{address}{$_}") . "\n"}
            sort keys %{$self->{address}});
}

# --- Processes ------------------------------------------------------------------------------------

# Starts a program, whose standard output and error become the log of the process. `setup` runs in the child.
sub start {
    my ($self, $name, $command, %with) = @_;
    pipe(my $out, my $in) or die "pipe: $!";
    my $size = 1 << 20; # a program must not block because the test does not read
    fcntl($in, 1031, $size); # F_SETPIPE_SZ
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM);
        open STDIN, '<', '/dev/null' unless $with{keep_stdin};
        POSIX::dup2(fileno($in), 1);
        POSIX::dup2(fileno($in), 2);
        $with{setup}->() if $with{setup};
        exec @$command or POSIX::_exit(127);
    }
    close $in;
    $out->blocking(0);
    my $process = bless {name => $name, pid => $pid, out => $out, log => '', seen => 0}, 'Lonc::Process';
    push @{$self->{processes}}, $process;
    return $process;
}

# Starts the keeper. `channel` and `control` are listening sockets, which it gets in the way of systemd.
sub keeper {
    my ($self, %with) = @_;
    my @command = (@{$with{wrapper} || []}, program('lonc-keeper'), '--config', $self->path('keeper.conf'),
        @{$with{options} || []});
    my $setup = sub {
        if (my @names = grep { $with{$_} } qw(channel control)) {
            give_descriptors(3, @with{@names});
            @ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($$, scalar @names, join ':', @names);
        }
        if (my $files = $with{descriptors}) { # the limit of RLIMIT_NOFILE
            POSIX::close($_) for 3 + grep({ $with{$_} } qw(channel control)) .. 1023; # so that it inherits no others
            exec 'prlimit', "--nofile=$files:$files", @command;
        }
    };
    my $keeper = $self->start('lonc-keeper', \@command, setup => $setup);
    $keeper->{control} = $self->path('run/control.sock');
    $keeper->await(qr/is ready/) unless $with{no_wait};
    return $self->{keeper} = $keeper;
}

# A listening socket for the channel, which the test holds as systemd does, so that it outlives keepers.
sub channel_listener {
    my ($self) = @_;
    socket(my $listener, AF_UNIX, 5, 0) or die "socket: $!"; # SOCK_SEQPACKET
    bind($listener, pack_sockaddr_un($self->path('run/keeper.sock'))) or die "bind: $!";
    listen($listener, 4096) or die "listen: $!";
    return $listener;
}

# Serves a host's socket as systemd does. The mode is 'shared' (Accept=no) or 'accept' (Accept=yes).
sub activate {
    my ($self, $host, %with) = @_;
    my $path = $with{path} || $self->path("sockets/$host");
    unlink $path;
    my @mode = ($with{mode} || 'shared') eq 'accept' ? ('--accept') : ();
    my $process = $self->start("shim of $host", [@{$with{wrapper} || []}, 'systemd-socket-activate', @mode,
            '--inetd', '--listen', $path, program('lonc-shim'), '--channel',
            $with{channel} || $self->path('run/keeper.sock'), '--linger', $with{linger} // 600,
            @{$with{options} || []}]);
    $process->await(qr/Listening on/);
    return $process;
}

# Starts a stand-in lond for the host. The options are those of stand-in-lond.
sub lond {
    my ($self, $host, @options) = @_;
    my $lond = $self->start("lond of $host", [program('stand-in-lond'), '--listen', "$self->{address}{$host}:5663",
            '--id', $host, '--peer', 'annarborl1', '--control', $self->path("lond-$host.sock"),
            '--ready-fd', '1', '--lifetime', '600', @options]);
    $lond->await(qr/:5663/);
    $lond->{control} = $self->path("lond-$host.sock");
    return bless $lond, 'Lonc::Lond';
}

# --- Descriptors ----------------------------------------------------------------------------------

# Starts the test anew with a higher limit, if it may not have so many descriptors open at once.
sub need_descriptors {
    my ($count) = @_;
    chomp(my $limit = `sh -c 'ulimit -S -n'`);
    return if $limit eq 'unlimited' || $limit >= $count || $ENV{LONC_LIMIT_RAISED}++;
    exec 'sh', '-c', 'ulimit -S -n "$0" && exec "$@"', $count, $^X, $0, @ARGV;
}

# In a child: duplicates the handles to this descriptor and the following ones, which the program inherits.
sub give_descriptors {
    my ($first, @handles) = @_;
    # First to high numbers, because a handle may have the number that another one is to get.
    my @copies = map { fcntl($_, 0, 200) // die "F_DUPFD: $!" } @handles;
    for my $copy (@copies) {
        POSIX::dup2($copy, $first++);
        POSIX::close($copy);
    }
}

# A listening socket for a host, which the test holds as systemd or inetd does, so that it outlives shims.
sub host_listener {
    my ($self, $host) = @_;
    unlink $self->path("sockets/$host");
    return IO::Socket::UNIX->new(Local => $self->path("sockets/$host"), Type => SOCK_STREAM,
        Listen => 4096) || die "listen for $host: $!";
}

# Starts a shim without systemd-socket-activate. `socket`, a connection or a listener, becomes its descriptor 0 (with
# `inetd` also 1 and 2), or `listeners` are passed by LISTEN_FDS.
sub shim {
    my ($self, %with) = @_;
    my $channel = $with{channel} || $self->path('run/keeper.sock');
    unlink "$channel.missing"; # by this file, shims log together once a minute; here each shim is to log
    my @command = (@{$with{wrapper} || []}, program('lonc-shim'), '--channel', $channel, @{$with{options} || []});
    return $self->start('lonc-shim', \@command, setup => sub {
        give_descriptors($_, $with{socket}) for $with{socket} ? ($with{inetd} ? 0 .. 2 : 0) : ();
        if (my $listeners = $with{listeners}) {
            give_descriptors(3, @$listeners);
            @ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, scalar @$listeners);
        }
    });
}

# Sends one message with any descriptors, also in ways that no shim would. Perl cannot do that, hence the system call.
# False if that fails or if its number on this machine is not known (then $! is 0).
sub send_descriptors {
    my ($socket, $bytes, @handles) = @_;
    my %numbers = (x86_64 => 46, aarch64 => 211, riscv64 => 211, ppc64le => 341, s390x => 370);
    my $number = $numbers{(POSIX::uname())[4]};
    $! = 0;
    return 0 if !$number;
    my $control = @handles ? pack('Q l l l* x![Q]', 16 + 4 * @handles, 1, 1, map { fileno $_ } @handles) : '';
    my $part = pack 'p Q', $bytes, length $bytes;
    my $message = pack 'Q L x4 P Q Q Q L x4', 0, 0, $part, 1,
        @handles ? unpack('Q', pack 'p', $control) : 0, length $control, 0;
    return syscall($number, fileno($socket), $message, 0x4000) >= 0; # MSG_NOSIGNAL
}

# The message of a hand-over. The arguments falsify it.
sub handover_message {
    my (%with) = @_;
    return pack 'a4 C a S', $with{magic} // 'lonc', $with{version} // 1, $with{kind} // 'H', $with{count} // 1;
}

# A connection to the private channel, as a shim makes it.
sub channel_connection {
    my ($self) = @_;
    socket(my $socket, AF_UNIX, 5, 0) or die "socket: $!"; # SOCK_SEQPACKET
    connect($socket, pack_sockaddr_un($self->path('run/keeper.sock'))) or die "connect to the channel: $!";
    return $socket;
}

# --- Clients --------------------------------------------------------------------------------------

sub client {
    my ($self, $host) = @_;
    return $self->client_at($self->path("sockets/$host"));
}

sub client_at {
    my ($self, $path) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $path, Type => SOCK_STREAM, Timeout => 10)
        or die "connect to $path: $!";
    return bless {socket => $socket, rest => ''}, 'Lonc::Client';
}

# Makes one client for each request, which has sent it and waits.
sub asking {
    my ($self, $host, @requests) = @_;
    return map { my $c = $self->client($host); $c->send("$_\n"); $c } @requests;
}

# Asks as lonnet does: connects, sends one line, reads one. undef for the end of the stream.
sub ask {
    my ($self, $host, $request) = @_;
    return $self->client($host)->ask($request);
}

# Sends many requests at once, each by a client of its own. Returns the answers in the order of the requests.
sub ask_at_once {
    my ($self, $host, @requests) = @_;
    return map { $_->line } $self->asking($host, @requests);
}

# At the end of the test, before perl destroys all objects in an arbitrary order.
END { $_->DESTROY for grep {defined} @all }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$ || $self->{gone}++;
    local ($?, $!);
    $_->end for reverse @{$self->{processes}};
    if ($ENV{LONC_KEEP}) { print STDERR "kept: $self->{dir}\n" }
    else { remove_tree($self->{dir}) }
}

1;
