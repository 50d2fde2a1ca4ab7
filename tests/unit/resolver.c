/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resolving names, over real sockets: the test plays the DNS server on 127.0.0.1, in the same loop.
 *
 * In one piece because every test needs that server.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/net/resolver.h"

#define MS UINT64_C(1000)

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG (5000 * MS)

/* --- A DNS server ----------------------------------------------------------------------------- */

enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { CODE_NO_ERROR = 0, CODE_FAILURE = 2, CODE_NO_SUCH_NAME = 3 };

/* What the server says about a name. Addresses are separated by blanks. */
struct zone {
    const char *name, *ipv4, *ipv6; /* NULL: it does not answer a question for this family */
    int code;
};

#define QUESTIONS_MAX 64

struct server {
    struct watch watch;
    char address[32]; /* as the setting resolve_servers has it */
    const struct zone *zones;
    size_t zone_count;
    char asked[QUESTIONS_MAX][64]; /* "name A" or "name AAAA", in the order in which they came */
    size_t asked_count;
};

static struct core core;
static struct server server, other_server;
static struct resolver *resolver;

/* The name in dots, and the type; returns where the question ends. */
static size_t read_question(const unsigned char *packet, size_t length, char name[64], int *type)
{
    size_t at = 12;
    name[0] = '\0';
    while (at < length && packet[at] != 0) {
        size_t used = strlen(name);
        snprintf(name + used, 64 - used, "%s%.*s", used > 0 ? "." : "", packet[at],
                 (const char *)packet + at + 1);
        at += 1U + packet[at];
    }
    cr_assert_leq(at + 5, length);
    *type = packet[at + 1] << 8 | packet[at + 2];
    return at + 5;
}

static size_t add_record(unsigned char *at, int type, const char *address)
{
    unsigned char bytes[16];
    unsigned size = type == TYPE_A ? 4 : 16;
    cr_assert_eq(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, bytes), 1);
    /* The name of the question, type, class IN, a TTL of an hour, and the length. */
    const unsigned char head[] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0,
                                  14,   16, 0, (unsigned char)size};
    memcpy(at, head, sizeof(head));
    memcpy(at + sizeof(head), bytes, size);
    return sizeof(head) + size;
}

/* Turns the question into its answer. Returns the length, or 0 for silence. */
static size_t answer_question(unsigned char *packet, size_t end, const struct zone *zone, int type)
{
    const char *addresses = type == TYPE_A ? zone->ipv4 : zone->ipv6;
    char copy[128], *rest = copy;
    unsigned char count = 0;
    if (addresses == NULL)
        return 0;
    snprintf(copy, sizeof(copy), "%s", addresses);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        if (*word != '\0') {
            end += add_record(packet + end, type, word);
            count++;
        }
    packet[2] |= 0x80; /* it is a response, */
    packet[3] = (unsigned char)(0x80 | zone->code);
    memset(packet + 6, 0, 6); /* with so many answers and nothing else */
    packet[7] = count;
    return end;
}

static void on_question(struct watch *watch, uint32_t events)
{
    struct server *here = CONTAINER_OF(watch, struct server, watch);
    unsigned char packet[1024];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    char name[64];
    int type;
    (void)events;
    ssize_t n = recvfrom(watch->fd, packet, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (n < 0)
        return;
    size_t end = read_question(packet, (size_t)n, name, &type);
    cr_assert_lt(here->asked_count, QUESTIONS_MAX);
    snprintf(here->asked[here->asked_count++], sizeof(here->asked[0]), "%.50s %s", name,
             type == TYPE_A ? "A" : "AAAA");
    for (size_t i = 0; i < here->zone_count; i++)
        if (strcasecmp(here->zones[i].name, name) == 0) {
            size_t length = answer_question(packet, end, &here->zones[i], type);
            if (length > 0)
                sendto(watch->fd, packet, length, 0, (const struct sockaddr *)&from, size);
        }
}

static void server_open(struct server *here)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(here->address, sizeof(here->address), "127.0.0.1:%u", ntohs(address.sin_port));
    here->watch = (struct watch){.fd = -1, .ready = on_question};
    cr_assert_eq(loop_watch(&core.loop, &here->watch, fd, EPOLLIN), 0);
}

static void server_close(struct server *here)
{
    int fd = here->watch.fd;
    loop_unwatch(&core.loop, &here->watch);
    close(fd);
}

#define SET_ZONES(here, ...)                                                                       \
    do {                                                                                           \
        static const struct zone set[] = {__VA_ARGS__};                                            \
        (here)->zones = set;                                                                       \
        (here)->zone_count = sizeof(set) / sizeof(*set);                                           \
    } while (0)

static unsigned times_asked(const struct server *here, const char *question)
{
    unsigned count = 0;
    for (size_t i = 0; i < here->asked_count; i++)
        count += strcmp(here->asked[i], question) == 0;
    return count;
}

