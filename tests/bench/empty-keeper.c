/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program that is linked with the keeper's libraries and initialized like the keeper, and does
 * nothing. The keeper's memory is compared with it.
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
