/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private channel over real sockets: every descriptor is accounted for, whatever the other side
 * sends, and each side learns what it must know of the other.
 *
 * In one piece because every test needs both ends of a channel and the count of descriptors.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/unix.h"
#include "tests/unit/heard.h"

/* The most descriptors that the kernel lets into one message (SCM_MAX_FD). */
#define KERNEL_BATCH 253

/* The two ends of a channel. */
static int shim, keeper;

static void begin(void)
{
    int ends[2];
    heard_begin();
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    shim = ends[0];
    keeper = ends[1];
}

TestSuite(channel, .init = begin, .fini = heard_end, .timeout = 20);

/* --- Helpers ---------------------------------------------------------------------------------- */

static int count_open(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* Files that can be told from one another by their inode; the same ones each time. */
static const int *files(void)
{
    static int fds[KERNEL_BATCH];
    for (int i = 0; fds[KERNEL_BATCH - 1] == 0 && i < KERNEL_BATCH; i++) {
        fds[i] = memfd_create("client", 0);
        cr_assert_gt(fds[i], 0);
    }
    return fds;
}

static ino_t inode(int fd)
{
    struct stat status;
    cr_assert_eq(fstat(fd, &status), 0, "descriptor %d is closed", fd);
    return status.st_ino;
}

static void expect_received(const int *received, const int *sent, int count)
{
    for (int i = 0; i < count; i++) {
        cr_assert_neq(received[i], sent[i]);
        cr_assert_eq(inode(received[i]), inode(sent[i]), "descriptor %d of %d is another", i,
                     count);
        cr_assert(fcntl(received[i], F_GETFD) & FD_CLOEXEC);
        close(received[i]);
    }
}

/* A hand-over with `count` descriptors arrives as it should. */
static void expect_handover(unsigned count)
{
    int fds[CHANNEL_BATCH];
    cr_assert_eq(channel_send(shim, files(), count), 0);
    cr_assert_eq(channel_receive(keeper, fds), (int)count);
    expect_received(fds, files(), (int)count);
}

/* A message as it goes over the channel, written down once more. */
struct wire {
    char magic[4];
    uint8_t version, kind;
    uint16_t count;
};

static struct wire handover_of(unsigned count)
{
    return (struct wire){{'l', 'o', 'n', 'c'}, 1, 'H', (uint16_t)count};
}

/* Any bytes with any descriptors, as a stranger may send them. */
static void send_raw(int fd, const void *bytes, size_t length, unsigned count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(KERNEL_BATCH * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    memset(&control, 0, sizeof(control));
    if (count > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), files(), count * sizeof(int));
    }
    cr_assert_eq(sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL), (ssize_t)length, "%s",
                 strerror(errno));
}

/* The message is refused, nothing it brought stays open, and the next one is taken. */
static void expect_refused(const char *what, const void *bytes, size_t length, unsigned count)
{
    int fds[CHANNEL_BATCH];
    files();
    int before = count_open();
    send_raw(shim, bytes, length, count);
    int r = channel_receive(keeper, fds);
    cr_assert_eq(r, -EBADMSG, "%s: %d", what, r);
    cr_assert_eq(count_open(), before, "%s: %d descriptors stay open", what, count_open() - before);
    expect_handover(1);
}

/* --- Hand-overs ------------------------------------------------------------------------------- */

Test(channel, one_to_sixteen_descriptors_arrive_in_order_and_close_on_exec)
{
    files();
    int before = count_open();
    for (unsigned count = 1; count <= CHANNEL_BATCH; count++)
        expect_handover(count);
    cr_assert_eq(count_open(), before);
}

Test(channel, what_goes_over_it_is_the_message_of_this_release)
{
    struct wire wire, expected = handover_of(3);
    cr_assert_eq(channel_send(shim, files(), 3), 0);
    cr_assert_eq(recv(keeper, &wire, sizeof(wire), 0), sizeof(wire));
    cr_assert_arr_eq(&wire, &expected, sizeof(wire));

    expected.kind = 'T';
    expected.count = 0;
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(recv(shim, &wire, sizeof(wire), 0), sizeof(wire));
    cr_assert_arr_eq(&wire, &expected, sizeof(wire));
}

Test(channel, the_senders_copies_stay_open)
{
    int fds[CHANNEL_BATCH], before;
    files();
    before = count_open();
    cr_assert_eq(channel_send(shim, files(), CHANNEL_BATCH), 0);
    cr_assert_eq(count_open(), before);
    for (int i = 0; i < CHANNEL_BATCH; i++)
        inode(files()[i]);
    cr_assert_eq(channel_receive(keeper, fds), CHANNEL_BATCH);
    expect_received(fds, files(), CHANNEL_BATCH);
}

