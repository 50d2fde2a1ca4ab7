/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the dates of certificates mean for ssl: what it needs one of, what is only warned of, and
 * when it is to be looked at again.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "keeper/net/validity.h"

#define NOW     ((time_t)1000000)
#define WARNING ((time_t)1000)
#define LONG    (NOW + 100000)

static struct validity_verdict verdict;

static struct validity one(enum validity_role role, time_t from, time_t until)
{
    return (struct validity){.role = role,
                             .from = from,
                             .until = until,
                             .path = "/certs/file.pem",
                             .variable = "lonnetCertificate",
                             .subject = "somebody"};
}

static const struct validity_verdict *judge(const struct validity *of, size_t count)
{
    validity_judge(of, count, NOW, WARNING, &verdict);
    return &verdict;
}

#define JUDGE(...)                                                                                 \
    judge((struct validity[]){__VA_ARGS__},                                                        \
          sizeof((struct validity[]){__VA_ARGS__}) / sizeof(struct validity))
#define OWN(from, until)       one(VALIDITY_OWN, from, until)
#define AUTHORITY(from, until) one(VALIDITY_AUTHORITY, from, until)
#define LIST(from, until)      one(VALIDITY_REVOCATIONS, from, until)
#define CHAIN(from, until)     one(VALIDITY_CHAIN, from, until)

Test(validity, what_is_valid_for_long_is_usable_and_looked_at_when_the_first_warning_is_due)
{
    JUDGE(OWN(0, LONG), AUTHORITY(0, LONG + 5), LIST(0, LONG + 9));
    cr_assert(verdict.usable);
    cr_assert_str_empty(verdict.warnings);
    cr_assert_eq(verdict.expires, LONG);
    cr_assert_eq(verdict.soon, 0);
    cr_assert_eq(verdict.next, LONG - WARNING);
}

Test(validity, our_own_certificate_must_be_valid)
{
    JUDGE(OWN(0, NOW), AUTHORITY(0, LONG));
    cr_assert_not(verdict.usable);
    cr_assert_str_eq(verdict.problem, "lonnetCertificate: expected a valid certificate, "
                                      "but it expired at 1970-01-12 13:46 UTC");
    cr_assert_str_eq(verdict.path, "/certs/file.pem");
    cr_assert_eq(verdict.expires, 0);
    JUDGE(OWN(NOW + 1, LONG), AUTHORITY(0, LONG));
    cr_assert_not(verdict.usable);
    cr_assert_not_null(strstr(verdict.problem, "but it is not valid before 1970-01-12"));
    cr_assert_eq(verdict.next, NOW + 1);
}

Test(validity, it_is_valid_from_its_first_second_to_the_one_before_its_last)
{
    cr_assert(JUDGE(OWN(NOW, NOW + 1))->usable);
    cr_assert_not(JUDGE(OWN(NOW - 1, NOW))->usable);
}

Test(validity, one_valid_authority_of_several_suffices_and_the_others_are_warned_of)
{
    JUDGE(OWN(0, LONG), AUTHORITY(0, NOW - 1), AUTHORITY(0, LONG + 7), AUTHORITY(NOW + 9, LONG));
    cr_assert(verdict.usable);
    cr_assert_eq(verdict.expires, LONG);
    cr_assert_not_null(strstr(verdict.warnings, "\"somebody\" expired at"));
    cr_assert_not_null(strstr(verdict.warnings, "; /certs/file.pem"));
    cr_assert_not_null(strstr(verdict.warnings, "\"somebody\" is not valid before"));
    cr_assert_eq(verdict.next, NOW + 9);
    cr_assert_not(JUDGE(OWN(0, LONG), AUTHORITY(0, NOW - 1), AUTHORITY(NOW + 9, LONG))->usable);
}

Test(validity, the_last_authority_s_end_is_the_end_of_ssl)
{
    JUDGE(OWN(0, LONG), AUTHORITY(0, NOW + 5), AUTHORITY(0, NOW + 10));
    cr_assert_eq(verdict.expires, NOW + 10);
    cr_assert_eq(verdict.soon, NOW + 10);
    cr_assert_eq(verdict.next, NOW + 5);
}

Test(validity, who_is_warned_of_is_what_ends_within_the_warning)
{
    JUDGE(OWN(0, NOW + WARNING), AUTHORITY(0, LONG));
    cr_assert_eq(verdict.soon, NOW + WARNING);
    cr_assert_str_eq(verdict.warnings, "/certs/file.pem: lonnetCertificate: \"somebody\" expires "
                                       "at 1970-01-12 14:03 UTC");
    cr_assert_eq(JUDGE(OWN(0, NOW + WARNING + 1), AUTHORITY(0, LONG))->soon, 0);
    cr_assert_str_empty(verdict.warnings);
    cr_assert_eq(verdict.next, NOW + 1);
}

Test(validity, lists_are_renewed_late_as_a_matter_of_course_and_needed_where_there_are_any)
{
    JUDGE(OWN(0, LONG), AUTHORITY(0, LONG), LIST(0, NOW + 1));
    cr_assert(verdict.usable);
    cr_assert_str_empty(verdict.warnings);
    cr_assert_eq(verdict.soon, 0);
    cr_assert_eq(verdict.expires, NOW + 1);
    JUDGE(OWN(0, LONG), AUTHORITY(0, LONG), LIST(0, NOW - 1));
    cr_assert_not(verdict.usable);
    cr_assert_not_null(strstr(verdict.problem, "expected a valid list"));
}

Test(validity, an_expired_certificate_behind_our_own_is_only_warned_of)
{
    JUDGE(OWN(0, LONG), CHAIN(0, NOW - 1), AUTHORITY(0, LONG));
    cr_assert(verdict.usable);
    cr_assert_not_null(strstr(verdict.warnings, "expired at"));
    cr_assert_eq(verdict.expires, LONG);
}

Test(validity, warnings_that_do_not_fit_are_cut)
{
    struct validity many[40];
    for (size_t i = 0; i < sizeof(many) / sizeof(*many); i++)
        many[i] = AUTHORITY(0, i == 0 ? LONG : NOW - 1);
    judge(many, sizeof(many) / sizeof(*many));
    cr_assert(verdict.usable);
    cr_assert_eq(strlen(verdict.warnings), sizeof(verdict.warnings) - 1);
}
