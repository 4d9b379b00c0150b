/*
 * The book against the simplest thing that can be right: one sorted array a side, searched from the
 * front. Optional argument: how many changes to make.
 */
#include "kit/kit.h"

#include "base/rng.h"
#include "market/book.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPS_DEFAULT = 300000,
    NAIVE_LEVELS_MAX = 8192,
    PHASE_OPS = 20000,    /* then another shape of traffic */
    COMPARE_EVERY = 1000, /* whole books, and tf_book_verify */
};

typedef struct naive {
    tf_level_t level[NAIVE_LEVELS_MAX]; /* best first */
    size_t count;
} naive_t;

/* How a phase draws prices and how often it removes. */
typedef struct shape {
    const char *name;
    uint64_t prices; /* per side: with NAIVE_LEVELS_MAX or fewer the naive array cannot run over */
    uint64_t remove_percent;
    bool near_top; /* most changes close to the best price */
} shape_t;

static const shape_t shapes[] = {
    {"uniform, deep", 8000, 30, false},        {"near the top", 4000, 45, true},
    {"uniform, draining", 8000, 80, false},    {"small", 100, 50, false},
    {"near the top, filling", 8000, 20, true},
};

static uint64_t ops_total = OPS_DEFAULT;
static naive_t naive_sides[2];
static int64_t unit; /* 10^(rescales so far): prices are multiples, so that rescaled ones are met */

static bool better(tf_side_t side, int64_t a, int64_t b)
{
    return side == TF_SIDE_BUY ? a > b : a < b;
}

static tf_book_change_t naive_set(tf_side_t side, int64_t px, int64_t sz, size_t *rank)
{
    naive_t *naive = &naive_sides[side];
    size_t at = 0;
    while (at < naive->count && better(side, naive->level[at].px, px))
        at++;
    *rank = at;
    tf_level_t *level = &naive->level[at];
    if (at == naive->count || level->px != px) {
        if (sz == 0)
            return TF_BOOK_SAME;
        assert_true(naive->count < NAIVE_LEVELS_MAX);
        memmove(level + 1, level, (naive->count - at) * sizeof *level);
        *level = (tf_level_t){px, sz};
        naive->count++;
        return TF_BOOK_INSERT;
    }
    if (level->sz == sz)
        return TF_BOOK_SAME;
    level->sz = sz;
    if (sz != 0)
        return TF_BOOK_RESIZE;
    naive->count--;
    memmove(level, level + 1, (naive->count - at) * sizeof *level);
    return TF_BOOK_REMOVE;
}

static void bbo_compare(const tf_book_t *book)
{
    tf_bbo_t bbo = tf_book_bbo(book);
    const tf_level_t none = {TF_PRICE_NONE, 0};
    tf_level_t bid = naive_sides[TF_SIDE_BUY].count ? naive_sides[TF_SIDE_BUY].level[0] : none;
    tf_level_t ask = naive_sides[TF_SIDE_SELL].count ? naive_sides[TF_SIDE_SELL].level[0] : none;
    assert_int_equal(bbo.bid_px, bid.px);
    assert_int_equal(bbo.bid_sz, bid.sz);
    assert_int_equal(bbo.ask_px, ask.px);
    assert_int_equal(bbo.ask_sz, ask.sz);
    bool both = naive_sides[TF_SIDE_BUY].count > 0 && naive_sides[TF_SIDE_SELL].count > 0;
    assert_int_equal(tf_book_crossed(book), both && bid.px >= ask.px);
}

static void books_compare(const tf_book_t *book, tf_rng_t *rng)
{
    static tf_level_t copy[NAIVE_LEVELS_MAX];
    tf_book_verify(book);
    for (unsigned side = 0; side < 2; side++) {
        const naive_t *naive = &naive_sides[side];
        assert_int_equal(tf_book_levels(book, (tf_side_t)side), naive->count);
        assert_int_equal(tf_book_copy(book, (tf_side_t)side, copy, NAIVE_LEVELS_MAX), naive->count);
        assert_memory_equal(copy, naive->level, naive->count * sizeof copy[0]);
        size_t max = tf_rng_below(rng, NAIVE_LEVELS_MAX);
        size_t expected = max < naive->count ? max : naive->count;
        assert_int_equal(tf_book_copy(book, (tf_side_t)side, copy, max), expected);
        for (int i = 0; i < 10; i++) {
            tf_level_t level = {0, 0};
            size_t rank = tf_rng_below(rng, naive->count + 2);
            bool there = tf_book_at(book, (tf_side_t)side, rank, &level);
            assert_int_equal(there, rank < naive->count);
            if (there)
                assert_memory_equal(&level, &naive->level[rank], sizeof level);
        }
    }
}