Test(channel, messages_stay_apart_and_in_order)
{
    int fds[CHANNEL_BATCH];
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(channel_send(shim, files() + 16 * i, i + 1), 0);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(channel_receive(keeper, fds), i + 1);
        expect_received(fds, files() + (ptrdiff_t)16 * i, i + 1);
    }
}

Test(channel, nothing_there_is_told_without_waiting)
{
    int fds[CHANNEL_BATCH];
    cr_assert_eq(channel_receive(keeper, fds), -EAGAIN);
    cr_assert_eq(channel_read_acknowledgement(shim), -EAGAIN);
}

Test(channel, a_keeper_that_is_behind_makes_nobody_wait)
{
    int fds[CHANNEL_BATCH], sent = 0, r;
    while ((r = channel_send(shim, files(), 1)) == 0)
        cr_assert_lt(++sent, 100000);
    cr_assert_eq(r, -EAGAIN, "%s", strerror(-r));
    for (int i = 0; i < sent; i++) {
        cr_assert_eq(channel_receive(keeper, fds), 1);
        close(fds[0]);
    }
    cr_assert_eq(channel_receive(keeper, fds), -EAGAIN);
    expect_handover(16);
}

/* --- The end ---------------------------------------------------------------------------------- */

Test(channel, what_was_sent_before_the_end_is_received_before_it)
{
    int fds[CHANNEL_BATCH];
    cr_assert_eq(channel_send(shim, files(), 2), 0);
    close(shim);
    cr_assert_eq(channel_receive(keeper, fds), 2);
    expect_received(fds, files(), 2);
    cr_assert_eq(channel_receive(keeper, fds), 0);
    cr_assert_eq(channel_receive(keeper, fds), 0);
}

/* How a keeper closes: it ends the sending first, and then takes what is there. */
Test(channel, after_the_keeper_shut_down_reading_what_is_there_is_taken_and_no_more_can_be_sent)
{
    int fds[CHANNEL_BATCH];
    cr_assert_eq(channel_send(shim, files(), 2), 0);
    cr_assert_eq(channel_send(shim, files() + 2, 3), 0);
    cr_assert_eq(shutdown(keeper, SHUT_RD), 0);
    cr_assert_eq(channel_send(shim, files(), 1), -EPIPE);
    cr_assert_eq(channel_receive(keeper, fds), 2);
    expect_received(fds, files(), 2);
    cr_assert_eq(channel_receive(keeper, fds), 3);
    expect_received(fds, files() + 2, 3);
    cr_assert_eq(channel_receive(keeper, fds), 0);
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(channel_read_acknowledgement(shim), 1);
}

Test(channel, a_keeper_that_went_away_is_an_error_and_no_signal)
{
    close(keeper);
    cr_assert_eq(channel_send(shim, files(), 1), -EPIPE);
    cr_assert_eq(channel_read_acknowledgement(shim), 0);
}

/* --- Acknowledgements ------------------------------------------------------------------------- */

Test(channel, each_acknowledgement_is_read_once)
{
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(channel_read_acknowledgement(shim), 1);
    cr_assert_eq(channel_read_acknowledgement(shim), 1);
    cr_assert_eq(channel_read_acknowledgement(shim), -EAGAIN);
}

Test(channel, an_acknowledgement_given_before_the_end_is_read_before_it)
{
    cr_assert_eq(channel_acknowledge(keeper), 0);
    close(keeper);
    cr_assert_eq(channel_read_acknowledgement(shim), 1);
    cr_assert_eq(channel_read_acknowledgement(shim), 0);
}

Test(channel, a_shim_that_gave_up_cannot_be_acknowledged)
{
    cr_assert_eq(shutdown(shim, SHUT_RD), 0);
    cr_assert_eq(channel_acknowledge(keeper), -EPIPE);
    close(shim);
    cr_assert_eq(channel_acknowledge(keeper), -EPIPE);
}

/* Else client and keeper would both answer: this is the last look of a shim that gives up. */
Test(channel, a_shim_that_gave_up_still_sees_an_acknowledgement_given_before)
{
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(shutdown(shim, SHUT_RD), 0);
    cr_assert_eq(channel_read_acknowledgement(shim), 1);
    cr_assert_eq(channel_read_acknowledgement(shim), 0);
}

