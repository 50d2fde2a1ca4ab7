#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Hosts that are known by DNS name: their names are resolved when a connection is needed and not before, whatever the DNS
# server does, and no other host's requests wait.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use IO::Socket::INET;
use IO::Socket::IP;
use Time::HiRes qw(time);
use Lonc;
use Dns;

# Nothing happens by itself; names are asked for again only after a reload.
my %still = (retry_delay => '20ms', probe_min => '1h', probe_max => '1h', resolve_cache => '1h', resolve_failure_cache => '1h');
# The same, with a short time-out for DNS.
my %soon = (%still, resolve_timeout => '300ms');
# A dead host comes back by itself.
my %lively = (retry_delay => '20ms', probe_min => '100ms', probe_max => '200ms', resolve_cache => '1s',
    resolve_failure_cache => '100ms', resolve_timeout => '500ms');

sub name { return "$_[0].example.edu" }

# The zone of a DNS server that knows the world's hosts.
sub zone { my ($world) = @_; return map { name($_) => {A => [$world->{address}{$_}]} } keys %{$world->{address}} }

# A world whose hosts.tab has no addresses, a DNS server that knows them all, the keeper, and a lond for each host.
#     my ($world, $dns, $msul1) = world(settings => {...}, hosts => ['msul1']);
sub world {
    my (%with) = @_;
    my @hosts = @{$with{hosts} || ['msul1']};
    my $world = Lonc->new(by_name => 1, hosts => \@hosts, settings => {%{$with{settings} || \%still}}, variables => $with{variables});
    my $dns = Dns->new($world, zone($world));
    $world->{settings}{resolve_servers} = $dns->{at};
    $world->write_config;
    my @londs = map { $world->lond($_, @{$with{lond} || []}) } @hosts;
    $world->keeper(%{$with{keeper} || {}});
    $world->activate($_) for @hosts;
    return ($world, $dns, @londs);
}

# Another address of this world, at which nobody listens, or a lond for the host.
sub elsewhere { my ($world, $number) = @_; return "$world->{net}." . ($world->{first} + 30 + ($number || 0)) }
sub lond_at {
    my ($world, $host, $address) = @_;
    local $world->{address}{$host} = $address;
    my $control = $world->path("other-$host.sock");
    my $lond = $world->lond($host, '--control', $control);
    $lond->{control} = $control;
    return $lond;
}

sub reload {
    my ($world) = @_;
    $world->write_config;
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/(hosts? in force|reload failed)[^\n]*/);
}

# Closes the host's connections, so that the next request needs a new one.
sub disconnect { my ($world, $host) = @_; $world->ask($host || 'msul1', 'close_connection_exit') }

# --- When it is asked -----------------------------------------------------------------------------

{
    my ($world, $dns, $lond) = world(hosts => ['msul1', 'msul2']);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a host without an address in hosts.tab is found by its name';
    $dns->await_question(name('msul1'), 'AAAA');
    is $dns->asked(name('msul1'), 'A') . $dns->asked(name('msul1'), 'AAAA'), '11', '... which is asked for once, IPv4 and IPv6';
    is $dns->asked(name('msul2'), 'A'), 0, '... and nobody asks for a host that nobody wants';
    like $world->{keeper}->log, qr/msul1: connected to lond .* at \Q$world->{address}{msul1}\E, insecure$/m, '... the log says where it is';
    for (1 .. 5) { disconnect($world); $world->ask('msul1', 'ping') }
    is $lond->counts->{accepted}, 6, 'more connections are opened';
    is $dns->asked(name('msul1'), 'A'), 1, '... without asking again';
    $world->{keeper}->signal('USR1');
    Lonc::within(5, sub { -s $world->path('html/lon-status/loncstatus.txt') });
    like $world->read_file('html/lon-status/loncstatus.txt'), qr/\tconnected to lond .* at \Q$world->{address}{msul1}\E, insecure$/m,
        'loncstatus.txt says where the host is';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_cache => '1s'});
    $world->ask('msul1', 'ping');
    my $again = Lonc::within(10, sub { disconnect($world); $world->ask('msul1', 'ping'); $dns->asked(name('msul1'), 'A') > 1 });
    ok $again, 'a name is asked again when what is known has grown old and a connection is wanted';
    is $world->{keeper}->said(qr/failed/), 0, '... and no attempt has failed';
}

