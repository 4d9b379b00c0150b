/* Readers in processes of their own: they attach by name, follow to the end, and see the region
 * closed. */
#include "kit/kit.h"

#include "conc/region/story.h"

#include <sys/wait.h>

enum { READERS = 3 };

static const int64_t timeout_ns = 10 * TF_NS_PER_S;
static char name[TF_REGION_NAME_BYTES_MAX];
static uint64_t steps = 20000;

/* The child's life; its exit code is the verdict. `ready` tells the writer that it stands at now.
 */
static int follow(int ready)
{
    story_reader_t story = {0};
    const char *error = NULL;
    tf_reader_t *reader = tf_reader_open(name, &error);
    STORY_CHECK(reader != NULL);
    story_attach(&story, reader);
    STORY_CHECK(tf_reader_seek(reader, TF_FROM_START));
    STORY_CHECK(write(ready, "r", 1) == 1);
    for (;;) {
        tf_reader_health_t health = tf_reader_health(reader, story_mono_ns(), timeout_ns);
        STORY_CHECK(health == TF_READER_ALIVE || health == TF_READER_CLOSED);
        tf_poll_t got = story_poll(&story);
        if (story.events % 16 == 0)
            story_image(&story);
        if (got == TF_POLL_EMPTY && health == TF_READER_CLOSED)
            break;
    }
    /* From the first event to the last one; who was lapped has at least the newest image. */
    STORY_CHECK(story.lapped != 0 || story.events == steps * 3 + steps / 4 + steps / 64 + 2);
    STORY_CHECK(story.lapped != 0 || story.last[TF_EVENT_BBO] == steps);
    tf_image_info_t info;
    tf_bbo_t bbo;
    STORY_CHECK(tf_reader_bbo(reader, 0, &info, &bbo) == TF_IMAGE_OK && info.seq == steps);
    tf_reader_close(reader);
    return 0;
}

static void readers_in_other_processes_follow_to_the_end(void **state)
{
    (void)state;
    static story_writer_t writer;
    story_open(&writer, name);
    int ready[2];
    pid_t child[READERS];
    assert_int_equal(pipe(ready), 0);
    for (int i = 0; i < READERS; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0)
            _exit(follow(ready[1]));
    }
    for (int i = 0; i < READERS; i++) {
        char byte = 0;
        assert_int_equal(read(ready[0], &byte, 1), 1);
    }
    for (uint64_t i = 0; i < steps; i++)
        story_step(&writer);
    tf_region_close(writer.region, false);
    for (int i = 0; i < READERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    (void)close(ready[0]);
    (void)close(ready[1]);
}

int main(int argc, char **argv)
{
    (void)argv;
    steps = t_rounds(argc > 1 ? 3000000 : steps);
    (void)snprintf(name, sizeof name, "test-processes-%ld", (long)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_in_other_processes_follow_to_the_end)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    t_region_erase(name);
    return failed;
}
