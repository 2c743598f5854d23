/*
 * Any line: one reply, which is a JSON object with "ok" in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_echo(void *arg, const struct json *request, struct json *reply, struct raia_error *e)
{
    (void)arg, (void)e;
    return json_set(reply, "request", json_copy(request));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct control_server *s;
    if (!s) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/raia-fuzz-control-%d", (int)getpid());
        if (control_server_new(path, NULL, &s, NULL) < 0 ||
            control_add(s, "echo", "", on_echo, NULL) < 0)
            abort();
        unlink(path);
    }
    size_t len = 0;
    bool ok;
    struct json *reply = NULL;
    char *text = control_answer(s, (const char *)data, size, &len);
    if (!text)
        abort();
    /* An echo may be nested one level deeper than what is read. */
    if (json_parse(text, len, NULL, &reply, NULL) == 0 && json_get_bool(reply, "ok", &ok, NULL) < 0)
        abort();
    json_free(reply);
    mem_free(text);
    return 0;
}
