#include "kit/kit.h"

#include "base/rng.h"
#include "region/reader_inside.h"
#include "region/writer.h"
#include "unit/region/region_kit.h"

#include <stdlib.h>

/* Records of an unknown type are carried as they are, so a test can make them as long as it likes:
 * after the head every word is the seq. */
static void put(t_region_t *t, uint64_t seq, size_t bytes)
{
    static uint64_t record[TF_EVENT_BYTES_MAX / 8];
    tf_event_t head = {.bytes = (uint32_t)bytes, .type = 99, .seq = seq};
    memcpy(record, &head, sizeof head);
    for (size_t i = sizeof head / 8; i < bytes / 8; i++)
        record[i] = seq;
    tf_ring_put(&t->region->ring, (const tf_event_t *)(const void *)record);
}

static void assert_record(const tf_event_t *event, uint64_t seq, size_t bytes)
{
    assert_int_equal(event->type, 99);
    assert_int_equal(event->bytes, bytes);
    assert_int_equal(event->seq, seq);
    for (size_t i = sizeof *event / 8; i < bytes / 8; i++) {
        uint64_t word = 0;
        memcpy(&word, (const char *)event + i * 8, sizeof word);
        assert_int_equal(word, seq);
    }
}

static void expect(t_region_t *t, uint64_t seq, size_t bytes)
{
    const tf_event_t *event = NULL;
    assert_int_equal(tf_reader_poll(t->reader, &event), TF_POLL_EVENT);
    assert_record(event, seq, bytes);
}

static void lapped_then_empty(tf_reader_t *reader)
{
    const tf_event_t *event = NULL;
    assert_int_equal(tf_reader_poll(reader, &event), TF_POLL_LAPPED);
    assert_int_equal(tf_reader_poll(reader, &event), TF_POLL_EMPTY);
}

static void records_come_out_as_they_went_in(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "order");
    t_region_open(&t);
    t_no_event(t.reader);
    put(&t, 1, 48);
    put(&t, 2, TF_EVENT_BYTES_MAX);
    put(&t, 3, 56);
    assert_int_equal(tf_reader_lag_bytes(t.reader), 48 + TF_EVENT_BYTES_MAX + 56);
    expect(&t, 1, 48);
    expect(&t, 2, TF_EVENT_BYTES_MAX);
    expect(&t, 3, 56);
    assert_int_equal(tf_reader_lag_bytes(t.reader), 0);
    t_no_event(t.reader);
    t_region_close(&t);
}

static void random_records_survive_every_kind_of_wrap(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "wrap");
    t_region_open(&t);
    tf_rng_t rng = {t_seed(1)};
    size_t bytes[8];
    uint64_t seq = 0;
    uint64_t rounds = t_rounds(5000);
    for (uint64_t round = 0; round < rounds; round++) {
        /* Mostly small; often right up to the ring's end, which random sizes rarely hit exactly. */
        size_t batch = 1 + tf_rng_below(&rng, 8);
        for (size_t i = 0; i < batch; i++) {
            size_t limit = tf_rng_below(&rng, 8) == 0 ? TF_EVENT_BYTES_MAX : 512;
            bytes[i] = 48 + 8 * tf_rng_below(&rng, (limit - 48) / 8 + 1);
            uint64_t room = t.region->ring.bytes - t.region->ring.tail % t.region->ring.bytes;
            if (room >= 48 && room <= TF_EVENT_BYTES_MAX && tf_rng_below(&rng, 2) == 0)
                bytes[i] = room;
            put(&t, seq + i, bytes[i]);
        }
        for (size_t i = 0; i < batch; i++)
            expect(&t, seq + i, bytes[i]);
        seq += batch;
        t_no_event(t.reader);
    }
    assert_int_equal(tf_reader_lapped_count(t.reader), 0);
    t_region_close(&t);
}

static void a_lapped_reader_is_told_once_and_stands_at_now(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "lapped");
    t_region_open(&t);
    uint64_t ring_bytes = t.region->ring.bytes;
    put(&t, 0, 4096);
    for (uint64_t i = 1; i <= ring_bytes / 4096; i++)
        put(&t, i, 4096);
    lapped_then_empty(t.reader);
    assert_int_equal(tf_reader_lapped_count(t.reader), 1);
    put(&t, 7, 64);
    expect(&t, 7, 64);
    t_region_close(&t);
}

static void a_reader_exactly_one_ring_behind_has_lost_nothing(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "exact");
    t_region_open(&t);
    uint64_t count = t.region->ring.bytes / 4096;
    for (uint64_t i = 0; i < count; i++)
        put(&t, i, 4096);
    for (uint64_t i = 0; i < count; i++)
        expect(&t, i, 4096);
    t_no_event(t.reader);
    t_region_close(&t);
}

