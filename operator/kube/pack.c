/*
 * Texts compressed against a model, with LZ4: see pack.h.
 */
#include "kube/pack.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>

#include "base/mem.h"

#define MODEL_MAX (64 << 10) /* as far as LZ4 looks back */

struct kube_packer {
    LZ4_stream_t state; /* of packing */
    size_t len;         /* of the model */
    char model[];       /* it */
};

struct kube_packer *kube_packer_new(const char *model, size_t len)
{
    if (len > MODEL_MAX) {
        model += len - MODEL_MAX;
        len = MODEL_MAX;
    }
    struct kube_packer *p = mem_zalloc(sizeof *p + len);
    if (!p)
        return NULL;
    memcpy(p->model, model, len);
    p->len = len;
    return p;
}

void kube_packer_free(struct kube_packer *p)
{
    mem_free(p);
}

size_t kube_pack(struct kube_packer *p, const char *text, size_t len, char *to, size_t room)
{
    if (len > LZ4_MAX_INPUT_SIZE || room > INT_MAX)
        return 0;
    (void)LZ4_loadDict(&p->state, p->model, (int)p->len);
    int n = LZ4_compress_fast_continue(&p->state, text, to, (int)len, (int)room, 1);
    return n > 0 ? (size_t)n : 0;
}

bool kube_unpack(const struct kube_packer *p, const char *packed, size_t n, char *to, size_t len)
{
    if (n > INT_MAX || len > INT_MAX)
        return false;
    return LZ4_decompress_safe_usingDict(packed, to, (int)n, (int)len, p->model, (int)p->len) ==
           (int)len;
}
