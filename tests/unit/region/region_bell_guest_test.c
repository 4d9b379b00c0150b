#include "kit/kit.h"

#include "unit/region/bell_kit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bell_rig_t rig;

static tf_bell_guest_t *guest_connected(uint32_t bells, tf_stats_t *stats)
{
    tf_bell_guest_t *guest = NULL;
    uint64_t before = tf_stats_get(stats, TF_STAT_bell_connects_total);
    assert_int_equal(tf_bell_guest_open(&guest, rig.t.name, bells, stats), TF_OK);
    assert_int_equal(tf_bell_guest_bells(guest)->count, bells);
    rig_until(&rig, stats, TF_STAT_bell_connects_total, before + 1);
    assert_true(atomic_load(tf_bell_guest_connected(guest)));
    return guest;
}

static bool socket_exists(void)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    struct stat info;
    tf_region_path(path, rig.t.name, TF_BELL_SUFFIX);
    return lstat(path, &info) == 0 && S_ISSOCK(info.st_mode) && (info.st_mode & 0077) == 0;
}

static void a_sleeping_guest_is_woken_and_wakes_the_next_of_its_process(void **state)
{
    (void)state;
    rig_open(&rig, "guest");
    tf_bell_guest_t *guest = guest_connected(3, &rig.guest);
    const tf_bells_t *set = tf_bell_guest_bells(guest);
    assert_int_equal(tf_stats_get(&rig.bells, TF_STAT_bell_guests), 1);
    tf_bell_raise(set->bell[1]);
    tf_bell_raise(set->bell[2]);
    tf_region_ring_bells(rig.t.region);
    assert_false(bell_readable(set->bell[0]));
    assert_true(bell_readable(set->bell[1]));
    assert_false(bell_readable(set->bell[2]));
    assert_true(tf_bell_lower(set->bell[1]));
    assert_true(tf_bells_ring_next(set, set->bell[1]));
    assert_true(bell_readable(set->bell[2]));
    assert_int_equal(rig_rings(&rig), 1);
    tf_bell_guest_close(guest);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 0);
    rig_close(&rig);
}

static void one_of_each_process_is_woken_by_the_writer(void **state)
{
    (void)state;
    rig_open(&rig, "each");
    tf_bell_t own;
    tf_stats_t second_stats = {0};
    assert_int_equal(tf_bell_open(&own), TF_OK);
    assert_int_equal(tf_region_bell_add(rig.t.region, &own), TF_OK);
    tf_bell_guest_t *guest[] = {guest_connected(2, &rig.guest), guest_connected(2, &second_stats)};
    tf_bell_raise(&own);
    for (int i = 0; i < 2; i++) {
        tf_bell_raise(tf_bell_guest_bells(guest[i])->bell[0]);
        tf_bell_raise(tf_bell_guest_bells(guest[i])->bell[1]);
    }
    tf_region_ring_bells(rig.t.region);
    assert_int_equal(rig_rings(&rig), 3);
    assert_true(bell_readable(&own));
    for (int i = 0; i < 2; i++) {
        assert_true(bell_readable(tf_bell_guest_bells(guest[i])->bell[0]));
        assert_false(bell_readable(tf_bell_guest_bells(guest[i])->bell[1]));
        tf_bell_guest_close(guest[i]);
    }
    rig_close(&rig);
    tf_bell_close(&own);
}

