#include "app/serve.h"

#include "app/fanout_group.h"
#include "app/ingest_thread.h"
#include "app/venues.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"

#include <tickfan/reader.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { MIB = 1 << 20, AUTHORITY_BYTES_MAX = TF_ADDRESS_BYTES_MAX + 16 };

/* Everything that runs, in the order in which it is built. */
typedef struct serve {
    const tf_options_t *options;
    bool ingests; /* serve, ingest */
    bool serves;  /* serve, fanout */
    tf_stats_t ingest_stats;
    tf_stats_t bells_stats; /* of the thread that takes in other processes' bells */
    tf_region_t *region;
    tf_links_t *links;
    tf_ingest_t *ingest;
    tf_ingest_thread_t ingest_thread;
    tf_fanout_group_t fanout;
    tf_http_t *http;
    char ws_address[TF_ADDRESS_BYTES_MAX];
    char http_address[TF_ADDRESS_BYTES_MAX];
    uint16_t ws_port;
    uint16_t http_port;
    bool http_wanted;
} serve_t;

/* ---- region and ingest ---- */

static tf_status_t region_build(serve_t *self)
{
    const tf_options_t *options = self->options;
    tf_region_config_t config = tf_region_config_default;
    config.name = options->region.text;
    config.instruments_max = (uint32_t)options->instruments_max.number;
    config.image_depth = (uint32_t)options->image_depth.number;
    config.trades_kept = (uint32_t)options->trades_kept.number;
    config.ring_bytes = (uint64_t)options->ring_mib.number * MIB;
    tf_status_t status =
        tf_region_create(&self->region, &config, &tf_clock_system, &self->ingest_stats);
    if (status == TF_OK)
        status = tf_region_bell_host(self->region, &self->bells_stats);
    if (status != TF_OK)
        return status;
    char epoch[9];
    tf_epoch_text(tf_region_epoch(self->region), epoch);
    /* Sparse: a page costs memory once it is written, so unused instruments cost none. */
    tf_log(TF_LOG_INFO, "region",
           "name=%s epoch=%s total_mib=%" PRIu64 " ring_mib=%" PRId64
           " instruments_max=%u image_depth=%u "
           "trades_kept=%u",
           config.name, epoch, tf_region_bytes(&config) / MIB, options->ring_mib.number,
           config.instruments_max, config.image_depth, config.trades_kept);
    return TF_OK;
}

static tf_status_t ingest_build(serve_t *self)
{
    TF_ASSERT(self->options->venue_count > 0); /* tf_check() has seen to it */
    tf_status_t status =
        tf_ingest_create(&self->ingest, self->region, &tf_clock_system, &self->ingest_stats);
    if (status == TF_OK)
        status = tf_links_create(&self->links, &tf_clock_system, &self->ingest_stats);
    for (uint32_t i = 0; status == TF_OK && i < self->options->venue_count; i++)
        status = tf_venue_add(self->ingest, self->links, self->options->venue[i]);
    return status;
}

/* ---- fan-out ---- */

static tf_status_t fanout_build(serve_t *self)
{
    tf_status_t status = tf_fanout_group_start(&self->fanout, self->options, self->region,
                                               self->ws_address, &self->ws_port);
    if (status != TF_OK || self->region != NULL)
        return status;
    /* Not an error: clients and load balancers are told, and it is served as soon as it is there.
     */
    const char *why;
    tf_reader_t *reader = tf_reader_open(self->options->region.text, &why);
    if (reader == NULL)
        tf_log(TF_LOG_WARN, "waiting_for_region", "region=%s reason=%s", self->options->region.text,
               TF_LOG_TEXT(why));
    tf_reader_close(reader);
    return TF_OK;
}

/* ---- http ---- */

/* "ADDRESS:PORT" as in a URL. */
static const char *authority(const char *address, uint16_t port, char out[AUTHORITY_BYTES_MAX])
{
    bool v6 = strchr(address, ':') != NULL;
    (void)snprintf(out, AUTHORITY_BYTES_MAX, v6 ? "[%s]:%u" : "%s:%u", address, port);
    return out;
}

