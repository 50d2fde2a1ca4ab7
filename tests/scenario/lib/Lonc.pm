# SPDX-License-Identifier: GPL-3.0-or-later
#
# A small world to test in: a LON-CAPA server's folders, the real lonc-keeper, real shims started by
# systemd-socket-activate, and stand-in londs. Everything is awaited by its own word (a line of its
# log, an answer, its exit), never by a pause, and ended by pid when the world goes away.
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
use IO::Poll;
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use Scalar::Util qw(weaken);
use Socket;
use Time::HiRes qw(time);

# What a test waits for comes much sooner; this only ends a test that has failed.
our $PATIENCE = 60;

my $build = $ENV{BUILD} || 'build';
my $worlds = 0;
my @all; # worlds, weakly held

sub program { "$build/$_[0]" }

sub new {
    my ($class, %with) = @_;
    my $self = bless {
        dir => tempdir('lonc-XXXXXX', TMPDIR => 1, CLEANUP => 0),
        net => sprintf('127.%d.%d', 1 + ($$ >> 8) % 250, $$ % 250),
        owner => $$, processes => [], by_name => $with{by_name}, settings => $with{settings} || {}, variables => $with{variables} || {},
    }, $class;
    # Two worlds of one test must not share addresses either.
    my @hosts = @{$with{hosts} || ['msul1']};
    $self->{first} = 1 + 40 * ($worlds % 6); # the last octet goes no further; the seventh finds the first gone
    $worlds++ if @hosts; # one without any takes no addresses
    make_path(map { "$self->{dir}/$_" } qw(run sockets sockets/delayed tabs logs html/lon-status));
    my $n = 0;
    $self->{address}{$_} = "$self->{net}." . ($self->{first} + $n++) for @hosts;
    $self->write_config;
    weaken($all[@all] = $self);
    return $self;
}

# A world at work: a lond and a shim for each host, and the keeper. Returns the world and its londs.
#     my ($world, $lond) = Lonc->up(settings => {connections_per_host => 1});
# `lond` are options of each stand-in lond, `keeper` of keeper(), `mode` of activate().
sub up {
    my ($class, %with) = @_;
    my @hosts = @{$with{hosts} || ['msul1']};
    my $self = $class->new(%with, hosts => \@hosts);
    my @londs = map { $self->lond($_, @{$with{lond} || []}) } @hosts;
    $self->keeper(%{$with{keeper} || {}});
    $self->activate($_, mode => $with{mode}) for @hosts;
    return ($self, @londs);
}

# For what nothing tells: asks until the code says yes, and returns what it said last.
sub within {
    my ($seconds, $code) = @_;
    my $end = time + $seconds;
    my $yes;
    select undef, undef, undef, 0.005 until ($yes = $code->()) || time > $end;
    return $yes;
}

# Milliseconds from one process to another and back, in the middle of 51: what this machine makes of it now.
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

# The same for a file that a program may be reading: it sees the old one or the new one.
sub replace_file {
    my ($self, $name, $text) = @_;
    $self->write_file("$name.new", $text);
    rename $self->path("$name.new"), $self->path($name) or die "$name: $!";
}

# Writes keeper.conf, loncapa.conf and hosts.tab as they stand in $self->{settings}, {variables}, {address};
# with {by_name}, hosts.tab has no addresses.
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

# Starts a program; standard output and error can be read with log_like and log. `setup` runs in the child.
sub start {
    my ($self, $name, $command, %with) = @_;
    pipe(my $out, my $in) or die "pipe: $!";
    my $size = 1 << 20; # a program must never wait for a test that does not read
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

# The keeper; with `channel` or `control`, listening sockets, they are passed as systemd would.
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
            POSIX::close($_) for 3 + grep({ $with{$_} } qw(channel control)) .. 1023; # it starts with no more than it needs
            exec 'prlimit', "--nofile=$files:$files", @command;
        }
    };
    my $keeper = $self->start('lonc-keeper', \@command, setup => $setup);
    $keeper->{control} = $self->path('run/control.sock');
    $keeper->await(qr/is ready/) unless $with{no_wait};
    return $self->{keeper} = $keeper;
}

# A listening socket for the channel that outlives keepers, as systemd holds it.
sub channel_listener {
    my ($self) = @_;
    socket(my $listener, AF_UNIX, 5, 0) or die "socket: $!"; # SOCK_SEQPACKET
    bind($listener, pack_sockaddr_un($self->path('run/keeper.sock'))) or die "bind: $!";
    listen($listener, 4096) or die "listen: $!";
    return $listener;
}

