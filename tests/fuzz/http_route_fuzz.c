/*
 * http_route_fuzz: any path and query get an answer of a known status; below /v1/ its body is one
 * JSON object on one line; and what is there stays there. Input: method (1 byte), path, LF, query.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "http/route.h"
#include "market/instrument.h"
#include "region/region.h"
#include "region/region_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static _Atomic bool draining;
static char name[TF_REGION_NAME_BYTES_MAX];
static tf_stats_t stats;

static const char *const known[] = {"/v1/config", "/v1/instruments", "/v1/status",
                                    "/v1/book/sim/BTC-USD", "/v1/bbo/sim/BTC-USD"};

/* Ahead of every clock, so that the writer never counts as lost. */
static int64_t ahead_ns(void *context)
{
    (void)context;
    return INT64_MAX / 2;
}

static int64_t wall_ns(void *context)
{
    (void)context;
    return 1790000000000000000;
}

static void region_fill(tf_region_t *region)
{
    tf_instrument_t instrument;
    uint32_t index;
    const tf_stamp_t stamp = {.te_ns = 1, .ti_ns = 2};
    const tf_level_t bid = {6401233, 50000000};
    const tf_level_t ask = {6401234, 12000000};
    const tf_bbo_t bbo = {bid.px, bid.sz, ask.px, ask.sz};
    bool named = tf_instrument_init(&instrument, "sim", "BTC-USD", "BTC-USD");
    tf_status_t status = tf_region_instrument_add(region, &instrument, stamp, &index);
    TF_ASSERT(named && status == TF_OK);
    tf_region_put_state(region, index, TF_STATE_LIVE, TF_REASON_NONE, stamp);
    tf_region_put_book_snapshot(region, index, &bid, 1, &ask, 1, stamp);
    bool published = tf_region_put_bbo(region, index, &bbo, stamp);
    TF_ASSERT(published);
}

static void ask(tf_site_t *site, const tf_request_t *request, tf_answer_t *answer)
{
    tf_answer_begin(answer);
    tf_route(site, request, answer);
    TF_ASSERT(tf_buf_ok(&answer->text));
}

/* A region of this process alone: attached once, its files are taken away again, so that a crash
 * leaves none. */
static void site_make(tf_site_t *site)
{
    static tf_region_t *region; /* held to the end */
    static const tf_clock_t clock = {ahead_ns, wall_ns, NULL};
    const tf_region_config_t config = {
        .name = name,
        .instruments_max = 4,
        .image_depth = 5,
        .trades_kept = 64,
        .ring_bytes = 16 * TF_EVENT_BYTES_MAX,
    };
    tf_watch_figures_t seen;
    char path[TF_REGION_PATH_BYTES_MAX];
    (void)snprintf(name, sizeof name, "http_route_fuzz-%ld", (long)getpid());
    if (tf_region_create(&region, &config, &clock, &stats) != TF_OK)
        (void)fprintf(stderr, "%s\n", tf_error_text());
    TF_ASSERT(region != NULL);
    region_fill(region);
    *site = (tf_site_t){
        .region = name, .draining = &draining, .watch = {.region = name, .lost_ns = TF_NS_PER_S}};
    tf_watch_look(&site->watch, 0, &seen);
    TF_ASSERT(seen.health == TF_WATCH_ALIVE);
    tf_region_path(path, name, "");
    (void)unlink(path);
    tf_region_path(path, name, ".lock");
    (void)unlink(path);
}

/* What is there stays there, whatever was asked before. */
static void known_check(tf_site_t *site, tf_answer_t *answer, uint8_t which)
{
    const char *path = known[which % (sizeof known / sizeof known[0])];
    const tf_request_t request = {
        .path = path, .path_bytes = strlen(path), .query = "", .if_none_match = ""};
    ask(site, &request, answer);
    TF_ASSERT(answer->status == 200);
}

static void answer_check(const tf_request_t *request, const tf_answer_t *answer)
{
    unsigned status = answer->status;
    size_t bytes = tf_answer_bytes(answer);
    const char *body = tf_answer_body(answer);
    TF_ASSERT(status == 200 || status == 400 || status == 404 || status == 405 || status == 503);
    TF_ASSERT(bytes > 0 || request->method == TF_HTTP_OPTIONS);
    TF_ASSERT(answer->content_type != NULL && answer->cache_control != NULL);
    if (strcmp(answer->content_type, TF_JSON_CONTENT_TYPE) == 0 && bytes > 0) {
        TF_ASSERT(body[0] == '{' && body[bytes - 1] == '\n' && body[bytes - 2] == '}');
        TF_ASSERT(memchr(body, '\n', bytes) == body + bytes - 1);
        TF_ASSERT((status == 200) == (memmem(body, bytes, "{\"error\":", 9) == NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static tf_site_t site;
    static tf_answer_t answer;
    if (site.region == NULL)
        site_make(&site);
    if (bytes == 0)
        return 0;
    const char *path = (const char *)data + 1;
    const char *end = (const char *)data + bytes;
    const char *line = memchr(path, '\n', (size_t)(end - path));
    const char *query = line != NULL ? line + 1 : end;
    const tf_request_t request = {
        .method = (tf_http_method_t)(data[0] % (TF_HTTP_OTHER + 1)),
        .path = path,
        .path_bytes = (size_t)((line != NULL ? line : end) - path),
        .query = query,
        .query_bytes = (size_t)(end - query),
        .if_none_match = "",
    };
    ask(&site, &request, &answer);
    answer_check(&request, &answer);
    known_check(&site, &answer, data[0]);
    return 0;
}
