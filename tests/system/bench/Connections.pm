# SPDX-License-Identifier: GPL-3.0-or-later
#
# A shim for each connection: compares it with services that do nothing, and measures what each option adds.
package Connections;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use Figures;
use Measured;

our @EXPORT = qw(per_connection);

my $requests = $ENV{LONC_REQUESTS} || 60;
my %path;

# Makes an Accept=yes service that does nothing, with these options. Returns its name.
sub empty_service {
    my ($name, $options) = @_;
    write_file("/run/systemd/system/cost-$name.socket",
        "[Socket]\nListenStream=/run/cost-$name\nAccept=yes\nTriggerLimitIntervalSec=0\nMaxConnections=4096\nBacklog=4096\nSocketUser=www\n");
    write_file("/run/systemd/system/cost-$name@.service",
        "[Unit]\nCollectMode=inactive-or-failed\n[Service]\nExecStart=/opt/lonc-tests/empty-service\nStandardInput=socket\n$options\n");
    $path{$name} = "/run/cost-$name";
    return $name;
}

sub run {
    my ($name, $clients, $count) = @_;
    return load('--socket', $path{$name}, '--clients', $clients, '--requests', $count, '--command', 'echo:%u', '--timeout', 120)->numbers;
}

# name => {p50 (ms), pid1 (ms of processor time for each connection), rate (20 clients)}, each a list over the rounds.
sub measure {
    my ($rounds, @names) = @_;
    my %got;
    sh('systemctl start ' . join ' ', map {"cost-$_.socket"} grep {-e "/run/systemd/system/cost-$_.socket"} @names);
    for my $round (1 .. $rounds) {
        for my $name (turn_about($round, @names)) {
            my $cpu = pid1_cpu();
            push @{$got{$name}{p50}}, run($name, 1, $requests)->{p50} / 1000;
            push @{$got{$name}{pid1}}, 1000 * (pid1_cpu() - $cpu) / $requests;
            push @{$got{$name}{rate}}, run($name, 20, $requests)->{rate};
        }
    }
    sh('systemctl stop ' . join ' ', map {"cost-$_.socket"} grep {-e "/run/systemd/system/cost-$_.socket"} @names);
    return \%got;
}

# The options of a unit, without those that say what it runs and for whom.
sub options_of {
    my ($unit) = @_;
    return join "\n", grep { !/^(\[|#|Exec|Description|Documentation|CollectMode|StandardInput|$)/ } split /\n/, read_file($unit);
}

my @tried = (
    'Slice=system.slice', "\n[Unit]\nDefaultDependencies=no", 'StandardOutput=null StandardError=null', 'LogLevelMax=notice', 'LimitNOFILE=65536', 'UMask=0077', 'NoNewPrivileges=yes',
    'CapabilityBoundingSet=', 'User=www Group=www', 'RestrictAddressFamilies=AF_UNIX', 'PrivateNetwork=yes',
    'SystemCallFilter=@system-service', 'MemoryDenyWriteExecute=yes', 'ProtectSystem=strict', 'PrivateTmp=yes', 'PrivateUsers=yes', 'DynamicUser=yes',
);

sub per_connection {
    my ($findings, $rounds) = @_;
    settings('activation = per-connection');
    took('systemctl reload lonc-keeper');
    $path{'per connection'} = "$sockets/msul1";
    my @beside = ('per connection', empty_service('same-options', options_of('/run/systemd/system/lonc-host-msul1@.service')), empty_service('no-options', ''));
    my ($uid, $gid) = (getpwnam 'www')[2, 3];
    my @options = (@tried, "User=$uid Group=$gid");
    my @names = map { empty_service("option$_", join "\n", split /(?<=\S) (?=\w+=)/, $options[$_]) } 0 .. $#options;
    sh('systemctl daemon-reload');

    my $got = measure($rounds, @beside);
    my $ratios = sub { my ($to) = @_; return [map { $got->{'per connection'}{p50}[$_] / $got->{$to}{p50}[$_] } 0 .. $rounds - 1] };
    $findings->figure(what => 'per connection: p50, relative to an empty service with the same options', most => 1.15, values => $ratios->('same-options'));
    $findings->figure(what => 'per connection: p50, relative to an empty service without options', values => $ratios->('no-options'));
    $findings->figure(what => 'per connection: 1 client: p50', unit => 'ms', values => $got->{'per connection'}{p50});
    $findings->figure(what => 'per connection: 20 clients: rate', unit => '/s', format => '%.0f', values => $got->{'per connection'}{rate});
    $findings->figure(what => "per connection: PID 1's processor time per connection", unit => 'ms', values => $got->{'per connection'}{pid1});

    my $cost = measure($rounds > 3 ? 3 : $rounds, 'no-options', @names);
    my %least = map { $_ => median(@{$cost->{'no-options'}{$_}}) } qw(p50 pid1);
    $findings->long_table(['added by an option to an empty service per connection', 'p50, ms', 'PID 1, ms'],
        ['(no option: total)', map { sprintf '%.2f', $least{$_} } qw(p50 pid1)],
        map { my $n = $_; [$options[$n] =~ s/\n(\[Unit\]\n)?//gr, map { sprintf '%+.2f', median(@{$cost->{$names[$n]}{$_}}) - $least{$_} } qw(p50 pid1)] } 0 .. $#options);
    settings();
    took('systemctl reload lonc-keeper');
}

1;
