/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking the keeper and waiting for the answer: one line is sent to the control socket, and one
 * JSON value comes back, or a stream of values. query.h is the same without waiting.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_ASK_H
#define LONC_KEEPER_LONCCTL_CORE_ASK_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Sends the line, LF included, to the control socket at `path` and returns the answer, which the
 * caller owns. If no keeper answers, the program fails (failure.h).
 */
json_t *ask(const char *path, const char *line);

/*
 * The same for callers that can do without a keeper: returns NULL if none answers or if it has no
 * place left for us, and then *why says why in words. That text must not be freed, and holds until
 * the next call.
 */
json_t *ask_or_why(const char *path, const char *line, const char **why);

/*
 * Asks for a stream and passes each line of it, without its LF, to `each` as it arrives. Returns
 * when `each` returns false, on SIGINT or SIGTERM, or when nobody reads standard output any more.
 * If the keeper ends the stream, the program fails with LONCCTL_UNREACHABLE.
 */
void ask_for_stream(const char *path, const char *line,
                    bool (*each)(void *argument, const char *line), void *argument);

/* Whether the answer says that the keeper refused. */
bool ask_is_refusal(const json_t *answer);

/* The keeper's sentence if it refused because it has no place left for us, else NULL. The text
 * holds until the next call. */
const char *ask_busy_sentence(const json_t *answer);

#endif
