/*
 * normalise_bench: what it costs to turn a venue's JSON into published books, beside what two JSON
 * libraries take to merely read the same frames:
 *
 *     normalise_bench [FILE ...]      recordings of Coinbase; without: the two that the project has
 *
 *     scan        the scanner alone
 *     decode      scanner and Coinbase adapter
 *     normalise   adapter, feed, full-depth book, and publication in a region (image and ring)
 *     lejp        libwebsockets' parser, with the paths that a decoder would ask for
 *     jansson     its tree of the whole frame
 *
 * normalise_deep is the same with an image of 65536 levels a side, the largest. normalise_l2update
 * is that part of the frames alone which never ends in production: book changes after the
 * snapshots. Readers take turns and the median of RUNS is shown, so that a noisy machine is noisy
 * for all; the CPU time of the thread is what counts. Only the ratios mean something elsewhere.
 */
#include "kit/kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "bench/ingest/memory_source.h"
#include "ingest/ingest.h"
#include "region/region_file.h"
#include "region/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <libwebsockets.h>

enum { RUNS = 7, RUN_BYTES = 24 << 20, DEEP = TF_IMAGE_DEPTH_MAX, DEEP_INSTRUMENTS = 16 };

static uint64_t sink_total; /* keeps the optimiser from dropping the work */

static int64_t cpu_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * TF_NS_PER_S + now.tv_nsec;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "normalise_bench: %s\n", what);
    exit(1);
}

/* ---- readers: each reads every frame of a tape -------------------------------------------- */

static bool scan_frame(const tf_source_event_t *frame)
{
    tf_scan_t scan;
    tf_scan_init(&scan, frame->text, frame->bytes);
    return tf_scan_skip(&scan) && tf_scan_end(&scan);
}

static void count_update(void *context, const tf_update_t *update)
{
    (void)context;
    bool book = update->type == TF_UPDATE_BOOK_SNAPSHOT || update->type == TF_UPDATE_BOOK_CHANGE;
    sink_total += book ? update->book.count : 1;
}

static bool decode_frame(const tf_source_event_t *frame)
{
    static tf_adapter_t *adapter;
    const tf_update_sink_t sink = {count_update, NULL};
    tf_decode_loss_t loss;
    if (adapter == NULL)
        adapter = tf_adapter_coinbase.create();
    return tf_adapter_coinbase.decode(adapter, frame->text, frame->bytes, &sink, &loss) ==
           TF_DECODE_OK;
}

static const char *const lejp_paths[] = {"type", "product_id", "changes[]", "asks[]",  "bids[]",
                                         "time", "price",      "size",      "trade_id"};

static signed char lejp_count(struct lejp_ctx *context, char reason)
{
    if (reason == LEJPCB_VAL_STR_END)
        sink_total += context->npos;
    return 0;
}

static bool lejp_frame(const tf_source_event_t *frame)
{
    struct lejp_ctx context;
    lejp_construct(&context, lejp_count, NULL, lejp_paths,
                   sizeof lejp_paths / sizeof lejp_paths[0]);
    int result = lejp_parse(&context, (const unsigned char *)frame->text, (int)frame->bytes);
    lejp_destruct(&context);
    return result >= 0;
}

static bool jansson_frame(const tf_source_event_t *frame)
{
    json_t *root = json_loadb(frame->text, frame->bytes, 0, NULL);
    json_decref(root);
    return root != NULL;
}

static int64_t read_ns(const memory_tape_t *tape, bool (*read)(const tf_source_event_t *frame),
                       size_t passes)
{
    int64_t start_ns = cpu_ns();
    for (size_t pass = 0; pass < passes; pass++) {
        for (size_t i = 0; i < tape->count; i++) {
            if (tape->event[i].type == TF_SOURCE_FRAME && !read(&tape->event[i]))
                die("a frame was refused");
        }
    }
    return cpu_ns() - start_ns;
}

/* ---- normalise: a source in memory, ingest, and a region of its own ------------------------ */

