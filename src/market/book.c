#include "market/book.h"

#include "base/mem.h"
#include "market/decimal.h"

#include <string.h>

enum {
    SIDES = 2,
    CHUNK_LEVELS = 64, /* 1 KiB: a move inside a chunk touches at most 16 cache lines */
    /* Neighbours that together hold no more than this become one. A split leaves twice as many, so
     * 32 removals lie between a split and a merge, and an average chunk holds more than 16. */
    MERGE_LEVELS = CHUNK_LEVELS / 2,
    INDEX_CHUNKS_MIN = 8,
    /* 16 MiB of levels a side, 270,000 of them at the least: several times the deepest book seen.
     * A venue that sends more gets NO_MEMORY instead of the host's memory. */
    INDEX_CHUNKS_MAX = 16384,
};

typedef union chunk {
    tf_level_t level[CHUNK_LEVELS];
    union chunk *next_free;
} chunk_t;

/*
 * Parallel arrays of `chunks` entries, of which `capacity` are allocated. No chunk is empty.
 *
 * px ^ flip puts both sides in the same order: -1 complements, which reverses the order of all
 * int64 without overflow, so "better" is "smaller" on either side.
 */
typedef struct half {
    int64_t *first_px;
    chunk_t **chunk;
    uint8_t *count; /* 1..CHUNK_LEVELS */
    size_t chunks;
    size_t capacity;
    size_t levels;
    int64_t flip;
} half_t;

struct tf_book {
    half_t half[SIDES];
    chunk_t *free; /* chunks of either side that await reuse */
};

/* A level's place: what it has or would have. */
typedef struct place {
    size_t chunk;
    size_t slot;
} place_t;

tf_book_t *tf_book_create(void)
{
    tf_book_t *book = tf_mem_calloc(1, sizeof *book);
    if (book != NULL)
        book->half[TF_SIDE_BUY].flip = -1;
    return book;
}

void tf_book_destroy(tf_book_t *book)
{
    if (book == NULL)
        return;
    tf_book_clear(book);
    while (book->free != NULL) {
        chunk_t *chunk = book->free;
        book->free = chunk->next_free;
        tf_mem_free(chunk);
    }
    for (int side = 0; side < SIDES; side++) {
        tf_mem_free(book->half[side].first_px);
        tf_mem_free(book->half[side].chunk);
        tf_mem_free(book->half[side].count);
    }
    tf_mem_free(book);
}

static void chunk_release(tf_book_t *book, chunk_t *chunk)
{
    chunk->next_free = book->free;
    book->free = chunk;
}

void tf_book_clear(tf_book_t *book)
{
    for (int side = 0; side < SIDES; side++) {
        half_t *half = &book->half[side];
        for (size_t i = 0; i < half->chunks; i++)
            chunk_release(book, half->chunk[i]);
        half->chunks = 0;
        half->levels = 0;
    }
}

/* Room for one more chunk in the index; false leaves the index as it was. */
static bool index_reserve(half_t *half)
{
    if (half->chunks < half->capacity)
        return true;
    size_t capacity = half->capacity == 0 ? INDEX_CHUNKS_MIN : half->capacity * 2;
    if (capacity > INDEX_CHUNKS_MAX)
        return false;
    int64_t *first_px = tf_mem_realloc(half->first_px, capacity, sizeof *first_px);
    if (first_px == NULL)
        return false;
    half->first_px = first_px; /* larger than `capacity` says: harmless when a later one fails */
    chunk_t **chunk = tf_mem_realloc(half->chunk, capacity, sizeof(chunk_t *));
    if (chunk == NULL)
        return false;
    half->chunk = chunk;
    uint8_t *count = tf_mem_realloc(half->count, capacity, sizeof *count);
    if (count == NULL)
        return false;
    half->count = count;
    half->capacity = capacity;
    return true;
}

