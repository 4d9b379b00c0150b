#include "kit/kit.h"

#include "region/bell.h"
#include "unit/region/region_kit.h"

#include <poll.h>

static bool readable(const tf_bell_t *bell)
{
    struct pollfd fd = {.fd = bell->fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static tf_bell_t bell[3];
static tf_bells_t bells;

static int open_three(void **state)
{
    (void)state;
    bells.count = 3;
    for (int i = 0; i < 3; i++) {
        if (tf_bell_open(&bell[i]) != TF_OK)
            return -1;
        bells.bell[i] = &bell[i];
    }
    return 0;
}

static int close_three(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        tf_bell_close(&bell[i]);
    return 0;
}

static void nobody_asleep_costs_no_write(void **state)
{
    (void)state;
    assert_false(tf_bells_ring(&bells));
    for (int i = 0; i < 3; i++)
        assert_false(readable(&bell[i]));
}

static void only_the_first_sleeper_is_woken(void **state)
{
    (void)state;
    tf_bell_raise(&bell[1]);
    tf_bell_raise(&bell[2]);
    assert_true(tf_bells_ring(&bells));
    assert_false(readable(&bell[0]));
    assert_true(readable(&bell[1]));
    assert_false(readable(&bell[2]));
}

static void the_rung_wake_the_next_up_to_the_last(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        tf_bell_raise(&bell[i]);
    assert_true(tf_bells_ring(&bells));
    for (int i = 0; i < 3; i++) {
        assert_true(readable(&bell[i]));
        assert_true(tf_bell_lower(&bell[i]));
        assert_false(readable(&bell[i]));
        assert_int_equal(tf_bells_ring_next(&bells, &bell[i]), i < 2);
    }
}

/* Else two idle readers would wake each other for ever. */
static void the_last_does_not_wake_the_first_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        tf_bell_raise(&bell[i]);
    assert_false(tf_bells_ring_next(&bells, &bell[2]));
    assert_true(tf_bells_ring_next(&bells, &bell[1]));
    assert_false(readable(&bell[0]));
}

static void who_wakes_by_itself_was_not_rung(void **state)
{
    (void)state;
    tf_bell_raise(&bell[0]);
    assert_false(tf_bell_lower(&bell[0]));
}

static void a_ring_that_came_too_late_does_not_spoil_the_next_sleep(void **state)
{
    (void)state;
    tf_bell_raise(&bell[0]);
    assert_true(tf_bells_ring(&bells));
    tf_bell_lower(&bell[0]); /* it saw the news by itself */
    tf_bell_raise(&bell[0]);
    assert_false(readable(&bell[0]));
}

static void closing_a_region_wakes_everybody(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "bell");
    t_region_open(&t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tf_region_bell_add(t.region, &bell[i]), TF_OK);
    tf_bell_raise(&bell[0]);
    tf_region_ring_bells(t.region);
    tf_region_ring_bells(t.region);
    assert_int_equal(tf_stats_get(&t.stats, TF_STAT_bell_rings_total), 1);
    tf_bell_lower(&bell[0]);
    t_region_close(&t);
    for (int i = 0; i < 3; i++)
        assert_true(readable(&bell[i]));
}

static void the_65th_bell_is_refused(void **state)
{
    (void)state;
    t_region_t t;
    t_region_init(&t, "bells");
    t_region_open(&t);
    for (int i = 0; i < TF_BELLS_MAX; i++)
        assert_int_equal(tf_region_bell_add(t.region, &bell[0]), TF_OK);
    assert_int_equal(tf_region_bell_add(t.region, &bell[0]), TF_ERR_FULL);
    t_region_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_asleep_costs_no_write, open_three, close_three),
        cmocka_unit_test_setup_teardown(only_the_first_sleeper_is_woken, open_three, close_three),
        cmocka_unit_test_setup_teardown(the_rung_wake_the_next_up_to_the_last, open_three,
                                        close_three),
        cmocka_unit_test_setup_teardown(the_last_does_not_wake_the_first_again, open_three,
                                        close_three),
        cmocka_unit_test_setup_teardown(who_wakes_by_itself_was_not_rung, open_three, close_three),
        cmocka_unit_test_setup_teardown(a_ring_that_came_too_late_does_not_spoil_the_next_sleep,
                                        open_three, close_three),
        cmocka_unit_test_setup_teardown(closing_a_region_wakes_everybody, open_three, close_three),
        cmocka_unit_test_setup_teardown(the_65th_bell_is_refused, open_three, close_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
