#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# lonc_defer:<command>, for clients that want delivery rather than an answer: a command that is answered con_delayed is on
# the disk, and will be executed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Lonc;
use Deferred;

# A host that cannot be reached is dead after 20 ms, and stays so until it is forgiven.
my %quick = (deferred_hold => '20ms', retry_delay => '20ms', deferred_retry => '200ms', probe_min => '1h', probe_max => '1h');

# A world whose host is known to be down.
sub world_of_dead {
    my (%with) = @_;
    my $world = Lonc->new(%with, settings => {%quick, %{$with{settings} || {}}});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    $keeper->await(qr/host is dead/);
    return $world;
}

# The host is up, and the keeper is told.
sub comes_back {
    my ($world, @options) = @_;
    my $lond = $world->lond('msul1', @options);
    $world->{keeper}->signal('USR1');
    return $lond;
}

# Waits until nothing waits to be delivered.
sub drained { my ($world) = @_; return Lonc::within(30, sub { !left($world) }) }

# --- A host that is well --------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick}, lond => ['--count-texts']);
    my $client = $world->client('msul1');
    is $client->ask('lonc_defer:echo:now'), 'now', 'lonc_defer: to a host that is well is answered with the reply';
    is_deeply [map { $client->ask("lonc_defer:reply:$_") } qw(refused rejected con_lost unknown_cmd error:x)],
        [qw(refused rejected con_lost unknown_cmd error:x)], '... whatever it is';
    is $client->ask('lonc_defer:encrypt:echo:secret'), 'secret', '... enciphered, if asked for';
    is $lond->executed('echo:secret'), 1, '... which lond shows';
    is $lond->executed('lonc_defer:echo:now'), 0, '... and lond never sees the prefix';
    is_deeply [left($world), permlog($world)], [], '... nothing is stored, and there is no line in lonnet.perm.log';
    is_deeply [$world->ask_at_once('msul1', map {"lonc_defer:count:$_"} 1 .. 50)], [('ok') x 50], '... for 50 clients at once, too';
    is $lond->control('repeated'), 0, '... each executed once';
    is $client->ask('lonc_defer:'), 'unknown_cmd', '... even an empty request';
}

# --- A host that is down --------------------------------------------------------------------------

{
    my $world = Lonc->new(settings => {%quick});
    my $keeper = $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'lonc_defer:count:1'), 'con_delayed', 'lonc_defer: to a host that turns out to be down is answered con_delayed';
    my ($name, @more) = left($world);
    is scalar(@more), 0, '... and there is one file,';
    like $name, qr/^(\d+)\.\d+\.$keeper->{pid}\.\w*\.msul1$/, '... with a name as lonnet gives it,';
    cmp_ok abs(time - (split /\./, $name)[0]), '<', 10, '... of this second,';
    is $world->read_file("sockets/delayed/$name"), "count:1\n", '... whole,';
    my ($line, @others) = permlog($world);
    is_deeply [@$line[1 .. 3], scalar @others], ['D', 'msul1', 'count:1', 0], '... with one D line,';
    is $line->[4], scalar(localtime $line->[0]), q(... whose time is as Perl's localtime says it,);
    is_deeply [aside($world, 'storing')], [], '... and nothing else is left';

    my @took;
    for my $n (2 .. 51) {
        my $start = time;
        my $answer = $world->ask('msul1', "lonc_defer:count:$n");
        push @took, 1000 * (time - $start);
        is $answer, 'con_delayed', "request $n is stored" if $answer ne 'con_delayed';
    }
    @took = sort { $a <=> $b } @took;
    cmp_ok $took[25], '<', 250, 'a host that is known to be down: con_delayed comes at once';
    note sprintf 'median %.2f ms, most %.2f ms', $took[25], $took[-1];
    is scalar(left($world)), 51, '... a file for each';
    is $world->ask('msul1', 'count:live'), 'con_lost', '... while a request without lonc_defer: is con_lost';

    my $lond = comes_back($world, '--verbose');
    ok drained($world), 'the host is back: what was stored is delivered';
    is_deeply [$lond->log =~ /-> count:(\d+)/g], [1 .. 51], '... each once, in the order in which it was asked for';
    is_deeply [commands($world, 'S')], [commands($world, 'D')], '... with an S line for each D line';
    is $lond->executed('count:live'), 0, '... and nothing that was con_lost';
    is $world->ask('msul1', 'lonc_defer:echo:well'), 'well', '... and the next one is answered at once';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_attempts => 100});
    is_deeply [map { $world->ask('msul1', "lonc_defer:$_") } qw(close reset half:x)], [('con_delayed') x 3],
        'a connection that is lost with the request: con_delayed, for it may not have been executed';
    is_deeply [commands($world, 'D')], [qw(close reset half:x)], '... with D lines';
    my @held = $world->asking('msul1', map {"lonc_defer:sleep:60000:$_"} 1 .. 12);
    Lonc::within($Lonc::PATIENCE, sub { $lond->control('busy') >= 10 }) or die 'not in flight';
    $world->{keeper}->signal('TERM');
    my %answers;
    $answers{$_->line // 'the end of the stream'}++ for @held;
    is $answers{con_delayed}, 12, 'SIGTERM: what waits, and what was not answered in time, is con_delayed'
        or diag explain \%answers;
    is $world->{keeper}->wait_exit, 0, '... and the keeper leaves';
    is scalar(grep {/^sleep/} commands($world, 'D')), 12, '... with a D line for each';
    is scalar(grep {/\.msul1$/} left($world)), 15, '... and a file';
} 

