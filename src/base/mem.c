#include "base/mem.h"

#include "base/assert.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t in_use_bytes;
static _Atomic uint64_t fail_countdown; /* 0 = off, 1 = failing */

static int must_fail(void)
{
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (left == 0)
        return 0;
    if (left > 1)
        atomic_store_explicit(&fail_countdown, left - 1, memory_order_relaxed);
    return left == 1;
}

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&in_use_bytes, malloc_usable_size(block), memory_order_relaxed);
    return block;
}

void *tf_mem_calloc(size_t count, size_t bytes)
{
    return must_fail() ? NULL : counted(calloc(count, bytes));
}

void *tf_mem_realloc(void *block, size_t count, size_t bytes)
{
    if (must_fail())
        return NULL;
    size_t before = block == NULL ? 0 : malloc_usable_size(block);
    void *grown = reallocarray(block, count, bytes);
    if (grown != NULL)
        atomic_fetch_sub_explicit(&in_use_bytes, before, memory_order_relaxed);
    return counted(grown);
}

void *tf_mem_aligned(size_t bytes)
{
    size_t rounded = (bytes + TF_CACHE_LINE_BYTES - 1) & ~((size_t)TF_CACHE_LINE_BYTES - 1);
    void *block = must_fail() ? NULL : aligned_alloc(TF_CACHE_LINE_BYTES, rounded);
    if (block != NULL)
        memset(block, 0, rounded);
    return counted(block);
}

void tf_mem_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub_explicit(&in_use_bytes, malloc_usable_size(block), memory_order_relaxed);
    free(block);
}

uint64_t tf_mem_in_use_bytes(void)
{
    return atomic_load_explicit(&in_use_bytes, memory_order_relaxed);
}

void tf_mem_fail_at(uint64_t nth)
{
    atomic_store_explicit(&fail_countdown, nth, memory_order_relaxed);
}
