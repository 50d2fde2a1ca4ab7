/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The words for reasons: one each, fit for a field of the journal and for a sentence.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "keeper/core/reason.h"

Test(reason, every_reason_has_one_word_of_small_letters_and_hyphens)
{
    for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
        const char *word = reason_word(reason);
        cr_assert_not_null(word, "reason %d", (int)reason);
        cr_assert_str_not_empty(word, "reason %d", (int)reason);
        cr_expect_eq(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), strlen(word), "%s", word);
    }
}

Test(reason, every_reason_has_a_text_that_goes_into_a_sentence)
{
    for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
        const char *text = reason_text(reason);
        cr_assert_not_null(text, "reason %d", (int)reason);
        cr_assert_str_not_empty(text, "reason %d", (int)reason);
        cr_expect_neq(text[strlen(text) - 1], '.', "%s", text);
        cr_expect_null(strpbrk(text, "\n\t%"), "%s", text);
    }
}

Test(reason, no_two_reasons_share_a_word_or_a_text)
{
    for (enum reason one = 0; one < REASON_COUNT; one++)
        for (enum reason other = 0; other < one; other++) {
            cr_expect_str_neq(reason_word(one), reason_word(other));
            cr_expect_str_neq(reason_text(one), reason_text(other));
        }
}

/* Those that administrators will have written into their filters. */
Test(reason, the_words_are_those_of_their_names)
{
    cr_expect_str_eq(reason_word(REASON_NONE), "none");
    cr_expect_str_eq(reason_word(REASON_REFUSED), "refused");
    cr_expect_str_eq(reason_word(REASON_TIMED_OUT), "timed-out");
    cr_expect_str_eq(reason_word(REASON_NAME), "name");
    cr_expect_str_eq(reason_word(REASON_UNKNOWN_HOST), "unknown-host");
    cr_expect_str_eq(reason_word(REASON_DEAD), "dead");
    cr_expect_str_eq(reason_word(REASON_REPLY_TIMEOUT), "reply-timeout");
    cr_expect_str_eq(reason_text(REASON_REPLY_TIMEOUT), "no progress on the reply");
    cr_expect_str_eq(reason_word(REASON_CLOSED), "closed");
}

Test(reason, a_peer_that_refuses_is_told_from_one_that_is_silent_or_far)
{
    cr_expect_eq(reason_from_errno(ECONNREFUSED), REASON_REFUSED);
    cr_expect_eq(reason_from_errno(ECONNRESET), REASON_REFUSED);
    cr_expect_eq(reason_from_errno(ETIMEDOUT), REASON_TIMED_OUT);
    cr_expect_eq(reason_from_errno(EHOSTUNREACH), REASON_UNREACHABLE);
    cr_expect_eq(reason_from_errno(ENETUNREACH), REASON_UNREACHABLE);
    cr_expect_eq(reason_from_errno(ENETDOWN), REASON_UNREACHABLE);
}

/* attempts.c counts these for no host's health. */
Test(reason, what_is_short_on_this_machine_is_told_from_what_is_wrong_with_the_peer)
{
    cr_expect_eq(reason_from_errno(EMFILE), REASON_NO_DESCRIPTOR);
    cr_expect_eq(reason_from_errno(ENFILE), REASON_NO_DESCRIPTOR);
    cr_expect_eq(reason_from_errno(ENOMEM), REASON_NO_MEMORY);
    cr_expect_eq(reason_from_errno(ENOBUFS), REASON_NO_MEMORY);
}

Test(reason, an_errno_nobody_thought_of_is_a_failure_all_the_same)
{
    for (int error = 1; error < 134; error++)
        cr_expect_neq(reason_from_errno(error), REASON_NONE, "%s", strerror(error));
}
