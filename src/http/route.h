/*
 * route: which answer belongs to which request. Flow: http.c -> [route] -> page, probes, metrics
 * and rest.
 *
 * Whatever is in a request it gets an answer: paths are compared byte for byte with those that
 * there are, and none of them names a file.
 */
#pragma once

#include "http/site.h"

/* `answer` was begun. Check tf_buf_ok(&answer->text) before sending: memory may have run out. */
void tf_route(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer);
