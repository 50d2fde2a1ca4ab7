#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# loncctl page, the status page: its text, and how Chromium displays it, in a wide window and in one as narrow as a
# telephone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_hex);
use File::Basename qw(basename);
use JSON::PP;
use MIME::Base64 ();
use Test::More;
use Canned;
use Lonc;
use StandInKeeper;

my $loncctl = Lonc::program('loncctl');
my $world = Lonc->new(hosts => ['msul1', 'msul2'], settings => {retry_delay => '50ms', probe_min => '1h', probe_max => '1h'});
my $control = $world->path('stand-in.sock');
mkdir $world->path('pages');

# Runs loncctl page; what it said, and its exit code.
sub page {
    my (@words) = @_;
    my $said = `$loncctl --socket $control page @words 2>&1`;
    return ($said, $? >> 8);
}

# Writes a page, and returns it.
sub written {
    my ($name) = @_;
    is_deeply [page($world->path("pages/$name"))], ['', 0], "loncctl page writes $name";
    return $world->read_file("pages/$name");
}

# --- What stands in it ----------------------------------------------------------------------------

my $hostile = '<script>alert("x")</script>&\'--><svg onload=y>';
for my $count (3, 200, 2000) {
    my $keeper = StandInKeeper->new($control, hosts => $count)->serve;
    my $html = written("$count.html");
    is scalar(() = $html =~ /<li class=[hfdp]><a href="#h-/g), $count, "$count hosts: each has its place in the grid";
    is scalar(() = $html =~ /<tr id="h-/g), $count, '... and its row';
}
my $html = $world->read_file('pages/200.html');
like $html, qr/4 of 200 hosts are dead/, 'the first thing said is what matters most';
my @dead = $html =~ m{<th scope=row role=rowheader>(\w+)<small>.*?<b class="state d">.*?</b> connection refused}g;
is_deeply [sort @dead], [qw(msua102 msul152 msul2 msul52)], 'dead hosts are listed, with the reason';
like $html, qr{\d\d \w{3} \d\d:\d\d<small>for \d+h \d+min<}, '... and since when';
like $html, qr/certificate has expired/, '... and failing ones with the detail';
is scalar(() = $html =~ /<svg/g), 6, 'rate, latency and queue of an hour and a day are drawn';
like $html, qr{<th scope=row>under 5 min<td class=n>\d+<td class=bar}, 'what is deferred, by age';
like $html, qr{<th scope=row>msul52<td class=n>92<td class=n>1d 4h}, '... and by host';
like $html, qr{<th scope=row>refused<td class=n>[\d,]+<td class=bar}, 'con_lost by reason';
like $html, qr/lonc-keeper 0\.1, process 4711, up for/, 'who wrote it';
like $html, qr{<small>oldest 1h \d+min<}, '... and how old the oldest deferred file of a dead host is';
like $html, qr{<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}">}, 'when it was written';

{
    my $keeper = StandInKeeper->new($control, hosts => 3);
    my $answers = $keeper->{answers};
    my $host = $answers->{hosts}{hosts}[2];
    @$host{qw(id name state reason detail lond mode)} = ($hostile) x 7;
    @$host{qw(state addresses)} = ('dead', [$hostile]);
    $answers->{status}{version} = $hostile;
    $answers->{status}{con_lost}{$hostile} = 3;
    $keeper->serve;
    my $html = written('hostile.html');
    is scalar(() = $html =~ /<script|<svg onload|onload=y>/g), 0, 'no text from outside becomes markup';
    cmp_ok scalar(() = $html =~ /&lt;script&gt;alert\(&quot;x&quot;\)&lt;\/script&gt;&amp;&#39;--&gt;/g), '>=', 10, '... they stand there as they are';
}
{
    my $keeper = StandInKeeper->new($control, hosts => 3);
    my $answers = $keeper->{answers};
    $answers->{hosts}{hosts} = [grep { $_->{state} eq 'healthy' } @{$answers->{hosts}{hosts}}];
    $answers->{status}{hosts} = {total => 2, healthy => 2, failing => 0, dead => 0, paused => 0};
    $answers->{status}{con_lost} = {};
    $answers->{status}{latency} = {p50 => undef, p99 => undef};
    unlink glob "$answers->{status}{deferred_folder}/*";
    @$_{qw(requests con_lost queued p50 p99)} = (0, 0, 0, undef, undef) for map { @{$answers->{history}{$_}{samples}} } qw(hour day);
    $keeper->serve;
    my $html = written('calm.html');
    $keeper->end;
    unlike $html, qr/itself is in trouble|id="troubles"/, 'a keeper without trouble of its own does not speak of it';
    like $html, qr/All is well:.* none of 2 hosts is in trouble/, 'when all is well, it says so';
    unlike $html, qr/want attention/, '... and lists no trouble';
    like $html, qr/Nothing is deferred/, '... nothing is deferred';
    like $html, qr/None since the keeper started/, '... nothing was lost';
    like $html, qr{<dt>No reply</dt><dd><b>0</b>}, '... also where a request waits for its reply still';
    unlike $html, qr/nan|inf\b/i, '... and where nothing happened, no number is made up';

    $keeper->{answers}{status}{troubles} = [Canned::trouble('tls'), Canned::trouble($hostile, detail => $hostile, cost => $hostile, remedy => $hostile)];
    $keeper->serve;
    $html = written('troubled.html');
    unlike $html, qr/All is well/, 'a keeper in trouble of its own: all is not well, though its hosts are';
    like $html, qr{<p class="verdict d"><b>The keeper itself is in trouble:</b> <a href="#troubles">tls, &lt;script.*</a>}, '... is the first thing said';
    like $html, qr{The hosts are well:</b> none of 2 hosts is in trouble}, '... then how the hosts are';
    like $html, qr{<section id="troubles".*?<th scope=row role=rowheader>tls<td role=cell>/home/httpd/lonCerts/lonhost\.pem: has expired<small>londs that offer ssl are not reached with ssl</small><td role=cell>[ \d]\d \w{3} \d\d:\d\d<small>for 2h 3min</small><td role=cell class=wide>mend}s,
        '... and what is wrong, what it costs, since when, what to do';
    unlike $html, qr/<script|<svg onload/, '... in no words of their own markup';
}

# --- Without a keeper, and how it gets to its place -----------------------------------------------

like written('away.html'), qr/No keeper answers:.* No such file or directory/, 'without a keeper, the page says so';
{
    my $keeper = StandInKeeper->new($control);
    delete $keeper->{answers}{history};
    delete $keeper->{answers}{status}{deferred_folder};
    $keeper->serve;
    my $html = written('half.html');
    is scalar(() = $html =~ /The keeper did not say/g), 2, '... what a keeper does not tell is not made up';
    like $html, qr/msul2.*connection refused/, '... and the rest is shown';
    unlike $html, qr/Nothing is deferred|<svg/, '... nothing is not the same as unknown';
}
{
    my $keeper = StandInKeeper->new($control);
    delete $keeper->{answers}{hosts};
    $keeper->serve;
    like written('nothing.html'), qr/No keeper answers:.* does not say how it is/, '... unless it is all that matters';
}
my $keeper = StandInKeeper->new($control, hosts => 200)->serve;
my $path = $world->path('pages/200.html');
open my $old, '<', $path;
$html = do { local $/; <$old> };
written('200.html');
seek $old, 0, 0;
is do { local $/; <$old> }, $html, 'who reads the page while the next is written reads the old one to its end';
is sprintf('%o', (stat $path)[2] & 07777), 644, '... and everybody may read it';
my $before = md5_hex($world->read_file('pages/200.html'));
is system('sh', '-c', "ulimit -f 8; trap '' XFSZ; exec $loncctl --socket $control page $path 2>/dev/null") >> 8, 1, 'a page that does not fit is a failure';
is md5_hex($world->read_file('pages/200.html')), $before, '... which leaves the last one';
is_deeply [grep { !/\.html$/ } map { basename $_ } glob $world->path('pages/*')], [], '... and no draft';
is((page('/nonexistent/page.html'))[1], 1, 'a folder that is not there is another');
is((page('one', 'two'))[1], 2, 'there is one page only');
is((page('--more'))[1], 2, '... and no option that is not known');
is_deeply [page('--config', $world->path('keeper.conf'))], ['', 0], 'without a path,';
like $world->read_file('html/lon-status/lonc.html') // '', qr/msul2/, '... it is lonc.html in lon-status of lonDocRoot';
$world->write_file('other.conf', "loncapa_conf = /nonexistent/loncapa.conf\n");
my ($said, $code) = page('--config', $world->path('other.conf'));
is $code, 1, 'a configuration that is not there is a failure';
like $said, qr{/nonexistent/loncapa\.conf}, '... and named';
$keeper->end;

# --- Of the keeper --------------------------------------------------------------------------------

my $lond = $world->lond('msul1');
$world->keeper;
$world->activate($_) for 'msul1', 'msul2';
is $world->ask('msul1', 'ping'), 'pong:msul1', 'one host answers';
is $world->ask('msul2', 'ping'), 'con_lost', '... and one is down';
$control = $world->path('run/control.sock');
$html = written('real.html');
like $html, qr/1 of 2 hosts is dead/, 'the keeper\'s own hosts';
like $html, qr{<th scope=row role=rowheader>msul2<small>msul2\.example\.edu · 127\.\S+</small><td role=cell><b class="state d">.*?</b> connection refused}, '... the one that is down, with where and why';
like $html, qr{<tr id="h-msul1"><th scope=row>msul1<small>msul1\.example\.edu</small><td>.*?<td class=n>1<td class=n>0<td class=n>[\d.]+[mu]?s<td class=n>[\d.]+[mu]?s}, '... and the one that answers, with its latency';

# --- In a browser ---------------------------------------------------------------------------------

# A page that shows the others in frames, each wide and narrow, and writes down what it measures there.
my @names = qw(3 200 2000 hostile calm troubled away real);
my @frames = map { my $name = $_; map { {name => $name, width => $_} } 1280, 390 } @names;
$world->write_file('pages/frames.html', join '', "<!DOCTYPE html><meta charset=utf-8><title>Frames</title>\n",
    map({"<iframe src='$_->{name}.html' width=$_->{width} height=900></iframe>\n"} @frames), <<'END');
<pre id=found></pre>
<script>
// The contrast of two colours, as WCAG 2 has it.
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = c => { const [r, g, b] = c.match(/[\d.]+/g).map(Number).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05) };
const background = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c } return 'rgb(255, 255, 255)' };
function measure(frame) {
    const page = frame.contentDocument, view = frame.contentWindow, all = s => [...page.querySelectorAll(s)];
    const shown = e => e.checkVisibility({visibilityProperty: true});
    const texts = all('body *').filter(e => shown(e) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
    const some = texts.length > 3000 ? texts.filter((e, i) => i % 10 === 0) : texts;
    const tiles = all('.grid a').map(a => a.getBoundingClientRect());
    return {
        title: page.title, lang: page.documentElement.lang, mode: page.compatMode,
        landmarks: all('header, main, footer').map(e => e.localName).join(' '), headings: all('h1').length,
        tiles: tiles.length, smallest: Math.min(24, ...tiles.flatMap(r => [r.width, r.height])),
        unnamed: all('.grid a').filter(a => !/healthy|failing|dead|paused/.test(a.ariaLabel || a.textContent)).length,
        lost: all('a').filter(a => !page.getElementById(decodeURIComponent(a.hash.slice(1)))).length,
        wide: page.documentElement.scrollWidth - view.innerWidth,
        tables: all('table').length, captions: all('table > caption').length,
        contrast: Math.min(21, ...some.map(e => contrast(getComputedStyle(e).color, background(e)))),
        script: all('script, [onload], [onclick], iframe, object').length, loaded: view.performance.getEntriesByType('resource').length,
        lines: all('svg path').map(p => p.getTotalLength() > 0 ? 1 : 0).reduce((a, b) => a + b, 0),
    };
}
onload = () => { found.textContent = 'FOUND' + btoa(JSON.stringify([...document.querySelectorAll('iframe')].map(measure))) + 'END' };
</script>
END
my $browser = join ' ', qw(chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --allow-file-access-from-files --hide-scrollbars
    --dump-dom), '--user-data-dir=' . $world->path('chromium');
for my $scheme (qw(light dark)) {
    my $preferred = $scheme eq 'dark' ? '--blink-settings=preferredColorScheme=0' : '';
    my $dom = `HOME=$world->{dir} timeout 240 $browser $preferred file://@{[$world->path('pages/frames.html')]} 2>$world->{dir}/chromium.log`;
    my ($found) = $dom =~ m{FOUND([\w+/=]+)END};
    ok $found, "Chromium shows the pages, $scheme" or diag $world->read_file('chromium.log');
    my @found = @{decode_json($found ? MIME::Base64::decode($found) : '[]')};
    for my $i (0 .. $#found) {
        my ($frame, $is) = ($frames[$i], $found[$i]);
        my $what = "$frame->{name}.html, $frame->{width} px, $scheme";
        my $tiles = {3 => 3, 200 => 200, 2000 => 2000, hostile => 3, calm => 2, troubled => 2, away => 0, real => 2}->{$frame->{name}};
        is "$is->{tiles} tiles", "$tiles tiles", "$what: all hosts are there";
        is "$is->{unnamed} $is->{lost}", '0 0', '... each named, with its state, and its row is found';
        is $is->{smallest}, 24, '... each large enough for a finger';
        is $is->{wide} <= 0, 1, "... nothing sticks out ($is->{wide} px)";
        is "$is->{landmarks} $is->{headings} $is->{lang} $is->{mode}", 'header main footer 1 en CSS1Compat', '... it has landmarks, a heading, a language';
        is $is->{captions}, $is->{tables}, '... each table says what it is';
        cmp_ok $is->{contrast}, '>=', 4.5, '... every text can be read on its ground';
        is "$is->{script} $is->{loaded}", '0 0', '... no script, and nothing is loaded from elsewhere';
        is $is->{lines}, $frame->{name} =~ /away|real/ ? $is->{lines} : $frame->{name} =~ /calm|troubled/ ? 6 : 10, '... the lines are drawn';
    }
}

done_testing;
