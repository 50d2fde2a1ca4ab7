/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers: one for each socket that the keeper opened to a lond.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/lond/cipher.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

#define BUILD_KEY "12345A0BC7D89EF54321"

struct peer peers[PEERS_MAX];
enum peer_mode peer_mode;
bool peers_refuse;
void (*peer_asked)(struct peer *peer, const char *request, size_t length, bool enciphered);

/* --- Connecting ------------------------------------------------------------------------------- */

int __wrap_socket(int family, int type, int protocol);
int __real_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __real_connect(int fd, const struct sockaddr *address, socklen_t size);

int __wrap_socket(int family, int type, int protocol)
{
    int ends[2];
    size_t i = 0;
    if (family != AF_INET)
        return __real_socket(family, type, protocol);
    while (i < PEERS_MAX && peers[i].fd >= 0)
        i++;
    if (i == PEERS_MAX) {
        errno = EMFILE;
        return -1;
    }
    CHECK(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends) == 0);
    peers[i].fd = ends[1];
    static unsigned number;
    peers[i].number = ++number;
    peers[i].heard = 0;
    peers[i].length = 0;
    peers[i].id[0] = '\0';
    return ends[0];
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (address->sa_family != AF_INET)
        return __real_connect(fd, address, size);
    CHECK(((const struct sockaddr_in *)address)->sin_port == htons(5663));
    errno = peers_refuse ? ECONNREFUSED : EINPROGRESS;
    return -1;
}

/* --- Speaking --------------------------------------------------------------------------------- */

/* A keeper that has closed its end hears nothing. */
void peer_say(struct peer *peer, const char *bytes, size_t length)
{
    ssize_t n = send(peer->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    CHECK(n == (ssize_t)length || (n < 0 && (errno == EPIPE || errno == ECONNRESET)) ||
          errno == EAGAIN);
}

static struct cipher *cipher_of(const struct peer *peer)
{
    struct cipher *cipher;
    uint8_t key[CIPHER_KEY_SIZE];
    CHECK(cipher_derive_key(peer->id, WORLD_OWN, BUILD_KEY, strlen(BUILD_KEY), key) == 0);
    CHECK(cipher_new(&cipher, key) == 0);
    return cipher;
}

void peer_say_enciphered(struct peer *peer, const char *text, size_t length)
{
    struct cipher *cipher = cipher_of(peer);
    size_t size = cipher_encrypted_size(length) + CIPHER_ROOM;
    char *line = malloc(size);
    struct enciphering work;
    CHECK(line != NULL);
    cipher_encrypt_begin(&work, text, length);
    peer_say(peer, line, cipher_encrypt(cipher, &work, line, size));
    CHECK(work.ended);
    free(line);
    cipher_free(cipher);
}

void peer_close(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

/* --- Hearing ---------------------------------------------------------------------------------- */

static bool is(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

/* Lines of the handshake: what the keeper must say, and the answer. */
static void greet(struct peer *peer, char *line, size_t length)
{
    static const char *const answers[] = {"4711\n", "ok\n", "version:$Revision: 1.421 $\n", "ok\n",
                                          BUILD_KEY "\n"};
    static const char *const said[] = {"init", "4711", "version", NULL, "ekey"};
    if (said[peer->heard] != NULL) {
        CHECK(is(line, length, said[peer->heard]));
    } else {
        CHECK(length > 8 && length - 8 < sizeof(peer->id) && memcmp(line, "sethost:", 8) == 0);
        memcpy(peer->id, line + 8, length - 8);
        peer->id[length - 8] = '\0';
    }
    peer_say(peer, answers[peer->heard], strlen(answers[peer->heard]));
}

static void ask(struct peer *peer, char *line, size_t length)
{
    bool enciphered = false;
    const char *colon;
    /* Inline, lond obeys a sethost before anything else; alone, it is a request. */
    if (length > 8 && memcmp(line, "sethost:", 8) == 0 &&
        (colon = memchr(line + 8, ':', length - 8)) != NULL) {
        length -= (size_t)(colon + 1 - line);
        line += colon + 1 - line;
    }
    /* What is to be enciphered never comes as it is. */
    CHECK(length < 8 || memcmp(line, "encrypt:", 8) != 0);
    if (length > 4 && memcmp(line, "enc:", 4) == 0) {
        struct cipher *cipher = cipher_of(peer);
        struct deciphering work;
        /* Else a client has sent it so. */
        enciphered = cipher_decrypt_begin(&work, line, length) == 0 &&
                     cipher_decrypt(cipher, &work, SIZE_MAX) == 0;
        cipher_free(cipher);
        length = enciphered ? work.n : length;
    }
    if (peer_asked != NULL)
        peer_asked(peer, line, length, enciphered);
}

static void take_lines(struct peer *peer)
{
    char *start = peer->in, *lf;
    while (peer->fd >= 0 &&
           (lf = memchr(start, '\n', (size_t)(peer->in + peer->length - start))) != NULL) {
        size_t length = (size_t)(lf - start);
        if (peer_mode != PEER_SILENT) {
            if (peer->heard < 5)
                greet(peer, start, length);
            else
                ask(peer, start, length);
        }
        peer->heard++;
        start = lf + 1;
    }
    peer->length -= (size_t)(start - peer->in);
    memmove(peer->in, start, peer->length);
}

/* Reads once. The keeper has closed it: so does the peer. */
static bool serve(struct peer *peer)
{
    CHECK(peer->length < sizeof(peer->in));
    ssize_t n =
        recv(peer->fd, peer->in + peer->length, sizeof(peer->in) - peer->length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        peer_close(peer);
        return true;
    }
    peer->length += (size_t)n;
    take_lines(peer);
    return true;
}

bool peers_serve(void)
{
    bool any = false;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (peers[i].fd >= 0)
            any |= serve(&peers[i]);
    return any;
}

void peers_begin(void)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        peers[i].fd = -1;
    peer_mode = PEER_GREETS;
    peers_refuse = false;
}

void peers_end(void)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        CHECK(peers[i].fd < 0);
}
