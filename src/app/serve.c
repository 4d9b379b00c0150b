#include "app/serve.h"

#include "app/fanout_thread.h"
#include "app/ingest_thread.h"
#include "app/listen.h"
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
#include <sys/resource.h>
#include <unistd.h>

enum { MIB = 1 << 20, FDS_SPARE = 64, AUTHORITY_BYTES_MAX = TF_ADDRESS_BYTES_MAX + 16 };

/* Everything that runs, in the order in which it is built. */
typedef struct serve {
    const tf_options_t *options;
    tf_stats_t ingest_stats;
    tf_region_t *region;
    tf_ingest_t *ingest;
    tf_ingest_thread_t ingest_thread;
    tf_fanout_thread_t fanout_thread;
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
    if (self->options->venue_count == 0)
        return tf_error(TF_ERR_ARG, "no venue: give at least one --venue, for example --venue sim");
    tf_status_t status =
        tf_ingest_create(&self->ingest, self->region, &tf_clock_system, &self->ingest_stats);
    for (uint32_t i = 0; status == TF_OK && i < self->options->venue_count; i++)
        status = tf_venue_add(self->ingest, self->options->venue[i]);
    return status;
}

/* ---- fan-out ---- */

static int64_t ms(tf_option_value_t value)
{
    return value.number * TF_NS_PER_MS;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void fanout_configure(serve_t *self, tf_fanout_config_t *config)
{
    const tf_options_t *options = self->options;
    *config = tf_fanout_config_default;
    config->region = options->region.text;
    config->version = TF_VERSION;
    config->connections_max = (uint32_t)options->connections_max.number;
    config->batch_ns = options->batch_us.number * TF_NS_PER_US;
    config->lost_ns = ms(options->lost_ms);
    config->drain_ns = ms(options->drain_ms);
    config->bell = &self->fanout_thread.bell;
    tf_session_limits_t *limits = &config->limits;
    limits->message_bytes_max = (uint32_t)options->message_bytes_max.number;
    limits->subscriptions_max = (uint32_t)options->subscriptions_max.number;
    limits->requests_per_s = (uint32_t)options->requests_per_s.number;
    limits->requests_burst = (uint32_t)options->requests_burst.number;
    limits->handshake_ns = ms(options->handshake_ms);
    limits->ping_ns = ms(options->ping_ms);
    limits->pong_ns = ms(options->pong_timeout_ms);
    limits->stall_ns = ms(options->stall_ms);
    limits->linger_ns = ms(options->linger_ms);
    /* Time-outs are looked at four times per shortest one, so none is more than a quarter late. */
    int64_t shortest = least(least(limits->handshake_ns, limits->ping_ns),
                             least(limits->pong_ns, least(limits->stall_ns, limits->linger_ns)));
    config->sweep_ns = least(config->sweep_ns, shortest / 4);
}

/* Each client is a file descriptor: raise the soft limit, and refuse a promise that can't be kept.
 */
static void fit_fd_limit(tf_fanout_config_t *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)config->connections_max + FDS_SPARE) {
        uint32_t fits = limit.rlim_cur > (rlim_t)2 * FDS_SPARE
                            ? (uint32_t)limit.rlim_cur - FDS_SPARE
                            : FDS_SPARE;
        tf_log(TF_LOG_WARN, "fd_limit",
               "connections_max=%u lowered_to=%u hint=\"raise LimitNOFILE\"",
               config->connections_max, fits);
        config->connections_max = fits;
    }
}

static tf_status_t fanout_build(serve_t *self)
{
    tf_fanout_thread_t *thread = &self->fanout_thread;
    fanout_configure(self, &thread->config);
    fit_fd_limit(&thread->config);
    tf_status_t status = tf_bell_open(&thread->bell);
    if (status == TF_OK)
        status = tf_region_bell_add(self->region, &thread->bell);
    if (status == TF_OK)
        status = tf_listen("listen", self->ws_address, &self->ws_port, &thread->listen_fd);
    if (status == TF_OK)
        status = tf_fanout_thread_start(thread);
    return status;
}

/* ---- http ---- */

static tf_status_t http_build(serve_t *self)
{
    const tf_http_thread_t threads[] = {
        {"ingest", &self->ingest_stats, NULL},
        {"fanout-0", &self->fanout_thread.stats, self->fanout_thread.closes},
    };
    const tf_http_config_t config = {
        .address = self->http_address,
        .port = self->http_port,
        .region = self->options->region.text,
        .lost_ns = ms(self->options->lost_ms),
        .threads = threads,
        .thread_count = self->options->command == TF_COMMAND_SERVE ? 2 : 1,
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
    if (status == TF_OK && options->command == TF_COMMAND_SERVE)
        status = tf_address_parse("listen", options->listen.text, self->ws_address, &self->ws_port);
    return status;
}

static tf_status_t build(serve_t *self)
{
    bool serves = self->options->command == TF_COMMAND_SERVE;
    tf_status_t status = addresses_parse(self);
    if (status == TF_OK)
        status = region_build(self);
    if (status == TF_OK)
        status = ingest_build(self);
    if (status == TF_OK && serves)
        status = fanout_build(self);
    if (status == TF_OK && self->http_wanted)
        status = http_build(self);
    if (status == TF_OK) /* last, so that a recording's first event finds its readers in place */
        status = tf_ingest_thread_start(&self->ingest_thread, self->ingest);
    return status;
}

/* "ADDRESS:PORT" as in a URL. */
static const char *authority(const char *address, uint16_t port, char out[AUTHORITY_BYTES_MAX])
{
    bool v6 = strchr(address, ':') != NULL;
    (void)snprintf(out, AUTHORITY_BYTES_MAX, v6 ? "[%s]:%u" : "%s:%u", address, port);
    return out;
}

/* What a person does next, on stdout; everything else is a log line on stderr. */
static void tell(const serve_t *self)
{
    char text[AUTHORITY_BYTES_MAX];
    const char *region = self->options->region.text;
    bool serves = self->options->command == TF_COMMAND_SERVE;
    char venue[TF_VENUE_BYTES_MAX];
    tf_venue_name(self->options->venue[0], venue);
    if (serves)
        (void)printf("WebSocket  ws://%s/v1/ws\n",
                     authority(self->ws_address, self->ws_port, text));
    if (self->http != NULL)
        (void)printf("HTTP       http://%s/  (/metrics /healthz /readyz)\n",
                     authority(self->http_address, self->http_port, text));
    (void)printf("Try        %s tap --region %s\n", program_invocation_name, region);
    if (serves)
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
    tf_fanout_thread_stop(&self->fanout_thread);
    tf_http_stop(self->http);
    tf_ingest_thread_stop(&self->ingest_thread);
    tf_ingest_destroy(self->ingest);
    tf_region_close(self->region, true);
    if (self->fanout_thread.listen_fd >= 0)
        (void)close(self->fanout_thread.listen_fd);
    tf_bell_close(&self->fanout_thread.bell);
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
    self->fanout_thread.listen_fd = -1;
    self->fanout_thread.bell.fd = -1;
    tf_status_t status = build(self);
    if (status == TF_OK) {
        tell(self);
        tf_log(TF_LOG_INFO, "ready", "version=%s heap_mib=%" PRIu64, TF_VERSION,
               tf_mem_in_use_bytes() / MIB);
        wait_for_signal(&signals);
    }
    stop(self);
    if (status == TF_OK)
        tf_log(TF_LOG_INFO, "stopped", "version=%s", TF_VERSION);
    tf_mem_free(self);
    return status;
}
