#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What lonc-protocol(7) states as certain about londs and LON-CAPA's own tables and scripts, fact by fact: the dialogue in
# its three modes, challenges and versions of any form, this server under several ids, refusals, remarks in hosts.tab, a
# peer that closes without a word, and what administrators and scripts see.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Socket;
use Test::More;
use Time::HiRes qw(time);
use Certificates;
use Deferred;
use Lonc;

my %still = (retry_delay => '20ms', probe_min => '1h', probe_max => '1h');

# What lond has been told on its connections, line by line, without the numbers in it.
sub told { my ($lond) = @_; return [map {s/^\d+$/CHALLENGE/r} $lond->log =~ /^.*?\b\d+ -> (.*)$/mg] }

sub host { my ($world, $id) = @_; return $world->{keeper}->tells("hosts $id")->{hosts}[0] }

# --- The dialogue ---------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(lond => ['--verbose']);
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'insecure';
    is_deeply told($lond), ['init', 'CHALLENGE', 'version', 'sethost:msul1', 'ekey', 'ping'],
        '... init, the challenge, version, sethost (lond begins as "default") and only then ekey';
}
{
    my $ca = Certificates->new;
    my $world = Lonc->new(variables => {$ca->variables($ca->issue("annarborl1"))});
    my $lond = $world->lond('msul1', '--verbose', $ca->lond($ca->issue('lond')));
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'pong:msul1', 'ssl';
    is_deeply told($lond), ['init:ssl', 'version', 'sethost:msul1', 'ping'], '... init:ssl, version, sethost, and no ekey';
}

