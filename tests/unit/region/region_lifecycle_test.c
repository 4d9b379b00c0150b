#include "kit/kit.h"

#include "base/mem.h"
#include "unit/region/region_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { TIMEOUT_NS = 1000 };

static void path_of(char out[TF_REGION_PATH_BYTES_MAX], const t_region_t *t, const char *suffix)
{
    tf_region_path(out, t->name, suffix);
}

static bool exists(const t_region_t *t, const char *suffix)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    path_of(path, t, suffix);
    struct stat info;
    return lstat(path, &info) == 0;
}

static void a_reader_finds_what_the_writer_was_told_to_make(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "facts");
    t_region_open(&t);
    assert_int_equal(tf_reader_epoch(t.reader), tf_region_epoch(t.region));
    assert_true(tf_reader_epoch(t.reader) != 0 && tf_reader_epoch(t.reader) < 1ULL << 40);
    assert_int_equal(tf_reader_image_depth(t.reader), 5);
    assert_int_equal(tf_region_image_depth(t.region), 5);
    assert_int_equal(tf_reader_trades_kept(t.reader), 64);
    assert_int_equal(tf_reader_instruments_max(t.reader), 4);
    assert_int_equal(tf_reader_instrument_count(t.reader), 0);
    assert_int_equal(tf_reader_lag_bytes(t.reader), 0);
    char path[TF_REGION_PATH_BYTES_MAX];
    path_of(path, &t, "");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, tf_region_bytes(&t.config));
    assert_int_equal(info.st_mode & 0137, 0); /* at most rw-r----- */
    t_region_close(&t);
    assert_false(exists(&t, ""));
}

static void a_second_writer_is_told_who_the_first_one_is(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "busy");
    t_region_open(&t);
    tf_region_t *second = NULL;
    assert_int_equal(tf_region_create(&second, &t.config, &t.clock, &t.stats), TF_ERR_BUSY);
    assert_null(second);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld)", (long)getpid());
    assert_non_null(strstr(tf_error_text(), pid));
    assert_int_equal(tf_reader_health(t.reader, t.mono_ns, TIMEOUT_NS), TF_READER_ALIVE);
    t_region_close(&t);
}

static void bad_names_and_bad_configs_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",    "a/b", "..",
        "a.b", "a b", "a123456789a123456789a123456789a123456789a123456789a123456789abcd"};
    t_region_t t;
    t_region_init(&t, "bad");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tf_region_config_t config = t.config;
        config.name = names[i];
        assert_int_equal(tf_region_create(&t.region, &config, &t.clock, &t.stats), TF_ERR_ARG);
        const char *error = NULL;
        assert_null(tf_reader_open(names[i], &error));
        assert_non_null(strstr(error, "allowed"));
    }
    t.config.trades_kept = 1;
    assert_int_equal(tf_region_create(&t.region, &t.config, &t.clock, &t.stats), TF_ERR_ARG);
    assert_false(exists(&t, ".lock"));
}

static void a_reader_of_nothing_is_told_what_to_start(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "absent");
    const char *error = NULL;
    assert_null(tf_reader_open(t.name, &error));
    assert_non_null(strstr(error, t.name));
    assert_non_null(strstr(error, "is a writer"));
}

static void files_that_are_no_region_are_refused(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "short");
    char path[TF_REGION_PATH_BYTES_MAX];
    path_of(path, &t, "");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    const char *error = NULL;
    assert_null(tf_reader_open(t.name, &error));
    assert_non_null(strstr(error, "too short"));
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_null(tf_reader_open(t.name, &error));
    assert_non_null(strstr(error, "magic"));
    (void)close(fd);
    (void)unlink(path);
}

static void a_symbolic_link_is_not_followed(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "link");
    char lock[TF_REGION_PATH_BYTES_MAX];
    path_of(lock, &t, ".lock");
    assert_int_equal(symlink("/dev/null", lock), 0);
    assert_int_equal(tf_region_create(&t.region, &t.config, &t.clock, &t.stats), TF_ERR_SYS);
    assert_int_equal(unlink(lock), 0);
    char path[TF_REGION_PATH_BYTES_MAX];
    path_of(path, &t, "");
    assert_int_equal(symlink("/dev/null", path), 0);
    const char *error = NULL;
    assert_null(tf_reader_open(t.name, &error));
    t_region_open(&t); /* the writer replaces the link itself */
    t_region_close(&t);
}

