/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the few variables of LON-CAPA's configuration that concern the keeper, in the way of
 * LON-CAPA's own Perl: it looks for `PerlSetVar` and does not understand Apache's syntax. Whether
 * the directories exist is not checked: they may be created later, and whoever uses one reports
 * that better.
 */
#include <bsd/stdlib.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/host_name.h"
#include "common/lines.h"
#include "common/loncapa.h"

#define BLANKS    " \t"
#define COMPANION "loncapa_apache.conf"

/* The files contain this until LON-CAPA's installer fills in a value. LON-CAPA's Perl skips it too.
 */
#define PLACEHOLDER "{[[[["

const char *const loncapa_places[] = {
    "/etc/httpd/conf/loncapa.conf", /* Red Hat */
    "/etc/apache2/loncapa.conf",    /* Debian, SUSE */
    NULL,
};

enum kind { KIND_NAME, KIND_DIRECTORY, KIND_TEXT, KIND_PORT, KIND_BOOLEAN };

static const char *const expectations[] = {
    /* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one text in several literals */
    [KIND_NAME] = HOST_NAME_RULE,
    [KIND_DIRECTORY] = "an absolute path",
    [KIND_TEXT] = "a value",
    [KIND_PORT] = "a port from 1 to 65535",
    [KIND_BOOLEAN] = "0, 1, no, yes, off or on",
};

struct variable {
    const char *name;
    enum kind kind;
    size_t offset;             /* in struct loncapa */
    const char *default_value; /* NULL: there is none */
};

static const struct variable variables[] = {
    {"lonHostID", KIND_NAME, offsetof(struct loncapa, host_id), NULL},
    {"lonSockDir", KIND_DIRECTORY, offsetof(struct loncapa, sock_dir), "/home/httpd/sockets"},
    {"lonSockCreate", KIND_TEXT, offsetof(struct loncapa, sock_create), NULL},
    {"lonDaemons", KIND_DIRECTORY, offsetof(struct loncapa, daemons), "/home/httpd/perl"},
    {"lonTabDir", KIND_DIRECTORY, offsetof(struct loncapa, tab_dir), "/home/httpd/lonTabs"},
    {"lonDocRoot", KIND_DIRECTORY, offsetof(struct loncapa, doc_root), "/home/httpd/html"},
    {"lonVersion", KIND_TEXT, offsetof(struct loncapa, version), NULL},
    {"lonCertificateDirectory", KIND_DIRECTORY, offsetof(struct loncapa, cert_dir),
     "/home/httpd/lonCerts"},
    {"lonnetCertificateAuthority", KIND_TEXT, offsetof(struct loncapa, authority), NULL},
    {"lonnetCertificate", KIND_TEXT, offsetof(struct loncapa, certificate), NULL},
    {"lonnetPrivateKey", KIND_TEXT, offsetof(struct loncapa, private_key), NULL},
    {"londPort", KIND_PORT, offsetof(struct loncapa, lond_port), "5663"},
    {"loncAllowInsecure", KIND_BOOLEAN, offsetof(struct loncapa, allow_insecure), "1"},
};
#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

/* Eleven texts, the port and the flag. A member without a row fails here. */
_Static_assert(VARIABLES == 13 && sizeof(struct loncapa) == 12 * sizeof(char *),
               "every member of struct loncapa has its row in variables[]");

struct reading {
    struct loncapa *conf;
    const char *path; /* of the file that is being read */
    struct diagnostics *diagnostics;
    bool host_id_met; /* even with a bad value, which is not reported as missing as well */
};

