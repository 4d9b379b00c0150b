/*
 * No wake-up is lost: readers sleep whenever they find nothing, the writer waits for each of them
 * to have read its last record before it publishes the next, so a lost ring would stop the test for
 * good (poll's time-out tells it apart from a slow machine). Nothing rings but the bells.
 */
#include "kit/kit.h"

#include "conc/region/story.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SLEEPERS = 2, LOST_MS = 20000 };

static char name[TF_REGION_NAME_BYTES_MAX];
static uint64_t steps = 5000;
static tf_bell_t bell[SLEEPERS];
static tf_bells_t bells = {.bell = {&bell[0], &bell[1]}, .count = SLEEPERS};

typedef struct sleeper {
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic uint64_t seen; /* trades read */
    pthread_t thread;
    tf_reader_t *reader;
    tf_bell_t *bell;
    uint64_t sleeps;
} sleeper_t;

static sleeper_t sleeper[SLEEPERS];

/* Read all there is. */
static void drain(sleeper_t *s)
{
    const tf_event_t *event = NULL;
    while (tf_reader_poll(s->reader, &event) == TF_POLL_EVENT) {
        if (event->type == TF_EVENT_TRADE)
            atomic_store_explicit(&s->seen, event->seq, memory_order_release);
    }
}

static void *sleep_and_read(void *context)
{
    sleeper_t *s = context;
    while (atomic_load_explicit(&s->seen, memory_order_relaxed) < steps) {
        drain(s);
        tf_bell_raise(s->bell);
        if (tf_reader_lag_bytes(s->reader) == 0 &&
            atomic_load_explicit(&s->seen, memory_order_relaxed) < steps) {
            struct pollfd fd = {.fd = s->bell->fd, .events = POLLIN};
            STORY_CHECK(poll(&fd, 1, LOST_MS) == 1);
            s->sleeps++;
        }
        if (tf_bell_lower(s->bell))
            (void)tf_bells_ring_next(&bells, s->bell);
    }
    return NULL;
}

static void no_ring_is_lost(void **state)
{
    (void)state;
    static story_writer_t writer;
    story_open(&writer, name);
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(tf_bell_open(&bell[i]), TF_OK);
        assert_int_equal(tf_region_bell_add(writer.region, &bell[i]), TF_OK);
        sleeper[i].bell = &bell[i];
        sleeper[i].reader = t_region_attach(name);
    }
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(pthread_create(&sleeper[i].thread, NULL, sleep_and_read, &sleeper[i]), 0);
    for (uint64_t step = 1; step <= steps; step++) {
        story_step(&writer);
        for (int i = 0; i < SLEEPERS; i++) {
            while (atomic_load_explicit(&sleeper[i].seen, memory_order_acquire) < step)
                (void)sched_yield();
        }
    }
    for (int i = 0; i < SLEEPERS; i++) {
        assert_int_equal(pthread_join(sleeper[i].thread, NULL), 0);
        print_message("sleeper %d: %llu sleeps\n", i, (unsigned long long)sleeper[i].sleeps);
        assert_true(sleeper[i].sleeps > 0);
        tf_reader_close(sleeper[i].reader);
    }
    tf_region_close(writer.region, true);
    for (int i = 0; i < SLEEPERS; i++)
        tf_bell_close(&bell[i]);
}

int main(int argc, char **argv)
{
    (void)argv;
    steps = t_rounds(argc > 1 ? 500000 : steps);
    (void)snprintf(name, sizeof name, "test-bell-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_ring_is_lost)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    t_region_erase(name);
    return failed;
}