typedef struct normaliser {
    char name[TF_REGION_NAME_BYTES_MAX];
    tf_stats_t stats;
    tf_region_t *region;
    tf_ingest_t *ingest;
    memory_source_t source;
    size_t measured_at; /* events before this one are played unmeasured in each pass */
} normaliser_t;

static void normaliser_open(normaliser_t *self, const char *name, const memory_tape_t *tape,
                            size_t measured_at, bool deep)
{
    tf_region_config_t config = tf_region_config_default;
    *self = (normaliser_t){.measured_at = measured_at};
    (void)snprintf(self->name, sizeof self->name, "bench-%ld-%s", (long)getpid(), name);
    config.name = self->name;
    if (deep) {
        config.image_depth = DEEP;
        config.instruments_max = DEEP_INSTRUMENTS;
    }
    memory_source_init(&self->source, tape);
    const tf_ingest_link_t link = {"coinbase", &tf_adapter_coinbase, &self->source.source, NULL};
    if (tf_region_create(&self->region, &config, &tf_clock_system, &self->stats) != TF_OK ||
        tf_ingest_create(&self->ingest, self->region, &tf_clock_system, &self->stats) != TF_OK ||
        tf_ingest_link_add(self->ingest, &link) != TF_OK)
        die(tf_error_text());
    /* The ring's first lap would measure page faults. */
    static const tf_event_t filler = {.bytes = sizeof filler, .type = 99};
    for (uint64_t i = 0; i < self->region->layout.ring_bytes / sizeof filler; i++)
        tf_ring_put(&self->region->ring, &filler);
}

static void normaliser_close(normaliser_t *self)
{
    char lock[TF_REGION_PATH_BYTES_MAX];
    if (tf_stats_get(&self->stats, TF_STAT_venue_malformed_total) > 0 ||
        tf_stats_get(&self->stats, TF_STAT_book_crossed_total) > 0 ||
        tf_stats_get(&self->stats, TF_STAT_instruments_refused_total) > 0 ||
        tf_stats_get(&self->stats, TF_STAT_published_books_total) == 0)
        die("the frames were not all published");
    tf_ingest_destroy(self->ingest);
    tf_region_close(self->region, true);
    tf_region_path(lock, self->name, ".lock");
    (void)unlink(lock);
}

