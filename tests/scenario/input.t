#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Mistakes of administrators: `lonc-keeper --check` names file, line, value and what was expected, and exits with 1. Nothing
# in a file does more harm than that.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use POSIX ();
use Time::HiRes qw(time);
use Lonc;

my $program = ($ENV{BUILD} || 'build') . '/lonc-keeper';
my $world = Lonc->new(hosts => ['msul1', 'msul2']);
my %right = map { $_ => $world->read_file($_) } qw(keeper.conf loncapa.conf tabs/hosts.tab);

# Exit code and output of the keeper with these options.
sub keeper_says {
    my $process = $world->start('lonc-keeper', [$program, @_]);
    my $status = $process->wait_exit(20);
    return ($status & 127 ? "signal $status" : $status >> 8, $process->log);
}

# What --check says when a file has this text; undef: when there is no such file.
sub check_with {
    my ($file, $text) = @_;
    defined $text ? $world->write_file($file, $text) : unlink $world->path($file);
    my @result = keeper_says('--check', '--config', $world->path('keeper.conf'));
    $world->write_file($file, $right{$file}) if exists $right{$file};
    unlink $world->path($file) if !exists $right{$file};
    return @result;
}

sub refuses {
    my ($name, $file, $text, @complaints) = @_;
    my ($code, $said) = check_with($file, $text);
    is $code, 1, "$name: --check exits 1" or diag $said;
    my $place = quotemeta $world->path($file);
    for my $complaint (@complaints) {
        my ($line, $rest) = @$complaint;
        my $number = $line ? ":$line" : '';
        like $said, qr/^$place$number: $rest/m, "$name: --check says where, what and what was expected";
    }
    my $count = @complaints;
    like $said, qr/^$count errors?$/m, "$name: and nothing else";
}

sub accepts {
    my ($name, $file, $text, $hosts) = @_;
    my ($code, $said) = check_with($file, $text);
    is $code, 0, "$name: --check exits 0";
    like $said, qr/\A$hosts hosts?, as annarborl1: all is well\n\z/, "$name: and says what it found, in one line";
}

# --- keeper.conf ----------------------------------------------------------------------------------

