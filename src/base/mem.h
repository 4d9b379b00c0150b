/*
 * mem: the only door to the heap (a tidy test bans malloc elsewhere). Any thread.
 *
 * Every block is counted, so the budget can be printed and tests can prove that nothing leaks and
 * nothing grows. Tests make the n-th allocation fail with tf_mem_fail_at().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for `count` items of `bytes` each; NULL when out of memory or on overflow. */
void *tf_mem_calloc(size_t count, size_t bytes);

/* Grow or shrink to `count` items; keeps the content, new bytes are not zeroed. NULL leaves the old
 * block valid and owned by the caller. */
void *tf_mem_realloc(void *block, size_t count, size_t bytes);

/* Aligned to TF_CACHE_LINE_BYTES and zeroed; freed with tf_mem_free like the others. */
void *tf_mem_aligned(size_t bytes);

/* NULL is allowed. */
void tf_mem_free(void *block);

/* Bytes in use by this process through this door (as the allocator rounded them). */
uint64_t tf_mem_in_use_bytes(void);

/* Fail the n-th allocation from now (1 = the next one) and every later one until called with 0. */
void tf_mem_fail_at(uint64_t nth);