{
    my ($world, $dns) = world(hosts => ['msul1', 'msul2'], lond => [qw(--id msul1 --id msul2)]); # it is both
    $world->write_file('tabs/hosts.tab', "msul1:msu:library:shared.example.edu\nmsul2:msu:library:Shared.Example.EDU:https\n");
    $dns->says('shared.example.edu' => {A => [$world->{address}{msul1}]});
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/2 hosts in force/);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'two hosts share a name: the one is served';
    is $world->ask('msul2', 'ping'), 'pong:msul2', '... and the other, under its own id';
    is $dns->asked('shared.example.edu', 'A'), 1, '... and the name is asked once for both';
}

{
    my %short = map { $_ => '300ms' } qw(connect_timeout handshake_timeout reply_timeout queue_timeout request_timeout
        client_line_timeout client_write_timeout client_idle_timeout connection_idle_timeout deferred_hold resolve_timeout);
    my ($world, $dns, $lond) = world(settings => {%short, resolve_cache => '1s'});
    $world->ask('msul1', 'ping');
    $lond->has(0, 'connections') or die 'not all is pruned';
    select undef, undef, undef, 1.5; # the last deadline is over, and what is known is old
    my $waits = $world->{keeper}->waits;
    select undef, undef, undef, 2; # doing nothing is what is tested
    is $world->{keeper}->waits - $waits, 0, 'names that are known wake nobody';
    is $dns->asked(name('msul1'), 'A'), 1, '... and nobody asks for them';
}

# --- While it is asked ----------------------------------------------------------------------------

# The median of many requests, in seconds.
sub latency {
    my ($world, $host) = @_;
    my $client = $world->client($host);
    my @seconds = sort { $a <=> $b } map { my $start = time; $client->ask('ping') eq "pong:$host" or die 'no answer'; time - $start } 1 .. 500;
    return $seconds[250];
}

{
    my ($world, $dns) = world(hosts => ['msul1', 'msul2'], settings => {%still, resolve_timeout => '60s', request_timeout => '50s'});
    my $usual = latency($world, 'msul2');
    my %zone = zone($world);
    $dns->says(%zone, name('msul1') => {%{$zone{name('msul1')}}, how => 'hold'});
    my @waiting = $world->asking('msul1', map {"echo:$_"} 1 .. 20);
    $dns->await_question(name('msul1'), 'A');
    my $meanwhile = latency($world, 'msul2');
    ok !(grep { !$_->hears_nothing } @waiting), 'while DNS is silent on a name, requests for its host wait';
    cmp_ok $meanwhile, '<', 4 * $usual + 0.002, sprintf '... and those for others take what they always take: %.0f us, %.0f us before',
        1e6 * $meanwhile, 1e6 * $usual;
    $dns->says(%zone);
    $dns->release;
    is_deeply [map { $_->line } @waiting], [1 .. 20], '... and when the answer comes, each gets its reply';
    is $world->{keeper}->said(qr/failed/), 0, '... without a failed attempt';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_timeout => '60s', queue_timeout => '300ms'});
    $dns->says(name('msul1') => {how => 'hold'});
    is $world->ask('msul1', 'ping'), 'con_lost', 'a request that waits for a name waits within the bounds of the queue';
    like $world->{keeper}->log, qr/reason=queue-timeout/, '... and is told why';
    my ($waiting) = $world->asking('msul1', 'ping');
    $dns->says(zone($world));
    $dns->release;
    is $waiting->line, 'pong:msul1', '... and the answer, when it comes, serves the next';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_timeout => '60s'});
    $dns->says(name('msul1') => {how => 'hold'});
    my ($waiting) = $world->asking('msul1', 'echo:through a reload');
    $dns->await_question(name('msul1'), 'A');
    my $second = Dns->new($world, zone($world));
    $world->{settings}{resolve_servers} = $second->{at};
    reload($world);
    is $waiting->line, 'through a reload', 'a reload with other DNS servers: what was being asked is asked of them';
    $dns->release;
    disconnect($world);
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and the answer of the old one, too late, is nothing';
    is $world->{keeper}->said(qr/failed/), 0, '... and no attempt has failed';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_timeout => '60s'});
    $dns->says(name('msul1') => {how => 'hold'});
    my ($waiting) = $world->asking('msul1', 'ping');
    $dns->await_question(name('msul1'), 'A');
    delete $world->{address}{msul1};
    $world->{address}{msul2} = elsewhere($world);
    reload($world);
    is $waiting->line, 'con_lost', 'a host is removed while its name is asked: who waits is told';
    $dns->release;
    $world->{keeper}->signal('TERM');
    is $world->{keeper}->wait_exit, 0, '... and the keeper lives on, until it is told to leave';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_timeout => '60s'});
    $dns->says(name('msul1') => {how => 'hold'});
    my ($waiting) = $world->asking('msul1', 'ping');
    $dns->await_question(name('msul1'), 'A');
    $world->{keeper}->signal('TERM');
    is $waiting->line, 'con_lost', 'the keeper is stopped while a name is asked: who waits is told';
    is $world->{keeper}->wait_exit, 0, '... and it does not wait for DNS';
}

