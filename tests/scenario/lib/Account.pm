# SPDX-License-Identifier: GPL-3.0-or-later
#
# The account of a random world (World.pm): compares what the clients report about each request, and what the londs
# executed, with keeper/README.md rules 1 and 2:
#
# - One complete line in, exactly one line out: its own reply, or con_lost. A client may see the end of the stream only
#   if a keeper was killed meanwhile, or a shim that had not handed the client over (then nobody executed the request).
#   An unfinished line is not a request.
# - A live request is executed once if it was answered, at most once if not, and by its own host.
# - What is deferred is executed at least once and has its S line, or is still in a folder.
package Account;
use strict;
use warnings;
use Deferred;

sub new {
    my ($class, $world) = @_;
    my $self = bless {violations => [@{$world->{wrong} || []}], happened => $world->{happened}, cuts => $world->{cuts} || {},
        outcomes => {}, requests => 0, executed => 0, redelivered => 0, files => scalar keys %{$world->{files}}}, $class;
    $self->read_executions($world->{world}, keys %{$world->{lond}}, 'single1');
    $self->read_aside($world->{world});
    $self->judge_requests($world->{world}->path('account'));
    $self->judge_files($world);
    return $self;
}

sub violations { return @{$_[0]{violations}} }
sub violation { my ($self, $what) = @_; push @{$self->{violations}}, $what }

# Reads how often each request was executed, and by which host. A live or stored request is known by its number, a
# dropped file by F and its number.
sub read_executions {
    my ($self, $world, @hosts) = @_;
    my %seen;
    for my $host (grep { !$seen{$_}++ } @hosts) {
        open my $log, '<', $world->path("executed-$host") or die "executed-$host: $!";
        while (my $line = <$log>) {
            if ($line =~ /^(?:sethost:[a-z0-9]+:)?(?:encrypt:)?(?:echo|drip:\d+|sleep:\d+|two|last|half|stall|count):(F?\d+)-/) {
                $self->{times}{$1}++;
                $self->{by}{$1} = $host;
                $self->{executed}++;
            } else {
                $self->violation("$host executed what nobody asked: $line");
            }
        }
    }
}

# Reads what was set aside, which is not lost.
sub read_aside {
    my ($self, $world) = @_;
    for my $folder ('.', qw(held rejected corrupt)) {
        for my $name ($folder eq '.' ? left($world) : aside($world, $folder)) {
            my $text = $world->read_file("sockets/delayed/$folder/$name") // next;
            $self->{aside}{$1} = "$folder/$name" if $text =~ /count:(F?\d+)-/;
        }
    }
}

# Whether one of these programs was killed in that time.
sub was_cut {
    my ($self, $from, $to, @who) = @_;
    for my $who (@who) {
        for my $cut (@{$self->{cuts}{$who} || []}) {
            return 1 if $cut->[0] <= $to && $cut->[1] >= $from;
        }
    }
    return 0;
}

sub judge_requests {
    my ($self, $path) = @_;
    open my $file, '<', $path or die "$path: $!";
    while (my $line = <$file>) {
        chomp $line;
        my ($id, $host, $kind, $outcome, $connected, $begun, $ended) = split ' ', $line;
        if ($id !~ /^\d+$/) {
            $self->violation($line);
            next;
        }
        $self->{requests}++;
        $self->{outcomes}{$outcome}++;
        my $times = delete $self->{times}{$id} // 0;
        my $by = $self->{by}{$id};
        my $why = $self->wrong_with($id, $host, $kind, $outcome, $times, $connected, $begun, $ended);
        $why //= "executed by $by" if $times && $by ne $host;
        $self->violation("$why; executed $times times: $line") if $why;
    }
}

# What is wrong with the outcome of a request; undef if nothing is.
sub wrong_with {
    my ($self, $id, $host, $kind, $outcome, $times, $connected, $begun, $ended) = @_;
    return "the reply is $outcome" if $outcome =~ /^(?:wrong|unanswered)$/;
    return 'an unknown host has answered' if $host eq 'nohost1' && $outcome =~ /^(?:ok|delayed)$/;
    return 'what was never a whole line was executed' if $times && $outcome =~ /^(?:unsent|half)$/;
    return 'a live request was executed more than once' if $times > 1 && $kind ne 'defer';
    return 'it was answered, but not executed' if $outcome eq 'ok' && $times < 1;
    if ($kind eq 'defer') {
        $self->{redelivered}++ if $times > 1;
        return 'it was stored and is lost' if $outcome eq 'delayed' && !$times && !$self->{aside}{$id};
    }
    my $killed = $self->was_cut($begun, $ended, 'keeper');
    if ($outcome =~ /^(?:eof|cut)$/ && !$killed) {
        return 'the stream ended, and nobody was killed' if $outcome eq 'cut' || !$self->was_cut($connected, $ended, $host);
        return 'the stream ended for a client whose shim was killed, and yet it was served' if $times;
    }
    return 'nobody left, and yet the line was not taken'
        if $outcome eq 'unsent' && !$self->was_cut($connected, $ended, 'keeper', 'restart', $host);
    return undef;
}

sub judge_files {
    my ($self, $world) = @_;
    my (%done, $enciphered, $wanted);
    for my $command (commands($world->{world}, 'S')) {
        $done{$1}++ if $command =~ /^count:(F\d+)-/;
        $enciphered++ if $command =~ /^encrypt:/; # the rest is not logged
    }
    for my $n (sort { $a <=> $b } keys %{$world->{files}}) {
        my $times = delete $self->{times}{"F$n"} // 0;
        my ($host, $secret) = @{$world->{files}{$n}};
        next if $self->{aside}{"F$n"};
        $self->{redelivered}++ if $times > 1;
        $wanted += $secret;
        $self->violation("file $n for $host is lost") if !$times;
        $self->violation("file $n for $host was executed by $self->{by}{qq(F$n)}") if $times && $self->{by}{"F$n"} ne $host;
        $self->violation("file $n for $host has no S line") if !$done{"F$n"} && !$secret;
        $self->violation("file $n for $host has $done{qq(F$n)} S lines") if ($done{"F$n"} // 0) > 1 && !$self->{cuts}{keeper};
    }
    $self->violation('enciphered files: ' . ($enciphered // 0) . " S lines for $wanted") if ($enciphered // 0) < ($wanted // 0);
    # Whatever is left was executed, although no client wrote it. (Files that met a full disk were removed.)
    delete $self->{times}{$_} for grep {/^F/} keys %{$self->{times}};
    $self->violation("request $_ was executed, and nobody asked it") for sort keys %{$self->{times}};
}

# The numbers of the account, in one line.
sub summary {
    my ($self) = @_;
    my $kills = join ', ', map { scalar(@{$self->{cuts}{$_}}) . " $_" } sort keys %{$self->{cuts}};
    return "$self->{requests} requests (" . join(', ', map {"$_ $self->{outcomes}{$_}"} sort keys %{$self->{outcomes}})
        . "), $self->{executed} executed, $self->{files} files dropped, $self->{redelivered} delivered again, cut off: " . ($kills || 'nobody');
}

1;
