#include "kit/kit.h"

#include "base/mem.h"
#include "market/book.h"

static tf_book_t *book;

static int setup(void **state)
{
    (void)state;
    book = tf_book_create();
    return book == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tf_mem_fail_at(0);
    tf_book_verify(book);
    tf_book_destroy(book);
    return 0;
}

static tf_book_change_t set(tf_side_t side, int64_t px, int64_t sz)
{
    uint32_t rank;
    return tf_book_set(book, side, px, sz, UINT32_MAX, &rank);
}

/* `count` asks at first_px, first_px + step, ...; size 1. */
static void asks_append(int64_t first_px, int64_t step, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(set(TF_SIDE_SELL, first_px + i * step, 1), TF_BOOK_INSERT);
}

static void each_side_is_best_first(void **state)
{
    (void)state;
    static const int64_t prices[] = {30, -10, 50, 0, 20};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(set(TF_SIDE_BUY, prices[i], 1), TF_BOOK_INSERT);
        assert_int_equal(set(TF_SIDE_SELL, prices[i], 1), TF_BOOK_INSERT);
    }
    tf_level_t bids[8];
    tf_level_t asks[8];
    assert_int_equal(tf_book_copy(book, TF_SIDE_BUY, bids, 8), 5);
    assert_int_equal(tf_book_copy(book, TF_SIDE_SELL, asks, 8), 5);
    static const int64_t rising[] = {-10, 0, 20, 30, 50};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(asks[i].px, rising[i]);
        assert_int_equal(bids[i].px, rising[4 - i]);
    }
    assert_int_equal(tf_book_copy(book, TF_SIDE_BUY, bids, 2), 2);
    assert_int_equal(tf_book_copy(book, TF_SIDE_BUY, bids, 0), 0);
}

static void extreme_prices_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(set(TF_SIDE_BUY, INT64_MAX, 1), TF_BOOK_INSERT);
    assert_int_equal(set(TF_SIDE_BUY, -INT64_MAX, 1), TF_BOOK_INSERT);
    assert_int_equal(set(TF_SIDE_BUY, 0, INT64_MAX), TF_BOOK_INSERT);
    tf_level_t level;
    assert_true(tf_book_at(book, TF_SIDE_BUY, 0, &level));
    assert_int_equal(level.px, INT64_MAX);
    assert_true(tf_book_at(book, TF_SIDE_BUY, 2, &level));
    assert_int_equal(level.px, -INT64_MAX);
}

static void changes_are_named_and_ranked(void **state)
{
    (void)state;
    uint32_t rank = 77;
    asks_append(100, 10, 3);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 105, 2, UINT32_MAX, &rank), TF_BOOK_INSERT);
    assert_int_equal(rank, 1);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 120, 2, UINT32_MAX, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, 3);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 100, 0, UINT32_MAX, &rank), TF_BOOK_REMOVE);
    assert_int_equal(rank, 0);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 105, 2, UINT32_MAX, &rank), TF_BOOK_SAME);
    assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), 3);
    assert_int_equal(tf_book_levels(book, TF_SIDE_BUY), 0);
}

static void remove_of_absent_level_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(set(TF_SIDE_BUY, 100, 0), TF_BOOK_SAME);
    asks_append(100, 10, 3);
    assert_int_equal(set(TF_SIDE_SELL, 99, 0), TF_BOOK_SAME);
    assert_int_equal(set(TF_SIDE_SELL, 101, 0), TF_BOOK_SAME);
    assert_int_equal(set(TF_SIDE_SELL, 121, 0), TF_BOOK_SAME);
    assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), 3);
}

static void ranks_at_rank_max_and_beyond_are_not_told(void **state)
{
    (void)state;
    asks_append(0, 1, 1000);
    uint32_t rank = 77;
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 199, 2, 200, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, 199);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 200, 2, 200, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, TF_BOOK_RANK_UNKNOWN);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 999, 2, 200, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, TF_BOOK_RANK_UNKNOWN);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 0, 2, 0, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, TF_BOOK_RANK_UNKNOWN);
    assert_int_equal(tf_book_set(book, TF_SIDE_SELL, 999, 3, UINT32_MAX, &rank), TF_BOOK_RESIZE);
    assert_int_equal(rank, 999);
}

static void at_answers_for_every_rank_and_no_other(void **state)
{
    (void)state;
    tf_level_t level;
    assert_false(tf_book_at(book, TF_SIDE_SELL, 0, &level));
    asks_append(0, 1, 500);
    for (size_t rank = 0; rank < 500; rank++) {
        assert_true(tf_book_at(book, TF_SIDE_SELL, rank, &level));
        assert_int_equal(level.px, rank);
    }
    assert_false(tf_book_at(book, TF_SIDE_SELL, 500, &level));
    assert_false(tf_book_at(book, TF_SIDE_SELL, SIZE_MAX, &level));
}

