/*
 * One writer, several readers, one process, the smallest ring. What TSan looks at. The writer goes
 * through cycles: in step with the readers (nothing may be missed), free (whoever is slow is lapped
 * in the middle of a copy), and alone while they hold still (everybody is lapped for certain).
 */
#include "kit/kit.h"

#include "conc/region/story.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum {
    READERS = 3,
    IN_STEP_STEPS = 100, /* far less than a ring */
    IN_STEP_ROUNDS = 20,
    FREE_STEPS = 4000, /* a step is at least 360 bytes: several rings */
    ALONE_STEPS = 2000 /* more than one ring */
};

static char name[TF_REGION_NAME_BYTES_MAX];
static uint64_t cycles = 3;
static _Atomic bool done;
static _Atomic uint64_t meeting; /* steps published when the writer last waited for the readers */
static _Atomic uint32_t hold;    /* odd: readers hold still until it changes */

typedef struct task {
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic uint64_t met; /* all up to this step is read, or lapped */
    _Atomic uint32_t held;                              /* the hold it stands in */
    pthread_t thread;
    story_reader_t story;
} task_t;

static task_t task[READERS];

static void hold_still(task_t *self)
{
    uint32_t now = atomic_load_explicit(&hold, memory_order_acquire);
    if (now % 2 == 0)
        return;
    atomic_store_explicit(&self->held, now, memory_order_release);
    while (atomic_load_explicit(&hold, memory_order_acquire) == now)
        (void)sched_yield();
}

static void *follow(void *context)
{
    task_t *self = context;
    for (uint64_t turn = 0;; turn++) {
        /* Before the poll: what was published before them is then seen by it. */
        bool last = atomic_load_explicit(&done, memory_order_acquire);
        uint64_t here = atomic_load_explicit(&meeting, memory_order_acquire);
        hold_still(self);
        tf_poll_t got = story_poll(&self->story);
        if (got == TF_POLL_EMPTY)
            atomic_store_explicit(&self->met, here, memory_order_release);
        if (turn % 16 == 0)
            story_image(&self->story);
        if (got == TF_POLL_EMPTY && last)
            return NULL;
    }
}

static void steps_take(story_writer_t *writer, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++)
        story_step(writer);
}

static void meet(const story_writer_t *writer)
{
    atomic_store_explicit(&meeting, writer->bbos, memory_order_release);
    for (int i = 0; i < READERS; i++) {
        while (atomic_load_explicit(&task[i].met, memory_order_acquire) < writer->bbos)
            (void)sched_yield();
    }
}

static void run_in_step(story_writer_t *writer)
{
    meet(writer);
    for (int round = 0; round < IN_STEP_ROUNDS; round++) {
        steps_take(writer, IN_STEP_STEPS);
        meet(writer);
    }
}

static void run_alone(story_writer_t *writer)
{
    uint32_t now = atomic_load_explicit(&hold, memory_order_relaxed) + 1;
    atomic_store_explicit(&hold, now, memory_order_release);
    for (int i = 0; i < READERS; i++) {
        while (atomic_load_explicit(&task[i].held, memory_order_acquire) != now)
            (void)sched_yield();
    }
    steps_take(writer, ALONE_STEPS);
    atomic_store_explicit(&hold, now + 1, memory_order_release);
}

static void readers_never_see_torn_or_old_data(void **state)
{
    (void)state;
    static story_writer_t writer;
    story_open(&writer, name);
    for (int i = 0; i < READERS; i++) {
        story_attach(&task[i].story, t_region_attach(name));
        assert_int_equal(pthread_create(&task[i].thread, NULL, follow, &task[i]), 0);
    }
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        run_in_step(&writer);
        steps_take(&writer, FREE_STEPS);
        run_alone(&writer);
    }
    atomic_store_explicit(&done, true, memory_order_release);
    for (int i = 0; i < READERS; i++) {
        const story_reader_t *story = &task[i].story;
        assert_int_equal(pthread_join(task[i].thread, NULL), 0);
        print_message("reader %d: %llu events, lapped %llu, image reads %llu, busy %llu\n", i,
                      (unsigned long long)story->events, (unsigned long long)story->lapped,
                      (unsigned long long)story->image_reads,
                      (unsigned long long)story->image_busy);
        assert_int_equal(tf_reader_lapped_count(story->reader), story->lapped);
        assert_true(story->lapped >= cycles);
        assert_true(story->events >= cycles * IN_STEP_ROUNDS * IN_STEP_STEPS * 3);
        assert_true(story->image_reads > story->image_busy);
        tf_reader_close(story->reader);
    }
    tf_region_close(writer.region, true);
}

int main(int argc, char **argv)
{
    (void)argv;
    cycles = t_rounds(argc > 1 ? 100 : cycles);
    (void)snprintf(name, sizeof name, "test-threads-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {cmocka_unit_test(readers_never_see_torn_or_old_data)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    t_region_erase(name);
    return failed;
}
