/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * OpenSSL's errors as text.
 */
#include <openssl/err.h>
#include <string.h>

#include "keeper/net/openssl.h"

const char *openssl_first_error(void)
{
    unsigned long code = ERR_peek_error();
    const char *text =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}
