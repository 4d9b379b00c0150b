/*
 * difference: which levels turn one side of a book into another. Pure.
 *
 * Both sides best first, at most `depth` levels. Writes the levels a client has to apply, best
 * first: new ones and new sizes, and size 0 for those that are gone; not those that better levels
 * pushed below `depth`, since clients truncate after every update (PROTOCOL.md).
 *
 * out      room for old_count + new_count levels
 * returns  levels written
 */
#pragma once

#include <tickfan/event.h>

#include <stddef.h>

size_t tf_difference(tf_side_t side, size_t depth, const tf_level_t *old_level, size_t old_count,
                     const tf_level_t *new_level, size_t new_count, tf_level_t *out);
