/* Command lines without a shell. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "raylet/words.h"

/* Quotes and backslashes make words as a shell's do. */
Test(words, split)
{
    static const struct {
        const char *line;
        const char *words[6];
    } of[] = {
        {"./prog", {"./prog"}},
        {"  a\tb  c ", {"a", "b", "c"}},
        {"a 'b  c' \"d e\"", {"a", "b  c", "d e"}},
        {"a '' \"\"x", {"a", "", "x"}},
        {"a b\\ c '$x' \"\\$x\\\"\" \\'", {"a", "b c", "$x", "$x\"", "'"}},
        {"a --x=1,2 k:v@/+%", {"a", "--x=1,2", "k:v@/+%"}},
        {"a '|;*'", {"a", "|;*"}},
    };
    struct raia_error e = {0};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char **words = NULL;
        size_t n = 0;
        cr_assert_eq(words_split(of[i].line, &words, &e), 0, "%s: %s", of[i].line, e.text);
        for (; of[i].words[n]; n++) {
            cr_assert_not_null(words[n], "%s", of[i].line);
            cr_assert_str_eq(words[n], of[i].words[n]);
        }
        cr_assert_null(words[n]);
        words_free(words);
    }
}

/* What a shell would have to do is refused, and said so. */
Test(words, refused)
{
    static const char *const of[] = {"",         "  ",    "a | b", "a; b",     "a && b", "a $x",
                                     "a \"$x\"", "a *.c", "a > f", "A=1 prog", "a 'b",   "a \"b",
                                     "a `b`",    "a\nb",  "~/a",   "(a)"};
    struct raia_error e = {0};
    char **words = NULL;

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        cr_assert_eq(words_split(of[i], &words, &e), -RAIA_ERR_UNSUPPORTED, "%s", of[i]);
        cr_assert(strstr(e.text, "/bin/sh"), "%s", e.text);
    }
    cr_assert_null(words);
}
