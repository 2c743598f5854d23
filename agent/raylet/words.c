/*
 * A command line without a shell: images such as distroless have none.
 */
#include "raylet/words.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define WORDS_MAX 1024

/* What an unquoted character would mean to a shell, and cannot mean here. */
#define MEANING "|&;<>()$`*?[]{}~#!\n"

void words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        mem_free(words[i]);
    mem_free(words);
}

static int refuse(struct raia_error *e, const char *what)
{
    return err_set(e, RAIA_ERR_UNSUPPORTED,
                   "this image has no /bin/sh, and without a shell an entrypoint is a program with "
                   "arguments: %s",
                   what);
}

/* One word from *at on, into `to`, which has room for all of it. */
static int one_word(const char **at, char *to, struct raia_error *e)
{
    const char *p = *at;
    char quote = 0;

    for (; *p && (quote || !strchr(" \t", *p)); p++) {
        if (quote == '\'' ? *p == '\'' : *p == '"' && quote == '"')
            quote = 0;
        else if (!quote && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (*p == '\\' && quote != '\'' && p[1] && (!quote || strchr("\"\\$`", p[1])))
            *to++ = *++p;
        else if ((!quote && strchr(MEANING, *p)) || (quote == '"' && strchr("$`", *p)))
            return refuse(e, "it has characters that only a shell understands");
        else
            *to++ = *p;
    }
    if (quote)
        return refuse(e, "a quote is open at its end");
    *to = '\0';
    *at = p;
    return 0;
}

int words_split(const char *line, char ***ret_words, struct raia_error *e)
{
    char **words = mem_calloc(WORDS_MAX + 1, sizeof *words);
    size_t n = 0;
    int r = words ? 0 : err_set(e, RAIA_ERR_NOMEM, "the entrypoint");

    while (r == 0 && *(line += strspn(line, " \t"))) {
        if (n == WORDS_MAX) {
            r = refuse(e, "it has too many words");
            break;
        }
        words[n] = mem_alloc(strlen(line) + 1);
        r = words[n] ? one_word(&line, words[n], e) : err_set(e, RAIA_ERR_NOMEM, "the entrypoint");
        n++;
    }
    if (r == 0 && n == 0)
        r = refuse(e, "it is empty");
    if (r == 0 && strchr(words[0], '='))
        r = refuse(e, "it begins with an assignment (env_vars of the runtime_env set variables)");
    if (r < 0) {
        words_free(words);
        return r;
    }
    *ret_words = words;
    return 0;
}
