/*
 * Private to json/: how the facade's nodes map to cJSON's.
 *
 * A `struct json` is a cJSON node. Numbers: an integer that fits an int is a cJSON_Number; every
 * other number is a cJSON_Raw whose text is the number's own digits, because cJSON's doubles lose
 * integers beyond 2^53 and print even smaller ones inexactly. Nothing else is ever Raw.
 */
#ifndef JSON_JSON_NODE_H
#define JSON_JSON_NODE_H

#include <cjson/cJSON.h>

#include "json/json.h"

static inline cJSON *json_c__(const struct json *n)
{
    return (cJSON *)n;
}

static inline struct json *json_n__(const cJSON *c)
{
    return (struct json *)c;
}

/* The length of the well-formed UTF-8 sequence at s (1 to 4), or 0. */
size_t json_utf8__(const unsigned char *s, const unsigned char *end);

/* Is text[0..len) a JSON number. */
bool json_is_number__(const char *text, size_t len);

/* A number node for digits that are known to be a JSON number; NULL when memory runs out. */
struct json *json_number__(const char *text, size_t len);

/* Links a child with a key (mem_*, taken over; NULL in arrays) at the end. Cannot fail. */
void json_link__(struct json *parent, char *key, struct json *child);

#endif
