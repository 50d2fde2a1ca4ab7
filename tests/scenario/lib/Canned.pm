# SPDX-License-Identifier: GPL-3.0-or-later
#
# A control socket that gives the answers a test has prepared, for sizes and values that a real keeper does not reach.
#
#     my $canned = Canned->new;
#     $canned->hosts(Canned::host('msul1'), Canned::host('msul2', state => 'dead'));
#     `loncctl --socket $canned->{socket} hosts`
#
# The form of the answers is that of keeper/control/control.h.
package Canned;
use strict;
use warnings;
use FindBin;
use JSON::PP;
use Lonc;

my $json = JSON::PP->new->canonical->utf8;

sub new {
    my ($class) = @_;
    my $world = Lonc->new;
    my $self = bless {world => $world, socket => $world->path('run/control.sock')}, $class;
    mkdir $world->path('answers') or die "answers: $!";
    return $self->start;
}

sub start {
    my ($self) = @_;
    $self->{process} = $self->{world}->start('control socket',
        [$^X, "$FindBin::Bin/lib/control.pl", $self->{socket}, $self->{world}->path('answers')]);
    $self->{process}->await(qr/^ready$/m);
    return $self;
}

sub stop { $_[0]{process}->end }

# Sets the answer to a verb: a value, which becomes JSON, or a string, which is sent as it is.
sub says {
    my ($self, $verb, $answer) = @_;
    $self->{world}->write_file("answers/$verb.new", ref $answer ? $json->encode($answer) . "\n" : $answer);
    rename $self->{world}->path("answers/$verb.new"), $self->{world}->path("answers/$verb") or die "$verb: $!";
}

# Makes it not answer a verb at all.
sub forgets { my ($self, $verb) = @_; unlink $self->{world}->path("answers/$verb") }

# How often a verb was asked for.
sub was_asked { my ($self, $line) = @_; return $self->{process}->said(qr/^asked: \Q$line\E$/m) }

# Sets the answers to `status` and `hosts` to these hosts.
sub hosts {
    my ($self, @hosts) = @_;
    $self->says(status => status(@hosts));
    $self->says(hosts => {hosts => \@hosts});
}

sub host {
    my ($id, %with) = @_;
    my $dead = ($with{state} || '') eq 'dead';
    return {id => $id, name => "$id.example.edu", state => 'healthy', paused => JSON::PP::false,
        reason => $dead ? 'refused' : undef, $dead ? (dead_for => 75.5, next_attempt_in => 4.2) : (),
        addresses => ['192.0.2.1:5663'], mode => 'insecure', lond => '$Revision: 1.421 $',
        connections => {opening => 0, idle => 2, busy => 1}, queued => 0,
        requests => 1000, replies => 997, con_lost => {dead => 2, lost => 1},
        latency => {p50 => 0.00123, p99 => 0.034}, deferred => 0, deferred_exact => JSON::PP::true, %with};
}

sub status {
    my (@hosts) = @_;
    my %count = (total => scalar @hosts, healthy => 0, failing => 0, dead => 0, paused => 0);
    $count{$_->{state}}++ for @hosts;
    $count{paused} = grep { $_->{paused} } @hosts;
    my %rank = (dead => 0, failing => 1, healthy => 2);
    my @trouble = sort { $rank{$a->{state}} <=> $rank{$b->{state}} } grep { $_->{state} ne 'healthy' || $_->{paused} } @hosts;
    splice @trouble, 100 if @trouble > 100;
    return {version => '0.1', pid => 4711, up_for => 273845.2, configured => JSON::PP::true, stopping => JSON::PP::false, troubles => [],
        hosts => {%count, trouble => \@trouble}, requests => 123456, replies => 123000,
        con_lost => {dead => 400, lost => 50, 'queue-full' => 6}, queued => 3, deferred => 120, clients => 12,
        descriptors => 345, descriptors_max => 131072, buffers => 1_500_000, buffers_limit => 268435456,
        handovers_cut => 0, control_refused => 0, create_done => 0, create_failed => 0, connections => {opening => 1, idle => 40, busy => 7},
        latency => {p50 => 0.00123, p99 => 0.034, p999 => 1.25}, queue_time => {p50 => 0.00002, p99 => 0.0031}, con_lost_time => {p50 => 0, p99 => 31.5}, rate => 41.35};
}

# Adds these troubles of the keeper to the answers.
sub troubled {
    my ($self, $troubles, @hosts) = @_;
    $self->hosts(@hosts);
    $self->says(status => {%{status(@hosts)}, troubles => $troubles});
}

sub trouble {
    my ($kind, %with) = @_;
    return {trouble => $kind, detail => '/home/httpd/lonCerts/lonhost.pem: has expired', for => 7384.5,
        cost => 'londs that offer ssl are not reached with ssl', remedy => 'mend the certificate, key or CA file named', %with};
}

# --- Terminals ------------------------------------------------------------------------------------

# What a shell command shows on a terminal of that size: its lines, without trailing blanks.
sub on_terminal {
    my ($columns, $rows, $command) = @_;
    local $ENV{COMMAND} = "stty cols $columns rows $rows; $command";
    my $shown = `script -qec 'eval "\$COMMAND"' /dev/null </dev/null`;
    return split /\r?\n/, $shown;
}

1;
