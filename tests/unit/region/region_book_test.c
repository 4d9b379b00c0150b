/*
 * The book in the image, and the book rebuilt from the ring alone, against a naive full book: an
 * array of sizes indexed by price, from which ranks and refills are counted out. The full book is
 * deeper than the image, so that levels leave it and come back.
 */
#include "kit/kit.h"

#include "base/rng.h"
#include "unit/region/region_kit.h"

#include <stdlib.h>

enum { PRICES = 64, DEPTH_MAX = 1200, FOLLOW_MAX = 8192 };

static t_region_t t;
static uint32_t market;

/* The naive book: size by price, 0 = no such level. */
static int64_t size_at[2][PRICES];

/* The price of a side's r-th price from best to worst. */
static int price_of(int side, int r)
{
    return side == TF_SIDE_BUY ? PRICES - 1 - r : r;
}

static uint32_t rank_of(int side, int px)
{
    uint32_t rank = 0;
    for (int r = 0; price_of(side, r) != px; r++)
        rank += size_at[side][price_of(side, r)] != 0;
    return rank;
}

static bool level_at(int side, uint32_t rank, tf_level_t *out)
{
    for (int r = 0; r < PRICES; r++) {
        int px = price_of(side, r);
        if (size_at[side][px] == 0)
            continue;
        if (rank-- == 0) {
            *out = (tf_level_t){px, size_at[side][px]};
            return true;
        }
    }
    return false;
}

static uint32_t top_of(int side, uint32_t depth, tf_level_t *out)
{
    uint32_t count = 0;
    while (count < depth && level_at(side, count, &out[count]))
        count++;
    return count;
}

static tf_bbo_t naive_bbo(void)
{
    tf_bbo_t bbo = {.bid_px = TF_PRICE_NONE, .ask_px = TF_PRICE_NONE};
    tf_level_t level;
    if (level_at(TF_SIDE_BUY, 0, &level)) {
        bbo.bid_px = level.px;
        bbo.bid_sz = level.sz;
    }
    if (level_at(TF_SIDE_SELL, 0, &level)) {
        bbo.ask_px = level.px;
        bbo.ask_sz = level.sz;
    }
    return bbo;
}

/* One level of a venue's message, told to the region as ingest does. */
static void change(int side, int px, int64_t sz)
{
    int64_t old = size_at[side][px];
    uint32_t rank = rank_of(side, px);
    uint32_t depth = t.config.image_depth;
    size_at[side][px] = sz;
    if (rank >= depth || old == sz)
        return;
    tf_level_t level = {px, sz};
    tf_side_t s = (tf_side_t)side;
    if (old == 0) {
        tf_region_book_insert(t.region, s, rank, level);
    } else if (sz != 0) {
        tf_region_book_resize(t.region, s, rank, level);
    } else {
        tf_level_t refill;
        bool has = level_at(side, depth - 1, &refill);
        tf_region_book_remove(t.region, s, rank, px, has ? &refill : NULL);
    }
}

/* Who follows the ring alone: levels by price, best first. */
static tf_level_t followed[2][FOLLOW_MAX];
static uint32_t followed_count[2];

static bool is_better(int side, int64_t a, int64_t b)
{
    return side == TF_SIDE_BUY ? a > b : a < b;
}

static void follow_level(int side, tf_level_t level)
{
    tf_level_t *levels = followed[side];
    uint32_t *count = &followed_count[side];
    uint32_t i = 0;
    while (i < *count && is_better(side, levels[i].px, level.px))
        i++;
    bool found = i < *count && levels[i].px == level.px;
    if (found && level.sz != 0) {
        levels[i] = level;
    } else if (found) {
        (*count)--;
        memmove(&levels[i], &levels[i + 1], (*count - i) * sizeof level);
    } else if (level.sz != 0) {
        assert_true(*count < FOLLOW_MAX);
        memmove(&levels[i + 1], &levels[i], (*count - i) * sizeof level);
        levels[i] = level;
        (*count)++;
    }
}