Test(channel, what_is_no_acknowledgement_is_not_taken_for_one)
{
    struct wire good = {{'l', 'o', 'n', 'c'}, 1, 'T', 0}, bad = good;
    char longer[sizeof(good) + 1] = {0};
    memcpy(longer, &good, sizeof(good));

    send_raw(keeper, &good, sizeof(good) - 1, 0);
    send_raw(keeper, longer, sizeof(longer) - 1, 0);
    send_raw(keeper, "con_lost", 8, 0);
    bad.magic[3] = 'd';
    send_raw(keeper, &bad, sizeof(bad), 0);
    bad = good;
    bad.version = 2;
    send_raw(keeper, &bad, sizeof(bad), 0);
    bad = handover_of(1);
    send_raw(keeper, &bad, sizeof(bad), 0);

    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG, "short");
    cr_assert_eq(channel_read_acknowledgement(shim), 1, "the right one");
    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG, "other text");
    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG, "magic");
    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG, "version");
    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG, "kind");
}

/* recv() cuts what does not fit, so that only its true length tells. */
Test(channel, an_acknowledgement_with_something_behind_it_is_none)
{
    struct {
        struct wire wire;
        char more[8];
    } longer = {.wire = {{'l', 'o', 'n', 'c'}, 1, 'T', 0}};
    send_raw(keeper, &longer, sizeof(longer), 0);
    cr_assert_eq(channel_read_acknowledgement(shim), -EBADMSG);
}

/* --- Malformed messages ----------------------------------------------------------------------- */

Test(channel, a_message_that_says_something_else_is_refused_and_its_descriptors_closed)
{
    struct wire wire;
    wire = handover_of(3);
    wire.magic[0] = 'L';
    expect_refused("magic", &wire, sizeof(wire), 3);
    wire = handover_of(3);
    wire.magic[3] = '\0';
    expect_refused("magic", &wire, sizeof(wire), 3);
    wire = handover_of(3);
    wire.version = 2;
    expect_refused("version", &wire, sizeof(wire), 3);
    wire.version = 0;
    expect_refused("version", &wire, sizeof(wire), 3);
    wire = handover_of(3);
    wire.kind = 'T';
    expect_refused("kind", &wire, sizeof(wire), 3);
    wire.kind = 0;
    expect_refused("kind", &wire, sizeof(wire), 3);
}

Test(channel, a_message_that_miscounts_its_descriptors_is_refused_and_they_are_closed)
{
    static const struct {
        unsigned said, sent;
    } cases[] = {{0, 1}, {0, 16}, {1, 2}, {2, 1}, {15, 16}, {16, 15}, {259, 3}, {65535, 16}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire wire = handover_of(cases[i].said);
        char what[64];
        snprintf(what, sizeof(what), "%u said, %u sent", cases[i].said, cases[i].sent);
        expect_refused(what, &wire, sizeof(wire), cases[i].sent);
    }
}

Test(channel, a_message_of_another_length_is_refused_and_its_descriptors_closed)
{
    static char bytes[5000];
    struct wire wire = handover_of(3);
    memcpy(bytes, &wire, sizeof(wire));
    for (size_t length = 0; length < sizeof(wire); length++)
        expect_refused("short", bytes, length, 3);
    expect_refused("one more", bytes, sizeof(wire) + 1, 3);
    expect_refused("long", bytes, sizeof(bytes), 3);
}

Test(channel, a_message_without_descriptors_is_refused)
{
    struct wire wire = handover_of(0);
    expect_refused("none", &wire, sizeof(wire), 0);
    wire.count = 1;
    expect_refused("none of one", &wire, sizeof(wire), 0);
    expect_refused("text", "ping\n", 5, 0);
}

Test(channel, more_than_sixteen_descriptors_are_refused_and_all_closed)
{
    for (unsigned count = CHANNEL_BATCH + 1; count <= KERNEL_BATCH; count++) {
        struct wire wire = handover_of(count);
        expect_refused("too many", &wire, sizeof(wire), count);
    }
}

/* It is the sender that is wrong, not this process that is too full. */
Test(channel, more_than_sixteen_descriptors_that_are_said_to_be_fewer_are_a_malformed_message)
{
    struct wire wire = handover_of(CHANNEL_BATCH);
    expect_refused("17 said to be 16", &wire, sizeof(wire), CHANNEL_BATCH + 1);
    wire.count = 1;
    expect_refused("253 said to be 1", &wire, sizeof(wire), KERNEL_BATCH);
}

/* --- A process that may have no more ---------------------------------------------------------- */

