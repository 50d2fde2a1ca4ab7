#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Units are restarted again and again, stopped and started in a row, and killed. systemd refuses none of them for good, and
# requests are answered afterwards. A unit that cannot run at all does not keep PID 1 busy, and a unit that failed for
# another reason is started again.
use strict;
use warnings;
use Booted;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time sleep);

my $usual = "probe_min = 500ms\nprobe_max = 1s\n";
my @hosts = map {"msul$_"} 1 .. 5;
my $running = 'lonc.target lonc-keeper.service lonc-keeper.socket lonc-keeper-control.socket lonc-hosts-sync.timer'
    . ' lonc-page.timer lonc-reloaded.path lonc-hosts.path lonc-metrics.socket';
sub state_of { return output("systemctl is-active '$_[0]'") }
sub failed { return output(q(systemctl list-units --failed --plain --no-legend 'lonc*' | grep -v lonc-test)) }
sub metrics {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1:9663') or return "no connection: $!";
    $socket->print("GET /metrics HTTP/1.0\r\n\r\n");
    return join '', readline $socket;
}

# msul1, msul2: per connection; msul3 and above: shared.
write_file('/etc/lonc/keeper.conf', $usual . "activation_exceptions = msul1 msul2\n");
is sh('systemctl reload lonc-keeper; systemctl start lonc-hosts.path lonc-metrics.socket'), 0, 'both kinds of socket, and what is off by default';

# All requests are answered right, or con_lost, or could not connect: never anything else.
sub all_is_well {
    my ($what) = @_;
    my $start = time;
    # A socket that is being mended may take as long as the timer.
    my @silent;
    ok within(65, sub { @silent = grep { ask($_, 'ping') ne "pong:$_" } @hosts; !@silent }), "$what: every host answers";
    my $took = time - $start;
    cmp_ok $took, '<', 5, sprintf '%s: after %.1f s', $what, $took;
    is failed(), '', "$what: nothing has failed";
    my @down = grep { state_of($_) ne 'active' } split(' ', $running), 'lonc-host-msul1.socket', 'lonc-shared@msul3.socket';
    is "@down", '', "$what: every unit is up";
}

sub under_load {
    my ($what, $code) = @_;
    my $load = load('--socket', "$sockets/msul1", '--socket', "$sockets/msul3", '--clients', 10, '--rate', 40, '--seconds', 2, '--check');
    my $start = time;
    $code->();
    note sprintf '%s: in %.1f s', $what, time - $start;
    my $n = $load->numbers;
    is $n->{wrong} + $n->{cut} + $n->{unanswered}, 0, "$what: no wrong answer, and no silence: "
        . join ', ', map {"$_ $n->{$_}"} qw(requests ok con_lost empty refused);
    all_is_well($what);
}

my @units = qw(lonc.target lonc-keeper.service lonc-keeper.socket lonc-keeper-control.socket lonc-host-msul1.socket lonc-shared@msul3.socket
    lonc-hosts-sync.timer lonc-page.timer lonc-reloaded.path lonc-hosts.path lonc-metrics.socket
    lonc-hosts-sync.service lonc-hosts-reload.service lonc-page.service);
for my $unit (@units) {
    under_load("$unit restarted 12 times in a row", sub {
        my $refused = join ' ', grep { sh("systemctl restart '$unit'") != 0 } 1 .. 12;
        # systemd refuses to start a socket whose service runs; and restarts the services of all others with them.
        is $refused, '', "$unit: each restart succeeds" if $unit !~ /shared/;
    });
}
under_load('all of them, alternately', sub {
    is join(' ', map { my $round = $_; grep { sh("systemctl restart '$_'") != 0 && !/shared/ } @units } 1 .. 4), '', 'each restart succeeds';
});
under_load('all of them at once', sub {
    sh(join ' & ', (map {"systemctl restart '$_' 2>/dev/null"} (@units) x 4), 'wait') for 1 .. 3;
});
under_load('stopped and started 12 times', sub {
    sh('systemctl stop lonc.target; systemctl start lonc.target lonc-hosts.path') for 1 .. 12;
});
like metrics(), qr/^lonc_up 1$/m, 'metrics are there';

under_load('the keeper is killed 12 times', sub {
    for (1 .. 12) {
        within(5, sub { main_pid() }) or last;
        kill 'KILL', main_pid();
        sleep 0.1;
    }
});
under_load('a shim is killed 12 times', sub {
    for (1 .. 12) {
        ask('msul3', 'ping');
        sh(q(systemctl kill --signal=KILL lonc-shared.service));
        sleep 0.1;
    }
});

