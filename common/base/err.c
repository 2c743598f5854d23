/*
 * The texts of the error codes, and filling error objects in bounded space.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT(name, number, can_retry, text) [number] = text,
static const char *const texts[RAIA_ERR_MAX + 1] = {[0] = "no error", RAIA_ERRORS(TEXT)};
#undef TEXT

#define RETRY(name, number, can_retry, text) [number] = can_retry,
static const bool retryables[RAIA_ERR_MAX + 1] = {RAIA_ERRORS(RETRY)};
#undef RETRY

static bool code_known(int code)
{
    return code > 0 && code <= RAIA_ERR_MAX;
}

/* Takes a code of either sign; what is unknown, and no error at all, count as INTERNAL. */
static int code_normal(int code)
{
    if (code < 0 && code >= -RAIA_ERR_MAX)
        code = -code;
    return code_known(code) ? code : RAIA_ERR_INTERNAL;
}

const char *raia_strerror(int code)
{
    if (code < 0 && code >= -RAIA_ERR_MAX)
        code = -code;
    return code == 0 || code_known(code) ? texts[code] : "unknown error";
}

/*
 * Cuts a text that did not fit so that it stays UTF-8: removes a character whose bytes were cut.
 */
static void text_mend(char *text)
{
    size_t n = strlen(text), i = n, want;
    unsigned char c;

    while (i > 0 && n - i < 4 && ((unsigned char)text[i - 1] & 0xc0) == 0x80)
        i--;
    if (i == 0)
        return;
    c = (unsigned char)text[i - 1];
    want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    if (n - (i - 1) < want)
        text[i - 1] = '\0';
}

static void text_vset(struct raia_error *e, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void text_vset(struct raia_error *e, const char *fmt, va_list ap)
{
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);

    if (n < 0)
        e->text[0] = '\0';
    else if ((size_t)n >= sizeof e->text)
        text_mend(e->text);
}

int err_set(struct raia_error *e, int code, const char *fmt, ...)
{
    int saved = errno;

    code = code_normal(code);
    if (e) {
        /* Through a copy: the arguments may point into the old text. */
        struct raia_error new = {.code = code, .retryable = retryables[code]};
        va_list ap;
        va_start(ap, fmt);
        text_vset(&new, fmt, ap);
        va_end(ap);
        *e = new;
    }
    errno = saved;
    return -code;
}

int err_errno(struct raia_error *e, int sys, const char *fmt, ...)
{
    int saved = errno, code = err_from_errno(sys);

    if (e) {
        struct raia_error new = {.code = code, .retryable = retryables[code]};
        char name[128];
        size_t n;
        va_list ap;

        va_start(ap, fmt);
        text_vset(&new, fmt, ap);
        va_end(ap);
        n = strlen(new.text);
        if (snprintf(new.text + n, sizeof new.text - n, ": %s",
                     strerror_r(sys, name, sizeof name)) >= (int)(sizeof new.text - n))
            text_mend(new.text);
        *e = new;
    }
    errno = saved;
    return -code;
}

int err_wrap(struct raia_error *e, const char *fmt, ...)
{
    int saved = errno;
    struct raia_error new;
    size_t n;
    va_list ap;

    if (!e)
        return -RAIA_ERR_INTERNAL;
    va_start(ap, fmt);
    text_vset(&new, fmt, ap);
    va_end(ap);
    n = strlen(new.text);
    if (snprintf(new.text + n, sizeof new.text - n, ": %s", e->text) >= (int)(sizeof new.text - n))
        text_mend(new.text);
    memcpy(e->text, new.text, sizeof e->text);
    errno = saved;
    return -code_normal(e->code);
}

int err_from_errno(int sys)
{
    switch (sys) {
    case ENOMEM:
        return RAIA_ERR_NOMEM;
    case EMFILE:
    case ENFILE:
        return RAIA_ERR_NO_FILES;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
    case ENXIO:
        return RAIA_ERR_NOT_FOUND;
    case EEXIST:
    case EADDRINUSE:
    case ENOTEMPTY:
        return RAIA_ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return RAIA_ERR_PERMISSION;
    case ENOSPC:
    case EDQUOT:
        return RAIA_ERR_DISK_FULL;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
    case ELOOP:
    case EDOM:
    case ERANGE:
        return RAIA_ERR_INVALID;
    case ETIMEDOUT:
    case ETIME:
        return RAIA_ERR_TIMEOUT;
    case ECANCELED:
        return RAIA_ERR_CANCELED;
    case EAGAIN:
    case EBUSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENETRESET:
    case EADDRNOTAVAIL:
        return RAIA_ERR_UNAVAILABLE;
    case EFBIG:
    case EOVERFLOW:
    case EMSGSIZE:
    case E2BIG:
    case ENOBUFS:
        return RAIA_ERR_LIMIT;
    case EPROTO:
    case EBADMSG:
    case EILSEQ:
        return RAIA_ERR_PROTOCOL;
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
    case ENOPROTOOPT:
        return RAIA_ERR_UNSUPPORTED;
    case EFAULT:
    case EBADF:
    case ENOTSOCK:
        return RAIA_ERR_INTERNAL;
    default:
        return RAIA_ERR_IO;
    }
}

void err_clear(struct raia_error *e)
{
    if (e)
        *e = (struct raia_error){0};
}