{
    my @hosts = map {"msul$_"} 1 .. 8;
    my ($world, $dns) = world(hosts => \@hosts, settings => {%still, resolve_timeout => '60s', resolve_queries => 4});
    $dns->says(map { name($_) => {how => 'hold'} } @hosts);
    my @waiting = map { $world->asking($_, 'ping') } @hosts;
    my $asked = sub { scalar grep { $dns->asked(name($_), 'A') } @hosts };
    Lonc::within(5, sub { $asked->() == 2 });
    $world->{keeper}->signal('USR1');
    Lonc::within(5, sub { -s $world->path('html/lon-status/loncstatus.txt') });
    is $asked->(), 2, 'eight names are wanted, four questions are allowed: two names are asked';
    $dns->says(zone($world));
    $dns->release;
    is_deeply [map { $_->line } @waiting], [map {"pong:$_"} @hosts], '... and the others when those are answered';
}

# --- Several addresses ----------------------------------------------------------------------------

{
    my ($world, $dns, $lond) = world();
    $dns->says(name('msul1') => {A => [elsewhere($world), $world->{address}{msul1}]});
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'the first address refuses: the second is tried';
    is $world->{keeper}->said(qr/failed/), 0, '... within one attempt';
    is_deeply [$world->ask_at_once('msul1', map {"sleep:50:$_"} 1 .. 10)], [1 .. 10], '... and so for ten at once';
}

{
    my ($world, $dns) = world(settings => {%still, failures_until_dead => 1});
    $dns->says(name('msul1') => {A => [map { elsewhere($world, $_) } 0 .. 4]});
    is $world->ask('msul1', 'ping'), 'con_lost', 'all addresses refuse: con_lost';
    like $world->{keeper}->log, qr/msul1: host is dead: connection refused/, '... the attempt fails as the last of them did';
    is $world->{keeper}->said(qr/an attempt to connect failed/), 1, '... once';
    my $said = `$ENV{BUILD}/loncctl --socket @{[$world->path('run/control.sock')]} status`;
    my $addresses = join ' ', map { elsewhere($world, $_) } 0 .. 4;
    like $said, qr/msul1 +dead +refused.* \Q$addresses\E$/m, 'loncctl status says where it was looked for';
}

# A listener whose backlog is full does not answer.
sub full_listener {
    my ($address, $port) = (@_, 5663);
    my $full = IO::Socket::INET->new(LocalAddr => $address, LocalPort => $port, Listen => 1) or die "listen: $!";
    listen $full, 0;
    my @crowd = map { IO::Socket::INET->new(Proto => 'tcp', Blocking => 0) } 1 .. 3;
    connect $_, Socket::pack_sockaddr_in($port, Socket::inet_aton($address)) for @crowd;
    return ($full, @crowd);
}

{
    my ($world, $dns, $lond) = world(settings => {%still, connect_timeout => '400ms'});
    my @full = full_listener(elsewhere($world));
    $dns->says(name('msul1') => {A => [elsewhere($world), $world->{address}{msul1}]});
    my $start = time;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'the first address is silent: after connect_timeout the second is tried';
    my $first = time - $start;
    cmp_ok $first, '>=', 0.4, '... not before';
    my @later = map { my $start = time; disconnect($world); $world->ask('msul1', 'ping'); time - $start } 1 .. 5;
    cmp_ok((sort { $a <=> $b } @later)[0], '<', 0.4, '... and from then on the one that answered is tried first');
}

