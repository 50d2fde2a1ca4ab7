# SPDX-License-Identifier: GPL-3.0-or-later
#
# One command of loncctl with one call failing in it (interpose.c), and the judgement of it: it prints what it prints
# when nothing fails, or it reports an error and its exit code is not 0; it does not crash, leak or hang; no deferred
# file is lost, and a status page is complete or the one before. It talks to a keeper whose answers never change.
#
#     my $faults = Commands->new(loncctl => 'build/loncctl', words => 'queue hold ALL');
#     my @calls = $faults->census;
#     my @wrong = $faults->life({call => 'malloc', at => 3, error => 'ENOMEM'});
package Commands;
use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use JSON::PP;
use Time::HiRes qw(time);
use Faults;
use Lonc;
use StandInKeeper;
our @ISA = ('Faults');

# PAGE stands for a path.
our @COMMANDS = ('status', '--json status', 'hosts', 'connections msul1', 'clients', 'config', 'metrics', 'page PAGE',
    'queue', 'queue hold ALL', 'queue --yes delete ALL', 'reload', 'send msul1 ping');

my @FILES = map {"1700000000.$_.1.count.msul1"} 1 .. 3;

sub new {
    my ($class, %with) = @_;
    my $world = Lonc->new(hosts => []);
    my $socket = $world->path('run/control.sock');
    my $self = bless {world => $world, interposer => $with{interposer}, lives => 0, file => $world->path('faults'),
        words => [split / /, $with{words}], spool => $world->path('spool'), page => $world->path('page.html')}, $class;
    $self->{command} = [$with{loncctl}, '--socket', $socket, map { $_ eq 'PAGE' ? $self->{page} : $_ } @{$self->{words}}];
    my $keeper = $self->{keeper} = StandInKeeper->new($socket, hosts => 3);
    $keeper->{answers}{status}{deferred_folder} = $self->{spool};
    %{$keeper->{answers}} = (%{$keeper->{answers}}, reload => {ok => JSON::PP::true}, send => {ok => JSON::PP::true, reply => 'pong:msul1'},
        connections => {host => 'msul1', connections => [{state => 'Idle', mode => 'ssl', tls => 'TLSv1.3', address => '192.0.2.1:5663', busy => JSON::PP::false}]},
        clients => {total => 1, clients => [{pid => 815, uid => 33, host => 'msul1', state => 'waiting', since => 61}]},
        config => {file => '/etc/lonc/keeper.conf', settings => [{name => 'log_level', value => 'info', default => 'info', source => 'default', meaning => 'What is said.'}]},
        queue => {ok => JSON::PP::true, folder => $self->{spool}});
    $keeper->serve;
    return $self;
}

# Restores the folder and the page as they were before the last command.
sub prepare {
    my ($self) = @_;
    remove_tree($self->{spool});
    make_path($self->{spool});
    $self->{world}->write_file("spool/$_", "echo:later\n") for @FILES;
    $self->{world}->write_file('page.html', "the page before\n");
}

# Values that merely change with time are considered equal.
sub timeless { my ($text) = @_; return $text =~ s/\d[\d.:]*(?: ?(?:us|ms|s|min|h|d)\b)?/#/gr =~ s/[#\s]+/ /gr =~ s/ $//r }

sub judge_files {
    my ($self) = @_;
    my %there = map { s{.*/}{}r => 1 } glob "$self->{spool}/[0-9]* $self->{spool}/*/*";
    my @lost = grep { !$there{$_} } @FILES;
    $self->wrong("of the deferred files are lost: @lost") if @lost && "@{$self->{words}}" !~ /delete/;
}

sub judge_page {
    my ($self) = @_;
    my $page = timeless($self->read_path($self->{page}) // '(none)');
    $self->{usual_page} //= $page;
    my $done = !$self->{process}{status};
    # A page reports in its own text what the keeper or the queue could not say.
    my $whole = $page eq $self->{usual_page} || ($page =~ m{</html>\z} && $page =~ /No keeper answers|did not say/);
    $self->wrong("the page is neither whole nor the one before:\n$page") if !$whole && ($done || $page ne 'the page before');
    my @left = grep { $_ ne $self->{page} } glob $self->{world}->path('*page.html*');
    $self->wrong("a page that is not complete stays: @left") if @left && !($self->{fault} && $self->{fault}{call} eq 'unlink');
}

sub life {
    my ($self, $fault) = @_;
    my $began = time;
    $self->{lives}++;
    @$self{qw(fault wrong)} = ($fault, []);
    $self->prepare;
    my $loncctl = $self->start_program($fault, @{$self->{command}});
    my $status = $loncctl->wait_exit($Faults::PATIENCE);
    pop @{$self->{world}{processes}};
    my $said = timeless($loncctl->log);
    $self->{usual_said} //= $said;
    # For lack of memory, the C library's setlocale leaks some bytes.
    my $report = $loncctl->log =~ /AddressSanitizer|LeakSanitizer|runtime error:/;
    $self->wrong("a sanitizer's report") if $report && !($loncctl->log =~ /_nl_normalize_codeset/ && $loncctl->log =~ / leaked in 1 allocation/);
    if ($status & 127) { $self->wrong('it ends by signal ' . ($status & 127)) }
    elsif ($status && !$fault) { $self->wrong("it fails, though nothing failed: $said") }
    elsif ($status && $said eq '') { $self->wrong('it fails without a word') }
    elsif (!$status && !$report && $said ne $self->{usual_said}) { $self->wrong("it says, and does not fail: $said") }
    $self->judge_files;
    $self->judge_page if "@{$self->{words}}" =~ /page/;
    (undef, $self->{struck}) = $self->shared;
    $self->{refused} = $status >> 8 != 0;
    $self->{took} = time - $began;
    return @{$self->{wrong}};
}

1;