static void bbo_says_none_where_a_side_is_empty(void **state)
{
    (void)state;
    tf_bbo_t bbo = tf_book_bbo(book);
    assert_int_equal(bbo.bid_px, TF_PRICE_NONE);
    assert_int_equal(bbo.bid_sz, 0);
    assert_int_equal(bbo.ask_px, TF_PRICE_NONE);
    assert_int_equal(bbo.ask_sz, 0);
    assert_false(tf_book_crossed(book));
    assert_int_equal(set(TF_SIDE_SELL, 100, 7), TF_BOOK_INSERT);
    bbo = tf_book_bbo(book);
    assert_int_equal(bbo.bid_px, TF_PRICE_NONE);
    assert_int_equal(bbo.ask_px, 100);
    assert_int_equal(bbo.ask_sz, 7);
    assert_false(tf_book_crossed(book));
}

static void touching_sides_are_crossed(void **state)
{
    (void)state;
    assert_int_equal(set(TF_SIDE_SELL, 100, 1), TF_BOOK_INSERT);
    assert_int_equal(set(TF_SIDE_BUY, 99, 1), TF_BOOK_INSERT);
    assert_false(tf_book_crossed(book));
    assert_int_equal(set(TF_SIDE_BUY, 100, 1), TF_BOOK_INSERT);
    assert_true(tf_book_crossed(book));
    assert_int_equal(set(TF_SIDE_BUY, 101, 1), TF_BOOK_INSERT);
    assert_true(tf_book_crossed(book));
    assert_int_equal(set(TF_SIDE_SELL, 100, 0), TF_BOOK_REMOVE);
    assert_false(tf_book_crossed(book));
}

static void sorted_snapshot_leaves_chunks_full(void **state)
{
    (void)state;
    uint64_t before = tf_mem_in_use_bytes();
    asks_append(0, 1, 42000);
    uint64_t used = tf_mem_in_use_bytes() - before;
    assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), 42000);
    assert_true(used < 42000 * sizeof(tf_level_t) * 5 / 4); /* half-full chunks would take double */
    tf_book_verify(book);
}

static void clear_keeps_the_memory_for_the_next_snapshot(void **state)
{
    (void)state;
    asks_append(0, 1, 5000);
    uint64_t used = tf_mem_in_use_bytes();
    tf_book_clear(book);
    assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), 0);
    assert_int_equal(tf_book_bbo(book).ask_px, TF_PRICE_NONE);
    tf_mem_fail_at(1); /* the second snapshot needs no allocation at all */
    asks_append(7, 3, 5000);
    tf_mem_fail_at(0);
    assert_int_equal(tf_mem_in_use_bytes(), used);
}

static void emptied_book_needs_no_new_memory_to_fill_again(void **state)
{
    (void)state;
    asks_append(0, 1, 1000);
    for (int i = 999; i >= 0; i--) {
        assert_int_equal(set(TF_SIDE_SELL, (i * 7) % 1000, 0), TF_BOOK_REMOVE);
        tf_book_verify(book);
    }
    assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), 0);
    tf_mem_fail_at(1);
    asks_append(0, 1, 1000);
}

/* Fail every allocation a random-order fill makes: the book must stay as it was each time. */
static void out_of_memory_leaves_the_book_unchanged(void **state)
{
    (void)state;
    size_t failures = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t px = (i * 1237) % 3001; /* every price once, in no order */
        tf_level_t before[3000];
        tf_level_t after[3000];
        tf_mem_fail_at(1);
        size_t levels = tf_book_copy(book, TF_SIDE_SELL, before, 3000);
        tf_book_change_t change = set(TF_SIDE_SELL, px, 1);
        if (change == TF_BOOK_NO_MEMORY) {
            failures++;
            assert_int_equal(tf_book_copy(book, TF_SIDE_SELL, after, 3000), levels);
            assert_memory_equal(before, after, levels * sizeof before[0]);
            tf_book_verify(book);
            for (uint64_t nth = 2; change == TF_BOOK_NO_MEMORY; nth++) {
                tf_mem_fail_at(nth);
                change = set(TF_SIDE_SELL, px, 1);
                tf_book_verify(book);
            }
        }
        assert_int_equal(change, TF_BOOK_INSERT);
        assert_int_equal(tf_book_levels(book, TF_SIDE_SELL), levels + 1);
    }
    assert_true(failures > 3000 / 64);
}

static void create_without_memory_is_null(void **state)
{
    (void)state;
    tf_mem_fail_at(1);
    assert_null(tf_book_create());
    tf_mem_fail_at(0);
    tf_book_destroy(NULL);
}