# Serves a host's socket as systemd would: mode 'shared' (Accept=no) or 'accept' (Accept=yes).
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

# A stand-in lond for the host; options are its own.
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

# Starts the test again where it may not have so many descriptors open at once.
sub need_descriptors {
    my ($count) = @_;
    chomp(my $limit = `sh -c 'ulimit -S -n'`);
    return if $limit eq 'unlimited' || $limit >= $count || $ENV{LONC_LIMIT_RAISED}++;
    exec 'sh', '-c', 'ulimit -S -n "$0" && exec "$@"', $count, $^X, $0, @ARGV;
}

# In a child: puts the handles at this and the following descriptors, to be inherited.
sub give_descriptors {
    my ($first, @handles) = @_;
    # By way of high numbers: one may stand where another is to go, or where it is to go itself.
    my @copies = map { fcntl($_, 0, 200) // die "F_DUPFD: $!" } @handles;
    for my $copy (@copies) {
        POSIX::dup2($copy, $first++);
        POSIX::close($copy);
    }
}

# A listening socket for a host that outlives shims, as systemd or inetd holds it.
sub host_listener {
    my ($self, $host) = @_;
    unlink $self->path("sockets/$host");
    return IO::Socket::UNIX->new(Local => $self->path("sockets/$host"), Type => SOCK_STREAM,
        Listen => 4096) || die "listen for $host: $!";
}

# A shim without systemd-socket-activate: `socket`, a connection or a listener, is its descriptor 0
# (with `inetd` 1 and 2 too), or `listeners` are passed by LISTEN_FDS.
sub shim {
    my ($self, %with) = @_;
    my $channel = $with{channel} || $self->path('run/keeper.sock');
    unlink "$channel.missing"; # shims say once a minute what they all find; here each is to say it
    my @command = (@{$with{wrapper} || []}, program('lonc-shim'), '--channel', $channel, @{$with{options} || []});
    return $self->start('lonc-shim', \@command, setup => sub {
        give_descriptors($_, $with{socket}) for $with{socket} ? ($with{inetd} ? 0 .. 2 : 0) : ();
        if (my $listeners = $with{listeners}) {
            give_descriptors(3, @$listeners);
            @ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, scalar @$listeners);
        }
    });
}

# Sends one message with descriptors, as no shim would: Perl has no word for it, hence the system
# call. False where its number is not known (then $! is 0), or when it fails.
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

# A hand-over's message, or what a stranger makes of it.
sub handover_message {
    my (%with) = @_;
    return pack 'a4 C a S', $with{magic} // 'lonc', $with{version} // 1, $with{kind} // 'H', $with{count} // 1;
}

# A connection to the private channel, as a shim has.
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

# Clients that have sent one request each, and wait.
sub asking {
    my ($self, $host, @requests) = @_;
    return map { my $c = $self->client($host); $c->send("$_\n"); $c } @requests;
}

# As lonnet asks: connect, one line, one line back. undef for the end of the stream.
sub ask {
    my ($self, $host, $request) = @_;
    return $self->client($host)->ask($request);
}

# The answers to many requests asked at once, in the order of the requests, each by a client of its own.
sub ask_at_once {
    my ($self, $host, @requests) = @_;
    return map { $_->line } $self->asking($host, @requests);
}

# Also before perl takes everything apart in an order of its own.
END { $_->DESTROY for grep {defined} @all }

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$ || $self->{gone}++;
    local ($?, $!);
    $_->end for reverse @{$self->{processes}};
    if ($ENV{LONC_KEEP}) { print STDERR "kept: $self->{dir}\n" }
    else { remove_tree($self->{dir}) }
}

# A process of the world: its log, its end.
package Lonc::Process;
use Time::HiRes qw(time);

sub drain {
    my ($self) = @_;
    while (sysread $self->{out}, my $bytes, 65536) { $self->{log} .= $bytes }
}