static void play_to(normaliser_t *self, size_t end)
{
    memory_source_wind(&self->source, end);
    while (self->source.next < end) {
        int64_t wake_in_ns;
        (void)tf_ingest_step(self->ingest, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
    }
}

static int64_t normalise_ns(normaliser_t *self, size_t passes)
{
    int64_t spent_ns = 0;
    for (size_t pass = 0; pass < passes; pass++) {
        play_to(self, self->measured_at);
        int64_t start_ns = cpu_ns();
        play_to(self, self->source.tape->count);
        spent_ns += cpu_ns() - start_ns;
    }
    return spent_ns;
}

/* ---- turns, medians, lines ------------------------------------------------------------------ */

enum { SCAN, DECODE, NORMALISE, DEEPLY, CHANGES, LEJP, JANSSON, READERS };

static const struct {
    const char *name;
    bool (*read)(const tf_source_event_t *frame); /* NULL: a normaliser */
    size_t slower;                                /* so many times less is read in a run */
} readers[READERS] = {
    [SCAN] = {"scan", scan_frame, 1},
    [DECODE] = {"decode", decode_frame, 1},
    [NORMALISE] = {"normalise", NULL, 1},
    [DEEPLY] = {"normalise_deep", NULL, 1},
    [CHANGES] = {"normalise_l2update", NULL, 1},
    [LEJP] = {"lejp", lejp_frame, 4},
    [JANSSON] = {"jansson", jansson_frame, 12},
};

typedef struct bench {
    const char *corpus;
    memory_tape_t all;
    memory_tape_t books;
    normaliser_t normaliser[READERS];
    size_t frames[READERS]; /* of one pass */
    size_t bytes[READERS];
    double ns_per_pass[READERS][RUNS];
} bench_t;

static void bench_open(bench_t *bench, const char *corpus, const char *path)
{
    size_t changes_at;
    *bench = (bench_t){.corpus = corpus};
    if (!memory_tape_load(&bench->all, path))
        die(tf_error_text());
    memory_tape_books(&bench->books, &bench->all, &changes_at);
    normaliser_open(&bench->normaliser[NORMALISE], "all", &bench->all, 0, false);
    normaliser_open(&bench->normaliser[DEEPLY], "deep", &bench->all, 0, true);
    normaliser_open(&bench->normaliser[CHANGES], "l2", &bench->books, changes_at, false);
    for (size_t reader = 0; reader < READERS; reader++) {
        bench->frames[reader] = bench->all.frame_count;
        bench->bytes[reader] = bench->all.frame_bytes;
    }
    bench->frames[CHANGES] = bench->books.count - changes_at;
    bench->bytes[CHANGES] = 0;
    for (size_t i = changes_at; i < bench->books.count; i++)
        bench->bytes[CHANGES] += bench->books.event[i].bytes;
    if (bench->bytes[CHANGES] == 0)
        die("no book changes in the recording");
}

static void bench_run(bench_t *bench, size_t run)
{
    for (size_t reader = 0; reader < READERS; reader++) {
        size_t passes = RUN_BYTES / readers[reader].slower / bench->all.frame_bytes + 1;
        int64_t spent_ns = readers[reader].read != NULL
                               ? read_ns(&bench->all, readers[reader].read, passes)
                               : normalise_ns(&bench->normaliser[reader], passes);
        bench->ns_per_pass[reader][run] = (double)spent_ns / (double)passes;
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_tell(bench_t *bench)
{
    double mb_per_s[READERS];
    for (size_t reader = 0; reader < READERS; reader++) {
        double *ns = bench->ns_per_pass[reader];
        qsort(ns, RUNS, sizeof ns[0], compare_doubles);
        mb_per_s[reader] = (double)bench->bytes[reader] * 1e3 / ns[RUNS / 2];
        (void)printf("bench %s corpus=%s frames=%zu bytes=%zu mb_per_s=%.0f ns_per_frame=%.0f "
                     "spread_percent=%.0f\n",
                     readers[reader].name, bench->corpus, bench->frames[reader],
                     bench->bytes[reader], mb_per_s[reader],
                     ns[RUNS / 2] / (double)bench->frames[reader],
                     (ns[RUNS - 1] - ns[0]) * 100 / ns[RUNS / 2]);
    }
    (void)printf("bench normalise_ratio corpus=%s to_lejp=%.2f to_jansson=%.2f of_decode=%.2f\n",
                 bench->corpus, mb_per_s[NORMALISE] / mb_per_s[LEJP],
                 mb_per_s[NORMALISE] / mb_per_s[JANSSON], mb_per_s[NORMALISE] / mb_per_s[DECODE]);
    (void)fflush(stdout);
}

static void measure(const char *corpus, const char *path)
{
    static bench_t bench;
    bench_open(&bench, corpus, path);
    for (size_t run = 0; run < RUNS; run++)
        bench_run(&bench, run);
    normaliser_close(&bench.normaliser[NORMALISE]);
    normaliser_close(&bench.normaliser[DEEPLY]);
    normaliser_close(&bench.normaliser[CHANGES]);
    bench_tell(&bench);
}

int main(int argc, char **argv)
{
    static const char *const recordings[][2] = {
        {"flashbook", "flashbook/coinbase_live-btc-eth.ndjson"},
        {"cryptofeed", "cryptofeed/COINBASE_EXCHANGE_202104.jsonl"},
    };
    lws_set_log_level(LLL_ERR, NULL);
    tf_log_level_set(TF_LOG_ERROR); /* else a line for every pass */
    for (int i = 1; i < argc; i++)
        measure(argv[i], argv[i]);
    if (argc == 1 && t_data_dir() == NULL)
        t_skip("no recorded venue data");
    for (size_t i = 0; argc == 1 && i < sizeof recordings / sizeof recordings[0]; i++) {
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%s", t_data_dir(), recordings[i][1]);
        measure(recordings[i][0], path);
    }
    return sink_total > 0 ? 0 : 1;
}
