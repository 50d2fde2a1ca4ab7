# SPDX-License-Identifier: GPL-3.0-or-later
#
# One Makefile for the whole tree; `make help` lists what it does.
#
# BUILD names the folder for what is built, so that variants (coverage, sanitizers) live side by side.

BUILD   ?= build
PREFIX  ?= /usr
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
MANDIR  ?= $(PREFIX)/share/man
LIBDIR  ?= $(PREFIX)/lib/lonc-keeper
SHAREDIR ?= $(PREFIX)/share/lonc-keeper
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

# Where systemd looks for files. Determined only when something is installed.
systemd      = $(or $(shell pkg-config --variable=$(1) systemd 2>/dev/null),$(2))
UNITDIR     ?= $(call systemd,systemdsystemunitdir,/usr/lib/systemd/system)
SYSUSERSDIR ?= $(call systemd,sysusersdir,/usr/lib/sysusers.d)
TMPFILESDIR ?= $(call systemd,tmpfilesdir,/usr/lib/tmpfiles.d)
CATALOGDIR  ?= $(call systemd,catalogdir,/usr/lib/systemd/catalog)
# Decides about drop-ins with options that an older systemd would warn about.
SYSTEMD_VERSION ?= $(or $(shell pkg-config --modversion systemd 2>/dev/null | cut -d. -f1),0)

VERSION := 0.1

CC       = gcc
# Prints one line for each file; `make V=1` prints the commands.
Q        = $(if $(V),,@)
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
ifdef CI
WARNINGS += -Werror
endif
HARDEN   = -fstack-protector-strong -fcf-protection -fPIE
CPPFLAGS = -I. -D_GNU_SOURCE -DLONC_VERSION='"$(VERSION)"' -DLONC_LIBDIR='"$(LIBDIR)"'
OPTIMIZE = -O2 -D_FORTIFY_SOURCE=3
CFLAGS   = -std=gnu17 -pthread -g $(OPTIMIZE) $(WARNINGS) $(HARDEN) $(EXTRA)
LDFLAGS  = -pthread -Wl,-z,relro,-z,now $(EXTRA)

# --- What is made of what -------------------------------------------------------------------------