# ... also after a new answer of DNS, in any order and with other addresses. A silent address costs connect_timeout, which is
# long here.
{
    my ($world, $dns, $lond) = world(settings => {%still, connect_timeout => '1500ms'});
    my ($silent, $other, $good) = (elsewhere($world), elsewhere($world, 1), $world->{address}{msul1});
    my @full = map { full_listener($_) } $silent, $other;
    $dns->says(name('msul1') => {A => [$silent, $good]});
    is $world->ask('msul1', 'ping'), 'pong:msul1', '(the address that answers is the second)';
    my $asked = 1;
    for my $answer ([$silent, $good], [$good, $silent], [$silent, $other, $good], [$other, $good, $silent], [$silent, $good]) {
        $dns->says(name('msul1') => {A => $answer});
        reload($world); # what is known is asked anew
        my $start = time;
        disconnect($world);
        is $world->ask('msul1', 'ping'), 'pong:msul1', 'DNS answers anew: ' . join ' ', map { $_ eq $good ? 'good' : 'silent' } @$answer;
        cmp_ok time - $start, '<', 1.4, '... and the address that answered is tried first';
        $asked++;
    }
    is $dns->asked(name('msul1'), 'A'), $asked, '(DNS was asked each time)';

    # The host moves. The new address is tried in its turn, and is the first one from then on.
    my $second = lond_at($world, 'msul1', elsewhere($world, 2));
    $dns->says(name('msul1') => {A => [$silent, elsewhere($world, 2)]});
    reload($world);
    disconnect($world);
    my $start = time;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'the address that answered is gone: the others are tried in their order';
    cmp_ok time - $start, '>=', 1.4, '... each in its time';
    reload($world);
    disconnect($world);
    $start = time;
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and who answered then is the first from now on';
    cmp_ok time - $start, '<', 1.4, '... without waiting';
}

