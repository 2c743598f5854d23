/*
 * A storage in front of another one that makes writes durable only when told.
 *
 *     r = lazy_open(inner, &s);       // inner outlives it, and survives a crash
 *     lazy_flush(s, 1);               // the oldest waiting request; its callback runs
 *     storage_free(s);                // what was not flushed is lost
 */
#ifndef TEST_LAZY_H
#define TEST_LAZY_H

#include "storage/storage.h"

/* inner outlives it. */
int lazy_open(struct storage *inner, struct storage **ret_s);
/* Makes the n oldest waiting requests durable (SIZE_MAX: all); their callbacks run. */
void lazy_flush(struct storage *s, size_t n);
size_t lazy_waiting(const struct storage *s);
/* Everything from now on fails with this code (positive). */
void lazy_fail(struct storage *s, int code);

#endif
