#include "base/log.h"
#include "base/mem.h"
#include "ingest_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const btc_eth[] = {"BTC-USD", "ETH-USD", NULL};

static void turn_is_bounded_in_frames_and_in_bytes(void **state)
{
    (void)state;
    rig_t rig;
    int64_t wake_in_ns = -1;
    rig_live(&rig);
    for (int i = 0; i < 300; i++)
        rig_queue(&rig, 2000, TF_SOURCE_FRAME, RIG_HEARTBEAT("BTC-USD", "100"));
    assert_int_equal(tf_ingest_step(rig.ingest, 0, 0, &wake_in_ns), 256);
    assert_int_equal(wake_in_ns, 0);
    assert_int_equal(tf_ingest_step(rig.ingest, 0, 0, &wake_in_ns), 44);
    assert_int_equal(wake_in_ns, 50 * TF_NS_PER_MS); /* the region's heartbeat must go on */
    enum { BIG = 700000 };
    char *big = malloc(BIG + 1);
    assert_non_null(big);
    memset(big, ' ', BIG);
    memcpy(big, "{}", 2);
    big[BIG] = '\0';
    for (int i = 0; i < 3; i++)
        rig_queue(&rig, 2000, TF_SOURCE_FRAME, big);
    assert_int_equal(tf_ingest_step(rig.ingest, 0, 0, &wake_in_ns), 2);
    assert_int_equal(tf_ingest_step(rig.ingest, 0, 0, &wake_in_ns), 1);
    free(big);
    rig_close(&rig);
}

static void long_lists_are_subscribed_in_several_frames(void **state)
{
    (void)state;
    enum { SYMBOLS = 600 };
    static char name[SYMBOLS][16];
    static const char *symbols[SYMBOLS + 1];
    rig_t rig;
    for (int i = 0; i < SYMBOLS; i++) {
        snprintf(name[i], sizeof name[i], "C%03d-USD", i);
        symbols[i] = name[i];
    }
    rig_open(&rig, symbols, SYMBOLS);
    rig_play(&rig, 0, TF_SOURCE_OPENED, NULL);
    const char *sent = rig_sent(&rig);
    size_t frames = 0, found = 0;
    for (const char *at = sent; (at = strchr(at, '\n')) != NULL; at++)
        frames++;
    for (int i = 0; i < SYMBOLS; i++)
        found += strstr(sent, name[i]) != NULL;
    assert_int_equal(found, SYMBOLS);
    assert_in_range(frames, 2, 4);
    (void)rig_told(&rig);
    rig_frame(&rig, 1, RIG_MATCH("match", "C599-USD", "1", "buy", "1", "2"));
    rig_frame(&rig, 1, RIG_MATCH("match", "C000-USD", "1", "buy", "1", "2"));
    assert_string_equal(rig_told(&rig), "T599:1:sell:2x1 T0:1:sell:2x1");
    rig_close(&rig);
}

/* Fail the n-th allocation and all later ones, for every n: nothing leaks, and a venue that goes on
 * after memory is back brings its markets back. */
static void out_of_memory_leaks_nothing_and_recovers(void **state)
{
    (void)state;
    static const char *const frames[] = {
        RIG_STATUS(RIG_PRODUCT("BTC-USD", "0.01", "0.1", "online")),
        RIG_BOOK,
        RIG_SNAPSHOT("ETH-USD", "[\"1.0\",\"1\"]", "[\"2.0\",\"1\"]"),
        RIG_CHANGE("BTC-USD", "[\"buy\",\"98.005\",\"5.0\"]"),
        "not JSON",
    };
    bool clean = false;
    for (uint64_t n = 1; !clean; n++) {
        rig_t rig;
        uint64_t before = tf_mem_in_use_bytes();
        rig_region_open(&rig, 8);
        tf_mem_fail_at(n);
        tf_status_t status = rig_ingest_open(&rig, n % 2 == 0 ? btc_eth : NULL);
        for (size_t i = 0; i < sizeof frames / sizeof frames[0] && status == TF_OK; i++)
            rig_frame(&rig, 9000 + (int64_t)i, frames[i]);
        tf_mem_fail_at(0);
        if (status == TF_OK) {
            tf_image_info_t info;
            tf_bbo_t bbo;
            rig_frame(&rig, 19000, RIG_BOOK);
            bool carried = rig_count(&rig, TF_STAT_instruments_refused_total) == 0;
            if (carried) {
                assert_int_equal(tf_reader_bbo(rig.reader, 0, &info, &bbo), TF_IMAGE_OK);
                assert_int_equal(info.state, TF_STATE_LIVE);
            }
            clean = carried && rig_count(&rig, TF_STAT_memory_refused_total) == 0 &&
                    rig_count(&rig, TF_STAT_venue_unknown_symbol_total) == 0;
        } else {
            assert_int_equal(status, TF_ERR_MEMORY);
        }
        rig_close(&rig);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
}

/* What was written on stderr while `rounds` books were lost within one second, and then one more.
 */
static char *log_of_losses(rig_t *rig, int rounds)
{
    char path[256];
    size_t bytes = 0;
    int64_t wake_in_ns = 0;
    snprintf(path, sizeof path, "%s/log", t_scratch_dir());
    int saved = dup(STDERR_FILENO);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0);
    dup2(file, STDERR_FILENO);
    tf_log_level_set(TF_LOG_INFO);
    for (int i = 0; i <= rounds; i++) {
        rig_queue(rig, 2000, TF_SOURCE_FRAME, RIG_CHANGE("BTC-USD", "[\"buy\",\"102\",\"1\"]"));
        rig_queue(rig, 2000, TF_SOURCE_FRAME, RIG_BOOK);
        (void)tf_ingest_step(rig->ingest, i < rounds ? 10 : TF_NS_PER_S + 10, 0, &wake_in_ns);
    }
    tf_log_level_set(TF_LOG_OFF);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
    return t_file_read(path, &bytes);
}

static void losses_are_logged_ten_times_a_second_and_then_summed_up(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    int lines = 0;
    char *text = log_of_losses(&rig, 50);
    assert_non_null(text);
    for (const char *at = text; (at = strstr(at, "event=resync venue=coinbase symbol=BTC-USD "
                                                 "reason=crossed")) != NULL;
         at++)
        lines++;
    assert_int_equal(lines, 10); /* nine after the one about the link, and one a second later */
    assert_non_null(strstr(text, "level=warn event=log_suppressed venue=coinbase lines=41"));
    free(text);
    rig_close(&rig);
}

int main(void)
{
    tf_log_level_set(TF_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turn_is_bounded_in_frames_and_in_bytes),
        cmocka_unit_test(long_lists_are_subscribed_in_several_frames),
        cmocka_unit_test(out_of_memory_leaks_nothing_and_recovers),
        cmocka_unit_test(losses_are_logged_ten_times_a_second_and_then_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
