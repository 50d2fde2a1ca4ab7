/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a keeper costs that keeps nothing: linked with the same libraries and initialised alike, to
 * compare memory with.
 */
#include <ares.h>
#include <jansson.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "keeper/lond/cipher.h"

int main(void)
{
    sd_event *event;
    if (cipher_initialize() < 0 || sd_event_default(&event) < 0)
        return 1;
    ares_library_init(ARES_LIB_INIT_ALL);
    json_decref(json_array());
    puts("is ready");
    fflush(stdout);
    return sd_event_loop(event) < 0;
}
