/*
 * assert: always-on checks for programmer errors. Any thread.
 *
 * Only for what our own code guarantees. Whatever a peer, a venue or a file can send is data: it is
 * answered by a return code and a counter, never by an assert.
 */
#pragma once

/* A failed check: called with the place and the expression; must not return. */
typedef void (*tf_panic_handler_t)(const char *file, int line, const char *expression);

/* Replace the panic handler (tests make it cmocka's mock_assert). NULL restores the default, which
 * writes one line to stderr and aborts. Process-wide: set it before threads start. */
void tf_panic_handler_set(tf_panic_handler_t handler);

_Noreturn void tf_panic(const char *file, int line, const char *expression);

#define TF_ASSERT(expression) ((expression) ? (void)0 : tf_panic(__FILE__, __LINE__, #expression))

/* For checks per byte or per level: compiled in sanitized builds only. */
#ifdef TF_SANITIZED
#define TF_ASSERT_SLOW(expression) TF_ASSERT(expression)
#else
#define TF_ASSERT_SLOW(expression) ((void)0)
#endif

#define TF_MUST_CHECK __attribute__((warn_unused_result))

enum { TF_CACHE_LINE_BYTES = 128 }; /* two 64-byte lines: the adjacent-line prefetcher pairs them */
