/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads files that administrators write. Everything is bounded, because the file named may turn out
 * to be anything: a core dump, /dev/zero, a FIFO. This knows lines and blanks; it is no parser.
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

/* Some editors write it at the start of a file in UTF-8; it is not part of the first line. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct lines {
    const char *path;
    struct diagnostics *diagnostics;
    FILE *file;
    struct stat before; /* of the file when it was opened */
    size_t total;       /* bytes of the file read so far */
    unsigned number;    /* of the line */
    size_t length;      /* of the line, including what did not fit into `text` */
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

/* False at the end of the file, after an error, and when the file is too large. */
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
 * A file that is written in place, rather than replaced by a rename, may have been read half
 * written, and half of a table looks like a table.
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
    /* The line itself needs no initialization, and clearing 4 kB would cost more than the rest. */
    reader->path = path;
    reader->diagnostics = diagnostics;
    reader->file = file;
    reader->before = before;
    reader->total = 0;
    reader->number = 0;
    return reader;
}

bool lines_read_some(struct lines *reader, unsigned most,
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
    while (lines_read_some(reader, UINT_MAX, each, argument))
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
