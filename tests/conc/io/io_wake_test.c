#include "base/clock.h"
#include "unit/io/io_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct bell {
    int fd;
    uint64_t rings;
    _Atomic uint64_t heard; /* written by the waiting thread, read by the ringing one */
} bell_t;

/* Ring, and go on when the ring was heard: each one meets a waiting or soon waiting thread. */
static void *ring_one_by_one(void *context)
{
    bell_t *bell = context;
    for (uint64_t i = 1; i <= bell->rings; i++) {
        const uint64_t one = 1;
        if (write(bell->fd, &one, sizeof one) != sizeof one)
            return context;
        while (atomic_load_explicit(&bell->heard, memory_order_acquire) < i)
            (void)sched_yield();
    }
    return NULL;
}

static void *ring_at_once(void *context)
{
    bell_t *bell = context;
    for (uint64_t i = 0; i < bell->rings; i++) {
        const uint64_t one = 1;
        if (write(bell->fd, &one, sizeof one) != sizeof one)
            return context;
    }
    return NULL;
}

/* The number of times the bell was rung since the last call. */
static uint64_t drain(const bell_t *bell)
{
    uint64_t count = 0;
    return read(bell->fd, &count, sizeof count) == sizeof count ? count : 0;
}

static void hear_all(void *(*ringer)(void *), uint64_t rings, tf_uring_rung_t rung)
{
    rig_t *rig = rig_open(&rig_config, rung);
    bell_t bell = {.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .rings = rings};
    assert_int_equal(tf_io_watch(rig->io, bell.fd), TF_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ringer, &bell), 0);
    uint64_t heard = 0;
    while (heard < rings) {
        (void)rig_expect(rig, TF_IO_WOKEN); /* fails after 10 s: a lost wake */
        heard += drain(&bell);
        atomic_store_explicit(&bell.heard, heard, memory_order_release);
    }
    void *failed = NULL;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(heard, rings);
    (void)close(bell.fd);
    rig_close(rig);
}

static void no_wake_from_another_thread_is_lost(void **state)
{
    (void)state;
    uint64_t rounds = t_rounds(2000);
    for (int rung = 0; rung < TF_URING_RUNG_COUNT; rung++) {
        hear_all(ring_one_by_one, rounds, (tf_uring_rung_t)rung);
        hear_all(ring_at_once, rounds, (tf_uring_rung_t)rung);
    }
}

static void a_wake_before_the_watch_is_heard(void **state)
{
    (void)state;
    rig_t *rig = rig_open(&rig_config, TF_URING_DEFERRED_FLAGGED);
    bell_t bell = {.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
    assert_int_equal(tf_io_watch(rig->io, bell.fd), TF_OK);
    (void)rig_expect(rig, TF_IO_WOKEN);
    assert_int_equal(drain(&bell), 1);
    (void)close(bell.fd);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_from_another_thread_is_lost),
        cmocka_unit_test(a_wake_before_the_watch_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
