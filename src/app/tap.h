/*
 * tap: `tickfan tap` prints a region's events from another process: the first user of the public
 * reader API (<tickfan/reader.h>), and an example of it.
 */
#pragma once

#include "app/options.h"

/* Follow the region until it is closed (0), or lost for good (1), or the standard output is gone.
 * With
 * --from start, 3 when events were lost on the way. An error that prevents starting is in the trail
 * (2). */
int tf_tap(const tf_options_t *options);
