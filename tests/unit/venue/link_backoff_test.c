#include "kit/kit.h"

#include "base/clock.h"
#include "venue/link_backoff.h"
#include "venue/link_failure.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MIN_NS (250 * TF_NS_PER_MS)
#define MAX_NS (30 * TF_NS_PER_S)

static tf_link_backoff_t backoff_of(uint64_t seed)
{
    return (tf_link_backoff_t){.min_ns = MIN_NS, .max_ns = MAX_NS, .rng = {seed}};
}

static void waits_double_up_to_the_largest_less_a_quarter_at_most(void **state)
{
    (void)state;
    const uint64_t seed = t_seed(1);
    for (uint64_t round = 0; round < t_rounds(200); round++) {
        tf_link_backoff_t backoff = backoff_of(seed + round);
        int64_t base_ns = MIN_NS;
        int64_t before_ns = 0;
        for (int i = 0; i < 40; i++) {
            int64_t wait_ns = tf_link_backoff_next(&backoff);
            assert_in_range(wait_ns, base_ns - base_ns / 4, base_ns);
            if (base_ns < MAX_NS)
                assert_true(wait_ns > before_ns);
            before_ns = wait_ns;
            base_ns = 2 * base_ns > MAX_NS ? MAX_NS : 2 * base_ns;
        }
        tf_link_backoff_reset(&backoff);
        assert_in_range(tf_link_backoff_next(&backoff), MIN_NS - MIN_NS / 4, MIN_NS);
    }
}

static void clients_of_different_seeds_do_not_wait_alike(void **state)
{
    (void)state;
    const uint64_t seed = t_seed(2);
    int64_t least_ns = INT64_MAX;
    int64_t most_ns = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        tf_link_backoff_t backoff = backoff_of(seed + i);
        int64_t wait_ns = tf_link_backoff_next(&backoff);
        least_ns = wait_ns < least_ns ? wait_ns : least_ns;
        most_ns = wait_ns > most_ns ? wait_ns : most_ns;
    }
    /* They spread over the whole quarter. */
    assert_true(least_ns < MIN_NS - MIN_NS / 5);
    assert_true(most_ns > MIN_NS - MIN_NS / 20);
}

static void the_largest_times_do_not_overflow(void **state)
{
    (void)state;
    tf_link_backoff_t backoff = {.min_ns = 1, .max_ns = INT64_MAX, .rng = {7}};
    for (int i = 0; i < 200; i++)
        assert_true(tf_link_backoff_next(&backoff) > 0);
    assert_true(tf_link_backoff_next(&backoff) > INT64_MAX / 2);
}

static void equal_bounds_are_a_constant(void **state)
{
    (void)state;
    tf_link_backoff_t backoff = {.min_ns = 1000, .max_ns = 1000, .rng = {t_seed(3)}};
    for (int i = 0; i < 20; i++)
        assert_in_range(tf_link_backoff_next(&backoff), 750, 1000);
}

static void the_same_failure_is_told_once_a_minute_with_its_count(void **state)
{
    (void)state;
    tf_link_failures_t failures = {0};
    uint64_t again = 99;
    const int64_t start_ns = TF_NS_PER_S;
    assert_true(
        tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "refused", start_ns, &again));
    assert_int_equal(again, 0);
    for (int i = 1; i <= 9; i++)
        assert_false(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "refused",
                                          start_ns + i * TF_NS_PER_S, &again));
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "refused",
                                     start_ns + 60 * TF_NS_PER_S, &again));
    assert_int_equal(again, 9);
    assert_false(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "refused",
                                      start_ns + 61 * TF_NS_PER_S, &again));
}

static void another_failure_is_told_at_once_and_does_not_bring_the_first_back(void **state)
{
    (void)state;
    tf_link_failures_t failures = {0};
    uint64_t again = 0;
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "a", 1, &again));
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "b", 2, &again));
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_TLS, "a", 3, &again));
    assert_false(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "a", 4, &again));
    assert_false(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "b", 5, &again));
    /* More kinds than are kept: the one told longest ago is forgotten. */
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_SILENT, "c", 6, &again));
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_SILENT, "d", 7, &again));
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_CONNECT, "a", 8, &again));
    assert_int_equal(again, 0);
    tf_link_failures_forget(&failures);
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_SILENT, "d", 9, &again));
}

static void a_text_longer_than_is_kept_is_still_the_same(void **state)
{
    (void)state;
    tf_link_failures_t failures = {0};
    uint64_t again = 0;
    char text[2 * TF_LINK_FAILURE_BYTES_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(tf_link_failure_tell(&failures, TF_LINK_FAILURE_TLS, text, 1, &again));
    assert_false(tf_link_failure_tell(&failures, TF_LINK_FAILURE_TLS, text, 2, &again));
}

static void every_kind_has_a_stage_and_a_counter(void **state)
{
    (void)state;
    assert_string_equal(tf_link_failure_stage(TF_LINK_FAILURE_RESOLVE), "dns");
    assert_string_equal(tf_link_failure_stage(TF_LINK_FAILURE_MEMORY), "memory");
    assert_int_equal(tf_link_failure_stat(TF_LINK_FAILURE_TLS), TF_STAT_venue_tls_failures_total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_largest_less_a_quarter_at_most),
        cmocka_unit_test(clients_of_different_seeds_do_not_wait_alike),
        cmocka_unit_test(the_largest_times_do_not_overflow),
        cmocka_unit_test(equal_bounds_are_a_constant),
        cmocka_unit_test(the_same_failure_is_told_once_a_minute_with_its_count),
        cmocka_unit_test(another_failure_is_told_at_once_and_does_not_bring_the_first_back),
        cmocka_unit_test(a_text_longer_than_is_kept_is_still_the_same),
        cmocka_unit_test(every_kind_has_a_stage_and_a_counter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
