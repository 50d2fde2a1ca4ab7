# SPDX-License-Identifier: GPL-3.0-or-later
#
# One short life of the keeper among real programs, with one call failing in it (interpose.c), and the judgement of it:
# nobody crashes, leaks, hangs or spins; each request has exactly one answer, the right one or con_lost; a live request
# was executed at most once; a deferred one has been delivered or is still there.
#
#     my $faults = Faults->new(keeper => 'build/lonc-keeper', life => 'ssl');
#     my @calls = $faults->census;                    # [call, number, stack] of a life without faults
#     my @wrong = $faults->life({call => 'recv', at => 3, error => 'ECONNRESET'});
#
# The stand-in lond, a shared shim and the sockets live as long as the object, so that a life is short. There are
# several kinds of lives, which differ in how lond is found and connected to.
package Faults;
use strict;
use warnings;
use Errno ();
use FindBin;
use IO::Select;
use JSON::PP;
use POSIX ();
use Socket;
use Time::HiRes qw(time);
use Certificates;
use Lonc;
use Dns; # it is one of Lonc's processes

$SIG{PIPE} = 'IGNORE'; # a keeper may leave while it is asked

# A life takes a quarter of a second. Whoever waits for this long would wait for ever.
our $PATIENCE = 40;

# If a life has more calls than one without faults, by this factor and number, somebody spins instead of waiting.
my ($MORE_CALLS, $SOME_CALLS) = (4, 20000);

# How each call can fail, as Linux documents it for the use that the programs make of it. recv does not fail with
# EAGAIN while there is data: the kernel never does that, and an edge-triggered reader relies on it.
my @memory = ('ENOMEM');
my @files = qw(EMFILE ENFILE ENOMEM);
my @disk = qw(ENOSPC EIO ENOMEM);
our %ERRORS = (
    (map { $_ => \@memory } qw(malloc calloc realloc reallocarray strdup)),
    (map { $_ => [@files] } qw(epoll_create1 eventfd timerfd_create signalfd inotify_init1)),
    socket => [@files, 'ENOBUFS'], connect => [qw(EINTR ECONNREFUSED ENETUNREACH EAGAIN)], bind => [qw(ENOMEM EACCES)],
    listen => ['EADDRINUSE'], accept4 => [qw(EINTR EAGAIN ECONNABORTED), @files],
    send => [qw(EINTR EAGAIN short ECONNRESET EPIPE ENOMEM)], recv => [qw(EINTR short ECONNRESET ENOMEM)],
    sendmsg => [qw(EAGAIN EPIPE ENOBUFS)], recvmsg => [qw(EINTR EAGAIN ECONNRESET ENOMEM)],
    recvfrom => [qw(EAGAIN EINTR ECONNREFUSED ENOMEM)],
    getsockopt => ['ENOBUFS'], setsockopt => [qw(ENOBUFS ENOMEM)], getsockname => ['ENOBUFS'],
    read => [qw(EINTR short EIO)], read_event => [qw(EINTR EAGAIN)], write => [qw(EINTR short), @disk], writev => [qw(EINTR short EAGAIN), @disk],
    open => [@files, qw(EINTR ENOSPC EACCES)], openat => [@files, qw(ENOSPC EACCES EIO)], fopen => [@files],
    fdopen => \@memory, opendir => [@files], fdopendir => \@memory, readdir => ['EIO'], close => [qw(EINTR EIO ENOSPC)],
    fclose => [qw(EIO ENOSPC)], fflush => [qw(EIO ENOSPC)], fchmod => ['EIO'], mkostemp => [@files, 'ENOSPC'], access => [qw(ENOMEM EIO)],
    poll => [qw(EINTR ENOMEM)], ioctl => ['ENOTTY'], fstat => ['ENOMEM'], stat => ['ENOMEM'], lstat => ['ENOMEM'], fstatat => [qw(ENOMEM EIO)],
    faccessat => [qw(ENOMEM EIO)], mkdir => [@disk], mkdirat => [@disk], rename => [@disk], renameat2 => [@disk],
    unlink => ['EIO'], unlinkat => [qw(EIO ENOMEM)], fsync => [qw(EIO ENOSPC)], epoll_ctl => [qw(ENOMEM ENOSPC)],
    epoll_wait => ['EINTR'], inotify_add_watch => [qw(ENOSPC ENOMEM)], pthread_create => ['EAGAIN'],
    io_setup => [qw(EAGAIN ENOMEM ENOSYS)], io_submit => ['EAGAIN'], io_getevents => ['EINTR'],
);