static void leftovers_of_dead_writers_are_cleared_away(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "left");
    char aside[TF_REGION_PATH_BYTES_MAX];
    path_of(aside, &t, ".tmp.99999999");
    int fd = open(aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    t_region_open(&t);
    assert_false(exists(&t, ".tmp.99999999"));
    t_region_close(&t);
}

static void a_silent_writer_is_lost_and_found_again(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "beat");
    t_region_open(&t);
    assert_int_equal(tf_reader_health(t.reader, 900, TIMEOUT_NS), TF_READER_ALIVE);
    assert_int_equal(tf_reader_health(t.reader, 2000, TIMEOUT_NS), TF_READER_ALIVE);
    assert_int_equal(tf_reader_health(t.reader, 2001, TIMEOUT_NS), TF_READER_LOST);
    tf_region_heartbeat(t.region, 2001);
    assert_int_equal(tf_reader_health(t.reader, 2002, TIMEOUT_NS), TF_READER_ALIVE);
    t_region_close(&t);
}

static void a_closed_region_can_be_drained(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "closed");
    t_region_open(&t);
    (void)t_region_live(&t, "BTC-USD");
    tf_region_close(t.region, false);
    t.region = NULL;
    assert_int_equal(tf_reader_health(t.reader, t.mono_ns, TIMEOUT_NS), TF_READER_CLOSED);
    (void)t_event(t.reader, TF_EVENT_INSTRUMENT);
    (void)t_event(t.reader, TF_EVENT_STATE);
    t_no_event(t.reader);
    tf_reader_t *late = t_region_attach(t.name);
    assert_int_equal(tf_reader_instrument_count(late), 1);
    assert_int_equal(tf_reader_health(late, t.mono_ns, TIMEOUT_NS), TF_READER_CLOSED);
    tf_reader_close(late);
    t_region_close(&t);
}

static void a_new_file_at_the_name_is_a_new_epoch(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "epoch");
    t_region_open(&t);
    uint64_t old_epoch = tf_region_epoch(t.region);
    tf_region_close(t.region, false);
    (void)t_region_create(&t);
    assert_true(tf_region_epoch(t.region) != old_epoch);
    assert_int_equal(tf_reader_health(t.reader, t.mono_ns, TIMEOUT_NS), TF_READER_NEW_EPOCH);
    assert_int_equal(tf_reader_health(t.reader, t.mono_ns, TIMEOUT_NS), TF_READER_NEW_EPOCH);
    tf_reader_close(t.reader);
    t.reader = t_region_attach(t.name);
    assert_int_equal(tf_reader_health(t.reader, t.mono_ns, TIMEOUT_NS), TF_READER_ALIVE);
    t_region_close(&t);
}

static void a_short_timeout_is_the_period_of_looks_at_the_name(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "look");
    t_region_open(&t);
    tf_region_close(t.region, false);
    assert_int_equal(tf_reader_health(t.reader, 5000, TIMEOUT_NS), TF_READER_CLOSED);
    (void)t_region_create(&t);
    assert_int_equal(tf_reader_health(t.reader, 5999, TIMEOUT_NS), TF_READER_CLOSED);
    assert_int_equal(tf_reader_health(t.reader, 6000, TIMEOUT_NS), TF_READER_NEW_EPOCH);
    t_region_close(&t);
}

static void a_new_file_is_found_long_before_a_long_timeout_is_over_again(void **state)
{
    (void)state;
    enum { LONG_NS = 2000000000, LOOK_NS = 50000000 };
    t_region_t t;
    t_region_init(&t, "soon");
    t_region_open(&t);
    tf_region_heartbeat(t.region, 1);
    assert_int_equal(tf_reader_health(t.reader, LONG_NS + 1, LONG_NS), TF_READER_ALIVE);
    int64_t now_ns = LONG_NS + 2;
    assert_int_equal(tf_reader_health(t.reader, now_ns, LONG_NS), TF_READER_LOST);
    tf_region_close(t.region, false);
    (void)t_region_create(&t);
    assert_int_equal(tf_reader_health(t.reader, now_ns + LOOK_NS - 1, LONG_NS), TF_READER_CLOSED);
    assert_int_equal(tf_reader_health(t.reader, now_ns + LOOK_NS, LONG_NS), TF_READER_NEW_EPOCH);
    t_region_close(&t);
}

