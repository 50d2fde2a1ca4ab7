/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a peer may write where TLS is expected, with the real OpenSSL: it is nobody whom the CA has
 * certified, so whatever it writes, there is no key.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/net/tls.h"
#include "tests/fuzz/certificate.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    char digits[TLS_KEY_DIGITS];
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    struct tls *tls = tls_new(fuzz_tls_context(), ends[0], "msul1.example.edu");
    CHECK(tls != NULL);
    enum tls_progress progress = tls_advance(tls, digits);
    CHECK(progress == TLS_WANTS_READ);
    while (progress == TLS_WANTS_READ && input.left > 0) {
        size_t length = 1 + input_byte(&input);
        const char *piece = input_take(&input, &length);
        CHECK(send(ends[1], piece, length, MSG_NOSIGNAL) == (ssize_t)length);
        progress = tls_advance(tls, digits);
    }
    CHECK(progress == TLS_WANTS_READ || progress == TLS_FAILED);
    CHECK((progress == TLS_FAILED) == (tls_failure(tls)[0] != '\0'));
    if (progress == TLS_WANTS_READ) {
        shutdown(ends[1], SHUT_WR);
        CHECK(tls_advance(tls, digits) == TLS_FAILED);
    }
    tls_free(tls);
    /* The descriptor is still the caller's. */
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return 0;
}