# It counts what it executes, and lives longer than any torture run.
my @LOND = ('--count-texts', '--lifetime', 86400);

# How lond is found and connected to: the host's id, and the options of its lond. With ssl, TLS is never optional.
our %LIVES = (
    insecure => ['msul1', sub { my ($self) = @_; return $self->{world}->lond('msul1', @LOND) }],
    ssl => ['msul1', \&lond_by_ssl],
    local => ['annarborl1', \&lond_of_this_host],
    names => ['msul1', \&lond_by_name],
    backlog => ['msul1', sub { my ($self) = @_; return $self->{world}->lond('msul1', @LOND) }], # and files wait already
);

# More files than the keeper has room for, so that some are known by name only (keeper/deferred/name_set.h).
my $BACKLOG = 100;

sub lond_by_ssl {
    my ($self) = @_;
    my $ca = $self->{ca} = Certificates->new;
    $self->{world}{variables} = {$ca->variables($ca->issue('annarborl1'))};
    return $self->{world}->lond('msul1', @LOND, $ca->lond($ca->issue('msul1.example.edu')));
}

sub lond_of_this_host {
    my ($self) = @_;
    my $lond = $self->{world}->lond('annarborl1', @LOND, '--listen', '127.0.0.1:0', '--auth', 'local,insecure');
    my ($port) = $lond->control('addresses') =~ /127\.0\.0\.1:(\d+)/;
    $self->{world}{variables} = {londPort => $port};
    return $lond;
}

# Each reload resolves the name again.
sub lond_by_name {
    my ($self) = @_;
    my $world = $self->{world};
    my $dns = Dns->new($world, 'msul1.example.edu' => {A => [$world->{address}{msul1}]});
    %{$world->{settings}} = (%{$world->{settings}}, resolve_servers => $dns->{at}, resolve_timeout => '2s', resolve_failure_cache => '10ms');
    return $world->lond('msul1', @LOND);
}

sub new {
    my ($class, %with) = @_;
    my $kind = $with{life} || 'insecure';
    my ($host, $start_lond) = @{$LIVES{$kind} or die "no life is $kind"};
    my $self = bless {
        keeper => $with{keeper}, interposer => $with{interposer}, lives => 0, name => "$$", kind => $kind, host => $host,
    }, $class;
    my $world = $self->{world} = Lonc->new(hosts => [$host], by_name => $kind eq 'names', settings => {
        log_level => 'info', connections_per_host => 2, retry_delay => '10ms', probe_min => '10ms', probe_max => '20ms',
        deferred_hold => '10ms', deferred_retry => '100ms', deferred_empty_timeout => '50ms', deferred_pace => '1ms',
        drain_line_timeout => '10ms', drain_timeout => '5s', connect_timeout => '2s', handshake_timeout => '2s', reply_timeout => '4s',
        queue_timeout => '6s', request_timeout => '8s', client_line_timeout => '10s', client_write_timeout => '10s',
        client_idle_timeout => '20s',
    });
    $self->{lond} = $start_lond->($self);
    $world->write_config;
    $self->{lond_control} = IO::Socket::UNIX->new(Peer => $self->{lond}{control}) or die "lond's control socket: $!";
    # Accepts each connection and starts a shim for it, as systemd does; by DNS name.
    $self->{single} = $world->host_listener("$host.example.edu");
    $world->shim(socket => $world->host_listener($host), options => ['--linger', 3600, '--ack-timeout', 20]);
    $self->{file} = $world->path('faults');
    return $self;
}

sub tell_lond {
    my ($self, $line) = @_;
    my $socket = $self->{lond_control};
    $socket->print("$line\n");
    my $answer = <$socket> // die "no answer of lond to $line";
    chomp $answer;
    return $answer;
}

sub lond_count { my ($self, $what) = @_; return decode_json($self->tell_lond('counts'))->{$what} }

# Into an array, because glob in scalar context would continue the list of its last call.
sub key_files { my ($self) = @_; my @files = glob $self->{world}->path('lonc-key-*'); return @files }

sub wrong { my ($self, $what) = @_; push @{$self->{wrong}}, $what }

# --- The program ----------------------------------------------------------------------------------

