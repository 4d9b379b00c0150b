/*
 * metrics: the text of /metrics, Prometheus exposition format 0.0.4. Pure but for the figures of
 * the process, which come from /proc/self; any thread.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ : one HELP and one TYPE line per
 * name, then all its samples. Markets are counted by venue and state; there is no series per
 * instrument, so the page has the same size for ten markets as for thousands.
 */
#pragma once

#include "base/buf.h"
#include "http/site.h"

#define TF_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Append the whole page; `seen` is what tf_watch_look() saw. Check tf_buf_ok() afterwards. */
void tf_metrics_write(tf_buf_t *out, const tf_site_t *site, const tf_watch_figures_t *seen);
