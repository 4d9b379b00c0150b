/*
 * Random book traffic against a naive venue: after every frame the image and a follower of the ring
 * hold exactly the venue's best levels, or nothing when the book was crossed or not yet there.
 */
#include "base/log.h"
#include "base/rng.h"
#include "ingest_rig.h"

#include <stdio.h>
#include <string.h>

enum {
    PRICES = 40, /* the venue's ticks: 100.0, 100.5, 101.0, ... */
    UNIT_DP = 2, /* figures are compared in hundredths */
    FRAME_BYTES = 8192,
};

/* Sizes by side and tick; 0 = no level. */
typedef struct naive {
    int64_t sz[2][PRICES];
} naive_t;

/* The best levels of a side, in hundredths. */
typedef struct top {
    tf_level_t level[2][RIG_DEPTH + 1];
    uint32_t count[2];
} top_t;

static int64_t tick_px(int tick)
{
    return 10000 + 50 * (int64_t)tick;
}

static bool naive_crossed(const naive_t *naive)
{
    int bid = PRICES - 1, ask = 0;
    while (bid >= 0 && naive->sz[TF_SIDE_BUY][bid] == 0)
        bid--;
    while (ask < PRICES && naive->sz[TF_SIDE_SELL][ask] == 0)
        ask++;
    return bid >= 0 && ask < PRICES && bid >= ask;
}

static void naive_top(const naive_t *naive, top_t *top)
{
    memset(top, 0, sizeof *top);
    for (int i = 0; i < PRICES; i++) {
        int ticks[2] = {PRICES - 1 - i, i};
        for (int side = 0; side < 2; side++) {
            int64_t sz = naive->sz[side][ticks[side]];
            if (sz > 0 && top->count[side] < RIG_DEPTH)
                top->level[side][top->count[side]++] = (tf_level_t){tick_px(ticks[side]), sz};
        }
    }
}

static tf_level_t unified(tf_level_t level, uint8_t px_dp, uint8_t sz_dp)
{
    for (int dp = px_dp; dp < UNIT_DP; dp++)
        level.px *= 10;
    for (int dp = sz_dp; dp < UNIT_DP; dp++)
        level.sz *= 10;
    return level;
}

static void image_top(rig_t *rig, top_t *top, tf_image_info_t *info)
{
    memset(top, 0, sizeof *top);
    assert_int_equal(tf_reader_book(rig->reader, 0, RIG_DEPTH, info, top->level[0], &top->count[0],
                                    top->level[1], &top->count[1]),
                     TF_IMAGE_OK);
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < RIG_DEPTH; i++)
            top->level[side][i] = i < top->count[side]
                                      ? unified(top->level[side][i], info->px_dp, info->sz_dp)
                                      : (tf_level_t){0, 0};
    }
}

/* Follow the ring as a reader without the image would. */
static void follow(rig_t *rig, naive_t *followed)
{
    const tf_event_t *event = NULL;
    while (tf_reader_poll(rig->reader, &event) == TF_POLL_EVENT) {
        if (event->type != TF_EVENT_BOOK)
            continue;
        const tf_event_book_t *book = (const tf_event_book_t *)event;
        if (event->flags & TF_EVENT_FLAG_SNAPSHOT)
            memset(followed, 0, sizeof *followed);
        for (uint32_t i = 0; i < book->bids + book->asks; i++) {
            tf_level_t level = unified(book->level[i], event->px_dp, event->sz_dp);
            followed->sz[i < book->bids ? 0 : 1][(level.px - tick_px(0)) / 50] = level.sz;
        }
        top_t top;
        naive_top(followed, &top);
        memset(followed, 0, sizeof *followed);
        for (int side = 0; side < 2; side++) {
            for (uint32_t i = 0; i < top.count[side]; i++)
                followed->sz[side][(top.level[side][i].px - tick_px(0)) / 50] =
                    top.level[side][i].sz;
        }
    }
}

/* "100.5" or "100.50" or, when it is whole, "100": all are the same number. */
static int px_write(char *out, size_t room, tf_rng_t *rng, int64_t px)
{
    bool whole = px % 100 == 0;
    if (whole && tf_rng_below(rng, 2) == 0)
        return snprintf(out, room, "%lld", (long long)(px / 100));
    if (px % 10 == 0 && tf_rng_below(rng, 2) == 0)
        return snprintf(out, room, "%lld.%lld", (long long)(px / 100), (long long)(px % 100 / 10));
    return snprintf(out, room, "%lld.%02lld", (long long)(px / 100), (long long)(px % 100));
}

