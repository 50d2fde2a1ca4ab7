/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers as people read them, and texts that stay texts in HTML.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/page/html.h"

Test(display, a_count_has_its_thousands_apart)
{
    cr_expect_str_eq(display_count(0).text, "0");
    cr_expect_str_eq(display_count(999).text, "999");
    cr_expect_str_eq(display_count(1000).text, "1,000");
    cr_expect_str_eq(display_count(1234567).text, "1,234,567");
    cr_expect_str_eq(display_count(-123456).text, "-123,456");
    cr_expect_str_eq(display_count(INT64_MIN).text, "-9,223,372,036,854,775,808");
}

Test(display, a_date_is_local_time)
{
    setenv("TZ", "EST5", 1);
    cr_expect_str_eq(display_date(3600).text, "31 Dec 20:00");
}

Test(display, a_time_that_never_was_is_none)
{
    cr_expect_str_eq(display_date(0).text, "-");
    cr_expect_str_eq(display_date(1e300).text, "-");
    cr_expect_str_eq(display_date(-1e300).text, "-");
}

/* noipa: else gcc sees the NULL, and warns. */
__attribute__((noipa)) static char *html(const char *text)
{
    char *bytes;
    size_t length;
    FILE *to = open_memstream(&bytes, &length);
    html_put(to, "<b class=\"%s\">%zu%% of %d</b>", text, (size_t)7, -1);
    fclose(to);
    return bytes;
}

Test(html, a_text_cannot_become_markup)
{
    char *bytes = html("<i a='b' c=\"d\">&amp;\n\x7f");
    cr_expect_str_eq(bytes, "<b class=\"&lt;i a=&#39;b&#39; c=&quot;d&quot;&gt;&amp;amp;&#xFFFD;"
                            "&#xFFFD;\">7% of -1</b>");
    free(bytes);
}

Test(html, utf_8_stays_and_nothing_is_a_dash)
{
    char *bytes = html("Zürich €");
    cr_expect_str_eq(bytes, "<b class=\"Zürich €\">7% of -1</b>");
    free(bytes);
    bytes = html(NULL);
    cr_expect_str_eq(bytes, "<b class=\"-\">7% of -1</b>");
    free(bytes);
}
