# SPDX-License-Identifier: GPL-3.0-or-later
#
# Measures what requests cost while the shim runs, as installed and for the same programs without a sandbox. Both take
# turns in short runs, and a ratio compares runs of one round.
package Rates;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use Figures;
use Measured;
use Plain;

our @EXPORT = qw(rates);

my $seconds = $ENV{LONC_SECONDS} || 0.8;

# A run of that number of clients with a connection for each request. Returns lonnet-load's numbers and PID 1's share
# of a processor.
sub run {
    my ($path, $clients) = @_;
    my ($cpu, $began) = (pid1_cpu(), now());
    my $n = load('--socket', $path, '--clients', $clients, '--seconds', $seconds, '--warm', '--check')->numbers;
    die "$path: $n->{ok} of $n->{requests} were answered\n" if !$n->{ok} || $n->{ok} != $n->{requests};
    return {%$n, pid1 => 100 * (pid1_cpu() - $cpu) / (now() - $began)};
}

my @shown = ([1, 'p50', '%.0f'], [1, 'rate', '%.0f'], [20, 'rate', '%.0f'], [20, 'p50', '%.0f'], [20, 'p99', '%.0f'], [20, 'pid1', '%.1f %%']);

sub rates {
    my ($findings, $rounds) = @_;
    plain_begin('plain');
    plain_service('plain', "User=www\nGroup=www");
    sh('systemctl daemon-reload; systemctl start bench-plain.socket');
    my %path = (installed => "$sockets/msul1", plain => plain_path('plain'));
    my %runs;
    for my $round (1 .. $rounds) {
        for my $name (turn_about($round, sort keys %path)) {
            push @{$runs{$name}{$_}}, run($path{$name}, $_) for 1, 20;
        }
    }
    plain_end();
    my $of = sub { my ($name, $clients, $what) = @_; return map { $_->{$what} } @{$runs{$name}{$clients}} };
    my $ratios = sub {
        my @is = map { [$of->($_, @_)] } qw(installed plain);
        return map { $is[0][$_] / $is[1][$_] } 0 .. $#{$is[0]};
    };
    $findings->figure(what => '1 client: p50, relative to the same programs without a sandbox', most => 1.25, values => [$ratios->(1, 'p50')]);
    $findings->figure(what => '20 clients: rate, relative to the same programs without a sandbox', least => 0.85, values => [$ratios->(20, 'rate')]);
    my $row = sub { my ($what, $name) = @_; return [$what, map { sprintf $_->[2], median($of->($name, @$_[0, 1])) } @shown] };
    $findings->table(['a connection for each request', '1 client: p50, us', 'rate', '20 clients: rate', 'p50, us', 'p99, us', "PID 1's share"],
        $row->('as installed', 'installed'), $row->('the same programs without a sandbox', 'plain'));
}

1;