static void destroy_returns_every_byte(void **state)
{
    (void)state;
    uint64_t before = tf_mem_in_use_bytes();
    tf_book_t *other = tf_book_create();
    uint32_t rank;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(tf_book_set(other, i % 2 ? TF_SIDE_BUY : TF_SIDE_SELL, i, 1, 0, &rank),
                         TF_BOOK_INSERT);
    tf_book_destroy(other);
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void a_side_cannot_take_the_hosts_memory(void **state)
{
    (void)state;
    uint64_t before = tf_mem_in_use_bytes();
    tf_book_change_t change = TF_BOOK_INSERT;
    int64_t px = 0;
    uint32_t rank;
    while (change == TF_BOOK_INSERT && px < 4000000)
        change = tf_book_set(book, TF_SIDE_SELL, px++, 1, 0, &rank); /* no rank: no counting */
    assert_int_equal(change, TF_BOOK_NO_MEMORY);
    assert_true(tf_book_levels(book, TF_SIDE_SELL) >= 1000000);
    assert_true(tf_mem_in_use_bytes() - before < 24 << 20);
    assert_int_equal(set(TF_SIDE_BUY, 1, 1), TF_BOOK_INSERT); /* the other side is not affected */
    assert_int_equal(set(TF_SIDE_SELL, 0, 0), TF_BOOK_REMOVE);
    assert_int_equal(set(TF_SIDE_SELL, 0, 1), TF_BOOK_INSERT);
}

static void rescale_multiplies_prices_and_sizes(void **state)
{
    (void)state;
    asks_append(-500, 5, 200);
    assert_int_equal(set(TF_SIDE_BUY, -600, 3), TF_BOOK_INSERT);
    assert_true(tf_book_rescale(book, 2, 3));
    tf_book_verify(book);
    tf_level_t level;
    for (size_t i = 0; i < 200; i++) {
        assert_true(tf_book_at(book, TF_SIDE_SELL, i, &level));
        assert_int_equal(level.px, (-500 + 5 * (int64_t)i) * 100);
        assert_int_equal(level.sz, 1000);
    }
    assert_int_equal(tf_book_bbo(book).bid_px, -60000);
    assert_int_equal(tf_book_bbo(book).bid_sz, 3000);
    assert_int_equal(set(TF_SIDE_SELL, -49500, 5000), TF_BOOK_RESIZE);
    assert_true(tf_book_rescale(book, 0, 0));
}

static void rescale_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(set(TF_SIDE_BUY, 10, 1), TF_BOOK_INSERT);
    asks_append(20, 1, 100);
    assert_int_equal(set(TF_SIDE_SELL, INT64_MAX / 10 + 1, 1), TF_BOOK_INSERT);
    assert_false(tf_book_rescale(book, 1, 0));
    assert_int_equal(tf_book_bbo(book).bid_px, 10);
    assert_int_equal(tf_book_bbo(book).ask_px, 20);
    assert_int_equal(set(TF_SIDE_SELL, INT64_MAX / 10 + 1, INT64_MAX), TF_BOOK_RESIZE);
    assert_false(tf_book_rescale(book, 0, 1));
    assert_int_equal(tf_book_bbo(book).ask_sz, 1);
    assert_int_equal(set(TF_SIDE_SELL, INT64_MAX / 10 + 1, 0), TF_BOOK_REMOVE);
    assert_true(tf_book_rescale(book, 1, 1));
    assert_int_equal(tf_book_bbo(book).ask_px, 200);
}

static void reserved_price_and_negative_size_are_programmer_errors(void **state)
{
    (void)state;
    expect_assert_failure((void)set(TF_SIDE_BUY, TF_PRICE_NONE, 1));
    expect_assert_failure((void)set(TF_SIDE_BUY, 1, -1));
}

#define BOOK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        BOOK_TEST(each_side_is_best_first),
        BOOK_TEST(extreme_prices_keep_their_order),
        BOOK_TEST(changes_are_named_and_ranked),
        BOOK_TEST(remove_of_absent_level_changes_nothing),
        BOOK_TEST(ranks_at_rank_max_and_beyond_are_not_told),
        BOOK_TEST(at_answers_for_every_rank_and_no_other),
        BOOK_TEST(bbo_says_none_where_a_side_is_empty),
        BOOK_TEST(touching_sides_are_crossed),
        BOOK_TEST(sorted_snapshot_leaves_chunks_full),
        BOOK_TEST(clear_keeps_the_memory_for_the_next_snapshot),
        BOOK_TEST(emptied_book_needs_no_new_memory_to_fill_again),
        BOOK_TEST(out_of_memory_leaves_the_book_unchanged),
        BOOK_TEST(create_without_memory_is_null),
        BOOK_TEST(destroy_returns_every_byte),
        BOOK_TEST(a_side_cannot_take_the_hosts_memory),
        BOOK_TEST(rescale_multiplies_prices_and_sizes),
        BOOK_TEST(rescale_that_does_not_fit_changes_nothing),
        BOOK_TEST(reserved_price_and_negative_size_are_programmer_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