static chunk_t *chunk_take(tf_book_t *book)
{
    chunk_t *chunk = book->free;
    if (chunk == NULL)
        return tf_mem_aligned(sizeof *chunk);
    book->free = chunk->next_free;
    return chunk;
}

/* A new chunk at index `at` for the caller to fill; NULL when out of memory. */
static chunk_t *index_open(tf_book_t *book, half_t *half, size_t at)
{
    if (!index_reserve(half))
        return NULL;
    chunk_t *chunk = chunk_take(book);
    if (chunk == NULL)
        return NULL;
    size_t behind = half->chunks - at;
    memmove(&half->first_px[at + 1], &half->first_px[at], behind * sizeof half->first_px[0]);
    memmove(&half->chunk[at + 1], &half->chunk[at], behind * sizeof(chunk_t *));
    memmove(&half->count[at + 1], &half->count[at], behind * sizeof half->count[0]);
    half->chunk[at] = chunk;
    half->count[at] = 0;
    half->chunks++;
    return chunk;
}

static void index_close(tf_book_t *book, half_t *half, size_t at)
{
    chunk_release(book, half->chunk[at]);
    half->chunks--;
    size_t behind = half->chunks - at;
    memmove(&half->first_px[at], &half->first_px[at + 1], behind * sizeof half->first_px[0]);
    memmove(&half->chunk[at], &half->chunk[at + 1], behind * sizeof(chunk_t *));
    memmove(&half->count[at], &half->count[at + 1], behind * sizeof half->count[0]);
}

/* The last chunk whose first price is not worse than `key`, or the first chunk. */
static size_t chunk_find(const half_t *half, int64_t key)
{
    size_t chunks = half->chunks;
    if (chunks < 2 || key < (half->first_px[1] ^ half->flip))
        return 0; /* most changes are near the top */
    if (key >= (half->first_px[chunks - 1] ^ half->flip))
        return chunks - 1; /* a snapshot appends */
    size_t low = 1;
    size_t count = chunks - 1;
    while (count > 1) { /* the answer is in [low, low + count) */
        size_t step = count / 2;
        low += key >= (half->first_px[low + step] ^ half->flip) ? step : 0;
        count -= step;
    }
    return low;
}

/* How many levels of the chunk are better than `key`: the slot that it has or would have. */
static size_t slot_find(const tf_level_t *level, size_t count, int64_t key, int64_t flip)
{
    if ((level[count - 1].px ^ flip) < key)
        return count;
    size_t low = 0;
    while (count > 1) { /* the answer is in [low, low + count) */
        size_t step = count / 2;
        low += (level[low + step - 1].px ^ flip) < key ? step : 0;
        count -= step;
    }
    return low;
}

static place_t place_find(const half_t *half, int64_t px)
{
    int64_t key = px ^ half->flip;
    if (half->chunks == 0)
        return (place_t){0, 0};
    size_t at = chunk_find(half, key);
    return (place_t){at, slot_find(half->chunk[at]->level, half->count[at], key, half->flip)};
}

static bool place_holds(const half_t *half, place_t place, int64_t px)
{
    return half->chunks > 0 && place.slot < half->count[place.chunk] &&
           half->chunk[place.chunk]->level[place.slot].px == px;
}

static uint32_t place_rank(const half_t *half, place_t place, uint32_t rank_max)
{
    size_t rank = place.slot;
    for (size_t i = 0; i < place.chunk && rank < rank_max; i++)
        rank += half->count[i];
    return rank < rank_max ? (uint32_t)rank : (uint32_t)TF_BOOK_RANK_UNKNOWN;
}

/*
 * Make room at a place in a full chunk; false when out of memory. Behind the last level a new chunk
 * is begun, which leaves full chunks behind an appended snapshot; elsewhere the chunk is halved.
 */
