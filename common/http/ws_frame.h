/*
 * WebSocket frames (RFC 6455 §5): a pure reader and writer, shared by server and client.
 *
 * The reader takes bytes in any pieces and gives whole messages (fragments joined) and control
 * frames. Ownership: the reader owns what it collects; a message's data lives until the next call.
 * Threads: one at a time. Failure: -PROTOCOL or -LIMIT, and then forever: the connection is to be
 * closed with ws_reader_close_code().
 */
#ifndef HTTP_WS_FRAME_H
#define HTTP_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_op { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* A message or control frame. */
struct ws_message {
    enum ws_op op;    /* WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING or WS_PONG */
    const char *data; /* followed by a NUL that is not counted */
    size_t len;       /* bytes */
    int close_code;   /* of WS_CLOSE: its code, 1005 if it has none */
};

/* A half-read stream of frames. */
struct ws_reader {
    bool masked;        /* frames must be masked (server side), or must not be */
    size_t max_message; /* bytes of a message, fragments joined */
    uint8_t head[14];   /* header bytes of the frame being read */
    size_t head_len;    /* how many are there */
    size_t head_need;   /* how many the header has; 0: not yet known */
    uint64_t left;      /* payload bytes still to come */
    uint64_t frame_len; /* payload bytes in all */
    char *data;         /* data message so far; has room for a NUL */
    size_t data_len;    /* bytes of it */
    size_t data_cap;    /* bytes allocated */
    enum ws_op data_op; /* WS_TEXT or WS_BINARY; WS_CONT: no message has begun */
    char control[126];  /* control frame so far, and a NUL */
    size_t control_len; /* bytes of it */
    bool data_done;     /* data was handed out: forget it at the next call */
    int error;          /* 0, or the failure, negative */
    int close_code;     /* to close with after a failure */
};

void ws_reader_init(struct ws_reader *r, bool masked, size_t max_message);
void ws_reader_done(struct ws_reader *r);
/* Reads from *data; moves it and *len on. 1: ret_message is filled (call again with the rest);
 * 0: more bytes are needed; negative: the stream is broken. */
int ws_reader_next(struct ws_reader *r, const char **data, size_t *len,
                   struct ws_message *ret_message);
int ws_reader_close_code(const struct ws_reader *r);

#define WS_HEAD_MAX 14
/* Writes the header of a final frame; `mask` NULL: not masked. Returns its length. */
size_t ws_frame_head(uint8_t head[WS_HEAD_MAX], enum ws_op op, uint64_t len, const uint8_t mask[4]);
void ws_frame_mask(char *data, size_t len, const uint8_t mask[4]); /* in place; also unmasks */

/* The Sec-WebSocket-Accept that answers a key; 28 characters and an end mark. */
int ws_accept_key(const char *key, char ret_accept[29]);

#endif
