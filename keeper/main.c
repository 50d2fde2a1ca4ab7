/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-keeper's command line.
 *
 *     lonc-keeper [--config FILE] [--check] [--settings] [--version] [--help]
 *
 * Exit codes: 0 after a stop, or a check that found nothing; 1 when something is wrong with the
 * configuration (--check) or the keeper could not start; 2 for a wrong command line.
 */
#include <bsd/unistd.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/config.h"
#include "common/log.h"
#include "common/options.h"
#include "common/plural.h"
#include "keeper/keeper.h"
#include "keeper/lond/cipher.h"
#include "keeper/lond/credentials.h"

enum { OPTION_CONFIG = 'c', OPTION_CHECK = 'k', OPTION_SETTINGS = 's' };

static const struct option_row option_rows[] = {
    {"config", OPTION_CONFIG, "FILE", "read settings from FILE instead of " CONFIG_PATH},
    {"check", OPTION_CHECK, NULL,
     "read the settings and the tables, report every mistake in them, and exit"},
    {"settings", OPTION_SETTINGS, NULL,
     "print a settings file that has every default, commented out, and exit"},
    {"version", OPTION_VERSION, NULL, "print the version and exit"},
    {"help", OPTION_HELP, NULL, "print this help and exit"},
};

static const struct command_line command_line = {
    .program = "lonc-keeper",
    OPTION_ROWS(option_rows),
    .misuse = 2,
    .purpose = "lonc-keeper holds the connections to the londs of a LON-CAPA network.",
};

struct request {
    const char *config; /* NULL: CONFIG_PATH */
    bool check;
};

/* A template for keeper.conf; the tables in the documentation are made of it, too. */
static void print_settings(void)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        char expected[SETTING_EXPECTATION_SIZE];
        setting_expectation(setting, expected, sizeof(expected));
        printf("%s# %s\n# Expected: %s.\n#%s =%s%s\n", i > 0 ? "\n" : "", setting->meaning,
               expected, setting->name, setting->default_value[0] != '\0' ? " " : "",
               setting->default_value);
    }
}

static struct request parse_options(int argc, char **argv)
{
    struct request request = {.config = NULL};
    struct options options;
    int option;
    options_start(&options, &command_line, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case OPTION_CONFIG:
            request.config = options.value;
            break;
        case OPTION_CHECK:
            request.check = true;
            break;
        case OPTION_SETTINGS:
            print_settings();
            exit(EXIT_SUCCESS);
        }
    }
    options_expect_no_words(&options);
    return request;
}

static void say_on_standard_error(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* These do not make a configuration invalid. */
static void warn_of_ssl(const struct config *config, const struct credentials *credentials)
{
    struct validity_verdict verdict;
    if (credentials_lack_files(credentials))
        fprintf(stderr,
                "warning: ssl is off: loncapa.conf names files for it, but there is none\n");
    if (credentials->tls == NULL)
        return;
    tls_context_judge(credentials->tls, time(NULL),
                      (time_t)(config->settings.certificate_warning / 1000000), &verdict);
    if (verdict.warnings[0] != '\0')
        fprintf(stderr, "warning: %s\n", verdict.warnings);
}

static int check(const struct request *request)
{
    struct diagnostics diagnostics = {.say = say_on_standard_error};
    struct config *config = config_load(request->config, &diagnostics);
    struct diagnostics of_files = {.say = say_on_standard_error};
    struct credentials *credentials = NULL;
    if (config != NULL && config->valid)
        credentials = credentials_load(config, &of_files);
    diagnostics.count += of_files.count;
    bool valid = credentials != NULL && diagnostics.count == 0;
    if (valid)
        warn_of_ssl(config, credentials);
    if (valid)
        printf("%zu host%s, as %s: all is well\n", config->table.count, plural(config->table.count),
               config->loncapa.host_id);
    else
        fprintf(stderr, "%u error%s\n", diagnostics.count, plural(diagnostics.count));
    credentials_free(credentials);
    config_unref(config);
    return valid ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct request *request)
{
    struct diagnostics diagnostics = {.say = keeper_say_in_log};
    log_open("lonc-keeper", LOG_TARGET_AUTO, LOG_INFO, LOG_JOURNAL_SOCKET);
    /* Keys are in this process's memory: no core may be dumped, nor its own user trace it. */
    prctl(PR_SET_DUMPABLE, 0);
    int r = cipher_initialize();
    if (r < 0) {
        log_write(LOG_CRIT, NULL, "libgcrypt cannot be used: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    struct config *config = config_load(request->config, &diagnostics);
    r = config != NULL ? keeper_run(config, request->config, diagnostics.first) : -ENOMEM;
    if (r < 0)
        log_write(LOG_CRIT, NULL, "cannot run: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    setproctitle_init(argc, argv, environ); /* the title will show what STATUS= says */
    struct request request = parse_options(argc, argv);
    return request.check ? check(&request) : run(&request);
}
