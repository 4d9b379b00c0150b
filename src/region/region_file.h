/*
 * region_file: the files behind a region: names, the writer's lock, the file built aside and
 * renamed into place. Control plane; any thread.
 *
 * Whoever holds the lock is the only writer of the name, so everything else found under the name
 * (an older region file, .tmp files) is left over from a writer that is gone.
 */
#pragma once

#include "base/status.h"

#include <tickfan/region.h>

#include <stdbool.h>
#include <stdint.h>

/* "/dev/shm/tickfan." + name + ".tmp." + pid */
enum { TF_REGION_PATH_BYTES_MAX = 128 };

bool tf_region_name_valid(const char *name);

/* The path of a valid name's file; `suffix` is "", ".lock" or ".sock". */
void tf_region_path(char out[TF_REGION_PATH_BYTES_MAX], const char *name, const char *suffix);

/* Take the lock: a descriptor to be closed to give it up, or TF_ERR_BUSY, TF_ERR_SYS. */
TF_MUST_CHECK tf_status_t tf_region_lock(const char *name, int *fd);

/* Make the file aside, `bytes` long and sparse, after clearing away what dead writers left aside.
 * `path` receives its name. */
TF_MUST_CHECK tf_status_t tf_region_file_make(const char *name, uint64_t bytes, int *fd,
                                              char path[TF_REGION_PATH_BYTES_MAX]);

/*
 * Give a range of the file its memory now. A sparse page that tmpfs can't back is a SIGBUS when it
 * is touched, so the writer touches only what was reserved here. TF_ERR_FULL when there is no room.
 */
TF_MUST_CHECK tf_status_t tf_region_file_reserve(int fd, uint64_t offset, uint64_t bytes);