# The same with /etc/hosts, and IPv6 in it.
SKIP: {
    skip 'only root has an /etc/hosts of its own', 4 if $> != 0;
    skip 'this machine has no IPv6', 4 unless IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
    my $port = 20000 + $$ % 20000; # ::1 is one for all tests
    my $world = Lonc->new(by_name => 1, settings => {%still, connect_timeout => '1500ms', resolve_servers => '127.0.0.1:1'}, variables => {londPort => $port});
    my @full = full_listener(elsewhere($world), $port);
    my $hosts = sub { $world->write_file('hosts', join '', map {"$_ " . name('msul1') . "\n"} @_) };
    $hosts->(elsewhere($world), '::1');
    my $lond = $world->lond('msul1', '--listen', "[::1]:$port");
    $world->keeper(wrapper => ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', $world->path('hosts')]);
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', '/etc/hosts has a silent IPv4 address and an IPv6 address that answers';
    $hosts->('::1', elsewhere($world), '192.0.2.1');
    reload($world);
    my $start = time;
    disconnect($world);
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and is changed';
    cmp_ok time - $start, '<', 1.4, '... and the address that answered is tried first, though IPv4 goes before IPv6';
    is_deeply $world->{keeper}->tells('hosts msul1')->{hosts}[0]{addresses}, ['::1', elsewhere($world), '192.0.2.1'], '... as status says';
}

# The same if the answer has expired and the name is asked for again.
{
    my ($world, $dns, $lond) = world(settings => {%still, connect_timeout => '1500ms', resolve_cache => '1s'});
    my @full = full_listener(elsewhere($world));
    $dns->says(name('msul1') => {A => [elsewhere($world), $world->{address}{msul1}]});
    $world->ask('msul1', 'ping');
    my $before = $dns->asked(name('msul1'), 'A');
    my @took;
    Lonc::within($Lonc::PATIENCE, sub { my $start = time; disconnect($world); $world->ask('msul1', 'ping'); push @took, time - $start; $dns->asked(name('msul1'), 'A') >= $before + 2 });
    cmp_ok((sort { $b <=> $a } @took)[0], '<', 1.4, 'what is known grows old and is asked again: nobody waits for the silent address');
}

{
    my ($world, $dns) = world(settings => {%still, connect_timeout => '300ms', failures_until_dead => 1, resolve_addresses => 2});
    my @full = full_listener(elsewhere($world));
    $dns->says(name('msul1') => {A => [elsewhere($world, 1), elsewhere($world), $world->{address}{msul1}]});
    is $world->ask('msul1', 'ping'), 'con_lost', 'two addresses may be kept, and neither serves';
    like $world->{keeper}->log, qr/msul1: host is dead: timed out/, '... the reason is that of the last that was tried';
}

SKIP: {
    skip 'this machine has no IPv6', 4 unless IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
    my $port = 20000 + $$ % 20000; # ::1 is one for all tests
    my ($world, $dns, $lond) = world(variables => {londPort => $port}, lond => ['--listen', "[::1]:$port"]);
    $dns->says(name('msul1') => {AAAA => ['::1']});
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a host that has an IPv6 address only';
    like $world->{keeper}->log, qr/connected to lond .* at ::1, insecure$/m, '... is reached there';
    $dns->says(name('msul1') => {A => [elsewhere($world)], AAAA => ['::1'], how_AAAA => 'hold'});
    reload($world);
    disconnect($world);
    my ($waiting) = $world->asking('msul1', 'ping');
    $dns->await_question(name('msul1'), 'AAAA');
    is $waiting->line, 'pong:msul1', 'IPv4 refuses, and IPv6 is not answered yet: the last good address is tried';
    $dns->release;
    is $world->{keeper}->said(qr/failed/), 0, '... within one attempt';
}

# --- Addresses that change ------------------------------------------------------------------------

{
    my ($world, $dns, $old) = world(settings => {%still, resolve_cache => '1s'});
    is_deeply [$world->ask_at_once('msul1', map {"sleep:100:$_"} 1 .. 3)], [1 .. 3], 'three connections to a host';
    my $new = lond_at($world, 'msul1', elsewhere($world));
    $dns->says(name('msul1') => {A => [elsewhere($world)]});
    select undef, undef, undef, 1; # what is known grows old
    is_deeply [$world->ask_at_once('msul1', map {"sleep:20:$_"} 1 .. 3)], [1 .. 3], 'the host moves: the connections there are go on serving';
    is $new->counts->{accepted}, 0, '... as long as no other is wanted';
    $world->ask_at_once('msul1', map {"sleep:100:$_"} 1 .. 4);
    ok $new->counts->{accepted}, '... the next one goes to the new address';
    ok $old->has(0, 'connections'), '... and idle connections to the old one close';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and all is well';
    is $world->{keeper}->said(qr/failed/), 0, '... without a failed attempt';
    like $world->{keeper}->log, qr/connected to lond .* at \Q@{[elsewhere($world)]}\E, insecure$/m, '... the log says where it is now';
}

{
    my ($world, $dns, $old) = world();
    my ($flying) = $world->asking('msul1', 'sleep:2500:from the old');
    $old->has(1, 'busy') or die 'nothing in flight';
    my $new = lond_at($world, 'msul1', elsewhere($world));
    $dns->says(name('msul1') => {A => [elsewhere($world)]});
    reload($world);
    is $old->open_connections, 1, 'after a reload, connections stay until the name is asked again';
    is $world->ask('msul1', 'echo:to the new'), 'to the new', '... when another connection is wanted; it goes to the new address';
    is $new->counts->{accepted}, 1, '... indeed';
    is $flying->line, 'from the old', '... what the old address has in flight is finished there';
    ok $old->has(0, 'connections'), '... and then that connection closes too';
}

{
    my ($world, $dns, $lond) = world();
    my ($one, $two) = ($world->{address}{msul1}, elsewhere($world));
    $dns->says(name('msul1') => {A => [$one, $two]});
    my ($flying) = $world->asking('msul1', 'sleep:2500:done');
    $lond->has(1, 'busy') or die 'nothing in flight';
    $dns->says(name('msul1') => {A => [$two, $one]});
    reload($world);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a DNS server turns the addresses round with each answer';
    is $flying->line, 'done', '... what is in flight is finished';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and asked again';
    is $lond->connections, 2, '... no connection is closed for it';
}

{
    my ($world, $dns) = world(settings => {%lively});
    $dns->says(name('msul1') => {A => [elsewhere($world)]});
    is $world->ask('msul1', 'ping'), 'con_lost', 'DNS has an old address, at which nobody listens: the host is dead';
    $dns->says(zone($world));
    ok $world->{keeper}->await(qr/msul1: host is back/), '... DNS learns the new one: a probe asks again, and the host is back by itself';
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and served';
}

{
    my ($world, $dns) = world();
    $dns->says();
    is $world->ask('msul1', 'ping'), 'con_lost', 'a name is missing in DNS';
    $dns->says(zone($world));
    is $world->ask('msul1', 'ping'), 'con_lost', '... it is entered, and the host is still dead, for failures are remembered';
    is $dns->asked(name('msul1'), 'A'), 1, '... and not asked again';
    is $world->ask('msul1', 'reset_retries'), 'ok', '... until somebody wants it tried now';
    ok $world->{keeper}->await(qr/msul1: host is back/), '... then it is asked again, and the host is back';
}

{
    my ($world, $dns) = world();
    $dns->says(name('msul1') => {A => [elsewhere($world)]});
    is $world->ask('msul1', 'ping'), 'con_lost', 'a host has moved, and an address that is fresh is wrong';
    $dns->says(zone($world));
    $world->ask('msul1', 'reset_retries');
    ok $world->{keeper}->await(qr/msul1: host is back/), '... to have it tried now is to have it asked again';
}

# --- Table or DNS ---------------------------------------------------------------------------------

{
    my ($world, $dns, $lond) = world();
    my $right = $world->{address}{msul1};
    $world->{address}{msul1} = elsewhere($world);
    $world->{by_name} = 0;
    $world->{settings}{resolve} = 'dns';
    reload($world);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'resolve = dns: the name counts, and not the address in hosts.tab';
    my $asked = $dns->asked(name('msul1'), 'A');
    is $asked, 1, '... it is asked for';
    $world->{settings}{resolve} = 'table';
    reload($world);
    ok $lond->has(0, 'connections'), 'resolve = table: the connections to where DNS said close';
    is $world->ask('msul1', 'ping'), 'con_lost', '... and the address in hosts.tab counts';
    $world->{address}{msul1} = $right;
    reload($world);
    ok Lonc::within(10, sub { $world->ask('msul1', 'ping') eq 'pong:msul1' }), '... and is right when it is right';
    is $dns->asked(name('msul1'), 'A'), $asked, '... and DNS is not asked any more';

    $world->{settings}{resolve} = 'dns';
    $world->write_config;
    $world->write_file('tabs/hosts.tab', "msul1:msu:library:$right\n");
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/hosts? in force/);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'resolve = dns, and the name is an address itself';
    is $dns->asked($right, 'A') + $dns->asked($right, 'AAAA'), 0, '... which is not asked for';
}