# Waits for a line of its log, behind what was awaited before; dies when it does not come.
sub await {
    my ($self, $wanted, $patience) = @_;
    my $end = time + ($patience || $Lonc::PATIENCE);
    while (1) {
        $self->drain;
        if (substr($self->{log}, $self->{seen}) =~ /$wanted/) {
            $self->{seen} += $+[0];
            return 1;
        }
        my $left = $end - time;
        die "$self->{name} did not say $wanted; its log:\n$self->{log}" if $left <= 0 || $self->{ended};
        my $ready = '';
        vec($ready, fileno($self->{out}), 1) = 1;
        select($ready, undef, undef, $left);
        $self->{ended} = 1 if waitpid($self->{pid}, POSIX::WNOHANG()) > 0 && !$self->note_exit($?);
    }
}

sub note_exit {
    my ($self, $status) = @_;
    $self->{status} = $status;
    $self->drain;
    $self->note_finding if $ENV{LONC_SANITIZED} && $self->{log} =~ /runtime error: /;
    return 0;
}

# Beside AddressSanitizer, UBSan says what it finds to standard error alone: for tests/sanitized.
sub note_finding {
    my ($self) = @_;
    open my $file, '>', "$ENV{LONC_SANITIZED}/undefined.$self->{pid}" or die "$ENV{LONC_SANITIZED}: $!";
    print $file "$self->{name}:\n$self->{log}";
}

sub log { my ($self) = @_; $self->drain; return $self->{log} }

# How often something stands in its log.
sub said { my ($self, $what) = @_; return scalar(() = $self->log =~ /$what/g) }

# Seconds of CPU so far.
sub cpu {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{pid}/stat" or die "stat of $self->{name}: $!";
    my @fields = split ' ', (<$file> =~ s/.*\)//r); # from the state on, the third
    return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# How often it has waited for something so far.
sub waits {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{pid}/status" or die "status of $self->{name}: $!";
    return (join('', <$file>) =~ /^voluntary_ctxt_switches:\s*(\d+)/m)[0];
}

# ... all of its threads.
sub waits_of_all {
    my ($self) = @_;
    my $sum = 0;
    for my $path (glob "/proc/$self->{pid}/task/*/status") {
        open my $file, '<', $path or next; # it has ended
        $sum += (join('', <$file>) =~ /^voluntary_ctxt_switches:\s*(\d+)/m)[0];
    }
    return $sum;
}

# All of its memory that can be written, as gcore would have it; for root.
sub memory {
    my ($self) = @_;
    open my $maps, '<', "/proc/$self->{pid}/maps" or die "maps: $!";
    open my $file, '<:raw', "/proc/$self->{pid}/mem" or die "mem: $!";
    my $memory = '';
    while (<$maps>) {
        no warnings "portable"; # addresses have more than 32 bits
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        my ($at, $size) = (hex $from, hex($to) - hex $from);
        sysseek $file, $at, 0 or next;
        while ($size > 0 && (my $n = sysread $file, my $bytes, $size)) { $memory .= $bytes; $size -= $n }
    }
    return $memory;
}

# Stopped, it sees nothing of what happens until the code has run; then it sees all of it at once.
sub while_stopped {
    my ($self, $code) = @_;
    $self->signal('STOP');
    my $stopped = sub { open my $f, '<', "/proc/$self->{pid}/stat" or die; (<$f> =~ /\) (\w)/)[0] eq 'T' };
    Lonc::within($Lonc::PATIENCE, $stopped) or die "$self->{name} does not stop";
    $code->();
    $self->signal('CONT');
}

sub signal { kill $_[1], $_[0]{pid} or die "kill $_[0]{name}: $!" }

# Its exit status as waitpid gives it; killed when it does not leave in time.
sub wait_exit {
    my ($self, $patience) = @_;
    return $self->{status} if defined $self->{status};
    local $SIG{ALRM} = sub { kill 'KILL', $self->{pid} };
    alarm($patience || $Lonc::PATIENCE);
    waitpid $self->{pid}, 0;
    $self->note_exit($?);
    alarm 0;
    return $self->{status};
}

sub end {
    my ($self) = @_;
    return if defined $self->{status};
    kill 'CONT', $self->{pid};
    kill 'TERM', $self->{pid};
    $self->wait_exit(15);
}

# Stops it; when this returns it does not take another step.
sub pause {
    my ($self) = @_;
    $self->signal('STOP');
    my $pid = waitpid $self->{pid}, POSIX::WUNTRACED();
    return if $pid == $self->{pid} && $? == 0 && kill 0, $pid;
    $self->note_exit($?);
    die "$self->{name} ended instead of stopping; its log:\n$self->{log}";
}

sub resume { $_[0]->signal('CONT') }

