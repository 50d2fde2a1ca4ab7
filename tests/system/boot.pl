#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Boots a systemd in a container, on an overlay of this machine's files that is thrown away afterwards; installs the
# programs there with `make install`; and runs tests/system/t inside. The container boots twice. Tests whose names begin
# with 00 always run, before the reboot. Nothing on this machine changes: the mounts are in a mount namespace, and the
# network is a loopback of its own.
#
#     boot.pl [--long] [NAME...]      runs only the tests whose names contain one of these (and those with 00)
#     boot.pl --bench [PART...]       installs the Debian package, boots once, and runs tests/system/bench.pl
#
# Tests that take minutes are named NAME-long.t. They run with --long, or if they are named.
#
# LONC_ROUNDS, LONC_SECONDS and LONC_REQUESTS limit --bench, which leaves its results in BUILD/bench-results.
# LONC_KEEP=1 also shows the console and, if a test fails, the journal.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use FindBin;

my $bench = @ARGV && $ARGV[0] eq '--bench';
my $build = $ENV{BUILD} || 'build';
my $tree = abs_path("$FindBin::Bin/../..");

sub skip {
    print "tests/system: skipped, all of it: $_[0]\n1..0 # SKIP $_[0]\n";
    exit 0;
}

skip('root is needed to boot a container') if $> != 0;
for my $tool (qw(systemd-nspawn unshare setpriv make)) {
    skip("$tool is missing") if system("command -v $tool >/dev/null 2>&1") != 0;
}

skip('a mount namespace is not allowed here') if system('unshare --mount true 2>/dev/null') != 0;

sub run { system(@_) == 0 or die "boot.pl: @_: failed ($?)\n" }

# In a mount namespace, so that all mounts disappear when this program ends, however it ends; and in a control group
# of its own, so that two of these programs do not disturb each other.
if (!$ENV{LONC_BOOT_INSIDE}) {
    local $ENV{LONC_BOOT_INSIDE} = 1;
    my @own = ('setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private', $^X, $0, @ARGV);
    exec 'systemd-run', '--quiet', '--scope', '--property=Delegate=yes', @own if -d '/run/systemd/system';
    my @groups = own_groups();
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        enter_groups(@groups);
        exec @own or die "unshare: $!";
    }
    waitpid $pid, 0;
    my $status = $?;
    leave_groups(@groups);
    exit($status >> 8 || ($status & 127 ? 1 : 0));
}

# If nobody manages control groups: a group of ours below each one that systemd would use.
sub own_groups {
    my %at;
    open my $mounts, '<', '/proc/self/mountinfo' or return;
    while (<$mounts>) {
        my ($point, $type, $options) = (/^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) \S+ (\S+)/) or next;
        $at{''} = $point if $type eq 'cgroup2';
        $at{'name=systemd'} = $point if $type eq 'cgroup' && $options =~ /name=systemd/;
    }
    open my $groups, '<', '/proc/self/cgroup' or return;
    my @own;
    while (<$groups>) {
        my ($controllers, $path) = /^\d+:([^:]*):(.*)$/ or next;
        push @own, "$at{$controllers}$path/lonc-test-$$" if $at{$controllers};
    }
    return @own;
}

sub enter_groups {
    for my $group (@_) {
        mkdir $group;
        open my $file, '>', "$group/cgroup.procs" or next;
        print $file $$;
    }
}

sub leave_groups {
    system('find', $_, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';') for grep {-d} @_;
}

# --- The machine ----------------------------------------------------------------------------------

my $scratch = tempdir('lonc-boot-XXXXXX', TMPDIR => 1);
run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', $scratch);
mkdir "$scratch/$_" for qw(upper work root);
if (system('mount', '-t', 'overlay', 'overlay', '-o',
        "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work", "$scratch/root") != 0) {
    run('umount', $scratch);
    rmdir $scratch;
    skip('an overlay of / cannot be mounted here');
}
my $root = "$scratch/root";

