#include "kit/kit.h"

#include "base/mem.h"
#include "region/writer.h"
#include "unit/region/region_kit.h"
#include "view/directory.h"

enum { INSTRUMENTS = 600 };

static void add(t_region_t *t, const char *venue, const char *symbol)
{
    tf_instrument_t instrument = t_instrument(symbol, 2, 8);
    uint32_t index;
    (void)snprintf(instrument.venue, sizeof instrument.venue, "%s", venue);
    assert_int_equal(tf_region_instrument_add(t->region, &instrument, t_stamp, &index), TF_OK);
}

static void names_are_found_and_the_missing_part_is_told(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "directory");
    t_region_open(&t);
    tf_directory_t directory;
    uint32_t index = 0;
    assert_true(tf_directory_init(&directory, tf_reader_instruments_max(t.reader)));
    assert_int_equal(tf_directory_find(&directory, "sim", "BTC-USD", &index),
                     TF_DIRECTORY_NO_VENUE);
    assert_false(tf_directory_refresh(&directory, t.reader));
    add(&t, "sim", "BTC-USD");
    add(&t, "other", "BTC-USD");
    assert_true(tf_directory_refresh(&directory, t.reader));
    assert_false(tf_directory_refresh(&directory, t.reader));
    assert_int_equal(tf_directory_find(&directory, "other", "BTC-USD", &index), TF_DIRECTORY_FOUND);
    assert_int_equal(index, 1);
    assert_int_equal(tf_directory_find(&directory, "sim", "BTC-USD", &index), TF_DIRECTORY_FOUND);
    assert_int_equal(index, 0);
    assert_int_equal(tf_directory_find(&directory, "sim", "ETH-USD", &index),
                     TF_DIRECTORY_NO_SYMBOL);
    assert_int_equal(tf_directory_find(&directory, "kraken", "BTC-USD", &index),
                     TF_DIRECTORY_NO_VENUE);
    assert_int_equal(tf_directory_home(&directory, "other"), 1);
    assert_int_equal(tf_directory_home(&directory, "oth"), TF_INSTRUMENT_NONE);
    tf_directory_fini(&directory);
    t_region_close(&t);
}

static void a_full_directory_finds_every_name(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "directory-full");
    t.config.instruments_max = INSTRUMENTS;
    t_region_open(&t);
    tf_directory_t directory;
    assert_true(tf_directory_init(&directory, INSTRUMENTS));
    char symbol[TF_SYMBOL_BYTES_MAX];
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        (void)snprintf(symbol, sizeof symbol, "A%u-USD", i);
        add(&t, i % 2 == 0 ? "sim" : "other", symbol);
        if (i % 7 == 0)
            assert_true(tf_directory_refresh(&directory, t.reader));
    }
    (void)tf_directory_refresh(&directory, t.reader);
    assert_int_equal(directory.count, INSTRUMENTS);
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        uint32_t index;
        (void)snprintf(symbol, sizeof symbol, "A%u-USD", i);
        assert_int_equal(
            tf_directory_find(&directory, i % 2 == 0 ? "sim" : "other", symbol, &index),
            TF_DIRECTORY_FOUND);
        assert_int_equal(index, i);
        assert_int_equal(
            tf_directory_find(&directory, i % 2 == 0 ? "other" : "sim", symbol, &index),
            TF_DIRECTORY_NO_SYMBOL);
        assert_int_equal(directory.entry[i].home, i % 2);
        assert_int_equal(directory.entry[i].next, i + 2 < INSTRUMENTS ? i + 2 : TF_INSTRUMENT_NONE);
    }
    tf_directory_fini(&directory);
    t_region_close(&t);
}

static void a_busy_entry_ends_the_pass_and_comes_next_time(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "directory-busy");
    t_region_open(&t);
    tf_directory_t directory;
    assert_true(tf_directory_init(&directory, tf_reader_instruments_max(t.reader)));
    add(&t, "sim", "A-USD");
    add(&t, "sim", "B-USD");
    add(&t, "sim", "C-USD");
    tf_image_head_t *head = &tf_writer_instrument(t.region, 1)->head;
    tf_image_lock(head);
    assert_true(tf_directory_refresh(&directory, t.reader));
    assert_int_equal(directory.count, 1);
    assert_false(tf_directory_refresh(&directory, t.reader));
    tf_image_unlock(head);
    assert_true(tf_directory_refresh(&directory, t.reader));
    assert_int_equal(directory.count, 3);
    assert_int_equal(directory.entry[0].next, 1);
    assert_int_equal(directory.entry[1].next, 2);
    assert_int_equal(directory.entry[2].next, TF_INSTRUMENT_NONE);
    tf_directory_fini(&directory);
    t_region_close(&t);
}

static void short_memory_ends_the_pass_and_it_comes_next_time(void **state)
{
    (void)state;
    enum { VENUES = 40 };
    t_region_t t;
    t_region_init(&t, "directory-memory");
    t.config.instruments_max = VENUES;
    t_region_open(&t);
    uint64_t before = tf_mem_in_use_bytes();
    tf_directory_t directory;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        tf_mem_fail_at(nth);
        assert_false(tf_directory_init(&directory, VENUES));
        tf_mem_fail_at(0);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_true(tf_directory_init(&directory, VENUES));
    char venue[TF_VENUE_BYTES_MAX];
    for (uint32_t i = 0; i < VENUES; i++) {
        (void)snprintf(venue, sizeof venue, "venue%u", i);
        add(&t, venue, "A-USD");
    }
    tf_mem_fail_at(1);
    assert_false(tf_directory_refresh(&directory, t.reader));
    tf_mem_fail_at(2);
    assert_true(tf_directory_refresh(&directory, t.reader));
    assert_in_range(directory.count, 1, VENUES - 1);
    tf_mem_fail_at(0);
    assert_true(tf_directory_refresh(&directory, t.reader));
    assert_int_equal(directory.count, VENUES);
    for (uint32_t i = 0; i < VENUES; i++) {
        (void)snprintf(venue, sizeof venue, "venue%u", i);
        assert_int_equal(tf_directory_home(&directory, venue), i);
        assert_int_equal(directory.entry[i].next, TF_INSTRUMENT_NONE);
    }
    tf_directory_fini(&directory);
    assert_int_equal(tf_mem_in_use_bytes(), before);
    t_region_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_the_missing_part_is_told),
        cmocka_unit_test(a_full_directory_finds_every_name),
        cmocka_unit_test(a_busy_entry_ends_the_pass_and_comes_next_time),
        cmocka_unit_test(short_memory_ends_the_pass_and_it_comes_next_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