SKIP: {
    skip 'localhost is not in /etc/hosts', 1 unless `cat /etc/hosts` =~ /^127\.0\.0\.1\s.*\blocalhost\b/m;
    my $port = 20000 + $$ % 20000;
    my ($world, $dns) = world(variables => {londPort => $port}, lond => ['--listen', "127.0.0.1:$port"]);
    $dns->end;
    $world->write_file('tabs/hosts.tab', "msul1:msu:library:localhost\n");
    $world->{keeper}->signal('HUP');
    $world->{keeper}->await(qr/hosts? in force/);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'names in /etc/hosts need no DNS';
}

# --- A DNS server that fails ----------------------------------------------------------------------

my %wrong = (nxdomain => 'Domain name not found', servfail => '', refused => '', silent => 'Timeout', garbage => 'Timeout',
    'wrong-id' => 'Timeout', 'wrong-question' => 'Timeout', short => 'Misformatted', loop => '', 'no-tcp' => '');

for my $how (sort keys %wrong) {
    my ($world, $dns) = world(settings => {%soon});
    my $keeper = $world->{keeper};
    my %zone = zone($world);
    $dns->says(name('msul1') => {%{$zone{name('msul1')}}, AAAA => ['2001:db8::1'], how => $how});
    is $world->ask('msul1', 'ping'), 'con_lost', "a DNS server that fails ($how): con_lost";
    like $keeper->log, qr/msul1: host is dead: name not resolved; \d+ queued requests? (?:is|are) answered con_lost \| reason=name$/m,
        '... the host is dead, and the log says why';
    is $keeper->said(qr/cannot resolve \Q@{[name('msul1')]}\E: \Q$wrong{$how}\E[^\n]* \| reason=name$/m), 1, '... and what DNS said, once';
    $dns->says(%zone);
    ok Lonc::within(20, sub { $world->ask('msul1', 'reset_retries'); $world->ask('msul1', 'ping') eq 'pong:msul1' }),
        '... it is good again, and somebody tries again: the host is back';
    is $keeper->said(qr/is resolved again/), 1, '... the log says that too';
}

