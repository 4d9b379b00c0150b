#include "060_lws_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum {
    NUMBER_BYTES = 32,
    CHECKSUM_BYTES = 4 * BOOK_CHECKSUM_DEPTH * NUMBER_BYTES,
    SIDE_LEVELS_MIN = 64,
};

/* ---- numbers ---- */

static void number_write(char out[NUMBER_BYTES], int64_t value, int places)
{
    int64_t one = 1;
    for (int i = 0; i < places; i++)
        one *= 10;
    if (places == 0)
        (void)snprintf(out, NUMBER_BYTES, "%lld", (long long)value);
    else
        (void)snprintf(out, NUMBER_BYTES, "%lld.%0*lld", (long long)(value / one), places,
                       (long long)(value % one));
}

/* Only what number_write() would have written, with that many places. */
static bool number_read(const json_t *value, int places, int64_t *out)
{
    const char *text = json_string_value(value);
    char again[NUMBER_BYTES];
    *out = 0;
    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        if (*at == '.')
            continue;
        if (*at < '0' || *at > '9' || *out > (INT64_MAX - 9) / 10)
            return false;
        *out = *out * 10 + (*at - '0');
    }
    number_write(again, *out, places);
    return text != NULL && strcmp(again, text) == 0;
}

static void number_print(FILE *out, int64_t value, int places, char after)
{
    while (places > 0 && value % 10 == 0) {
        value /= 10;
        places--;
    }
    char text[NUMBER_BYTES];
    number_write(text, value, places);
    (void)fprintf(out, "%s%c", text, after);
}

/* ---- a side ---- */

static bool better(const side_t *side, int64_t px, int64_t than)
{
    return side->bids ? px > than : px < than;
}

/* Of the first level that is not worse. */
static size_t place_of(const side_t *side, int64_t px)
{
    size_t low = 0;
    size_t high = side->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (better(side, px, side->level[middle].px))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool side_insert(side_t *side, size_t at, level_t level)
{
    if (side->count == side->capacity) {
        size_t capacity = side->capacity > 0 ? 2 * side->capacity : SIDE_LEVELS_MIN;
        level_t *grown = realloc(side->level, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        side->level = grown;
        side->capacity = capacity;
    }
    memmove(side->level + at + 1, side->level + at, (side->count - at) * sizeof level);
    side->level[at] = level;
    side->count++;
    return true;
}

/* Nothing is removed that is not there, nothing set to what it is. */
static bool side_set(side_t *side, level_t level)
{
    size_t at = place_of(side, level.px);
    bool held = at < side->count && side->level[at].px == level.px;
    if (!held)
        return level.sz != 0 && side_insert(side, at, level);
    if (side->level[at].sz == level.sz)
        return false;
    side->level[at] = level;
    if (level.sz == 0) {
        side->count--;
        memmove(side->level + at, side->level + at + 1, (side->count - at) * sizeof level);
    }
    return true;
}

static void side_truncate(side_t *side, size_t depth)
{
    if (side->count <= depth)
        return;
    memmove(side->level, side->level + side->count - depth, depth * sizeof *side->level);
    side->count = depth;
}

/* ---- messages ---- */

static bool level_read(const book_t *book, const json_t *pair, level_t *out)
{
    return json_array_size(pair) == 2 &&
           number_read(json_array_get(pair, 0), book->px_dp, &out->px) &&
           number_read(json_array_get(pair, 1), book->sz_dp, &out->sz);
}

/* Levels come best first, none is empty and none too many. */
static bool side_replace(const book_t *book, side_t *side, const json_t *levels)
{
    level_t level;
    side->count = 0;
    for (size_t i = json_array_size(levels); i > 0; i--) {
        if (!level_read(book, json_array_get(levels, i - 1), &level) || level.sz == 0)
            return false;
        if (side->count > 0 && !better(side, level.px, side->level[side->count - 1].px))
            return false;
        if (!side_insert(side, side->count, level))
            return false;
    }
    return side->count <= book->depth;
}

static bool side_update(const book_t *book, side_t *side, const json_t *levels)
{
    level_t level;
    for (size_t i = 0; i < json_array_size(levels); i++) {
        if (!level_read(book, json_array_get(levels, i), &level) || !side_set(side, level))
            return false;
    }
    side_truncate(side, book->depth);
    return true;
}

bool book_replace(book_t *book, const json_t *data)
{
    const json_t *bids = json_object_get(data, "b");
    const json_t *asks = json_object_get(data, "a");
    return json_is_array(bids) && json_is_array(asks) && side_replace(book, &book->side[0], bids) &&
           side_replace(book, &book->side[1], asks);
}

bool book_update(book_t *book, const json_t *data)
{
    const json_t *bids = json_object_get(data, "b");
    const json_t *asks = json_object_get(data, "a");
    return json_is_array(bids) && json_is_array(asks) &&
           json_array_size(bids) + json_array_size(asks) > 0 &&
           side_update(book, &book->side[0], bids) && side_update(book, &book->side[1], asks);
}

/* ---- a book ---- */

void book_open(book_t *book, int px_dp, int sz_dp, size_t depth)
{
    book->px_dp = px_dp;
    book->sz_dp = sz_dp;
    book->depth = depth;
    book->side[0].bids = true;
}

void book_free(book_t *book)
{
    free(book->side[0].level);
    free(book->side[1].level);
}

json_int_t book_checksum(const book_t *book)
{
    char text[CHECKSUM_BYTES];
    size_t bytes = 0;
    for (size_t rank = 0; rank < BOOK_CHECKSUM_DEPTH; rank++) {
        for (int i = 0; i < 2; i++) {
            const side_t *side = &book->side[i];
            if (rank >= side->count)
                continue;
            const level_t *level = &side->level[side->count - 1 - rank];
            char px[NUMBER_BYTES];
            char sz[NUMBER_BYTES];
            number_write(px, level->px, book->px_dp);
            number_write(sz, level->sz, book->sz_dp);
            bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s%s:%s",
                                      bytes > 0 ? ":" : "", px, sz);
        }
    }
    return bytes == 0 ? 0 : (json_int_t)crc32(0, (const Bytef *)text, (uInt)bytes);
}

bool book_crossed(const book_t *book)
{
    const side_t *bids = &book->side[0];
    const side_t *asks = &book->side[1];
    return bids->count > 0 && asks->count > 0 &&
           bids->level[bids->count - 1].px >= asks->level[asks->count - 1].px;
}

static bool side_same(const side_t *side, const side_t *other)
{
    size_t bytes = side->count * sizeof *side->level;
    return side->count == other->count &&
           (bytes == 0 || memcmp(side->level, other->level, bytes) == 0);
}

bool book_same(const book_t *book, const book_t *other)
{
    return side_same(&book->side[0], &other->side[0]) && side_same(&book->side[1], &other->side[1]);
}

json_t *book_text(const book_t *book)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return NULL;
    for (int i = 0; i < 2; i++) {
        const side_t *side = &book->side[i];
        for (size_t at = side->count; at > 0; at--) {
            (void)fputs(side->bids ? "B " : "A ", out);
            number_print(out, side->level[at - 1].px, book->px_dp, ' ');
            number_print(out, side->level[at - 1].sz, book->sz_dp, '\n');
        }
    }
    json_t *value = fclose(out) == 0 ? json_stringn(text, bytes) : NULL;
    free(text);
    return value;
}
