#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# What administrators and LON-CAPA's own scripts see of the keeper: the control socket and loncctl, lonc.pid,
# loncstatus.txt, lonc.log, locks of the old daemon, and the file that a reload touches.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;
use Lonc;

my $loncctl = Lonc::program('loncctl');

# Runs loncctl; what it wrote to both outputs, and its exit code.
sub loncctl {
    my ($world, @words) = @_;
    my $path = $world->path('run/control.sock');
    my $said = `$loncctl --socket $path @words 2>&1`;
    return ($said, $? >> 8);
}

sub raw {
    my ($world, $bytes) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $world->path('run/control.sock')) or return "connect: $!";
    $socket->autoflush(1);
    local $SIG{PIPE} = 'IGNORE'; # it may be closed before all is written
    print $socket $bytes;
    local $/;
    return scalar <$socket>;
}

my $world = Lonc->new(hosts => ['msul1', 'msul2'],
    settings => {retry_delay => '50ms', probe_min => '1h', probe_max => '1h'});
$world->{settings}{log_file} = $world->path('logs/lonc.log');
$world->write_config;
$world->write_file("sockets/$_.lock", '') for 'msul1', 'msul2.example.edu', 'somebody-else';
my $lond = $world->lond('msul1');
my $keeper = $world->keeper;
$world->activate($_) for 'msul1', 'msul2';
is $world->ask('msul1', 'ping'), 'pong:msul1', 'one host answers';
is $world->ask('msul2', 'ping'), 'con_lost', '... and one is down';

# --- loncctl --------------------------------------------------------------------------------------

my ($said, $code) = loncctl($world, 'status');
is $code, 0, 'loncctl status exits 0';
like $said, qr/hosts +2: 1 healthy, 0 failing, 1 dead/, '... counts the hosts';
like $said, qr/requests +2, of which 1 got/, '... and the requests';
like $said, qr/con_lost +dead 1$/m, '... and con_lost by its cause';
like $said, qr/^msul2 +dead +refused \(connection refused\) +\d+s +\S.* 127\./m, '... and says what is wrong with whom';
my $status = decode_json((loncctl($world, '--json', 'status'))[0]);
is $status->{hosts}{trouble}[0]{reason}, 'refused', 'loncctl --json status says the same to programs';
is $status->{pid}, $keeper->{pid}, '... and who it is';

is_deeply [loncctl($world, 'retry', 'msul1')], ['', 0], 'loncctl retry of a healthy host is nothing, quietly';
my $second = $world->lond('msul2');
is_deeply [loncctl($world, 'retry', 'msul2')], ['', 0], 'loncctl retry tries a dead host';
$keeper->await(qr/host is back/);
is $world->ask('msul2', 'ping'), 'pong:msul2', '... which is back then, hours before its next probe';
is_deeply [loncctl($world, 'retry', 'ALL')], ['', 0], 'loncctl retry ALL';
($said, $code) = loncctl($world, 'retry', 'nobody');
is $code, 1, 'loncctl retry of a host that is none exits 1';
like $said, qr/no such host/, '... and says why';
like((loncctl($world, $_))[0], qr{no such verb|^usage: loncctl \w+}, "loncctl $_ is refused with a sentence") for 'dance', 'retry', 'status me';
is((loncctl($world))[1], 2, 'loncctl without a verb is wrong usage');
is((loncctl($world, '--help'))[1], 0, 'loncctl --help');
is system("$loncctl --socket /nonexistent/control.sock status 2>/dev/null") >> 8, 3, 'loncctl without a keeper exits 3';

# --- Reload ---------------------------------------------------------------------------------------

is_deeply [loncctl($world, 'reload')], ['', 0], 'loncctl reload waits for the verdict: all is well';
$world->write_file('tabs/hosts.tab', "msul1:msu:library:msul1.example.edu:300.1.2.3\n");
($said, $code) = loncctl($world, 'reload');
is $code, 1, 'loncctl reload with a bad table exits 1';
like $said, qr{hosts\.tab:1: .*"300\.1\.2\.3": expected}, '... and says file, line, value and expectation';
is $world->ask('msul2', 'ping'), 'pong:msul2', '... and the old table stays in force';
ok !-e $world->path('run/reloaded'), 'a reload by loncctl leaves it to its caller to make the sockets follow';
$world->write_config;
$keeper->signal('USR2');
$keeper->await(qr/2 hosts in force/);
ok Lonc::within($Lonc::PATIENCE, sub { -s $world->path('run/reloaded') }), 'a reload by signal leaves a sign for the unit that does';