static tf_status_t http_build(serve_t *self)
{
    char place[AUTHORITY_BYTES_MAX];
    char url[AUTHORITY_BYTES_MAX + 16];
    (void)snprintf(url, sizeof url, "ws://%s/v1/ws",
                   authority(self->ws_address, self->ws_port, place));
    tf_http_thread_t threads[TF_HTTP_THREADS_MAX];
    uint32_t count = 0;
    if (self->ingests) {
        threads[count++] =
            (tf_http_thread_t){"ingest", TF_THREAD_INGEST, &self->ingest_stats, NULL};
        threads[count++] =
            (tf_http_thread_t){"bells", TF_THREAD_BELL_HOST, &self->bells_stats, NULL};
    } else {
        threads[count++] =
            (tf_http_thread_t){"bells", TF_THREAD_BELL_GUEST, &self->fanout.guest_stats, NULL};
    }
    for (uint32_t i = 0; i < self->fanout.count; i++) {
        const tf_fanout_thread_t *thread = &self->fanout.thread[i];
        threads[count++] =
            (tf_http_thread_t){thread->name, TF_THREAD_FANOUT, &thread->stats, thread->closes};
    }
    const tf_http_config_t config = {
        .address = self->http_address,
        .port = self->http_port,
        .region = self->options->region.text,
        .lost_ns = self->options->lost_ms.number * TF_NS_PER_MS,
        .threads = threads,
        .thread_count = count,
        .ws_url = self->serves ? url : NULL,
        .heartbeat_ms = self->serves ? self->options->heartbeat_ms.number : 0,
    };
    tf_status_t status = tf_http_start(&self->http, &config);
    if (status == TF_OK)
        self->http_port = tf_http_port(self->http);
    return status;
}

/* ---- all together ---- */

static tf_status_t addresses_parse(serve_t *self)
{
    const tf_options_t *options = self->options;
    tf_status_t status = TF_OK;
    self->http_wanted = strcmp(options->http.text, "off") != 0;
    if (self->http_wanted)
        status = tf_address_parse("http", options->http.text, self->http_address, &self->http_port);
    if (status == TF_OK && self->serves)
        status = tf_address_parse("listen", options->listen.text, self->ws_address, &self->ws_port);
    return status;
}

static tf_status_t build(serve_t *self)
{
    tf_status_t status = addresses_parse(self);
    if (status == TF_OK && self->ingests)
        status = region_build(self);
    if (status == TF_OK && self->ingests)
        status = ingest_build(self);
    if (status == TF_OK && self->serves)
        status = fanout_build(self);
    if (status == TF_OK && self->http_wanted)
        status = http_build(self);
    if (status == TF_OK &&
        self->ingests) /* last, so that a recording's first event finds its readers in place */
        status = tf_ingest_thread_start(&self->ingest_thread, self->ingest, self->links);
    return status;
}

/* What a person does next, on stdout; everything else is a log line on stderr. */
static void tell(const serve_t *self)
{
    char text[AUTHORITY_BYTES_MAX];
    char venue[TF_VENUE_BYTES_MAX] = "VENUE";
    if (self->ingests)
        tf_venue_name(self->options->venue[0], venue);
    if (self->serves)
        (void)printf("WebSocket  ws://%s/v1/ws\n",
                     authority(self->ws_address, self->ws_port, text));
    if (self->http != NULL) {
        const char *http = authority(self->http_address, self->http_port, text);
        if (self->serves)
            (void)printf("Page       http://%s/\n", http);
        (void)printf("HTTP       http://%s/  (/v1/... /metrics /healthz /readyz)\n", http);
    }
    (void)printf("Try        %s tap --region %s\n", program_invocation_name,
                 self->options->region.text);
    if (self->serves)
        (void)printf("           python3 -m websockets ws://%s/v1/ws   and paste:\n"
                     "           {\"id\":1,\"method\":\"get_instruments\"}\n"
                     "           {\"id\":2,\"method\":\"subscribe\",\"params\":{\"channels\":"
                     "[\"bbo.%s.BTC-USD\"]}}\n",
                     authority(self->ws_address, self->ws_port, text), venue);
    (void)fflush(stdout);
}

static void stop(serve_t *self)
{
    if (self->http != NULL)
        tf_http_drain(self->http);
    tf_fanout_group_stop(&self->fanout);
    tf_http_stop(self->http);
    tf_ingest_thread_stop(&self->ingest_thread);
    tf_ingest_destroy(self->ingest);
    tf_links_destroy(self->links);
    tf_region_close(self->region, true);
    tf_fanout_group_free(&self->fanout);
}

static void wait_for_signal(const sigset_t *signals)
{
    int signal;
    while (sigwait(signals, &signal) != 0)
        continue;
    tf_log(TF_LOG_INFO, "stopping", "signal=%s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
}

tf_status_t tf_serve(const tf_options_t *options)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals,
                          NULL); /* inherited by every thread: main waits for them */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    serve_t *self = tf_mem_aligned(sizeof *self);
    if (self == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory");
    self->options = options;
    self->ingests = options->command != TF_COMMAND_FANOUT;
    self->serves = options->command != TF_COMMAND_INGEST;
    tf_status_t status = build(self);
    if (status == TF_OK) {
        tell(self);
        tf_log(TF_LOG_INFO, "ready", "version=%s fanout_threads=%u heap_mib=%" PRIu64, TF_VERSION,
               self->fanout.count, tf_mem_in_use_bytes() / MIB);
        wait_for_signal(&signals);
    }
    stop(self);
    if (status == TF_OK)
        tf_log(TF_LOG_INFO, "stopped", "version=%s", TF_VERSION);
    tf_mem_free(self);
    return status;
}
