#include "kit/kit.h"

#include "config/nearest.h"

#include <string.h>

static const char *nearest(const char *text)
{
    static const char *const names[] = {"venue", "batch_us", "ping_ms", "ring_mib", "listen"};
    tf_nearest_t nearest = tf_nearest_to(text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        tf_nearest_try(&nearest, names[i]);
    return nearest.name;
}

static void a_slip_leads_to_the_name_that_was_meant(void **state)
{
    (void)state;
    assert_string_equal(nearest("batch-us"), "batch_us");
    assert_string_equal(nearest("BATCH_US"), "batch_us");
    assert_string_equal(nearest("batchus"), "batch_us");
    assert_string_equal(nearest("bacth_us"), "batch_us");
    assert_string_equal(nearest("venues"), "venue");
    assert_string_equal(nearest("litsen"), "listen");
}

static void a_beginning_leads_to_its_name(void **state)
{
    (void)state;
    assert_string_equal(nearest("batch"), "batch_us");
    assert_string_equal(nearest("Ring"), "ring_mib");
    assert_null(nearest("ri")); /* too short to say */
}

static void what_is_like_nothing_gets_no_hint(void **state)
{
    (void)state;
    assert_null(nearest(""));
    assert_null(nearest("x"));
    assert_null(nearest("colour"));
    assert_null(nearest("heartbeat_interval"));
}

static void very_long_names_are_passed_over(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_null(nearest(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_leads_to_the_name_that_was_meant),
        cmocka_unit_test(a_beginning_leads_to_its_name),
        cmocka_unit_test(what_is_like_nothing_gets_no_hint),
        cmocka_unit_test(very_long_names_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
