/*
 * A book as a client of the protocol holds it: rebuilt from the messages alone, with nothing of the
 * server's code.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum {
    BOOK_CHECKSUM_DEPTH = 10,
    BOOK_PLACES_MAX = 18, /* of an int64_t */
};

/* Scaled integers. */
typedef struct level {
    int64_t px;
    int64_t sz;
} level_t;

/* Worst first: most changes are near the best, and there little has to move. */
typedef struct side {
    bool bids;
    size_t count;
    size_t capacity;
    level_t *level;
} side_t;

/* Zeroed and given its terms with book_open(), a book is empty. */
typedef struct book {
    int px_dp;
    int sz_dp;
    size_t depth;
    side_t side[2]; /* bids, asks */
} book_t;

/* The terms, which may change: then a snapshot must follow. */
void book_open(book_t *book, int px_dp, int sz_dp, size_t depth);
void book_free(book_t *book);

/* The `data` of a snapshot and of an update. False: it breaks a rule of the protocol. */
bool book_replace(book_t *book, const json_t *data);
bool book_update(book_t *book, const json_t *data);

/* What `cs` must be. */
json_int_t book_checksum(const book_t *book);

bool book_crossed(const book_t *book);
bool book_same(const book_t *book, const book_t *other);

/* One level a line, "B px sz" from high to low, then "A px sz" from low to high; numbers without
 * trailing zeros. A JSON string; NULL: out of memory. */
json_t *book_text(const book_t *book);
