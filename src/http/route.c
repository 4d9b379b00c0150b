#include "http/route.h"

#include "base/clock.h"
#include "http/assets.h"
#include "http/metrics.h"
#include "http/rest.h"

#include <string.h>

void tf_answer_begin(tf_answer_t *answer)
{
    tf_buf_fini(&answer->text);
    *answer = (tf_answer_t){
        .status = 200, .content_type = TF_TEXT_CONTENT_TYPE, .cache_control = "no-store"};
}

/* ---- probes and metrics ---- */

static void answer_health(tf_site_t *site, tf_answer_t *answer)
{
    (void)site;
    tf_buf_lit(&answer->text, "ok\n");
}

static void answer_lost(const tf_watch_figures_t *seen, tf_buf_t *text)
{
    if (seen->health == TF_WATCH_CLOSED) {
        tf_buf_lit(text, "ingest lost: its region is closed\n");
        return;
    }
    tf_buf_lit(text, "ingest lost: no heartbeat for ");
    tf_buf_int(text, seen->heartbeat_age_ns / TF_NS_PER_MS);
    tf_buf_lit(text, " ms\n");
}

static void answer_unready(const tf_site_t *site, const tf_watch_figures_t *seen, tf_buf_t *text)
{
    if (atomic_load_explicit(site->draining, memory_order_acquire))
        tf_buf_lit(text, "draining\n");
    else if (seen->health == TF_WATCH_ABSENT)
        tf_buf_lit(text, "no region\n");
    else if (seen->health != TF_WATCH_ALIVE)
        answer_lost(seen, text);
    else
        tf_buf_lit(text, "no live market\n");
}

static void answer_ready(tf_site_t *site, tf_answer_t *answer)
{
    tf_watch_figures_t seen;
    tf_watch_look(&site->watch, tf_clock_mono_ns(&tf_clock_system), &seen);
    if (tf_site_ready(site, &seen)) {
        tf_buf_lit(&answer->text, "ok\n");
        return;
    }
    answer->status = 503;
    answer_unready(site, &seen, &answer->text);
}

static void answer_metrics(tf_site_t *site, tf_answer_t *answer)
{
    tf_watch_figures_t seen;
    answer->content_type = TF_METRICS_CONTENT_TYPE;
    tf_watch_look(&site->watch, tf_clock_mono_ns(&tf_clock_system), &seen);
    tf_metrics_write(&answer->text, site, &seen);
}

static const struct {
    const char *path;
    void (*answer)(tf_site_t *site, tf_answer_t *answer);
} routes[] = {
    {"/metrics", answer_metrics},
    {"/healthz", answer_health},
    {"/readyz", answer_ready},
};

static void answer_unknown(tf_answer_t *answer)
{
    answer->status = 404;
    tf_buf_lit(&answer->text,
               "not found; known paths: / /healthz /readyz /metrics /v1/config /v1/instruments "
               "/v1/status /v1/{ticker,bbo,trades,book}/VENUE/SYMBOL\n");
}

/* ---- the page ---- */

/* Does If-None-Match name the tag? A list of tags, each perhaps weak (W/), or "*" (RFC 9110,
 * 13.1.2). Tags are hashes, so one can't be a part of another. */
static bool is_matched(const char *list, const char *etag)
{
    return strcmp(list, "*") == 0 || strstr(list, etag) != NULL;
}

static void answer_asset(const tf_asset_t *asset, const tf_request_t *request, tf_answer_t *answer)
{
    answer->content_type = asset->content_type;
    answer->cache_control = "no-cache"; /* kept, and asked for each time: 304 unless it changed */
    answer->etag = asset->etag;
    answer->page = true;
    answer->data = asset->data;
    answer->data_bytes = asset->bytes;
    if (is_matched(request->if_none_match, asset->etag)) {
        answer->status = 304;
        answer->bodiless = true;
    }
}

/* ---- all ---- */

static void answer_method(tf_answer_t *answer)
{
    answer->status = 405;
    answer->allow = "GET, HEAD";
    answer->close = true; /* a body may follow that nobody reads */
    tf_buf_lit(&answer->text, "method not allowed; use GET or HEAD\n");
}

static void answer_path(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strlen(routes[i].path) == request->path_bytes &&
            memcmp(routes[i].path, request->path, request->path_bytes) == 0) {
            routes[i].answer(site, answer);
            return;
        }
    }
    const tf_asset_t *asset = tf_asset_find(request->path, request->path_bytes);
    if (asset != NULL)
        answer_asset(asset, request, answer);
    else
        answer_unknown(answer);
}

static bool is_rest(const tf_request_t *request)
{
    static const char root[] = TF_REST_ROOT;
    return request->path_bytes >= sizeof root - 1 &&
           memcmp(request->path, root, sizeof root - 1) == 0;
}

void tf_route(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer)
{
    if (is_rest(request))
        tf_rest_answer(site, request, answer);
    else if (request->method == TF_HTTP_GET || request->method == TF_HTTP_HEAD)
        answer_path(site, request, answer);
    else
        answer_method(answer);
    if (request->method == TF_HTTP_HEAD)
        answer->bodiless = true;
}
