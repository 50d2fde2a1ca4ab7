/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's end of the private channel, with the real channel and real clients: when a message
 * is acknowledged, and to whom its clients belong if it is not. Each test is the shim.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/monotonic.h"
#include "common/unix.h"
#include "keeper/client/intake.h"
#include "tests/unit/serving.h"

static struct intake *intake;

static void begin(void)
{
    serving_begin();
    int listener = unix_listen("keeper.sock", SOCK_SEQPACKET);
    cr_assert_geq(listener, 0);
    cr_assert_eq(chmod("keeper.sock", 0666), 0);
    intake = intake_new(&serving.hosts, serving.clients, listener);
    cr_assert_not_null(intake);
}

static void end(void)
{
    intake_free(intake);
    serving_end();
}

TestSuite(intake, .init = begin, .fini = end, .timeout = 60);

static int connect_shim(void)
{
    int channel = channel_connect("keeper.sock");
    cr_assert_geq(channel, 0);
    return channel;
}

/* Clients in the hands of a shim. */
struct held {
    unsigned count;
    int near[CHANNEL_BATCH]; /* the clients' ends */
    int fds[CHANNEL_BATCH];  /* what a shim has accepted */
};

/* So many clients, each of which has written a request. */
static struct held hold(unsigned count)
{
    struct held held = {.count = count};
    for (unsigned i = 0; i < count; i++) {
        held.near[i] = serving_connect(&held.fds[i]);
        serving_write(held.near[i], "reset_retries\n");
    }
    return held;
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Turns until an acknowledgement has come (1), the channel has ended (0) or failed. */
static int await_acknowledgement(int channel)
{
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    int r;
    while ((r = channel_read_acknowledgement(channel)) == -EAGAIN) {
        cr_assert_lt(monotonic_now(), give_up, "no acknowledgement and no end");
        cr_assert_geq(loop_turn(&serving.core.loop, 10000), 0);
    }
    return r;
}

static void hand_over(int channel, const struct held *held)
{
    cr_assert_eq(channel_send(channel, held->fds, held->count), 0);
}

/* What the clients have written is still there for the shim to read, all of it. */
static void expect_unread(const struct held *held)
{
    char bytes[64];
    for (unsigned i = 0; i < held->count; i++) {
        ssize_t n = recv(held->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
        cr_assert_eq(n, (ssize_t)strlen("reset_retries\n"), "client %u: %zd", i, n);
        cr_assert_eq(recv(held->near[i], bytes, 1, MSG_DONTWAIT), -1, "client %u has an answer", i);
    }
}

static void expect_served(const struct held *held)
{
    close_all(held->fds, held->count);
    for (unsigned i = 0; i < held->count; i++)
        serving_expect(held->near[i], "ok\n");
    close_all(held->near, held->count);
    serving_turn_until_clients(0);
}

/* --- Messages --------------------------------------------------------------------------------- */

Test(intake, a_message_of_clients_is_acknowledged_and_each_is_served)
{
    int shim = connect_shim();
    for (unsigned count = 1; count <= CHANNEL_BATCH; count += 5) {
        struct held held = hold(count);
        hand_over(shim, &held);
        cr_assert_eq(await_acknowledgement(shim), 1);
        expect_served(&held);
    }
    close(shim);
}

Test(intake, a_client_is_acknowledged_before_its_first_byte_is_read)
{
    struct held held = hold(3);
    int shim = connect_shim();
    hand_over(shim, &held);
    shutdown(shim, SHUT_RD); /* it has given up: no acknowledgement reaches it any more */
    serving_settle();
    expect_unread(&held);
    cr_assert_eq(clients_count(serving.clients), 0);
    cr_assert_eq(serving.core.descriptors, 0, "and the channel is closed");
    close_all(held.near, held.count);
    close_all(held.fds, held.count);
    close(shim);
}

/* A real lack of memory: whatever malloc can still find is taken. */
struct block {
    struct block *next;
};

static struct block *take_memory(void)
{
    struct rlimit limit;
    struct block *blocks = NULL, *block;
    cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = 1; /* nothing more of the kernel */
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    for (size_t size = 1 << 20; size >= 64; size = size > 1024 ? size / 2 : size - 16)
        while ((block = malloc(size)) != NULL) {
            block->next = blocks;
            blocks = block;
        }
    return blocks;
}

static void give_memory_back(struct block *blocks)
{
    struct rlimit limit;
    for (struct block *next; blocks != NULL; blocks = next) {
        next = blocks->next;
        free(blocks);
    }
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

Test(intake, clients_without_memory_stay_with_the_shim)
{
    if (getenv("LONC_SANITIZED") != NULL)
        cr_skip_test("a sanitizer ends the program where there is no memory");
    struct held held = hold(CHANNEL_BATCH);
    int shim = connect_shim();
    serving_settle();
    hand_over(shim, &held);
    struct block *blocks = take_memory();
    loop_turn(&serving.core.loop, SERVING_LONG);
    int r = channel_read_acknowledgement(shim);
    give_memory_back(blocks);
    cr_assert_eq(r, 0, "the channel is closed, and nothing was acknowledged: %d", r);
    expect_unread(&held);
    close(shim);

    shim = connect_shim();
    hand_over(shim, &held);
    cr_assert_eq(await_acknowledgement(shim), 1, "the shim hands them over again");
    expect_served(&held);
    close(shim);
}

Test(intake, a_malformed_message_ends_its_channel_alone)
{
    struct held held = hold(1);
    int good = connect_shim(), bad = connect_shim();
    serving_settle();
    cr_assert_eq(send(bad, "nonsense", 8, 0), 8);
    cr_assert_eq(await_acknowledgement(bad), 0);
    hand_over(good, &held);
    cr_assert_eq(await_acknowledgement(good), 1);
    expect_served(&held);
    close(good);
    close(bad);
}

/* --- Shims ------------------------------------------------------------------------------------ */

Test(intake, another_user_is_refused_and_no_client_is_taken_from_it)
{
    if (geteuid() != 0)
        cr_skip_test("only root can be somebody else");
    struct held held = hold(1);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        if (setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0)
            _exit(2);
        int channel = channel_connect("keeper.sock");
        if (channel < 0)
            _exit(3);
        /* Whether it is refused before or after it sends does not matter. */
        int r = channel_send(channel, held.fds, 1);
        while (r == 0 && (r = channel_await_acknowledgement(channel)) == -EAGAIN)
            r = 0;
        _exit(r == 1 ? 1 : 0);
    }
    int status;
    uint64_t give_up = monotonic_now() + SERVING_LONG;
    while (waitpid(child, &status, WNOHANG) == 0) {
        cr_assert_lt(monotonic_now(), give_up);
        cr_assert_geq(loop_turn(&serving.core.loop, 10000), 0);
    }
    cr_assert_eq(status, 0, "its channel ends without an acknowledgement: %#x", status);
    expect_unread(&held);
    cr_assert_eq(clients_count(serving.clients), 0);

    int shim = connect_shim();
    hand_over(shim, &held);
    cr_assert_eq(await_acknowledgement(shim), 1, "the keeper's own user is heard all the same");
    expect_served(&held);
    close(shim);
}

Test(intake, a_quiet_shim_makes_room_for_another_one)
{
    struct held held = hold(1);
    serving.core.settings.channel_connections = 2;
    int busy = connect_shim();
    serving_settle();
    int quiet = connect_shim();
    serving_settle();
    hand_over(busy, &held);
    cr_assert_eq(await_acknowledgement(busy), 1);
    expect_served(&held);
    int third = connect_shim(); /* has its place when the quiet one has been so for a second */
    held = hold(1);
    hand_over(third, &held);
    cr_assert_eq(await_acknowledgement(third), 1);
    expect_served(&held);
    cr_assert_eq(await_acknowledgement(quiet), 0, "it was the quiet one's");
    cr_assert_eq(channel_read_acknowledgement(busy), -EAGAIN, "and not the busy one's");
    close(quiet);
    close(busy);
    close(third);
}

/* --- A shortage, and a stop ------------------------------------------------------------------- */

Test(intake, no_message_is_received_while_there_are_no_descriptors_for_it)
{
    struct held first = hold(CHANNEL_BATCH), second = hold(CHANNEL_BATCH);
    int shim = connect_shim();
    serving_settle();
    serving.core.settings.descriptor_reserve = 0;
    serving.core.descriptors_max = serving.core.descriptors + CHANNEL_BATCH + 15;
    hand_over(shim, &first);
    cr_assert_eq(await_acknowledgement(shim), 1);
    hand_over(shim, &second);
    serving_settle();
    cr_assert_eq(channel_read_acknowledgement(shim), -EAGAIN);
    expect_unread(&second);
    cr_assert(core_descriptors_are_short(&serving.core));

    close_all(first.fds, first.count);
    close_all(first.near, first.count);
    cr_assert_eq(await_acknowledgement(shim), 1, "received as soon as clients have gone");
    cr_assert_not(core_descriptors_are_short(&serving.core));
    expect_served(&second);
    close(shim);
}

Test(intake, a_stop_does_not_take_acknowledgements_back)
{
    struct held first = hold(1), others[3] = {hold(1), hold(1), hold(1)};
    int shim = connect_shim();
    serving_settle();
    hand_over(shim, &first);
    serving_settle();
    for (int i = 0; i < 3; i++)
        hand_over(shim, &others[i]);
    intake_stop(intake);
    cr_assert_eq(channel_read_acknowledgement(shim), 1, "of the first");
    cr_assert_eq(channel_read_acknowledgement(shim), 0, "of no other, and no error before");
    for (int i = 0; i < 3; i++) {
        expect_unread(&others[i]);
        close_all(others[i].near, 1);
        close_all(others[i].fds, 1);
    }
    expect_served(&first);
    close(shim);
}

Test(intake, a_stop_leaves_unacknowledged_clients_to_the_shim)
{
    struct held held = hold(2);
    int shim = connect_shim();
    serving_settle();
    hand_over(shim, &held);
    intake_stop(intake);
    cr_assert_eq(channel_read_acknowledgement(shim), 0, "the channel has ended");
    expect_unread(&held);
    close_all(held.near, held.count);
    close_all(held.fds, held.count);
    close(shim);
}
