/*
 * Texts kept small: each is compressed against one that is like it. Private to kube/. The only code
 * that includes liblz4.
 *
 *     struct kube_packer *p = kube_packer_new(text, len);     // of a typical one
 *     n = kube_pack(p, text, len, to, room);                  // 0: it does not pay
 *     ok = kube_unpack(p, packed, n, to, len);
 *
 * The same text gives the same bytes. Ownership: the model is copied. Threads: the owner's; unpacking any.
 * Failure: NULL when memory runs out.
 */
#ifndef KUBE_PACK_H
#define KUBE_PACK_H

#include <stdbool.h>
#include <stddef.h>

struct kube_packer;

struct kube_packer *kube_packer_new(const char *model, size_t len);
void kube_packer_free(struct kube_packer *p); /* accepts NULL */
/* Bytes written to `to`; 0: they would be more than room. */
size_t kube_pack(struct kube_packer *p, const char *text, size_t len, char *to, size_t room);
/* Writes exactly len bytes; false: it is not what kube_pack has made. */
bool kube_unpack(const struct kube_packer *p, const char *packed, size_t n, char *to, size_t len);

#endif
