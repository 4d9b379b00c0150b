/*
 * rest: market data over HTTP, below /v1/ (PROTOCOL.md, "HTTP"). A body is the params object that a
 * snapshot message of the kind's channel at its default rate would carry now, with the same seq and
 * cs, read from the region and not from any stream.
 *
 *   /v1/{ticker,bbo,trades}/VENUE/SYMBOL
 *   /v1/book/VENUE/SYMBOL?depth=         1 10 25 50 200 1000 full; 10 if left out
 *   /v1/instruments /v1/status ?venue=   {"instruments":[...]}, {"status":[...]}
 *   /v1/config                           where the WebSocket is
 *
 * While ingest is lost all of them are stale: markets say so as in a snapshot message, lists with
 * "state" and "reason" behind the array, whose entries are the last ones.
 *
 * Errors are {"error":{code, message, reason}} with the codes of PROTOCOL.md. Market data is
 * public and requests carry no credentials, so scripts of every origin may read all of it.
 */
#pragma once

#include "http/site.h"

#define TF_REST_ROOT "/v1/"

/* The path starts with TF_REST_ROOT. */
void tf_rest_answer(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer);

/* In place of an answer that can't be kept now: busy, ask again. */
void tf_rest_busy(tf_answer_t *answer);
