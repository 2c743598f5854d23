/*
 * Strict reading of numbers, sizes and durations, and writing them so that they read back.
 *
 * All of a text must be used, without blanks, in the C locale whatever the process has set.
 *
 * Threads: any. Failure: -INVALID for what is malformed, -LIMIT for what is out of range.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

/* Decimal digits; the signed one may begin with '-'. */
int str_to_u64(const char *s, uint64_t *ret_v);
int str_to_i64(const char *s, int64_t *ret_v);
/* As strtod in the C locale, finite, decimal. */
int str_to_double(const char *s, double *ret_v);
/* true, false, 1, 0, yes, no, on, off. */
int str_to_bool(const char *s, bool *ret_v);
/* Bytes: "4096", "64KiB" or "64Ki" (also M, G, T, P), and powers of 1000: "64KB" or "64K". */
int str_to_size(const char *s, uint64_t *ret_bytes);
/* Nanoseconds: "500ms", "2s" (also ns, us, m, h, d); a number without a unit only if it is 0. */
int str_to_duration(const char *s, int64_t *ret_ns);

/* Longest text of those below, with the end mark. */
#define STR_NUMBER_MAX 40
/* The shortest text of 15 or else 17 digits that reads back as v. Returns `to`. */
char *str_from_double(double v, char to[STR_NUMBER_MAX]);
/* With the largest unit that divides it. */
char *str_from_size(uint64_t bytes, char to[STR_NUMBER_MAX]);
char *str_from_duration(int64_t ns, char to[STR_NUMBER_MAX]);

#endif
