/*
 * No wake-up is lost between processes: threads of guest processes sleep whenever they find
 * nothing, and the writer waits for each of them to have read its last record before it publishes
 * the next; so a ring that is lost would stop the test for good (poll's time-out tells it apart
 * from a slow machine). Meanwhile other guests come and are killed, and the writer itself goes and
 * comes back. Guests are this program again: a fork of a process with threads is no fit place for
 * more of them.
 */
#include "kit/kit.h"

#include "base/log.h"
#include "base/rng.h"
#include "conc/region/story.h"
#include "region/bell_guest.h"

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    STEADY = 2,  /* guest processes that stay */
    THREADS = 2, /* of each */
    LIVES = 4,   /* of the writer */
    LOST_MS = 20000,
    POLL_MS = 1,
    EPOCH_SHIFT = 48, /* `seen` is the epoch's low bits and the trade's seq */
};

/* Shared by all processes of the test. */
typedef struct board {
    _Atomic uint64_t seen[STEADY * THREADS]; /* written by guests (release), read by the writer */
    _Atomic uint64_t rung[STEADY * THREADS]; /* sleeps that a ring ended */
    _Atomic uint32_t over;                   /* written by the writer: guests end */
} board_t;

static board_t *board;
static char name[TF_REGION_NAME_BYTES_MAX];
static uint64_t steps = 4000;

static uint64_t seen_word(uint64_t epoch, uint64_t seq)
{
    return epoch << EPOCH_SHIFT | seq;
}

/* ---- guest processes ---- */

typedef struct sleeper {
    pthread_t thread;
    tf_bell_guest_t *guest;
    tf_bell_t *bell;
    _Atomic uint64_t *seen; /* NULL: one that only comes and goes */
    _Atomic uint64_t *rung;
    tf_reader_t *reader;
} sleeper_t;

static bool is_over(void)
{
    return atomic_load_explicit(&board->over, memory_order_acquire) != 0;
}

static void drain(sleeper_t *s)
{
    const tf_event_t *event = NULL;
    tf_poll_t polled = tf_reader_poll(s->reader, &event);
    for (; polled != TF_POLL_EMPTY; polled = tf_reader_poll(s->reader, &event)) {
        if (polled == TF_POLL_EVENT && event->type == TF_EVENT_TRADE && s->seen != NULL)
            atomic_store_explicit(s->seen, seen_word(tf_reader_epoch(s->reader), event->seq),
                                  memory_order_release);
    }
}

/* The region of the day: the writer comes and goes. False: none now. */
static bool follow(sleeper_t *s)
{
    const char *error = NULL;
    if (s->reader != NULL &&
        tf_reader_health(s->reader, story_mono_ns(), TF_NS_PER_MS) != TF_READER_NEW_EPOCH)
        return true;
    tf_reader_t *reader = tf_reader_open(name, &error);
    if (reader != NULL && s->reader != NULL &&
        tf_reader_epoch(reader) == tf_reader_epoch(s->reader)) {
        tf_reader_close(reader);
        return true;
    }
    if (reader != NULL) {
        tf_reader_close(s->reader);
        s->reader = reader;
        (void)tf_reader_seek(reader, TF_FROM_START);
    }
    return s->reader != NULL;
}

/* As a fan-out thread does: long while it is rung, short while it is not. */
static void sleep_once(sleeper_t *s)
{
    bool connected = atomic_load_explicit(tf_bell_guest_connected(s->guest), memory_order_acquire);
    tf_bell_raise(s->bell);
    int woken = 0;
    if (s->reader == NULL || tf_reader_lag_bytes(s->reader) == 0) {
        struct pollfd fd = {.fd = s->bell->fd, .events = POLLIN};
        woken = poll(&fd, 1, connected && !is_over() ? LOST_MS : POLL_MS);
        STORY_CHECK(woken == 1 || !connected || is_over());
    }
    if (!tf_bell_lower(s->bell))
        return;
    if (woken == 1 && s->rung != NULL)
        atomic_fetch_add_explicit(s->rung, 1, memory_order_relaxed);
    (void)tf_bells_ring_next(tf_bell_guest_bells(s->guest), s->bell);
}

static void *sleep_and_read(void *context)
{
    sleeper_t *s = context;
    while (!is_over()) {
        if (follow(s))
            drain(s);
        sleep_once(s);
    }
    tf_reader_close(s->reader);
    return NULL;
}