# This very server has several ids under its DNS name: `local` is for each of them, and for nobody else.
{
    my $world = Lonc->new(hosts => ['annarborl1', 'other1'], settings => \%still);
    mkdir $world->path('certs') or die "mkdir: $!";
    my $lond = $world->lond('annarborl1', '--listen', '127.0.0.1:0', '--auth', 'local,insecure', '--verbose', '--id', 'annarborl2', '--id', 'annarbor3');
    my ($port) = $lond->control('addresses') =~ /127\.0\.0\.1:(\d+)/;
    $world->{variables} = {londPort => $port, lonCertificateDirectory => $world->path('certs')};
    $world->write_config;
    my $table = sub {
        my (%name) = @_;
        $world->write_file('tabs/hosts.tab', join '', map {"$_:msu:library:$name{$_}:192.0.2.1\n"} sort keys %name);
    };
    my $own = 'annarbor.example.edu';
    $table->(annarborl1 => $own, annarborl2 => 'AnnArbor.Example.EDU', annarbor3 => 'annarbor3.example.edu', other1 => 'other.example.edu');
    my $keeper = $world->keeper;
    $world->activate($_) for qw(annarborl1 annarborl2 annarbor3);
    my $mode = sub { $keeper->tells("connections $_[0]")->{connections}[0]{mode} // 'none' };
    is $world->ask('annarborl2', 'encrypt:echo:hello'), 'hello', "another id of this server's DNS name, in any case, is reached at 127.0.0.1";
    is $mode->('annarborl2'), 'local', '... in local mode';
    is $world->ask('annarborl1', 'sethost:annarborl2:encrypt:echo:hello'), 'hello', "... also by way of the first id's socket";
    is $world->ask('annarborl1', 'encrypt:echo:hello'), 'hello', '... as lonHostID itself is';
    is_deeply [grep {/^(?:sethost:\w+|ekey)$/} @{told($lond)}], ['sethost:annarborl2', 'sethost:annarborl1'], '... each as whom it is, and without ekey';
    is_deeply host($world, 'annarborl2')->{addresses}, ['127.0.0.1'], '... and status says where that is';
    is_deeply host($world, 'annarbor3')->{addresses}, ['192.0.2.1'], 'an id of another name is where the table says';
    is_deeply host($world, 'other1')->{addresses}, ['192.0.2.1'], '... and so is one of another server';

    # The names change places.
    $table->(annarborl1 => $own, annarborl2 => 'elsewhere.example.edu', annarbor3 => $own, other1 => 'other.example.edu');
    ok $keeper->tells('reload')->{ok}, '(the table changes)';
    is_deeply host($world, 'annarborl2')->{addresses}, ['192.0.2.1'], 'an id that gets another name is here no longer';
    is $world->ask('annarbor3', 'encrypt:echo:hello'), 'hello', '... and one that gets this name is';
    is $mode->('annarbor3'), 'local', '... in local mode';
    $table->(annarborl1 => 'moved.example.edu', annarborl2 => 'moved.example.edu', annarbor3 => $own, other1 => 'other.example.edu');
    ok $keeper->tells('reload')->{ok}, '(lonHostID gets another name)';
    is_deeply [map { host($world, $_)->{addresses}[0] } qw(annarborl1 annarborl2 annarbor3)], ['127.0.0.1', '127.0.0.1', '192.0.2.1'],
        "the ids of its new name are here, and those of the old are not";
    is $world->ask('annarborl2', 'ping'), 'pong:annarborl2', '... and are reached';
}

# --- Challenges -----------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => \%still, lond => ['--verbose']);
    for my $challenge ('1', '0' x 40, 'a3f9', 'abc:def', 'ok', 'two words', '  blanks  ', "cr\r", '%s%n', 'Refused', 'refused.', "\xe9\xff", 'x' x 255) {
        $lond->control("set challenge $challenge");
        $lond->control('close-all');
        is $world->ask('msul1', 'encrypt:echo:secret'), 'secret', "a challenge of any look is echoed, byte for byte: " . ($challenge =~ s/[^ -~]/?/gr);
    }
    is $lond->counts->{wrong_lines}, 0, '... and lond has seen nothing wrong';
    $lond->control('set challenge refused');
    $lond->control('close-all');
    is $world->ask('msul1', 'ping'), 'con_lost', 'but "refused" is a refusal';
    is host($world, 'msul1')->{reason}, 'authentication', '... which status says';
    is scalar(grep { $_ eq 'refused' } @{told($lond)}), 0, '... and which is not echoed';
}
{
    # Asked for ssl, a lond that speaks insecure only says so by digits, and by nothing else.
    my $ca = Certificates->new;
    my $world = Lonc->new(variables => {$ca->variables($ca->issue("annarborl1"))}, settings => \%still);
    my $lond = $world->lond('msul1', '--challenge', 'a3f9');
    $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'ping'), 'con_lost', 'in answer to init:ssl, letters are no challenge';
    is host($world, 'msul1')->{reason}, 'handshake', '... but nothing that a lond says';
    $lond->control('set challenge 4711');
    $world->ask('msul1', 'reset_retries');
    is $world->ask('msul1', 'ping'), 'pong:msul1', '... and digits are one';
}

