# SPDX-License-Identifier: GPL-3.0-or-later
#
# A random world: clients of every kind send requests without pause, while everything goes wrong at times and in
# ways that a seed chooses: londs fail, stall and are killed; keeper and shims are killed, stopped and restarted;
# tables change and break; the disk is full; the clock steps. At the end everything is mended, what was deferred
# must drain, and Account.pm checks each request against what its client and the londs report.
#
# In one piece because the events share the state of the world: each is a short function, and %EVENTS lists them.
#
#     my $account = World->new(seed => 7, seconds => 20)->run;
#     print "$_\n" for $account->violations;
#
# The seed decides what happens and in which order. When it happens also depends on the machine.
package World;
use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(time sleep clock_gettime CLOCK_MONOTONIC);
use Account;
use Certificates;
use Deferred;
use Lonc;

my $DAY = 86400;
my @HOSTS = qw(shared1 shared2 moving1 single1); # single1: a shim for each connection
my %WEIGHTS = (shared1 => 35, shared2 => 30, moving1 => 25, single1 => 7, nohost1 => 3);

# What may happen, and with which weight.
my %EVENTS = (
    lond_fails => 15, lond_mends => 8, lond_dies => 3, lond_sleeps => 2, lond_refuses => 3, lond_hangs_up => 8,
    lond_slows => 4, lond_is_full => 2, keeper_dies => 3, keeper_restarts => 3, keeper_sleeps => 3, keeper_hears => 6,
    shim_dies => 4, shim_restarts => 3, single_shim_dies => 4, host_goes => 3, host_moves => 4, table_breaks => 3,
    disk_fills => 3, clock_steps => 4, files_come => 15, somebody_asks => 8, queue_is_held => 2,
);

# Left out are faults that the keeper cannot detect: a reply that is another complete line; a reply that lacks only its
# LF, which whatever lond sends next would complete; and a line that nobody asked for, which may cross a request and
# be taken for its reply.
my @REPLY_FAULTS = qw(silent close reset half stall two last drip noline);
my @LINE_FAULTS = qw(refuse silent close reset garbage noline drip half stall two last short long bare);
my @STATES = qw(Initialized ChallengeReplied ReadingVersionString HostSet);
my @KEY_FAULTS = qw(refuse silent close reset noline drip half stall two last bare); # not a wrong key, which the keeper would use

# Random numbers of its own (xorshift), since modules use those of perl, for instance to name files.
my $state;
sub random { $state ^= $state << 13 & 0xffffffff; $state ^= $state >> 17; $state ^= $state << 5 & 0xffffffff; return $_[0] * $state / 2**32 }
sub any { return $_[random(scalar @_)] }
sub microseconds { return int 1e6 * clock_gettime(CLOCK_MONOTONIC) }

my %mounted;
sub unmount { my ($self) = @_; my $path = delete $mounted{$self->{seed}}; system 'umount', '--lazy', $path if $path }
my $owner = $$; # not a child that ends before its exec
sub own { $owner = $$ }
END { local $?; system 'umount', '--lazy', $_ for $$ == $owner ? values %mounted : () }

# In its own mount namespace, root can have a full disk that disappears with the test.
sub isolate {
    return if $> != 0 || $ENV{LONC_ISOLATED}++;
    exec 'unshare', '--mount', '--propagation', 'private', $^X, $0, @ARGV or die "unshare: $!";
}

# Takes `seed`, `seconds`, `clients` and, for ssl, `ca`, a Certificates.
sub new {
    my ($class, %with) = @_;
    $state = ($with{seed} * 2654435761 & 0xffffffff) || 1;
    random(1) for 1 .. 20; # similar seeds begin with similar numbers
    # A client that reads gets its whole reply within drain_timeout, even on a slow machine.
    my %settings = (
        connect_timeout => '500ms', handshake_timeout => '700ms', reply_timeout => '700ms', queue_timeout => '2s',
        request_timeout => '4s', retry_delay => any('20ms', '100ms'), probe_min => '100ms', probe_max => '500ms',
        drain_timeout => '10s', connections_per_host => any(3, 10, 10), queue_per_host => any(100, 1000, 1000),
        buffers_limit => any('5M', '64M'), line_limit => '2M', connection_idle_timeout => any('200ms', '300s'),
        deferred_hold => '50ms', deferred_retry => '300ms', deferred_memory => any('4k', '64k'), log_level => 'info',
    );
    my $ssl = random(1) < 0.4;
    my $self = bless {%with, settings => \%settings, files => {}, faults => {}, later => [], happened => {},
        descriptors => any(0, 0, 64, 200)}, $class;
    $self->{ca} ||= Certificates->new if $ssl;
    my $world = $self->{world} = Lonc->new(hosts => \@HOSTS, settings => \%settings,
        variables => $ssl ? {$self->{ca}->variables($self->{ca}->issue('annarborl1'))} : {});
    $self->{ssl} = [$self->{ca}->lond($self->{ca}->issue('lond'))] if $ssl;
    my $n = 20; # the other address of each host
    $self->{addresses}{$_} = [$world->{address}{$_}, "$world->{net}." . ($world->{first} + $n++)] for @HOSTS;
    my $delayed = $world->path('sockets/delayed');
    $self->{disk} = $> == 0 && $ENV{LONC_ISOLATED} && system('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', $delayed) == 0;
    $mounted{$self->{seed}} = $delayed if $self->{disk};
    $world->write_file('clock', pack 'q', 0);
    return $self;
}