/* Threads that sleep for long because they count on a ring must hear that none will come. */
static void sleepers_are_woken_when_the_writer_is_gone_and_find_the_next_one(void **state)
{
    (void)state;
    rig_open(&rig, "next");
    tf_bell_guest_t *guest = guest_connected(2, &rig.guest);
    const tf_bells_t *set = tf_bell_guest_bells(guest);
    tf_bell_raise(set->bell[1]);
    tf_region_close(rig.t.region, true);
    assert_false(socket_exists());
    struct pollfd fd = {.fd = set->bell[1]->fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    while (atomic_load(tf_bell_guest_connected(guest)))
        (void)poll(NULL, 0, 1);
    tf_bell_lower(set->bell[1]);
    memset(&rig.bells, 0, sizeof rig.bells);
    rig_create_region(&rig);
    rig_until(&rig, &rig.guest, TF_STAT_bell_connects_total, 2);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    uint64_t before = rig_rings(&rig);
    tf_bell_raise(set->bell[1]);
    tf_region_ring_bells(rig.t.region);
    assert_int_equal(rig_rings(&rig), before + 1);
    assert_true(bell_readable(set->bell[1]));
    tf_bell_guest_close(guest);
    rig_close(&rig);
}

static void a_guest_that_comes_before_the_writer_waits_for_it(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    t_region_init(&rig.t, "early");
    tf_bell_guest_t *guest = NULL;
    assert_int_equal(tf_bell_guest_open(&guest, rig.t.name, 1, &rig.guest), TF_OK);
    assert_false(atomic_load(tf_bell_guest_connected(guest)));
    rig_create_region(&rig);
    rig_until(&rig, &rig.guest, TF_STAT_bell_connected, 1);
    tf_bell_guest_close(guest);
    rig_close(&rig);
}

static void the_socket_of_a_dead_writer_is_replaced(void **state)
{
    (void)state;
    rig_open(&rig, "stale");
    char path[TF_REGION_PATH_BYTES_MAX];
    char kept[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, rig.t.name, TF_BELL_SUFFIX);
    tf_region_path(kept, rig.t.name, ".kept");
    assert_int_equal(link(path, kept), 0);
    tf_region_close(rig.t.region, true);
    assert_int_equal(rename(kept, path), 0); /* as if it had been killed */
    assert_true(socket_exists());
    rig_create_region(&rig);
    tf_bell_guest_t *guest = guest_connected(1, &rig.guest);
    tf_bell_guest_close(guest);
    rig_close(&rig);
    assert_false(socket_exists());
}

/* Any system call but those that end the process and read the clock is a SIGSYS from now on. */
static bool forbid_system_calls(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { CHILD_DONE = 0, CHILD_SKIPS = 77, PUBLICATIONS = 10000 };

/* A fork has the writer's mappings and the guests' pages: it publishes as the writer would. */
static int publish_without_system_calls(uint32_t market)
{
    if (!forbid_system_calls())
        return CHILD_SKIPS;
    for (uint64_t i = 1; i <= PUBLICATIONS; i++) {
        tf_trade_t trade = t_trade(i);
        tf_region_put_trade(rig.t.region, market, &trade, t_stamp);
        tf_region_heartbeat(rig.t.region, (int64_t)i);
        tf_region_ring_bells(rig.t.region);
    }
    return CHILD_DONE;
}

static int child_status(uint32_t market)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) /* not _exit(), in which a sanitizer has its own to do */
        (void)syscall(SYS_exit_group, publish_without_system_calls(market));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void publishing_makes_no_system_call_while_everybody_is_awake(void **state)
{
    (void)state;
    rig_open(&rig, "awake");
    uint32_t market = t_region_live(&rig.t, "BTC-USD");
    tf_bell_t own;
    assert_int_equal(tf_bell_open(&own), TF_OK);
    assert_int_equal(tf_region_bell_add(rig.t.region, &own), TF_OK);
    tf_bell_guest_t *guest = guest_connected(3, &rig.guest);
    int status = child_status(market);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_SKIPS)
        skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE);
    /* With a sleeper there is one: the filter works. */
    tf_bell_raise(tf_bell_guest_bells(guest)->bell[2]);
    status = child_status(market);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    tf_bell_guest_close(guest);
    rig_close(&rig);
    tf_bell_close(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleeping_guest_is_woken_and_wakes_the_next_of_its_process),
        cmocka_unit_test(one_of_each_process_is_woken_by_the_writer),
        cmocka_unit_test(sleepers_are_woken_when_the_writer_is_gone_and_find_the_next_one),
        cmocka_unit_test(a_guest_that_comes_before_the_writer_waits_for_it),
        cmocka_unit_test(the_socket_of_a_dead_writer_is_replaced),
        cmocka_unit_test(publishing_makes_no_system_call_while_everybody_is_awake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
