/*
 * A parser with a bug that only the sanitizer sees, behind a word that only coverage feedback
 * finds. Its test passes when the fuzzer reports it.
 */
#include <stddef.h>
#include <stdint.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* One byte too many. Not inlined, or the compiler might see that the result is not needed. */
__attribute__((noinline)) static unsigned sum(const uint8_t *data, size_t bytes)
{
    unsigned total = 0;
    for (size_t i = 0; i <= bytes; i++)
        total += data[i];
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes >= 4 && data[0] == 't' && data[1] == 'i' && data[2] == 'c' && data[3] == 'k')
        return sum(data, bytes) == 0 ? -1 : 0;
    return 0;
}