{
    my $world = world_of_dead(hosts => ['msul1']);
    is $world->ask('msul1', 'lonc_defer:encrypt:count:my password'), 'con_delayed', 'lonc_defer:encrypt: is con_delayed';
    my ($name) = left($world);
    is $world->read_file("sockets/delayed/$name"), "encrypt:count:my password\n", '... in a file';
    is +(stat $world->path("sockets/delayed/$name"))[2] & 0777, 0600, '... that nobody else may read';
    unlike $name, qr/password/, '... whose name does not tell';
    my $big = 'encrypt:count:' . 'password ' x 1000;
    $world->ask('msul1', "lonc_defer:$big");
    my $lond = comes_back($world);
    ok drained($world), '... and delivered';
    is $lond->executed('count:my password'), 1, '... once';
    is $lond->counts->{enciphered}, 2, '... enciphered';
    unlike $world->read_file('logs/lonnet.perm.log') . $world->{keeper}->log, qr/password/, '... and no log tells';
    is_deeply [commands($world, 'D')], [commands($world, 'S')], '... the D lines say what the S lines say, also of a long one';
}

{
    my $world = world_of_dead();
    my %sent = (NUL => "count:\0between\0", CR => "count:\r", bytes => 'count:' . join('', map {chr} 0 .. 9, 11 .. 255), blank => 'count: ');
    my %stored;
    for my $kind (sort keys %sent) {
        my %before = map { ($_ => 1) } left($world);
        is $world->ask('msul1', "lonc_defer:$sent{$kind}"), 'con_delayed', "a request with $kind is stored";
        my ($name) = grep { !$before{$_} } left($world);
        is $world->read_file("sockets/delayed/$name"), "$sent{$kind}\n", '... byte for byte';
    }
    my $log = $world->read_file('logs/lonnet.perm.log');
    is_deeply [grep { index($log, ":D:msul1:$sent{$_}:") < 0 } sort keys %sent], [], '... and its D line has these bytes, no others';
    my $large = 'count:' . 'x' x 3_000_000;
    is $world->ask('msul1', "lonc_defer:$large"), 'con_delayed', 'a request of 3 MB is stored';
    is -s $world->path('sockets/delayed/' . (sort { -s $world->path("sockets/delayed/$b") <=> -s $world->path("sockets/delayed/$a") } left($world))[0]),
        length($large) + 1, '... whole';
    my $lond = comes_back($world);
    ok drained($world), '... all are delivered';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [5, 0], '... once each';
    is_deeply [commands($world, 'S')], [commands($world, 'D')], '... and their S lines say what their D lines say';
}

# --- Clients that leave ---------------------------------------------------------------------------

