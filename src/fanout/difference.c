#include "fanout/difference.h"

#include <stdbool.h>

static bool better(tf_side_t side, int64_t a, int64_t b)
{
    return side == TF_SIDE_BUY ? a > b : a < b;
}

size_t tf_difference(tf_side_t side, size_t depth, const tf_level_t *old_level, size_t old_count,
                     const tf_level_t *new_level, size_t new_count, tf_level_t *out)
{
    size_t count = 0;
    size_t o = 0;
    size_t n = 0;
    while (o < old_count && n < new_count) {
        if (old_level[o].px == new_level[n].px) {
            if (old_level[o].sz != new_level[n].sz)
                out[count++] = new_level[n];
            o++;
            n++;
        } else if (better(side, old_level[o].px, new_level[n].px)) {
            out[count++] = (tf_level_t){.px = old_level[o++].px, .sz = 0};
        } else {
            out[count++] = new_level[n++];
        }
    }
    while (n < new_count)
        out[count++] = new_level[n++];
    if (new_count == depth)
        return count; /* what is left of the old side was pushed out, not removed */
    while (o < old_count)
        out[count++] = (tf_level_t){.px = old_level[o++].px, .sz = 0};
    return count;
}
