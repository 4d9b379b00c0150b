#include "kit/kit.h"

#include "region/layout.h"
#include "region/words.h"
#include "unit/region/region_kit.h"

static const tf_region_config_t config = {
    .name = "x", .instruments_max = 3, .image_depth = 5, .trades_kept = 100, .ring_bytes = 300000};

static tf_layout_t plan(void)
{
    tf_layout_t layout;
    assert_true(tf_layout_plan(&layout, &config));
    return layout;
}

static void counts_are_rounded_up_to_powers_of_two(void **state)
{
    (void)state;
    tf_layout_t layout = plan();
    assert_int_equal(layout.image_depth, 5);
    assert_int_equal(layout.book_slots, 8);
    assert_int_equal(layout.trades_kept, 128);
    assert_int_equal(layout.ring_bytes, 524288);
}

static void sections_follow_each_other_on_line_borders(void **state)
{
    (void)state;
    tf_layout_t layout = plan();
    assert_int_equal(layout.instruments_offset, 640);
    assert_int_equal(layout.tickers_offset, 640 + 3 * 256);
    assert_int_equal(layout.bbos_offset, 640 + 6 * 256);
    assert_int_equal(layout.books_offset, 640 + 6 * 256 + 3 * 128);
    assert_int_equal(layout.book_stride, 128 + 2 * 8 * 16);
    assert_int_equal(layout.trades_offset, layout.books_offset + 3 * layout.book_stride);
    assert_int_equal(layout.trades_stride, 128 + 128 * 80);
    assert_int_equal(layout.ring_offset, layout.trades_offset + 3 * layout.trades_stride);
    assert_int_equal(layout.file_bytes, layout.ring_offset + 524288);
    assert_int_equal(tf_region_bytes(&config), layout.file_bytes);
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    tf_region_config_t bad[] = {config, config, config, config, config, config, config, config};
    bad[0].instruments_max = 0;
    bad[1].instruments_max = 65537;
    bad[2].image_depth = 0;
    bad[3].image_depth = TF_IMAGE_DEPTH_MAX + 1;
    bad[4].trades_kept = 63;
    bad[5].trades_kept = 65537;
    bad[6].ring_bytes = 16 * TF_EVENT_BYTES_MAX - 1;
    bad[7].ring_bytes = UINT64_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tf_region_bytes(&bad[i]), 0);
}

static void a_header_gives_back_its_layout(void **state)
{
    (void)state;
    static tf_region_header_t header;
    tf_layout_t layout = plan();
    tf_layout_t read;
    memset(&read, 0, sizeof read);
    tf_layout_write(&layout, &header);
    assert_non_null(tf_layout_read(&read, &header, layout.file_bytes));
    tf_word_put(&header.magic, TF_REGION_MAGIC);
    assert_non_null(tf_layout_read(&read, &header, layout.file_bytes));
    tf_word_put(&header.abi, TF_REGION_ABI);
    assert_null(tf_layout_read(&read, &header, layout.file_bytes));
    assert_memory_equal(&read, &layout, sizeof layout);
    assert_non_null(tf_layout_read(&read, &header, layout.file_bytes - 1));
}

/* Whatever one word of the header says, an accepted layout lies inside the file. */
static void assert_inside(const tf_layout_t *layout, uint64_t file_bytes)
{
    uint32_t last = layout->instruments_max - 1;
    assert_true(tf_layout_instrument(layout, last) + sizeof(tf_image_instrument_t) <= file_bytes);
    assert_true(tf_layout_ticker(layout, last) + sizeof(tf_image_ticker_t) <= file_bytes);
    assert_true(tf_layout_bbo(layout, last) + sizeof(tf_image_bbo_t) <= file_bytes);
    size_t level_bytes = (tf_layout_level_word(layout, 1, layout->book_slots - 1U) + 2) * 8;
    assert_true(tf_layout_book(layout, last) + sizeof(tf_image_book_t) + level_bytes <= file_bytes);
    size_t trade_bytes =
        tf_layout_trade_word(layout, layout->trades_kept - 1U) * 8 + sizeof(tf_trade_t);
    assert_true(tf_layout_trades(layout, last) + sizeof(tf_image_trades_t) + trade_bytes <=
                file_bytes);
    assert_true(layout->ring_offset + layout->ring_bytes <= file_bytes);
    assert_true(layout->image_depth <= layout->book_slots);
}

static void no_word_of_the_header_leads_out_of_the_file(void **state)
{
    (void)state;
    static tf_region_header_t header;
    static const uint64_t values[] = {0,
                                      1,
                                      7,
                                      64,
                                      127,
                                      128,
                                      129,
                                      640,
                                      1ULL << 16,
                                      1ULL << 20,
                                      1ULL << 31,
                                      1ULL << 32,
                                      1ULL << 36,
                                      1ULL << 48,
                                      1ULL << 62,
                                      1ULL << 63,
                                      UINT64_MAX,
                                      UINT64_MAX - 127,
                                      UINT64_MAX - 639};
    tf_layout_t layout = plan();
    _Atomic uint64_t *word = &header.magic;
    for (size_t i = 0; i < offsetof(tf_region_header_t, heartbeat_mono_ns) / 8; i++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            tf_layout_write(&layout, &header);
            tf_word_put(&header.magic, TF_REGION_MAGIC);
            tf_word_put(&header.abi, TF_REGION_ABI);
            tf_word_put(&word[i], values[v]);
            tf_layout_t read;
            if (tf_layout_read(&read, &header, layout.file_bytes) == NULL)
                assert_inside(&read, layout.file_bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_rounded_up_to_powers_of_two),
        cmocka_unit_test(sections_follow_each_other_on_line_borders),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(a_header_gives_back_its_layout),
        cmocka_unit_test(no_word_of_the_header_leads_out_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
