/*
 * nearest: which known name was meant by a misspelt or unfinished one? Pure; any thread.
 *
 *     tf_nearest_t nearest = tf_nearest_to(text);
 *     for (each name) tf_nearest_try(&nearest, name);
 *     if (nearest.name != NULL) ... "did you mean %s?"
 */
#pragma once

#include <stddef.h>

typedef struct tf_nearest {
    const char *name; /* the best so far that is near enough to be a misspelling; else NULL */
    const char *text;
    size_t distance;
} tf_nearest_t;

/* `text` must outlive the result. */
tf_nearest_t tf_nearest_to(const char *text);

/* `name` must outlive the result. Of equally near names the first one stays. */
void tf_nearest_try(tf_nearest_t *nearest, const char *name);
