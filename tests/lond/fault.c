/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which faults the stand-in lond has: at most one for each state of the handshake, chosen on the
 * command line or at run time. It only decides; connection.c commits them.
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
    [STAGE_CHALLENGE_REPLIED] = "ChallengeReplied",
    [STAGE_READING_VERSION] = "ReadingVersionString",
    [STAGE_HOST_SET] = "HostSet",
    [STAGE_RECEIVING_KEY] = "ReceivingKey",
    [STAGE_IDLE] = "Idle",
    [STAGE_RECEIVING_REPLY] = "ReceivingReply",
};
_Static_assert(sizeof(stage_names) / sizeof(stage_names[0]) == STAGE_COUNT, "a name for each");

static const struct {
    const char *name;
    bool needs_answer; /* makes no sense where lond has nothing to say: accept and Idle */
} manners[] = {
    [MANNER_PLAIN] = {"none", false},    [MANNER_REFUSE] = {"refuse", false},
    [MANNER_SILENT] = {"silent", false}, [MANNER_CLOSE] = {"close", false},
    [MANNER_RESET] = {"reset", false},   [MANNER_GARBAGE] = {"garbage", false},
    [MANNER_NOLINE] = {"noline", false}, [MANNER_DRIP] = {"drip", true},
    [MANNER_HALF] = {"half", true},      [MANNER_STALL] = {"stall", true},
    [MANNER_TWO] = {"two", true},        [MANNER_LAST] = {"last", true},
};
_Static_assert(sizeof(manners) / sizeof(manners[0]) == MANNER_COUNT, "a row for each");

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
    if (manner == MANNER_COUNT || stage == STAGE_COUNT)
        return false;
    if (manners[manner].needs_answer && (stage == STAGE_ACCEPT || stage == STAGE_IDLE))
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
    buffer_print(out, "%s%s", lond.no_accept ? "no-accept," : "",
                 lond.no_extra_block ? "no-extra-block," : "");
    if (out->length > before)
        out->length--; /* the last comma */
    else
        buffer_print(out, "none");
}