# --- Programs -------------------------------------------------------------------------------------

sub start_lond {
    my ($self, $host) = @_;
    my $world = $self->{world};
    my ($first, $second) = @{$self->{addresses}{$host}};
    local $world->{address}{$host} = $first; # whatever the table says at the moment
    $self->{lond}{$host} ||= $world->lond($host, '--listen', "$second:5663", '--id', 'another',
        '--executions', $world->path("executed-$host"), @{$self->{ssl} || []});
}

sub start_keeper {
    my ($self) = @_;
    return if $self->{keeper};
    my $world = $self->{world};
    $self->{keeper} = $world->keeper(channel => $self->{channel}, no_wait => 1, descriptors => $self->{descriptors},
        wrapper => ['env', 'LD_PRELOAD=' . Lonc::program('stepped-clock.so'), 'LONC_CLOCK=' . $world->path('clock')]);
}

sub start_shim {
    my ($self, $host) = @_;
    $self->{shim}{$host} ||= $self->{world}->shim(socket => $self->{listener}{$host}, options => ['--linger', 3]);
}

sub start {
    my ($self) = @_;
    my $world = $self->{world};
    $self->{channel} = $world->channel_listener;
    $self->start_lond($_) for @HOSTS;
    $self->start_keeper;
    for my $host (grep { $_ ne 'single1' } sort keys %WEIGHTS) {
        $self->{listener}{$host} = $world->host_listener($host);
        $self->start_shim($host);
    }
    $self->{single} = $world->activate('single1', mode => 'accept');
    $self->{clients} = $world->start('clients', [Lonc::program('world-clients'), '--seed', $self->{seed},
            '--clients', $self->{number} || 300, '--account', $world->path('account'),
            map { ('--socket', "$_=" . $world->path("sockets/$_") . "=$WEIGHTS{$_}") } sort keys %WEIGHTS]);
    $self->{clients}->await(qr/begin/);
}

# Notes that a program was killed between these two times.
sub note_cut { my ($self, $what, $from) = @_; push @{$self->{cuts}{$what}}, [$from, microseconds()] }

sub kill_process {
    my ($self, $process, $what) = @_;
    my $from = microseconds();
    $process->kill_hard;
    $self->note_cut($what, $from) if $what;
}

# The exit status of a program; undef while it runs.
sub has_left {
    my ($process) = @_;
    $process->drain;
    return $process->{status} if defined $process->{status};
    $process->note_exit($?) if waitpid($process->{pid}, POSIX::WNOHANG()) > 0;
    return $process->{status};
}

sub later { my ($self, $seconds, $code) = @_; push @{$self->{later}}, [time + random($seconds), $code] }

# --- What happens to londs ------------------------------------------------------------------------

sub tell_lond {
    my ($self, $line, $host) = @_;
    my $lond = $self->{lond}{$host ||= any(@HOSTS)};
    my $answer = $lond && !$self->{asleep}{$host} ? $lond->control($line) : '';
    die "a lond answers $line with $answer" if $answer =~ /^error/;
    return $host;
}

sub lond_fails {
    my ($self) = @_;
    my $fault = random(1) < 0.5 ? any(@REPLY_FAULTS) . '@ReceivingReply' : random(1) < 0.2 ? any(@LINE_FAULTS[0 .. 5]) . '@accept' : random(1) < 0.1 ? any(qw(silent close reset)) . '@Idle'
        : random(1) < 0.2 ? any(@KEY_FAULTS) . '@ReceivingKey' : any(@LINE_FAULTS) . '@' . any(@STATES);
    $self->tell_lond("fault $fault,times=" . any(1, 1, 2, 3, 10));
}