# The program with this call failing in it, or with none for the census.
sub start_program {
    my ($self, $fault, @command) = @_;
    unlink $self->{file}, "$self->{file}.trace";
    my %environment = (
        LD_PRELOAD => $self->{interposer}, FAULT_FILE => $self->{file},
        # The interposer comes before the sanitizers, whose functions it calls.
        ASAN_OPTIONS => 'verify_asan_link_order=0:exitcode=86:detect_leaks=1:allocator_may_return_null=1',
        UBSAN_OPTIONS => 'print_stacktrace=1:halt_on_error=1:exitcode=86',
        $fault ? (FAULT_CALL => $fault->{call}, FAULT_AT => $fault->{at},
            FAULT_ERROR => $fault->{error} eq 'short' ? 'short' : Errno->can($fault->{error})->()) : (FAULT_CENSUS => 1),
    );
    $self->{program} = $command[0];
    return $self->{process} = $self->{world}->start($command[0] =~ s{.*/}{}r, \@command, setup => sub { @ENV{keys %environment} = values %environment });
}

# Whether it has ended; its status is stored.
sub has_ended {
    my ($self) = @_;
    my $keeper = $self->{process};
    $keeper->note_exit($?) if !defined $keeper->{status} && waitpid($keeper->{pid}, POSIX::WNOHANG()) > 0;
    return defined $keeper->{status};
}

# Waits until it serves or has ended. If it listens without saying so, writing that line may be what failed.
sub await_keeper {
    my ($self) = @_;
    my ($path, $keeper) = ($self->{world}->path('run/keeper.sock'), $self->{process});
    my $began = time;
    until ($self->has_ended || $keeper->log =~ /is ready/) {
        last if -S $path && time > $began + 2;
        return $self->wrong('it neither listens nor leaves') if time > $began + $PATIENCE;
        my $ready = '';
        vec($ready, fileno($keeper->{out}), 1) = 1;
        select $ready, undef, undef, 0.1;
        select undef, undef, undef, 0.001; # at the end of its log there is always something to read
    }
    return;
}

# --- Requests -------------------------------------------------------------------------------------

# A connection of its own, with a shim for it.
sub single {
    my ($self) = @_;
    my $world = $self->{world};
    my $client = $world->client("$self->{host}.example.edu");
    my $accepted = $self->{single}->accept;
    my $shim = $world->shim(socket => $accepted, wrapper => $self->{wrapper});
    close $accepted;
    push @{$self->{shims_of_life}}, $shim;
    return $client;
}

# Whether a client may see the end of its stream: the keeper is gone; or the fault was that the client is gone; or the
# kernel had no memory in the middle of a reply, when nothing else can be sent; or it had none to watch the client,
# which got con_lost then and was closed.
sub may_end {
    my ($self, $client) = @_;
    return 1 if $self->has_ended;
    my $fault = $self->{fault} or return 0;
    my (undef, $struck, $family) = $self->shared;
    return 0 if !$struck || $family != AF_UNIX;
    return 1 if $fault->{call} eq 'epoll_ctl' && $client->{left};
    return 0 if $fault->{call} !~ /^(?:send|recv)$/;
    return $fault->{error} =~ /^(?:ECONNRESET|EPIPE)$/ || ($fault->{error} eq 'ENOMEM' && $client->{rest} ne '');
}

# Sends a request and judges the answer. lond counts `texts`: executed once if the answer is ok, else at most once.
sub ask {
    my ($self, $client, $request, $expected) = @_;
    my $text = $request =~ s/^(?:encrypt:|lonc_defer:)+//r;
    $self->{texts}{$text} = 'live' if $text =~ /^count:/ && $request !~ /^lonc_defer:/;
    $client->send("$request\n");
    my $line = eval { $client->line($PATIENCE) };
    my $short = substr $request, 0, 40;
    if ($@) { $self->wrong("$short: no answer") }
    elsif (!defined $line) {
        $self->wrong("$short: the stream ends without an answer") if !$self->may_end($client);
    }
    elsif ($line eq $expected) { $self->{texts}{$text} = 'once' if exists $self->{texts}{$text} }
    elsif ($request =~ /^lonc_defer:/ ? $line !~ /^(?:con_failed|con_lost|con_delayed|ok)\z/ : $line ne 'con_lost') {
        $self->wrong("$short: answered " . substr($line, 0, 60));
    }
    elsif (!$self->{fault}) { $self->wrong("$short: answered $line, though nothing failed") }
    $client->{left} = 1 if defined $line && $line eq 'con_lost';
    return $line;
}