# --- Versions -------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => \%still);
    for my $case (['version:$Revision: 1.394.2.1 $', '$Revision: 1.394.2.1 $'], ['version:$Revision: 1.410.2.2 $', '$Revision: 1.410.2.2 $'],
        ['version:1.1000', '1.1000'], ['version:no number', 'no number'], ['version:', undef], ['$Revision: 1.321 $', '$Revision: 1.321 $'],
        ['1.9', '1.9'], ['unknown_cmd', 'unknown_cmd'], ['error: what?', 'error: what?']) {
        my ($answer, $shown) = @$case;
        $lond->control("set version-answer $answer");
        $lond->control('close-all');
        is $world->ask('msul1', 'encrypt:echo:secret'), 'secret', "\"$answer\" is a version, or none";
        is host($world, 'msul1')->{lond}, $shown, '... which status shows as it is';
        is host($world, 'msul1')->{mode}, 'insecure', '... beside the mode';
    }
    $lond->control('set version-answer version:');
    $lond->control('close-all');
    $world->ask('msul1', 'ping');
    ok $world->{keeper}->said(qr/connected to lond of unknown version at \S+, insecure/), 'the log says so where there is none';
    $world->{keeper}->signal('USR1');
    ok Lonc::within($Lonc::PATIENCE, sub { ($world->read_file('html/lon-status/loncstatus.txt') // '') =~ /connected to lond of unknown version at/ }),
        '... and loncstatus.txt';
    $lond->control('set version-answer refused');
    $lond->control('close-all');
    is $world->ask('msul1', 'ping'), 'con_lost', '"refused" is no version';
    is host($world, 'msul1')->{reason}, 'authentication', '... but a refusal';
}

# --- Refusals -------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%still, failures_until_dead => 1, deferred_hold => '20ms'}, lond => ['--count-texts']);
    $world->ask('msul1', 'ping');
    my $accepted = $lond->counts->{accepted};
    $lond->control('set refuse echo,times=200');
    my $client = $world->client('msul1');
    my %seen;
    $seen{$client->ask("echo:$_")}++ for 1 .. 200;
    is_deeply \%seen, {refused => 200}, 'a lond refuses a command by its limits: each refusal is an answer';
    is $client->ask('echo:now'), 'now', '... and the next request of it is executed';
    is $lond->counts->{refused}, 200, '(lond has refused so many)';
    is $lond->executed('echo:1'), 0, '(... which it has not executed)';
    $lond->control('set refuse echo');
    my $host;
    for my $n (1 .. 20) {
        is_deeply [$client->ask('echo:x'), $client->ask('ping')], ['refused', 'pong:msul1'], "other commands are answered beside it" if $n == 1;
        $client->ask("encrypt:echo:$n");
    }
    $host = host($world, 'msul1');
    is_deeply [@$host{qw(state)}, $host->{con_lost}], ['healthy', {}], 'the host is as healthy as before';
    is $lond->counts->{accepted}, $accepted, '... on the connection that it had';
    $world->ask('msul1', 'lonc_defer:echo:live');
    my $name = drop($world, 'msul1', 1, 'echo:deferred');
    ok await_gone($world, $name), 'a deferred transaction that is refused';
    is scalar(aside($world, 'rejected')), 2, '... is set aside with its reply';
    is host($world, 'msul1')->{state}, 'healthy', '... and is no trouble of the host either';
    $lond->control('set refuse none');
    is $client->ask('echo:y'), 'y', 'none is refused any more';

    # One that refuses and hangs up.
    $lond->control('fault refuse@ReceivingReply,times=30');
    is join(' ', map { $world->ask('msul1', "echo:$_") } 1 .. 30), join(' ', ('refused') x 30), 'a lond that closes behind a refusal';
    is host($world, 'msul1')->{state}, 'healthy', '... is healthy, too';
    is_deeply host($world, 'msul1')->{con_lost}, {}, '... and nobody has had con_lost';
}

# --- hosts.tab ------------------------------------------------------------------------------------

{
    my @remarks = ('', ' ', "\r", " \t\r", ' # moved in 2003', ' main server', ' (since 2003)', ';old', '.');
    my @hosts = map {"msul$_"} 1 .. @remarks;
    my $world = Lonc->new(hosts => \@hosts);
    my %lond = map { $_ => $world->lond($_) } @hosts;
    $world->write_file('tabs/hosts.tab', join '', map {"$hosts[$_]:msu:library:$hosts[$_].example.edu:$world->{address}{$hosts[$_]}$remarks[$_]\n"} 0 .. $#hosts);
    $world->keeper;
    for my $host (@hosts) {
        $world->activate($host);
        is $world->ask($host, 'ping'), "pong:$host", 'what follows the address of a line of 2004 is ignored: "' . ($remarks[($host =~ /(\d+)/)[0] - 1] =~ s/\s/?/gr) . '"';
    }
}

# --- A peer that hangs up without a word ----------------------------------------------------------

# From its n-th send to this family on, a send takes nothing and says no error.
sub taking_nothing {
    my ($family, $n) = @_;
    my $world = Lonc->new(settings => {%still, failures_until_dead => 1});
    $world->{lond} = $world->lond('msul1');
    my $file = $world->path('faults');
    $world->keeper(wrapper => ['env', 'LD_PRELOAD=' . Lonc::program('interpose.so'), "FAULT_FILE=$file", 'FAULT_CALL=send', "FAULT_AT=$n", 'FAULT_ERROR=nothing',
        "FAULT_FAMILY=$family"]);
    $world->activate('msul1');
    return $world;
}
sub struck { my ($world) = @_; return (unpack 'LL', $world->read_file('faults'))[1] }

SKIP: {
    skip 'a sanitizer comes first', 9 if $ENV{LONC_SANITIZED};
    # Handshake lines are five.
    for my $n (1, 3, 6) {
        my $world = taking_nothing(AF_INET, $n);
        is $world->ask('msul1', 'count:once'), 'con_lost', "lond takes nothing of the ${n}th line, and says no error: that is a loss";
        ok struck($world), '(... so it was)';
        my $cpu = $world->{keeper}->cpu;
        is $world->ask('msul1', 'reset_retries'), 'ok', '... the keeper goes on';
        select undef, undef, undef, 0.3; # for a loop that spins to show
        cmp_ok $world->{keeper}->cpu - $cpu, '<', 0.2, '... and does not spin';
    }
    my $world = taking_nothing(AF_UNIX, 20);
    my $client = $world->client('msul1');
    my @answers = map { $client->ask("echo:$_") // 'the end' } 1 .. 30;
    is((grep { $_ eq 'the end' } @answers) > 0 ? 'ended' : 'served', 'ended', 'a client that takes nothing of its answer is hung up on');
    my $cpu = $world->{keeper}->cpu;
    select undef, undef, undef, 0.3;
    cmp_ok $world->{keeper}->cpu - $cpu, '<', 0.2, '... and nothing spins';
}

# --- What administrators and scripts see -----------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => \%still);
    my $keeper = $world->{keeper};
    $world->ask('msul1', 'ping');
    my $status = sub {
        unlink $world->path('html/lon-status/loncstatus.txt');
        $keeper->signal('USR1');
        my $text;
        Lonc::within($Lonc::PATIENCE, sub { ($text = $world->read_file('html/lon-status/loncstatus.txt')) }) or die 'no loncstatus.txt';
        return $text;
    };
    like $status->(), qr/^\d+\tmsul1\t\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}: msul1 Connection count: 1 Retries remaining: 2\tconnected/m, 'loncstatus.txt of a healthy host';
    $lond->control('stop-listening');
    $lond->control('close-all');
    $world->ask('msul1', 'ping');
    is $world->ask('msul1', 'ping'), 'con_lost', '(the host is dead)';
    like $status->(), qr/^\d+\tmsul1\t\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}: msul1 >>> DEAD !!!! <<<\t.*refused/m, '... and of a dead one, in the words that they know';
    # loncontrol, loncron --justcheckdaemons, and lond when a host connects.
    $lond->control('listen');
    kill USR1 => $world->read_file('logs/lonc.pid');
    ok Lonc::within($Lonc::PATIENCE, sub { $world->ask('msul1', 'ping') eq 'pong:msul1' }), 'SIGUSR1 to the pid of lonc.pid forgives all hosts at once';
}