{
    my $world = world_of_dead();
    for my $round (1 .. 20) {
        $_->close for $world->asking('msul1', map {"lonc_defer:count:$round.$_"} 1 .. 20);
        is $world->ask('msul1', "lonc_defer:count:$round"), 'con_delayed', "20 clients left while their requests were stored; who stayed is answered, $round"
            or last;
    }
    is_deeply [$world->ask_at_once('msul1', map {"lonc_defer:count:last $_"} 1 .. 20)], [('con_delayed') x 20],
        '... and the keeper serves 20 at once as before';
    # What those who left have asked for may still be under way.
    my $stored = sub { scalar(my @commands = commands($world, 'D')) };
    ok Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->tells('status')->{clients} == 0 && left($world) == $stored->() }),
        '... each D line has its file';
    my $lond = comes_back($world);
    ok drained($world), '... and all are delivered';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [$stored->(), 0], '... once each';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_hold => '1h'});
    my $before = $world->{keeper}->descriptors;
    for my $round (1 .. 5) {
        my @leaving = $world->asking('msul1', map {"lonc_defer:sleep:30000:$round.$_"} 1 .. 10);
        $lond->has(10, 'busy') or die 'not in flight';
        $_->close for @leaving;
        $world->ask('msul1', 'reset_retries') for 1 .. 2; # from here on they are known to have left
        $lond->control('kill-busy');
        is $world->ask('msul1', 'ping'), 'pong:msul1', "10 clients left, their requests were lost: round $round";
    }
    ok Lonc::within($Lonc::PATIENCE, sub { commands($world, 'D') == 50 }), '... all 50 are stored: that is what they were sent for';
    ok Lonc::within($Lonc::PATIENCE, sub { $world->{keeper}->descriptors <= $before + 15 }), '... no descriptor stays open';
    is_deeply [$world->ask_at_once('msul1', map {"echo:$_"} 1 .. 10)], [1 .. 10], '... and the keeper has not lost count of them';
}

# --- What cannot be stored ------------------------------------------------------------------------

{
    my $world = world_of_dead();
    $world->activate('nobody', path => $world->path('sockets/nobody'));
    is $world->ask('nobody', 'lonc_defer:count:1'), 'con_failed', 'lonc_defer: for a host that is not in the table is con_failed';
    is_deeply [left($world)], [], '... and nothing is stored';
}

{
    my $world = Lonc->new(settings => {%quick}, hosts => ['msu.l1']);
    $world->keeper;
    $world->activate('msu.l1');
    my $answer = $world->ask('msu.l1', 'lonc_defer:count:1');
    my $lond = $world->lond('msu.l1');
    $world->{keeper}->signal('USR1');
    ok $answer eq 'con_failed' || Lonc::within($Lonc::PATIENCE, sub { $lond->executed('count:1') }),
        'a host whose lonHostID has a dot: what is answered con_delayed is delivered' or diag "the answer was $answer";
}

{
    my $world = Lonc->new(settings => {%quick});
    rmdir $world->path('sockets/delayed') or die "rmdir: $!";
    $world->write_file('sockets/delayed', 'in the way');
    my $keeper = $world->keeper;
    $world->activate('msul1');
    is $world->ask('msul1', 'lonc_defer:count:1'), 'con_failed', 'there is no folder to store in: con_failed';
    is_deeply [map { [@$_[1 .. 3]] } permlog($world)], [['F', 'msul1', 'count:1']], '... with an F line';
    ok $keeper->await(qr/cannot store a transaction/), '... and a line in the log';
    unlink $world->path('sockets/delayed') or die "unlink: $!";
    ok Lonc::within($Lonc::PATIENCE, sub { $world->ask('msul1', 'lonc_defer:count:2') eq 'con_delayed' }), '... until the folder can be made: then con_delayed';
    comes_back($world);
    ok drained($world), '... and delivered';
}

