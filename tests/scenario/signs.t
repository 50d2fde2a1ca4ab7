#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# lonc.pid and lonc.log: what LON-CAPA's scripts read. While one cannot be written status lists it, it is tried
# again by itself, and links and rotations, which administrators make, are followed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::More;
use Lonc;

# What status lists of this kind; undef when there is no such trouble.
sub trouble {
    my ($keeper, $kind) = @_;
    my ($trouble) = grep { $_->{trouble} eq $kind } @{$keeper->tells('status')->{troubles}};
    return $trouble && $trouble->{detail};
}

sub over { my ($keeper, $kind) = @_; return Lonc::within($Lonc::PATIENCE, sub { !defined trouble($keeper, $kind) }) }

sub pid_in { my ($world, $name) = @_; return ($world->read_file($name) // '') =~ /^(\d+)\n\z/ ? $1 : 'none' }

my %own = (trouble_retry => '200ms', log_level => 'info');

# What may stand in a file's way, and how it is taken away again.
my @obstacles = (
    ['a folder', sub { mkdir $_[0] or die "mkdir: $!" }, sub { rmdir $_[0] or die "rmdir: $!" }, qr/Is a directory/],
    ['a link to itself', sub { symlink $_[0], $_[0] or die "symlink: $!" }, sub { unlink $_[0] or die "unlink: $!" }, qr/Too many levels of symbolic links/],
    ['a FIFO that nobody reads', sub { POSIX::mkfifo($_[0], 0600) or die "mkfifo: $!" }, sub { unlink $_[0] or die "unlink: $!" }, qr/No such device or address/],
    ['a link to a folder that is not there', sub { symlink "$_[0].away/file", $_[0] or die "symlink: $!" }, sub { mkdir "$_[0].away" or die "mkdir: $!" }, qr/No such file or directory/],
);

# --- lonc.pid -------------------------------------------------------------------------------------

for (@obstacles) {
    my ($what, $make, $clear, $why) = @$_;
    my $world = Lonc->new(settings => {%own});
    my $path = $world->path('logs/lonc.pid');
    $make->($path);
    my $keeper = $world->keeper;
    like trouble($keeper, 'pid-file'), qr/^\Q$path\E: cannot be written: $why$/, "$what in the place of lonc.pid: status says so";
    $clear->($path);
    ok over($keeper, 'pid-file'), '... when it has gone, the trouble is over by itself';
    is pid_in($world, 'logs/lonc.pid'), $keeper->{pid}, '... for lonc.pid is there';
    $keeper->end;
    is $keeper->{status}, 0, '... and the keeper leaves as ever';
    ok !-e $path, '... and takes it along';
}

{
    my $world = Lonc->new(settings => {%own, trouble_retry => '1h'});
    mkdir $world->path('elsewhere') or die "mkdir: $!";
    symlink '../elsewhere/pid', $world->path('logs/lonc.pid') or die "symlink: $!";
    my $keeper = $world->keeper;
    is pid_in($world, 'elsewhere/pid'), $keeper->{pid}, 'lonc.pid as a link: it is written where that leads';
    $keeper->end;
    ok !-e $world->path('elsewhere/pid') && -l $world->path('logs/lonc.pid'), '... and removed there, while the link stays';

    $keeper = $world->keeper;
    rename $world->path('logs'), $world->path('logs.1') or die "rename: $!";
    mkdir $world->path('logs') or die "mkdir: $!";
    ok Lonc::within($Lonc::PATIENCE, sub { pid_in($world, 'logs/lonc.pid') eq $keeper->{pid} }), 'logs/ is rotated whole: lonc.pid is in the new one';
    is trouble($keeper, 'pid-file'), undef, '... and no trouble';
    rename $world->path('logs'), $world->path('logs.2') or die "rename: $!";
    ok Lonc::within($Lonc::PATIENCE, sub { defined trouble($keeper, 'pid-file') }), 'logs/ is away: a trouble';
    rename $world->path('logs.2'), $world->path('logs') or die "rename: $!";
    ok over($keeper, 'pid-file'), '... until it is back, at once';
    $keeper->end;
    ok !-e $world->path('logs/lonc.pid'), '(the keeper has left)';
}

{
    # Another has started meanwhile, and lonc.pid is its own.
    my $world = Lonc->new(settings => {%own});
    my $keeper = $world->keeper;
    $world->write_file('logs/lonc.pid', "1\n");
    $keeper->end;
    is $world->read_file('logs/lonc.pid'), "1\n", 'a lonc.pid of another is left alone';
}

# --- lonc.log -------------------------------------------------------------------------------------

for (@obstacles) {
    my ($what, $make, $clear, $why) = @$_;
    my $world = Lonc->new(settings => {%own});
    my $path = $world->{settings}{log_file} = $world->path('logs/lonc.log');
    $world->write_config;
    $make->($path);
    my $keeper = $world->keeper;
    like trouble($keeper, 'log-file'), qr/^\Q$path\E: cannot be written: $why$/, "$what in the place of lonc.log: status says so";
    is $keeper->said(qr/log-file: /), 1, '... the log says it once';
    $clear->($path);
    ok over($keeper, 'log-file'), '... when it has gone, the trouble is over by itself';
    like $world->read_file('logs/lonc.log'), qr/^\w{3} .* \($keeper->{pid}\) \[Parent\] \[\] SUCCESS: log-file: mended after \d+ s: /m, '... and the file has what is said from then on';
}

{
    my $world = Lonc->new(settings => {%own, trouble_retry => '1h'});
    my $path = $world->{settings}{log_file} = $world->path('logs/lonc.log');
    $world->write_config;
    mkdir $world->path('elsewhere') or die "mkdir: $!";
    symlink '../elsewhere/lonc.log', $path or die "symlink: $!";
    my $keeper = $world->keeper;
    Lonc::within($Lonc::PATIENCE, sub { $world->read_file('elsewhere/lonc.log') =~ /is ready/ }); # standard error has it first
    like $world->read_file('elsewhere/lonc.log'), qr/SUCCESS: lonc-keeper \S+ is ready$/m, 'lonc.log as a link: messages are written where that leads';
    is trouble($keeper, 'log-file'), undef, '... which is no trouble';

    rename $world->path('elsewhere/lonc.log'), $world->path('elsewhere/lonc.log.1') or die "rename: $!";
    ok $keeper->tells('reload')->{ok}, '(it is rotated)';
    like $world->read_file('elsewhere/lonc.log'), qr/SUCCESS: 1 hosts? in force/, '... and messages are in the new file';
    rename $world->path('logs'), $world->path('logs.1') or die "rename: $!";
    mkdir $world->path('logs') or die "mkdir: $!";
    ok $keeper->tells('reload')->{ok}, '(logs/ is rotated whole)';
    like $world->read_file('logs/lonc.log'), qr/SUCCESS: 1 hosts? in force/, '... and so they are then';

    unlink $path or die "unlink: $!";
    symlink '/dev/full', $path or die "symlink: $!";
    ok $keeper->tells('reload')->{ok}, '(the disk is full)';
    like trouble($keeper, 'log-file'), qr/cannot be written: No space left on device$/, 'a full disk is a trouble';
    unlink $path or die "unlink: $!";
    ok $keeper->tells('reload')->{ok}, '(there is room again)';
    is trouble($keeper, 'log-file'), undef, '... which the next message ends';

    mkdir "$path.d" or die "mkdir: $!";
    $world->{settings}{log_file} = "$path.d";
    $world->write_config;
    $keeper->tells('reload');
    like trouble($keeper, 'log-file'), qr/lonc\.log\.d: cannot be written: Is a directory/, 'another log_file that cannot be written';
    $world->{settings}{log_file} = '';
    $world->write_config;
    $keeper->tells('reload');
    is trouble($keeper, 'log-file'), undef, '... and none, which is no trouble';
    $keeper->end;
    is $keeper->{status}, 0, 'and the keeper leaves as ever';
}

done_testing;
