/* Histograms of delays, against a plain search through the bounds. */
#include "kit/kit.h"

#include "base/latency.h"
#include "base/rng.h"

#include <string.h>

static int naive_bucket(int64_t delay_ns)
{
    int bucket = 0;
    while (bucket < TF_LATENCY_BUCKETS && delay_ns > tf_latency_bound_ns[bucket])
        bucket++;
    return bucket;
}

/* The one bucket that one delay fell into. */
static int bucket_of(int64_t delay_ns)
{
    static tf_latency_t latency;
    int found = -1;
    memset(&latency, 0, sizeof latency);
    tf_latency_add(&latency, delay_ns);
    for (int i = 0; i <= TF_LATENCY_BUCKETS; i++) {
        uint64_t count = atomic_load(&latency.bucket[i]);
        assert_true(count == 0 || (count == 1 && found < 0));
        found = count == 1 ? i : found;
    }
    assert_int_equal(atomic_load(&latency.sum_ns), delay_ns > 0 ? (uint64_t)delay_ns : 0);
    return found;
}

static void bounds_are_1_2_5_from_a_microsecond_to_ten_seconds(void **state)
{
    (void)state;
    static const int64_t steps[] = {1, 2, 5};
    int64_t decade_ns = 1000;
    for (int i = 0; i < TF_LATENCY_BUCKETS; i++) {
        assert_int_equal(tf_latency_bound_ns[i], steps[i % 3] * decade_ns);
        decade_ns *= i % 3 == 2 ? 10 : 1;
    }
    assert_int_equal(tf_latency_bound_ns[TF_LATENCY_BUCKETS - 1], 10000000000);
}

static void a_bound_belongs_to_its_own_bucket_and_what_is_above_to_the_next(void **state)
{
    (void)state;
    for (int i = 0; i < TF_LATENCY_BUCKETS; i++) {
        assert_int_equal(bucket_of(tf_latency_bound_ns[i] - 1), i);
        assert_int_equal(bucket_of(tf_latency_bound_ns[i]), i);
        assert_int_equal(bucket_of(tf_latency_bound_ns[i] + 1), i + 1);
    }
    for (int shift = 0; shift < 63; shift++) {
        assert_int_equal(bucket_of(INT64_C(1) << shift), naive_bucket(INT64_C(1) << shift));
        assert_int_equal(bucket_of((INT64_C(1) << shift) - 1),
                         naive_bucket((INT64_C(1) << shift) - 1));
    }
    assert_int_equal(bucket_of(INT64_MAX), TF_LATENCY_BUCKETS);
}

static void a_negative_delay_counts_as_none(void **state)
{
    (void)state;
    assert_int_equal(bucket_of(0), 0);
    assert_int_equal(bucket_of(-1), 0);
    assert_int_equal(bucket_of(INT64_MIN), 0);
}

static void any_delay_falls_where_a_plain_search_puts_it(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(7)};
    for (uint64_t round = t_rounds(200000); round > 0; round--) {
        int64_t delay_ns = (int64_t)(tf_rng_next(&rng) >> tf_rng_below(&rng, 64));
        assert_int_equal(bucket_of(delay_ns), naive_bucket(delay_ns < 0 ? 0 : delay_ns));
    }
}

static void counts_and_sum_add_up(void **state)
{
    (void)state;
    static tf_latency_t latency;
    for (int64_t i = 1; i <= 1000; i++)
        tf_latency_add(&latency, i * 1000);
    uint64_t count = 0;
    for (int i = 0; i <= TF_LATENCY_BUCKETS; i++)
        count += atomic_load(&latency.bucket[i]);
    assert_int_equal(count, 1000);
    assert_int_equal(atomic_load(&latency.sum_ns), 500500000);
    assert_int_equal(atomic_load(&latency.bucket[0]), 1);
    assert_int_equal(atomic_load(&latency.bucket[9]), 500); /* over 500 us, to 1 ms */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_are_1_2_5_from_a_microsecond_to_ten_seconds),
        cmocka_unit_test(a_bound_belongs_to_its_own_bucket_and_what_is_above_to_the_next),
        cmocka_unit_test(a_negative_delay_counts_as_none),
        cmocka_unit_test(any_delay_falls_where_a_plain_search_puts_it),
        cmocka_unit_test(counts_and_sum_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