SKIP: {
    my $world = Lonc->new(settings => {%quick});
    my $folder = $world->path('sockets/delayed');
    skip 'a file system of 64 KiB can only be mounted by root', 1
        if $> != 0 || system("mount -t tmpfs -o size=64k,nr_inodes=40 lonc-test $folder 2>/dev/null") != 0;
    my $unmount = bless {owner => $$, folder => $folder}, 'Unmount';
    $world->keeper;
    $world->activate('msul1');
    my (%answers, %text);
    for my $n (1 .. 12) {
        my $text = "count:$n:" . 'x' x 10_000;
        my $answer = $world->ask('msul1', "lonc_defer:$text");
        $answers{$answer}++;
        $text{$text} = $answer;
    }
    cmp_ok $answers{con_delayed} // 0, '>=', 2, 'the disk gets full: con_delayed while there is room';
    cmp_ok $answers{con_failed} // 0, '>=', 5, '... con_failed when there is none';
    is keys %answers, 2, '... and nothing else';
    is_deeply [sort map { $world->read_file("sockets/delayed/$_") } left($world)], [sort map {"$_\n"} grep { $text{$_} eq 'con_delayed' } keys %text],
        '... exactly those that were answered con_delayed are there, whole';
    is_deeply [aside($world, 'storing')], [], '... and nothing half-written';
    is_deeply [map { scalar commands($world, $_) } qw(D F)], [@answers{qw(con_delayed con_failed)}], '... with a D line or an F line each';
    is $world->{keeper}->said(qr/cannot store a transaction: No space left/), $answers{con_failed}, '... and the log says why';
    my @small = map { $world->ask('msul1', "lonc_defer:count:small $_") } 1 .. 60;
    cmp_ok scalar(grep { $_ eq 'con_failed' } @small), '>=', 1, 'it has no room for another file either: con_failed';
    is_deeply [aside($world, 'storing')], [], '... and nothing half-written';
    my $delayed = commands($world, 'D');
    is scalar(left($world)), $delayed, '... a file for each D line';
    my $lond = comes_back($world);
    ok drained($world), 'the host is back: what could be stored is delivered';
    is_deeply [map { $lond->control($_) } qw(distinct repeated)], [$delayed, 0], '... once each';
    $lond->end;
    $world->ask('msul1', 'ping');
    is $world->ask('msul1', 'lonc_defer:count:again'), 'con_delayed', '... and there is room again';
    $world->{keeper}->end;
}

sub Unmount::DESTROY { my ($self) = @_; system "umount -l $self->{folder}" if $self->{owner} == $$ }

{
    my $world = world_of_dead();
    mkdir $world->path('logs/lonnet.perm.log') or die "mkdir: $!";
    is $world->ask('msul1', 'lonc_defer:count:1'), 'con_delayed', 'the D line cannot be written: the transaction is stored nevertheless';
    ok $world->{keeper}->await(qr/cannot write the D line/), '... as the log says';
    rmdir $world->path('logs/lonnet.perm.log');
    my $lond = comes_back($world);
    ok drained($world), '... and delivered';
}

# --- SIGKILL at any moment ------------------------------------------------------------------------

# Twenty processes that ask, each one request after the other, until they are told to stop; what
# was answered con_delayed stands in a file of each.
sub start_asking {
    my ($world, $round) = @_;
    return map {
        my $n = $_;
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            local $SIG{__DIE__};
            my $ended = 0;
            $SIG{TERM} = sub { $ended = 1 };
            open my $file, '>>', $world->path("answered-$n") or POSIX::_exit(1);
            $file->autoflush;
            for (my $i = 1; !$ended; $i++) {
                my $text = "count:$round.$n.$i";
                my $answer = eval { $world->ask('msul1', "lonc_defer:$text") } // '';
                print $file "$text\n" if $answer eq 'con_delayed';
            }
            POSIX::_exit(0);
        }
        $pid
    } 1 .. 20;
}

{
    my $world = Lonc->new(settings => {%quick, deferred_hold => '10ms'});
    $world->keeper;
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    my $kills = 30;
    my @asking = start_asking($world, 1);
    srand 7;
    for (1 .. $kills) {
        my $stored = commands($world, 'D');
        Lonc::within($Lonc::PATIENCE, sub { (-s $world->path('logs/lonnet.perm.log') // 0) > 60 * ($stored + 5) });
        Time::HiRes::sleep(rand 0.05);
        $world->{keeper}->kill_hard;
        $world->keeper;
    }
    kill 'TERM', @asking;
    waitpid $_, 0 for @asking;
    my @answered = map { split /\n/, $world->read_file("answered-$_") } 1 .. 20;
    cmp_ok scalar(@answered), '>=', 100, "20 clients ask, the keeper is killed $kills times: " . @answered . ' transactions are answered con_delayed';
    my %there = map { ($world->read_file("sockets/delayed/$_") => 1) } left($world);
    is_deeply [grep { !$there{"$_\n"} } @answered], [], '... each of them is on the disk';
    my @torn = grep { !/^count:[\d.]+\n\z/ } keys %there;
    is_deeply \@torn, [], '... and nothing half-written is where files are delivered from';
    my $number = () = left($world);
    my $lond = comes_back($world);
    ok Lonc::within(60, sub { !left($world) }), '... the host comes back, and all are delivered';
    is scalar(grep { !$lond->executed($_) } @answered), 0, '... each transaction answered con_delayed is executed';
    is $lond->control('distinct'), scalar(keys %there), '... and so is what was stored, but not answered';
    is_deeply [aside($world, 'storing')], [], '... nothing half-written is left by those that were killed';
}

done_testing;
