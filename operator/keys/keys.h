/*
 * A secret_maker (core/secret.h) of real keys and random tokens.
 *
 *     struct reconciler *r = raycluster_reconciler(&config, keys_maker());
 *
 * Ownership: it lives as long as the program. Threads: one, as for reconcilers (the authority used last is
 * kept ready for use). Failure: none here.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "core/secret.h"

struct secret_maker *keys_maker(void);

#endif
