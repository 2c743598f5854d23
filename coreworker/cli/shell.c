/*
 * Command lines (shell.h).
 */
#include "cli/shell.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define LINE_MAX_BYTES (1u << 20)
#define SPECIAL        " \t\n\"'\\$`&|;<>()*?[]#~!{}="

static void put_quoted(struct buf *b, const char *word)
{
    if (*word && !word[strcspn(word, SPECIAL)]) {
        buf_put_text(b, word);
        return;
    }
    buf_put_text(b, "'");
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            buf_put_text(b, "'\\''");
        else
            buf_put_u8(b, (uint8_t)*p);
    }
    buf_put_text(b, "'");
}

char *shell_line(int n, char *const *words)
{
    if (n == 1)
        return mem_strdup(words[0]);
    struct buf b;
    buf_init(&b, LINE_MAX_BYTES);
    for (int i = 0; i < n; i++) {
        if (i)
            buf_put_text(&b, " ");
        put_quoted(&b, words[i]);
    }
    char *line = buf_steal(&b, NULL);
    buf_fini(&b);
    return line;
}