for my $how (qw(truncated alias)) {
    my ($world, $dns) = world();
    $dns->says(name('msul1') => {A => [$world->{address}{msul1}], how => $how});
    is $world->ask('msul1', 'ping'), 'pong:msul1', "a DNS server that answers in another way ($how) is understood";
}

{
    my ($world, $dns) = world();
    $dns->says(name('msul1') => {});
    is $world->ask('msul1', 'ping'), 'con_lost', 'a name without addresses: con_lost';
    like $world->{keeper}->log, qr/msul1: host is dead: name not resolved.*reason=name$/m, '... and the log says why';
}

{
    my ($world, $dns) = world(settings => {%still, resolve_timeout => '20s'});
    $dns->says(name('msul1') => {A => [$world->{address}{msul1}], how_AAAA => 'silent'});
    my $start = time;
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'a DNS server that is silent on IPv6 only';
    cmp_ok time - $start, '<', 20, '... is not waited for';
}

# --- The last good addresses ----------------------------------------------------------------------

for my $how (qw(silent servfail refused garbage short no-tcp gone)) {
    my ($world, $dns, $lond) = world();
    my $keeper = $world->{keeper};
    $world->ask('msul1', 'ping');
    disconnect($world);
    my $settled = sub { my ($wanted) = @_; Lonc::within(10, sub { $keeper->descriptors == $wanted }) };
    my $descriptors = $keeper->descriptors;
    Lonc::within(1, sub { $descriptors = $keeper->descriptors if $keeper->descriptors < $descriptors; 0 }); # clients have left
    $how eq 'gone' ? $dns->kill_hard : $dns->says(name('msul1') => {A => [$world->{address}{msul1}], how => $how});
    $world->{settings}{$_} = $soon{$_} for keys %soon;
    reload($world); # what is known is old now
    is $world->ask('msul1', 'ping'), 'pong:msul1', "the DNS server fails ($how) when a name is asked again: its last address is used";
    ok $keeper->await(qr/cannot resolve[^\n]*; its last addresses stay in use/), '... the log says so';
    for (1 .. 5) { disconnect($world); $world->ask('msul1', 'ping') }
    is $lond->counts->{accepted}, 7, '... for each connection that is wanted';
    is $keeper->said(qr/cannot resolve/), 1, '... the log says it once';
    is $keeper->said(qr/an attempt to connect failed/), 0, '... and no attempt has failed';
    disconnect($world);
    ok $settled->($descriptors), '... and no descriptor is left open' or diag $keeper->descriptors . " now, $descriptors before";
}

{
    my ($world, $dns, $lond) = world();
    my ($flying) = $world->asking('msul1', 'sleep:2500:from who is known no more');
    $lond->has(1, 'busy') or die 'nothing in flight';
    $dns->says();
    reload($world);
    my ($waiting) = $world->asking('msul1', 'echo:served by the connection there is');
    $world->{keeper}->await(qr/an attempt to connect failed: name not resolved/);
    is $flying->line, 'from who is known no more', 'DNS takes a name away: a connection that serves goes on serving';
    like $waiting->line, qr/^(con_lost|served by the connection there is)$/, '... and the attempt at another has failed';
}

# --- Memory and descriptors -----------------------------------------------------------------------

