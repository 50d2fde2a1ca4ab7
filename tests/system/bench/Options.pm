# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures what the sandbox of the shared shim adds to the first request, which waits for the shim's start: each option
# of its unit by itself, and each option that only lonc-keeper.service has. All services are started anew in every
# round, in random order.
package Options;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use Figures;
use List::Util qw(shuffle);
use Measured;
use Plain;

our @EXPORT = qw(option_costs);

my $shim_unit = '/usr/lib/systemd/system/lonc-shared.service';
my $keeper_unit = '/usr/lib/systemd/system/lonc-keeper.service';

# Options that are not about the sandbox, or need folders.
my $other = qr/^(?:Exec.*|Description|Documentation|PartOf|Conflicts|After|Before|Wants|Requires|CollectMode|StartLimit.*|OnFailure|DefaultDependencies
    |Type|Restart.*|LogLevelMax|LimitNOFILE|Timeout.*|Watchdog.*|SuccessExitStatus|Sockets|FileDescriptor.*|Slice|RuntimeDirectory.*|ReadWritePaths)$/x;
my %with = (Group => 'User', SystemCallErrorNumber => 'SystemCallFilter'); # they go together

# The options of a unit's sandbox in their order, as lists of a name and its lines.
sub sandbox_of {
    my ($unit) = @_;
    my (@names, %lines);
    for (read_file($unit) =~ /^(\w+=.*)$/mg) {
        my ($name) = /^(\w+)=/;
        next if $name =~ $other;
        $name = $with{$name} || $name;
        push @names, $name if !$lines{$name};
        push @{$lines{$name}}, $_;
    }
    return map { [$_, join "\n", @{$lines{$_}}] } @names;
}

# The contenders: the name of each, what it is, and the lines of its unit. All others have the lines of the first too.
sub contenders {
    my @installed = sandbox_of($shim_unit);
    my %has = map { $_->[0] => 1 } @installed;
    my ($user) = map { $_->[1] } grep { $_->[0] eq 'User' } @installed;
    my @options = map { $_->[1] } grep { $_->[0] ne 'User' } @installed;
    # The keeper needs the network and /home.
    my @left_out = map { $_->[1] =~ s/^(ProtectHome=).*/$1yes/r } grep { !$has{$_->[0]} } sandbox_of($keeper_unit), ['PrivateNetwork', 'PrivateNetwork=yes'];
    my $n = 0;
    my $contender = sub { my ($kind, $what, @lines) = @_; return {name => 'option' . $n++, kind => $kind, what => $what =~ s/\n/ /gr, lines => join "\n", $user, @lines} };
    return $contender->('none', $user), (map { $contender->('only', $_, $_) } @options), $contender->('installed', 'all of these', @options),
        (map { $contender->('beside', $_, @options, $_) } @left_out), @left_out ? $contender->('everything', 'all of these', @options, @left_out) : ();
}

# How much longer the first request takes than the second, and the processor time of PID 1, in milliseconds.
sub start_once {
    my ($contender) = @_;
    sh("systemctl stop bench-$contender->{name}.service");
    settle();
    my $cpu = pid1_cpu();
    my $first = timed_request(plain_path($contender->{name}));
    push @{$contender->{pid1}}, 1000 * (pid1_cpu() - $cpu);
    push @{$contender->{added}}, 1000 * ($first - timed_request(plain_path($contender->{name})));
}

sub exposure { return output("systemd-analyze security --no-pager $_[0]") =~ /exposure level for \S+: ([\d.]+)/ ? $1 : die "no exposure of $_[0]\n" }

sub option_costs {
    my ($findings, $rounds) = @_;
    my @contenders = contenders();
    plain_begin(map { $_->{name} } @contenders);
    plain_service($_->{name}, $_->{lines}) for @contenders;
    sh('systemctl daemon-reload');
    sh('systemctl start ' . join ' ', map {"bench-$_->{name}.socket"} @contenders) == 0 or die "sockets do not start\n";
    timed_request(plain_path($_->{name})) for @contenders; # the keeper connects to lond
    for (1 .. $rounds) {
        start_once($_) for shuffle(@contenders);
    }
    my %of = map { $_->{kind} => $_ } grep { $_->{kind} !~ /^(?:only|beside)$/ } @contenders;
    my %base = (none => undef, only => 'none', installed => 'none', beside => 'installed', everything => 'installed');
    my $row = sub {
        my ($contender) = @_;
        my $base = $base{$contender->{kind}};
        return [$contender->{what} . ($base ? '' : ' (total)'), map { my $is = median(@{$contender->{$_}}); $base ? sprintf '%+.1f', $is - median(@{$of{$base}{$_}}) : sprintf '%.1f', $is } qw(added pid1)];
    };
    $findings->long_table(['added to the first request by an option of lonc-shared.service', 'ms', 'PID 1, ms'], map { $row->($_) } grep { $_->{kind} !~ /^(?:beside|everything)$/ } @contenders);
    $findings->long_table(['would be added to that by an option it does not have', 'ms', 'PID 1, ms'], map { $row->($_) } grep { $_->{kind} =~ /^(?:beside|everything)$/ } @contenders) if $of{everything};
    $findings->figure(what => "systemd-analyze security: $_->[0]", format => '%.1f', values => [exposure($_->[1])])
        for ['lonc-shared.service', "bench-$of{installed}{name}.service"], ['its User= alone', "bench-$of{none}{name}.service"],
        $of{everything} ? ['with the options it does not have', "bench-$of{everything}{name}.service"] : (), ['lonc-keeper.service', 'lonc-keeper.service'];
    plain_end();
}

1;