/* Lowers the limit so that exactly `count` more can be opened; returns the old one. */
static struct rlimit leave_room_for(int count)
{
    struct rlimit old, low;
    int fd = 0, room = 0;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (; room < count || fcntl(fd, F_GETFD) >= 0; fd++)
        room += fcntl(fd, F_GETFD) < 0;
    low = old;
    low.rlim_cur = (rlim_t)fd;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    return old;
}

Test(channel, what_the_kernel_dropped_for_want_of_descriptors_is_told_and_the_rest_closed)
{
    int fds[CHANNEL_BATCH];
    files();
    int before = count_open();
    for (int room = 0; room < CHANNEL_BATCH; room++) {
        cr_assert_eq(channel_send(shim, files(), CHANNEL_BATCH), 0);
        struct rlimit old = leave_room_for(room);
        int r = channel_receive(keeper, fds);
        setrlimit(RLIMIT_NOFILE, &old);
        cr_assert_eq(r, -EMFILE, "room for %d: %d", room, r);
        cr_assert_eq(count_open(), before, "room for %d: %d stay open", room,
                     count_open() - before);
        expect_handover(CHANNEL_BATCH);
    }
}

Test(channel, room_for_exactly_one_batch_is_room_enough)
{
    int fds[CHANNEL_BATCH];
    cr_assert_eq(channel_send(shim, files(), CHANNEL_BATCH), 0);
    struct rlimit old = leave_room_for(CHANNEL_BATCH);
    cr_assert_eq(channel_receive(keeper, fds), CHANNEL_BATCH);
    setrlimit(RLIMIT_NOFILE, &old);
    expect_received(fds, files(), CHANNEL_BATCH);
}

Test(channel, a_stranger_is_a_stranger_even_when_this_process_is_full)
{
    int fds[CHANNEL_BATCH];
    struct wire wire = handover_of(KERNEL_BATCH), other = handover_of(CHANNEL_BATCH);
    other.magic[0] = 'L';
    send_raw(shim, &other, sizeof(other), CHANNEL_BATCH);
    send_raw(shim, &wire, sizeof(wire), KERNEL_BATCH);
    struct rlimit old = leave_room_for(0);
    cr_assert_eq(channel_receive(keeper, fds), -EBADMSG);
    cr_assert_eq(channel_receive(keeper, fds), -EBADMSG);
    setrlimit(RLIMIT_NOFILE, &old);
}

/* --- Connecting ------------------------------------------------------------------------------- */

Test(channel, a_shim_connects_to_a_listening_keeper)
{
    int listener = unix_listen("keeper.sock", SOCK_SEQPACKET);
    close(shim);
    close(keeper);
    shim = channel_connect("keeper.sock");
    cr_assert_geq(shim, 0);
    cr_assert(fcntl(shim, F_GETFD) & FD_CLOEXEC);
    keeper = accept(listener, NULL, NULL);
    cr_assert_eq(channel_await_acknowledgement(shim), -EAGAIN, "waiting has an end");
    expect_handover(16);
    cr_assert_eq(channel_acknowledge(keeper), 0);
    cr_assert_eq(channel_await_acknowledgement(shim), 1);
    cr_assert_eq(channel_read_acknowledgement(shim), -EAGAIN);
}

Test(channel, a_shim_that_finds_no_keeper_is_told_why_and_keeps_no_descriptor)
{
    char path[200] = {0};
    int before = count_open();
    cr_assert_eq(channel_connect("nobody.sock"), -ENOENT);
    close(unix_listen("dead.sock", SOCK_SEQPACKET));
    cr_assert_eq(channel_connect("dead.sock"), -ECONNREFUSED);
    memset(path, 'x', sizeof(path) - 1);
    cr_assert_eq(channel_connect(path), -ENAMETOOLONG);
    cr_assert_eq(count_open(), before);

    cr_assert_geq(unix_listen("stream.sock", SOCK_STREAM), 0);
    cr_assert_eq(channel_connect("stream.sock"), -EPROTOTYPE);
    cr_assert_eq(count_open(), before + 1);
}

Test(channel, a_full_backlog_makes_nobody_wait_and_passes)
{
    struct sockaddr_un address;
    int connected = 0, r;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    cr_assert_eq(unix_address(&address, "keeper.sock"), 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 2), 0);
    while ((r = channel_connect("keeper.sock")) >= 0)
        cr_assert_lt(++connected, 10);
    cr_assert_eq(r, -EAGAIN, "%s", strerror(-r));
    int before = count_open();
    cr_assert_eq(channel_connect("keeper.sock"), -EAGAIN);
    cr_assert_eq(count_open(), before);
    cr_assert_geq(accept(listener, NULL, NULL), 0);
    cr_assert_geq(channel_connect("keeper.sock"), 0);
}
