/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a lond may say, at any moment, in any pieces: the input plays it, and asks for requests in
 * between. Each request is answered once, with exactly one line of those that lond said after it
 * was asked, or without any; what a lond says costs at most its own connection; in the end nothing
 * is left.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#define REQUESTS 8

static struct request_under_test {
    struct transaction transaction;
    char line[64];
    bool under_way;
} requests[REQUESTS];

/* What has been said on each connection. */
static struct {
    unsigned number; /* of the connection */
    size_t length;
    char text[8192];
} said[PEERS_MAX];

/*
 * The last time somebody spoke, as far as that time's first LF: what may be a reply ends there.
 * Whatever follows in the same breath was not asked for.
 */
static struct {
    const char *text;
    size_t length; /* 0: there was no LF */
} completed;

static bool is_completed(const char *line, size_t length)
{
    return length <= completed.length &&
           memcmp(completed.text + completed.length - length, line, length) == 0;
}

static bool was_said(const char *line, size_t length)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (said[i].length > 0 && memmem(said[i].text, said[i].length, line, length) != NULL)
            return true;
    return false;
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct request_under_test *request =
        CONTAINER_OF(transaction, struct request_under_test, transaction);
    CHECK(request->under_way);
    request->under_way = false;
    CHECK((reason == REASON_NONE) == (reply != NULL));
    if (reply == NULL)
        return;
    const char *line = reply->data + reply->start;
    CHECK(length > 0 && length <= buffer_length(reply) && length <= WORLD_LINE_LIMIT);
    CHECK(memchr(line, '\n', length) == line + length - 1);
    /* One that was deciphered is not known in clear text here. */
    CHECK(is_completed(line, length) || was_said("enc:", 4));
}

static void ask(uint8_t how)
{
    static const char *const lines[] = {"ping\n",
                                        "encrypt:auth:secret\n",
                                        "sethost:msul2:ping\n",
                                        "sethost:msul1:encrypt:auth:secret\n",
                                        "\n",
                                        "encrypt:\n"};
    struct host *host = hosts_hold(&world.hosts, how & 0x80 ? "msul2" : "msul1");
    size_t i = 0;
    while (i < REQUESTS && requests[i].under_way)
        i++;
    if (i < REQUESTS && host != NULL) {
        struct request_under_test *request = &requests[i];
        strcpy(request->line, lines[how % (sizeof(lines) / sizeof(*lines))]);
        request->transaction = (struct transaction){
            .request = request->line, .length = strlen(request->line), .done = on_done};
        request->under_way = true;
        host_submit(host, &request->transaction);
    }
    if (host != NULL)
        hosts_release(host);
}

static void withdraw(uint8_t which)
{
    struct request_under_test *request = &requests[which % REQUESTS];
    if (request->under_way && host_withdraw(&request->transaction))
        request->under_way = false;
}

static void say(struct peer *peer, const char *bytes, size_t length)
{
    size_t i = (size_t)(peer - peers);
    if (said[i].number != peer->number)
        said[i].length = 0;
    said[i].number = peer->number;
    if (said[i].length + length > sizeof(said->text))
        return;
    memcpy(said[i].text + said[i].length, bytes, length);
    const char *lf = memchr(bytes, '\n', length);
    completed.text = said[i].text;
    completed.length = lf != NULL ? said[i].length + (size_t)(lf + 1 - bytes) : 0;
    said[i].length += length;
    peer_say(peer, bytes, length);
}

/* What would be right to say, after so many lines were heard; the whole of it, or a part. */
static void say_right(struct peer *peer, uint8_t part)
{
    static const char *const lines[] = {"",     "4711\n", "ok\n",    "version:1\n",
                                        "ok\n", "key1\n", "reply\n", "enc:0:\n"};
    size_t which = peer->heard < 6 ? peer->heard : 6U + (part & 1);
    size_t length = strlen(lines[which]), from = part & 0x40 ? length / 2 : 0;
    say(peer, lines[which] + from, part & 0x80 && from == 0 ? length / 2 : length - from);
}

static struct peer *choose(uint8_t which)
{
    struct peer *peer = NULL;
    unsigned open = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        open += peers[i].fd >= 0;
    unsigned wanted = open > 0 ? which % open : 0;
    for (size_t i = 0; i < PEERS_MAX && open > 0; i++)
        if (peers[i].fd >= 0 && wanted-- == 0)
            peer = &peers[i];
    return peer;
}

/* Three of these leave room for a few bytes only: a line that ends there may be over the limit. */
static void say_much(struct peer *peer)
{
    static char much[(WORLD_LINE_LIMIT - 8) / 3];
    memset(much, 'y', sizeof(much));
    say(peer, much, sizeof(much));
}

static void act(struct input *input)
{
    static const uint64_t spans[] = {1000, 1000000, 3100000, 31000000, 61000000, 301000000};
    uint8_t what = input_byte(input), part;
    struct peer *peer = choose(what >> 4);
    size_t length;
    const char *bytes;
    switch (what % 16) {
    case 0:
    case 1:
        ask(input_byte(input));
        break;
    case 2:
        withdraw(input_byte(input));
        break;
    case 3:
        world_pass(spans[input_byte(input) % 6]);
        break;
    case 4:
        peers_refuse = (what & 0x80) != 0;
        break;
    case 5:
        if (peer != NULL)
            peer_close(peer);
        break;
    case 6:
        if (peer != NULL)
            shutdown(peer->fd, SHUT_WR);
        break;
    case 7:
        if (peer != NULL)
            say_much(peer);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        part = input_byte(input);
        if (peer != NULL)
            say_right(peer, part);
        break;
    default:
        length = input_byte(input);
        bytes = input_take(input, &length);
        if (peer != NULL)
            say(peer, bytes, length);
        break;
    }
    world_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    for (size_t i = 0; i < PEERS_MAX; i++)
        said[i].length = 0;
    memset(requests, 0, sizeof(requests));
    world_begin();
    peer_mode = PEER_SILENT;
    ask(0);
    world_turn();
    while (input.left > 0)
        act(&input);
    /* Silence from here on: the time-outs answer. */
    for (int i = 0; i < 5; i++)
        world_pass(61000000);
    for (size_t i = 0; i < REQUESTS; i++)
        CHECK(!requests[i].under_way);
    world_end();
    return 0;
}
