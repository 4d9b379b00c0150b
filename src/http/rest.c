#include "http/rest.h"

#include "base/clock.h"
#include "codec/channel.h"
#include "codec/json.h"
#include "market/instrument.h"

#include <stdio.h>
#include <string.h>

enum {
    SEGMENTS_MAX = 3,
    BUSY_TRIES = 16, /* times TF_IMAGE_TRIES: a deep book that moves is seldom still for a copy */
    RETRY_AFTER_S = 1,
};

typedef struct slice {
    const char *text;
    size_t bytes;
} slice_t;

static bool slice_is(slice_t slice, const char *text)
{
    return slice.bytes == strlen(text) && memcmp(slice.text, text, slice.bytes) == 0;
}

/* ---- errors ---- */

/* Codes and texts are those of the errors of a WebSocket request (PROTOCOL.md, "Errors"). */
typedef struct problem {
    int code;
    unsigned status;
    const char *message;
} problem_t;

static const problem_t problem_method = {-32600, 405, "Invalid Request"};
static const problem_t problem_path = {-32601, 404, "Method not found"};
static const problem_t problem_params = {-32602, 400, "Invalid params"};
static const problem_t problem_internal = {-32603, 503, "Internal error"};
static const problem_t problem_region = {-32603, 503, "Internal error: there is no region yet"};
static const problem_t problem_kind = {2001, 400, "unknown channel kind"};
static const problem_t problem_venue = {2002, 404, "unknown venue"};
static const problem_t problem_instrument = {2003, 404, "unknown instrument"};
static const problem_t problem_snapshot = {4003, 503, "no snapshot yet"};

/* `reason` is for people and needs no escapes. */
static void fail(tf_answer_t *answer, const problem_t *problem, const char *reason)
{
    tf_buf_t *text = &answer->text;
    tf_buf_reset(text);
    answer->status = problem->status;
    if (problem->status == 503)
        answer->retry_after_s = RETRY_AFTER_S;
    tf_buf_lit(text, "{\"error\":{\"code\":");
    tf_buf_int(text, problem->code);
    tf_buf_lit(text, ",\"message\":\"");
    tf_buf_text(text, problem->message);
    tf_buf_lit(text, "\",\"reason\":\"");
    tf_buf_text(text, reason);
    tf_buf_lit(text, "\"}}\n");
}

static const char busy[] = "the data was being written just then, or memory is short: ask again";

void tf_rest_busy(tf_answer_t *answer)
{
    tf_answer_begin(answer);
    answer->content_type = TF_JSON_CONTENT_TYPE;
    answer->any_origin = true;
    fail(answer, &problem_internal, busy);
}

/* ---- requests ---- */

/* Parts between slashes behind the root; more than SEGMENTS_MAX are counted, but not kept. */
static size_t segments_split(const tf_request_t *request, slice_t out[SEGMENTS_MAX])
{
    const char *at = request->path + sizeof TF_REST_ROOT - 1;
    const char *end = request->path + request->path_bytes;
    size_t count = 0;
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash != NULL ? slash : end;
        if (count < SEGMENTS_MAX)
            out[count] = (slice_t){at, (size_t)(stop - at)};
        count++;
        if (slash == NULL)
            return count;
        at = slash + 1;
    }
}

/* How often the query has the parameter, and its last value. */
static size_t query_find(const tf_request_t *request, const char *name, slice_t *value)
{
    size_t found = 0;
    size_t name_bytes = strlen(name);
    const char *end = request->query + request->query_bytes;
    for (const char *at = request->query; at < end;) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        size_t bytes = (size_t)(stop - at);
        if (bytes > name_bytes && memcmp(at, name, name_bytes) == 0 && at[name_bytes] == '=') {
            *value = (slice_t){at + name_bytes + 1, bytes - name_bytes - 1};
            found++;
        }
        at = stop == end ? end : stop + 1;
    }
    return found;
}

/* ---- the region ---- */

/* The region as it is now, or NULL with the answer given. */
static tf_view_t *view_get(tf_site_t *site, tf_answer_t *answer)
{
    tf_view_t *view = NULL;
    switch (tf_watch_view(&site->watch, tf_clock_mono_ns(&tf_clock_system),
                          tf_clock_wall_ns(&tf_clock_system), &view)) {
    case TF_WATCH_ABSENT:
        fail(answer, &problem_region,
             "ingest, which talks to the venues, was not seen running yet");
        return NULL;
    case TF_WATCH_ALIVE:
    case TF_WATCH_LOST:
    case TF_WATCH_CLOSED:
        break;
    }
    if (view == NULL)
        fail(answer, &problem_internal, busy);
    return view;
}

/* ---- markets ---- */

