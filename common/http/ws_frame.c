/*
 * WebSocket frames. Pure.
 */
#include "http/ws_frame.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/crypto.h"

void ws_reader_init(struct ws_reader *r, bool masked, size_t max_message)
{
    *r = (struct ws_reader){.masked = masked, .max_message = max_message};
}

void ws_reader_done(struct ws_reader *r)
{
    mem_free(STEAL(r->data));
    r->data_cap = r->data_len = 0;
}

int ws_reader_close_code(const struct ws_reader *r)
{
    return r->close_code;
}

static int broken(struct ws_reader *r, int code, int close_code)
{
    r->error = -code;
    r->close_code = close_code;
    return r->error;
}

static enum ws_op op_of(const struct ws_reader *r)
{
    return (enum ws_op)(r->head[0] & 0x0f);
}

static bool is_control(const struct ws_reader *r)
{
    return r->head[0] & 0x08;
}

static bool is_final(const struct ws_reader *r)
{
    return r->head[0] & 0x80;
}

/* The header's first two bytes are there: how long is it, and is it allowed. */
static int check_start(struct ws_reader *r)
{
    unsigned len = r->head[1] & 0x7f;
    enum ws_op op = op_of(r);
    bool known = op <= WS_BINARY || (op >= WS_CLOSE && op <= WS_PONG);
    if ((r->head[0] & 0x70) || !known || (bool)(r->head[1] & 0x80) != r->masked)
        return broken(r, RAIA_ERR_PROTOCOL, 1002);
    if (is_control(r) && (!is_final(r) || len > 125))
        return broken(r, RAIA_ERR_PROTOCOL, 1002);
    if (!is_control(r) && (op == WS_CONT) != (r->data_op != WS_CONT))
        return broken(r, RAIA_ERR_PROTOCOL, 1002);
    r->head_need = 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + (r->masked ? 4 : 0);
    return 0;
}

static int reserve(struct ws_reader *r, uint64_t more)
{
    if (more > r->max_message || r->data_len > r->max_message - more)
        return broken(r, RAIA_ERR_LIMIT, 1009);
    size_t need = r->data_len + (size_t)more + 1;
    if (need <= r->data_cap)
        return 0;
    char *p = mem_realloc(r->data, need);
    if (!p)
        return broken(r, RAIA_ERR_NOMEM, 1011);
    r->data = p;
    r->data_cap = need;
    return 0;
}

/* The whole header is there. */
static int begin_frame(struct ws_reader *r)
{
    uint64_t len = r->head[1] & 0x7f;
    size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (bytes) {
        len = 0;
        for (size_t i = 0; i < bytes; i++)
            len = len << 8 | r->head[2 + i];
    }
    r->frame_len = r->left = len;
    if (is_control(r)) {
        r->control_len = 0;
        return 0;
    }
    if (op_of(r) != WS_CONT)
        r->data_op = op_of(r);
    return reserve(r, len);
}

/* The frame's payload is there. 1: a message; 0: a fragment that others follow. */
static int end_frame(struct ws_reader *r, struct ws_message *m)
{
    r->head_len = r->head_need = 0;
    if (!is_control(r)) {
        if (!is_final(r))
            return 0;
        r->data[r->data_len] = '\0';
        *m = (struct ws_message){.op = r->data_op, .data = r->data, .len = r->data_len};
        r->data_done = true;
        r->data_op = WS_CONT;
        return 1;
    }
    r->control[r->control_len] = '\0';
    *m = (struct ws_message){.op = op_of(r), .data = r->control, .len = r->control_len};
    if (m->op != WS_CLOSE)
        return 1;
    m->close_code = 1005;
    if (m->len == 1)
        return broken(r, RAIA_ERR_PROTOCOL, 1002);
    if (m->len >= 2) {
        m->close_code = (uint8_t)r->control[0] << 8 | (uint8_t)r->control[1];
        m->data += 2;
        m->len -= 2;
    }
    return 1;
}

static void take_payload(struct ws_reader *r, const char **data, size_t *len)
{
    size_t n = *len < r->left ? *len : (size_t)r->left;
    if (n == 0)
        return;
    char *to = is_control(r) ? r->control + r->control_len : r->data + r->data_len;
    size_t at = (size_t)(r->frame_len - r->left);
    const uint8_t *mask = r->masked ? r->head + r->head_need - 4 : NULL;
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(mask ? (*data)[i] ^ mask[(at + i) & 3] : (*data)[i]);
    *(is_control(r) ? &r->control_len : &r->data_len) += n;
    r->left -= n;
    *data += n;
    *len -= n;
}

int ws_reader_next(struct ws_reader *r, const char **data, size_t *len,
                   struct ws_message *ret_message)
{
    if (r->data_done) {
        r->data_done = false;
        r->data_len = 0;
    }
    while (!r->error) {
        if (r->head_need == 0 || r->head_len < r->head_need) {
            if (*len == 0)
                return 0;
            r->head[r->head_len++] = (uint8_t) * (*data)++;
            (*len)--;
            int e = r->head_len == 2 ? check_start(r) : 0;
            if (e == 0 && r->head_len == r->head_need)
                e = begin_frame(r);
            if (e < 0)
                return e;
            if (r->head_need == 0 || r->head_len < r->head_need)
                continue;
        }
        take_payload(r, data, len);
        if (r->left > 0)
            return 0;
        int e = end_frame(r, ret_message);
        if (e != 0)
            return e;
    }
    return r->error;
}

size_t ws_frame_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, uint64_t len, const uint8_t mask[4])
{
    size_t n = 2, bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    head[0] = (uint8_t)(0x80 | op);
    head[1] = (uint8_t)((mask ? 0x80 : 0) | (bytes == 0 ? len : bytes == 2 ? 126 : 127));
    for (size_t i = 0; i < bytes; i++)
        head[n++] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
    if (mask) {
        memcpy(head + n, mask, 4);
        n += 4;
    }
    return n;
}

void ws_frame_mask(char *data, size_t len, const uint8_t mask[4])
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(data[i] ^ mask[i & 3]);
}

int ws_accept_key(const char *key, char ret_accept[29])
{
    char text[128];
    uint8_t digest[20];
    int n = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (strlen(key) != 24 || n >= (int)sizeof text)
        return -RAIA_ERR_PROTOCOL;
    int r = crypto_sha1(text, (size_t)n, digest);
    if (r < 0)
        return r;
    _cleanup_(mem_freep) char *b64 = crypto_base64_encode(digest, sizeof digest);
    if (!b64)
        return -RAIA_ERR_NOMEM;
    memcpy(ret_accept, b64, 29);
    return 0;
}
