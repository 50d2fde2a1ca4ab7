#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# The deferred queue in a hostile environment: disks become full; folders are replaced, linked, mounted over and given to
# other users; files are written slowly, and changed while they are delivered. Nothing is sent that cannot be recorded and
# removed, no file is sent by halves, only what can never be a transaction is set aside, and the path counts, not the
# folder that was open.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Fcntl;
use File::Path qw(remove_tree make_path);
use Time::HiRes qw(time);
use Lonc;
use Deferred;

my %quick = (deferred_hold => '20ms', retry_delay => '50ms', deferred_retry => '200ms', deferred_still => '300ms', trouble_retry => '200ms');

sub in_folder { my ($world, $name) = @_; return $world->path("sockets/delayed/$name") }
sub troubles { my ($world) = @_; return map { $_->{trouble} } @{$world->{keeper}->tells('status')->{troubles}} }
sub detail { my ($world, $kind) = @_; return (map { $_->{detail} } grep { $_->{trouble} eq $kind } @{$world->{keeper}->tells('status')->{troubles}})[0] // '' }
sub has_trouble { my ($world, $kind) = @_; return Lonc::within($Lonc::PATIENCE, sub { grep { $_ eq $kind } troubles($world) }) }
sub is_well { my ($world) = @_; return Lonc::within($Lonc::PATIENCE, sub { !troubles($world) }) }

# The keeper as a user who is not root, as in real life; everything in the world is his.
my $user = 65534;

sub unprivileged {
    my (%with) = @_;
    my $world = Lonc->new(%with, settings => {%quick, %{$with{settings} || {}}});
    my $lond = $world->lond('msul1', @{$with{lond} || []});
    system 'chown', '-R', $user, $world->{dir};
    chmod 0755, $world->{dir};
    $world->{user} = $user;
    start_keeper($world);
    return ($world, $lond);
}

sub start_keeper {
    my ($world) = @_;
    return $world->keeper($world->{user} ? (wrapper => ['setpriv', "--reuid=$world->{user}", '--clear-groups']) : ());
}

# Stops it in good order, and starts the next.
sub restart {
    my ($world) = @_;
    $world->{keeper}->signal('TERM');
    $world->{keeper}->wait_exit == 0 or die 'it did not leave';
    return start_keeper($world);
}

# The file is the keeper's user's.
sub give { my ($world, $name) = @_; chown $user, -1, in_folder($world, $name) if $> == 0; return $name }

sub mounted {
    my ($folder, @options) = @_;
    return if $> != 0 || system("mount -t tmpfs @options lonc-test $folder 2>/dev/null") != 0;
    return bless {owner => $$, folder => $folder}, 'Unmount';
}
sub Unmount::DESTROY { my ($self) = @_; system "umount -l $self->{folder} 2>/dev/null" if $self->{owner} == $$ }

# Whether the keeper sleeps for most of a second.
sub sleeps {
    my ($world) = @_;
    my $cpu = $world->{keeper}->cpu;
    select undef, undef, undef, 1;
    return $world->{keeper}->cpu - $cpu < 0.1;
}

# --- What cannot be recorded or removed is not sent ------------------------------------------------

SKIP: {
    my $world = Lonc->new(settings => {%quick});
    my $mount = mounted($world->path('logs'), '-o size=16k') or skip 'mounting is for root', 1;
    my $lond = $world->lond('msul1');
    my $fill = sub { open my $file, '>', $world->path('logs/filling') or die; $file->autoflush; 1 while syswrite $file, 'x' x 4096 };
    $fill->();
    $world->keeper;
    my $name = drop($world, 'msul1', 1, 'count:1');
    ok has_trouble($world, 'perm-log'), 'the disk of the logs is full: that is a trouble';
    like detail($world, 'perm-log'), qr/lonnet\.perm\.log: No space left/, '... which says what is wrong where';
    for my $n (1 .. 3) {
        restart($world);
        has_trouble($world, 'perm-log');
    }
    is $lond->executed('count:1'), 0, '... and nothing is sent, however often the keeper is started';
    ok sleeps($world), '... and it does not look without end';
    unlink $world->path('logs/filling');
    ok await_gone($world, $name), '... until there is room';
    is $lond->executed('count:1'), 1, '... then once';
    is_deeply [commands($world, 'S')], ['count:1'], '... with its S line';
    ok is_well($world), '... and nothing is wrong any more';
    ok sleeps($world), '... nor is it looked for';
}

SKIP: {
    skip 'other users are for root', 1 if $> != 0;
    my ($world, $lond) = unprivileged();
    chown 0, 0, $world->path('sockets/delayed');
    chmod 0755, $world->path('sockets/delayed');
    my $name = give($world, drop($world, 'msul1', 1, 'count:1'));
    ok has_trouble($world, 'folder'), 'delayed/ is restored by root and not writable: that is a trouble';
    restart($world) for 1 .. 2;
    has_trouble($world, 'folder');
    is $lond->executed('count:1'), 0, '... and nothing is sent that could not be removed';
    chown $user, -1, $world->path('sockets/delayed');
    ok await_gone($world, $name), '... until it is given back';
    is $lond->executed('count:1'), 1, '... then once';
    ok is_well($world), '... and nothing is wrong any more';

    chmod 01777, $world->path('sockets/delayed');
    chown 0, 0, $world->path('sockets/delayed');
    my $foreign = drop($world, 'msul1', 2, 'count:2');
    chmod 0644, in_folder($world, $foreign);
    my $own = give($world, drop($world, 'msul1', 3, 'count:3'));
    ok await_gone($world, $own), "a sticky folder with somebody else's file: the keeper's own goes";
    ok has_trouble($world, 'deferred'), '... the other one is a trouble';
    is $lond->executed('count:2'), 0, '... and is not sent';
    chown $user, -1, in_folder($world, $foreign);
    ok await_gone($world, $foreign), '... until it is given to the keeper';
    is $lond->executed('count:2'), 1, '... then once';
    ok is_well($world), '... and nothing is wrong any more';
}

# What becomes impossible while lond works on it.
SKIP: {
    skip 'other users are for root', 1 if $> != 0;
    my ($world, $lond) = unprivileged();
    my $name = give($world, drop($world, 'msul1', 1, 'sleep:300:one'));
    $lond->has(1, 'busy') or die 'not in flight';
    chown 0, 0, $world->path('sockets/delayed');
    chmod 0755, $world->path('sockets/delayed');
    ok has_trouble($world, 'deferred'), 'a delivered file cannot be removed: that is a trouble';
    like detail($world, 'deferred'), qr/is delivered, but cannot be removed: Permission denied/, '... which says so';
    restart($world) for 1 .. 3;
    has_trouble($world, 'deferred');
    is $lond->executed('sleep:300:one'), 1, '... and is not sent again by those who follow';
    is scalar(commands($world, 'S')), 1, '... nor has it another S line';
    system 'chown', '-R', $user, $world->path('sockets/delayed');
    ok await_gone($world, $name), '... but removed as soon as that is possible';
    is $lond->executed('sleep:300:one'), 1, '... once executed';
    ok is_well($world), '... and nothing is wrong any more';
    is_deeply [glob $world->path('state/delivered-*')], [], '... nor is a mark left';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $log = $world->path('logs/lonnet.perm.log');
    my $name = drop($world, 'msul1', 1, 'sleep:300:one');
    $lond->has(1, 'busy') or die 'not in flight';
    mkdir $log or die "mkdir: $!";
    ok has_trouble($world, 'deferred'), 'the S line of a delivered file cannot be written: that is a trouble';
    restart($world);
    restart($world);
    rmdir $log or die "rmdir: $!";
    ok await_gone($world, $name), '... and later keepers write it';
    is $lond->executed('sleep:300:one'), 1, '... without sending it again';
    is_deeply [commands($world, 'S')], ['sleep:300:one'], '... once';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    unlink $world->path('logs/lonnet.perm.log');
    $world->write_file('elsewhere.log', '');
    symlink $world->path('elsewhere.log'), $world->path('logs/lonnet.perm.log') or die "symlink: $!";
    ok await_gone($world, drop($world, 'msul1', 1, 'count:1')), 'lonnet.perm.log is a symbolic link: files are delivered';
    is_deeply [commands($world, 'S')], ['count:1'], '... with their S lines behind it';
    rename $world->path('logs'), $world->path('logs.1') or die "rename: $!";
    mkdir $world->path('logs') or die "mkdir: $!";
    ok await_gone($world, drop($world, 'msul1', 2, 'count:2')), 'logs/ is rotated as a whole: files are delivered';
    is_deeply [commands($world, 'S')], ['count:2'], '... with their S lines in the new one';
    is_deeply [troubles($world)], [], '... and nothing is wrong';
}

# --- Halves ----------------------------------------------------------------------------------------

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $name = name_of('msul1', 1);
    sysopen my $file, in_folder($world, $name), O_WRONLY | O_CREAT | O_APPEND, 0600 or die "open: $!";
    syswrite $file, 'count:first';
    my $behind = drop_many($world, 'msul1', 2 .. 10);
    ok await_gone($world, $behind), 'a file is written slowly: those behind it go';
    Lonc::within(0.3, sub {0}); # many times as long as it is left alone
    syswrite $file, ' and second';
    ok Lonc::within(0.3, sub {1}) && !is_gone($world, $name), '... it stays for as long as it is open';
    ok has_trouble($world, 'deferred'), '... which becomes a trouble when it takes long';
    syswrite $file, " half\n";
    close $file;
    ok await_gone($world, $name), '... and goes when it is closed';
    is $lond->executed('count:first and second half'), 1, '... as a whole';
    is $lond->executed('count:first'), 0, '... never in halves';
    ok is_well($world), '... and nothing is wrong any more';
    is_deeply [aside($world, 'corrupt')], [], '... nor was anything set aside';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_write_timeout => '500ms'});
    my $name = name_of('msul1', 1);
    sysopen my $file, in_folder($world, $name), O_WRONLY | O_CREAT | O_APPEND, 0600 or die "open: $!";
    syswrite $file, 'count:half';
    ok await_gone($world, $name), 'a file that stays open for writing for ever';
    is_deeply [aside($world, 'corrupt')], [$name], '... is set aside in the end';
    is $lond->control('distinct'), 0, '... unsent';
}

