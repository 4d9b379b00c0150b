/*
 * ring_bench: what the ring costs, with one reader that spins and keeps up. Build with Release, on
 * a machine with two idle cores. One line per result, medians of RUNS runs:
 *
 *     ring_publish_64B   tf_ring_put of a 64-byte record, as fast as the reader follows: the writer
 *                        waits when half a ring is unread, so that nothing is lost and the figure
 * is that of the slower of the two bbo_publish        tf_region_put_bbo: image entry, clock read
 * and 80-byte record ring_latency       one-way, publish to the record in the reader's hands, one
 * at a time
 */
#include "base/clock.h"
#include "market/instrument.h"
#include "region/region_file.h"
#include "region/writer.h"

#include <tickfan/reader.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 5, LATENCY_SAMPLES = 200000, PACE_RECORDS = 4096 };

static const uint64_t ring_records = 40000000;
static const uint64_t bbo_records = 10000000;
static char name[TF_REGION_NAME_BYTES_MAX];
static tf_stats_t stats;
static tf_region_t *region;
static uint32_t market;
static _Atomic uint64_t records_seen; /* by the reader, told every PACE_RECORDS or at once */
static int64_t latency_ns[LATENCY_SAMPLES];

typedef struct record {
    tf_event_t head;
    uint64_t body[2];
} record_t;

_Static_assert(sizeof(record_t) == 64, "what the budget is about");

typedef struct run {
    uint64_t records;
    uint64_t read;
    uint64_t lapped;
    pthread_barrier_t start;
    bool latency;
} run_t;

static int64_t now_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

static void die(const char *what)
{
    (void)fprintf(stderr, "ring_bench: %s\n", what);
    exit(1);
}

static void *follow(void *context)
{
    run_t *run = context;
    const char *error = NULL;
    tf_reader_t *reader = tf_reader_open(name, &error);
    if (reader == NULL)
        die(error);
    const tf_event_t *event = NULL;
    uint64_t seq = 0;
    (void)pthread_barrier_wait(&run->start);
    while (seq != run->records) {
        switch (tf_reader_poll(reader, &event)) {
        case TF_POLL_EVENT:
            seq = event->seq;
            run->read++;
            if (run->latency) {
                latency_ns[seq - 1] = now_ns() - event->tp_ns;
                atomic_store_explicit(&records_seen, seq, memory_order_release);
            } else if (seq % PACE_RECORDS == 0) {
                atomic_store_explicit(&records_seen, seq, memory_order_release);
            }
            break;
        case TF_POLL_LAPPED:
            run->lapped++;
            break;
        case TF_POLL_EMPTY:
            break;
        }
    }
    tf_reader_close(reader);
    return NULL;
}

/* Let the reader come within half a ring. */
static void pace(uint64_t seq, uint64_t half_ring_records)
{
    while (seq - atomic_load_explicit(&records_seen, memory_order_acquire) > half_ring_records) {
    }
}

static void publish_records(const run_t *run)
{
    record_t record = {.head = {.bytes = sizeof record, .type = 99}};
    uint64_t half = region->layout.ring_bytes / 2 / sizeof record;
    for (uint64_t seq = 1; seq <= run->records; seq++) {
        record.head.seq = seq;
        tf_ring_put(&region->ring, &record.head);
        if (seq % PACE_RECORDS == 0)
            pace(seq, half);
    }
}

static void publish_latency(const run_t *run)
{
    record_t record = {.head = {.bytes = sizeof record, .type = 99}};
    for (uint64_t seq = 1; seq <= run->records; seq++) {
        record.head.seq = seq;
        record.head.tp_ns = now_ns();
        tf_ring_put(&region->ring, &record.head);
        while (atomic_load_explicit(&records_seen, memory_order_acquire) != seq) {
        }
    }
}