static void epochs_are_eight_base_32_digits(void **state)
{
    (void)state;
    char text[9];
    tf_epoch_text(0, text);
    assert_string_equal(text, "00000000");
    tf_epoch_text((1ULL << 40) - 1, text);
    assert_string_equal(text, "zzzzzzzz");
    tf_epoch_text(0x123456789a, text);
    assert_string_equal(text, "28t5cy4t"); /* python: digits of 0x123456789a in base 32 */
}

static void every_failed_allocation_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "memory");
    uint64_t before = tf_mem_in_use_bytes();
    for (uint64_t nth = 1;; nth++) {
        tf_mem_fail_at(nth);
        tf_status_t status = tf_region_create(&t.region, &t.config, &t.clock, &t.stats);
        tf_mem_fail_at(0);
        if (status == TF_OK)
            break;
        assert_int_equal(status, TF_ERR_MEMORY);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    for (uint64_t nth = 1; t.reader == NULL; nth++) {
        uint64_t attached = tf_mem_in_use_bytes();
        const char *error = NULL;
        tf_mem_fail_at(nth);
        t.reader = tf_reader_open(t.name, &error);
        tf_mem_fail_at(0);
        if (t.reader == NULL) {
            assert_non_null(strstr(error, "no memory"));
            assert_int_equal(tf_mem_in_use_bytes(), attached);
        }
    }
    t_region_close(&t);
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

/* In a mount namespace of its own, with a /dev/shm of 4 MiB. Exit codes: 0 good, 77 not possible.
 */
static int in_a_small_shm(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/dev/shm", "tmpfs", 0, "size=4m") != 0)
        return 77;
    t_region_t t;
    t_region_init(&t, "full");
    t.config.ring_bytes = 8ULL << 20;
    if (tf_region_create(&t.region, &t.config, &t.clock, &t.stats) != TF_ERR_FULL ||
        strstr(tf_error_text(), "enlarge it") == NULL)
        return 1;
    /* A predecessor's file that fills it all gives way. */
    t.config.ring_bytes = 2ULL << 20;
    if (tf_region_create(&t.region, &t.config, &t.clock, &t.stats) != TF_OK)
        return 2;
    tf_region_close(t.region, false);
    if (tf_region_create(&t.region, &t.config, &t.clock, &t.stats) != TF_OK)
        return 3;
    tf_region_close(t.region, false);
    /* Instruments are taken as long as there is memory for them, and no touch is ever a SIGBUS. */
    t.config.instruments_max = 1000;
    t.config.image_depth = 4096;
    t.config.ring_bytes = 16 * TF_EVENT_BYTES_MAX;
    if (tf_region_create(&t.region, &t.config, &t.clock, &t.stats) != TF_OK)
        return 4;
    uint32_t added = 0;
    tf_instrument_t instrument = t_instrument("BTC-USD", 2, 8);
    static tf_level_t levels[4096];
    for (int64_t i = 0; i < 4096; i++)
        levels[i] = (tf_level_t){.px = 5000 - i, .sz = 1};
    uint32_t index = 0;
    while (tf_region_instrument_add(t.region, &instrument, t_stamp, &index) == TF_OK) {
        tf_region_put_book_snapshot(t.region, index, levels, 4096, levels, 4096, t_stamp);
        added++;
    }
    tf_region_close(t.region, true);
    return added >= 5 && added < 1000 ? 0 : 5;
}

static void a_full_shm_is_an_error_and_never_a_sigbus(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_a_small_shm());
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* needs the right to mount */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_finds_what_the_writer_was_told_to_make),
        cmocka_unit_test(a_second_writer_is_told_who_the_first_one_is),
        cmocka_unit_test(bad_names_and_bad_configs_are_refused),
        cmocka_unit_test(a_reader_of_nothing_is_told_what_to_start),
        cmocka_unit_test(files_that_are_no_region_are_refused),
        cmocka_unit_test(a_symbolic_link_is_not_followed),
        cmocka_unit_test(leftovers_of_dead_writers_are_cleared_away),
        cmocka_unit_test(a_silent_writer_is_lost_and_found_again),
        cmocka_unit_test(a_closed_region_can_be_drained),
        cmocka_unit_test(a_new_file_at_the_name_is_a_new_epoch),
        cmocka_unit_test(a_short_timeout_is_the_period_of_looks_at_the_name),
        cmocka_unit_test(a_new_file_is_found_long_before_a_long_timeout_is_over_again),
        cmocka_unit_test(epochs_are_eight_base_32_digits),
        cmocka_unit_test(every_failed_allocation_is_told_and_leaks_nothing),
        cmocka_unit_test(a_full_shm_is_an_error_and_never_a_sigbus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
