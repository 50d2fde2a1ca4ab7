# SPDX-License-Identifier: GPL-3.0-or-later
#
# A control socket that answers like a keeper with any number of hosts, for the metrics and the page of loncctl. Its values
# are always the same and of every kind: hosts that are healthy, failing, dead, paused, never asked.
#
#     my $keeper = StandInKeeper->new("$dir/control.sock", hosts => 2000);
#     $keeper->{answers}{status}{version} = '<b>'; # any part of an answer can be changed before it is served
#     $keeper->serve;
package StandInKeeper;
use strict;
use warnings;
use File::Temp;
use IO::Socket::UNIX;
use JSON::PP;

sub true { JSON::PP::true }
sub false { JSON::PP::false }

sub new {
    my ($class, $path, %with) = @_;
    my $self = bless {path => $path, owner => $$}, $class;
    my @hosts = map { host($_) } 1 .. ($with{hosts} // 3);
    $self->{answers} = {status => status(@hosts), hosts => {hosts => [sort { $a->{id} cmp $b->{id} } @hosts]},
        histograms => histograms(), history => history()};
    $self->{spool} = File::Temp->newdir;
    spool($self->{spool}, @hosts);
    $self->{answers}{status}{deferred_folder} = "$self->{spool}";
    return $self;
}

# Answers in a process of its own, until the object is destroyed.
sub serve {
    my ($self) = @_;
    unlink $self->{path};
    my $listener = IO::Socket::UNIX->new(Local => $self->{path}, Type => SOCK_STREAM, Listen => 64) or die "listen: $!";
    $self->{pid} = fork // die "fork: $!";
    return $self if $self->{pid};
    $SIG{TERM} = 'DEFAULT';
    $SIG{PIPE} = 'IGNORE';
    my %text = map { $_ => encode_json($self->{answers}{$_}) } keys %{$self->{answers}};
    while (my $client = $listener->accept) {
        my ($verb) = (<$client> // '') =~ /^(\S*)/;
        print $client $text{$verb} // '{"ok":false,"errors":["no such verb"]}';
    }
    POSIX::_exit(1);
}

sub end {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'TERM', $pid;
    waitpid $pid, 0;
    unlink $self->{path};
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!);
    $self->end if $self->{owner} == $$;
}

# --- Its answers ----------------------------------------------------------------------------------

# Of a hundred hosts, two are dead, two failing, two paused, and ten were never asked. Of the first three, one is failing.
sub state_of {
    my ($n) = @_;
    return $n % 50 == 2 ? 'dead' : $n % 50 == 17 ? 'failing' : 'healthy';
}

sub host {
    my ($n) = @_;
    my $state = state_of($n);
    my $asked = $n % 10 != 0;
    my $requests = $asked ? 7 + $n * 7919 % 100_003 : 0;
    my $lost = $asked ? $n * 31 % 97 : 0;
    return {
        id => sprintf('msu%s%d', ($n % 3 ? 'l' : 'a'), $n), name => "lon$n.campus" . $n % 7 . ".example.edu", state => $state,
        paused => $n % 50 == 30 ? true : false, deferred_exact => true,
        addresses => ['192.0.2.' . $n % 250], mode => $asked ? (qw(ssl insecure local))[$n % 3] : undef, lond => $asked ? '1.421' : undef,
        connections => {opening => $state eq 'healthy' ? 0 : 1, idle => $asked ? $n % 4 : 0, busy => $n % 3},
        queued => $n % 50 == 30 ? 12 : $state eq 'healthy' ? 0 : $n % 9, $n % 50 == 30 ? (oldest_wait => 3.25) : (),
        requests => $requests, replies => $requests - $lost, con_lost => $lost ? {refused => $lost - $lost % 2, dead => $lost % 2} : {},
        latency => $asked ? {p50 => 0.001 + $n % 11 / 1000, p99 => 0.02 + $n % 13 / 100} : undef,
        deferred => $state eq 'dead' ? 40 + $n % 60 : 0, $state eq 'dead' ? (deferred_oldest => 3900 + $n) : (),
        reason => undef,
        $state eq 'dead' ? (reason => 'refused', dead_for => 4000.5 + 977 * ($n % 90), next_attempt_in => 12.5) : (),
        $state eq 'failing' ? (reason => 'tls', detail => 'certificate has expired', next_attempt_in => 0.5) : (),
    };
}

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

sub status {
    my (@hosts) = @_;
    my %con_lost;
    for my $host (@hosts) { $con_lost{$_} += $host->{con_lost}{$_} for keys %{$host->{con_lost}} }
    my %of = map { my $state = $_; $state => scalar grep { $_->{state} eq $state } @hosts } qw(healthy failing dead);
    my @trouble = sort { $a->{state} cmp $b->{state} } grep { $_->{state} ne 'healthy' || $_->{paused} } @hosts;
    return {
        version => '0.1', pid => 4711, up_for => 93_784.25, configured => true, stopping => false,
        troubles => [], trouble_kinds => [qw(config perm-log tls)],
        hosts => {total => scalar @hosts, %of, paused => scalar(grep { $_->{paused} } @hosts), trouble => [@trouble[0 .. ($#trouble > 99 ? 99 : $#trouble)]]},
        requests => sum(map { $_->{requests} } @hosts) + 5, replies => sum(map { $_->{replies} } @hosts), con_lost => {%con_lost, 'unknown-host' => 5},
        queued => sum(map { $_->{queued} } @hosts), deferred => sum(map { $_->{deferred} } @hosts),
        clients => 17, descriptors => 230, descriptors_max => 131_072, buffers => 1_048_576, buffers_limit => 268_435_456, handovers_cut => 0, control_refused => 0, create_done => 0, create_failed => 0,
        connections => {opening => 1, idle => 12, busy => 4},
        latency => {p50 => 0.0031, p99 => 0.182, p999 => 1.9}, queue_time => {p50 => 0, p99 => 0.04}, con_lost_time => {p50 => 0, p99 => 31.5}, rate => 27.4,
    };
}

sub histograms {
    return {
        bounds => [0.0001, 0.001, 0.01, 0.1, 1, 10, 100],
        request => {counts => [0, 120, 4000, 310, 12, 3, 0, 1], sum => 161.25, count => 4446},
        queue => {counts => [4000, 200, 100, 100, 40, 6, 0, 0], sum => 90.5, count => 4446},
        con_lost => {counts => [30, 0, 0, 0, 0, 2, 1, 0], sum => 92.25, count => 33},
    };
}

sub history {
    my $samples = sub {
        my ($n, $span, $busy) = @_;
        return [map {
            my $wave = 1 + sin($_ / $n * 9) * 0.6 + sin($_ * 1.7) * 0.2;
            my $storm = $_ > $n * 0.6 && $_ < $n * 0.66;
            my $asleep = $_ < $n / 12;
            {requests => $asleep ? 0 : int($busy * $span * $wave * ($_ == $n - 1 ? 0.4 : 1)), con_lost => $storm ? int($busy * $span / 3) : 0,
                queued => $storm ? 80 + $_ % 7 : $_ % 5, p50 => $asleep ? undef : 0.003 * $wave, p99 => $asleep ? undef : 0.06 * $wave * ($storm ? 20 : 1)}
        } 0 .. $n - 1];
    };
    return {hour => {span => 60, samples => $samples->(60, 60, 25)}, day => {span => 900, samples => $samples->(96, 900, 18)}};
}

# Puts as many deferred files into the folder as the hosts' numbers say, of all ages.
sub spool {
    my ($folder, @hosts) = @_;
    for my $host (grep { $_->{deferred} } @hosts) {
        for my $n (1 .. $host->{deferred}) {
            my $age = 200 * 2**($n * $n % 10);
            open my $file, '>', sprintf '%s/%d.%d.4711.put.%s', $folder, time - $age, $n, $host->{id} or die "spool: $!";
        }
    }
}

1;
