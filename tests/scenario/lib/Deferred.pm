# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the tests of the deferred queue share: leaving files as lonnet does, looking what became of them, and reading
# lonnet.perm.log.
package Deferred;
use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(time);
use Lonc;

our @EXPORT = qw(name_of drop drop_many is_gone await_gone left aside permlog commands);

# <epoch>.<count>.<pid>.<command letters>.<lonHostID>
sub name_of {
    my ($host, $count, %with) = @_;
    return join '.', $with{epoch} // 1_700_000_000, $count, 4711, 'count', $host;
}

# Leaves a file as lonnet's critical() does, written in place. Returns its name.
sub drop {
    my ($world, $host, $count, $command, %with) = @_;
    my $name = name_of($host, $count, %with);
    $world->write_file("sockets/delayed/$name", $command . ($with{end} // "\n"));
    return $name;
}

# Leaves a file `count:N` for every N. Returns the last name.
sub drop_many {
    my ($world, $host, @counts) = @_;
    return (map { drop($world, $host, $_, "count:$_") } @counts)[-1];
}

sub is_gone { my ($world, $name) = @_; return !-l $world->path("sockets/delayed/$name") && !-e _ }

# Waits until a file has gone, which no event announces.
sub await_gone {
    my ($world, $name, $patience) = @_;
    return Lonc::within($patience || $Lonc::PATIENCE, sub { is_gone($world, $name) });
}

sub names_in {
    my ($folder) = @_;
    opendir(my $handle, $folder) or return my @none = ();
    my @names = sort grep { !/^\.\.?$/ } readdir $handle;
    return @names; # or their number
}

# The files that wait in the folder, without the keeper's own folders.
sub left { return grep { !/^(?:held|rejected|corrupt|storing)$/ } names_in($_[0]->path('sockets/delayed')) }

# The files in 'held', 'rejected', 'corrupt' or 'storing'.
sub aside { return names_in($_[0]->path("sockets/delayed/$_[1]")) }

# The lines of lonnet.perm.log, each as [epoch, letter, host, command, local time]. Dies if one is malformed.
sub permlog {
    my ($world) = @_;
    return map {
        /^(\d+):([DSF]):([^:]*):(.*):(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\z/s or die "malformed: $_";
        [$1, $2, $3, $4, $5]
    } split /\n/, $world->read_file('logs/lonnet.perm.log') // '';
}

# The commands of all lines with this letter, in their order.
sub commands {
    my ($world, $letter) = @_;
    return map { $_->[3] } grep { $_->[1] eq $letter } permlog($world);
}

1;