static bool kind_parse(slice_t name, tf_kind_t *out)
{
    for (int kind = 0; kind < TF_KIND_COUNT; kind++) {
        if (!tf_kind_of_venue((tf_kind_t)kind) && slice_is(name, tf_kind_text((tf_kind_t)kind))) {
            *out = (tf_kind_t)kind;
            return true;
        }
    }
    return false;
}

/* The depth parameter, for books alone; false with the answer given. */
static bool depth_parse(const tf_request_t *request, tf_channel_options_t *options,
                        tf_answer_t *answer)
{
    slice_t value;
    size_t found = query_find(request, "depth", &value);
    options->has_depth = found > 0;
    if (found > 1 || (found == 1 && !tf_depth_parse(value.text, value.bytes, &options->depth))) {
        fail(answer, &problem_params,
             "depth can be 1, 10, 25, 50, 200, 1000 or full, and is given once");
        return false;
    }
    return true;
}

/* KIND/VENUE/SYMBOL as the channel of the default rate; false with the answer given. */
static bool channel_parse(const tf_request_t *request, const slice_t part[SEGMENTS_MAX],
                          tf_channel_t *out, tf_answer_t *answer)
{
    char name[TF_CHANNEL_BYTES_MAX];
    tf_channel_options_t options = {0};
    tf_kind_t kind;
    if (!kind_parse(part[0], &kind)) {
        fail(answer, &problem_kind, "kinds are ticker, bbo, trades and book");
        return false;
    }
    if (kind == TF_KIND_BOOK && !depth_parse(request, &options, answer))
        return false;
    if (!tf_venue_name_valid(part[1].text, part[1].bytes)) {
        fail(answer, &problem_venue, "a venue is 1 to 15 of a-z 0-9 _");
        return false;
    }
    if (!tf_symbol_split(part[2].text, part[2].bytes, NULL, NULL)) {
        fail(answer, &problem_instrument, "a symbol is BASE-QUOTE as /v1/instruments lists it");
        return false;
    }
    int bytes = snprintf(name, sizeof name, "%s.%.*s.%.*s", tf_kind_text(kind), (int)part[1].bytes,
                         part[1].text, (int)part[2].bytes, part[2].text);
    tf_channel_result_t result = tf_channel_parse(name, (size_t)bytes, &options, out);
    TF_ASSERT(result == TF_CHANNEL_OK); /* each part was checked, and none has a point */
    return true;
}

static bool market_find(const tf_view_t *view, const tf_channel_t *channel, uint32_t *instrument,
                        tf_answer_t *answer)
{
    switch (tf_directory_find(&view->directory, channel->venue, channel->symbol, instrument)) {
    case TF_DIRECTORY_FOUND:
        return true;
    case TF_DIRECTORY_NO_VENUE:
        fail(answer, &problem_venue, "it may come later; /v1/instruments lists what there is");
        return false;
    case TF_DIRECTORY_NO_SYMBOL:
        break;
    }
    fail(answer, &problem_instrument, "it may come later; /v1/instruments lists what there is");
    return false;
}

static void answer_market(tf_site_t *site, const tf_request_t *request,
                          const slice_t part[SEGMENTS_MAX], tf_answer_t *answer)
{
    tf_channel_t channel;
    uint32_t instrument;
    if (!channel_parse(request, part, &channel, answer))
        return;
    tf_view_t *view = view_get(site, answer);
    if (view == NULL || !market_find(view, &channel, &instrument, answer))
        return;
    tf_view_result_t result = TF_VIEW_BUSY;
    for (int i = 0; i < BUSY_TRIES && result == TF_VIEW_BUSY; i++)
        result = tf_view_snapshot(view, &channel, instrument, &answer->text);
    if (result == TF_VIEW_BUSY)
        fail(answer, &problem_internal, busy);
    else if (result == TF_VIEW_NOTHING)
        fail(answer, &problem_snapshot, "nothing of this kind was published yet");
    else
        tf_buf_lit(&answer->text, "\n");
}

/* ---- venues ---- */

static bool venue_put(tf_view_t *view, tf_kind_t kind, uint32_t home, tf_answer_t *answer)
{
    tf_image_info_t info;
    for (int i = 0; i < BUSY_TRIES; i++) {
        tf_view_result_t result = tf_view_list(view, kind, home, &answer->text, &info);
        if (result != TF_VIEW_BUSY)
            return result == TF_VIEW_OK;
    }
    return false;
}

/* Of all venues, in order of arrival. */
static bool venues_put(tf_view_t *view, tf_kind_t kind, tf_answer_t *answer)
{
    const tf_directory_t *directory = &view->directory;
    for (uint32_t i = 0; i < directory->venue_count; i++) {
        if (i > 0)
            tf_buf_lit(&answer->text, ",");
        if (!venue_put(view, kind, directory->venue[i].home, answer))
            return false;
    }
    return true;
}