sub lond_mends { $_[0]->tell_lond('fault none') }

sub lond_dies {
    my ($self) = @_;
    my $lond = delete $self->{lond}{my $host = any(@HOSTS)} or return;
    $lond->kill_hard;
    delete $self->{asleep}{$host};
    $self->later(0.8, sub { $self->start_lond($host) });
}

sub lond_sleeps {
    my ($self) = @_;
    my $host = any(@HOSTS);
    my $lond = $self->{lond}{$host} or return;
    return if $self->{asleep}{$host}++;
    $lond->signal('STOP');
    $self->later(0.7, sub { $lond->signal('CONT') if delete $self->{asleep}{$host} });
}

sub lond_refuses {
    my ($self) = @_;
    my $host = $self->tell_lond('stop-listening');
    $self->later(1, sub { $self->tell_lond('listen', $host) });
}

sub lond_hangs_up { $_[0]->tell_lond(any('close-all', 'close-all reset', 'kill-busy', 'close-idle')) }

sub lond_slows {
    my ($self) = @_;
    my $host = $self->tell_lond('set delay ' . any(1, 5, 50));
    $self->later(1, sub { $self->tell_lond('set delay 0', $host) });
}

sub lond_is_full {
    my ($self) = @_;
    my $host = $self->tell_lond('set max-connections ' . any(1, 2));
    $self->later(1, sub { $self->tell_lond('set max-connections 0', $host) });
}

# --- What happens here ----------------------------------------------------------------------------

sub keeper_dies {
    my ($self) = @_;
    my $keeper = delete $self->{keeper} or return;
    $self->kill_process($keeper, 'keeper');
    $self->note_cut('restart', delete $self->{leaving}) if $self->{leaving}; # during the restart
    $self->later(0.5, sub { $self->start_keeper });
}

sub keeper_restarts {
    my ($self) = @_;
    return if !$self->is_ready || $self->{leaving};
    $self->{leaving} = microseconds();
    $self->{keeper}->signal('TERM');
}

sub keeper_sleeps {
    my ($self) = @_;
    my $keeper = $self->{keeper} or return;
    $keeper->signal('STOP');
    sleep random(0.4); # no other event meanwhile, since many would wait for the keeper
    $keeper->signal('CONT');
}

sub keeper_hears { my ($self) = @_; $self->{keeper}->signal(any(qw(HUP USR1 USR2))) if $self->{keeper} && $self->is_ready }

# A signal would end a keeper that is not ready yet.
sub is_ready { my ($self) = @_; return $self->{keeper} && $self->{keeper}->log =~ /is ready/ }

sub shim_dies {
    my ($self) = @_;
    my $shim = delete $self->{shim}{my $host = any(grep { $_ ne 'single1' } sort keys %WEIGHTS)} or return;
    $self->kill_process($shim, $host);
    $self->later(0.3, sub { $self->start_shim($host) });
}

