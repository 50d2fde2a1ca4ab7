/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop that reads a file an administrator wrote. Everything is bounded, since the file named
 * may turn out to be anything: a core dump, /dev/zero, a FIFO. It is no parser: it knows lines and
 * blanks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lines.h"

#define BLANKS " \t\r\v\f"

/* What some editors write before the first line of a text in UTF-8; it is no part of it. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct lines {
    const char *path;
    struct diagnostics *diagnostics;
    FILE *file;
    struct stat before; /* it was read */
    size_t total;       /* bytes read of the file */
    unsigned number;
    size_t length; /* of the line, also of what did not fit into `text` */
    bool holds_nul;
    char text[LINES_MAX_LENGTH + 1];
};

/* O_NONBLOCK, because opening a FIFO would otherwise wait for a writer. */
static FILE *open_file(const char *path, bool optional, struct diagnostics *diagnostics,
                       struct stat *status)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL) {
        if (errno != ENOENT || !optional)
            diagnostics_add(diagnostics, path, 0, "cannot be read: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (fstat(fd, status) < 0 || !(S_ISREG(status->st_mode) || S_ISCHR(status->st_mode))) {
        diagnostics_add(diagnostics, path, 0, "cannot be read: it is not a regular file");
        fclose(file);
        return NULL;
    }
    return file;
}

/* False at the end of the file, after an error, and past the bound on the file. */
static bool next_line(struct lines *reader)
{
    reader->number++;
    reader->length = 0;
    reader->holds_nul = false;
    int byte;
    while ((byte = getc_unlocked(reader->file)) != EOF) {
        reader->total++;
        if (byte == '\n' || reader->total > LINES_MAX_FILE)
            break;
        if (byte == '\0')
            reader->holds_nul = true;
        if (reader->length < LINES_MAX_LENGTH)
            reader->text[reader->length] = (char)byte;
        reader->length++;
    }
    if (reader->length <= LINES_MAX_LENGTH)
        reader->text[reader->length] = '\0';
    if (ferror(reader->file) || reader->total > LINES_MAX_FILE)
        return false;
    return byte == '\n' || reader->length > 0;
}

static bool line_is_sound(const struct lines *reader)
{
    if (reader->length > LINES_MAX_LENGTH)
        diagnostics_add(reader->diagnostics, reader->path, reader->number,
                        "the line is longer than %d bytes", LINES_MAX_LENGTH);
    else if (reader->holds_nul)
        diagnostics_add(reader->diagnostics, reader->path, reader->number,
                        "the line contains a NUL byte");
    else
        return true;
    return false;
}

/*
 * Who writes a file in its place, and does not rename a whole one over it, may have written while
 * it was read: the half of a table is a table, too.
 */
static bool has_changed(const struct lines *reader)
{
    struct stat now;
    const struct stat *before = &reader->before;
    return fstat(fileno(reader->file), &now) < 0 || now.st_size != before->st_size ||
           now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

static int check_end(const struct lines *reader)
{
    if (ferror(reader->file))
        diagnostics_add(reader->diagnostics, reader->path, 0, "cannot be read: %s",
                        strerror(errno));
    else if (reader->total > LINES_MAX_FILE)
        diagnostics_add(reader->diagnostics, reader->path, 0, "the file is larger than %u MiB",
                        LINES_MAX_FILE >> 20);
    else if (has_changed(reader))
        diagnostics_add(reader->diagnostics, reader->path, 0,
                        "changed while it was being read; reload once it is complete");
    else
        return 0;
    return -1;
}

struct lines *lines_open(const char *path, bool optional, struct diagnostics *diagnostics)
{
    struct lines *reader = NULL;
    struct stat before;
    FILE *file = open_file(path, optional, diagnostics, &before);
    if (file != NULL && (reader = malloc(sizeof(*reader))) == NULL) {
        diagnostics_add(diagnostics, path, 0, "out of memory");
        fclose(file);
    }
    if (reader == NULL)
        return NULL;
    /* The text is left as it is: it is written before it is read. */
    reader->path = path;
    reader->diagnostics = diagnostics;
    reader->file = file;
    reader->before = before;
    reader->total = 0;
    reader->number = 0;
    return reader;
}

bool lines_some(struct lines *reader, unsigned most,
                void (*each)(void *argument, unsigned number, char *text), void *argument)
{
    bool more = true;
    for (unsigned n = 0; n < most && (more = next_line(reader)); n++) {
        if (!line_is_sound(reader))
            continue;
        char *text = reader->text;
        if (reader->number == 1 && strncmp(text, BYTE_ORDER_MARK, 3) == 0)
            text += 3;
        text = lines_strip(text);
        if (*text != '\0')
            each(argument, reader->number, text);
    }
    return more;
}

int lines_close(struct lines *reader)
{
    int r = check_end(reader);
    fclose(reader->file);
    free(reader);
    return r;
}

int lines_read(const char *path, bool optional, struct diagnostics *diagnostics,
               void (*each)(void *argument, unsigned number, char *text), void *argument)
{
    unsigned before = diagnostics->count;
    struct lines *reader = lines_open(path, optional, diagnostics);
    if (reader == NULL)
        return diagnostics->count == before ? 0 : -1;
    while (lines_some(reader, UINT_MAX, each, argument))
        continue;
    return lines_close(reader);
}

char *lines_strip(char *text)
{
    text += strspn(text, BLANKS);
    char *end = text + strlen(text);
    while (end > text && strchr(BLANKS, end[-1]) != NULL)
        end--;
    *end = '\0';
    return text;
}

char *lines_strip_comment(char *text)
{
    text[strcspn(text, "#")] = '\0';
    return lines_strip(text);
}