/* The venue that the query names: its first instrument; TF_INSTRUMENT_NONE when there is none. */
static uint32_t venue_find(const tf_view_t *view, slice_t name)
{
    char venue[TF_VENUE_BYTES_MAX];
    if (!tf_venue_name_valid(name.text, name.bytes))
        return TF_INSTRUMENT_NONE;
    (void)snprintf(venue, sizeof venue, "%.*s", (int)name.bytes, name.text);
    return tf_directory_home(&view->directory, venue);
}

static void answer_list(tf_site_t *site, const tf_request_t *request, tf_kind_t kind,
                        tf_answer_t *answer)
{
    slice_t name;
    uint32_t home = TF_INSTRUMENT_NONE;
    size_t named = query_find(request, "venue", &name);
    if (named > 1) {
        fail(answer, &problem_params, "venue is given once");
        return;
    }
    tf_view_t *view = view_get(site, answer);
    if (view == NULL)
        return;
    if (named == 1) {
        home = venue_find(view, name);
        if (home == TF_INSTRUMENT_NONE) {
            fail(answer, &problem_venue, "it may come later; /v1/instruments lists what there is");
            return;
        }
    }
    tf_buf_lit(&answer->text, "{\"");
    tf_buf_text(&answer->text, tf_kind_text(kind));
    tf_buf_lit(&answer->text, "\":[");
    bool whole = named == 1 ? venue_put(view, kind, home, answer) : venues_put(view, kind, answer);
    if (!whole)
        fail(answer, &problem_internal, busy);
    else if (view->lost)
        tf_buf_lit(&answer->text, "],\"state\":\"stale\",\"reason\":\"ingest_lost\"}\n");
    else
        tf_buf_lit(&answer->text, "]}\n");
}

/* ---- config ---- */

static void answer_config(tf_site_t *site, tf_answer_t *answer)
{
    tf_buf_t *text = &answer->text;
    tf_watch_figures_t seen;
    char epoch[9];
    tf_watch_look(&site->watch, tf_clock_mono_ns(&tf_clock_system), &seen);
    tf_buf_lit(text, "{\"ws\":");
    if (site->ws_url != NULL)
        tf_buf_json_string(text, site->ws_url, strlen(site->ws_url));
    else
        tf_buf_lit(text, "null");
    tf_buf_lit(text, ",\"version\":\"" TF_VERSION "\",\"region\":");
    tf_buf_json_string(text, site->region, strlen(site->region));
    tf_buf_lit(text, ",\"epoch\":");
    if (seen.health == TF_WATCH_ABSENT) {
        tf_buf_lit(text, "null");
    } else {
        tf_epoch_text(seen.epoch, epoch);
        tf_buf_json_string(text, epoch, strlen(epoch));
    }
    tf_buf_lit(text, ",\"heartbeat_s\":");
    tf_json_seconds(text, (uint64_t)site->heartbeat_ms);
    tf_buf_lit(text, "}\n");
}

/* ---- all ---- */

static void answer_path(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer)
{
    slice_t part[SEGMENTS_MAX];
    tf_kind_t kind;
    size_t parts = segments_split(request, part);
    if (parts == 1 && slice_is(part[0], "config"))
        answer_config(site, answer);
    else if (parts == 1 && slice_is(part[0], tf_kind_text(TF_KIND_INSTRUMENTS)))
        answer_list(site, request, TF_KIND_INSTRUMENTS, answer);
    else if (parts == 1 && slice_is(part[0], tf_kind_text(TF_KIND_STATUS)))
        answer_list(site, request, TF_KIND_STATUS, answer);
    else if (parts == SEGMENTS_MAX)
        answer_market(site, request, part, answer);
    else if (kind_parse(part[0], &kind))
        fail(answer, &problem_params, "a market is /v1/KIND/VENUE/SYMBOL");
    else
        fail(answer, &problem_path,
             "paths are /v1/config, /v1/instruments, /v1/status and /v1/KIND/VENUE/SYMBOL");
}

/* For the preflight of scripts that send headers of their own; plain requests need none. */
static void answer_options(tf_answer_t *answer)
{
    answer->allow = "GET, HEAD, OPTIONS";
    answer->close = true; /* a body may follow that nobody reads */
}

void tf_rest_answer(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer)
{
    answer->content_type = TF_JSON_CONTENT_TYPE;
    answer->any_origin = true;
    if (request->method == TF_HTTP_OPTIONS) {
        answer_options(answer);
    } else if (request->method == TF_HTTP_OTHER) {
        fail(answer, &problem_method, "methods are GET, HEAD and OPTIONS");
        answer->allow = "GET, HEAD, OPTIONS";
        answer->close = true;
    } else if (request->query_too_long) {
        fail(answer, &problem_params, "the query is too long");
    } else {
        answer_path(site, request, answer);
    }
}