/* --- Users ------------------------------------------------------------------------------------ */

struct user {
    struct resolver_user resolver_user;
    unsigned answered, waited; /* how many times */
};

static struct user one, other;

static void on_answered(struct resolver_user *resolver_user, bool waited)
{
    struct user *user = CONTAINER_OF(resolver_user, struct user, resolver_user);
    user->answered++;
    user->waited += waited;
}

static void use(struct user *user, const char *name)
{
    user->resolver_user.answered = on_answered;
    cr_assert_eq(resolver_use(resolver, &user->resolver_user, name), 0);
}

/* Turns the loop until `done` of `argument`, or fails the test. */
static void turn_until(bool (*done)(const void *argument), const void *argument)
{
    uint64_t end = monotonic_now() + LONG;
    while (!done(argument)) {
        cr_assert_lt(monotonic_now(), end, "it does not come");
        cr_assert_geq(loop_turn(&core.loop, 10 * MS), 0);
    }
}

static bool waits_for_nothing(const void *argument)
{
    const struct user *user = argument;
    return !user->resolver_user.waiting;
}

static void write_addresses(const struct addresses *addresses, char text[256])
{
    char address[ADDRESS_TEXT_SIZE];
    text[0] = '\0';
    for (unsigned i = 0; i < addresses->count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, 256 - used, "%s%s", used > 0 ? " " : "",
                 address_text(&addresses->at[i], address));
    }
}

static void expect_addresses(const struct user *user, const char *expected)
{
    char found[256];
    write_addresses(resolver_addresses(&user->resolver_user), found);
    cr_expect_str_eq(found, expected, "%s", found);
}

/* What is not known is resolved, and known then. */
static void expect_resolved(struct user *user, const char *expected)
{
    unsigned waited = user->waited;
    cr_assert_null(resolver_ask(&user->resolver_user));
    turn_until(waits_for_nothing, user);
    cr_expect_eq(user->waited, waited + 1);
    expect_addresses(user, expected);
}

/* What is known and fresh needs no query. */
static void expect_known(struct user *user, const char *expected)
{
    char found[256] = "";
    const struct addresses *addresses = resolver_ask(&user->resolver_user);
    cr_assert_not_null(addresses);
    write_addresses(addresses, found);
    cr_expect_str_eq(found, expected, "%s", found);
}

static void let_pass(uint64_t span)
{
    core.loop.now += span;
}

static void begin(void)
{
    log_open("unit-tests", LOG_TARGET_STDERR, LOG_CRIT, LOG_JOURNAL_SOCKET);
    cr_assert_eq(loop_open(&core.loop), 0);
    server_open(&server);
    server_open(&other_server);
    core.settings = (struct settings){
        .resolve_servers = server.address,
        .resolve_timeout = 2000 * MS,
        .resolve_cache = 60000 * MS,
        .resolve_failure_cache = 15000 * MS,
        .resolve_addresses = 8,
        .resolve_queries = 100,
    };
    resolver = resolver_new(&core);
    cr_assert_not_null(resolver);
}

static void end(void)
{
    resolver_leave(&one.resolver_user);
    resolver_leave(&other.resolver_user);
    resolver_free(resolver);
    server_close(&server);
    server_close(&other_server);
    loop_close(&core.loop);
}

TestSuite(resolver, .init = begin, .fini = end, .timeout = 60);

/* --- Answers ---------------------------------------------------------------------------------- */

Test(resolver, a_name_is_resolved_once_for_all_its_users)
{
    SET_ZONES(&server, {"msul1.example.edu", "192.0.2.1 192.0.2.2", "2001:db8::1", 0});
    use(&one, "msul1.example.edu");
    use(&other, "MSUL1.example.edu");
    cr_assert_null(resolver_ask(&other.resolver_user));
    expect_resolved(&one, "192.0.2.1 192.0.2.2 2001:db8::1");
    expect_addresses(&other, "192.0.2.1 192.0.2.2 2001:db8::1");
    cr_expect_eq(other.waited, 1);
    expect_known(&one, "192.0.2.1 192.0.2.2 2001:db8::1");
    cr_expect_eq(times_asked(&server, "msul1.example.edu A"), 1);
    cr_expect_eq(times_asked(&server, "msul1.example.edu AAAA"), 1);
}

Test(resolver, no_more_addresses_are_kept_than_the_setting_allows)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1 192.0.2.2 192.0.2.3", "2001:db8::1", 0});
    core.settings.resolve_addresses = 2;
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1 192.0.2.2");
}

static bool has_answer_twice(const void *argument)
{
    return ((const struct user *)argument)->answered == 2;
}