/* Mostly apart: bids in the lower half, asks in the upper one. */
static int random_tick(tf_rng_t *rng, int side)
{
    int tick = (int)tf_rng_below(rng, PRICES / 2) + (side == TF_SIDE_SELL ? PRICES / 2 : 0);
    return tf_rng_below(rng, 200) == 0 ? (int)tf_rng_below(rng, PRICES) : tick;
}

static void change_make(char frame[FRAME_BYTES], tf_rng_t *rng, naive_t *naive)
{
    size_t used = (size_t)snprintf(frame, FRAME_BYTES,
                                   "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\","
                                   "\"changes\":[");
    uint64_t count = 1 + tf_rng_below(rng, 6);
    for (uint64_t i = 0; i < count; i++) {
        int side = (int)tf_rng_below(rng, 2);
        int tick = random_tick(rng, side);
        int64_t sz = tf_rng_below(rng, 2) == 0 ? 0 : (int64_t)tf_rng_below(rng, 900);
        naive->sz[side][tick] = sz;
        used += (size_t)snprintf(frame + used, FRAME_BYTES - used, "%s[\"%s\",\"", i > 0 ? "," : "",
                                 side == TF_SIDE_BUY ? "buy" : "sell");
        used += (size_t)px_write(frame + used, FRAME_BYTES - used, rng, tick_px(tick));
        used += (size_t)snprintf(frame + used, FRAME_BYTES - used, "\",\"%lld.%02lld\"]",
                                 (long long)(sz / 100), (long long)(sz % 100));
    }
    snprintf(frame + used, FRAME_BYTES - used, "]," RIG_TIME "}");
}

static void snapshot_make(char frame[FRAME_BYTES], tf_rng_t *rng, naive_t *naive)
{
    static const char *const key[2] = {"bids", "asks"};
    size_t used =
        (size_t)snprintf(frame, FRAME_BYTES, "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\"");
    memset(naive, 0, sizeof *naive);
    for (int side = 0; side < 2; side++) {
        used += (size_t)snprintf(frame + used, FRAME_BYTES - used, ",\"%s\":[", key[side]);
        uint64_t levels = tf_rng_below(rng, 8);
        for (uint64_t i = 0; i < levels; i++) {
            int tick = random_tick(rng, side);
            naive->sz[side][tick] = 100 + (int64_t)i;
            used += (size_t)snprintf(frame + used, FRAME_BYTES - used, "%s[\"", i > 0 ? "," : "");
            used += (size_t)px_write(frame + used, FRAME_BYTES - used, rng, tick_px(tick));
            used += (size_t)snprintf(frame + used, FRAME_BYTES - used, "\",\"1.%02d\"]", (int)i);
        }
        used += (size_t)snprintf(frame + used, FRAME_BYTES - used, "]");
    }
    snprintf(frame + used, FRAME_BYTES - used, "," RIG_TIME "}");
}

static void image_and_ring_follow_a_naive_venue(void **state)
{
    (void)state;
    static const char *const btc[] = {"BTC-USD", NULL};
    static char frame[FRAME_BYTES];
    tf_rng_t rng = {t_seed(77)};
    uint64_t rounds = t_rounds(20000), live = 0;
    rig_t rig;
    naive_t naive = {0}, followed = {0};
    bool synced = false;
    rig_open(&rig, btc, 1);
    for (uint64_t round = 0; round < rounds; round++) {
        bool snapshot = tf_rng_below(&rng, 50) == 0;
        if (snapshot)
            snapshot_make(frame, &rng, &naive);
        else
            change_make(frame, &rng, &naive);
        rig_frame(&rig, (int64_t)round * 100, frame);
        follow(&rig, &followed);
        synced = (synced || snapshot) && !naive_crossed(&naive);
        top_t expected = {0}, image, ring;
        tf_image_info_t info;
        if (synced)
            naive_top(&naive, &expected);
        image_top(&rig, &image, &info);
        naive_top(&followed, &ring);
        assert_int_equal(info.state, synced ? TF_STATE_LIVE : TF_STATE_RESYNC);
        assert_memory_equal(&image, &expected, sizeof image);
        assert_memory_equal(&ring, &expected, sizeof ring);
        live += synced;
    }
    assert_true(live > rounds / 4);
    rig_close(&rig);
}

int main(void)
{
    tf_log_level_set(TF_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_and_ring_follow_a_naive_venue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