# In somebody else's file nobody can look for a writer.
SKIP: {
    skip 'other users are for root', 1 if $> != 0;
    my ($world, $lond) = unprivileged(settings => {deferred_still => '1s'});
    my $name = name_of('msul1', 1);
    sysopen my $file, in_folder($world, $name), O_WRONLY | O_CREAT | O_APPEND, 0644 or die "open: $!";
    my $start = time;
    while (time < $start + 2) {
        syswrite $file, 'count:' . '.' x 10;
        Lonc::within(0.2, sub {0});
    }
    is $lond->control('distinct'), 0, "somebody else's file is not sent while it changes";
    syswrite $file, "end\n";
    close $file;
    ok await_gone($world, $name), '... but when it has been still for a while';
    is $lond->control('distinct'), 1, '... once';
}

# Each that goes changes the link count, and so the time of change, of the others.
{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_hold => '300ms'});
    $world->write_file('linked', "count:linked\n");
    link $world->path('linked'), in_folder($world, name_of('msul1', $_)) or die "link: $!" for 1 .. 50;
    my $start = time;
    ok await_gone($world, name_of('msul1', 50)), 'fifty names of one file are delivered';
    is $lond->executed('count:linked'), 50, '... each once';
    cmp_ok time - $start, '<', 10, '... without waiting for each other';
}