# What the keeper answers over its control socket.
sub tells {
    my ($self, $request) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{control}) or die "control of $self->{name}: $!";
    $socket->print("$request\n");
    local $/;
    require JSON::PP;
    return JSON::PP::decode_json(scalar <$socket>);
}

# How many descriptors it has open.
sub descriptors {
    my ($self) = @_;
    if (opendir my $folder, "/proc/$self->{pid}/fd") { return scalar(grep {/^\d+$/} readdir $folder) }
    # Only root may look into the keeper; for others its own account must do.
    return $self->tells('status')->{descriptors};
}

# ... once those are closed that were on their way out; nothing tells when.
sub settled_descriptors {
    my ($self) = @_;
    my ($last, $before) = (-1);
    Lonc::within($Lonc::PATIENCE, sub {
        $before = $last;
        select undef, undef, undef, 0.05;
        ($last = $self->descriptors) == $before;
    });
    return $last;
}

sub kill_hard { my ($self) = @_; kill 'KILL', $self->{pid}; $self->wait_exit }

# A stand-in lond and its control socket.
package Lonc::Lond;
our @ISA = ('Lonc::Process');

sub control {
    my ($self, $line) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{control}) or die "control of $self->{name}: $!";
    $socket->print("$line\n");
    my $answer = <$socket> // die "no answer of $self->{name} to $line";
    chomp $answer;
    return $answer;
}

sub executed { $_[0]->control("executed $_[1]") }
sub connections { $_[0]->control('connections') }
sub counts { require JSON::PP; JSON::PP::decode_json($_[0]->control('counts')) }

# Waits until so many of its connections are in a state ('connections', 'idle', 'busy', 'open').
sub has {
    my ($self, $number, $state, $patience) = @_;
    my $has;
    Lonc::within($patience || 10, sub { ($has = $self->control($state)) == $number });
    return $has == $number;
}
sub peak { $_[0]->control('peak') }
sub open_connections { $_[0]->control('open') }

# A lonnet-like client.
package Lonc::Client;
use Time::HiRes qw(time);

sub new { return bless {socket => $_[1], rest => ''}, $_[0] }

sub send {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $self->{socket}->blocking(1);
    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes;
        return 0 unless defined $n;
        substr($bytes, 0, $n) = '';
    }
    return 1;
}

# The next line without its LF; undef at the end of the stream (what came of a line is in {rest}).
sub line {
    my ($self, $patience) = @_;
    my $end = time + ($patience || 150);
    while ((my $at = index $self->{rest}, "\n") < 0) {
        my $ready = '';
        vec($ready, fileno($self->{socket}), 1) = 1;
        my $left = $end - time;
        die "no answer in time" if $left <= 0 || !select($ready, undef, undef, $left);
        my $n = sysread $self->{socket}, $self->{rest}, 1 << 20, length $self->{rest};
        return undef unless $n;
    }
    my $line = substr $self->{rest}, 0, index($self->{rest}, "\n") + 1, '';
    chomp $line;
    return $line;
}

# All that comes until the end of the stream; `error` is set where it ends otherwise.
sub everything {
    my ($self, $patience) = @_;
    my $end = time + ($patience || 150);
    while (1) {
        my $ready = '';
        vec($ready, fileno($self->{socket}), 1) = 1;
        my $left = $end - time;
        die "no end of the stream in time" if $left <= 0 || !select($ready, undef, undef, $left);
        my $n = sysread $self->{socket}, $self->{rest}, 1 << 20, length $self->{rest};
        $self->{error} = "$!" unless defined $n;
        last unless $n;
    }
    return $self->{rest};
}

sub ask { my ($self, $request) = @_; $self->send("$request\n"); return $self->line }
sub half_close { shutdown $_[0]{socket}, 1 }

# Waits for the other side to close, without reading: seconds that took, undef if it does not come.
sub closed_within {
    my ($self, $seconds) = @_;
    my $start = time;
    my $poll = IO::Poll->new;
    $poll->mask($self->{socket}, IO::Poll::POLLHUP());
    return $poll->poll($seconds) > 0 ? time - $start : undef;
}

# Whether there is nothing to read, not even the end.
sub hears_nothing {
    my ($self) = @_;
    my $ready = '';
    vec($ready, fileno($self->{socket}), 1) = 1;
    return $self->{rest} eq '' && !select($ready, undef, undef, 0);
}
sub close { close $_[0]{socket} }

1;
