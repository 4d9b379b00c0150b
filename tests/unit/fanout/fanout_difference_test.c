#include "kit/kit.h"

#include "base/rng.h"
#include "fanout/difference.h"

#include <stdbool.h>
#include <string.h>

enum { LEVELS_MAX = 16, PRICES = 40 };

typedef struct side {
    tf_level_t level[4 * LEVELS_MAX];
    size_t count;
} side_t;

static bool better(tf_side_t side, int64_t a, int64_t b)
{
    return side == TF_SIDE_BUY ? a > b : a < b;
}

/* A client: looks the price up, sets or removes, and truncates in the end. */
static void apply(side_t *book, tf_side_t side, const tf_level_t *change, size_t count,
                  size_t depth)
{
    for (size_t c = 0; c < count; c++) {
        size_t at = 0;
        while (at < book->count && better(side, book->level[at].px, change[c].px))
            at++;
        bool there = at < book->count && book->level[at].px == change[c].px;
        if (change[c].sz == 0) {
            assert_true(there);
            book->count--;
            memmove(&book->level[at], &book->level[at + 1],
                    (book->count - at) * sizeof(tf_level_t));
            continue;
        }
        if (!there) {
            memmove(&book->level[at + 1], &book->level[at],
                    (book->count - at) * sizeof(tf_level_t));
            book->count++;
        }
        book->level[at] = change[c];
    }
    if (book->count > depth)
        book->count = depth;
}

static void side_random(tf_rng_t *rng, side_t *out, tf_side_t side, size_t depth)
{
    uint64_t density = 1 + tf_rng_below(rng, 6);
    out->count = 0;
    for (int64_t i = 0; i < PRICES && out->count < depth; i++) {
        if (tf_rng_below(rng, 8) < density)
            out->level[out->count++] = (tf_level_t){side == TF_SIDE_BUY ? PRICES - i : i,
                                                    1 + (int64_t)tf_rng_below(rng, 2)};
    }
}

/* Changes in price order, each for a reason: no level is named that stays as it is. */
static void changes_check(const side_t *old, tf_side_t side, const tf_level_t *change, size_t count)
{
    for (size_t c = 0; c < count; c++) {
        assert_true(c == 0 || better(side, change[c - 1].px, change[c].px));
        for (size_t i = 0; i < old->count; i++)
            assert_false(old->level[i].px == change[c].px && old->level[i].sz == change[c].sz);
    }
}

static void the_difference_turns_the_old_side_into_the_new_one(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(1)};
    for (uint64_t round = t_rounds(200000); round > 0; round--) {
        tf_side_t side = (tf_side_t)tf_rng_below(&rng, 2);
        size_t kept = 1 + tf_rng_below(&rng, LEVELS_MAX);
        size_t depth = tf_rng_below(&rng, 3) == 0 ? kept + 5 : kept; /* clients may keep more */
        side_t old;
        side_t new;
        tf_level_t change[2 * LEVELS_MAX];
        side_random(&rng, &old, side, kept);
        side_random(&rng, &new, side, kept);
        size_t count =
            tf_difference(side, depth, old.level, old.count, new.level, new.count, change);
        assert_true(count <= old.count + new.count);
        changes_check(&old, side, change, count);
        apply(&old, side, change, count, depth);
        assert_int_equal(old.count, new.count);
        assert_memory_equal(old.level, new.level, new.count * sizeof(tf_level_t));
    }
}

static void equal_sides_have_no_difference(void **state)
{
    (void)state;
    const tf_level_t level[] = {{3, 1}, {2, 1}};
    tf_level_t change[4];
    assert_int_equal(tf_difference(TF_SIDE_BUY, 10, level, 2, level, 2, change), 0);
    assert_int_equal(tf_difference(TF_SIDE_BUY, 10, level, 0, level, 0, change), 0);
}

static void what_better_levels_pushed_out_is_not_named(void **state)
{
    (void)state;
    const tf_level_t old[] = {{3, 1}, {2, 1}};
    const tf_level_t new[] = {{4, 1}, {3, 1}};
    tf_level_t change[4];
    assert_int_equal(tf_difference(TF_SIDE_BUY, 2, old, 2, new, 2, change), 1);
    assert_int_equal(change[0].px, 4);
    /* A client that keeps three would still have it. */
    assert_int_equal(tf_difference(TF_SIDE_BUY, 3, old, 2, new, 2, change), 2);
    assert_int_equal(change[1].px, 2);
    assert_int_equal(change[1].sz, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_difference_turns_the_old_side_into_the_new_one),
        cmocka_unit_test(equal_sides_have_no_difference),
        cmocka_unit_test(what_better_levels_pushed_out_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