# The file changes while its lond works on it.
for my $way (
    ['is renamed over', sub { my ($world, $name) = @_; $world->write_file('new', "count:new\n"); rename $world->path('new'), in_folder($world, $name) or die }, 'count:new'],
    ['is rewritten', sub { my ($world, $name) = @_; $world->write_file("sockets/delayed/$name", "count:rewritten\n") }, 'count:rewritten'],
    ['is appended to', sub { my ($world, $name) = @_; open my $file, '>>', in_folder($world, $name) or die; print $file " and more\n"; close $file }, 'sleep:300:old and more'],
    ['is rewritten with as many bytes', sub { my ($world, $name) = @_; $world->write_file("sockets/delayed/$name", "count:as long\n") }, 'count:as long'],
    ['is removed, and another one comes', sub { my ($world, $name) = @_; unlink in_folder($world, $name); $world->write_file("sockets/delayed/$name", "count:another\n") }, 'count:another'],
    ) {
    my ($what, $change, $new) = @$way;
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $name = drop($world, 'msul1', 1, 'sleep:300:old', end => '');
    $lond->has(1, 'busy') or die 'not in flight';
    $change->($world, $name);
    ok Lonc::within($Lonc::PATIENCE, sub { $lond->executed($new) }), "a file that $what while its lond works on it is delivered anew";
    ok await_gone($world, $name), '... and then goes';
    is_deeply [$lond->executed('sleep:300:old'), $lond->executed($new)], [1, 1], '... each content once';
    is_deeply [commands($world, 'S')], ['sleep:300:old', $new], '... with an S line each';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    my $name = drop($world, 'msul1', 1, 'reply:refused');
    ok await_gone($world, $name), '(a file is rejected)';
    $name = drop($world, 'msul1', 2, 'sleep:300:old');
    $lond->has(1, 'busy') or die 'not in flight';
    chmod 0640, in_folder($world, $name);
    ok await_gone($world, $name), 'a file that gets other permissions while its lond works on it goes';
    is $lond->executed('sleep:300:old'), 1, '... for it is the same';
}