# --- Who may, and how much ------------------------------------------------------------------------

SKIP: {
    skip 'only root can ask as somebody else', 16 if $> != 0;
    chmod 0755, $world->{dir}, $world->path('run');
    chmod 0666, $world->path('run/control.sock');
    my $as_nobody = sub {
        my ($line) = @_;
        pipe(my $out, my $in);
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            $( = $) = 65534;
            $> = $< = 65534;
            syswrite $in, raw($world, "$line\n") // '';
            POSIX::_exit(0);
        }
        close $in;
        waitpid $pid, 0;
        local $/;
        return scalar <$out>;
    };
    like $as_nobody->('status'), qr/"hosts"/, 'another user who may connect may read';
    my @changing = ('reload', 'retry ALL', (map {"$_ msul1"} qw(pause resume reconnect flush)), (map {"queue $_ ALL"} qw(hold release requeue delete)),
        (map {"$_ msul1 count:by nobody"} qw(send defer)), 'log level debug', 'log transactions on');
    for my $verb (@changing) {
        my $name = (split ' ', $verb)[0];
        is_deeply decode_json($as_nobody->($verb)), {ok => JSON::PP::false, errors => ["only root and the keeper's own user may ask for this"]}, "... but not change: $verb";
        $keeper->await(qr/user 65534 may not ask for $name\b/);
    }
    is $lond->executed('count:by nobody'), 0, '... and none of it is done';
}
my @silent = map { IO::Socket::UNIX->new(Peer => $world->path('run/control.sock')) } 1 .. 10;
is $world->ask('msul1', 'ping'), 'pong:msul1', 'ten silent control clients cost lonnet nothing';
is((loncctl($world, 'status'))[1], 0, '... nor another administrator');
@silent = ();
is raw($world, 'x' x 100_000), '', 'an endless request is closed unanswered';

# --- For LON-CAPA's own scripts -------------------------------------------------------------------

is $world->read_file('logs/lonc.pid'), "$keeper->{pid}\n", 'lonc.pid holds the pid';
ok !-e $world->path("sockets/$_.lock"), "the lock of an old daemon for $_ is swept" for 'msul1', 'msul2.example.edu';
ok -e $world->path('sockets/somebody-else.lock'), '... and that of nobody known is left alone';
$keeper->signal('USR1');
ok Lonc::within($Lonc::PATIENCE, sub { -s $world->path('html/lon-status/loncstatus.txt') }), 'SIGUSR1 writes loncstatus.txt';
my $text = $world->read_file('html/lon-status/loncstatus.txt');
like $text, qr/^LONC status \w{3} \w{3} [ \d]\d [\d:]{8} \d{4} - parent $keeper->{pid} \n\n/, '... with its heading';
like $text, qr/^$keeper->{pid}\tmsul1\t[^\t]*msul1 Connection count: 1 Retries remaining: 2\t.*1\.421.*$/m, '... a line for each host';
like $text, qr/^Active connection statuses: \nConnection 1 State: Idle$/m, '... and for each connection';
$second->end;
$world->ask('msul2', 'ping') for 1 .. 2;
$keeper->await(qr/host is dead/);
unlink $world->path('html/lon-status/loncstatus.txt');
$keeper->signal('STOP');
$keeper->signal('CONT');
$keeper->signal('USR1');
ok Lonc::within($Lonc::PATIENCE, sub { ($world->read_file('html/lon-status/loncstatus.txt') // '') =~ /msul2\t/ }), 'a host in trouble is in it too';
like $world->read_file('logs/lonc.log'), qr/^\w{3} .* \($keeper->{pid}\) \[msul2\] \[\] WARNING: host is dead/m,
    'log_file gets the messages in the form of the old lonc.log';
$keeper->signal('TERM');
is $keeper->wait_exit, 0, 'SIGTERM';
ok !-e $world->path('logs/lonc.pid'), '... removes lonc.pid';
ok !-e $world->path('run/control.sock'), '... and the sockets that it bound itself';

done_testing;
