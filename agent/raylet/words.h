/*
 * A command line as words, with a shell's quotes and nothing else of a shell: for images that have
 * none.
 *
 *     r = words_split("./prog 'a b' c\\ d", &words, e);     // {"./prog", "a b", "c d", NULL}
 *     words_free(words);
 *
 * Threads: any. Failure: -UNSUPPORTED for what only a shell understands (pipes, variables, patterns,
 * assignments), -NOMEM.
 */
#ifndef RAYLET_WORDS_H
#define RAYLET_WORDS_H

#include "raia/error.h"

int words_split(const char *line, char ***ret_words, struct raia_error *e);
void words_free(char **words); /* accepts NULL */

#endif
