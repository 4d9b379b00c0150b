/*
 * bell_bench: how long a sleeping thread takes to hold a record that was published, woken by a bell
 * of the writer's own process and by one that another process lent it. One record at a time, the
 * two sides in turns of TURN records (the other one is out of the way then), so that both meet the
 * same machine; the sleeper waits in poll(2). Build with Release.
 *
 *     bell_wake  own_p50_us guest_p50_us own_p99_us guest_p99_us
 */
#include "base/clock.h"
#include "base/log.h"
#include "market/instrument.h"
#include "region/bell_guest.h"
#include "region/region.h"
#include "region/region_file.h"

#include <tickfan/reader.h>

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SAMPLES = 5000,
    TURN = 100,
    PAUSE_US = 300,
    IDLE_US = 500,
    SIDES = 2,
    WAIT_MS = 1000,
    OWN = 0,
    GUEST = 1
};

/* Shared by both processes. */
typedef struct board {
    _Atomic uint64_t heard[SIDES]; /* records held; `took_ns` of the last one is there before */
    int64_t took_ns[SIDES];
    _Atomic uint32_t asleep[SIDES]; /* about to block, or blocked */
    _Atomic int32_t side;           /* whose turn it is */
    _Atomic uint32_t over;
} board_t;

static board_t *board;
static char name[TF_REGION_NAME_BYTES_MAX];
static int64_t sample_ns[SIDES][SAMPLES];

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "bell_bench: %s: %s\n", what, tf_error_text());
    exit(1);
}

static int64_t now_ns(void)
{
    return tf_clock_mono_ns(&tf_clock_system);
}

typedef struct sleeper {
    tf_bell_t *bell;
    int side;
} sleeper_t;

static void *sleep_and_read(void *context)
{
    const sleeper_t *self = context;
    const char *error = NULL;
    tf_reader_t *reader = tf_reader_open(name, &error);
    require(reader != NULL, "reader");
    while (atomic_load(&board->over) == 0) {
        const tf_event_t *event = NULL;
        while (atomic_load(&board->side) != self->side && atomic_load(&board->over) == 0)
            (void)usleep(IDLE_US);
        while (tf_reader_poll(reader, &event) == TF_POLL_EVENT) {
            board->took_ns[self->side] = now_ns() - event->te_ns;
            atomic_fetch_add(&board->heard[self->side], 1);
        }
        tf_bell_raise(self->bell);
        if (tf_reader_lag_bytes(reader) == 0) {
            struct pollfd fd = {.fd = self->bell->fd, .events = POLLIN};
            atomic_store(&board->asleep[self->side], 1);
            (void)poll(&fd, 1, WAIT_MS);
            atomic_store(&board->asleep[self->side], 0);
        }
        (void)tf_bell_lower(self->bell);
    }
    tf_reader_close(reader);
    return NULL;
}

static void board_map(int fd)
{
    void *memory = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    require(memory != MAP_FAILED, "mmap");
    board = memory;
}

static int guest_main(void)
{
    static tf_stats_t stats;
    tf_bell_guest_t *guest = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    tf_log_level_set(TF_LOG_WARN);
    require(tf_bell_guest_open(&guest, name, 1, &stats) == TF_OK, "guest");
    while (!atomic_load(tf_bell_guest_connected(guest)))
        (void)usleep(1000);
    sleeper_t self = {.bell = tf_bell_guest_bells(guest)->bell[0], .side = GUEST};
    (void)sleep_and_read(&self);
    tf_bell_guest_close(guest);
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(int side, double q)
{
    return (double)sample_ns[side][(size_t)(q * (SAMPLES - 1))] / 1000.0;
}

static void measure(tf_region_t *region, uint32_t market, int side, int round)
{
    while (atomic_load(&board->asleep[side]) == 0)
        tf_region_ring_bells(region); /* takes the guest in, too */
    (void)usleep(PAUSE_US);           /* asleep for good */
    uint64_t before = atomic_load(&board->heard[side]);
    tf_trade_t trade = {.px = round + 1, .sz = 1, .side = TF_SIDE_BUY, .id = "1", .id_bytes = 1};
    tf_region_put_trade(region, market, &trade, (tf_stamp_t){.te_ns = now_ns()});
    tf_region_ring_bells(region);
    while (atomic_load(&board->heard[side]) == before)
        continue;
    sample_ns[side][round] = board->took_ns[side];
}

/* Another side's turn: its first record brings it to the newest one, and does not count. */
static void turn_to(tf_region_t *region, uint32_t market, int side, int round)
{
    atomic_store(&board->side, side);
    (void)usleep(4 *
                 IDLE_US); /* the one before leaves its bell: woken by this record, or earlier */
    measure(region, market, side, round);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        (void)snprintf(name, sizeof name, "%s", argv[1]);
        board_map((int)strtol(argv[2], NULL, 10));
        return guest_main();
    }
    static tf_stats_t stats;
    static tf_stats_t host_stats;
    static tf_bell_t own;
    (void)snprintf(name, sizeof name, "bench-bell-%ld", (long)getpid());
    int fd = memfd_create("board", 0);
    require(fd >= 0 && ftruncate(fd, sizeof *board) == 0, "memfd");
    board_map(fd);
    tf_region_config_t config = {.name = name,
                                 .instruments_max = 1,
                                 .image_depth = 1,
                                 .trades_kept = 64,
                                 .ring_bytes = 1 << 20};
    tf_region_t *region = NULL;
    uint32_t market = 0;
    tf_instrument_t instrument = {.symbol = "A-B", .venue = "bench", .scale_known = 1};
    require(tf_region_create(&region, &config, &tf_clock_system, &stats) == TF_OK, "region");
    require(tf_bell_open(&own) == TF_OK && tf_region_bell_add(region, &own) == TF_OK, "bell");
    require(tf_region_bell_host(region, &host_stats) == TF_OK, "host");
    require(tf_region_instrument_add(region, &instrument, (tf_stamp_t){0}, &market) == TF_OK,
            "instrument");
    char fd_text[16];
    char program[] = "/proc/self/exe";
    (void)snprintf(fd_text, sizeof fd_text, "%d", fd);
    char *arguments[] = {program, name, fd_text, NULL};
    pid_t child = -1;
    require(posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0, "spawn");
    sleeper_t self = {.bell = &own, .side = OWN};
    pthread_t thread;
    require(pthread_create(&thread, NULL, sleep_and_read, &self) == 0, "thread");
    for (int round = 0; round < SIDES * SAMPLES; round++) {
        int side = round / TURN % SIDES;
        if (round % TURN == 0)
            turn_to(region, market, side, round / (SIDES * TURN) * TURN);
        measure(region, market, side, round / (SIDES * TURN) * TURN + round % TURN);
    }
    for (int side = 0; side < SIDES; side++)
        qsort(sample_ns[side], SAMPLES, sizeof sample_ns[side][0], compare);
    (void)printf("bell_wake own_p50_us=%.1f guest_p50_us=%.1f own_p99_us=%.1f guest_p99_us=%.1f\n",
                 quantile_us(OWN, 0.5), quantile_us(GUEST, 0.5), quantile_us(OWN, 0.99),
                 quantile_us(GUEST, 0.99));
    atomic_store(&board->over, 1);
    tf_region_close(region, true);
    (void)pthread_join(thread, NULL);
    (void)waitpid(child, NULL, 0);
    tf_bell_close(&own);
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, name, ".lock");
    (void)unlink(path);
    return 0;
}