/* Apply one whole change; how many records it took. */
static uint32_t follow_change(uint64_t seq, const tf_bbo_t *bbo)
{
    uint32_t records = 0;
    bool more = true;
    while (more) {
        const tf_event_book_t *event =
            (const tf_event_book_t *)(const void *)t_event(t.reader, TF_EVENT_BOOK);
        more = (event->head.flags & TF_EVENT_FLAG_MORE) != 0;
        assert_int_equal(event->head.seq, seq);
        assert_memory_equal(&event->bid_px, bbo, sizeof *bbo);
        if ((event->head.flags & TF_EVENT_FLAG_SNAPSHOT) != 0) {
            assert_int_equal(records, 0);
            followed_count[0] = followed_count[1] = 0;
        }
        for (uint32_t i = 0; i < event->bids + event->asks; i++)
            follow_level(i < event->bids ? TF_SIDE_BUY : TF_SIDE_SELL, event->level[i]);
        records++;
    }
    t_no_event(t.reader);
    for (int side = 0; side < 2; side++) {
        if (followed_count[side] > t.config.image_depth)
            followed_count[side] = t.config.image_depth;
    }
    return records;
}

static tf_image_info_t assert_image(const tf_level_t *bids, uint32_t bid_count,
                                    const tf_level_t *asks, uint32_t ask_count)
{
    static tf_level_t side[2][DEPTH_MAX];
    uint32_t count[2];
    tf_image_info_t info;
    assert_int_equal(tf_reader_book(t.reader, market, t.config.image_depth, &info, side[0],
                                    &count[0], side[1], &count[1]),
                     TF_IMAGE_OK);
    assert_int_equal(count[0], bid_count);
    assert_int_equal(count[1], ask_count);
    assert_memory_equal(side[0], bids, bid_count * sizeof *bids);
    assert_memory_equal(side[1], asks, ask_count * sizeof *asks);
    return info;
}

static void assert_all_agree(uint64_t seq, uint64_t base_seq)
{
    tf_level_t side[2][PRICES];
    uint32_t count[2];
    for (int s = 0; s < 2; s++) {
        count[s] = top_of(s, t.config.image_depth, side[s]);
        assert_int_equal(followed_count[s], count[s]);
        assert_memory_equal(followed[s], side[s], count[s] * sizeof(tf_level_t));
    }
    tf_image_info_t info = assert_image(side[0], count[0], side[1], count[1]);
    assert_int_equal(info.seq, seq);
    assert_int_equal(info.base_seq, base_seq);
}

static void open_with_depth(uint32_t depth)
{
    t_region_init(&t, "book");
    t.config.image_depth = depth;
    t_region_open(&t);
    market = t_region_live(&t, "BTC-USD");
    (void)t_event(t.reader, TF_EVENT_INSTRUMENT);
    (void)t_event(t.reader, TF_EVENT_STATE);
    memset(size_at, 0, sizeof size_at);
    followed_count[0] = followed_count[1] = 0;
}

static uint64_t random_snapshot(tf_rng_t *rng, uint64_t seq)
{
    tf_level_t side[2][PRICES];
    uint32_t count[2];
    for (int s = 0; s < 2; s++) {
        for (int px = 0; px < PRICES; px++)
            size_at[s][px] = (int64_t)tf_rng_below(rng, 3);
        count[s] = top_of(s, PRICES, side[s]); /* the region keeps what it has room for */
    }
    tf_region_put_book_snapshot(t.region, market, side[0], count[0], side[1], count[1], t_stamp);
    return seq + 1;
}

static void random_change(tf_rng_t *rng)
{
    /* Few prices near the top, so that one message removes, adds and removes the same ones. */
    uint64_t levels = tf_rng_below(rng, 12);
    tf_region_book_begin(t.region, market);
    for (uint64_t i = 0; i < levels; i++) {
        int side = (int)tf_rng_below(rng, 2);
        int reach = tf_rng_below(rng, 4) == 0 ? PRICES : 16;
        int px = price_of(side, (int)tf_rng_below(rng, (uint64_t)reach));
        int64_t sz = tf_rng_below(rng, 2) == 0 ? 0 : 1 + (int64_t)tf_rng_below(rng, 3);
        change(side, px, sz);
    }
    tf_bbo_t bbo = naive_bbo();
    tf_region_book_commit(t.region, &bbo, t_stamp);
}

