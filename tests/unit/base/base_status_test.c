#include "kit/kit.h"

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static void every_status_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(tf_status_text(TF_OK), "ok");
    assert_string_equal(tf_status_text(TF_ERR_MEMORY), "out of memory");
    for (int value = TF_OK; value >= TF_ERR_UNSUPPORTED; value--)
        assert_string_not_equal(tf_status_text((tf_status_t)value), "unknown status");
    assert_string_equal(tf_status_text((tf_status_t)77), "unknown status");
}

static void context_goes_in_front_of_the_cause(void **state)
{
    (void)state;
    assert_int_equal(tf_error(TF_ERR_SYS, "bind %s: %s", "127.0.0.1:1", "refused"), TF_ERR_SYS);
    assert_string_equal(tf_error_text(), "bind 127.0.0.1:1: refused");
    assert_int_equal(tf_error_within(TF_ERR_SYS, "listener %d", 3), TF_ERR_SYS);
    assert_string_equal(tf_error_text(), "listener 3: bind 127.0.0.1:1: refused");
    assert_int_equal(tf_error_within(TF_ERR_ARG, "start"), TF_ERR_ARG);
    assert_string_equal(tf_error_text(), "start: listener 3: bind 127.0.0.1:1: refused");
}

static void a_new_error_starts_a_new_trail(void **state)
{
    (void)state;
    (void)tf_error(TF_ERR_SYS, "old");
    (void)tf_error(TF_ERR_ARG, "new");
    assert_string_equal(tf_error_text(), "new");
}

static void an_error_may_quote_the_trail(void **state)
{
    (void)state;
    (void)tf_error(TF_ERR_SYS, "the cause");
    (void)tf_error(TF_ERR_ABSENT, "%s", tf_error_text());
    assert_string_equal(tf_error_text(), "the cause");
}

static void a_long_context_does_not_push_the_cause_out(void **state)
{
    (void)state;
    char context[5000];
    memset(context, 'c', sizeof context - 1);
    context[sizeof context - 1] = '\0';
    (void)tf_error(TF_ERR_SYS, "the cause");
    (void)tf_error_within(TF_ERR_SYS, "%s", context);
    assert_non_null(strstr(tf_error_text(), ": the cause"));
    (void)tf_error(TF_ERR_SYS, "%s", context); /* a long cause is cut, not overrun */
    size_t bytes = strlen(tf_error_text());
    assert_in_range(bytes, 100, sizeof context - 2);
    (void)tf_error_within(TF_ERR_SYS, "%s", context);
    assert_in_range(strlen(tf_error_text()), 100, bytes);
}

static void *other_thread(void *argument)
{
    bool *was_empty = argument;
    *was_empty = tf_error_text()[0] == '\0';
    (void)tf_error(TF_ERR_FULL, "of the other thread");
    return NULL;
}

static void each_thread_has_its_own_trail(void **state)
{
    (void)state;
    (void)tf_error(TF_ERR_SYS, "mine");
    pthread_t thread;
    bool was_empty = false;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &was_empty), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(was_empty);
    assert_string_equal(tf_error_text(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(context_goes_in_front_of_the_cause),
        cmocka_unit_test(a_new_error_starts_a_new_trail),
        cmocka_unit_test(an_error_may_quote_the_trail),
        cmocka_unit_test(a_long_context_does_not_push_the_cause_out),
        cmocka_unit_test(each_thread_has_its_own_trail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