sub shim_restarts {
    my ($self) = @_;
    my $shim = $self->{shim}{any(grep { $_ ne 'single1' } sort keys %WEIGHTS)};
    # Not before its exec.
    $shim->signal('TERM') if $shim && !defined has_left($shim) && (readlink("/proc/$shim->{pid}/exe") // '') =~ /lonc-shim\z/;
}

sub single_shim_dies {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{single}{pid}/task/$self->{single}{pid}/children" or return;
    my $pid = any(split ' ', <$file> // '') or return;
    my $from = microseconds();
    kill 'KILL', $pid or return;
    # Its descriptors are closed once it is a zombie or gone.
    Lonc::within($Lonc::PATIENCE, sub { open my $stat, '<', "/proc/$pid/stat" or return 1; (<$stat> // ') Z') =~ /\) Z/ });
    $self->note_cut('single1', $from);
}

sub reload {
    my ($self) = @_;
    $self->{world}->write_config;
    $self->{keeper}->signal('HUP') if $self->is_ready;
}

sub host_goes {
    my ($self) = @_;
    delete $self->{world}{address}{my $host = any(@HOSTS)};
    $self->reload;
    $self->later(0.7, sub { $self->{world}{address}{$host} = $self->{addresses}{$host}[0]; $self->reload });
}

sub host_moves {
    my ($self) = @_;
    my $host = any('moving1', @HOSTS);
    $self->{world}{address}{$host} = any(@{$self->{addresses}{$host}}) if $self->{world}{address}{$host};
    $self->reload;
}

sub table_breaks {
    my ($self) = @_;
    my $world = $self->{world};
    my ($file, $text) = @{any(['tabs/hosts.tab', "shared1:msu\n"], ['keeper.conf', "connections_per_host = many\n"],
            ['loncapa.conf', "PerlSetVar londPort none\n"], ['tabs/hosts.tab', "\0\xff" x 1000])};
    my $before = $world->read_file($file);
    $world->write_file($file, $before . $text);
    $self->{keeper}->signal('HUP') if $self->is_ready;
    $self->later(0.4, sub { $self->reload });
}

sub disk_fills {
    my ($self) = @_;
    return if !$self->{disk} || $self->{disk_full}++;
    open my $ballast, '>', $self->{world}->path('sockets/delayed/ballast') or return;
    for my $size (65536, 512, 1) { 1 while syswrite $ballast, 'x' x $size }
    close $ballast;
    $self->later(1.5, sub { $self->empty_disk });
}

sub empty_disk { my ($self) = @_; unlink $self->{world}->path('sockets/delayed/ballast') if delete $self->{disk_full} }

sub set_clock {
    my ($self, $seconds) = @_;
    open my $clock, '+<', $self->{world}->path('clock') or die "clock: $!";
    syswrite $clock, pack 'q', $seconds;
}

# With ssl, not beyond the validity of the certificates.
sub clock_steps { $_[0]->set_clock(any(0, 1, $DAY, $_[0]{ssl} ? () : (-1, -$DAY, -400 * $DAY, 400 * $DAY))) }

# --- What others do -------------------------------------------------------------------------------

sub files_come {
    my ($self) = @_;
    my $host = any(@HOSTS);
    for (1 .. any(1, 2, 10)) {
        my $n = 1 + keys %{$self->{files}};
        my $secret = random(1) < 0.2;
        my $line = ($secret ? 'encrypt:' : '') . "count:F$n-$host";
        if (!eval { drop($self->{world}, $host, $n, $line, end => any("\n", "\n", '')) }) { # a full disk
            unlink $self->{world}->path('sockets/delayed/' . name_of($host, $n));
            last;
        }
        $self->{files}{$n} = [$host, $secret ? 1 : 0];
    }
}

sub ask_keeper { my ($self, $line) = @_; return $self->is_ready && !$self->{leaving} ? eval { $self->{keeper}->tells($line) } : undef }

sub somebody_asks {
    my ($self) = @_;
    my $host = any(@HOSTS);
    my $verb = any('status', 'hosts', 'clients', 'config', 'reload', "connections $host", "retry $host", 'retry ALL', "reconnect $host",
        "flush $host", "pause $host");
    $self->ask_keeper($verb);
    $self->later(1, sub { $self->ask_keeper("resume $host") }) if $verb =~ /^pause/;
}

sub loncctl {
    my ($self, @words) = @_;
    my $loncctl = $self->{world}->start('loncctl', [Lonc::program('loncctl'), '--socket', $self->{world}->path('run/control.sock'), @words]);
    $loncctl->wait_exit;
    pop @{$self->{world}{processes}};
    return $loncctl;
}

sub queue_is_held {
    my ($self) = @_;
    my $host = any(@HOSTS, 'ALL');
    return if !$self->is_ready || $self->{leaving};
    $self->loncctl('queue', 'hold', $host);
    $self->later(1, sub { $self->loncctl('queue', 'release', $host) if $self->is_ready && !$self->{leaving} });
}

# --- The course of the world ----------------------------------------------------------------------

sub violation { my ($self, $what) = @_; push @{$self->{wrong}}, $what }

# Restarts programs that have exited, and reports those that should not have.
sub look_around {
    my ($self) = @_;
    $_->drain for values %{$self->{lond}}, grep {defined} $self->{keeper}, $self->{single}, $self->{clients};
    my $status = $self->{keeper} ? has_left($self->{keeper}) : undef;
    if (defined $status) {
        $self->violation("the keeper has ended by itself, status $status:\n" . $self->{keeper}->log) if !$self->{leaving};
        $self->violation("the keeper leaves with status $status") if $self->{leaving} && $status != 0;
        $self->note_cut('restart', $self->{leaving}) if $self->{leaving};
        delete @$self{qw(keeper leaving)};
        $self->start_keeper;
    }
    if ($self->{leaving} && microseconds() - $self->{leaving} > 60e6) {
        $self->violation('the keeper does not leave');
        $self->keeper_dies;
    }
    for my $host (sort keys %{$self->{shim}}) {
        my $left = has_left($self->{shim}{$host});
        next if !defined $left;
        $self->violation("the shim of $host leaves with status $left: " . $self->{shim}{$host}->log) if $left != 0 && $left != 15; # SIGTERM came before it had a handler
        delete $self->{shim}{$host};
        $self->start_shim($host);
    }
    for my $host (sort keys %{$self->{lond}}) {
        $self->violation("the stand-in lond of $host has ended: " . $self->{lond}{$host}->log) if defined has_left($self->{lond}{$host});
    }
}

sub catch_up {
    my ($self, $when) = @_;
    my @due = grep { $_->[0] <= $when } @{$self->{later}};
    @{$self->{later}} = grep { $_->[0] > $when } @{$self->{later}};
    $_->[1]->() for @due;
}

sub let_happen {
    my ($self) = @_;
    my @bag = map { ($_) x $EVENTS{$_} } sort keys %EVENTS;
    my $end = time + $self->{seconds};
    while (time < $end && !$self->{wrong}) {
        my $event = any(@bag);
        $self->{happened}{$event}++;
        $self->$event;
        sleep random(0.12);
        $self->catch_up(time);
        $self->look_around;
    }
}

sub keep_looking {
    my ($self, $seconds, $code) = @_;
    return Lonc::within($seconds, sub { $self->look_around; $code->() });
}

# Mends everything, so that all work can be completed.
sub mend {
    my ($self) = @_;
    $self->catch_up(9e9);
    $self->set_clock(0);
    $self->empty_disk;
    $self->{world}{address}{$_} ||= $self->{addresses}{$_}[0] for @HOSTS;
    $self->{world}->write_config;
    for my $host (@HOSTS) {
        $self->tell_lond($_, $host) for 'fault none', 'set delay 0', 'set max-connections 0', 'listen';
    }
    $self->keep_looking($Lonc::PATIENCE, sub { $self->is_ready && !$self->{leaving} }) or $self->violation('the keeper is not ready');
    my $reload = $self->ask_keeper('reload');
    $self->violation('the right tables are not taken') if !$reload || !$reload->{ok};
    $self->ask_keeper("resume $_") for @HOSTS;
    $self->loncctl('queue', 'release', 'ALL');
}

# Waits while files are being delivered.
sub await_drain {
    my ($self) = @_;
    my $world = $self->{world};
    $self->ask_keeper('retry ALL');
    my ($least, $since) = (1e9, time);
    $self->keep_looking(600, sub {
        my $left = () = left($world), aside($world, 'held');
        ($least, $since) = ($left, time) if $left < $least;
        return !$left || time - $since > $Lonc::PATIENCE;
    });
    $self->violation("$least deferred files do not drain: " . join ' ', left($world), aside($world, 'held')) if $least;
}

sub finish {
    my ($self) = @_;
    my $clients = $self->{clients};
    $clients->signal('TERM');
    $self->keep_looking(200, sub { defined has_left($clients) }) or $self->violation('clients wait for ever');
    $self->violation('the clients: ' . $clients->log) if ($clients->{status} // -1) != 0;
    $self->await_drain;
    my $idle = sub { my $now = $self->ask_keeper('clients'); $now && $now->{total} == 0 };
    $self->keep_looking($Lonc::PATIENCE, $idle) or $self->violation('the keeper still has clients');
    if ($self->{keeper}) {
        $self->{keeper}->signal('TERM');
        my $status = $self->{keeper}->wait_exit;
        $self->violation("the keeper ends with status $status") if $status != 0;
    }
}

sub run {
    my ($self) = @_;
    $self->start;
    $self->let_happen;
    $self->mend;
    $self->finish;
    my $account = Account->new($self);
    $self->show($account) if $account->violations;
    $self->unmount;
    return $account;
}

# For finding the cause: keeps the world's folder, with all logs.
sub show {
    my ($self, $account) = @_;
    my $n = 0;
    for my $process (@{$self->{world}{processes}}) {
        $process->drain;
        $self->{world}->write_file(sprintf('log-%03d-%s', $n++, $process->{name} =~ s/\W+/-/gr), $process->{log});
    }
    $self->{world}->write_file('violations', join '', map {"$_\n"} $account->violations);
    system 'cp', '-a', $self->{world}{dir}, "$self->{world}{dir}-$self->{seed}";
    print STDERR "kept: $self->{world}{dir}-$self->{seed}\n";
}

1;