static void random_changes(uint32_t depth, uint64_t rounds)
{
    tf_rng_t rng = {t_seed(depth)};
    open_with_depth(depth);
    uint64_t seq = 0;
    uint64_t base_seq = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        if (tf_rng_below(&rng, 100) == 0) {
            seq = random_snapshot(&rng, seq);
            base_seq = seq;
        } else {
            random_change(&rng);
            seq++;
        }
        tf_bbo_t bbo = naive_bbo();
        assert_int_equal(follow_change(seq, &bbo), 1);
        assert_all_agree(seq, base_seq);
    }
    assert_int_equal(tf_stats_get(&t.stats, TF_STAT_published_books_total), seq);
    t_region_close(&t);
}

static void random_changes_agree_with_a_naive_book_and_with_the_ring(void **state)
{
    (void)state;
    static const uint32_t depths[] = {5, 1, 2, 8, 16, 40, 64}; /* 8, 16, 64: no spare slot */
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++)
        random_changes(depths[i], t_rounds(1500));
}

/* The trap of book_writer.c: 0..4 fill the image; 5 is below it. */
static void a_level_pushed_out_and_then_gone_does_not_come_back(void **state)
{
    (void)state;
    open_with_depth(5);
    tf_bbo_t bbo = naive_bbo();
    tf_region_book_begin(t.region, market);
    for (int px = 1; px < 8; px++)
        change(TF_SIDE_SELL, px, 1);
    bbo = naive_bbo();
    tf_region_book_commit(t.region, &bbo, t_stamp);
    (void)follow_change(1, &bbo);
    tf_region_book_begin(t.region, market);
    change(TF_SIDE_SELL, 0, 1); /* pushes out 5 */
    change(TF_SIDE_SELL, 5, 0); /* below the image: nobody is told */
    change(TF_SIDE_SELL, 1, 0); /* lets in 6 */
    bbo = naive_bbo();
    tf_region_book_commit(t.region, &bbo, t_stamp);
    (void)follow_change(2, &bbo);
    assert_all_agree(2, 0);
    t_region_close(&t);
}

static void an_empty_change_still_tells_its_version(void **state)
{
    (void)state;
    open_with_depth(5);
    tf_bbo_t bbo = naive_bbo();
    tf_region_book_begin(t.region, market);
    tf_region_book_commit(t.region, &bbo, t_stamp);
    assert_int_equal(follow_change(1, &bbo), 1);
    assert_all_agree(1, 0);
    t_region_close(&t);
}

static void fill_sides(tf_level_t bids[DEPTH_MAX], tf_level_t asks[DEPTH_MAX])
{
    for (int i = 0; i < DEPTH_MAX; i++) {
        bids[i] = (tf_level_t){.px = 10000 - i, .sz = 1 + i};
        asks[i] = (tf_level_t){.px = 10001 + i, .sz = 1 + i};
    }
}

static tf_level_t deep[2][DEPTH_MAX];

static void a_deep_snapshot_takes_several_records(void **state)
{
    (void)state;
    open_with_depth(DEPTH_MAX);
    fill_sides(deep[0], deep[1]);
    tf_region_put_book_snapshot(t.region, market, deep[0], DEPTH_MAX, deep[1], DEPTH_MAX, t_stamp);
    tf_bbo_t bbo = {10000, 1, 10001, 1};
    assert_int_equal(follow_change(1, &bbo), 3); /* 2400 levels, 1000 a record */
    (void)assert_image(deep[0], DEPTH_MAX, deep[1], DEPTH_MAX);
    (void)assert_image(followed[0], followed_count[0], followed[1], followed_count[1]);
    t_region_close(&t);
}

static void a_long_change_takes_several_records(void **state)
{
    (void)state;
    open_with_depth(DEPTH_MAX);
    fill_sides(deep[0], deep[1]);
    tf_region_book_begin(t.region, market);
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        tf_region_book_insert(t.region, TF_SIDE_SELL, i, deep[1][i]);
        tf_region_book_insert(t.region, TF_SIDE_BUY, i, deep[0][i]);
    }
    tf_bbo_t bbo = {10000, 1, 10001, 1};
    tf_region_book_commit(t.region, &bbo, t_stamp);
    assert_int_equal(follow_change(1, &bbo), 3);
    (void)assert_image(followed[0], followed_count[0], followed[1], followed_count[1]);
    t_region_close(&t);
}

/* Longer than the writer keeps a list of: told as a snapshot, which a follower takes just as well.
 */