# What failed, of whatever it was, is started again, even without a valid table: a sync sees to it, which systemd
# starts when a timer or a path unit fails. (To make one fail: its second start within an hour is refused.)
my $table = '/home/httpd/lonTabs/hosts.tab';
my $good = read_file($table);
for my $unit (qw(lonc-hosts-sync.timer lonc-page.timer lonc-reloaded.path lonc-hosts.path lonc-metrics.socket lonc-keeper.socket
    lonc-host-msul1.socket lonc-shared@msul3.socket)) {
    sh('systemctl stop lonc-shared.service'); # else its socket is not even tried
    drop_in($unit, "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=1\n");
    sh("systemctl restart '$unit'") for 1 .. 2;
    ok within($patience, sub { state_of($unit) eq 'failed' }), "$unit has failed";
    write_file($table, "no table\n") if $unit =~ /timer|msul/;
    drop_in($unit, undef);
    is sh('lonc-hosts sync'), $unit =~ /timer|msul/ ? 1 : 0, "$unit: a sync";
    is state_of($unit), 'active', "$unit: and it is up again";
    write_file($table, $good);
}
sh(q(systemctl reset-failed 'lonc-hosts-*.service')); # of the table that was not valid
all_is_well('each failed once');
like property('lonc-hosts-sync.timer', 'OnFailure'), qr/lonc-hosts-mend\.target/, 'who looks after the others is looked after';

# A group that does not exist, in a drop-in that is to let others ask: requests do not wait for it to be mended.
drop_in('lonc-keeper-control.socket', "[Socket]\nSocketGroup=nobody-knows\n");
sh('systemctl restart lonc-keeper-control.socket');
is state_of('lonc-keeper-control.socket'), 'failed', 'the control socket cannot be made';
is ask($_, 'ping'), "pong:$_", "$_ answers" for @hosts;
like output('loncctl status'), qr/hosts/, 'the keeper has made one itself';
drop_in('lonc-keeper-control.socket', undef);
is sh('systemctl restart lonc-keeper-control.socket'), 0, 'mended and restarted';
all_is_well('a control socket of a wrong group');

# Where a socket's path is taken by a folder, nothing can listen there, whatever is tried; and it keeps nobody busy.
sub blocked {
    my ($unit, $path, $answer) = @_;
    sh("systemctl stop '$unit' lonc-shared.service; mkdir '$path'; systemctl start '$unit'");
    is state_of($unit), 'failed', "$unit cannot listen";
    my ($cpu, $start) = (pid1_cpu(), time);
    my @asked = map { ask('msul2', 'ping') } 1 .. 3;
    is "@asked", join(' ', ($answer) x 3), "$unit: another host's clients get '$answer'";
    sleep 3;
    my $share = 100 * (pid1_cpu() - $cpu) / (time - $start);
    cmp_ok $share, '<', 15, sprintf '%s: PID 1 uses %.1f %% of a CPU', $unit, $share;
    my $said = () = journal("-o cat --since=\@" . int $start) =~ /\n/g;
    cmp_ok $said, '<', 1000, "$unit: $said lines in the journal";
    rmdir $path;
    is sh('lonc-hosts sync'), 0, "$unit: it can listen again, and a sync has it do so";
    sh('systemctl reset-failed lonc-hosts-sync.service'); # which had failed to
    all_is_well("$unit, blocked for a while");
}
blocked('lonc-host-msul1.socket', "$sockets/msul1", 'pong:msul2');
blocked('lonc-shared@msul3.socket', "$sockets/msul3", 'pong:msul2');
blocked('lonc-keeper-control.socket', '/run/lonc/control.sock', 'pong:msul2');
blocked('lonc-keeper.socket', '/run/lonc/keeper.sock', 'con_lost');

# One that is refused by its start limit, which only a script meets: by the timer, a minute later at most.
sh(q(for i in $(seq 100); do systemctl restart lonc-host-msul1.socket & done; wait)) for 1 .. 2;
ok within(65, sub { sleep 0.5; ask('msul1', 'ping') eq 'pong:msul1' }), 'a socket restarted 200 times at once serves within a minute';
all_is_well('restarted 200 times');

write_file('/etc/lonc/keeper.conf', $usual);
is sh('systemctl stop lonc-hosts.path lonc-metrics.socket; systemctl reload lonc-keeper'), 0, 'as before';
done_testing;
