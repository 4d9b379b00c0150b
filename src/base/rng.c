#include "base/rng.h"

#include "base/assert.h"

#include <sys/random.h>

uint64_t tf_rng_entropy(void)
{
    uint64_t bits = 0;
    /* Never short for 8 bytes once the kernel's pool is up (getrandom(2)). */
    ssize_t got = getrandom(&bits, sizeof bits, 0);
    TF_ASSERT(got == (ssize_t)sizeof bits);
    return bits;
}