static void an_endless_change_becomes_a_snapshot(void **state)
{
    (void)state;
    open_with_depth(5);
    fill_sides(deep[0], deep[1]);
    tf_region_put_book_snapshot(t.region, market, deep[0], 5, deep[1], 5, t_stamp);
    tf_bbo_t bbo = {10000, 1, 10001, 1};
    (void)follow_change(1, &bbo);
    tf_region_book_begin(t.region, market);
    for (int64_t sz = 1; sz <= 5000; sz++)
        tf_region_book_resize(t.region, TF_SIDE_BUY, 0, (tf_level_t){10000, sz});
    bbo.bid_sz = 5000;
    tf_region_book_commit(t.region, &bbo, t_stamp);
    assert_int_equal(follow_change(2, &bbo), 1);
    deep[0][0].sz = 5000;
    tf_image_info_t info = assert_image(deep[0], 5, deep[1], 5);
    assert_int_equal(info.base_seq, 1);
    (void)assert_image(followed[0], followed_count[0], followed[1], followed_count[1]);
    t_region_close(&t);
}

static void a_snapshot_of_nothing_withholds_the_book(void **state)
{
    (void)state;
    open_with_depth(5);
    fill_sides(deep[0], deep[1]);
    tf_region_put_book_snapshot(t.region, market, deep[0], 9, deep[1], 9, t_stamp);
    tf_bbo_t bbo = {10000, 1, 10001, 1};
    (void)follow_change(1, &bbo);
    (void)assert_image(deep[0], 5, deep[1], 5);
    tf_region_put_book_snapshot(t.region, market, NULL, 0, NULL, 0, t_stamp);
    tf_bbo_t none = naive_bbo();
    (void)follow_change(2, &none);
    assert_all_agree(2, 2);
    t_region_close(&t);
}

static void only_the_asked_depth_is_copied(void **state)
{
    (void)state;
    open_with_depth(5);
    fill_sides(deep[0], deep[1]);
    tf_region_put_book_snapshot(t.region, market, deep[0], 5, deep[1], 1, t_stamp);
    tf_level_t *bids = calloc(2, sizeof *bids); /* exactly: ASan sees a third */
    tf_level_t *asks = calloc(2, sizeof *asks);
    tf_image_info_t info;
    uint32_t bid_count = 0, ask_count = 0;
    assert_int_equal(tf_reader_book(t.reader, market, 2, &info, bids, &bid_count, asks, &ask_count),
                     TF_IMAGE_OK);
    assert_int_equal(bid_count, 2);
    assert_int_equal(ask_count, 1);
    assert_memory_equal(bids, deep[0], 2 * sizeof *bids);
    free(bids);
    free(asks);
    t_region_close(&t);
}

static void a_rank_that_does_not_match_is_a_programmer_error(void **state)
{
    (void)state;
    open_with_depth(5);
    fill_sides(deep[0], deep[1]);
    tf_region_put_book_snapshot(t.region, market, deep[0], 5, deep[1], 5, t_stamp);
    tf_region_book_begin(t.region, market);
    t_panic_to_cmocka();
    expect_assert_failure(tf_region_book_resize(t.region, TF_SIDE_BUY, 1, deep[0][0]));
    expect_assert_failure(tf_region_book_remove(t.region, TF_SIDE_BUY, 1, 10000, NULL));
    expect_assert_failure(tf_region_book_insert(t.region, TF_SIDE_BUY, 6, deep[0][6]));
    expect_assert_failure(tf_region_book_begin(t.region, market));
    tf_panic_handler_set(NULL);
    t_region_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_agree_with_a_naive_book_and_with_the_ring),
        cmocka_unit_test(a_level_pushed_out_and_then_gone_does_not_come_back),
        cmocka_unit_test(an_empty_change_still_tells_its_version),
        cmocka_unit_test(a_deep_snapshot_takes_several_records),
        cmocka_unit_test(a_long_change_takes_several_records),
        cmocka_unit_test(an_endless_change_becomes_a_snapshot),
        cmocka_unit_test(a_snapshot_of_nothing_withholds_the_book),
        cmocka_unit_test(only_the_asked_depth_is_copied),
        cmocka_unit_test(a_rank_that_does_not_match_is_a_programmer_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
