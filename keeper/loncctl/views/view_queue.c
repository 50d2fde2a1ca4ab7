/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue in the form of Postfix's qshape(1): one row for each host, those with the most
 * files first, and the number of files of each age.
 */
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/views/table.h"
#include "keeper/loncctl/views/view.h"

/* Columns before the ages: HOST, FILES, OLDEST, HELD, REJECTED, CORRUPT. */
#define BEFORE 6

/* Which bounds of the ages have a column: all, or every second, fourth and so on where the terminal
 * is narrow. */
struct ages {
    const json_t *bounds;
    size_t count; /* columns: one more than bounds that are shown, for what is older */
    size_t step;
};

/* Index of the bound at which column i ends; the last column has none. */
static size_t bound_of(const struct ages *ages, size_t i)
{
    return json_array_size(ages->bounds) - 1 - (ages->count - 2 - i) * ages->step;
}

static struct ages ages_by(const json_t *bounds, size_t step)
{
    size_t all = json_array_size(bounds);
    return (struct ages){.bounds = bounds, .count = (all + step - 1) / step + 1, .step = step};
}

/* Number of the row's files that belong in column i. */
static json_int_t files_aged(const struct ages *ages, const json_t *row, size_t i)
{
    const json_t *counts = json_object_get(row, "ages");
    size_t last = i + 1 == ages->count ? json_array_size(ages->bounds) : bound_of(ages, i);
    json_int_t files = 0;
    for (size_t at = i == 0 ? 0 : bound_of(ages, i - 1) + 1; at <= last; at++)
        files += count_of(json_array_get(counts, at));
    return files;
}

/* "5m" heads the column of files younger than that. */
static struct word age_title(const struct ages *ages, size_t i)
{
    struct word word = {.text = "older"};
    if (i + 1 == ages->count)
        return word;
    long s = display_whole(json_number_value(json_array_get(ages->bounds, bound_of(ages, i))));
    snprintf(word.text, sizeof(word.text), s % 60 == 0 ? "%ldm" : "%lds", s % 60 == 0 ? s / 60 : s);
    return word;
}

static int compare_files(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    json_int_t x = field_integer(one, "files"), y = field_integer(other, "files");
    const char *s = field_text(one, "host"), *t = field_text(other, "host");
    if (x != y)
        return x < y ? 1 : -1;
    return strcmp(s != NULL ? s : "", t != NULL ? t : "");
}

static void number_cell(struct table *table, enum style style, json_int_t number)
{
    table_printf(table, number > 0 ? style : STYLE_PLAIN, "%lld", (long long)number);
}

static void add_row(struct table *table, const struct ages *ages, const json_t *row)
{
    table_cell(table, STYLE_PLAIN, field_text(row, "host"));
    number_cell(table, STYLE_PLAIN, field_integer(row, "files"));
    table_cell(table, STYLE_PLAIN, display_age(field_number(row, "oldest")).text);
    number_cell(table, STYLE_NOTE, field_integer(row, "held"));
    number_cell(table, STYLE_WARNING, field_integer(row, "rejected"));
    number_cell(table, STYLE_WARNING, field_integer(row, "corrupt"));
    for (size_t i = 0; i < ages->count; i++)
        number_cell(table, STYLE_PLAIN, files_aged(ages, row, i));
}

static void add_to(json_t *total, const json_t *row, const char *key)
{
    json_object_set_new(total, key,
                        json_integer(field_integer(total, key) + field_integer(row, key)));
}

/* Returns the sum of all rows as a row, which the caller owns. */
static json_t *total_row(const json_t *hosts, size_t ages)
{
    json_t *total = must(json_pack("{s:s, s:[]}", "host", "TOTAL", "ages"));
    json_t *sums = json_object_get(total, "ages"), *row;
    double oldest = -1;
    size_t i;
    for (size_t age = 0; age < ages; age++)
        json_array_append_new(sums, json_integer(0));
    json_array_foreach(hosts, i, row)
    {
        const json_t *of_row = json_object_get(row, "ages");
        add_to(total, row, "files");
        add_to(total, row, "held");
        add_to(total, row, "rejected");
        add_to(total, row, "corrupt");
        if (field_number(row, "oldest") > oldest)
            oldest = field_number(row, "oldest");
        for (size_t age = 0; age < ages; age++)
            json_array_set_new(sums, age,
                               json_integer(count_of(json_array_get(sums, age)) +
                                            count_of(json_array_get(of_row, age))));
    }
    if (oldest >= 0)
        json_object_set_new(total, "oldest", json_real(oldest));
    return total;
}

static struct table *make_table(const struct ages *ages, json_t *const *rows, size_t count)
{
    struct column *columns = must(calloc(BEFORE + ages->count, sizeof(*columns)));
    struct word *titles = must(calloc(ages->count, sizeof(*titles)));
    columns[0] = (struct column){.title = "HOST", .least = 10};
    columns[1] = (struct column){.title = "FILES", .right = true};
    columns[2] = (struct column){.title = "OLDEST", .right = true, .dispense = 1};
    columns[3] = (struct column){.title = "HELD", .right = true};
    columns[4] = (struct column){.title = "REJECTED", .right = true};
    columns[5] = (struct column){.title = "CORRUPT", .right = true};
    for (size_t i = 0; i < ages->count; i++) {
        titles[i] = age_title(ages, i);
        columns[BEFORE + i] = (struct column){.title = titles[i].text, .right = true};
    }
    struct table *table = table_new(columns, BEFORE + ages->count);
    for (size_t i = 0; i < count; i++)
        add_row(table, ages, rows[i]);
    free(columns);
    free(titles);
    return table;
}

void view_queue(const json_t *answer)
{
    const json_t *hosts = json_object_get(answer, "hosts");
    const json_t *bounds = json_object_get(answer, "bounds");
    size_t count = json_array_size(hosts);
    struct ages ages = ages_by(bounds, 1);
    json_t **rows = must(calloc(count + 1, sizeof(*rows)));
    rows[0] = total_row(hosts, json_array_size(bounds) + 1);
    for (size_t i = 0; i < count; i++)
        rows[i + 1] = json_array_get(hosts, i);
    qsort(rows + 1, count, sizeof(*rows), compare_files);
    struct table *table = make_table(&ages, rows, count + 1);
    while (!table_fits(table) && ages.count > 2) {
        table_free(table);
        ages = ages_by(bounds, 2 * ages.step);
        table = make_table(&ages, rows, count + 1);
    }
    table_print(table);
    table_free(table);
    json_decref(rows[0]);
    free(rows);
}
