/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which faults the stand-in lond has: at most one for each state of the handshake, chosen on the
 * command line or at run time. This file only decides; connection.c carries faults out.
 */
#include <string.h>

#include "tests/lond/lond.h"

#define ALWAYS UINT64_MAX

struct fault {
    enum manner manner;
    uint64_t left; /* strikes left */
};

static struct fault faults[STAGE_COUNT];
static struct fault *latest; /* whom `times=N` means */

static const char *const stage_names[] = {
    [STAGE_ACCEPT] = "accept",
    [STAGE_INITIALIZED] = "Initialized",
    [STAGE_TLS] = "TLS",
    [STAGE_TLS_KEY] = "TLSKey",
    [STAGE_CHALLENGE_REPLIED] = "ChallengeReplied",
    [STAGE_READING_VERSION] = "ReadingVersionString",
    [STAGE_HOST_SET] = "HostSet",
    [STAGE_RECEIVING_KEY] = "ReceivingKey",
    [STAGE_IDLE] = "Idle",
    [STAGE_RECEIVING_REPLY] = "ReceivingReply",
};
_Static_assert(sizeof(stage_names) / sizeof(stage_names[0]) == STAGE_COUNT, "a name for each");

/* What lond says in a stage, which determines the faults that make sense there. */
enum {
    SAYS_NOTHING = 1, /* accept and Idle */
    SAYS_LINE = 2,
    SAYS_KEY = 4, /* a line, through TLS */
    SAYS_TLS = 8, /* TLS's own handshake */
    SAYS_ANYTHING = SAYS_NOTHING | SAYS_LINE | SAYS_KEY | SAYS_TLS
};

static const struct {
    const char *name;
    unsigned where;
} manners[] = {
    [MANNER_PLAIN] = {"none", SAYS_ANYTHING},
    [MANNER_REFUSE] = {"refuse", SAYS_ANYTHING},
    [MANNER_SILENT] = {"silent", SAYS_ANYTHING},
    [MANNER_CLOSE] = {"close", SAYS_ANYTHING},
    [MANNER_RESET] = {"reset", SAYS_ANYTHING},
    [MANNER_GARBAGE] = {"garbage", SAYS_ANYTHING},
    [MANNER_NOLINE] = {"noline", SAYS_ANYTHING},
    [MANNER_DRIP] = {"drip", SAYS_LINE | SAYS_KEY},
    [MANNER_HALF] = {"half", SAYS_LINE | SAYS_KEY | SAYS_TLS},
    [MANNER_STALL] = {"stall", SAYS_LINE | SAYS_KEY | SAYS_TLS},
    [MANNER_TWO] = {"two", SAYS_LINE | SAYS_KEY},
    [MANNER_LAST] = {"last", SAYS_LINE | SAYS_KEY},
    [MANNER_SHORT] = {"short", SAYS_LINE | SAYS_KEY},
    [MANNER_LONG] = {"long", SAYS_LINE | SAYS_KEY},
    [MANNER_BARE] = {"bare", SAYS_LINE | SAYS_KEY},
    [MANNER_ALERT] = {"alert", SAYS_TLS},
    [MANNER_NOTIFY] = {"notify", SAYS_KEY},
    [MANNER_FAREWELL] = {"farewell", SAYS_KEY},
    [MANNER_TICKET] = {"ticket", SAYS_KEY},
};
_Static_assert(sizeof(manners) / sizeof(manners[0]) == MANNER_COUNT, "a row for each");

static unsigned said_in(size_t stage)
{
    switch (stage) {
    case STAGE_ACCEPT:
    case STAGE_IDLE:
        return SAYS_NOTHING;
    case STAGE_TLS:
        return SAYS_TLS;
    case STAGE_TLS_KEY:
        return SAYS_KEY;
    default:
        return SAYS_LINE;
    }
}

const char *fault_stage_name(enum stage stage)
{
    return stage_names[stage];
}

static bool same(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool change_state(const char *word, size_t length)
{
    const char *at = memchr(word, '@', length);
    size_t kind = at != NULL ? (size_t)(at - word) : 0;
    size_t stage = 0, manner = 0;

    if (at == NULL)
        return false;
    while (manner < MANNER_COUNT && !same(manners[manner].name, word, kind))
        manner++;
    while (stage < STAGE_COUNT && !same(stage_names[stage], at + 1, length - kind - 1))
        stage++;
    if (manner == MANNER_COUNT || stage == STAGE_COUNT ||
        (manners[manner].where & said_in(stage)) == 0)
        return false;
    latest = &faults[stage];
    *latest = (struct fault){(enum manner)manner, ALWAYS};
    return true;
}

static bool change_times(const char *word, size_t length)
{
    return latest != NULL && length > 6 && memcmp(word, "times=", 6) == 0 &&
           parse_number(word + 6, length - 6, UINT32_MAX, &latest->left);
}

static void heal_all(void)
{
    memset(faults, 0, sizeof(faults));
    latest = NULL;
    lond.no_accept = false;
    lond.no_extra_block = false;
    lond.keep_key_file = false;
}

static bool change(const char *word, size_t length)
{
    if (same("none", word, length)) {
        heal_all();
        return true;
    }
    if (same("no-accept", word, length))
        return lond.no_accept = true;
    if (same("no-extra-block", word, length))
        return lond.no_extra_block = true;
    if (same("keep-key-file", word, length))
        return lond.keep_key_file = true;
    return change_times(word, length) || change_state(word, length);
}

bool fault_change(const char *text)
{
    for (;;) {
        size_t length = strcspn(text, ",");

        if (!change(text, length))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

enum manner fault_take(enum stage stage)
{
    struct fault *fault = &faults[stage];

    if (fault->manner == MANNER_PLAIN || fault->left == 0)
        return MANNER_PLAIN;
    if (fault->left != ALWAYS)
        fault->left--;
    counts[COUNT_FAULTS]++;
    SAY("fault %s@%s", manners[fault->manner].name, stage_names[stage]);
    return fault->manner;
}

void fault_list(struct buffer *out)
{
    size_t before = out->length;

    for (size_t stage = 0; stage < STAGE_COUNT; stage++) {
        const struct fault *fault = &faults[stage];

        if (fault->manner == MANNER_PLAIN || fault->left == 0)
            continue;
        buffer_print(out, "%s@%s,", manners[fault->manner].name, stage_names[stage]);
        if (fault->left != ALWAYS)
            buffer_print(out, "times=%lu,", fault->left);
    }
    buffer_print(out, "%s%s%s", lond.no_accept ? "no-accept," : "",
                 lond.no_extra_block ? "no-extra-block," : "",
                 lond.keep_key_file ? "keep-key-file," : "");
    if (out->length > before)
        out->length--; /* the last comma */
    else
        buffer_print(out, "none");
}
