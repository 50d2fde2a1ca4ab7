/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In libFuzzer's place, where the inputs are known: gives the target each line of the corpus files
 * named. A line is an input in which \n, \r, \t, \\ and \xNN stand for bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static unsigned hex_digit(char digit)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, digit);
    CHECK(digit != '\0' && at != NULL);
    return (unsigned)(at - digits);
}

/* Puts the byte that stands at `text` into *byte; returns what follows. */
static const char *decode(const char *text, uint8_t *byte)
{
    *byte = (uint8_t)text[0];
    if (text[0] != '\\')
        return text + 1;
    switch (text[1]) {
    case 'x':
        *byte = (uint8_t)(hex_digit(text[2]) << 4 | hex_digit(text[3]));
        return text + 4;
    case 'n':
        *byte = '\n';
        break;
    case 'r':
        *byte = '\r';
        break;
    case 't':
        *byte = '\t';
        break;
    default:
        CHECK(text[1] == '\\');
        break;
    }
    return text + 2;
}

static void try(const char *line)
{
    /* Of the very size, so that the sanitizer sees a byte read past the end. */
    size_t length = 0;
    uint8_t *decoded = malloc(strlen(line) + 1);
    CHECK(decoded != NULL);
    while (*line != '\0')
        line = decode(line, &decoded[length++]);
    uint8_t *input = malloc(length > 0 ? length : 1);
    CHECK(input != NULL);
    memcpy(input, decoded, length);
    free(decoded);
    LLVMFuzzerTestOneInput(input, length);
    free(input);
}

int main(int argc, char **argv)
{
    size_t size = 0;
    unsigned count = 0;
    char *line = NULL;
    for (int i = 1; i < argc; i++) {
        FILE *corpus = fopen(argv[i], "r");
        if (corpus == NULL) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        for (ssize_t n; (n = getline(&line, &size, corpus)) > 0; count++) {
            CHECK(line[n - 1] == '\n');
            line[n - 1] = '\0';
            try(line);
        }
        fclose(corpus);
    }
    free(line);
    printf("%s: %u inputs\n", strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0],
           count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