COMMON := $(wildcard common/*.c)
KEEPER := $(filter-out keeper/loncctl/%,$(wildcard keeper/*.c keeper/*/*.c))
LONCCTL := $(wildcard keeper/loncctl/*.c keeper/loncctl/*/*.c)
UNIT   := $(wildcard tests/unit/*.c)
LOND   := $(wildcard tests/lond/*.c)
LOAD   := $(wildcard tests/bench/load*.c)
FLOOR  := $(wildcard tests/bench/floor*.c) tests/bench/bench.c common/channel.c common/unix.c
PEER   := tests/bench/peer.c tests/bench/bench.c
WORLD  := tests/torture/clients.c tests/torture/requests.c

# Each file is a fuzz target, except for what the targets share.
FUZZ_SHARED := $(addprefix tests/fuzz/,fuzz.c replay.c world.c peer.c certificate.c)
FUZZ        := $(basename $(notdir $(filter-out $(FUZZ_SHARED),$(wildcard tests/fuzz/*.c))))

# What the shim takes from common/. The rest would only make its start slower.
SHIM   := $(wildcard shim/*.c) $(addprefix common/,channel.c log.c monotonic.c options.c unix.c)

comma  := ,
object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

HOSTS    := $(wildcard units/lonc-hosts/*.c)

PROGRAMS := $(BUILD)/lonc-keeper $(BUILD)/lonc-shim $(BUILD)/loncctl $(BUILD)/lonc-hosts
TESTERS  := $(BUILD)/unit-tests $(BUILD)/stand-in-lond $(BUILD)/lonnet-load $(BUILD)/world-clients $(BUILD)/stepped-clock.so $(BUILD)/interpose.so

all: $(PROGRAMS) ## build the programs (the default)

$(BUILD)/lonc-keeper: $(call object,$(COMMON) $(KEEPER))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ -lsystemd -lgcrypt -lssl -lcrypto -lbsd -ljansson -lcares

$(BUILD)/loncctl: $(call object,$(LONCCTL) $(COMMON) keeper/core/reason.c keeper/deferred/delayed_name.c)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ -ljansson -lncursesw -ltinfo -lbsd -lm

$(BUILD)/lonc-hosts: $(call object,$(COMMON) $(HOSTS))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ -lsystemd -lbsd

# Static, because it is started for every connection: an exec of a static program is the cheapest.
# (A sanitizer needs a dynamic one.)
STATIC ?= -static-pie -s

$(BUILD)/lonc-shim: $(call object,$(SHIM))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) $(STATIC) -o $@ $^

$(BUILD)/unit-tests: $(call object,$(UNIT) $(COMMON) $(filter-out keeper/main.c,$(KEEPER)) $(filter-out units/lonc-hosts/lonc-hosts.c,$(HOSTS)) \
	$(filter-out keeper/loncctl/loncctl.c,$(LONCCTL)))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ -lcriterion -lsystemd -lgcrypt -lssl -lcrypto -lbsd -ljansson -lcares -lncursesw -ltinfo -lm

$(BUILD)/stand-in-lond: $(call object,$(LOND))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ -lgcrypt -lssl -lcrypto

$(BUILD)/lonnet-load: $(call object,$(LOAD))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^

# A relay without features, which shows what a request's way costs by itself, and the peer at its end.
$(BUILD)/bench-floor: $(call object,$(FLOOR))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^

$(BUILD)/bench-peer: $(call object,$(PEER))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^

$(BUILD)/world-clients: $(call object,$(WORLD))
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^

# Preloaded into a program, lets a test step its wall clock.
$(BUILD)/stepped-clock.so: tests/torture/clock.c Makefile | $(BUILD)/deps-build
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -o $@ $<

# Preloaded into a program, makes one of its calls fail.
$(BUILD)/interpose.so: tests/faults/interpose.c Makefile | $(BUILD)/deps-build
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -g -O2 $(WARNINGS) -fPIC -shared -o $@ $<

# A service that does nothing, built like the shim, to compare with.
$(BUILD)/empty-service: $(call object,tests/system/empty.c)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -static-pie -s -o $@ $^

# Fuzz targets link what they need of the programs and play the part of what is beside it: calls of a
# symbol that is named here go to the target's __wrap_SYMBOL. FUZZ_MAIN is what calls the targets.
FUZZ_MAIN ?= $(call object,tests/fuzz/replay.c)
fuzz_wraps_key    := SSL_connect SSL_read SSL_get_error SSL_has_pending
fuzz_wraps_http   := poll recv send shutdown
fuzz_wraps_answer := ask_or_why
fuzz_wraps_world  := clock_gettime poll socket connect setsockopt syscall
$(foreach target,lond client control deferred,$(eval fuzz_wraps_$(target) := $(fuzz_wraps_world)))
fuzz_wraps_control += notifier_reloading notifier_ready

$(BUILD)/fuzz/all.a: $(call object,$(COMMON) $(filter-out keeper/main.c,$(KEEPER)) $(filter-out keeper/loncctl/loncctl.c,$(LONCCTL)) \
	$(filter-out tests/fuzz/replay.c,$(FUZZ_SHARED)))
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/fuzz/all.a $(FUZZ_MAIN)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(fuzz_wraps_$*)) -pie -o $@ $< $(FUZZ_MAIN) $(BUILD)/fuzz/all.a \
		-lsystemd -lgcrypt -lssl -lcrypto -lbsd -ljansson -lcares -lncursesw -ltinfo -lm

$(BUILD)/obj/%.o: %.c Makefile | $(BUILD)/deps-build
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(call object,$(UNIT)): | $(BUILD)/deps-test

-include $(patsubst %.c,$(BUILD)/obj/%.d,$(COMMON) $(KEEPER) $(LONCCTL) $(HOSTS) $(SHIM) $(UNIT) $(LOND) $(LOAD) $(FLOOR) $(PEER) $(WORLD) tests/bench/empty-keeper.c \
	$(FUZZ_SHARED) $(FUZZ:%=tests/fuzz/%.c))

# --- What the machine must have -------------------------------------------------------------------

PACKAGES_BUILD := gcc libc6-dev libsystemd-dev libgcrypt20-dev libssl-dev libbsd-dev libjansson-dev libc-ares-dev libncurses-dev pkgconf
PACKAGES_TEST  := $(PACKAGES_BUILD) libcriterion-dev perl systemd systemd-container dbus openssl valgrind dpkg-dev \
	openbsd-inetd libio-socket-ssl-perl python3-botan dnsmasq-base jq tmux mandoc man-db \
	python3-prometheus-client chromium strace

PACKAGES_BENCH := $(PACKAGES_TEST) systemd haproxy socat linux-perf gnuplot-nox

PACKAGES_FUZZ  := $(PACKAGES_BUILD) clang perl

PACKAGES_ANALYZE := $(PACKAGES_BUILD) clang-tidy cppcheck

# Names the packages that are missing. Installs them as root; otherwise prints the command that does.
define install-packages
@mkdir -p $(BUILD)
@missing=; for package in $(1); do \
	dpkg-query -W -f '$${db:Status-Abbrev}' $$package 2>/dev/null | grep -q '^ii' || missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
	echo "missing packages:$$missing"; \
	line="apt-get install -y --no-install-recommends$$missing"; \
	if [ "$$(id -u)" = 0 ]; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive $$line; \
	else \
		echo "run this as root: $$line"; exit 1; \
	fi; \
fi
@touch $@
endef

$(BUILD)/deps-build: Makefile
	$(call install-packages,$(PACKAGES_BUILD))

$(BUILD)/deps-test: Makefile
	$(call install-packages,$(PACKAGES_TEST))

$(BUILD)/deps-bench: Makefile
	$(call install-packages,$(PACKAGES_BENCH))

$(BUILD)/deps-fuzz: Makefile
	$(call install-packages,$(PACKAGES_FUZZ))

$(BUILD)/deps-analyze: Makefile
	$(call install-packages,$(PACKAGES_ANALYZE))

# Unpacked, but not installed: the package would start a Prometheus on this machine.
PROMETHEUS := $(BUILD)/prometheus/promtool

$(PROMETHEUS): | $(BUILD)/deps-test
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(@D) && { apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }; }
	cd $(@D) && dpkg -x prometheus_*.deb . && mv usr/bin/prometheus usr/bin/promtool . && rm -r prometheus_*.deb usr etc lib var
	touch $@

deps: $(BUILD)/deps-build $(BUILD)/deps-test ## name and install the packages that are missing (as root)

# --- What can be done -----------------------------------------------------------------------------

demo: $(PROGRAMS) $(BUILD)/stand-in-lond | $(BUILD)/deps-test ## show requests on their way: answered, enciphered, host down, deferred, host back
	@BUILD=$(abspath $(BUILD)) perl tests/demo.pl

check: check-tree check-build check-unit check-fuzz check-scenario check-system ## run all tests except the long ones (without root, those of a booted system are skipped)

check-tree: ## includes go down, never in a circle; files are not too long; no file names another that does not exist
	tests/tree

# Two files at a time, although the checks themselves come one after the other.
check-build:
	+$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j2) $(PROGRAMS) $(TESTERS)

measure: ## sizes of files and functions, comments, circles, names: to compare two checkouts (DIRS="a b")
	@tests/measure $(DIRS)

check-unit: $(BUILD)/unit-tests ## unit tests: rules and single objects, in seconds
	$(BUILD)/unit-tests

# In a build of its own, for the sanitizers. Not optimized, since building takes longer than the replay.
check-fuzz: ## replay the inputs that fuzzing has found, with AddressSanitizer and UBSan
	+$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j2) BUILD=build/replay OPTIMIZE=-O0 EXTRA="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all" replay

replay: $(FUZZ:%=$(BUILD)/fuzz/%)
	@for target in $(FUZZ); do $(BUILD)/fuzz/$$target tests/fuzz/corpus/$$target || exit; done

# Looks for inputs that break something: `make fuzz BUDGET=900` shares the seconds among all targets.
BUDGET ?= 900
SEED   ?= $(shell date +%s)
FUZZ_MAKE = $(MAKE) BUILD=build/fuzz CC=clang OPTIMIZE=-O1 WARNINGS=-Wno-unknown-warning-option FUZZ_MAIN= \
	EXTRA="-fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -fno-sanitize-recover=all"

fuzz-build: | $(BUILD)/deps-fuzz
	+$(FUZZ_MAKE) LDFLAGS="-fsanitize=fuzzer,address,undefined" fuzz-targets

fuzz-targets: $(FUZZ:%=$(BUILD)/fuzz/%)

fuzz: fuzz-build ## look for inputs that break something; BUDGET=900 seconds in all, SEED=n
	tests/torture/items/fuzz.pl --seconds $(BUDGET) --seed $(SEED)

# All of them, or `make check-scenario SCENARIOS=tests/scenario/tls.t`.
SCENARIOS ?= tests/scenario

check-scenario: $(PROGRAMS) $(TESTERS) $(PROMETHEUS) | $(BUILD)/deps-test ## scenarios: the real programs against a stand-in lond (SCENARIOS=FILES for some)
	BUILD=$(abspath $(BUILD)) prove -j2 $(SCENARIOS)

check-long: $(PROGRAMS) $(TESTERS) check-system-long | $(BUILD)/deps-test ## tests that take minutes: load beside drains, silent hosts and long lines; on a booted systemd, check-system-long
	BUILD=$(abspath $(BUILD)) prove --verbose tests/torture

# For torture that makes each call fail in turn: the sanitizers see whatever goes wrong then.
SANITIZED := BUILD=$(BUILD)/sanitized EXTRA='-fsanitize=address,undefined -fno-omit-frame-pointer' OPTIMIZE=-O1 STATIC=-pie

sanitized: | $(BUILD)/deps-build ## build keeper and loncctl with AddressSanitizer and UBSan, for torture
	$(MAKE) $(SANITIZED) $(addprefix $(BUILD)/sanitized/,lonc-keeper loncctl)

THREADED  := BUILD=$(BUILD)/threaded EXTRA='-fsanitize=thread -fno-omit-frame-pointer' OPTIMIZE=-O1 STATIC=-pie

# Leaves out the scenarios about the flags of a build, about what is installed and about valgrind, and
# failing-calls, whose keeper is a sanitized one anyway and whose shim runs under strace, where LeakSanitizer
# cannot work. ThreadSanitizer has the scenarios with TLS, because the keeper's second thread does TLS alone.
SANITIZED_SCENARIOS := $(filter-out $(patsubst %,tests/scenario/%.t,failing-calls hardening manual valgrind),$(wildcard tests/scenario/*.t))
THREADED_SCENARIOS  := $(patsubst %,tests/scenario/%.t,certificates interop local security tls)

check-sanitized: $(PROMETHEUS) | $(BUILD)/deps-test ## unit tests and scenarios with AddressSanitizer and UBSan; those with TLS also with ThreadSanitizer
	mkdir -p $(BUILD)/sanitized && ln -sfn ../prometheus $(BUILD)/sanitized/prometheus
	mkdir -p $(BUILD)/threaded && ln -sfn ../prometheus $(BUILD)/threaded/prometheus
	+tests/sanitized $(abspath $(BUILD)/sanitized/findings) $(MAKE) -k $(SANITIZED) check-unit check-scenario SCENARIOS='$(SANITIZED_SCENARIOS)'
	+tests/sanitized $(abspath $(BUILD)/threaded/findings) $(MAKE) -k $(THREADED) check-scenario SCENARIOS='$(THREADED_SCENARIOS)'

# make torture BUDGET=900 SEED=7 ITEMS="worlds limits"
torture: $(PROGRAMS) $(TESTERS) sanitized | $(BUILD)/deps-test ## random worlds, failing calls and bad input for BUDGET seconds (900); SEED=n repeats a run
	BUILD=$(abspath $(BUILD)) perl tests/torture/torture.pl --budget $(or $(BUDGET),900) $(if $(SEED),--seed $(SEED)) $(ITEMS)

SYSTEM := $(PROGRAMS) $(addprefix $(BUILD)/,stand-in-lond lonnet-load empty-service)

check-system-long: $(SYSTEM) deb | $(BUILD)/deps-test ## system tests that take minutes: restarts in a row, replaced folders, late mounts
	BUILD=$(abspath $(BUILD)) perl tests/system/boot.pl --long

check-system: $(SYSTEM) deb | $(BUILD)/deps-test ## system tests on a booted systemd, in a container (as root; otherwise skipped)
	BUILD=$(abspath $(BUILD)) perl tests/system/boot.pl

BENCH := $(PROGRAMS) $(addprefix $(BUILD)/,lonnet-load bench-floor bench-peer)

bench: $(BENCH) | $(BUILD)/deps-bench ## compare the speed with minimal and other relays (ROUNDS=n, QUICK=1)
	BUILD=$(abspath $(BUILD)) perl tests/bench/bench.pl

# Puts the table of a bench between its markers in README.md, if that bench has been run here.
readme-table = if [ -e $(BUILD)/bench-results/$(2) ]; then sed -i -e '/<!-- $(1) begin/r $(BUILD)/bench-results/$(2)' \
	-e '/<!-- $(1) begin/,/<!-- $(1) end/{/<!-- $(1)/!d}' README.md; fi

bench-readme: ## bring README.md's tables of the last bench and bench-system up to date
	$(call readme-table,bench,table.md)
	$(call readme-table,bench-system,system.md)

# For measuring the keeper's memory and turns.
$(BUILD)/empty-keeper: $(call object,tests/bench/empty-keeper.c keeper/lond/cipher.c)
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) -Wl,--no-as-needed -pie -o $@ $^ -lsystemd -lgcrypt -lssl -lcrypto -lbsd -ljansson -lcares

$(BUILD)/turns.so: tests/bench/turns.c | $(BUILD)/deps-build
	$(if $(V),,@echo "  LINK  $@")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

SCALE ?= hosts memory backlog idle flood

bench-scale: $(PROGRAMS) $(TESTERS) $(addprefix $(BUILD)/,empty-keeper turns.so) | $(BUILD)/deps-bench ## measure growth with hosts, connections, clients and backlog (SCALE="hosts memory" for some)
	BUILD=$(abspath $(BUILD)) prove --verbose $(patsubst %,tests/bench/scale-%.pl,$(SCALE))

bench-system: $(SYSTEM) deb | $(BUILD)/deps-test ## measure what activation by systemd costs (as root; PARTS="rates starts" for some)
	BUILD=$(abspath $(BUILD)) perl tests/system/boot.pl --bench $(PARTS)

coverage: ## line coverage of the programs by unit tests and scenarios
	$(MAKE) BUILD=build/coverage EXTRA=--coverage OPTIMIZE=-O0 check-unit check-scenario
	gcovr --root . --filter common/ --filter shim/ --filter keeper/ --filter units/ build/coverage

# Run `make coverage` first; otherwise this shows only what failing calls reach.
coverage-faults: ## add to `make coverage` what failing calls reach; BUDGET=900 seconds
	$(MAKE) BUILD=build/coverage EXTRA=--coverage OPTIMIZE=-O0 all build/coverage/stand-in-lond build/coverage/interpose.so
	BUILD=$(abspath build/coverage) FAULTS_BUILD=build/coverage tests/torture/items/calls.pl --ways --brief --seed 1 --seconds $(or $(BUDGET),900)
	tests/faults/unreached build/coverage

# Three analyzers, which find different things. They read the programs; cppcheck, which is quick, reads the tests too.
ANALYZED := $(COMMON) $(KEEPER) $(LONCCTL) $(HOSTS) $(wildcard shim/*.c)

analyze: analyze-gcc analyze-tidy analyze-cppcheck ## run gcc -fanalyzer, clang-tidy and cppcheck, which may find nothing

# Leaks are left to AddressSanitizer and valgrind: gcc 12 loses sight of memory that is stored through a member or
# in a tree. Only what has changed is built, and so analyzed, again.
analyze-gcc: | $(BUILD)/deps-build
	+$(MAKE) -k BUILD=build/analyze EXTRA="-fanalyzer -Wno-analyzer-malloc-leak -Werror" all

# One file at a time: in all files but the first, clang 14 takes va_start for another function.
analyze-tidy: $(ANALYZED:%.c=$(BUILD)/tidy/%)

$(BUILD)/tidy/%: %.c .clang-tidy $(wildcard */*.h */*/*.h */*/*/*.h) | $(BUILD)/deps-analyze
	@mkdir -p $(@D)
	$(if $(V),,@echo "  TIDY  $<")
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) -std=gnu17 2>$@.log || { cat $@.log; exit 1; }
	@mv $@.log $@

# Only one thread uses readdir and getpwnam here. cppcheck does not know the macros of these three headers nor, in
# 2.10, the meaning of _Noreturn.
analyze-cppcheck: | $(BUILD)/deps-analyze
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --library=posix,bsd,openssl -j 2 \
		--enable=warning,performance,portability --suppress=readdirCalled --suppress=getpwnamCalled \
		$(addprefix --include=/usr/include/,jansson.h bsd/sys/queue.h bsd/sys/tree.h) '-D_Noreturn=__attribute__((noreturn))' \
		$(CPPFLAGS) common keeper shim units $(addprefix tests/,bench faults fuzz lond system torture)

MANUALS := $(wildcard $(foreach section,1 5 7 8,$(addsuffix /*.$(section),common keeper shim units)))

settings-tables: $(BUILD)/lonc-keeper ## bring the tables of settings in README.md and keeper.conf(5) up to date
	$(BUILD)/lonc-keeper --settings | common/settings-tables README.md keeper/keeper.conf.5

# The templates from which `lonc-hosts sync` makes a host's units. systemd reads all other units as they are.
HOST_UNITS  := units/lonc-host.socket units/lonc-host@.service units/lonc-shared.socket
UNITS       := $(filter-out $(HOST_UNITS),$(wildcard $(addprefix units/*.,target socket service timer path)))
# The hosts' sockets. For other sockets, systemd's limits stop only what would be a loop.
SOCKETS     := lonc-host-.socket lonc-shared@.socket
INSTALLED    = $(addprefix $(SBINDIR)/,$(notdir $(PROGRAMS))) $(addprefix $(LIBDIR)/,lonc $(notdir $(HOST_UNITS))) \
	$(foreach manual,$(MANUALS),$(MANDIR)/man$(subst .,,$(suffix $(manual)))/$(notdir $(manual))) \
	$(addprefix $(UNITDIR)/,$(notdir $(UNITS))) \
	$(SHAREDIR)/lonc-grafana.json \
	$(SYSUSERSDIR)/lonc-keeper.conf $(TMPFILESDIR)/lonc-keeper.conf $(CATALOGDIR)/lonc-keeper.catalog \
	$(COMPLETIONDIR)/loncctl \
	$(foreach socket,$(SOCKETS),$(UNITDIR)/$(socket).d/10-poll-limit.conf)

install: all ## install under DESTDIR and PREFIX; without DESTDIR, also tell systemd
	install -D -m 755 -t $(DESTDIR)$(SBINDIR) $(PROGRAMS)
	for manual in $(MANUALS); do install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${manual##*.} $$manual || exit; done
	install -D -m 755 -t $(DESTDIR)$(LIBDIR) units/lonc
	install -D -m 644 -t $(DESTDIR)$(LIBDIR) $(HOST_UNITS)
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) $(UNITS)
	sed -i 's|/usr/sbin/|$(SBINDIR)/|g' $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(filter %.service,$(UNITS)))) \
		$(DESTDIR)$(LIBDIR)/lonc-host@.service
	install -D -m 644 -t $(DESTDIR)$(SHAREDIR) units/lonc-grafana.json
	install -D -m 644 units/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/lonc-keeper.conf
	install -D -m 644 units/tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/lonc-keeper.conf
	install -D -m 644 units/lonc.catalog $(DESTDIR)$(CATALOGDIR)/lonc-keeper.catalog
	install -D -m 644 units/loncctl.bash-completion $(DESTDIR)$(COMPLETIONDIR)/loncctl
	if [ $(SYSTEMD_VERSION) -ge 255 ]; then for socket in $(SOCKETS); do \
		install -D -m 644 units/lonc-poll-limit.conf $(DESTDIR)$(UNITDIR)/$$socket.d/10-poll-limit.conf; \
	done; fi
	$(if $(DESTDIR),,units/installed)

uninstall: ## stop it and remove what install installed; keeps settings
	$(if $(DESTDIR),,-units/removed)
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(addprefix $(DESTDIR),$(LIBDIR) $(SHAREDIR) $(sort $(dir $(filter $(UNITDIR)/%.d/%,$(INSTALLED))))) 2>/dev/null
	$(if $(DESTDIR),,-systemctl daemon-reload && journalctl --update-catalog)

DEB = $(BUILD)/lonc-keeper_$(VERSION)_$(shell dpkg --print-architecture).deb

deb: $(DEB) ## a Debian package, build/lonc-keeper_VERSION_ARCH.deb

$(DEB): $(PROGRAMS) $(UNITS) $(HOST_UNITS) $(filter-out units/lonc-hosts,$(wildcard units/*)) $(MANUALS) README.md Makefile
	rm -rf $(BUILD)/deb
	$(MAKE) -s install DESTDIR=$(BUILD)/deb PREFIX=/usr
	units/deb $(BUILD)/deb $(VERSION) $@

clean: ## remove what was built
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

.PHONY: all analyze analyze-gcc analyze-tidy analyze-cppcheck deps demo check check-tree check-build measure check-unit check-scenario check-long torture check-system check-system-long bench bench-readme bench-scale bench-system coverage coverage-faults settings-tables install uninstall deb clean sanitized help check-fuzz check-sanitized replay fuzz fuzz-build fuzz-targets
.DELETE_ON_ERROR:
.SECONDARY: $(call object,$(FUZZ:%=tests/fuzz/%.c) tests/fuzz/replay.c)
