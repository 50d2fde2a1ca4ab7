#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# Compares the manual pages and README.md with the code, in both directions: what one names, the other has.
# Formatting, settings, options, verbs, exit codes, messages and their catalog, reasons, references.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Find qw(find);
use File::Temp qw(tempdir);
use Test::More;
use Lonc;

my $tree = "$FindBin::Bin/../..";
my $scratch = tempdir('lonc-manual-XXXXXX', TMPDIR => 1, CLEANUP => 1);

sub contents {
    my ($name) = @_;
    open my $file, '<', $name or die "$name: $!";
    local $/;
    return scalar <$file>;
}

sub write_to {
    my ($name, $text) = @_;
    open my $file, '>', $name or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

# The pages by their names ("lonc-keeper.8"), and the text of each without comments.
my %path = map { m{([^/]+)$} => $_ } grep { !-l } glob "$tree/*/*.[1-8]";
my %page = map { $_ => contents($path{$_}) =~ s/^\.\\".*\n//mgr } keys %path;
my %program = ( # where each has its sources and its page
    'lonc-keeper' => {page => 'lonc-keeper.8', sources => ["$tree/keeper/main.c"]},
    'lonc-shim' => {page => 'lonc-shim.8', sources => [glob "$tree/shim/*.[ch]"]},
    'lonc-hosts' => {page => 'lonc-hosts.8', sources => ["$tree/units/lonc-hosts/lonc-hosts.c"]},
    'loncctl' => {page => 'loncctl.1', sources => [glob "$tree/keeper/loncctl/{,*/}*.[ch]"]},
);

sub section {
    my ($page, $heading) = @_;
    return $page{$page} =~ /^\.Sh \Q$heading\E\n(.*?)(?=^\.Sh |\z)/ms ? $1 : '';
}

# Each once, sorted.
sub words { my %seen = map { $_ => 1 } @_; return join ' ', sort keys %seen }

# What a program says, on both outputs, and its exit code.
sub run {
    my ($program, @words) = @_;
    my $said = join '', `$program @words 2>&1`;
    return ($said, $? >> 8);
}

# --- The pages ------------------------------------------------------------------------------------

is words(keys %page), 'keeper.conf.5 lonc-hosts.8 lonc-keeper.8 lonc-protocol.7 lonc-shim.8 lonc.7 loncctl.1', 'there is a page for each program, the settings, the protocol, and the whole';
chomp(my $installed = `make -s -C $tree --eval='pages:; \@echo \$(notdir \$(MANUALS))' pages 2>/dev/null`);
is words(split ' ', $installed), words(keys %page), 'make installs them all';

# Whether other pages are installed is this machine's matter; ours are looked for below.
for my $name (sort keys %page) {
    my $lint = `mandoc -Tlint $path{$name} 2>/dev/null`;
    is join("\n", grep { !/referenced manual not found/ } split /\n/, $lint), '', "mandoc finds nothing to say against $name";
    is $page{$name} =~ /^\.Dt (\S+) (\d)$/m && lc "$1.$2", $name, '... which knows its name and section';
    my @missing = grep { !$page{$_} } map {s/ /./r} grep {/^(?:lonc|keeper)/} $page{$name} =~ /^\.Xr (\S+ \d)/mg;
    is "@missing", '', '... and refers to pages that there are';
}
for my $unit (sort glob "$tree/units/lonc*.{service,socket,target,timer,path}") {
    my ($documentation) = contents($unit) =~ /^Documentation=(.*)$/m;
    my @named = map {s/\((\d)\)/.$1/r} ($documentation // '') =~ /man:(\S+)/g;
    ok @named > 0 && !grep({ !$page{$_} } @named), "$unit names a page" =~ s{$tree/}{}r;
}

# --- Settings -------------------------------------------------------------------------------------

my $keeper = Lonc::program('lonc-keeper');
my $settings = `$keeper --settings`;
my %default = $settings =~ /^#(\w+) = ?(.*)$/mg;
cmp_ok scalar keys %default, '>=', 50, scalar(keys %default) . ' settings';

write_to("$scratch/$_->[0]", contents($_->[1])) for ['README.md', "$tree/README.md"], ['keeper.conf.5', $path{'keeper.conf.5'}];
is system("$keeper --settings | $tree/common/settings-tables $scratch/README.md $scratch/keeper.conf.5"), 0, 'the tables of settings can be made';
is `diff $tree/README.md $scratch/README.md`, '', '... and README.md has what is made (make settings-tables)';
is `diff $path{'keeper.conf.5'} $scratch/keeper.conf.5`, '', '... and so has keeper.conf(5)';

my %in_page = section('keeper.conf.5', 'SETTINGS') =~ /^\.It Va (\S+) No = Cm (.*)$/mg;
is_deeply \%in_page, {map { $_ => $default{$_} eq '' ? '(empty)' : $default{$_} } keys %default}, 'keeper.conf(5) has each setting with its default';
my $world = Lonc->new;
my %own = map { /^(\w+) = / ? ($1 => $_) : () } split /^/, $world->read_file('keeper.conf'); # its folders
my $check = sub {
    my ($text) = @_;
    $text .= $own{$_} for grep { $text !~ s/^$_ =.*\n/$own{$_}/m } keys %own;
    write_to("$scratch/keeper.conf", $text);
    return run($keeper, '--config', "$scratch/keeper.conf", '--check');
};
like + ($check->($settings =~ s/^#(\w+ =)/$1/mgr))[0], qr/all is well/, '--settings, with all of it in force, is a valid file';
my ($example) = section('keeper.conf.5', 'EXAMPLES') =~ /^\.Bd.*?\n(.*?)^\.Ed/ms;
like + ($check->($example))[0], qr/all is well/, 'the example in keeper.conf(5) is a valid file';
is + ($check->("nonsense = 1\n"))[1], 1, '(and one with a mistake is not)';

my %variable = map { $_ => 1 } contents("$tree/common/loncapa.c") =~ /^    \{"(\w+)", KIND_/mg;
is words(section('keeper.conf.5', 'WHAT LON-CAPA CONFIGURES') =~ /^\.It Va (\w+)/mg), words(keys %variable), 'keeper.conf(5) has the variables of loncapa.conf that are read';
for my $name (sort keys %page) {
    my @named = map { split / , | / } $page{$name} =~ /(?:^\.|^\.\w+ .*? )Va ((?:\w+(?: , )?)+)/mg;
    is words(grep { !exists $default{$_} && !$variable{$_} } @named), '', "$name names no setting that there is not";
}

# --- Options, verbs, exit codes -------------------------------------------------------------------

my ($listed) = run(Lonc::program('loncctl'), '--list-verbs');
my %usage = $listed =~ /^([a-z ]+)\t(.*)$/mg;
my %verb = map { /^(\w+)/ ? ($1 => 1) : () } keys %usage;
my %option; # of each program
for my $name (sort keys %program) {
    my $page = $program{$name}{page};
    my $code = join '', map { contents($_) } @{$program{$name}{sources}};
    my ($help, $exit) = run(Lonc::program($name), '--help');
    is $exit, 0, "$name --help";
    $help .= join '', map { (run(Lonc::program($name), split(' '), '--help'))[0] } keys %usage if $name eq 'loncctl';
    is_deeply [grep { length > 80 } split /\n/, $help], [], '... fits into 80 columns';
    my $known = words($code =~ /\{"([\w-]+)", (?:\x27\w\x27|OPTION_[A-Z]+|(?:no|required|optional)_argument)/g);
    $option{$name} = {map { $_ => 1 } split ' ', $known};
    isnt $known, '', "... ($known)";
    is words(grep { !$option{$name}{$_} } $help =~ /--([\w-]+)/g), '', '... names no option that there is not';
    is words($page{$page} =~ /Fl -([\w-]+)/g), $known, "$page has its options";
    is words(map {/^\.It (?:Cm .* )?(?:Op )?Fl -([\w-]+)/mg} $page{$page}), $known, '... and says what each does';
    is_deeply [(run(Lonc::program($name), '--no-such-option'))[1]], [$name eq 'lonc-shim' ? 64 : 2], '... and another one is wrong usage';

    my ($list) = $code =~ /^enum \w+_exit \{(.*?)\};/ms;
    my @codes = ($list // '') =~ /= (\d+)/g;
    @codes = (0, 1, $code =~ /(?:\bexit\(|\.misuse = )(\d+)/g) if !$list; # EXIT_SUCCESS, EXIT_FAILURE
    is words(section($page, 'EXIT STATUS') =~ /^\.It (\d+)$/mg), words(@codes), "$page has its exit codes";
}

# A verb, and its arguments as usage says them: "retry HOST|ALL", "queue [HOST]".
sub item_text {
    my ($item) = @_;
    $item =~ s/\b(?:Cm|Ar) //g;
    return $item =~ s/Op (.*)/[$1]/r =~ s/ \| /|/gr =~ s/ \.\.\./.../r;
}
my $verbs_told = section('loncctl.1', 'VERBS THAT LOOK') . section('loncctl.1', 'VERBS THAT CHANGE SOMETHING');
is join("\n", sort map { item_text($_) } $verbs_told =~ /^\.It (Cm .*)/mg), join("\n", sort map { "$_ $usage{$_}" =~ s/ $//r } keys %usage),
    'loncctl.1 has the verbs of loncctl, with their arguments';
for my $item (split /^(?=\.It Cm )/m, $verbs_told) {
    my ($verb) = $item =~ /^\.It Cm ([a-z]+(?: [a-z]+)?)/ or next;
    like $item, qr/^\.Dl loncctl (?:--json )?$verb\b/m, "... and an example for $verb";
}
my %asked = map {s/\\\(en//r} section('loncctl.1', 'CONTROL PROTOCOL') =~ /^\.It Cm (\w+) Ta (.*)$/mg;
is_deeply \%asked, {contents("$tree/keeper/control/verbs.c") =~ /^    \{"(\w+)", "([^"]*)", \d/mg}, '... and the verbs of the control socket, with their words';
my %hosts_verb = map { $_ => 1 } contents("$tree/units/lonc-hosts/lonc-hosts.c") =~ /strcmp\(invocation->verb, "(\w+)"\)/g;
is words(section('lonc-hosts.8', 'VERBS') =~ /^\.It Cm (\w+)/mg), words(keys %hosts_verb), 'lonc-hosts.8 has the verbs of lonc-hosts';

# --- Metrics --------------------------------------------------------------------------------------

$world->keeper;
my $metrics = `@{[Lonc::program('loncctl')]} --socket @{[$world->path('run/control.sock')]} metrics`;
my %kind = $metrics =~ /^# TYPE (\S+) (\S+)$/mg;
my %help = $metrics =~ /^# HELP (\S+) (.*)$/mg;
my %metric = section('loncctl.1', 'METRICS') =~ /^\.It Li (\S+ \S+)\n((?:[^.].*\n)+)/mg;
cmp_ok scalar keys %kind, '>=', 20, scalar(keys %kind) . ' metrics';
is_deeply {map { $_ => join ' ', split ' ', $metric{$_} } keys %metric}, {map { ("$_ $kind{$_}" => $help{$_}) } keys %kind},
    'loncctl.1 has them all, with their kind and meaning';

# --- Messages -------------------------------------------------------------------------------------

my $log = contents("$tree/common/log.c");
my %subject = contents("$tree/units/lonc.catalog") =~ /^-- ([0-9a-f]{32})\nSubject: (.*)$/mg;
is words($log =~ /"([0-9a-f]{32})"/g), words(keys %subject), 'each MESSAGE_ID has its entry in the catalog, and each entry its MESSAGE_ID';
is_deeply {section('lonc-keeper.8', 'MESSAGES') =~ /^\.It Li ([0-9a-f]{32}) .*\n(.*)$/mg}, \%subject, 'lonc-keeper.8 has them all, with the same subjects';
is_deeply {section('lonc-keeper.8', 'MESSAGES') =~ /^\.It Li ([0-9a-f]{32}) Pq Li (\S+)$/mg}, {reverse $log =~ /\{"([a-z-]+)", "([0-9a-f]{32})"\}/g},
    '... and the words for them';
is words(grep { !$subject{$_} } map {/MESSAGE_ID=([0-9a-f]{32})/g} values %page, contents("$tree/README.md")), '', 'none is named that there is not';
is words(section('lonc-keeper.8', 'MESSAGES') =~ /^\.It Li (LONC_\w+)/mg), words($log =~ /add_field\(&datagram, "(LONC_\w+)"/g), '... and the fields of messages';

# Those of answers and attempts are in a table; the private channel's stand where they are said.
my $reasons = contents("$tree/keeper/core/reason.c");
my @said = (contents("$tree/keeper/client/intake.c") =~ /log_refused\("[^"]*", "([a-z-]+)"\)/g, contents("$tree/shim/handover.c") =~ /\? "([a-z]+)" : "([a-z]+)"\)/g);
is scalar @said, 5, "the private channel's reasons: @said";
is words(map { split / , / } section('lonc-keeper.8', 'REASONS') =~ /^\.It Li (.*)$/mg), words((grep { $_ ne 'none' } $reasons =~ /\{"([a-z-]+)", "/g), @said),
    'lonc-keeper.8 has every reason';
is words(grep { my $word = $_; !grep { $_ eq $word } @said, $reasons =~ /\{"([a-z-]+)", "/g } contents("$tree/units/lonc.catalog") =~ /^    ([a-z-]+)  /mg), '',
    'the catalog names no reason that there is not';

# --- Troubles -------------------------------------------------------------------------------------

my @kinds = contents("$tree/keeper/core/troubles.c") =~ /^    \[TROUBLE_\w+\] = \{"([a-z-]+)",/mg;
cmp_ok scalar @kinds, '>=', 10, scalar(@kinds) . " kinds of the keeper's own trouble";
is words(section('lonc-keeper.8', 'TROUBLES') =~ /^\.It Li (.*)$/mg), words(@kinds), 'lonc-keeper.8 has them all';

# --- The protocol ---------------------------------------------------------------------------------

my @rows = contents("$tree/keeper/lond/handshake.c") =~ /^    \[LOND_\w+\] = \{\.name = "(\w+)"((?:,\s+\.\w+ = [^,}]+)*)/mg;
my (@states, %bytes);
while (my ($state, $row) = splice @rows, 0, 2) {
    push @states, $state;
    $bytes{$state} = $1 if $row =~ /\.text = "(\w+)"/;
}
my %row = section('lonc-protocol.7', '2. THE HANDSHAKE') =~ /^\.It ([A-Z]\w+) Ta (.*)$/mg;
my @told = section('lonc-protocol.7', '2. THE HANDSHAKE') =~ /^\.It ([A-Z]\w+) Ta /mg;
is join(' ', @told), join(' ', grep { $_ ne 'ExchangingKey' } @states), "lonc-protocol.7 has LON-CAPA's states of the handshake, in their order";
is words(grep { $row{$_} !~ /^\w+ Ta Li \Q$bytes{$_}\E Ta/ } keys %bytes), '', '... and what is always the same in them: ' . words(values %bytes);
my %standard = contents("$tree/common/loncapa.c") =~ /^    \{"(\w+)", KIND_.*,\s+(?:NULL|"([^"]*)")\}/mg;
my %listed = section('lonc-protocol.7', '7. TABLES') =~ /^\.It Va (\w+) Ta (?:Pa )?(.+) Ta \[/mg;
is words(keys %listed), words(keys %variable), '... the variables of loncapa.conf';
is words(grep { ($standard{$_} // $listed{$_}) ne $listed{$_} } keys %listed), '', '... with their defaults';
my %numbered = map { $_ => 1 } $page{'lonc-protocol.7'} =~ /^\.Sh (\d+)\. /mg;
my ($cited, @nowhere) = 0;
find({no_chdir => 1, wanted => sub {
    return if !/\.(?:[ch]|t|pm|pl)$/ || m{/tests/scenario/manual\.t$};
    my $text = contents($_) =~ s/\n[ *#]+/ /gr;
    while ($text =~ /lonc-protocol\(7\),? sections? (\d+)(?: and (\d+))?/g) {
        push @nowhere, map {"$File::Find::name: section $_"} grep { defined && !$numbered{$_} } $1, $2;
        $cited++;
    }
}}, map {"$tree/$_"} qw(common shim keeper units tests));
is "@nowhere", '', "... the sections that are cited, in $cited places";
cmp_ok $cited, '>=', 20, '(which are found)';
my $vectors = contents("$tree/tests/scenario/interop.t");
my @vectors = (section('lonc-protocol.7', '3. THE KEY') =~ /([0-9A-F]{20,})/g, section('lonc-protocol.7', '4. ENCIPHERED LINES') =~ /(enc:\d+:[0-9a-f]+)$/mg);
is_deeply [grep { index($vectors, $_) < 0 } @vectors], [], '... and ' . @vectors . ' examples that interop.t tries';

# --- What one is told to type ---------------------------------------------------------------------

# The commands that a text shows: between backticks or indented; by a page, in .Dl, .Li and literal displays.
my %told = ('lonc.catalog' => contents("$tree/units/lonc.catalog"), 'README.md' => join "\n", grep {defined} contents("$tree/README.md") =~ /`([^`]+)`|^ {4}(.*)/mg);
$told{$_} = join "\n", grep {defined} $page{$_} =~ /^\.(?:Dl|Li) (.*)|^\.Bd -literal.*\n((?:(?!\.Ed).*\n)*)/mg for keys %page;
my %target = map { $_ => 1 } contents("$tree/Makefile") =~ /^([a-z-]+):.*## /mg;
for my $name (sort keys %told) {
    my (@commands, @wrong);
    for my $program (sort keys %program) {
        while ($told{$name} =~ /(?<![\w\/.-])(?<!-u )\Q$program\E((?: +[^\s`|;&>)]+)+)/g) {
            my @words = split ' ', $1;
            push @commands, "$program @words";
            push @wrong, $commands[-1] if grep { /^--([a-z][\w-]*)/ && !$option{$program}{$1} } @words;
            push @wrong, $commands[-1] if $program eq 'loncctl' && $words[0] =~ /^[a-z]/ && !$verb{$words[0]};
        }
    }
    push @wrong, map { $target{$_} ? () : "make $_" } $told{$name} =~ /^ *make ([a-z-]+)/mg;
    is join(', ', @wrong), '', "$name: every option, verb and target of its " . @commands . ' commands exists';
}

done_testing;
