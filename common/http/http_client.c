/*
 * The blocking client, and what replies mean.
 */
#include "http/http_client.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/http_transfer.h"
#include "json/json.h"

void http_reply_done(void *p)
{
    struct http_reply *reply = p;
    mem_free(STEAL(reply->body));
    mem_free(STEAL(reply->content_type));
    reply->body_len = 0;
}

int http_do(const struct http_request *rq, struct http_reply *ret_reply, struct raia_error *e)
{
    _cleanup_(http_transfer_freep__) struct http_transfer *t = NULL;
    int r = http_transfer_new__(rq, &t, e);
    if (r < 0)
        return r;
    http_curl_begin__();
    r = http_transfer_end__(t, curl_easy_perform(t->easy), e);
    if (r < 0)
        return r;
    *ret_reply = t->reply;
    t->reply = (struct http_reply){0};
    return 0;
}

int http_status_code(int status)
{
    static const struct {
        int status, code;
    } table[] = {
        {400, RAIA_ERR_INVALID},     {401, RAIA_ERR_PERMISSION},  {403, RAIA_ERR_PERMISSION},
        {404, RAIA_ERR_NOT_FOUND},   {405, RAIA_ERR_UNSUPPORTED}, {408, RAIA_ERR_TIMEOUT},
        {409, RAIA_ERR_STATE},       {413, RAIA_ERR_LIMIT},       {429, RAIA_ERR_LIMIT},
        {501, RAIA_ERR_UNSUPPORTED}, {502, RAIA_ERR_UNAVAILABLE}, {503, RAIA_ERR_UNAVAILABLE},
        {504, RAIA_ERR_TIMEOUT},     {507, RAIA_ERR_DISK_FULL}};
    if (status >= 200 && status < 300)
        return 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].code;
    return status >= 400 && status < 500 ? RAIA_ERR_INVALID
           : status >= 500               ? RAIA_ERR_INTERNAL
                                         : RAIA_ERR_PROTOCOL;
}

int http_reply_error(const struct http_reply *reply, struct raia_error *e)
{
    int code = http_status_code(reply->status);
    if (code == 0)
        return err_set(e, RAIA_ERR_INTERNAL, "status %d is no error", reply->status);
    _cleanup_(json_freep) struct json *root = NULL;
    if (reply->body && json_parse(reply->body, reply->body_len, NULL, &root, NULL) == 0) {
        const char *text = json_str(json_at(root, "error"));
        if (!text)
            text = json_str(json_at(root, "message"));
        if (text)
            return err_set(e, code, "%s", text);
    }
    if (!reply->body || !reply->body_len || root)
        return err_set(e, code, "HTTP status %d", reply->status);
    return err_set(e, code, "HTTP status %d: %.*s", reply->status,
                   (int)strcspn(reply->body, "\r\n"), reply->body);
}

char *http_escape(const char *text)
{
    size_t room = strlen(text) * 3 + 1;
    char *out = mem_alloc(room), *o = out;
    if (!out)
        return NULL;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            *o++ = (char)c;
        else
            o += snprintf(o, room - (size_t)(o - out), "%%%02X", c);
    }
    *o = '\0';
    return out;
}
