# SPDX-License-Identifier: GPL-3.0-or-later
#
# A rival for the installed package: the same programs, started by the same systemd, without any sandbox. It has its own
# keeper, folders and table, so that neither notices the other, and sockets with services whose options the bench
# chooses.
package Plain;
use strict;
use warnings;
use Booted;
use Exporter 'import';
use File::Path qw(make_path);

our @EXPORT = qw(plain_begin plain_end plain_hosts plain_service plain_path);

my $home = '/opt/lonc-bench';
my $run = '/run/lonc-bench';
my @hosts;
my %mine; # unit files

sub plain_path { return "$home/sockets/$_[0]" }

sub unit {
    my ($name, $text) = @_;
    write_file("/run/systemd/system/$name", $text);
    $mine{$name} = 1;
}

sub plain_table { write_file("$home/tabs/hosts.tab", join '', map {"$_:msu:library:$_.example.edu:127.0.1.1\n"} @hosts) }

# Starts its keeper with these hosts. (A table must have at least one.)
sub plain_begin {
    @hosts = @_;
    my ($uid, $gid) = (getpwnam 'www')[2, 3];
    make_path(map { "$home/$_" } qw(sockets sockets/delayed tabs logs html/lon-status state certificates));
    make_path($run);
    chown $uid, $gid, $run, map { "$home/$_" } qw(sockets sockets/delayed logs html html/lon-status state certificates);
    write_file("$home/loncapa.conf", join '', map {"PerlSetVar $_->[0] $_->[1]\n"} ['lonHostID', 'annarborl1'], ['lonSockDir', "$home/sockets"],
        ['lonTabDir', "$home/tabs"], ['lonDaemons', $home], ['lonDocRoot', "$home/html"], ['lonCertificateDirectory', "$home/certificates"]);
    write_file("$home/keeper.conf", "loncapa_conf = $home/loncapa.conf\nruntime_dir = $run\nstate_dir = $home/state\n");
    plain_table();
    unit('bench-keeper.service', "[Service]\nType=notify\nUser=www\nGroup=www\nLimitNOFILE=131072\nExecStart=/usr/sbin/lonc-keeper --config $home/keeper.conf\n");
    sh('systemctl daemon-reload');
    sh('systemctl start bench-keeper.service') == 0 or die 'bench-keeper.service: ' . journal('-u bench-keeper.service');
}

# Adds hosts to its table.
sub plain_hosts {
    push @hosts, @_;
    plain_table();
    sh("loncctl --socket $run/control.sock reload") == 0 or die 'bench-keeper.service does not reload: ' . journal('-u bench-keeper.service');
}

# Writes a socket for these hosts and the service behind it, without starting them; `systemctl daemon-reload` must
# follow. Returns the unit's name.
sub plain_service {
    my ($name, $options, @served) = @_;
    unit("bench-$name.socket", "[Socket]\nAccept=no\nFileDescriptorName=h\nSocketUser=www\nSocketMode=0600\nBacklog=4096\nRemoveOnStop=yes\n"
            . join '', map {"ListenStream=" . plain_path($_) . "\n"} @served ? @served : $name);
    unit("bench-$name.service", "[Unit]\nStartLimitIntervalSec=0\nCollectMode=inactive-or-failed\n[Service]\n"
            . "ExecStart=/usr/sbin/lonc-shim --channel $run/keeper.sock --linger 3600\nLimitNOFILE=65536\nLogLevelMax=notice\n$options\n");
    return "bench-$name";
}

sub plain_end {
    sh("systemctl stop $_") for sort {($b =~ /socket/) <=> ($a =~ /socket/)} keys %mine;
    unlink "/run/systemd/system/$_" for keys %mine;
    %mine = ();
    sh('systemctl daemon-reload');
}

1;