Test(resolver, nobody_waits_for_IPv6_once_IPv4_is_known)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", NULL, 0});
    core.settings.resolve_timeout = 300 * MS;
    use(&one, "a.edu");
    uint64_t start = monotonic_now();
    expect_resolved(&one, "192.0.2.1");
    cr_expect_lt(monotonic_now() - start, 300 * MS);
    turn_until(has_answer_twice, &one);
    cr_expect_eq(one.waited, 1, "the second was the end of waiting for IPv6");
    expect_addresses(&one, "192.0.2.1");
}

Test(resolver, a_user_that_did_not_ask_hears_of_the_answer_too)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0});
    use(&one, "a.edu");
    use(&other, "a.edu");
    expect_resolved(&one, "192.0.2.1");
    cr_expect_geq(other.answered, 1);
    cr_expect_eq(other.waited, 0);
}

/* --- How long an answer holds ----------------------------------------------------------------- */

Test(resolver, an_answer_expires_and_addresses_may_have_changed)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1 192.0.2.2", "", 0});
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1 192.0.2.2");
    let_pass(59000 * MS);
    expect_known(&one, "192.0.2.1 192.0.2.2");
    let_pass(2000 * MS);
    SET_ZONES(&server, {"a.edu", "192.0.2.2 192.0.2.3", "", 0});
    expect_resolved(&one, "192.0.2.2 192.0.2.3");
}

Test(resolver, the_address_that_works_stays_first)
{
    union address works = {.ipv4 = {.sin_family = AF_INET}};
    SET_ZONES(&server, {"a.edu", "192.0.2.1 192.0.2.2", "", 0});
    cr_assert_eq(inet_pton(AF_INET, "192.0.2.2", &works.ipv4.sin_addr), 1);
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1 192.0.2.2");
    resolver_prefer(&one.resolver_user, &works);
    expect_known(&one, "192.0.2.2 192.0.2.1");
    resolver_retry(&one.resolver_user);
    expect_resolved(&one, "192.0.2.2 192.0.2.1");
}

Test(resolver, a_name_that_does_not_exist_is_not_asked_for_again_at_once)
{
    SET_ZONES(&server, {"gone.edu", "", "", CODE_NO_SUCH_NAME});
    use(&one, "gone.edu");
    expect_resolved(&one, "");
    let_pass(14000 * MS);
    expect_known(&one, "");
    cr_expect_eq(times_asked(&server, "gone.edu A"), 1);
    let_pass(2000 * MS);
    SET_ZONES(&server, {"gone.edu", "192.0.2.1", "", 0});
    expect_resolved(&one, "192.0.2.1");
}

Test(resolver, a_server_in_trouble_costs_no_address_that_is_known)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "2001:db8::1", 0});
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1 2001:db8::1");
    resolver_retry(&one.resolver_user);
    SET_ZONES(&server, {"a.edu", "", "", CODE_FAILURE});
    expect_resolved(&one, "192.0.2.1 2001:db8::1");
    expect_known(&one, "192.0.2.1 2001:db8::1");
}

Test(resolver, without_an_answer_the_wait_ends_with_resolve_timeout)
{
    SET_ZONES(&server, {"silent.edu", NULL, NULL, 0});
    core.settings.resolve_timeout = 200 * MS;
    use(&one, "silent.edu");
    uint64_t start = monotonic_now();
    expect_resolved(&one, "");
    cr_expect_geq(monotonic_now() - start, 190 * MS);
    cr_expect_geq(times_asked(&server, "silent.edu A"), 2,
                  "it is asked again, as UDP loses packets");
    expect_known(&one, "");
}

/* --- Many names ------------------------------------------------------------------------------- */

