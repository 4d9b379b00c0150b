/*
 * The writer dies by SIGKILL at a random instant: before its file stands, in the middle of an entry
 * or of a record. Whoever reads on gets no torn data, spins nowhere, learns that the writer is
 * lost, and finds the next writer's file. The delay before the kill is the fault that is injected.
 */
#include "kit/kit.h"

#include "base/rng.h"
#include "conc/region/story.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

enum { DELAY_US_MAX = 3000 };

/* No call does more than a bounded copy; the bound leaves room for a descheduled test. */
static const int64_t call_ns_limit = 2 * TF_NS_PER_S;
static const int64_t timeout_ns = 500 * TF_NS_PER_MS;
static const int64_t patience_ns = 20 * TF_NS_PER_S;
static char name[TF_REGION_NAME_BYTES_MAX];
static uint64_t kills = 25;
static story_reader_t story;
static uint64_t attached_epoch;

_Noreturn static void write_forever(void)
{
    static story_writer_t writer;
    story_open(&writer, name);
    for (;;)
        story_step(&writer);
}

static pid_t writer_start(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_forever();
    return pid;
}

static void writer_kill(pid_t pid)
{
    int status = 0;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* it did not fail by itself before */
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void detach(void)
{
    tf_reader_close(story.reader);
    story.reader = NULL;
}

/* Attach when there is something to attach to. */
static void attach(void)
{
    const char *error = NULL;
    tf_reader_t *reader = tf_reader_open(name, &error);
    if (reader == NULL)
        return;
    story_attach(&story, reader);
    (void)tf_reader_seek(reader, TF_FROM_START); /* or now, when the ring has wrapped already */
    attached_epoch = tf_reader_epoch(reader);
}

static void read_some(void)
{
    for (int i = 0; i < 64 && story_poll(&story) != TF_POLL_EMPTY; i++) {
    }
    story_image(&story);
}

static void read_until(int64_t deadline_ns)
{
    while (story_mono_ns() < deadline_ns) {
        if (story.reader == NULL)
            attach();
        else
            read_some();
    }
}

/* The region's health as it will be when the heartbeat is too old. Each time is one time-out later
 * than the last one, so that each is also a look at the name. */
static tf_reader_health_t health_later(void)
{
    static int64_t looks;
    looks++;
    return tf_reader_health(story.reader, story_mono_ns() + looks * (timeout_ns + 1), timeout_ns);
}

static void follow_to_the_new_file(void)
{
    uint64_t old_epoch = attached_epoch;
    detach();
    attach();
    assert_non_null(story.reader);
    assert_true(attached_epoch != old_epoch);
}

/* Be on the writer's file and read its first event: it lives until we kill it. */
static void wait_for_the_new_file(void)
{
    int64_t deadline_ns = story_mono_ns() + patience_ns;
    if (story.reader != NULL) {
        while (health_later() != TF_READER_NEW_EPOCH)
            assert_true(story_mono_ns() < deadline_ns);
        follow_to_the_new_file();
    }
    while (story.reader == NULL) {
        attach();
        assert_true(story_mono_ns() < deadline_ns);
    }
    uint64_t events = story.events;
    while (story.events == events) {
        read_some();
        assert_true(story_mono_ns() < deadline_ns);
    }
}

/* The writer is dead: all that it published can be read to the end, and it is told as lost. False
 * when it never had a file. */
static bool read_the_rest(void)
{
    if (story.reader == NULL)
        attach();
    if (story.reader == NULL)
        return false;
    if (health_later() == TF_READER_NEW_EPOCH)
        follow_to_the_new_file();
    while (story_poll(&story) != TF_POLL_EMPTY) {
    }
    story_image(&story);
    assert_int_equal(health_later(), TF_READER_LOST);
    return true;
}

static void a_killed_writer_is_noticed_and_its_successor_found(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(4)};
    uint64_t attached = 0;
    for (uint64_t i = 0; i < kills; i++) {
        pid_t pid = writer_start();
        /* Every other writer, and the first, is followed to its file; the rest may die before they
         * have one. */
        if (i == 0 || tf_rng_below(&rng, 2) == 0)
            wait_for_the_new_file();
        read_until(story_mono_ns() + (int64_t)tf_rng_below(&rng, DELAY_US_MAX) * TF_NS_PER_US);
        writer_kill(pid);
        attached += read_the_rest();
        assert_true(story.call_ns_max < call_ns_limit);
    }
    print_message(
        "%llu kills, %llu dead regions read, %llu events, lapped %llu, busy %llu of %llu, "
        "longest call %lld us\n",
        (unsigned long long)kills, (unsigned long long)attached, (unsigned long long)story.events,
        (unsigned long long)story.lapped, (unsigned long long)story.image_busy,
        (unsigned long long)story.image_reads, (long long)(story.call_ns_max / TF_NS_PER_US));
    assert_true(attached > 0 && story.events > 0);
}

static size_t files_left(void)
{
    char prefix[TF_REGION_PATH_BYTES_MAX];
    (void)snprintf(prefix, sizeof prefix, "tickfan.%s", name);
    size_t count = 0;
    DIR *dir = opendir("/dev/shm");
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(dir);
    return count;
}

/* Also what was left half built: the next writer cleared it away. */
static void nothing_is_left_behind(void **state)
{
    (void)state;
    static story_writer_t writer;
    detach();
    story_open(&writer, name);
    tf_region_close(writer.region, true);
    assert_int_equal(files_left(), 1); /* the lock */
    t_region_erase(name);
    assert_int_equal(files_left(), 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    kills = t_rounds(argc > 1 ? 500 : kills);
    (void)snprintf(name, sizeof name, "test-kill-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_writer_is_noticed_and_its_successor_found),
        cmocka_unit_test(nothing_is_left_behind),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    t_region_erase(name);
    return failed;
}
