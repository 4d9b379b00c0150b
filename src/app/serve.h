/*
 * serve: the commands that run until they are told to stop: `serve` (ingest, fan-out, http),
 * `ingest` (ingest, http) and `fanout` (fan-out, http; the region is another process's, which may
 * come and go). Build bottom-up, run, stop top-down. SIGTERM and SIGINT stop.
 */
#pragma once

#include "app/options.h"

/* Returns when stopped in order, or with an error and its trail. */
TF_MUST_CHECK tf_status_t tf_serve(const tf_options_t *options);