# Exactly one answer for each request.
sub ends {
    my ($self, $client) = @_;
    $self->wrong('there is more than one answer') if !$client->hears_nothing && !$self->may_end($client) && $client->{rest} . (readline($client->{socket}) // '') ne '';
    $client->close;
}

# A client of the shared shim; the one before, if it is still connected.
sub kept {
    my ($self, $request, $expected) = @_;
    my $client = $self->{kept} ||= $self->{world}->client($self->{host});
    my $line = $self->ask($client, $request, $expected);
    delete $self->{kept} if !defined $line;
    return $line;
}

sub text { my ($self, $what) = @_; return "count:$self->{name}.$self->{lives}.$what" }

# --- Deferred -------------------------------------------------------------------------------------

sub drop {
    my ($self, $count, $content) = @_;
    my $name = '1700000000.' . ($self->{lives} * 1000 + $count) . ".1.count.$self->{host}";
    $self->{world}->write_file("sockets/delayed/$name", $content);
    return $name;
}

sub waiting { my ($self) = @_; return map { s{.*/}{}r } glob($self->{world}->path('sockets/delayed') . '/[0-9]*') }
sub everywhere { my ($self) = @_; my $folder = $self->{world}->path('sockets/delayed'); return glob "$folder/[0-9]* $folder/*/*" }

# Waits until nothing is deferred, but not longer than this; what is left is judged at the end.
sub await_delivery {
    my ($self) = @_;
    Lonc::within($self->{fault} ? 1 : $PATIENCE, sub { !$self->waiting || $self->has_ended });
}

# --- The control socket ---------------------------------------------------------------------------

sub loncctl {
    my ($self, @words) = @_;
    my $loncctl = $self->{world}->start('loncctl', [Lonc::program('loncctl'), '--socket', $self->{world}->path('run/control.sock'), @words]);
    my $status = $loncctl->wait_exit($PATIENCE);
    pop @{$self->{world}{processes}};
    $self->wrong("loncctl @words ends by signal " . ($status & 127)) if $status & 127;
    $self->wrong("loncctl @words fails, though nothing failed: " . $loncctl->log) if $status && !$self->{fault};
}

# A verb's answer is complete, or there is none.
sub tells {
    my ($self, @verbs) = @_;
    for my $verb (@verbs) {
        my $socket = IO::Socket::UNIX->new(Peer => $self->{world}->path('run/control.sock'));
        my $answer = '';
        if ($socket) {
            $socket->print("$verb\n");
            my $select = IO::Select->new($socket);
            while ($select->can_read($PATIENCE) ? (my $n = sysread $socket, $answer, 1 << 20, length $answer) : do { $self->wrong("$verb: no answer"); 0 }) { }
        }
        $self->wrong("$verb: " . ($answer || 'nothing') . ', though nothing failed') if !$self->{fault} && $answer !~ /^[\[{].*[\]}]\n?\z/s;
    }
}

# --- A shim's life --------------------------------------------------------------------------------

# A shim of one connection (`single`) or of a listener (`shared`) in which a system call fails. strace makes it fail,
# because nothing can be preloaded into a static program. The keeper lives as long as the object. Returns what was
# wrong, in words.
sub shim_life {
    my ($self, $mode, $fault) = @_;
    my $world = $self->{world};
    $world->keeper if !$world->{keeper};
    $self->{lives}++;
    @$self{qw(fault wrong texts process kept)} = ($fault, [], {}, $world->{keeper});
    my $known = @{$world->{processes}};
    my $trace = "$self->{file}.strace";
    my @inject = $fault ? ('-e', "inject=$fault->{call}:error=$fault->{error}:when=$fault->{at}") : ();
    my %with = (wrapper => ['strace', '-qq', '-o', $trace, @inject], options => ['--linger', $mode eq 'single' ? 10 : 0.05, '--ack-timeout', 3]);
    my $path = "$self->{host}.example.edu";
    my @clients = map { $world->client($path) } 1 .. ($mode eq 'single' ? 1 : 3);
    my $passed = $mode eq 'single' ? $self->{single}->accept : $self->{single};
    my $shim = $world->shim(socket => $passed, %with);
    close $passed if $mode eq 'single';
    # Clients still in the backlog when a shim of a listener has left are served by the next one.
    my $more = 0;
    for my $i (0 .. $#clients) {
        my $answered = sub { !$clients[$i]->hears_nothing };
        $clients[$i]->send($self->text($i) . "\n");
        Lonc::within($PATIENCE, sub { $answered->() || waitpid($shim->{pid}, POSIX::WNOHANG()) > 0 && !$shim->note_exit($?) && $mode eq 'shared' });
        if ($mode eq 'shared' && !$answered->() && !$more++) { $world->shim(socket => $self->{single}, options => ['--linger', 0.05]) }
        my $line = eval { $clients[$i]->line($PATIENCE) };
        my $times = $self->tell_lond('executed ' . $self->text($i));
        if (!defined $line) { $self->wrong("client $i: " . ($@ || 'the stream ends without an answer')) }
        elsif ($line eq 'ok' ? $times != 1 : $line ne 'con_lost' || $times > 0) { $self->wrong("client $i: answered $line, executed $times times") }
        elsif ($line ne 'ok' && !$fault) { $self->wrong("client $i: answered $line, though nothing failed") }
        $self->ends($clients[$i]);
    }
    $_->wait_exit($PATIENCE) for @{$world->{processes}}[$known .. $#{$world->{processes}}];
    $self->wrong('it ends by signal ' . ($shim->{status} & 127)) if $shim->{status} & 127;
    splice @{$world->{processes}}, $known;
    my $calls = $self->read_path($trace) // '';
    $self->{struck} = $calls =~ /\(INJECTED\)/;
    $self->{calls} = [map { /^(\w+)\(/ ? $1 : () } split /\n/, $calls];
    return @{$self->{wrong}};
}

# How the system calls of a shim can fail; its other calls only load the program.
our %SHIM_ERRORS = (
    socket => [@files, 'ENOBUFS'], connect => [qw(EAGAIN ECONNREFUSED ENOENT EINTR)], sendmsg => [qw(EAGAIN EPIPE ETOOMANYREFS ENOBUFS EINTR)],
    recvfrom => [qw(EAGAIN EINTR ECONNRESET)], epoll_create1 => [@files], epoll_ctl => [qw(ENOMEM ENOSPC)], epoll_pwait => ['EINTR'],
    accept4 => [qw(EINTR EAGAIN ECONNABORTED), @files], poll => [qw(EINTR ENOMEM)],
    close => [qw(EINTR EIO)], sendto => [qw(EPIPE EINTR)], shutdown => ['ENOTCONN'], newfstatat => ['ENOMEM'],
);

# [call, number] of each call that can fail in a shim's life without faults.
sub shim_census {
    my ($self, $mode) = @_;
    my @wrong = $self->shim_life($mode, undef);
    die join("\n", "a $mode shim without a fault:", @wrong) if @wrong;
    my %n;
    return map { [$_, ++$n{$_}] } grep { $SHIM_ERRORS{$_} } @{$self->{calls}};
}

# --- A life ---------------------------------------------------------------------------------------

sub steps {
    my ($self) = @_;
    my ($world, $keeper) = @$self{qw(world process)};
    my $client = $self->single;
    $self->ask($client, $self->text('single'), 'ok');
    $self->ends($client);
    $self->kept($self->text('kept'), 'ok');
    $self->kept('echo:again', 'again');
    $self->kept('encrypt:' . $self->text('secret'), 'ok');
    my $large = 'x' x 300_000;
    $self->kept('size:1000000', $self->{large} ||= $self->large_reply);
    $self->kept("echo:$large", $large);

    # Deferred: one to deliver, one that lond rejects, and one that is no transaction.
    my $text = $self->text('deferred');
    $self->{deferred}{$self->drop(1, "$text\n")} = $text;
    $self->{kept_files} = [$self->drop(2, "reply:refused\n"), $self->drop(3, "two\nlines\n")];
    $self->await_delivery;

    # lond restarts while a client stays connected, and then it is away for a while.
    $self->tell_lond('close-all');
    $self->kept($self->text('restarted'), 'ok');
    $self->tell_lond('stop-listening');
    $self->tell_lond('close-all');
    my $away = $self->{fault};
    local $self->{fault} = $away || {call => 'none', error => 'none'};
    $self->ask($client = $self->single, $self->text('away'), 'ok');
    $self->ends($client);
    my $later = $self->text('later');
    my $line = $self->kept("lonc_defer:$later", 'con_delayed');
    $self->{texts}{$later} = 'deferred' if defined $line && $line eq 'con_delayed';
    $self->tell_lond('listen');
    $self->kept('reset_retries', 'ok');
    $self->{fault} = $away;
    $self->await_delivery;

    # Administration.
    $self->tells('hosts', "connections $self->{host}", "send $self->{host} echo:\xe4", 'clients', 'config', 'histograms', 'history');
    {
        local $world->{address}{another} = "$world->{net}.254";
        $world->write_config;
        $self->loncctl('reload');
    }
    $world->write_config;
    my $ended = sub { $keeper->said(qr/hosts? in force|reload failed/) };
    my $before = $ended->();
    kill 'HUP', $keeper->{pid} if !$self->has_ended;
    Lonc::within($away ? 1 : $PATIENCE, sub { $ended->() > $before || $self->has_ended });
    $self->loncctl('status');
    kill 'USR1', $keeper->{pid} if !$self->has_ended;

    # Whatever failed, it has no lasting effect, not on new connections either.
    $self->tell_lond('close-all');
    my $n = 0;
    Lonc::within(10, sub { $self->has_ended || ($self->kept($self->text('well' . $n++), 'ok') // '') eq 'ok' }) && !$self->has_ended
        or $self->{spoiled} = $self->openssl_had_no_memory && !$self->has_ended
        or $self->wrong('afterwards it answers no request' . ($self->has_ended ? ': it has ended' : ''));
    $self->ends(delete $self->{kept}) if $self->{kept};
    return;
}

# OpenSSL 3.0 remembers the result of looking up an algorithm, even if the lookup failed for lack of memory, for the
# life of the process. Clients are answered con_lost then, and the log says why.
sub openssl_had_no_memory {
    my ($self) = @_;
    return $self->{kind} eq 'ssl' && $self->{fault} && $self->{fault}{error} eq 'ENOMEM' && $self->trace =~ /lib(?:crypto|ssl)\.so| at tls(?:work)?\.c/;
}

sub large_reply {
    my ($self) = @_;
    my $client = $self->{world}->client($self->{host});
    $client->send("size:1000000\n");
    return $client->line($PATIENCE);
}

sub stop_keeper {
    my ($self) = @_;
    my $keeper = $self->{process};
    if (!$self->has_ended) {
        kill 'TERM', $keeper->{pid};
        my $status = $keeper->wait_exit($PATIENCE);
        $self->wrong('it does not leave') if ($status & 127) == 9;
    }
    $_->wait_exit($PATIENCE) for @{$self->{shims_of_life}};
}

# (calls, whether one failed, the family of its socket, the census)
sub shared {
    my ($self) = @_;
    open my $file, '<:raw', $self->{file} or return (0, 0, 0, '');
    read $file, my $head, 16;
    my ($total, $struck, $family, $length) = unpack 'L4', $head;
    read $file, my $text, $length if $length;
    return ($total, $struck, $family, $text // '');
}

sub judge_texts {
    my ($self) = @_;
    my %there = map { m{([^/]+)\z}; ($1 => $_) } $self->everywhere;
    for my $text (sort keys %{$self->{texts}}) {
        my $times = $self->tell_lond("executed $text");
        my $state = $self->{texts}{$text};
        if ($state eq 'deferred') {
            my @still = grep { ($self->read_path($_) // '') =~ /^\Q$text\E$/m } values %there;
            $self->wrong("$text was stored, and is neither delivered nor there") if !$times && !@still;
        }
        elsif ($times > 1 || ($state eq 'once' && $times != 1)) { $self->wrong("$text was executed $times times") }
    }
    for my $name (sort keys %{$self->{deferred}}) {
        my $times = $self->tell_lond("executed $self->{deferred}{$name}");
        $self->wrong("deferred $name is lost") if !$times && !$there{$name};
        $self->wrong("deferred $name was delivered, and is still there, though nothing failed") if !$self->{fault} && $there{$name};
    }
    for my $name (@{$self->{kept_files}}) { $self->wrong("$name is lost") if !grep { /^\Q$name\E/ } keys %there }
}

sub read_path { my ($self, $path) = @_; open my $file, '<', $path or return undef; local $/; return scalar <$file> }

sub judge_end {
    my ($self, $ready) = @_;
    my $keeper = $self->{process};
    my ($status, $log) = ($keeper->{status}, $keeper->log);
    my ($total) = $self->shared;
    # Without memory at its start, libgcrypt ends the program, and OpenSSL may crash. OpenSSL leaks some bytes of its
    # own when it gets no memory; a leaked context or connection of the keeper would be larger.
    return if $status && !$ready && $self->trace =~ /cipher_initialize|begin_random at tls|libcrypto/;
    my ($leaked) = $log =~ /SUMMARY: AddressSanitizer: (\d+) byte\(s\) leaked/;
    return if $leaked && $leaked < 1024 && $self->{fault} && $log =~ /#1 .*libcrypto/ && $self->trace =~ / at (?:tls|tlswork)\.c|libcrypto/;
    $self->wrong("a sanitizer's report") if $log =~ /AddressSanitizer|LeakSanitizer|runtime error:/;
    $self->wrong('it ends by signal ' . ($status & 127)) if $status & 127;
    if ($ready) { $self->wrong('it ends with ' . ($status >> 8) . ' in the middle of its life') if $status >> 8 }
    elsif ($status == 0) { $self->wrong('it leaves with 0 without having served') }
    elsif ($log !~ /\S/) { $self->wrong('it refuses to start without a word') }
    $self->wrong("it makes $total calls, where $self->{usual} are usual") if $self->{usual} && !$self->{spoiled} && $total > $MORE_CALLS * $self->{usual} + $SOME_CALLS;
}

# Runs one life, with the fault, or without one for the census. Returns what was wrong, in words.
sub life {
    my ($self, $fault) = @_;
    my $world = $self->{world};
    my $began = time;
    $self->{lives}++;
    @$self{qw(fault wrong texts deferred kept_files shims_of_life kept spoiled)} = ($fault, [], {}, {}, [], []);
    my $known = @{$world->{processes}};
    my $insecure = $self->lond_count('insecure');
    if ($self->{kind} eq 'backlog') { $self->{deferred}{$self->drop($_, $self->text("old$_") . "\n")} = $self->text("old$_") for 11 .. 10 + $BACKLOG }
    IO::Socket::UNIX->new(Local => $world->path('run/control.sock'), Listen => 1); # a dead keeper's leftover
    my $keeper = $self->start_program($fault, $self->{keeper}, '--config', $world->path('keeper.conf'));
    $self->await_keeper;
    # Without keeper.conf it uses the default paths, where only systemd's sockets would find it, and not this test.
    my $serves = !$self->has_ended && -S $world->path('run/keeper.sock');
    eval { $self->steps; 1 } or $self->wrong("the life is cut short: $@") if $serves;
    my $ready = $keeper->log =~ /is ready/ || !$self->has_ended;
    $self->stop_keeper;
    $self->judge_texts;
    $self->judge_end($ready);
    # A keeper may start without certificates that it cannot load, if it says so.
    $self->wrong('a connection is insecure, where ssl was asked for')
        if $self->{kind} eq 'ssl' && $self->lond_count('insecure') > $insecure && $keeper->log !~ /ssl is off until a reload/;
    $self->wrong('a key file stays') if $self->key_files && !($fault && $fault->{call} =~ /^unlink/);
    $self->{struck} = ($self->shared)[1];
    $self->{refused} = !$serves;
    $self->{took} = time - $began;
    splice @{$world->{processes}}, $known;
    unlink $self->everywhere, $self->key_files, $world->path('run/keeper.sock'), $world->path('run/control.sock');
    $self->tell_lond('listen');
    return @{$self->{wrong}};
}

# The calls of a life without faults, as [call, number, stack]. Dies if even that life goes wrong.
sub census {
    my ($self) = @_;
    my @wrong = $self->life(undef);
    die join("\n", 'without a fault:', @wrong, $self->{process}->log) if @wrong;
    my ($total, undef, undef, $text) = $self->shared;
    $self->{usual} = $total;
    return map { [split / /] } split /\n/, $text;
}

# The stack of the call that failed, as far as it is in the keeper.
sub trace {
    my ($self) = @_;
    my $text = $self->read_path("$self->{file}.trace") // return 'nothing failed';
    my @addresses = map { m{^(?!.*\.so).*\(\+(0x[0-9a-f]+)\)} ? $1 : () } split /\n/, $text; # by whatever title
    return $text if !@addresses;
    return join ' < ', map { chomp; s{ at .*/}{ }r } `addr2line -fspe $self->{program} @addresses`;
}

1;