static bool place_split(tf_book_t *book, half_t *half, place_t *place)
{
    size_t at = place->chunk;
    bool append = at + 1 == half->chunks && place->slot == CHUNK_LEVELS;
    chunk_t *fresh = index_open(book, half, at + 1);
    if (fresh == NULL)
        return false;
    size_t keep = append ? CHUNK_LEVELS : CHUNK_LEVELS / 2;
    size_t moved = CHUNK_LEVELS - keep;
    memcpy(fresh->level, &half->chunk[at]->level[keep], moved * sizeof(tf_level_t));
    half->first_px[at + 1] = fresh->level[0].px; /* nothing yet when appending: slot 0 sets it */
    half->count[at] = (uint8_t)keep;
    half->count[at + 1] = (uint8_t)moved;
    if (append || place->slot > keep)
        *place = (place_t){at + 1, place->slot - keep};
    return true;
}

static bool level_insert(tf_book_t *book, half_t *half, place_t place, tf_level_t level)
{
    if (half->chunks == 0) {
        if (index_open(book, half, 0) == NULL)
            return false;
    } else if (half->count[place.chunk] == CHUNK_LEVELS) {
        if (!place_split(book, half, &place))
            return false;
    }
    tf_level_t *slot = &half->chunk[place.chunk]->level[place.slot];
    size_t behind = half->count[place.chunk] - place.slot;
    memmove(slot + 1, slot, behind * sizeof *slot);
    *slot = level;
    half->count[place.chunk]++;
    half->levels++;
    if (place.slot == 0)
        half->first_px[place.chunk] = level.px;
    return true;
}

/* Join chunk `at` with the one behind it if they fit comfortably. */
static void chunk_merge(tf_book_t *book, half_t *half, size_t at)
{
    if (at + 1 >= half->chunks || half->count[at] + half->count[at + 1] > MERGE_LEVELS)
        return;
    memcpy(&half->chunk[at]->level[half->count[at]], half->chunk[at + 1]->level,
           half->count[at + 1] * sizeof(tf_level_t));
    half->count[at] = (uint8_t)(half->count[at] + half->count[at + 1]);
    index_close(book, half, at + 1);
}

static void level_remove(tf_book_t *book, half_t *half, place_t place)
{
    size_t at = place.chunk;
    tf_level_t *slot = &half->chunk[at]->level[place.slot];
    half->levels--;
    half->count[at]--;
    if (half->count[at] == 0) {
        index_close(book, half, at);
        return;
    }
    memmove(slot, slot + 1, (half->count[at] - place.slot) * sizeof *slot);
    half->first_px[at] = half->chunk[at]->level[0].px;
    chunk_merge(book, half, at);
    if (at > 0)
        chunk_merge(book, half, at - 1);
}

tf_book_change_t tf_book_set(tf_book_t *book, tf_side_t side, int64_t px, int64_t sz,
                             uint32_t rank_max, uint32_t *rank)
{
    TF_ASSERT(px != TF_PRICE_NONE && sz >= 0);
    half_t *half = &book->half[side];
    place_t place = place_find(half, px);
    if (!place_holds(half, place, px)) {
        if (sz == 0)
            return TF_BOOK_SAME;
        *rank = place_rank(half, place, rank_max);
        tf_level_t level = {px, sz};
        return level_insert(book, half, place, level) ? TF_BOOK_INSERT : TF_BOOK_NO_MEMORY;
    }
    tf_level_t *level = &half->chunk[place.chunk]->level[place.slot];
    if (level->sz == sz)
        return TF_BOOK_SAME;
    *rank = place_rank(half, place, rank_max);
    if (sz == 0) {
        level_remove(book, half, place);
        return TF_BOOK_REMOVE;
    }
    level->sz = sz;
    return TF_BOOK_RESIZE;
}

size_t tf_book_levels(const tf_book_t *book, tf_side_t side)
{
    return book->half[side].levels;
}

bool tf_book_at(const tf_book_t *book, tf_side_t side, size_t rank, tf_level_t *out)
{
    const half_t *half = &book->half[side];
    for (size_t i = 0; i < half->chunks; i++) {
        if (rank < half->count[i]) {
            *out = half->chunk[i]->level[rank];
            return true;
        }
        rank -= half->count[i];
    }
    return false;
}