sub write_file {
    my ($name, $text) = @_;
    my ($directory) = "$root$name" =~ m{(.*)/};
    make_path($directory);
    open my $file, '>', "$root$name" or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

# Leaves out this machine's services and terminals.
remove_tree(glob "$root/etc/systemd/system/*.wants");
for my $unit (qw(systemd-logind.service getty.target apt-daily.timer apt-daily-upgrade.timer systemd-resolved.service
    systemd-networkd.service systemd-timesyncd.service console-getty.service systemd-journal-flush.service)) {
    unlink "$root/etc/systemd/system/$unit";
    symlink '/dev/null', "$root/etc/systemd/system/$unit";
}
remove_tree("$root/var/log/journal");

make_path("$root/opt/lonc-tests");
run('cp', '-r', "$tree/tests/system/.", "$root/opt/lonc-tests/");
run('cp', "$tree/tests/bench/lib/Measured.pm", "$root/opt/lonc-tests/lib/");
run('cp', "$build/stand-in-lond", "$build/lonnet-load", "$build/empty-service", "$tree/common/log.c", "$tree/keeper/lonc.7", "$root/opt/lonc-tests/");
run('cp', glob("$build/*.deb"), "$root/opt/lonc-tests/") if glob "$build/*.deb";
if ($bench) {
    run('mount', '-t', 'proc', 'proc', "$root/proc"); # systemd-tmpfiles needs it
    run("chroot $root sh -c 'dpkg --install /opt/lonc-tests/*.deb' >&2");
    run('umount', "$root/proc");
} else {
    run("make -s -C $tree install BUILD=$build DESTDIR=$root >&2");
}
run('journalctl', "--root=$root", '--update-catalog'); # as systemd does when /usr is newer than /var

chomp(my $uninstall = `make -s -n -C $tree uninstall BUILD=$build DESTDIR=`);
write_file('/opt/lonc-tests/uninstall', "cd /opt/lonc-tests\n$uninstall\nexit 0\n");
run('cp', '-r', "$tree/units", "$root/opt/lonc-tests/units");

# A LON-CAPA server with five hosts, whose londs are one stand-in lond on the loopback.
write_file('/etc/apache2/loncapa.conf', "PerlSetVar lonHostID annarborl1\n");
write_file('/etc/lonc/keeper.conf', "probe_min = 500ms\nprobe_max = 1s\n");
write_file('/etc/tmpfiles.d/lonc-test.conf', join '', map {"d /home/httpd/$_ 0755 www www\n"}
    '', qw(sockets sockets/delayed lonTabs perl perl/logs html html/lon-status lonCerts));
write_file('/home/httpd/lonTabs/hosts.tab', join '', map {"msul$_:msu:library:msul$_.example.edu:127.0.1.$_\n"} 1 .. 5);
write_file('/etc/systemd/system/lond.service', "[Service]\nExecStart=/opt/lonc-tests/stand-in-lond --count-texts "
        . "--peer annarborl1 --control /run/lond.sock " . join(' ', map {"--listen 127.0.1.$_:5663"} 1 .. 6) . "\n");

shift @ARGV if $bench;
my $long = @ARGV && $ARGV[0] eq '--long' && shift @ARGV;
my $bounds = join ' ', map {"$_=$ENV{$_}"} grep { defined $ENV{$_} } qw(LONC_ROUNDS LONC_SECONDS LONC_REQUESTS);
my @tests = map { s{.*/}{t/}r } sort glob "$tree/tests/system/t/*.t";
my @first = grep {m{^t/00}} @tests;
@tests = grep { !m{^t/00} } @tests;
@tests = grep { /-long\.t$/ ? $long || @ARGV : !$long } @tests;
@tests = grep { my $test = $_; grep { index($test, $_) >= 0 } @ARGV } @tests if @ARGV;
sub prove { "prove --timer -v --exec 'timeout --kill-after=5 600 perl' @_" }
write_file('/etc/systemd/system/lonc-test.service', <<"END");
[Unit]
After=lonc.target multi-user.target lond.service
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
WorkingDirectory=/opt/lonc-tests
Environment=PERL5LIB=/opt/lonc-tests/lib BUILD=/opt/lonc-tests $bounds
LimitNOFILE=65536
ExecStart=/bin/sh run-tests
ExecStopPost=/bin/sh -c 'journalctl --no-pager -o short-precise > /journal 2>&1'
StandardOutput=append:/results
StandardError=inherit
END
write_file('/etc/systemd/system/booted.target', "[Unit]\nRequires=multi-user.target\nWants=lonc-test.service lond.service\n");
run('systemctl', '--quiet', "--root=$root", 'enable', 'lonc.target');

# --- Its life -------------------------------------------------------------------------------------

my $log = "$scratch/console";

sub start_machine {
    my $machine = fork // die "fork: $!";
    return $machine if $machine;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', $log if !$ENV{LONC_KEEP};
    open STDERR, '>&', \*STDOUT;
    # It ends when this program ends, or after half an hour.
    exec qw(setpriv --pdeathsig KILL timeout --kill-after=10 1800 setpriv --pdeathsig KILL systemd-nspawn --quiet --register=no
        --keep-unit --private-network), "--machine=lonc-test-$$", "--directory=$root", '--boot', 'systemd.unit=booted.target',
        'systemd.show_status=no' or die "systemd-nspawn: $!";
}

sub read_file {
    my ($name, $from) = @_;
    open my $file, '<', $name or return '';
    seek $file, $from // 0, 0;
    local $/;
    return scalar(<$file>) // '';
}

# Boots the container and waits until it is powered off, showing its output. Returns the exit status of the command,
# or undef if it has none.
sub boot {
    my ($command) = @_;
    write_file('/opt/lonc-tests/run-tests', "$command\necho \"exit status \$?\"\n");
    unlink "$root/results";
    my $machine = start_machine();
    my ($results, $ended) = ('', 0);
    until ($ended) {
        $ended = waitpid($machine, 1) != 0;
        my $more = read_file("$root/results", length $results);
        print $more;
        $results .= $more;
        select undef, undef, undef, 0.1;
    }
    return ($results =~ /^exit status (\d+)\n\z/m)[0];
}

$| = 1;
my $start = time;
my $status = 0;
for my $command ($bench ? "perl bench.pl @ARGV" : (prove(@first), prove(@tests))) {
    $status = boot($command);
    last if !defined $status || $status != 0;
}
printf "tests/system: %s in %d s on a booted systemd\n",
    !defined $status ? 'did not end' : $status == 0 ? 'passed' : 'FAILED', time - $start;
my $failed = !defined $status || $status != 0;
if ($failed) {
    my $kept = $ENV{LONC_JOURNAL} || "$build/system-journal.txt";
    system('cp', "$root/journal", $kept) if -e "$root/journal";
    print "the journal of that system: $kept\n";
    print read_file($log) if !defined $status;
}
run('cp', '-r', "$root/opt/lonc-tests/bench-results", $build) if -d "$root/opt/lonc-tests/bench-results";
run('umount', '--recursive', $root);
run('umount', $scratch);
rmdir $scratch;
exit($failed ? 1 : 0);