static void bytes_already_copied_outlive_the_ring(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "window");
    t_region_open(&t);
    put(&t, 1, 64);
    put(&t, 2, 64);
    expect(&t, 1, 64); /* the window now holds both */
    for (uint64_t i = 0; i <= t.region->ring.bytes / 4096; i++)
        put(&t, 100 + i, 4096);
    expect(&t, 2, 64);
    lapped_then_empty(t.reader);
    t_region_close(&t);
}

static void a_record_being_written_over_the_cursor_is_seen_as_lapped(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "intent");
    t_region_open(&t);
    uint64_t count = t.region->ring.bytes / 4096;
    for (uint64_t i = 0; i < count; i++)
        put(&t, i, 4096);
    /* The writer has claimed 8 bytes of the next lap and not published them yet. */
    tf_word_put(&t.region->header->ring_intent, t.region->ring.tail + 8);
    lapped_then_empty(t.reader);
    t_region_close(&t);
}

static void from_start_works_until_something_is_overwritten(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "start");
    t_region_open(&t);
    uint64_t count = t.region->ring.bytes / 4096;
    for (uint64_t i = 0; i < count; i++)
        put(&t, i, 4096);
    tf_reader_t *late = t_region_attach(t.name);
    t_no_event(late);
    assert_true(tf_reader_seek(late, TF_FROM_START));
    const tf_event_t *event = NULL;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(tf_reader_poll(late, &event), TF_POLL_EVENT);
        assert_record(event, i, 4096);
    }
    put(&t, count, 64);
    assert_false(tf_reader_seek(late, TF_FROM_START));
    t_no_event(late);
    assert_true(tf_reader_seek(late, TF_FROM_NOW));
    assert_int_equal(tf_reader_lapped_count(late), 0);
    tf_reader_close(late);
    t_region_close(&t);
}

/* A record that can't be is where following ends: the reader goes on at the newest one. */
static void what_a_broken_writer_leaves_is_skipped_as_lapped(void **state)
{
    (void)state;
    static const tf_event_t broken[] = {
        {.bytes = 0, .type = 99},
        {.bytes = 8, .type = 99},
        {.bytes = 52, .type = 99},
        {.bytes = TF_EVENT_BYTES_MAX + 8, .type = 99},
        {.bytes = UINT32_MAX - 7, .type = 99},
        {.bytes = 4096, .type = 99},             /* beyond the tail */
        {.bytes = 64, .type = TF_EVENT_PADDING}, /* not up to the end */
        {.bytes = 64, .type = 99, .px_dp = 19},
        {.bytes = 64, .type = 99, .sz_dp = 255},
        {.bytes = 64, .type = 99, .instrument = 4},
        {.bytes = 64, .type = TF_EVENT_BBO},
        {.bytes = 64, .type = TF_EVENT_TRADE},
        {.bytes = 64, .type = TF_EVENT_TICKER},
        {.bytes = 64, .type = TF_EVENT_BOOK},
        {.bytes = 48, .type = TF_EVENT_STATE},
    };
    t_region_t t;
    t_region_init(&t, "broken");
    t_region_open(&t);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        put(&t, i, 64);
        uint64_t at = t.region->ring.tail - 64;
        tf_words_in(&t.region->ring.word[at / 8], &broken[i], sizeof broken[i]);
        lapped_then_empty(t.reader);
    }
    assert_int_equal(tf_reader_lapped_count(t.reader), sizeof broken / sizeof broken[0]);
    put(&t, 5, 64);
    expect(&t, 5, 64);
    t_region_close(&t);
}

static void a_book_record_with_more_levels_than_bytes_is_not_handed_out(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "levels");
    t_region_open(&t);
    tf_event_book_t book = {
        .head = {.bytes = sizeof book, .type = TF_EVENT_BOOK}, .bids = UINT32_MAX, .asks = 1};
    tf_ring_put(&t.region->ring, &book.head);
    lapped_then_empty(t.reader);
    t_region_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_as_they_went_in),
        cmocka_unit_test(random_records_survive_every_kind_of_wrap),
        cmocka_unit_test(a_lapped_reader_is_told_once_and_stands_at_now),
        cmocka_unit_test(a_reader_exactly_one_ring_behind_has_lost_nothing),
        cmocka_unit_test(bytes_already_copied_outlive_the_ring),
        cmocka_unit_test(a_record_being_written_over_the_cursor_is_seen_as_lapped),
        cmocka_unit_test(from_start_works_until_something_is_overwritten),
        cmocka_unit_test(what_a_broken_writer_leaves_is_skipped_as_lapped),
        cmocka_unit_test(a_book_record_with_more_levels_than_bytes_is_not_handed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
