/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The line that lond sends through TLS, with OpenSSL's part played here: so each byte, each pause
 * and each failure comes when the input says. A key is taken exactly if 32 bytes and a LF have come
 * and nothing stands behind them; and nothing of the stream is read past that LF.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>

#include "keeper/net/tls.h"
#include "tests/fuzz/certificate.h"
#include "tests/fuzz/fuzz.h"

/* What stands in the stream. Any byte below is a byte of the line. */
enum { PAUSE_READ = 0xf0, PAUSE_WRITE, ENDED, BROKEN, CLOSED };

static struct input stream;
static int error;      /* what SSL_get_error will say */
static bool connected; /* the handshake is over */

int __wrap_SSL_connect(SSL *ssl);
int __wrap_SSL_read(SSL *ssl, void *bytes, int size);
int __wrap_SSL_get_error(const SSL *ssl, int result);
int __wrap_SSL_has_pending(const SSL *ssl);

/* The next byte of the line in *byte: 1; or what happens instead of it. */
static int next(uint8_t *byte)
{
    *byte = stream.left > 0 ? input_byte(&stream) : ENDED;
    switch (*byte) {
    case PAUSE_READ:
        error = SSL_ERROR_WANT_READ;
        return -1;
    case PAUSE_WRITE:
        error = SSL_ERROR_WANT_WRITE;
        return -1;
    case ENDED:
        error = SSL_ERROR_SYSCALL;
        return 0;
    case BROKEN:
        error = SSL_ERROR_SSL;
        return -1;
    case CLOSED:
        error = SSL_ERROR_ZERO_RETURN;
        return 0;
    default:
        return 1;
    }
}

int __wrap_SSL_connect(SSL *ssl)
{
    (void)ssl;
    uint8_t byte;
    CHECK(!connected);
    connected = next(&byte) == 1;
    return connected ? 1 : -1;
}

int __wrap_SSL_read(SSL *ssl, void *bytes, int size)
{
    (void)ssl;
    CHECK(connected && size == 1);
    return next(bytes);
}

int __wrap_SSL_get_error(const SSL *ssl, int result)
{
    (void)ssl;
    CHECK(result <= 0);
    return error;
}

/* OpenSSL has what is left of the record: here, all that comes before the next pause. */
int __wrap_SSL_has_pending(const SSL *ssl)
{
    (void)ssl;
    return stream.left > 0 && *stream.data < PAUSE_READ;
}

/* The line as it stands in the input, pauses left out: its length up to the LF, or -1. */
static int line_of(const uint8_t *data, size_t size, char line[TLS_KEY_DIGITS])
{
    int length = 0;
    size_t at = 0;
    while (at < size && data[at] >= PAUSE_READ && data[at] <= PAUSE_WRITE)
        at++;
    if (at == size || (data[at] >= ENDED && data[at] <= CLOSED))
        return -1;
    for (at++; at < size && (data[at] < ENDED || data[at] > CLOSED); at++) {
        if (data[at] == PAUSE_READ || data[at] == PAUSE_WRITE)
            continue;
        if (data[at] == '\n')
            return at + 1 < size && data[at + 1] < PAUSE_READ ? -1 : length;
        if (length == TLS_KEY_DIGITS)
            return -1;
        line[length++] = (char)data[at];
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char digits[TLS_KEY_DIGITS], line[TLS_KEY_DIGITS];
    stream = (struct input){.data = data, .left = size};
    connected = false;
    struct tls *tls = tls_new(fuzz_tls_context(), -1, "msul1.example.edu");
    CHECK(tls != NULL);
    enum tls_progress progress;
    do
        progress = tls_advance(tls, digits);
    while (progress == TLS_WANTS_READ || progress == TLS_WANTS_WRITE);
    bool good = line_of(data, size, line) == TLS_KEY_DIGITS;
    CHECK((progress == TLS_DONE) == good);
    CHECK(!good || memcmp(digits, line, sizeof(line)) == 0);
    CHECK((progress == TLS_FAILED) == (tls_failure(tls)[0] != '\0'));
    tls_free(tls);
    return 0;
}
