/*
 * Readers of a region whose writer has lost its mind. Random bytes are scribbled over a copy of a
 * sound file, between the calls and before attaching; every call must come back, with nothing read
 * out of bounds (ASan) and nothing in its answer that a user may not rely on.
 */
#include "kit/kit.h"

#include "base/rng.h"
#include "unit/region/region_kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MARKETS = 4, POLLS = 200 };

static uint8_t *sound; /* a good file's bytes */
static uint8_t *file;  /* the scribbled one, mapped writable */
static size_t file_bytes;
static int64_t checksum; /* so that no read is optimised away */
static char hostile[TF_REGION_NAME_BYTES_MAX];

static void publish_everything(t_region_t *t)
{
    tf_level_t levels[5];
    for (int64_t i = 0; i < 5; i++)
        levels[i] = (tf_level_t){.px = 100 - i, .sz = 1 + i};
    for (int m = 0; m < MARKETS; m++) {
        uint32_t index = t_region_live(t, "BTC-USD");
        tf_bbo_t bbo = {.bid_px = 100, .bid_sz = 1, .ask_px = 101, .ask_sz = 1};
        tf_ticker_t ticker = {.present = TF_TICKER_PX, .px = 1};
        tf_region_put_book_snapshot(t->region, index, levels, 5, NULL, 0, t_stamp);
        (void)tf_region_put_bbo(t->region, index, &bbo, t_stamp);
        tf_region_put_ticker(t->region, index, &ticker, t_stamp);
        for (uint64_t number = 1; number <= 80; number++) {
            tf_trade_t trade = t_trade(number);
            tf_region_put_trade(t->region, index, &trade, t_stamp);
        }
    }
}

static int make_copy(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "sound");
    t_region_open(&t);
    publish_everything(&t);
    file_bytes = tf_region_bytes(&t.config);
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, t.name, "");
    size_t bytes = 0;
    sound = (uint8_t *)t_file_read(path, &bytes);
    t_region_close(&t);
    if (sound == NULL || bytes != file_bytes)
        return -1;
    (void)snprintf(hostile, sizeof hostile, "test-hostile-%ld", (long)getpid());
    tf_region_path(path, hostile, "");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)file_bytes) != 0)
        return -1;
    file = mmap(NULL, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return file == MAP_FAILED ? -1 : 0;
}

static int remove_copy(void **state)
{
    (void)state;
    free(sound);
    (void)munmap(file, file_bytes);
    t_region_erase(hostile);
    return 0;
}

static void repair(void)
{
    memcpy(file, sound, file_bytes);
}

static uint64_t nasty(tf_rng_t *rng)
{
    static const uint64_t values[] = {0,          1,          8,          63,
                                      64,         255,        65535,      1ULL << 31,
                                      1ULL << 32, 1ULL << 63, UINT64_MAX, UINT64_MAX - 7};
    uint64_t pick = tf_rng_below(rng, 2 * sizeof values / sizeof values[0]);
    return pick < sizeof values / sizeof values[0] ? values[pick] : tf_rng_next(rng);
}

/* Overwrite `count` words in [from, to); sometimes a byte or a bit is nastier than a word. */
static void scribble(tf_rng_t *rng, size_t from, size_t to, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        size_t at = from + 8 * tf_rng_below(rng, (to - from) / 8);
        uint64_t value = nasty(rng);
        switch (tf_rng_below(rng, 3)) {
        case 0:
            memcpy(file + at, &value, sizeof value);
            break;
        case 1:
            file[at + value % 8] = (uint8_t)(value >> 8);
            break;
        default:
            file[at + value % 8] ^= (uint8_t)(1U << (value >> 8) % 8);
        }
    }
}

static void assert_info_usable(const tf_image_info_t *info)
{
    assert_true(info->state <= TF_STATE_HALTED && info->reason < TF_REASON_INGEST_LOST);
    assert_true(info->px_dp <= 18 && info->sz_dp <= 18);
}

static void poll_all(tf_reader_t *reader)
{
    const tf_event_t *event = NULL;
    for (int i = 0; i < POLLS; i++) {
        tf_poll_t got = tf_reader_poll(reader, &event);
        if (got == TF_POLL_EMPTY)
            break;
        if (got != TF_POLL_EVENT)
            continue;
        assert_true(event->instrument < tf_reader_instruments_max(reader));
        assert_true(event->bytes >= sizeof *event && event->px_dp <= 18 && event->sz_dp <= 18);
        if (event->type == TF_EVENT_BOOK) {
            const tf_event_book_t *book = (const void *)event;
            int64_t sum = 0;
            for (uint64_t l = 0; l < (uint64_t)book->bids + book->asks; l++)
                sum ^= book->level[l].px;
            checksum ^= sum;
            assert_true(book->bids + (uint64_t)book->asks <= TF_EVENT_LEVELS_MAX);
        }
        if (event->type == TF_EVENT_TRADE)
            assert_true(((const tf_event_trade_t *)(const void *)event)->trade.id_bytes <=
                        TF_TRADE_ID_BYTES_MAX);
    }
}