/* `place`: of its first thread on the board, or negative. */
static int guest_main(int place)
{
    static sleeper_t sleeper[THREADS];
    static tf_stats_t stats;
    tf_bell_guest_t *guest = NULL;
    STORY_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    tf_log_level_set(TF_LOG_WARN);
    STORY_CHECK(tf_bell_guest_open(&guest, name, THREADS, &stats) == TF_OK);
    for (int i = 0; i < THREADS; i++) {
        sleeper[i] = (sleeper_t){.guest = guest, .bell = tf_bell_guest_bells(guest)->bell[i]};
        if (place >= 0) {
            sleeper[i].seen = &board->seen[place + i];
            sleeper[i].rung = &board->rung[place + i];
        }
        STORY_CHECK(pthread_create(&sleeper[i].thread, NULL, sleep_and_read, &sleeper[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        STORY_CHECK(pthread_join(sleeper[i].thread, NULL) == 0);
    tf_bell_guest_close(guest);
    return 0;
}

/* ---- the writer ---- */

static int board_fd;

static pid_t guest_spawn(int place)
{
    char fd_text[16];
    char place_text[16];
    char program[] = "/proc/self/exe";
    char word[] = "guest";
    (void)snprintf(fd_text, sizeof fd_text, "%d", board_fd);
    (void)snprintf(place_text, sizeof place_text, "%d", place);
    char *arguments[] = {program, word, name, fd_text, place_text, NULL};
    pid_t child = -1;
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    return child;
}

static void guest_kill(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void expect_alive(const pid_t *steady)
{
    for (int i = 0; i < STEADY; i++) {
        int status = 0;
        if (waitpid(steady[i], &status, WNOHANG) != 0)
            fail_msg("guest %d ended with status %d", i, status);
    }
}

/* Publish step by step, each of which every thread must have seen before the next. Bells are rung
 * once a step: another ring would make good for a lost one. */
static void live_once(const pid_t *steady, uint64_t share, tf_rng_t *rng)
{
    static story_writer_t writer;
    static tf_stats_t stats;
    pid_t passing = guest_spawn(-1);
    story_open(&writer, name);
    assert_int_equal(tf_region_bell_host(writer.region, &stats), TF_OK);
    uint64_t change = 1 + tf_rng_below(rng, share);
    for (uint64_t step = 1; step <= share; step++) {
        story_step(&writer);
        for (int i = 0; i < STEADY * THREADS; i++) {
            uint64_t expected = seen_word(tf_region_epoch(writer.region), step);
            for (uint64_t turn = 1;
                 atomic_load_explicit(&board->seen[i], memory_order_acquire) != expected; turn++) {
                if (turn % 65536 == 0)
                    expect_alive(steady);
                (void)sched_yield();
            }
        }
        if (step == change) { /* in the middle of whatever it does */
            guest_kill(passing);
            passing = guest_spawn(-1);
        }
    }
    guest_kill(passing);
    print_message("%llu rings\n",
                  (unsigned long long)tf_stats_get(&writer.stats, TF_STAT_bell_rings_total));
    tf_region_close(writer.region, true);
}

static void no_guest_is_left_asleep(void **state)
{
    (void)state;
    tf_rng_t rng = {.state = t_seed(9)};
    pid_t steady[STEADY];
    for (int i = 0; i < STEADY; i++)
        steady[i] = guest_spawn(i * THREADS);
    for (int life = 0; life < LIVES; life++)
        live_once(steady, steps / LIVES, &rng);
    atomic_store_explicit(&board->over, 1, memory_order_release);
    for (int i = 0; i < STEADY; i++) {
        int status = 0;
        assert_int_equal(waitpid(steady[i], &status, 0), steady[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < STEADY * THREADS; i++) {
        uint64_t rung = atomic_load(&board->rung[i]);
        print_message("thread %d: woken %llu times\n", i, (unsigned long long)rung);
        assert_true(rung > 0);
    }
}

static void board_map(int fd)
{
    void *memory = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    STORY_CHECK(memory != MAP_FAILED);
    board = memory;
}

int main(int argc, char **argv)
{
    if (argc == 5) {
        (void)snprintf(name, sizeof name, "%s", argv[2]);
        board_map((int)strtol(argv[3], NULL, 10));
        return guest_main((int)strtol(argv[4], NULL, 10));
    }
    steps = t_rounds(argc > 1 ? 200000 : steps);
    (void)snprintf(name, sizeof name, "test-guests-%ld", (long)getpid());
    board_fd = memfd_create("board", 0); /* inherited by the guests */
    STORY_CHECK(board_fd >= 0 && ftruncate(board_fd, sizeof *board) == 0);
    board_map(board_fd);
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_guest_is_left_asleep)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    t_region_erase(name);
    return failed;
}
