/*
 * kit: what every test may use.
 *
 * Include this first in a test: it brings in cmocka with the headers it needs. A failed TF_ASSERT
 * is caught by expect_assert_failure() once t_panic_to_cmocka() was called.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Route TF_ASSERT failures to cmocka's mock_assert. */
#define t_panic_to_cmocka() tf_panic_handler_set(mock_assert_panic)
static inline void mock_assert_panic(const char *file, int line, const char *expression)
{
    mock_assert(0, expression, file, line);
}

/* The seed of a random test: TICKFAN_SEED if set, else `fallback`; printed either way. */
uint64_t t_seed(uint64_t fallback);

/* Work to do: TICKFAN_ROUNDS if set, else `fallback`. */
uint64_t t_rounds(uint64_t fallback);

/* A new directory below $TMPDIR, removed at exit; the text lives until exit. */
const char *t_scratch_dir(void);

/* The folder with the recorded venue data: TICKFAN_DATA, else ../shared/data beside the source
 * tree; NULL when it is not there (then skip with t_skip). */
const char *t_data_dir(void);

/* Print the reason and exit with 77, which CTest counts as skipped. */
_Noreturn void t_skip(const char *reason);

/* Read a whole file into memory the caller frees with free(); NULL and *bytes = 0 when it can't. */
char *t_file_read(const char *path, size_t *bytes);
