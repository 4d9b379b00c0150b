/*
 * What reading a venue's JSON costs: our scanner alone, scanner and Coinbase decoder,
 * libwebsockets' LEJP, jansson. The same recorded frames for all, one text frame per line.
 *
 * Runs are interleaved and the median of five is shown, so that a noisy machine is noisy for all;
 * only the ratios mean something on another machine.
 */
#include "kit/kit.h"

#include "base/clock.h"
#include "venue/adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <libwebsockets.h>

enum { RUNS = 5, RUN_BYTES = 24 << 20, FRAMES_MAX = 100000 };

typedef struct corpus {
    const char *name;
    tf_slice_t *frame;
    size_t frames;
    size_t bytes;
} corpus_t;

/* Number of frames read without complaint. */
typedef size_t (*reader_t)(const corpus_t *corpus);

static uint64_t sink_total; /* keeps the optimiser from dropping the work */

static size_t walk_all(const corpus_t *corpus)
{
    size_t good = 0;
    for (size_t i = 0; i < corpus->frames; i++) {
        tf_scan_t scan;
        tf_scan_init(&scan, corpus->frame[i].text, corpus->frame[i].bytes);
        good += tf_scan_skip(&scan) && tf_scan_end(&scan);
    }
    return good;
}

static void count_update(void *context, const tf_update_t *update)
{
    (void)context;
    bool book = update->type == TF_UPDATE_BOOK_SNAPSHOT || update->type == TF_UPDATE_BOOK_CHANGE;
    sink_total += book ? update->book.count : 1;
}

static size_t decode_all(const corpus_t *corpus)
{
    const tf_adapter_ops_t *ops = tf_adapter_find("coinbase", strlen("coinbase"));
    const tf_update_sink_t sink = {count_update, NULL};
    tf_adapter_t *adapter = ops->create();
    size_t good = 0;
    for (size_t i = 0; i < corpus->frames; i++) {
        tf_decode_loss_t loss;
        good += ops->decode(adapter, corpus->frame[i].text, corpus->frame[i].bytes, &sink, &loss) ==
                TF_DECODE_OK;
    }
    ops->destroy(adapter);
    return good;
}

static const char *const lejp_paths[] = {"type", "product_id", "changes[]", "asks[]",  "bids[]",
                                         "time", "price",      "size",      "trade_id"};

static signed char lejp_count(struct lejp_ctx *context, char reason)
{
    if (reason == LEJPCB_VAL_STR_END)
        sink_total += context->npos;
    return 0;
}

static size_t lejp_all(const corpus_t *corpus)
{
    size_t good = 0;
    for (size_t i = 0; i < corpus->frames; i++) {
        struct lejp_ctx context;
        lejp_construct(&context, lejp_count, NULL, lejp_paths,
                       sizeof lejp_paths / sizeof lejp_paths[0]);
        good += lejp_parse(&context, (const unsigned char *)corpus->frame[i].text,
                           (int)corpus->frame[i].bytes) >= 0;
        lejp_destruct(&context);
    }
    return good;
}

static size_t jansson_all(const corpus_t *corpus)
{
    size_t good = 0;
    for (size_t i = 0; i < corpus->frames; i++) {
        json_t *root = json_loadb(corpus->frame[i].text, corpus->frame[i].bytes, 0, NULL);
        good += root != NULL;
        json_decref(root);
    }
    return good;
}

static const struct {
    const char *name;
    reader_t read;
    size_t slower; /* so many times less is read in a run */
} readers[] = {
    {"scan", walk_all, 1},
    {"decode", decode_all, 1},
    {"lejp", lejp_all, 4},
    {"jansson", jansson_all, 12},
};
enum { READERS = sizeof readers / sizeof readers[0] };

static double run_mb_per_s(size_t reader, const corpus_t *corpus)
{
    size_t passes = RUN_BYTES / readers[reader].slower / (corpus->bytes + 1) + 1;
    int64_t start_ns = tf_clock_mono_ns(&tf_clock_system);
    for (size_t pass = 0; pass < passes; pass++) {
        if (readers[reader].read(corpus) != corpus->frames) {
            (void)fprintf(stderr, "scan_bench: %s refused a frame\n", readers[reader].name);
            exit(1); /* NOLINT(concurrency-mt-unsafe): there is one thread */
        }
    }
    int64_t spent_ns = tf_clock_mono_ns(&tf_clock_system) - start_ns;
    return (double)(corpus->bytes * passes) * 1e3 / (double)spent_ns;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench(const corpus_t *corpus)
{
    double mb_per_s[READERS][RUNS];
    for (size_t run = 0; run < RUNS; run++) {
        for (size_t reader = 0; reader < READERS; reader++)
            mb_per_s[reader][run] = run_mb_per_s(reader, corpus);
    }
    for (size_t reader = 0; reader < READERS; reader++) {
        qsort(mb_per_s[reader], RUNS, sizeof mb_per_s[reader][0], compare_doubles);
        (void)printf("bench %s_coinbase_%s mb_per_s=%.0f\n", readers[reader].name, corpus->name,
                     mb_per_s[reader][RUNS / 2]);
    }
    double decode = mb_per_s[1][RUNS / 2];
    (void)printf("bench ratio_coinbase_%s decode_to_lejp=%.2f decode_to_jansson=%.2f\n",
                 corpus->name, decode / mb_per_s[2][RUNS / 2], decode / mb_per_s[3][RUNS / 2]);
}

/* One frame per line of `text`; with `only`, those that hold it. */
static corpus_t corpus_make(const char *name, const char *text, size_t bytes, const char *only)
{
    corpus_t corpus = {.name = name, .frame = calloc(FRAMES_MAX, sizeof(tf_slice_t))};
    const char *end = text + bytes;
    while (text < end && corpus.frames < FRAMES_MAX) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t line_bytes = (size_t)((line_end != NULL ? line_end : end) - text);
        if (line_bytes > 0 &&
            (only == NULL || memmem(text, line_bytes, only, strlen(only)) != NULL)) {
            corpus.frame[corpus.frames++] = (tf_slice_t){text, line_bytes};
            corpus.bytes += line_bytes;
        }
        text += line_bytes + 1;
    }
    return corpus;
}

int main(int argc, char **argv)
{
    char path[600];
    if (argc < 2 && t_data_dir() == NULL)
        t_skip("no recorded venue data");
    (void)snprintf(path, sizeof path, "%s%s", argc > 1 ? argv[1] : t_data_dir(),
                   argc > 1 ? "" : "/flashbook/coinbase_live-btc-eth.ndjson");
    size_t bytes;
    char *text = t_file_read(path, &bytes);
    if (text == NULL) {
        perror(path);
        return 1;
    }
    lws_set_log_level(LLL_ERR, NULL);
    corpus_t all = corpus_make("all", text, bytes, NULL);
    corpus_t changes = corpus_make("l2update", text, bytes, "\"type\":\"l2update\"");
    if (changes.bytes > 0) {
        bench(&all);
        bench(&changes);
    }
    free(all.frame);
    free(changes.frame);
    free(text);
    return sink_total > 0 ? 0 : 1;
}
