#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# loncctl top on a terminal: what it shows, its keys, sizes, a keeper that goes and comes back, and the
# screen as it was when it ends. And events, on a terminal.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use JSON::PP;
use Lonc;
use Canned;
use Tmux;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);
$ENV{LC_ALL} = 'C.UTF-8';
delete @ENV{qw(NO_COLOR COLUMNS LINES TMUX)};

my $canned = Canned->new;
my $program = Lonc::program('loncctl');
my $terminals = 0;

sub terminal {
    my ($columns, $rows, $variables, $verb) = @_;
    $verb ||= 'top';
    return Tmux->new($columns, $rows, $canned->{world}->path('tmux' . $terminals++), "$variables $program --socket $canned->{socket} $verb");
}

# Host lines, which stand below the heading.
sub hosts_of { my ($screen) = @_; my @lines = split /\n/, $screen; return grep {/^\S+ +(?:dead|failing|paused|healthy)/} @lines[6 .. $#lines - 2] }
sub order_of { my ($terminal) = @_; return join ' ', map { (split)[0] } hosts_of($terminal->screen) }
sub orders { my ($terminal, $order) = @_; my $is; $terminal->until_it(sub { ($is = order_of($terminal)) eq $order }); return $is }

my @hosts = (Canned::host('well', queued => 1), Canned::host('busy', queued => 70, deferred => 5), Canned::host('down', state => 'dead', deferred => 9),
    Canned::host('ill', state => 'failing', reason => 'tls', detail => 'certificate has expired'),
    Canned::host('idle', paused => JSON::PP::true), Canned::host('slow', latency => {p50 => 1, p99 => 2.5}));
$canned->hosts(@hosts);
$canned->says($_ => {ok => JSON::PP::true}) for qw(retry pause resume);

# --- 80x24 ----------------------------------------------------------------------------------------

{
    my $terminal = terminal(80, 24, '');
    ok $terminal->shows(qr/^down +dead/m), 'top shows the hosts';
    is orders($terminal, 'down ill idle busy well slow'), 'down ill idle busy well slow', '... by trouble: dead, failing, paused, then by queue';
    my $screen = $terminal->screen;
    my @lines = split /\n/, $screen;
    is scalar @lines, 24, '... on all of the screen';
    like $lines[0], qr/^lonc-keeper 0\.1  up for 3d 4h .* every 1s  \d\d:\d\d:\d\d$/, '... with the keeper above';
    like $lines[1], qr/^hosts    6, 4 healthy, 1 failing, 1 dead, 1 paused   clients 12$/, '... and its hosts';
    like $lines[5], qr/^HOST +STATE +RATE\/S +P50 +P99 +QUEUE +LOST\/S$/, '... a heading';
    like $lines[22], qr{^down: dead for 1min 15s, refused, next try in 4s, at 192\.0\.2\.1:5663, con_lost: }, '... all that is known of the selected host';
    like $lines[23], qr{^q quit  ↑↓ scroll  s sort: trouble  / filter  r retry  p \(un\)pause  \+- interval$}, '... and the keys';
    like $screen, qr/^busy +healthy .* 70 /m, '... numbers';
    like $screen, qr/^busy .* 70 +█/m, '... and graphs';
    like $terminal->screen('-e'), qr/\e\[[0-9;]*31m[^\n]*down|\e\[1m\e\[31m/, 'the dead are red';

    # A rate comes of two answers, and goes with the next.
    ok $terminal->until_it(sub { $hosts[0]{requests} += 500_000; $canned->hosts(@hosts); $terminal->screen =~ /^well +healthy +(?:\d{4,}|\d+k) .*[▇█]/m }),
        'requests between two answers are a rate, and a bar';

    $terminal->types('Down');
    ok $terminal->shows(qr/^ill: failing, tls \(certificate has expired\)/m), 'an arrow selects the next host';
    $terminal->types('r');
    ok $terminal->shows(qr/^retry ill: done$/m), 'r retries it';
    is $canned->was_asked('retry ill'), 1, '... the keeper was told';
    $terminal->types('Down');
    ok $terminal->shows(qr/^idle: healthy, paused/m), 'and the next one';
    $terminal->types('p');
    ok $terminal->shows(qr/^resume idle: done$/m), 'p resumes what is paused';
    $terminal->types('End');
    ok $terminal->shows(qr/^slow: /m), 'End goes to the last';
    $terminal->types('p');
    ok $terminal->shows(qr/^pause slow: done$/m), '... p pauses what is not';
    $canned->says(retry => {ok => JSON::PP::false, errors => ["not you\e[2J"]});
    $terminal->types('r');
    ok $terminal->shows(qr/^retry slow: not you\\x1b\[2J$/m), 'what the keeper refuses is said';

    my %order = (rate => undef, latency => 'slow busy down idle ill well', queue => 'busy well down idle ill slow', con_lost => undef,
        deferred => 'down busy idle ill slow well', name => 'busy down idle ill slow well');
    for my $sort (qw(rate latency queue con_lost deferred name)) {
        $terminal->types('s');
        ok $terminal->shows(qr/s sort: $sort/), "s sorts by $sort";
        is orders($terminal, $order{$sort}), $order{$sort}, '... and so they are' if $order{$sort};
    }
    $terminal->types('s');
    ok $terminal->shows(qr/s sort: trouble/), '... and by trouble again';

    $terminal->types('/');
    ok $terminal->shows(qr/^filter:/m), '/ asks for a filter';
    $terminal->types('IDL');
    is orders($terminal, 'idle'), 'idle', '... which counts while it is typed, in any case';
    $terminal->types('xq');
    ok $terminal->shows(qr/^no host matches the filter$/m), '... may match nobody (and q is a letter)';
    $terminal->types('BSpace', 'BSpace', 'Enter');
    ok $terminal->shows(qr{/ IDL }), '... and stays';
    is orders($terminal, 'idle'), 'idle', '... as it was mended';
    $terminal->types('/');
    ok $terminal->shows(qr/^filter: IDL/m), 'it can be changed';
    $terminal->types('Escape');
    is orders($terminal, 'down ill idle busy well slow'), 'down ill idle busy well slow', '... or dropped';

    $terminal->types('+');
    ok $terminal->shows(qr/every 2s/), '+ asks less often';
    $terminal->types('+', '+', '+', '+', '+');
    ok $terminal->shows(qr/every 60s/), '... down to once a minute';
    $terminal->types('-', '-', '-', '-', '-', '-');
    ok $terminal->shows(qr/every 1s/), '- more often, up to once a second';

    $terminal->types('q');
    ok $terminal->shows(qr/^exit 0$/m), 'q quits';
    like $terminal->screen, qr/\Abefore\nexit 0\n/, '... and the screen is as it was';
    $terminal->end;
}

# --- Trouble of the keeper itself -----------------------------------------------------------------

{
    my $terminal = terminal(80, 24, '');
    $terminal->shows(qr/^down +dead/m);
    unlike $terminal->screen, qr/TROUBLE/, 'a keeper that is well has no line for its own trouble';
    $canned->troubled([Canned::trouble('tls'), Canned::trouble("evil\e[2J", for => 3)], @hosts);
    ok $terminal->shows(qr/^TROUBLE  tls for 2h 3min, evil\\x1b\[2J for 3s; see loncctl status$/m), 'the keeper is in trouble: a line says so, and since when';
    my @lines = split /\n/, $terminal->screen;
    like "$lines[6]\n$lines[7]", qr/^HOST .*\ndown /, '... above the hosts, of which none is hidden';
    like $terminal->screen('-e'), qr/\e\[[0-9;]*31m[^\n]*TROUBLE|\e\[1m\e\[31mTROUBLE/, '... in red';
    $canned->hosts(@hosts);
    ok $terminal->until_it(sub { $terminal->screen !~ /TROUBLE/ }), '... and the line goes with the trouble';
    $terminal->types('q');
    $terminal->end;
}

# --- The keeper goes and comes --------------------------------------------------------------------

{
    my $terminal = terminal(80, 24, '');
    $terminal->shows(qr/^down +dead/m);
    $canned->stop;
    ok $terminal->shows(qr/^lonc-keeper 0\.1  no keeper: Connection refused/m), 'a keeper that goes is missed';
    like $terminal->screen, qr/^down +dead/m, '... what was known of the hosts stays';
    $canned->hosts(Canned::host('new'));
    $canned->start;
    ok $terminal->shows(qr/^new +healthy/m), '... and when it is back, so is what it says';
    unlike $terminal->screen, qr/no keeper|^down/m, '... only that';
    $canned->hosts(@hosts);
    $canned->forgets('status');
    $canned->forgets('hosts');
    my $silent = time;
    $terminal->types('s');
    ok $terminal->shows(qr/s sort: rate/), 'while the keeper is silent, keys are obeyed';
    ok $terminal->shows(qr/no keeper: it does not answer/), '... and its silence is noticed';
    $canned->says(status => '{"half');
    ok $terminal->shows(qr/no keeper: it hung up/), 'half an answer is none';
    $canned->hosts(@hosts);
    ok $terminal->shows(qr/up for .*^down +dead/ms), '... and all of one ends it';
    $terminal->types('C-c');
    ok $terminal->shows(qr/^exit 0$/m), 'an interrupt quits, too';
    $terminal->end;
}

{
    $canned->stop;
    my $terminal = terminal(80, 24, '');
    ok $terminal->shows(qr/no keeper: Connection refused/), 'it starts without a keeper';
    $canned->start;
    ok $terminal->shows(qr/^down +dead/m), '... and shows one that comes';
    $terminal->types('q');
    $terminal->end;
}

# --- Sizes, many hosts, characters ----------------------------------------------------------------

$canned->hosts((map { Canned::host(sprintf 'host%04d', $_) } 1 .. 1999), Canned::host("evil\e[2J\a", state => 'dead'));
{
    my $terminal = terminal(80, 24, '');
    ok $terminal->shows(qr/^evil\\x1b\[2J\\x07 +dead .*\n^host0001/m), '2,000 hosts, and none writes to the terminal';
    is scalar(hosts_of($terminal->screen)), 16, '... as many as there is room for';
    $terminal->types('NPage');
    ok $terminal->shows(qr/^host0001 .*(?:\n.*){15}\n^host0016: /m), 'a page down scrolls';
    $terminal->types('PPage');
    ok $terminal->shows(qr/^evil/m), '... a page up goes back';
    $terminal->types('NPage', 'NPage', 'NPage', 'Home');
    ok $terminal->shows(qr/^evil\S+ +dead (?:.*\n)+evil\S+: dead/m), 'Home goes to the first';
    $terminal->resize(120, 40);
    ok $terminal->shows(qr/LOST\/S DEFERRED$/m), 'a wider terminal has more columns';
    $terminal->until_it(sub { hosts_of($terminal->screen) == 32 });
    is scalar(hosts_of($terminal->screen)), 32, '... and a higher one more hosts';
    $terminal->resize(40, 10);
    ok $terminal->shows(qr/\Alonc-keeper.*\n(?:.*\n){4}HOST.*\nevil.*\nhost0001.*\nevil.*\nq quit/), 'a small one has what there is room for';
    $terminal->resize(10, 3);
    $terminal->resize(80, 24);
    ok $terminal->shows(qr/^host0015.*\n^evil/m), '... and one that is too small harms nothing';
    $terminal->types('q');
    ok $terminal->shows(qr/^exit 0$/m), '... it quits as ever';
    $terminal->end;
}
{
    my $terminal = terminal(80, 24, 'LC_ALL=C');
    ok $terminal->shows(qr/^host0001 +healthy +0 +_+ +1\.23ms +34\.0ms +#+ /m), 'a locale without the blocks has graphs of ASCII';
    unlike $terminal->screen, qr/[^\x00-\x7f]/, '... and nothing else';
    $terminal->end;
}
{
    my $terminal = terminal(80, 24, 'NO_COLOR=1');
    $terminal->shows(qr/^evil/m);
    unlike $terminal->screen('-e'), qr/\e\[[0-9;]*3[1-7]m/, 'NO_COLOR has no colours';
    $terminal->end;
}
is system("$program top </dev/null >/dev/null 2>&1") >> 8, 2, 'top without a terminal is wrong usage';
is system("$program top now >/dev/null 2>&1") >> 8, 2, '... and so are arguments';

# --- Events on a terminal -------------------------------------------------------------------------

$canned->says(events => JSON::PP->new->encode({time => '2026-11-22T14:45:33.123Z', event => 'host-dead', host => 'msul1', reason => 'refused',
    message => 'host is dead: connection refused'}) . "\n");
{
    my $terminal = terminal(40, 24, 'TZ=XXX-1', 'events');
    ok $terminal->shows(qr/^15:45:33\.123 msul1 host-dead \(refused\):\n {19}host is dead:\n {19}connection refused$/m), 'events on a terminal: local time, lines that do not wrap anyhow';
    like $terminal->screen('-e'), qr/\e\[[0-9;]*31m/, '... in colour';
    $terminal->types('C-c');
    ok $terminal->shows(qr/^(?:\^C)?exit 0$/m), '... until an interrupt';
    $terminal->end;
}

done_testing;
