#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What activation costs, measured inside the booted system, side by side: each figure's rivals take turns, several
# rounds of them, and the medians are shown.
use strict;
use warnings;
use Booted;
use Time::HiRes qw(time);

$| = 1;
my ($uid, $gid) = (getpwnam 'www')[2, 3];
my $rounds = $ENV{LONC_ROUNDS} || 3;
my $requests = $ENV{LONC_REQUESTS} || 200;
my %socket;

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[$#sorted / 2] }

# An Accept=yes service that does nothing, with these options.
sub empty_service {
    my ($name, $options, $command) = @_;
    $command //= '/opt/lonc-tests/empty-service';
    write_file("/run/systemd/system/cost-$name.socket",
        "[Socket]\nListenStream=/run/cost-$name\nAccept=yes\nTriggerLimitIntervalSec=0\nMaxConnections=4096\nBacklog=4096\nSocketUser=www\n");
    write_file("/run/systemd/system/cost-$name@.service",
        "[Unit]\nCollectMode=inactive-or-failed\n[Service]\nExecStart=$command\nStandardInput=socket\n$options\n");
    $socket{$name} = "/run/cost-$name";
    return $name;
}

sub one_by_one { return load('--socket', $socket{$_[0]}, '--clients', 1, '--requests', $requests, '--command', 'echo:%u', '--timeout', 120)->numbers }
sub at_once { return load('--socket', $socket{$_[0]}, '--clients', 20, '--requests', 2 * $requests, '--command', 'echo:%u', '--timeout', 120)->numbers }

# name => {p50 (ms), pid1 (ms of CPU a connection), rate (20 clients)}
sub measure {
    my (@names) = @_;
    my %got;
    sh("systemctl start cost-$_.socket") for grep {-e "/run/systemd/system/cost-$_.socket"} @names;
    for (1 .. $rounds) {
        for my $name (@names) {
            my $cpu = pid1_cpu();
            my $n = one_by_one($name);
            push @{$got{$name}{pid1}}, 1000 * (pid1_cpu() - $cpu) / $requests;
            push @{$got{$name}{p50}}, $n->{p50} / 1000;
            push @{$got{$name}{rate}}, at_once($name)->{rate};
        }
    }
    sh("systemctl stop cost-$_.socket") for grep {-e "/run/systemd/system/cost-$_.socket"} @names;
    return map { my $name = $_; ($name => {map { $_ => median(@{$got{$name}{$_}}) } keys %{$got{$name}}}) } @names;
}

sub show {
    my ($names, %got) = @_;
    printf "%-34s %10s %14s %12s\n", '', 'p50, ms', 'PID 1, ms/conn', '20 clients/s';
    printf "%-34s %10.2f %14.2f %12.0f\n", $_, @{$got{$_}}{qw(p50 pid1 rate)} for @$names;
}

# The options of the unit that is installed, without what it runs.
my $options = join "\n", grep { !/^(\[|#|Exec|Description|Documentation|CollectMode|StandardInput|$)/ }
    split /\n/, read_file('/run/systemd/system/lonc-host-msul1@.service');
$socket{'per connection'} = "$sockets/msul1";
$socket{'shared'} = "$sockets/msul2";
write_file('/etc/lonc/keeper.conf', "activation_exceptions = msul2\n");
sh('systemctl reload lonc-keeper');

print "The two ways, and services that do nothing:\n";
my @names = ('per connection', empty_service('same-options', $options), empty_service('no-options', ''), 'shared');
sh('systemctl daemon-reload');
my %got = measure(@names);
show(\@names, %got);
my $ratio = $got{'per connection'}{p50} / $got{'same-options'}{p50};
printf "per connection, p50: %.2f of an empty service with the same options (wanted: at most 1.15; %s), %.2f of one with none\n",
    $ratio, $ratio <= 1.15 ? 'met' : 'NOT MET', $got{'per connection'}{p50} / $got{'no-options'}{p50};

my @options = (
    'Slice=system.slice', "\n[Unit]\nDefaultDependencies=no", 'StandardOutput=null StandardError=null', 'LogLevelMax=notice', 'LimitNOFILE=65536', 'UMask=0077', 'NoNewPrivileges=yes',
    'CapabilityBoundingSet=', "User=$uid Group=$gid", 'User=www Group=www', 'RestrictAddressFamilies=AF_UNIX', 'PrivateNetwork=yes',
    'SystemCallFilter=@system-service', 'MemoryDenyWriteExecute=yes', 'ProtectSystem=strict', 'PrivateTmp=yes', 'PrivateUsers=yes', 'DynamicUser=yes',
);
print "\nEach option by itself, on a service that does nothing:\n";
my $n = 0;
my %option_of = map { my $name = 'option-' . $n++; empty_service($name, join "\n", split /(?<=\S) (?=\w+=)/); $name => $_ } @options;
my @option_names = map {"option-$_"} 0 .. $#options;
sh('systemctl daemon-reload');
my %cost = measure('no-options', @option_names);
printf "%-46s p50 %6.2f ms, PID 1 %5.2f ms\n", 'none', $cost{'no-options'}{p50}, $cost{'no-options'}{pid1};
printf "%-46s     %+6.2f ms       %+5.2f ms\n", $option_of{$_} =~ s/\n(\[Unit\]\n)?//gr, $cost{$_}{p50} - $cost{'no-options'}{p50}, $cost{$_}{pid1} - $cost{'no-options'}{pid1}
    for @option_names;
print "\nexposure of $_: ", output("systemd-analyze security --no-pager '$_'") =~ /exposure level for \S+: ([\d.]+)/
    for 'lonc-keeper.service', 'lonc-host-msul1@1.service', 'lonc-shared@msul1.service', 'lonc-hosts-sync.service';
print "\n";