size_t tf_book_copy(const tf_book_t *book, tf_side_t side, tf_level_t *out, size_t max)
{
    const half_t *half = &book->half[side];
    size_t copied = 0;
    for (size_t i = 0; i < half->chunks && copied < max; i++) {
        size_t take = half->count[i] < max - copied ? half->count[i] : max - copied;
        memcpy(out + copied, half->chunk[i]->level, take * sizeof *out);
        copied += take;
    }
    return copied;
}

static tf_level_t best(const half_t *half)
{
    return half->chunks > 0 ? half->chunk[0]->level[0] : (tf_level_t){TF_PRICE_NONE, 0};
}

tf_bbo_t tf_book_bbo(const tf_book_t *book)
{
    tf_level_t bid = best(&book->half[TF_SIDE_BUY]);
    tf_level_t ask = best(&book->half[TF_SIDE_SELL]);
    return (tf_bbo_t){.bid_px = bid.px, .bid_sz = bid.sz, .ask_px = ask.px, .ask_sz = ask.sz};
}

bool tf_book_crossed(const tf_book_t *book)
{
    tf_bbo_t bbo = tf_book_bbo(book);
    return bbo.bid_px != TF_PRICE_NONE && bbo.ask_px != TF_PRICE_NONE && bbo.bid_px >= bbo.ask_px;
}

/* Multiply one side; with `store` false only say whether every product fits. */
static bool half_rescale(half_t *half, uint8_t px_up, uint8_t sz_up, bool store)
{
    for (size_t i = 0; i < half->chunks; i++) {
        for (size_t j = 0; j < half->count[i]; j++) {
            tf_level_t *level = &half->chunk[i]->level[j];
            tf_level_t scaled;
            if (tf_decimal_rescale((tf_decimal_t){level->px, 0}, px_up, &scaled.px) !=
                    TF_DECIMAL_OK ||
                tf_decimal_rescale((tf_decimal_t){level->sz, 0}, sz_up, &scaled.sz) !=
                    TF_DECIMAL_OK)
                return false;
            if (store)
                *level = scaled;
        }
        if (store)
            half->first_px[i] = half->chunk[i]->level[0].px;
    }
    return true;
}

bool tf_book_rescale(tf_book_t *book, uint8_t px_up, uint8_t sz_up)
{
    for (int store = 0; store < 2; store++) { /* a dry run first: all levels or none */
        for (int side = 0; side < SIDES; side++) {
            if (!half_rescale(&book->half[side], px_up, sz_up, store != 0))
                return false;
        }
    }
    return true;
}

static void half_verify(const half_t *half)
{
    size_t levels = 0;
    bool has_last = false;
    int64_t last_key = 0;
    TF_ASSERT(half->chunks <= half->capacity && half->capacity <= INDEX_CHUNKS_MAX);
    for (size_t i = 0; i < half->chunks; i++) {
        const tf_level_t *level = half->chunk[i]->level;
        TF_ASSERT(half->count[i] >= 1 && half->count[i] <= CHUNK_LEVELS);
        TF_ASSERT(i == 0 || half->count[i - 1] + half->count[i] > MERGE_LEVELS);
        TF_ASSERT(half->first_px[i] == level[0].px);
        for (size_t j = 0; j < half->count[i]; j++) {
            int64_t key = level[j].px ^ half->flip;
            TF_ASSERT(level[j].sz > 0 && level[j].px != TF_PRICE_NONE);
            TF_ASSERT(!has_last || key > last_key);
            last_key = key;
            has_last = true;
        }
        levels += half->count[i];
    }
    TF_ASSERT(levels == half->levels);
}

void tf_book_verify(const tf_book_t *book)
{
    for (int side = 0; side < SIDES; side++)
        half_verify(&book->half[side]);
}