static int64_t price_draw(const shape_t *shape, tf_rng_t *rng, tf_side_t side)
{
    uint64_t distance = tf_rng_below(rng, shape->prices); /* 0 is the best there can be */
    if (shape->near_top && tf_rng_below(rng, 20) != 0)
        distance = tf_rng_below(rng, tf_rng_below(rng, 60) + 1);
    int64_t middle = 2000; /* so that there are negative prices too, and the sides overlap */
    int64_t offset = (int64_t)distance - 20;
    return (side == TF_SIDE_BUY ? middle - offset : middle + offset) * unit;
}

static void change_compare(tf_book_t *book, const shape_t *shape, tf_rng_t *rng)
{
    tf_side_t side = tf_rng_below(rng, 2) ? TF_SIDE_SELL : TF_SIDE_BUY;
    int64_t px = price_draw(shape, rng, side);
    bool removes = tf_rng_below(rng, 100) < shape->remove_percent;
    const naive_t *naive = &naive_sides[side];
    if (removes && naive->count > 0 && tf_rng_below(rng, 4) != 0) {
        uint64_t reach = shape->near_top && naive->count > 100 ? 100 : naive->count;
        px = naive->level[tf_rng_below(rng, reach)].px;
    }
    int64_t sz = removes ? 0 : (int64_t)tf_rng_below(rng, 5) + 1;
    uint32_t rank_max = tf_rng_below(rng, 2) ? UINT32_MAX : (uint32_t)tf_rng_below(rng, 2000);
    size_t expected_rank;
    tf_book_change_t expected = naive_set(side, px, sz, &expected_rank);
    uint32_t rank = 0;
    assert_int_equal(tf_book_set(book, side, px, sz, rank_max, &rank), expected);
    if (expected != TF_BOOK_SAME)
        assert_int_equal(rank, expected_rank < rank_max ? expected_rank : TF_BOOK_RANK_UNKNOWN);
    bbo_compare(book);
}

static void both_clear(tf_book_t *book)
{
    tf_book_clear(book);
    naive_sides[0].count = 0;
    naive_sides[1].count = 0;
    unit = 1;
}

static void both_rescale(tf_book_t *book)
{
    assert_true(tf_book_rescale(book, 1, 1));
    unit *= 10;
    for (unsigned side = 0; side < 2; side++) {
        for (size_t i = 0; i < naive_sides[side].count; i++) {
            naive_sides[side].level[i].px *= 10;
            naive_sides[side].level[i].sz *= 10;
        }
    }
}

/* As a venue's snapshot comes: sorted, best first. */
static void both_load(tf_book_t *book, const shape_t *shape, tf_rng_t *rng)
{
    size_t ignored;
    uint32_t rank;
    for (unsigned side = 0; side < 2; side++) {
        for (uint64_t i = 0; i < shape->prices; i += 1 + tf_rng_below(rng, 4)) {
            int64_t offset = (int64_t)i - 20;
            int64_t px = side == TF_SIDE_BUY ? 2000 - offset : 2000 + offset;
            assert_int_equal(naive_set((tf_side_t)side, px, 1, &ignored), TF_BOOK_INSERT);
            assert_int_equal(tf_book_set(book, (tf_side_t)side, px, 1, UINT32_MAX, &rank),
                             TF_BOOK_INSERT);
            assert_int_equal(rank, ignored);
        }
    }
}

static void book_agrees_with_a_sorted_array(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(0x600d)};
    tf_book_t *book = tf_book_create();
    assert_non_null(book);
    const shape_t *shape = &shapes[0];
    both_clear(book);
    for (uint64_t op = 0; op < ops_total; op++) {
        if (op % PHASE_OPS == 0) {
            shape = &shapes[tf_rng_below(&rng, sizeof shapes / sizeof shapes[0])];
            if (tf_rng_below(&rng, 2) || naive_sides[0].count + naive_sides[1].count == 0) {
                both_clear(book);
                if (tf_rng_below(&rng, 4) != 0)
                    both_load(book, shape, &rng);
            } else if (unit < 1000) {
                both_rescale(book);
            }
            books_compare(book, &rng);
        }
        change_compare(book, shape, &rng);
        if (op % COMPARE_EVERY == 0)
            books_compare(book, &rng);
    }
    books_compare(book, &rng);
    tf_book_destroy(book);
}

int main(int argc, char **argv)
{
    ops_total = t_rounds(argc > 1 ? strtoull(argv[1], NULL, 10) : OPS_DEFAULT);
    const struct CMUnitTest tests[] = {cmocka_unit_test(book_agrees_with_a_sorted_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
