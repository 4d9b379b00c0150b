/*
 * encode_bench: what one update of a book stream costs, at each depth: read the image, find the
 * difference to what was emitted last, checksum, write the JSON and the frame.
 *
 *     encode_bench
 *
 * A book of 1,000 levels a side. Between two emissions CHANGES of its best TOUCHED levels get new
 * sizes, so the frames are the same at every depth above 1 and what grows with the depth is the
 * comparison. The writer's part is measured alone and subtracted; depths take turns, medians are
 * shown; the CPU time of the thread is what counts. The reference, in the same run: jansson
 * building and writing the same message.
 */
#include "kit/kit.h"

#include "base/clock.h"
#include "fanout/stream.h"
#include "unit/region/region_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

enum {
    LEVELS = 1000,
    TOUCHED = 10,
    CHANGES = 5,
    ROUNDS = 9,
    UPDATES = 2000, /* a round */
    DEPTHS = 7,
};

static const uint32_t depths[DEPTHS] = {1, 10, 25, 50, 200, 1000, TF_DEPTH_FULL};

typedef struct bench {
    t_region_t t;
    uint32_t index;
    tf_stream_env_t env;
    tf_level_t side[2][LEVELS];
    uint64_t random;
    uint64_t frame_bytes;
    uint64_t frames;
} bench_t;

static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * TF_NS_PER_S + now.tv_nsec;
}

static void bench_open(bench_t *bench)
{
    t_region_init(&bench->t, "encode-bench");
    bench->t.config.image_depth = LEVELS;
    t_region_open(&bench->t);
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 8);
    assert_int_equal(tf_region_instrument_add(bench->t.region, &instrument, t_stamp, &bench->index),
                     TF_OK);
    for (int i = 0; i < LEVELS; i++) {
        bench->side[0][i] = (tf_level_t){6400000 - i, 50000000 + i};
        bench->side[1][i] = (tf_level_t){6400001 + i, 50000000 + i};
    }
    tf_region_put_book_snapshot(bench->t.region, bench->index, bench->side[0], LEVELS,
                                bench->side[1], LEVELS, t_stamp);
    assert_true(tf_stream_env_init(&bench->env, bench->t.reader, &bench->t.stats));
    assert_true(tf_directory_refresh(&bench->env.view.directory, bench->t.reader));
    bench->random = 88172645463325252ULL;
}

static uint32_t draw(bench_t *bench, uint32_t below)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return (uint32_t)((bench->random * 2685821657736338717ULL) >> 33) % below;
}

static void publish(bench_t *bench)
{
    tf_region_book_begin(bench->t.region, bench->index);
    for (int i = 0; i < CHANGES; i++) {
        uint32_t side = draw(bench, 2);
        uint32_t rank = draw(bench, TOUCHED);
        bench->side[side][rank].sz++;
        tf_region_book_resize(bench->t.region, (tf_side_t)side, rank, bench->side[side][rank]);
    }
    const tf_bbo_t bbo = {bench->side[0][0].px, bench->side[0][0].sz, bench->side[1][0].px,
                          bench->side[1][0].sz};
    tf_region_book_commit(bench->t.region, &bbo, t_stamp);
}

static void emit(bench_t *bench, tf_stream_t *stream)
{
    tf_frame_t *frame[TF_STREAM_FRAMES_MAX];
    size_t count;
    assert_int_equal(tf_stream_emit(stream, &bench->env, frame, &count), TF_STREAM_OK);
    for (size_t i = 0; i < count; i++) {
        bench->frame_bytes += frame[i]->bytes;
        bench->frames++;
        tf_frame_unref(frame[i]);
    }
}

/* One update at a depth, in ns; NULL: the writer's part alone. */
static double round_of(bench_t *bench, tf_stream_t *stream)
{
    bench->frame_bytes = bench->frames = 0;
    int64_t begin_ns = cpu_ns();
    for (int i = 0; i < UPDATES; i++) {
        publish(bench);
        if (stream != NULL)
            emit(bench, stream);
    }
    return (double)(cpu_ns() - begin_ns) / UPDATES;
}

/* A message of the same content, as a program would write it with a JSON library. */
static double jansson_round(void)
{
    int64_t begin_ns = cpu_ns();
    for (int i = 0; i < UPDATES; i++) {
        json_t *levels = json_array();
        for (int level = 0; level < CHANGES; level++)
            (void)json_array_append_new(levels, json_pack("[s,s]", "64000.01", "0.50000001"));
        json_t *message = json_pack(
            "{s:s,s:s,s:{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:{s:o,s:[]}}}", "jsonrpc", "2.0",
            "method", "subscription", "params", "channel", "book.test.BTC-USD.10.100ms", "type",
            "update", "seq", (json_int_t)918273, "prev", (json_int_t)918270, "te",
            (json_int_t)1790000000223456, "ti", (json_int_t)1790000000224100, "tp",
            (json_int_t)1790000000224133, "cs", (json_int_t)1006567732, "data", "b", levels, "a");
        char *text = json_dumps(message, JSON_COMPACT);
        assert_non_null(text);
        free(text);
        json_decref(message);
    }
    return (double)(cpu_ns() - begin_ns) / UPDATES;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof values[0], by_value);
    return values[ROUNDS / 2];
}

int main(void)
{
    static bench_t bench;
    static tf_stream_t stream[DEPTHS];
    static double ns[DEPTHS][ROUNDS];
    static uint64_t bytes[DEPTHS];
    double writer_ns[ROUNDS];
    double jansson_ns[ROUNDS];
    bench_open(&bench);
    for (int d = 0; d < DEPTHS; d++) {
        tf_channel_t channel = {.kind = TF_KIND_BOOK, .rate = TF_RATE_RAW, .depth = depths[d]};
        (void)snprintf(channel.venue, sizeof channel.venue, "test");
        (void)snprintf(channel.symbol, sizeof channel.symbol, "BTC-USD");
        assert_true(tf_stream_init(&stream[d], &bench.env, &channel, bench.index));
    }
    for (int round = 0; round < ROUNDS; round++) {
        writer_ns[round] = round_of(&bench, NULL);
        jansson_ns[round] = jansson_round();
        for (int d = 0; d < DEPTHS; d++) {
            emit(&bench, &stream[d]); /* not the catching up with the other depths' rounds */
            ns[d][round] = round_of(&bench, &stream[d]);
            bytes[d] = bench.frames == 0 ? 0 : bench.frame_bytes / bench.frames;
        }
    }
    double writer = median(writer_ns);
    double jansson = median(jansson_ns);
    for (int d = 0; d < DEPTHS; d++) {
        char depth[16] = "full";
        if (depths[d] != TF_DEPTH_FULL)
            (void)snprintf(depth, sizeof depth, "%u", depths[d]);
        double cost = median(ns[d]) - writer;
        (void)printf("bench encode depth=%s ns_per_update=%.0f bytes=%lu to_jansson=%.2f\n", depth,
                     cost, (unsigned long)bytes[d], cost / jansson);
        tf_stream_fini(&stream[d]);
    }
    tf_stream_env_fini(&bench.env);
    t_region_close(&bench.t);
    return 0;
}
