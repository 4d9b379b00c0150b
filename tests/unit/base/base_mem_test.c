#include "kit/kit.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* The sanitizer would abort on a size that cannot be; we want to see NULL as in production. */
/* NOLINTNEXTLINE(readability-identifier-naming): the sanitizer's name for it */
const char *__asan_default_options(void);
/* NOLINTNEXTLINE(readability-identifier-naming) */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static int teardown(void **state)
{
    (void)state;
    tf_mem_fail_at(0);
    return 0;
}

static void every_block_is_counted_and_uncounted(void **state)
{
    (void)state;
    uint64_t before = tf_mem_in_use_bytes();
    void *zeroed = tf_mem_calloc(10, 100);
    void *aligned = tf_mem_aligned(1000);
    assert_true(tf_mem_in_use_bytes() >= before + 2000);
    zeroed = tf_mem_realloc(zeroed, 100, 100);
    assert_true(tf_mem_in_use_bytes() >= before + 11000);
    zeroed = tf_mem_realloc(zeroed, 1, 100);
    assert_true(tf_mem_in_use_bytes() < before + 11000);
    tf_mem_free(zeroed);
    tf_mem_free(aligned);
    tf_mem_free(NULL);
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

static void new_blocks_are_zeroed_and_aligned(void **state)
{
    (void)state;
    static const unsigned char zeros[1000];
    for (int i = 0; i < 20; i++) { /* reused memory too */
        unsigned char *plain = tf_mem_calloc(10, 100);
        unsigned char *aligned = tf_mem_aligned(sizeof zeros);
        assert_memory_equal(plain, zeros, sizeof zeros);
        assert_memory_equal(aligned, zeros, sizeof zeros);
        assert_int_equal((uintptr_t)aligned % TF_CACHE_LINE_BYTES, 0);
        memset(plain, 0xa5, sizeof zeros);
        memset(aligned, 0xa5, sizeof zeros);
        tf_mem_free(plain);
        tf_mem_free(aligned);
    }
}

static void the_nth_allocation_and_every_later_one_fail(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 5; nth++) {
        void *blocks[8];
        tf_mem_fail_at(nth);
        for (uint64_t i = 0; i < 8; i++) {
            blocks[i] = i % 2 ? tf_mem_calloc(1, 8) : tf_mem_aligned(8);
            assert_int_equal(blocks[i] == NULL, i + 1 >= nth);
        }
        tf_mem_fail_at(0);
        void *after = tf_mem_calloc(1, 8);
        assert_non_null(after);
        tf_mem_free(after);
        for (size_t i = 0; i < 8; i++)
            tf_mem_free(blocks[i]);
    }
}

static void a_failed_realloc_keeps_the_old_block(void **state)
{
    (void)state;
    char *block = tf_mem_calloc(1, 8);
    assert_non_null(block);
    memcpy(block, "keep me", 8);
    uint64_t used = tf_mem_in_use_bytes();
    tf_mem_fail_at(1);
    assert_null(tf_mem_realloc(block, 1000, 1000));
    tf_mem_fail_at(0);
    assert_null(tf_mem_realloc(block, SIZE_MAX / 2, 4)); /* the product overflows */
    assert_null(tf_mem_calloc(SIZE_MAX / 2, 4));
    assert_string_equal(block, "keep me");
    assert_int_equal(tf_mem_in_use_bytes(), used);
    tf_mem_free(block);
}

#define MEM_TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEM_TEST(every_block_is_counted_and_uncounted),
        MEM_TEST(new_blocks_are_zeroed_and_aligned),
        MEM_TEST(the_nth_allocation_and_every_later_one_fail),
        MEM_TEST(a_failed_realloc_keeps_the_old_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
