/*
 * Frames: examples of RFC 6455, fragments, limits, violations.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "http/ws_frame.h"
#include "raia/error.h"

/* The handshake of the RFC's example. */
Test(ws_frame, accept_key)
{
    char accept[29];
    cr_assert_eq(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
    cr_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    cr_assert_eq(ws_accept_key("short", accept), -RAIA_ERR_PROTOCOL);
}

/* Masked text, fragments with a ping between them, and a close, in pieces of every size. */
Test(ws_frame, pieces)
{
    static const char wire[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" /* "Hello" */
                               "\x01\x83\x01\x02\x03\x04\x49\x67\x6f"         /* "Hel", more */
                               "\x89\x82\0\0\0\0hi"                           /* ping */
                               "\x80\x82\0\0\0\0lo"                           /* "lo" */
                               "\x88\x85\0\0\0\0\x03\xe9"
                               "bye"; /* close 1001 */
    for (size_t piece = 1; piece < sizeof wire; piece++) {
        struct ws_reader r;
        ws_reader_init(&r, true, 5);
        char seen[64] = "";
        int code = 0;
        for (size_t i = 0; i < sizeof wire - 1; i += piece) {
            size_t len = sizeof wire - 1 - i < piece ? sizeof wire - 1 - i : piece;
            const char *at = wire + i;
            struct ws_message m;
            int n;
            while ((n = ws_reader_next(&r, &at, &len, &m)) > 0) {
                strcat(seen, m.op == WS_TEXT ? "t:" : m.op == WS_PING ? "p:" : "c:");
                strcat(strcat(seen, m.data), " ");
                code = m.close_code;
            }
            cr_assert_eq(n, 0);
        }
        cr_assert_str_eq(seen, "t:Hello p:hi t:Hello c:bye ", "piece %zu: %s", piece, seen);
        cr_assert_eq(code, 1001);
        ws_reader_done(&r);
    }
}

/* What breaks the protocol or the limit ends the stream for good, with its close code. */
Test(ws_frame, violations)
{
    static const struct {
        const char *wire;
        size_t len;
        int code, close;
    } cases[] = {
        {"\x81\x85", 2, RAIA_ERR_PROTOCOL, 1002},         /* masked where it must not be */
        {"\xc1\x00", 2, RAIA_ERR_PROTOCOL, 1002},         /* reserved bit */
        {"\x83\x00", 2, RAIA_ERR_PROTOCOL, 1002},         /* unknown kind */
        {"\x09\x00", 2, RAIA_ERR_PROTOCOL, 1002},         /* fragmented ping */
        {"\x89\x7e", 2, RAIA_ERR_PROTOCOL, 1002},         /* long ping */
        {"\x80\x00", 2, RAIA_ERR_PROTOCOL, 1002},         /* continues nothing */
        {"\x01\x00\x81\x00", 4, RAIA_ERR_PROTOCOL, 1002}, /* a second start */
        {"\x88\x01x", 3, RAIA_ERR_PROTOCOL, 1002},        /* half a close code */
        {"\x81\x0b", 2, RAIA_ERR_LIMIT, 1009},            /* too long */
        {"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, RAIA_ERR_LIMIT, 1009},
        {"\x01\x06"
         "abcdef\x80\x05",
         10, RAIA_ERR_LIMIT, 1009}, /* too long together */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ws_reader r;
        struct ws_message m;
        ws_reader_init(&r, false, 10);
        const char *at = cases[i].wire;
        size_t len = cases[i].len;
        cr_assert_eq(ws_reader_next(&r, &at, &len, &m), -cases[i].code, "case %zu", i);
        cr_assert_eq(ws_reader_close_code(&r), cases[i].close);
        at = "\x81\x00";
        len = 2;
        cr_assert_eq(ws_reader_next(&r, &at, &len, &m), -cases[i].code, "for good");
        ws_reader_done(&r);
    }
}

/* What the writer writes the reader reads, at every form of length. */
Test(ws_frame, round_trip)
{
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
    static const uint8_t mask[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < 12; i++) {
        size_t size = sizes[i / 2];
        bool masked = i & 1;
        char *wire = mem_zalloc(size + WS_HEAD_MAX);
        size_t n = ws_frame_head((uint8_t *)wire, WS_BINARY, size, masked ? mask : NULL);
        memset(wire + n, 'x', size);
        if (masked)
            ws_frame_mask(wire + n, size, mask);
        struct ws_reader r;
        struct ws_message m;
        ws_reader_init(&r, masked, 1 << 20);
        const char *at = wire;
        size_t len = n + size;
        cr_assert_eq(ws_reader_next(&r, &at, &len, &m), 1);
        cr_assert_eq(m.len, size);
        cr_assert_eq(m.op, WS_BINARY);
        cr_assert_eq(strspn(m.data, "x"), size);
        ws_reader_done(&r);
        mem_free(wire);
    }
}
