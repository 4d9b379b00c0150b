#include "kit/kit.h"

#include "base/rng.h"

static void the_sequence_is_splitmix64(void **state)
{
    (void)state;
    tf_rng_t rng = {1234567}; /* known answers of the reference implementation for this seed */
    static const uint64_t expected[] = {6457827717110365317ULL, 3203168211198807973ULL,
                                        9817491932198370423ULL, 4593380528125082431ULL,
                                        16408922859458223821ULL};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(tf_rng_next(&rng) == expected[i]);
}

static void below_stays_below_and_reaches_every_value(void **state)
{
    (void)state;
    tf_rng_t rng = {7};
    for (uint64_t bound = 1; bound <= 100; bound++) {
        unsigned met[100] = {0};
        for (int i = 0; i < 5000; i++) {
            uint64_t value = tf_rng_below(&rng, bound);
            assert_true(value < bound);
            met[value]++;
        }
        for (uint64_t value = 0; value < bound; value++)
            assert_true(met[value] > 0);
    }
    for (int i = 0; i < 1000; i++)
        assert_true(tf_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void entropy_does_not_repeat(void **state)
{
    (void)state;
    uint64_t first = tf_rng_entropy();
    uint64_t second = tf_rng_entropy();
    assert_true(first != second); /* equal once in 2^64 runs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_splitmix64),
        cmocka_unit_test(below_stays_below_and_reaches_every_value),
        cmocka_unit_test(entropy_does_not_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