{
    # lond sends it for each host that connects: many hosts, many signals, and nobody waits for them.
    my $world = Lonc->new(settings => \%still);
    my $lond = $world->lond('msul1');
    $world->write_file('tabs/hosts.tab', $world->read_file('tabs/hosts.tab') . join '', map {"host$_:msu:library:host$_.example.edu:192.0.2.1\n"} 1 .. 1999);
    my $keeper = $world->keeper;
    $world->activate('msul1');
    my $path = $world->path('html/lon-status/loncstatus.txt');
    my @torn;
    for my $i (1 .. 30) {
        $keeper->signal('USR1');
        $world->ask('msul1', "echo:$i") eq $i or push @torn, 'an answer';
        my $text = $world->read_file('html/lon-status/loncstatus.txt') // next;
        push @torn, 'a file' if (() = $text =~ /^\d+\t\S+\t[^\t]+\t.*\nActive connection statuses: $/mg) != 2000;
    }
    is_deeply \@torn, [], '30 signals, 2,000 hosts: each file is whole whenever it is read, and requests are answered beside it';
    ok Lonc::within($Lonc::PATIENCE, sub { -s $path && !-e "$path.new" }), '... and the last is written as well';
    is((() = $world->read_file('html/lon-status/loncstatus.txt') =~ /^Active/mg), 2000, '... with all hosts');
    $keeper->signal('TERM');
    is $keeper->wait_exit, 0, '... and the keeper leaves as always';
}

done_testing;