# --- Errors of the moment --------------------------------------------------------------------------

SKIP: {
    skip 'other users are for root', 1 if $> != 0;
    my ($world, $lond) = unprivileged();
    my @foreign = map { drop($world, 'msul1', $_, "count:$_") } 1 .. 5;
    chmod 0600, map { in_folder($world, $_) } @foreign;
    my $own = give($world, drop($world, 'msul1', 6, 'count:6'));
    ok await_gone($world, $own), 'files that the keeper may not read do not hold up those behind them';
    ok has_trouble($world, 'deferred'), '... they are a trouble';
    like detail($world, 'deferred'), qr/\Q$foreign[0]\E cannot be read: Permission denied; others too/, '... which names one';
    Lonc::within(1, sub {0}); # five times as long as until they are tried again
    is_deeply [left($world), aside($world, 'corrupt')], [@foreign], '... they stay where they are, however long it takes';
    chown $user, -1, map { in_folder($world, $_) } @foreign;
    ok Lonc::within($Lonc::PATIENCE, sub { !left($world) }), '... and are delivered when they are given to it';
    is_deeply [sort(commands($world, 'S'))], [map {"count:$_"} 1 .. 6], '... each once';
    ok is_well($world), '... and nothing is wrong any more';
}

# --- Folders that are replaced ---------------------------------------------------------------------

sub replaced {
    my ($what, $make, $undo) = @_;
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_hold => '50ms'});
    ok await_gone($world, drop($world, 'msul1', 1, 'count:before')), '(a file is delivered)';
    $make->($world) or return 0;
    my $name = drop($world, 'msul1', 2, 'count:after');
    ok await_gone($world, $name, 5), "$what: what lies there now is delivered";
    is $lond->executed('count:after'), 1, '... once';
    is_deeply [troubles($world)], [], '... and nothing is wrong';
    $lond->end;
    $world->activate('msul1');
    $world->ask('msul1', 'ping');
    is $world->ask('msul1', 'lonc_defer:count:stored'), 'con_delayed', '... what a client leaves is stored';
    my ($stored) = left($world);
    is $world->read_file("sockets/delayed/$stored"), "count:stored\n", '... where the path leads';
    $undo->() if $undo;
    return 1;
}

replaced('lonSockDir is moved and made anew', sub {
    my ($world) = @_;
    rename $world->path('sockets'), $world->path('sockets.old') or die "rename: $!";
    make_path($world->path('sockets/delayed'));
    return 1;
});

