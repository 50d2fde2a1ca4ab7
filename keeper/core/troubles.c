/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's own troubles: for each, its word, what it costs, and what to do about it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "keeper/core/troubles.h"

static const struct {
    const char *word, *cost, *remedy;
} kinds[] = {
    [TROUBLE_NONE] = {NULL, NULL, NULL},
    [TROUBLE_CONFIG] = {"config",
                        "changes to the configuration have no effect; until one has been valid, "
                        "every request is answered con_lost",
                        "run lonc-keeper --check to find the mistake, then systemctl reload "
                        "lonc-keeper (without a valid configuration, it tries again by itself)"},
    [TROUBLE_FOLDER] = {"folder", "nothing deferred is delivered or stored",
                        "make the folder readable and writable for the keeper's user"},
    [TROUBLE_DEFERRED] = {"deferred", "the files named wait, and are tried again",
                          "give the files to the keeper's user, or repair the disk"},
    [TROUBLE_PERM_LOG] = {"perm-log",
                          "nothing deferred is delivered, because that could not be recorded",
                          "make lonnet.perm.log and its folder writable for the keeper's user"},
    [TROUBLE_WATCH] = {"watch", "changes in folders are noticed within a minute, not at once",
                       "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"},
    [TROUBLE_LOG_FILE] = {"log-file", "messages are missing from log_file; the journal has them",
                          "make the file and its folder writable for the keeper's user"},
    [TROUBLE_PID_FILE] = {"pid-file", "LON-CAPA's scripts cannot signal the keeper",
                          "make the file and its folder writable for the keeper's user"},
    [TROUBLE_TLS] = {"tls", "ssl cannot be used",
                     "repair the certificate, key or CA file named; it is then loaded by itself"},
    [TROUBLE_CERTIFICATE] = {"certificate",
                             "ssl works, but will fail soon, or does not trust some londs",
                             "renew the certificate; new files are loaded by themselves"},
    [TROUBLE_SOCKETS] = {"sockets", "clients that use this path do not reach the keeper",
                         "run lonc-hosts sync; lonc-hosts list shows who listens"},
    [TROUBLE_QUEUE_LIMIT] = {"queue-limit", "requests that would have to wait get con_lost",
                             "loncctl hosts shows whose queue is long; raise queue_total"},
    [TROUBLE_MEMORY] = {"memory", "requests that need more buffers get con_lost",
                        "raise buffers_limit, and MemoryMax= with it"},
    [TROUBLE_DESCRIPTORS] = {"descriptors", "new clients wait until descriptors are closed",
                             "raise LimitNOFILE= of lonc-keeper.service"},
    [TROUBLE_CONTROL_LIMIT] = {"control-limit",
                               "new connections to the control socket are turned away at once; "
                               "root has places of its own",
                               "ss -xp shows who holds connections to control.sock: end some"},
    [TROUBLE_CHANNEL_LIMIT] = {"channel-limit",
                               "idle shims are disconnected, and connect again for their next "
                               "client",
                               "ss -xp shows who holds connections to keeper.sock: end those that "
                               "are no lonc-shim's, or raise channel_connections"},
};
_Static_assert(sizeof(kinds) / sizeof(*kinds) == TROUBLE_COUNT, "a trouble lacks its words");

bool troubles_add(struct troubles *troubles, enum trouble kind, const char *detail, uint64_t now)
{
    if (troubles->of[kind].present && strcmp(troubles->of[kind].detail, detail) == 0)
        return false;
    if (!troubles->of[kind].present) {
        troubles->of[kind].present = true;
        troubles->of[kind].since = now;
        troubles->count++;
    }
    snprintf(troubles->of[kind].detail, sizeof(troubles->of[kind].detail), "%s", detail);
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_TROUBLE}, "%s: %s; %s",
              kinds[kind].word, detail, kinds[kind].cost);
    return true;
}

bool troubles_remove(struct troubles *troubles, enum trouble kind, uint64_t now)
{
    if (!troubles->of[kind].present)
        return false;
    troubles->of[kind].present = false;
    troubles->count--;
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_TROUBLE_OVER},
              "%s: mended after %" PRIu64 " s: %s", kinds[kind].word,
              (now - troubles->of[kind].since) / 1000000, troubles->of[kind].detail);
    return true;
}

const char *trouble_word(enum trouble kind)
{
    return kinds[kind].word;
}

void troubles_write(const struct troubles *troubles, uint64_t now, struct json_writer *writer)
{
    json_writer_open(writer, "troubles", '[');
    for (int kind = TROUBLE_NONE + 1; kind < TROUBLE_COUNT; kind++) {
        if (!troubles->of[kind].present)
            continue;
        json_writer_open(writer, NULL, '{');
        json_writer_text(writer, "trouble", kinds[kind].word);
        json_writer_text(writer, "detail", troubles->of[kind].detail);
        json_writer_seconds(writer, "for", now - troubles->of[kind].since);
        json_writer_text(writer, "cost", kinds[kind].cost);
        json_writer_text(writer, "remedy", kinds[kind].remedy);
        json_writer_close(writer, '}');
    }
    json_writer_close(writer, ']');
    json_writer_open(writer, "trouble_kinds", '[');
    for (int kind = TROUBLE_NONE + 1; kind < TROUBLE_COUNT; kind++)
        json_writer_text(writer, NULL, kinds[kind].word);
    json_writer_close(writer, ']');
}

void troubles_line(const struct troubles *troubles, char *line, size_t size)
{
    size_t length = 0;
    line[0] = '\0';
    for (int kind = TROUBLE_NONE + 1; kind < TROUBLE_COUNT && length < size; kind++)
        if (troubles->of[kind].present)
            length += (size_t)snprintf(line + length, size - length, "%s%s",
                                       length == 0 ? "; troubles: " : ", ", kinds[kind].word);
}