accepts('the files as they should be', 'keeper.conf', $right{'keeper.conf'}, 2);
accepts('comments, blanks, empty lines, no last LF', 'keeper.conf', <<"CONF" =~ s/\n\z//r, 2);
# a comment

loncapa_conf=@{[$world->path('loncapa.conf')]}   # behind a value
   queue_per_host   =   5
reply_timeout = 1.5 min
line_limit = 8M
keepalive_idle = 90
log_level = err\r
CONF

# One setting at a time: its text, and what must be said of it.
my @settings = (
    ['queue_per_host = many', 'queue_per_host: "many": expected a whole number from 1 to 100000'],
    ['queue_per_host = 0', 'queue_per_host: "0": expected a whole number from 1 to 100000'],
    ['queue_per_host = 100001', 'queue_per_host: "100001": expected a whole number from 1 to'],
    ['queue_per_host = -5', 'queue_per_host: "-5": expected a whole number'],
    ['queue_per_host = 1.5', 'queue_per_host: "1.5": expected a whole number'],
    ['queue_per_host = 99999999999999999999999', 'queue_per_host: "99999999999999999999999": expected a whole number'],
    ['queue_per_host =', 'queue_per_host: "": expected a whole number'],
    ['connections_per_host = 101', 'connections_per_host: "101": expected a whole number from 1 to 100'],
    ['reply_timeout = 3 parsecs', 'reply_timeout: "3 parsecs": expected a time from 10ms to 24h'],
    ['reply_timeout = 1ms', 'reply_timeout: "1ms": expected a time from 10ms to 24h'],
    ['reply_timeout = 25h', 'reply_timeout: "25h": expected a time from 10ms to 24h'],
    ['reply_timeout = -1s', 'reply_timeout: "-1s": expected a time'],
    ['keepalive_idle = 1.5s', 'keepalive_idle: "1.5s": expected a time from 1s to 1h, in whole seconds'],
    ['line_limit = 64Q', 'line_limit: "64Q": expected a size from 1k to 1G'],
    ['line_limit = 2G', 'line_limit: "2G": expected a size from 1k to 1G'],
    ['line_limit = 1.5M', 'line_limit: "1.5M": expected a size'],
    ['log_level = loud', 'log_level: "loud": expected emerg, .* or debug'],
    ['log_target = paper', 'log_target: "paper": expected auto, journal or stderr'],
    ['runtime_dir = run', 'runtime_dir: "run": expected an absolute path of at most \d+ bytes'],
    ['runtime_dir =', 'runtime_dir: "": expected an absolute path of at most \d+ bytes'],
    ['runtime_dir = /' . 'r' x 100, 'runtime_dir: "/r+": expected an absolute path of at most \d+ bytes'],
    ['conections_per_host = 5', 'name: "conections_per_host": expected the name of a setting'],
    ['= 5', 'name: "": expected the name of a setting'],
    ['connections_per_host 5', 'line: "connections_per_host 5": expected name = value'],
    ['probe_min = 90s', 'probe_min: "90s": expected at most probe_max, which is 60s'],
    ['queue_total = 10', 'queue_total: "10": expected at least queue_per_host, which is 1000'],
    ['buffers_limit = 1M', 'buffers_limit: "1M": expected at least line_limit, which is 64M'],
    ["log_level = err\0or", 'the line contains a NUL byte'],
    ['# ' . 'x' x 100_000, 'the line is longer than \d+ bytes'],
);
my $first = '# the first line, so that a mistake is in the second';
for my $setting (@settings) {
    my ($line, $complaint) = @$setting;
    (my $name = substr $line, 0, 40) =~ s/[^ -~]/?/g;
    refuses("keeper.conf with \"$name\"", 'keeper.conf', "$first\n$line\n" . ($right{'keeper.conf'} =~ s/^(runtime_dir|log_\w+).*\n//mgr),
        [2, $complaint]);
}
refuses('a setting given twice', 'keeper.conf', "$first\nqueue_per_host = 5\nqueue_per_host = 6\n$right{'keeper.conf'}",
    [3, 'queue_per_host: "6": expected only once, but line 2 sets it too']);
my $next = 1 + ($right{'keeper.conf'} =~ tr/\n//);
refuses('three mistakes', 'keeper.conf', "$right{'keeper.conf'}queue_per_host = 0\nnothing\nlog_levl = 1\n",
    [$next, 'queue_per_host: "0"'], [$next + 1, 'line: "nothing"'], [$next + 2, 'name: "log_levl"']);
refuses('bytes that would write to a terminal', 'keeper.conf', "$right{'keeper.conf'}log_level\x1b[31m = \xff\n",
    [$next, 'name: "log_level\?\[31m": expected the name of a setting']);
refuses('no keeper.conf', 'keeper.conf', undef, [0, 'cannot be read: No such file or directory']);

# An editor's byte order mark is no part of a file's first line.
for my $file (sort keys %right) {
    accepts("$file with a byte order mark", $file, "\xef\xbb\xbf$right{$file}", 2);
}
accepts('loncapa.conf whose first line, behind a byte order mark, alone names this server', 'loncapa.conf',
    "\xef\xbb\xbfPerlSetVar lonHostID annarborl1\n" . ($right{'loncapa.conf'} =~ s/^PerlSetVar lonHostID .*\n//mr), 2);

# --- loncapa.conf ---------------------------------------------------------------------------------

accepts('Apache directives, comments, placeholders, quotes', 'loncapa.conf', <<"CONF" . $right{'loncapa.conf'}, 2);
# PerlSetVar londPort none
<Location /adm>
PerlSetVar londPort {[[[[port]]]]}
PerlSetVar somethingElse whatever
</Location>
PerlSetVar lonVersion "2.11 or so"
CONF

my @variables = (
    ['lonHostID bad/id', 'lonHostID: "bad/id": expected '],
    ['lonHostID delayed', 'lonHostID: "delayed": expected '],
    ['lonHostID', 'lonHostID: "": expected '],
    ['lonSockDir sockets', 'lonSockDir: "sockets": expected an absolute path'],
    ['lonTabDir tabs', 'lonTabDir: "tabs": expected an absolute path'],
    ['lonDaemons perl', 'lonDaemons: "perl": expected an absolute path'],
    ['lonDocRoot html', 'lonDocRoot: "html": expected an absolute path'],
    ['lonCertificateDirectory certs', 'lonCertificateDirectory: "certs": expected an absolute path'],
    ['londPort none', 'londPort: "none": expected a port from 1 to 65535'],
    ['londPort 0', 'londPort: "0": expected a port'],
    ['londPort 65536', 'londPort: "65536": expected a port'],
    ['loncAllowInsecure perhaps', 'loncAllowInsecure: "perhaps": expected 0, 1, no, yes, off or on'],
    ['lonVersion', 'lonVersion: "": expected a value'],
);
for my $variable (@variables) {
    my ($line, $complaint) = @$variable;
    my ($word) = $line =~ /(\w+)/;
    my $rest = $word =~ /TabDir/ ? $right{'loncapa.conf'} : $right{'loncapa.conf'} =~ s/^PerlSetVar $word .*\n//mgr;
    refuses("loncapa.conf with \"$line\"", 'loncapa.conf', "$first\nPerlSetVar $line\n$rest", [2, $complaint]);
    next if $word =~ /HostID|TabDir/;
    refuses("loncapa_apache.conf with \"$line\"", 'loncapa_apache.conf', "$first\nPerlSetVar $line\n", [2, $complaint]);
}
refuses('no lonHostID', 'loncapa.conf', $right{'loncapa.conf'} =~ s/^PerlSetVar lonHostID .*\n//mr,
    [0, 'lonHostID is not set']);
refuses('no loncapa.conf', 'loncapa.conf', undef, [0, 'cannot be read: No such file or directory']);

# --- hosts.tab ------------------------------------------------------------------------------------

accepts('both shapes of a table, comments, the cluster\'s DNS servers, aliases', 'tabs/hosts.tab', <<'TABLE', 5);
# comment
^dns1.example.edu:https

msul1:msu:library:s1.example.edu:127.0.0.1
msul2:msu:access:s2.example.edu:https:example.edu
msul3:msu:access:s2.example.edu:http
msul4:msu:access:s2.example.edu
msul5:msu:access:127.0.0.9
TABLE
my @hosts = (
    ['bad/id:msu:library:a.example.edu', 'id: "bad/id": expected '],
    [':msu:library:a.example.edu', 'id: "": expected '],
    ['..:msu:library:a.example.edu', 'id: "\.\.": expected '],
    ['delayed:msu:library:a.example.edu', 'id: "delayed": expected '],
    ['x' x 300 . ':msu:library:a.example.edu', 'id: "x+": expected '],
    ['msul1', 'DNS name: "": expected '],
    ['msul1:msu:library:a/b', 'DNS name: "a/b": expected '],
    ['msul1:msu:library:10.0.1', 'DNS name: "10\.0\.1": expected .* or an IPv4 address'],
    ['msul1:msu:library:a.example.edu:127.0.0.256', 'fifth field: "127\.0\.0\.256": expected an IPv4 address, http, https or nothing'],
    ['msul1:msu:library:a.example.edu:ftp', 'fifth field: "ftp": expected an IPv4 address, http, https or nothing'],
    ["msul1:msu:library:a\0.example.edu", 'the line contains a NUL byte'],
    ["msul1:msu:library:" . 'a' x 100_000, 'the line is longer than \d+ bytes'],
);
for my $host (@hosts) {
    my ($line, $complaint) = @$host;
    (my $name = substr $line, 0, 40) =~ s/[^ -~]/?/g;
    refuses("hosts.tab with \"$name\"", 'tabs/hosts.tab', "$first\n$line\n", [2, $complaint]);
}
refuses('a host given twice', 'tabs/hosts.tab', "one:d:library:a.edu\ntwo:d:library:b.edu\none:d:library:c.edu\n",
    [3, 'id: "one": expected a unique id, but line 1 has it too']);
refuses('a line with three mistakes', 'tabs/hosts.tab', "b/d:msu:library:a/b:c/d\n",
    [1, 'id: "b/d"'], [1, 'DNS name: "a/b"'], [1, 'fifth field: "c/d"']);
refuses('an empty table', 'tabs/hosts.tab', "# nobody\n\n", [0, 'the table has no hosts']);
refuses('no hosts.tab', 'tabs/hosts.tab', undef, [0, 'cannot be read: No such file or directory']);

{
    my ($code, $said) = check_with('tabs/hosts.tab', join '', map {"bad/$_:msu:library:a.example.edu\n"} 1 .. 5000);
    is $code, 1, '5,000 mistakes: --check exits 1';
    my $lines = () = $said =~ /\n/g;
    cmp_ok $lines, '<', 30, '5,000 mistakes: it does not say them all';
    like $said, qr/^5000 errors$/m, '5,000 mistakes: but how many there are';

    my $begun = time;
    ($code) = check_with('tabs/hosts.tab', join '', map {"h$_:msu:library:s$_.example.edu:127.0.0.1\n"} 1 .. 20000);
    is $code, 0, 'a table of 20,000 hosts is fine';
    cmp_ok time - $begun, '<', 5, 'and read in no time';
}

# --- Files that are none --------------------------------------------------------------------------

for my $file (sort keys %right) {
    my $path = $world->path($file);
    my %odd = (
        'a folder' => sub { mkdir $path },
        'a FIFO' => sub { POSIX::mkfifo($path, 0600) },
        '/dev/zero' => sub { symlink '/dev/zero', $path },
        'a link to nowhere' => sub { symlink '/nowhere', $path },
        'a link to itself' => sub { symlink $path, $path },
        'random bytes' => sub { system "head -c 3000000 /dev/urandom > '$path'" },
    );
    for my $what (sort keys %odd) {
        unlink $path;
        $odd{$what}->();
        my $begun = time;
        my ($code, $said) = keeper_says('--check', '--config', $world->path('keeper.conf'));
        # What looks for a word here and there finds none in random bytes; it is LON-CAPA's syntax.
        is $code, 1, "$file is $what: --check exits 1";
        like $said, qr/\Q$path\E/, "$file is $what: and names it";
        unlike $said, qr/[^ -~\n]/, "$file is $what: in printable characters";
        cmp_ok time - $begun, '<', 10, "$file is $what: in time";
        unlink $path or rmdir $path;
    }
    SKIP: {
        skip 'root may read everything', 1 if $> == 0;
        $world->write_file($file, $right{$file});
        chmod 0, $path;
        my ($code, $said) = keeper_says('--check', '--config', $world->path('keeper.conf'));
        like $said, qr/\Q$path\E: cannot be read: Permission denied/, "$file may not be read: --check says so";
        unlink $path;
    }
    $world->write_file($file, $right{$file});
}

# --- The command line -----------------------------------------------------------------------------

{
    my ($code, $said) = keeper_says('--version');
    is $code, 0, '--version exits 0';
    like $said, qr/\Alonc-keeper \d+\.\d+\S*\n\z/, '--version says it in one line';
    ($code, $said) = keeper_says('--help');
    is $code, 0, '--help exits 0';
    like $said, qr/--config.*--check.*--version/s, '--help names every option';
    for my $wrong (['--chek'], ['--config'], ['--check=yes'], ['-x'], ['--check', 'somewhere']) {
        ($code, $said) = keeper_says(@$wrong);
        is $code, 2, "@$wrong: a wrong command line exits 2";
        my ($word) = $wrong->[-1] =~ /([a-z]+)/;
        like $said, qr/$word/, "@$wrong: and names what is wrong";
    }
    ($code, $said) = keeper_says('--check', '--config', '/nowhere/keeper.conf');
    is $code, 1, '--config with a file that is not there: --check exits 1';
    like $said, qr{^/nowhere/keeper\.conf: cannot be read: No such file or directory$}m, 'and names it';
}

done_testing;