replaced('the folder above lonSockDir is a link that leads elsewhere now', sub {
    my ($world) = @_;
    rename $world->path('sockets'), $world->path('one') or die "rename: $!";
    make_path($world->path('two/delayed'));
    symlink 'two', $world->path('sockets') or die "symlink: $!";
    return 1;
});

replaced('delayed/ becomes a link', sub {
    my ($world) = @_;
    make_path($world->path('disk/delayed'));
    $world->{keeper}->while_stopped(sub { # else it may make the folder first
        rename $world->path('sockets/delayed'), $world->path('sockets/delayed.old') or die "rename: $!";
        symlink $world->path('disk/delayed'), $world->path('sockets/delayed') or die "symlink: $!";
    });
    return 1;
});

{
    my $mount; # it ends before the world that it is in
    replaced('delayed/ is mounted over', sub {
        my ($world) = @_;
        return $mount = mounted($world->path('sockets/delayed'));
    }, sub { undef $mount }) or diag 'mounting is for root';
}

# An administrator who moves the folder to another disk types two commands.
{
    my ($world, $lond) = Lonc->up(settings => {%quick, deferred_hold => '1s'});
    ok await_gone($world, drop($world, 'msul1', 1, 'count:1')), '(a file is delivered)';
    rename $world->path('sockets/delayed'), $world->path('elsewhere') or die "rename: $!";
    ok $world->{keeper}->await(qr/folder: cannot open/), 'a folder is moved away: that is a trouble';
    ok !-e $world->path('sockets/delayed'), '... and it is not made anew at once';
    symlink $world->path('elsewhere'), $world->path('sockets/delayed') or die "symlink: $!";
    ok await_gone($world, drop($world, 'msul1', 2, 'count:2')), '... so that a link can take its place';
    is_deeply [troubles($world)], [], '... and nothing is wrong';
}

{
    my ($world, $lond) = Lonc->up(settings => {%quick});
    drop($world, 'msul1', 1, 'sleep:500:old');
    $lond->has(1, 'busy') or die 'not in flight';
    rename $world->path('sockets/delayed'), $world->path('old') or die "rename: $!";
    mkdir $world->path('sockets/delayed') or die "mkdir: $!";
    my $name = drop($world, 'msul1', 2, 'count:new');
    ok await_gone($world, $name), 'the folder is replaced while a file of it is with its lond: the new one is delivered from';
    ok !-e $world->path('old/' . name_of('msul1', 1)), '... and what was delivered is gone from the old one';
    rename $world->path('sockets/delayed'), $world->path('new') or die "rename: $!";
    rename $world->path('old'), $world->path('sockets/delayed') or die "rename: $!";
    ok await_gone($world, drop($world, 'msul1', 3, 'count:back')), '... which may come back';
    is $lond->control('repeated'), 0, '... and nothing is sent twice';
}

# --- Without inotify -------------------------------------------------------------------------------

for my $what ('instances', 'watches') {
    SKIP: {
        my @none = ('unshare', '--user', '--map-root-user', 'sh', '-c', "echo 0 >/proc/sys/user/max_inotify_$what && exec \"\$@\"", 'sh');
        skip "a user namespace without inotify $what is not to be had", 1 if system("@none[0 .. 4] 'echo 0 >/proc/sys/user/max_inotify_$what' 2>/dev/null") != 0;
        my $world = Lonc->new(settings => {%quick, deferred_poll => '300ms'});
        my $lond = $world->lond('msul1');
        $world->keeper(wrapper => \@none);
        ok has_trouble($world, 'watch'), "without inotify $what: that is a trouble";
        like detail($world, 'watch'), qr/cannot watch .*delayed: /, '... which says what cannot be watched';
        ok await_gone($world, drop($world, 'msul1', 1, 'count:1')), '... files are delivered all the same';
        rename $world->path('sockets/delayed'), $world->path('old') or die "rename: $!";
        mkdir $world->path('sockets/delayed') or die "mkdir: $!";
        ok await_gone($world, drop($world, 'msul1', 2, 'count:2')), '... from another folder in its place, too';
    }
}

done_testing;