Test(resolver, names_wait_while_as_many_queries_are_in_progress_as_the_setting_allows)
{
    SET_ZONES(&server, {"first.edu", NULL, NULL, 0}, {"second.edu", "192.0.2.2", "", 0});
    core.settings.resolve_queries = 2;
    core.settings.resolve_timeout = 300 * MS;
    use(&one, "first.edu");
    use(&other, "second.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    cr_assert_null(resolver_ask(&other.resolver_user));
    for (int i = 0; i < 5; i++)
        cr_assert_geq(loop_turn(&core.loop, 10 * MS), 0);
    cr_expect_gt(times_asked(&server, "first.edu A"), 0);
    cr_expect_eq(times_asked(&server, "second.edu A"), 0, "it waits");
    turn_until(waits_for_nothing, &other);
    turn_until(waits_for_nothing, &one);
    expect_addresses(&one, "");
}

Test(resolver, a_name_in_the_queue_is_asked_when_another_is_answered)
{
    SET_ZONES(&server, {"first.edu", "192.0.2.1", "", 0}, {"second.edu", "192.0.2.2", "", 0});
    core.settings.resolve_queries = 2;
    use(&one, "first.edu");
    use(&other, "second.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    cr_assert_null(resolver_ask(&other.resolver_user));
    turn_until(waits_for_nothing, &other);
    expect_addresses(&one, "192.0.2.1");
    expect_addresses(&other, "192.0.2.2");
}

Test(resolver, queries_that_nobody_wants_any_more_make_room_when_they_end)
{
    SET_ZONES(&server, {"first.edu", "192.0.2.1", "", 0}, {"second.edu", "192.0.2.2", "", 0});
    core.settings.resolve_queries = 2;
    use(&one, "first.edu");
    use(&other, "second.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    resolver_leave(&one.resolver_user);
    expect_resolved(&other, "192.0.2.2");
}

/* --- Coming and going ------------------------------------------------------------------------- */

static bool was_asked(const void *argument)
{
    return ((const struct server *)argument)->asked_count > 0;
}

Test(resolver, an_answer_that_comes_after_its_users_have_left_finds_nobody)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0}, {"b.edu", "192.0.2.2", "", 0});
    use(&one, "a.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    resolver_leave(&one.resolver_user);
    turn_until(was_asked, &server);
    use(&one, "b.edu");
    expect_resolved(&one, "192.0.2.2");
    cr_expect_eq(one.answered, one.waited, "the answer for the old name is not told");
}

Test(resolver, a_user_can_change_to_another_name)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0}, {"b.edu", "192.0.2.2", "", 0});
    use(&one, "a.edu");
    use(&other, "a.edu");
    expect_resolved(&one, "192.0.2.1");
    use(&one, "b.edu");
    expect_resolved(&one, "192.0.2.2");
    expect_known(&other, "192.0.2.1");
}

Test(resolver, an_expected_name_stays_until_it_is_settled)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0});
    cr_assert_eq(resolver_expect(resolver, "a.edu"), 0);
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1");
    resolver_leave(&one.resolver_user);
    use(&one, "a.edu");
    expect_known(&one, "192.0.2.1");
    resolver_settle(resolver);
    expect_known(&one, "192.0.2.1");
    resolver_leave(&one.resolver_user);
    use(&one, "a.edu");
    cr_expect_null(resolver_ask(&one.resolver_user), "it was forgotten with its last user");
}

Test(resolver, the_sockets_of_its_queries_are_on_the_account_of_descriptors)
{
    SET_ZONES(&server, {"silent.edu", NULL, NULL, 0});
    use(&one, "silent.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    cr_expect_gt(core.descriptors, 0);
    resolver_leave(&one.resolver_user);
    resolver_free(resolver);
    resolver = NULL;
    cr_expect_eq(core.descriptors, 0);
}

/* --- A reload --------------------------------------------------------------------------------- */

Test(resolver, a_query_in_progress_is_repeated_at_the_servers_of_a_reload)
{
    SET_ZONES(&server, {"a.edu", NULL, NULL, 0});
    SET_ZONES(&other_server, {"a.edu", "192.0.2.9", "", 0});
    use(&one, "a.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    turn_until(was_asked, &server);
    core.settings.resolve_servers = other_server.address;
    resolver_reload(resolver);
    turn_until(waits_for_nothing, &one);
    expect_addresses(&one, "192.0.2.9");
}

Test(resolver, after_a_reload_what_is_known_is_asked_again)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0});
    SET_ZONES(&other_server, {"a.edu", "192.0.2.9", "", 0});
    use(&one, "a.edu");
    expect_resolved(&one, "192.0.2.1");
    core.settings.resolve_servers = other_server.address;
    resolver_reload(resolver);
    expect_addresses(&one, "192.0.2.1");
    expect_resolved(&one, "192.0.2.9");
}

Test(resolver, servers_that_c_ares_refuses_are_a_failure_and_not_the_end)
{
    SET_ZONES(&server, {"a.edu", "192.0.2.1", "", 0});
    core.settings.resolve_servers = (char *)(uintptr_t) "nonsense";
    use(&one, "a.edu");
    expect_resolved(&one, "");
    core.settings.resolve_servers = server.address;
    resolver_reload(resolver);
    expect_resolved(&one, "192.0.2.1");
}

Test(resolver, queries_in_progress_fail_when_a_reload_brings_servers_that_c_ares_refuses)
{
    SET_ZONES(&server, {"a.edu", NULL, NULL, 0});
    use(&one, "a.edu");
    cr_assert_null(resolver_ask(&one.resolver_user));
    turn_until(was_asked, &server);
    uint64_t start = monotonic_now();
    core.settings.resolve_servers = (char *)(uintptr_t) "nonsense";
    resolver_reload(resolver);
    turn_until(waits_for_nothing, &one);
    cr_expect_lt(monotonic_now() - start, core.settings.resolve_timeout / 2, "at once");
    expect_addresses(&one, "");
}