/* Exactly as large as asked for, so that ASan sees one too many. */
static void read_book(tf_reader_t *reader, uint32_t index, uint32_t depth)
{
    tf_level_t *bids = malloc((depth + !depth) * sizeof *bids);
    tf_level_t *asks = malloc((depth + !depth) * sizeof *asks);
    tf_image_info_t info;
    uint32_t bid_count = 0, ask_count = 0;
    if (tf_reader_book(reader, index, depth, &info, bids, &bid_count, asks, &ask_count) ==
        TF_IMAGE_OK) {
        assert_info_usable(&info);
        assert_true(bid_count <= depth && ask_count <= depth);
    }
    free(bids);
    free(asks);
}

static void read_trades(tf_reader_t *reader, uint32_t index, tf_rng_t *rng)
{
    uint32_t max = (uint32_t)tf_rng_below(rng, 100);
    tf_trade_t *out = malloc((max + !max) * sizeof *out);
    tf_image_info_t info;
    uint64_t first = 0;
    uint32_t count = 0;
    if (tf_reader_trades(reader, index, nasty(rng), nasty(rng), &info, out, max, &first, &count) ==
        TF_IMAGE_OK) {
        assert_info_usable(&info);
        assert_true(count <= max);
        for (uint32_t i = 0; i < count; i++)
            assert_true(out[i].side <= 1 && out[i].id_bytes <= TF_TRADE_ID_BYTES_MAX);
    }
    free(out);
}

static void read_image(tf_reader_t *reader, tf_rng_t *rng)
{
    uint32_t count = tf_reader_instrument_count(reader);
    uint32_t index = (uint32_t)tf_rng_below(rng, count + 2ULL);
    tf_instrument_view_t view;
    if (tf_reader_instrument(reader, index, &view) == TF_IMAGE_OK) {
        assert_info_usable(&view.info);
        assert_true(strlen(view.symbol) < sizeof view.symbol);
        assert_true(strlen(view.quote) < sizeof view.quote);
        assert_true(view.listing <= TF_INSTRUMENT_DELISTED);
    }
    tf_image_info_t info;
    tf_ticker_t ticker;
    if (tf_reader_ticker(reader, index, &info, &ticker) == TF_IMAGE_OK) {
        assert_info_usable(&info);
        assert_true(ticker.side <= 1 && ticker.q24_dp <= 18 && ticker.v24_dp <= 18);
    }
    tf_bbo_t bbo;
    if (tf_reader_bbo(reader, index, &info, &bbo) == TF_IMAGE_OK)
        assert_info_usable(&info);
    read_book(reader, index, (uint32_t)tf_rng_below(rng, 9));
    read_trades(reader, index, rng);
}

static void call_everything(tf_reader_t *reader, tf_rng_t *rng)
{
    poll_all(reader);
    for (int i = 0; i < 4; i++)
        read_image(reader, rng);
    (void)tf_reader_health(reader, (int64_t)(nasty(rng) >> 1), 1000);
    (void)tf_reader_lag_bytes(reader);
    (void)tf_reader_epoch(reader);
    (void)tf_reader_seek(reader, tf_rng_below(rng, 2) == 0 ? TF_FROM_NOW : TF_FROM_START);
    poll_all(reader);
}

/* Where a scribble falls: the header, the tables and the ring are small parts of the file. */
static void scribble_somewhere(tf_rng_t *rng)
{
    static const size_t image_from = sizeof(tf_region_header_t);
    size_t ring_from = file_bytes - (size_t)524288;
    switch (tf_rng_below(rng, 4)) {
    case 0: /* positions, state, count */
        scribble(rng, offsetof(tf_region_header_t, heartbeat_mono_ns), image_from, 2);
        break;
    case 1:
        scribble(rng, image_from, ring_from, 200);
        break;
    case 2:
        scribble(rng, ring_from, ring_from + 65536, 40);
        break;
    default:
        scribble(rng, 0, file_bytes, 1000);
    }
}

static void a_scribbling_writer_never_hurts_an_attached_reader(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(2)};
    uint64_t rounds = t_rounds(400);
    uint64_t lapped = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        repair();
        tf_reader_t *reader = t_region_attach(hostile);
        (void)tf_reader_seek(reader, TF_FROM_START);
        for (int i = 0; i < 4; i++) {
            scribble_somewhere(&rng);
            call_everything(reader, &rng);
        }
        lapped += tf_reader_lapped_count(reader);
        tf_reader_close(reader);
    }
    assert_true(lapped > 0); /* else nothing was ever noticed, and the test tests nothing */
}

static void a_damaged_header_is_refused_or_harmless(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(3)};
    uint64_t rounds = t_rounds(2000);
    uint64_t refused = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        repair();
        scribble(&rng, 0, offsetof(tf_region_header_t, heartbeat_mono_ns), 1);
        const char *error = NULL;
        tf_reader_t *reader = tf_reader_open(hostile, &error);
        if (reader == NULL) {
            refused++;
            assert_non_null(error);
            continue;
        }
        call_everything(reader, &rng);
        tf_reader_close(reader);
    }
    assert_true(refused > rounds / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scribbling_writer_never_hurts_an_attached_reader),
        cmocka_unit_test(a_damaged_header_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, make_copy, remove_copy);
}
