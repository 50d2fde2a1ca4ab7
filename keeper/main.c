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
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/config.h"
#include "common/log.h"
#include "keeper/keeper.h"
#include "keeper/lond/cipher.h"
#include "keeper/lond/credentials.h"

static const char help_text[] =
    "lonc-keeper holds the connections to the londs of a LON-CAPA network.\n"
    "\n"
    "usage: lonc-keeper [--config FILE] [--check] [--settings]\n"
    "\n"
    "  --config FILE  settings, by default " CONFIG_PATH "\n"
    "  --check        read settings and tables, say what is wrong with them, and exit\n"
    "  --settings     print a settings file with every default in it, commented out\n"
    "  --version      say which version this is\n"
    "  --help         this text\n";

struct options {
    const char *config;
    bool check;
};

/* To begin a keeper.conf with, and what the tables in the documentation are made of. */
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

static void parse_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"settings", no_argument, NULL, 's'},     {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'k':
            options->check = true;
            break;
        case 's':
            print_settings();
            exit(EXIT_SUCCESS);
        case 'V':
            puts("lonc-keeper " LONC_VERSION);
            exit(EXIT_SUCCESS);
        case 'h':
            fputs(help_text, stdout);
            exit(EXIT_SUCCESS);
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "lonc-keeper: unexpected argument: %s\n", argv[optind]);
        exit(2);
    }
}

static void say_on_standard_error(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* What will go wrong, or counts for nothing, is no mistake yet. */
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

static int check(const struct options *options)
{
    struct diagnostics diagnostics = {.say = say_on_standard_error};
    struct config *config = config_load(options->config, &diagnostics);
    struct diagnostics of_files = {.say = say_on_standard_error};
    struct credentials *credentials = NULL;
    if (config != NULL && config->valid)
        credentials = credentials_load(config, &of_files);
    diagnostics.count += of_files.count;
    bool valid = credentials != NULL && diagnostics.count == 0;
    if (valid)
        warn_of_ssl(config, credentials);
    if (valid)
        printf("%zu hosts, as %s: all is well\n", config->table.count, config->loncapa.host_id);
    else
        fprintf(stderr, "complaints: %u\n", diagnostics.count);
    credentials_free(credentials);
    config_unref(config);
    return valid ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const struct options *options)
{
    struct diagnostics diagnostics = {.say = keeper_say_in_log};
    log_open("lonc-keeper", LOG_TARGET_AUTO, LOG_INFO, LOG_JOURNAL_SOCKET);
    /* Keys are in this process's memory: nobody of the same user may look, and no core is written.
     */
    prctl(PR_SET_DUMPABLE, 0);
    int r = cipher_initialize();
    if (r < 0) {
        log_write(LOG_CRIT, NULL, "libgcrypt cannot be used: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    struct config *config = config_load(options->config, &diagnostics);
    r = config != NULL ? keeper_run(config, options->config, diagnostics.first) : -ENOMEM;
    if (r < 0)
        log_write(LOG_CRIT, NULL, "cannot run: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct options options = {.config = NULL};
    setproctitle_init(argc, argv, environ); /* the title will show what STATUS= says */
    parse_options(&options, argc, argv);
    return options.check ? check(&options) : run(&options);
}