my ($valgrind) = grep {-x} map {"$_/valgrind"} split /:/, $ENV{PATH};
SKIP: {
    skip 'valgrind is not installed', 8 if !$valgrind;
    skip 'valgrind and sanitizers exclude each other', 8 if $ENV{LONC_SANITIZED};
    local $Lonc::PATIENCE = 90;
    my @hosts = map {"msul$_"} 1 .. 4;
    my ($world, $dns, @londs) = world(hosts => \@hosts, settings => {%lively, resolve_queries => 4, resolve_timeout => '60s'});
    $world->{keeper}->end;
    my $log = $world->path('valgrind.keeper');
    my $keeper = $world->keeper(wrapper => [$valgrind, '-q', '--leak-check=full', '--show-leak-kinds=definite,indirect,possible',
        '--errors-for-leak-kinds=definite,indirect,possible', '--track-fds=yes', '--error-exitcode=9', '--num-callers=20', "--log-file=$log"]);
    is $world->ask($_, 'ping'), "pong:$_", 'under valgrind: a host known by name' for @hosts;
    $world->{settings}{resolve_timeout} = '500ms';
    for my $how (qw(servfail silent short loop no-tcp truncated alias)) {
        $dns->says(map { name($_) => {A => [elsewhere($world), $world->{address}{$_}], how => $how} } @hosts);
        reload($world);
        disconnect($world, $_) for @hosts;
        $world->ask_at_once($_, 'ping') for @hosts;
    }
    $dns->says(map { name($_) => {how => 'hold'} } @hosts);
    $world->{settings}{resolve_timeout} = '60s';
    my %before = map { $_ => $dns->asked(name($_), 'A') } @hosts;
    reload($world);
    disconnect($world, $_) for @hosts;
    my @waiting = map { $world->asking($_, 'ping') } @hosts;
    Lonc::within(30, sub { 2 <= grep { $dns->asked(name($_), 'A') > $before{$_} } @hosts }) or die 'no question';
    delete $world->{address}{msul1};
    delete $world->{address}{msul3};
    reload($world);
    is $waiting[0]->line, 'con_lost', 'and one that is removed while its name is asked';
    $keeper->signal('TERM');
    is $waiting[1]->line, 'con_lost', 'and one whose name is asked when the keeper is told to leave';
    my $status = $keeper->wait_exit(60);
    is $status >> 8, 0, 'valgrind has found no error and no leak' or diag $world->read_file('valgrind.keeper');
    my @open = grep { /Open (?:file descriptor|AF_)/ && !/inherited from parent/ } split /^==\d+== \n/m, $world->read_file('valgrind.keeper');
    is scalar(@open), 0, 'and no descriptor left' or diag @open;
}

# --- A real DNS server ----------------------------------------------------------------------------

my ($dnsmasq) = grep {-x} map {"$_/dnsmasq"} split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin';
SKIP: {
    skip 'dnsmasq is not installed', 7 if !$dnsmasq;
    my $world = Lonc->new(by_name => 1, settings => {%lively, resolve_timeout => '5s'});
    my $at = "$world->{net}." . ($world->{first} + 38);
    $world->{settings}{resolve_servers} = "$at:5300";
    $world->write_config;
    my $old = $world->lond('msul1');
    my $new = lond_at($world, 'msul1', elsewhere($world));
    my $knows = sub {
        my (@addresses) = @_;
        $world->write_file('dns-hosts', join '', map {"$_ " . name('msul1') . "\n"} @addresses);
    };
    chmod 0755, $world->{dir}; # it drops root
    my $serve = sub {
        my $process = $world->start('dnsmasq', [$dnsmasq, '--keep-in-foreground', '--log-facility=-', '--conf-file=/dev/null', '--no-resolv',
            '--no-hosts', '--no-daemon', '--bind-interfaces', "--listen-address=$at", '--except-interface=none', '--port=5300', '--pid-file=',
            '--addn-hosts=' . $world->path('dns-hosts'), '--local=/example.edu/']);
        $process->await(qr/read .*dns-hosts/);
        return $process;
    };
    $knows->($world->{address}{msul1});
    my $server = $serve->();
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'dnsmasq knows the host';
    $knows->(elsewhere($world, 1), elsewhere($world), elsewhere($world, 2), '2001:db8::1');
    $server->signal('HUP');
    $server->await(qr/read .*dns-hosts/);
    ok Lonc::within(10, sub { disconnect($world); $world->ask('msul1', 'ping'); $new->counts->{accepted} }),
        'dnsmasq has other addresses, turned round with each answer: the one that serves is found';
    is $world->{keeper}->said(qr/failed/), 0, '... without a failed attempt';
    $knows->();
    $server->signal('HUP');
    $server->await(qr/read .*dns-hosts/);
    ok Lonc::within(10, sub { disconnect($world); $world->ask('msul1', 'ping') eq 'con_lost' }), 'dnsmasq knows it no more: con_lost';
    $knows->($world->{address}{msul1});
    $server->signal('HUP');
    ok $world->{keeper}->await(qr/host is back/), 'dnsmasq knows it again: it is back by itself';
    $server->end;
    ok Lonc::within(10, sub { disconnect($world); $world->ask('msul1', 'ping') eq 'pong:msul1' && $world->{keeper}->said(qr/last addresses stay/) }),
        'dnsmasq is gone: the last address is used';
    $server = $serve->();
    my $again = $world->{keeper}->said(qr/resolved again/);
    ok Lonc::within(10, sub { disconnect($world); $world->ask('msul1', 'ping'); $world->{keeper}->said(qr/resolved again/) > $again }),
        'and asked again when it is back';
}

done_testing;