static void publish_bbos(const run_t *run)
{
    tf_bbo_t bbo = {.bid_px = 1, .bid_sz = 1, .ask_px = 2, .ask_sz = 1};
    tf_stamp_t stamp = {.te_ns = 1, .ti_ns = 2};
    for (uint64_t i = 1; i <= run->records; i++) {
        bbo.bid_sz = (int64_t)i;
        (void)tf_region_put_bbo(region, market, &bbo, stamp);
    }
}

/* A region of its own for each run, so that seqs start at 1. Returns the writer's time. */
static int64_t run_once(run_t *run, void (*publish)(const run_t *run))
{
    static const tf_instrument_t instrument = {.symbol = "BTC-USD"};
    tf_region_config_t config = tf_region_config_default;
    config.name = name;
    if (tf_region_create(&region, &config, &tf_clock_system, &stats) != TF_OK ||
        tf_region_instrument_add(region, &instrument, (tf_stamp_t){0}, &market) != TF_OK)
        die(tf_error_text());
    /* The first lap would measure page faults. */
    static const tf_event_t filler = {.bytes = sizeof filler, .type = 99};
    for (uint64_t i = 0; i < region->layout.ring_bytes / sizeof filler; i++)
        tf_ring_put(&region->ring, &filler);
    run->read = 0;
    run->lapped = 0;
    atomic_store(&records_seen, 0);
    pthread_t reader;
    if (pthread_barrier_init(&run->start, NULL, 2) != 0 ||
        pthread_create(&reader, NULL, follow, run) != 0)
        die("no thread");
    (void)pthread_barrier_wait(&run->start);
    int64_t start_ns = now_ns();
    publish(run);
    int64_t took_ns = now_ns() - start_ns;
    (void)pthread_join(reader, NULL);
    (void)pthread_barrier_destroy(&run->start);
    tf_region_close(region, true);
    return took_ns;
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void bench_rate(const char *what, uint64_t records, void (*publish)(const run_t *run))
{
    int64_t took_ns[RUNS];
    uint64_t read = 0;
    uint64_t lapped = 0;
    for (int i = 0; i < RUNS; i++) {
        run_t run = {.records = records};
        took_ns[i] = run_once(&run, publish);
        read += run.read;
        lapped += run.lapped;
    }
    qsort(took_ns, RUNS, sizeof took_ns[0], compare_int64);
    int64_t median_ns = took_ns[RUNS / 2];
    double ns = (double)median_ns / (double)records;
    (void)printf("bench %s records_per_s=%.0f ns=%.1f read=%.4f lapped=%" PRIu64 "\n", what,
                 1e9 / ns, ns, (double)read / (double)(records * RUNS), lapped);
}

static void bench_latency(void)
{
    int64_t p50_ns[RUNS];
    int64_t p99_ns[RUNS];
    for (int i = 0; i < RUNS; i++) {
        run_t run = {.records = LATENCY_SAMPLES, .latency = true};
        (void)run_once(&run, publish_latency);
        qsort(latency_ns, LATENCY_SAMPLES, sizeof latency_ns[0], compare_int64);
        p50_ns[i] = latency_ns[LATENCY_SAMPLES / 2];
        p99_ns[i] = latency_ns[LATENCY_SAMPLES / 100 * 99];
    }
    qsort(p50_ns, RUNS, sizeof p50_ns[0], compare_int64);
    qsort(p99_ns, RUNS, sizeof p99_ns[0], compare_int64);
    (void)printf("bench ring_latency p50_ns=%" PRId64 " p99_ns=%" PRId64 "\n", p50_ns[RUNS / 2],
                 p99_ns[RUNS / 2]);
}

int main(void)
{
    (void)snprintf(name, sizeof name, "bench-%ld", (long)getpid());
    bench_rate("ring_publish_64B", ring_records, publish_records);
    bench_rate("bbo_publish", bbo_records, publish_bbos);
    bench_latency();
    char lock[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(lock, name, ".lock");
    (void)unlink(lock);
    return 0;
}
