/*
 * Command lines: what the shell makes of them again.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/shell.h"

/* The words come back from a real shell as they were, whatever is in them. */
Test(shell, words_survive_a_shell)
{
    static char *const words[] = {"printf", "%s|",   "plain",      "two words", "it's",
                                  "$HOME",  "`id`",  "a\"b\\c",    "",          "*",
                                  "A=b",    "tab\t", "line\nline", "~"};
    char out[256] = "", want[256] = "";
    int n = (int)(sizeof words / sizeof *words);
    char *line = shell_line(n, words);
    cr_assert_not_null(line);
    FILE *p = popen(line, "r");
    cr_assert_not_null(p);
    size_t got = fread(out, 1, sizeof out - 1, p);
    cr_assert(pclose(p) == 0 && got > 0);
    for (int i = 2; i < n; i++) {
        strncat(want, words[i], sizeof want - strlen(want) - 1);
        strncat(want, "|", sizeof want - strlen(want) - 1);
    }
    cr_assert_str_eq(out, want);
    mem_free(line);
}

/* One word is a command line already; several plain ones are joined as they are. */
Test(shell, plain)
{
    char *one[] = {"echo $HOME; ls"}, *two[] = {"ls", "-l", "/tmp"};
    char *a = shell_line(1, one), *b = shell_line(3, two), *none = shell_line(0, two);
    cr_assert_str_eq(a, "echo $HOME; ls");
    cr_assert_str_eq(b, "ls -l /tmp");
    cr_assert_str_eq(none, "");
    mem_free(a);
    mem_free(b);
    mem_free(none);
}

/* Each allocation may fail: then there is no line. */
Test(shell, no_memory)
{
    char *words[] = {"a b", "c"};
    for (uint64_t nth = 1;; nth++) {
        mem_fail_nth(nth);
        char *line = shell_line(2, words);
        bool failed = mem_fail_count() >= nth;
        mem_fail_nth(0);
        cr_assert(failed == !line);
        mem_free(line);
        if (!failed)
            break;
    }
}
