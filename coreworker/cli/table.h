/*
 * Lists for people and for programs: rows of JSON objects as an aligned table, or as a JSON array.
 *
 * Ownership: nothing is kept. Threads: any. Failure: -NOMEM; -IO when the output cannot be written.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "json/json.h"

struct table_column {
    const char *title; /* printed in capitals; NULL ends the list */
    const char *path;  /* of the value in a row */
};

/* rows: an array of objects (NULL: none). With `json` the rows are printed whole. */
int table_print(FILE *to, const struct json *rows, const struct table_column *columns, bool json);

/* One object: "title: value" lines, or JSON. */
int table_print_one(FILE *to, const struct json *row, bool json);

#endif