static bool parse_boolean(const char *text, bool *value)
{
    static const char *const words[2][3] = {{"0", "no", "off"}, {"1", "yes", "on"}};

    for (int truth = 0; truth < 2; truth++)
        for (int i = 0; i < 3; i++)
            if (strcasecmp(text, words[truth][i]) == 0) {
                *value = truth == 1;
                return true;
            }
    return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
    const char *error;
    long long number = strtonum(text, 1, UINT16_MAX, &error);
    if (error != NULL)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool text_is_valid(enum kind kind, const char *text)
{
    switch (kind) {
    case KIND_NAME:
        return host_name_is_valid(text);
    case KIND_DIRECTORY:
        return text[0] == '/';
    default:
        return text[0] != '\0';
    }
}

/* Sets the variable. False, with nothing changed, if the value is not of its kind. */
static bool set_variable(struct reading *reading, const struct variable *variable,
                         const char *value)
{
    void *member = (char *)reading->conf + variable->offset;
    if (variable->kind == KIND_PORT)
        return parse_port(value, member);
    if (variable->kind == KIND_BOOLEAN)
        return parse_boolean(value, member);
    if (!text_is_valid(variable->kind, value))
        return false;

    char *copy = strdup(value);
    if (copy == NULL) {
        diagnostics_add(reading->diagnostics, reading->path, 0, "out of memory");
        return true;
    }
    char **text = member;
    free(*text);
    *text = copy;
    return true;
}

/* The next word without its quotes, in which blanks are allowed; NULL at the end or a comment. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, BLANKS);
    if (*word == '\0' || *word == '#')
        return NULL;
    char *end;
    if (*word == '"') {
        word++;
        end = word + strcspn(word, "\"");
    } else {
        end = word + strcspn(word, BLANKS);
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* Moves behind the word PerlSetVar. False if the line has none before a `#`. */
static bool skip_directive(char **rest)
{
    const char *word;
    while ((word = next_word(rest)) != NULL && strchr(word, '#') == NULL)
        if (strcmp(word, "PerlSetVar") == 0)
            return true;
    return false;
}

static const struct variable *find_variable(const char *name)
{
    for (size_t i = 0; i < VARIABLES; i++)
        if (strcmp(name, variables[i].name) == 0)
            return &variables[i];
    return NULL;
}

static void read_line(void *argument, unsigned number, char *text)
{
    if (!skip_directive(&text))
        return;
    const char *name = next_word(&text);
    const struct variable *variable = name == NULL ? NULL : find_variable(name);
    if (variable == NULL)
        return;
    const char *value = next_word(&text);
    if (value == NULL)
        value = "";
    if (strncmp(value, PLACEHOLDER, strlen(PLACEHOLDER)) == 0)
        return;

    struct reading *reading = argument;
    if (variable->kind == KIND_NAME)
        reading->host_id_met = true;
    if (!set_variable(reading, variable, value))
        diagnostics_add(reading->diagnostics, reading->path, number,
                        "%s: " DIAGNOSTIC_QUOTED ": expected %s", variable->name, value,
                        expectations[variable->kind]);
}

static void set_defaults(struct reading *reading)
{
    for (size_t i = 0; i < VARIABLES; i++)
        if (variables[i].default_value != NULL)
            set_variable(reading, &variables[i], variables[i].default_value);
}

/* The one default that depends on another variable. */
static void place_sock_create(struct reading *reading)
{
    struct loncapa *conf = reading->conf;
    if (conf->sock_create == NULL &&
        asprintf(&conf->sock_create, "%s/common_parent", conf->sock_dir) < 0) {
        conf->sock_create = NULL;
        diagnostics_add(reading->diagnostics, reading->path, 0, "out of memory");
    }
}

/* NULL, after a diagnostic, if there is none. */
static const char *find_place(struct diagnostics *diagnostics)
{
    for (size_t i = 0; loncapa_places[i] != NULL; i++)
        if (access(loncapa_places[i], F_OK) == 0)
            return loncapa_places[i];
    diagnostics_add(diagnostics, loncapa_places[0], 0,
                    "does not exist, and neither does %s; loncapa_conf can name another path",
                    loncapa_places[1]);
    return NULL;
}

static void free_text(char **text)
{
    free(*text);
}

static int read_companion(struct reading *reading, const char *path)
{
    __attribute__((cleanup(free_text))) char *companion = NULL;
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - path);
    if (asprintf(&companion, "%.*s" COMPANION, folder, path) < 0) {
        companion = NULL;
        diagnostics_add(reading->diagnostics, path, 0, "out of memory");
        return -1;
    }
    reading->path = companion;
    return lines_read(companion, true, reading->diagnostics, read_line, reading);
}

int loncapa_load(struct loncapa *conf, const char *path, struct diagnostics *diagnostics)
{
    *conf = (struct loncapa){0};
    if (path == NULL || path[0] == '\0')
        path = find_place(diagnostics);
    if (path == NULL)
        return -1;

    unsigned before = diagnostics->count;
    struct reading reading = {.conf = conf, .path = path, .diagnostics = diagnostics};
    set_defaults(&reading);
    if (lines_read(path, false, diagnostics, read_line, &reading) < 0 ||
        read_companion(&reading, path) < 0)
        return -1;
    place_sock_create(&reading);
    if (!reading.host_id_met)
        diagnostics_add(diagnostics, path, 0, "lonHostID is not set, so this server has no name");
    return diagnostics->count == before ? 0 : -1;
}

void loncapa_free(struct loncapa *conf)
{
    for (size_t i = 0; i < VARIABLES; i++)
        if (variables[i].kind != KIND_PORT && variables[i].kind != KIND_BOOLEAN)
            free(*(char **)((char *)conf + variables[i].offset));
    *conf = (struct loncapa){0};
}
