#include "venue/link.h"

#include "base/log.h"
#include "base/mem.h"
#include "venue/link_inside.h"
#include "venue/link_tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    QUEUE_BYTES_PAUSE = 4 << 20, /* beyond: the socket is not read until the queue is empty */
    TIME_MS_MAX = 3600000,
    CONNECT_MS_MAX = 20000, /* libwebsockets gives up by itself after that */
};

#define RESOLVE_LOOK_NS (10 * TF_NS_PER_MS) /* the helper wakes nobody: look this often */

const tf_link_config_t tf_link_config_default = {
    .silence_ns = 15 * TF_NS_PER_S,
    .connect_ns = 10 * TF_NS_PER_S,
    .backoff_min_ns = 250 * TF_NS_PER_MS,
    .backoff_max_ns = 30 * TF_NS_PER_S,
    .ping_ns = 10 * TF_NS_PER_S,
};

/* ---- time ---- */

int64_t tf_link_now_ns(const tf_link_t *link)
{
    return tf_clock_mono_ns(link->links->clock);
}

/* The link's clock. It is the monotonic one, set by the wall clock at each opening: a step of the
 * wall clock neither stops the feed's time-outs nor fires all of them. */
static int64_t stamp_ns(tf_link_t *link, int64_t mono_ns)
{
    int64_t at_ns = mono_ns + link->wall_less_mono_ns;
    if (at_ns > link->told_ns)
        link->told_ns = at_ns;
    return link->told_ns;
}

/* After a wall clock that was stepped back the link's goes on from where it was: standing still
 * until the wall catches up would stop every time-out. */
static void clock_set(tf_link_t *link)
{
    int64_t wall_ns = tf_clock_wall_ns(link->links->clock);
    if (wall_ns < link->told_ns)
        wall_ns = link->told_ns;
    link->wall_less_mono_ns = wall_ns - tf_link_now_ns(link);
}

/* ---- the end of a connection ---- */

void tf_link_why(tf_link_t *link, tf_link_failure_kind_t kind, const char *format, ...)
{
    va_list arguments;
    if (link->why_text[0] != '\0')
        return;
    link->why = kind;
    va_start(arguments, format);
    (void)vsnprintf(link->why_text, sizeof link->why_text, format, arguments);
    va_end(arguments);
}

static void failure_log(tf_link_t *link, int64_t now_ns)
{
    uint64_t again;
    if (!tf_link_failure_tell(&link->failures, link->why, link->why_text, now_ns, &again))
        return;
    tf_log(TF_LOG_WARN, "link_failed",
           "venue=%s host=%s address=%s stage=%s what=%s again=%llu retry_ms=%lld", link->venue,
           link->host_header, link->why == TF_LINK_FAILURE_RESOLVE ? "-" : link->connecting,
           tf_link_failure_stage(link->why), TF_LOG_TEXT(link->why_text), (unsigned long long)again,
           (long long)((link->deadline_ns - now_ns) / TF_NS_PER_MS));
}

/* What can be different at another address of the same name. */
static bool next_address_helps(const tf_link_t *link)
{
    return link->why == TF_LINK_FAILURE_CONNECT && link->address < link->found.count;
}

void tf_link_on_end(tf_link_t *link, tf_link_failure_kind_t kind, const char *text)
{
    int64_t now_ns = tf_link_now_ns(link);
    tf_link_why(link, kind, "%s", text[0] != '\0' ? text : "no reason was given");
    tf_stats_add(link->links->stats, tf_link_failure_stat(link->why), 1);
    /* Out of memory even for this: the next opening closes the feed before it opens it. */
    if (link->state == TF_LINK_OPEN)
        (void)tf_link_queue_event(&link->queue, TF_SOURCE_CLOSED, stamp_ns(link, now_ns));
    link->state = TF_LINK_WAITING;
    link->wsi = NULL;
    link->deadline_ns = now_ns;
    if (!next_address_helps(link)) {
        link->found.count = 0;
        link->deadline_ns += tf_link_backoff_next(&link->backoff);
    }
    failure_log(link, now_ns);
}

static void drop(tf_link_t *link, tf_link_failure_kind_t kind, const char *text)
{
    tf_link_socket_drop(link);
    tf_link_on_end(link, kind, text);
}

/* ---- the way to a connection ---- */

static void connect_next(tf_link_t *link, int64_t now_ns)
{
    link->connecting = link->found.address[link->address++];
    tf_count(link->links->stats, venue_connect_attempts_total, 1);
    link->state = TF_LINK_CONNECTING;
    link->deadline_ns = now_ns + link->config.connect_ns;
    link->why_text[0] = '\0';
    tf_link_socket_connect(link, link->connecting);
}

static void resolve_start(tf_link_t *link, int64_t now_ns)
{
    link->state = TF_LINK_RESOLVING;
    link->deadline_ns = now_ns + link->config.connect_ns;
    link->why_text[0] = '\0';
    if (link->resolve != NULL) /* still that of the attempt before */
        return;
    if (tf_resolve_start(&link->resolve, link->url.host) != TF_OK)
        tf_link_on_end(link, TF_LINK_FAILURE_RESOLVE, tf_error_text());
}

static void on_waiting(tf_link_t *link, int64_t now_ns)
{
    if (now_ns < link->deadline_ns)
        return;
    if (link->address < link->found.count)
        connect_next(link, now_ns);
    else
        resolve_start(link, now_ns);
}

static void on_resolving(tf_link_t *link, int64_t now_ns)
{
    if (!tf_resolve_poll(&link->resolve, &link->found)) {
        if (now_ns >= link->deadline_ns) {
            tf_link_why(link, TF_LINK_FAILURE_RESOLVE, "no name server has answered for %s",
                        link->url.host);
            tf_link_on_end(link, TF_LINK_FAILURE_RESOLVE, "");
        }
        return;
    }
    link->address = 0;
    if (link->found.count > 0) {
        connect_next(link, now_ns);
        return;
    }
    tf_link_why(link, TF_LINK_FAILURE_RESOLVE, "the name %s does not resolve: %s", link->url.host,
                link->found.error);
    tf_link_on_end(link, TF_LINK_FAILURE_RESOLVE, "");
}

static void on_connecting(tf_link_t *link, int64_t now_ns)
{
    static const char *const texts[] = {
        [TF_LINK_STAGE_TCP] = "no answer to the TCP connect",
        [TF_LINK_STAGE_TLS] = "the TLS handshake took too long",
        [TF_LINK_STAGE_UPGRADE] = "no answer to the WebSocket upgrade",
    };
    if (now_ns >= link->deadline_ns)
        drop(link, TF_LINK_FAILURE_CONNECT, texts[link->stage]);
}

/* ---- an open connection ---- */

bool tf_link_on_open(tf_link_t *link)
{
    int64_t now_ns = tf_link_now_ns(link);
    link->state = TF_LINK_OPEN;
    link->found.count = 0;
    link->opened_ns = now_ns;
    link->heard_ns = now_ns;
    link->ping_at_ns = now_ns + link->config.ping_ns;
    link->ping_wanted = false;
    link->pong_awaited = false;
    link->paused = false;
    tf_link_outbox_clear(&link->outbox);
    clock_set(link);
    if (tf_link_queue_event(&link->queue, TF_SOURCE_OPENED, stamp_ns(link, now_ns))) {
        link->serial++; /* only now: poll() counts the events it hands out */
        return true;
    }
    tf_link_why(link, TF_LINK_FAILURE_MEMORY, "no memory for what is received");
    return false;
}

bool tf_link_on_data(tf_link_t *link, const void *data, size_t bytes, bool last)
{
    int64_t now_ns = tf_link_now_ns(link);
    link->heard_ns = now_ns;
    if (link->binary)
        return true;
    switch (tf_link_queue_append(&link->queue, data, bytes)) {
    case TF_LINK_APPEND_OK:
        break;
    case TF_LINK_APPEND_TOO_BIG:
        tf_link_why(link, TF_LINK_FAILURE_TOO_BIG, "a message is larger than %d bytes",
                    TF_LINK_MESSAGE_BYTES_MAX);
        return false;
    case TF_LINK_APPEND_NO_MEMORY:
        tf_link_why(link, TF_LINK_FAILURE_MEMORY, "no memory for what is received");
        return false;
    }
    if (last)
        tf_link_queue_finish(&link->queue, stamp_ns(link, now_ns));
    if (tf_link_queue_bytes(&link->queue) >= QUEUE_BYTES_PAUSE)
        link->paused = true;
    return true;
}

static void on_ping_time(tf_link_t *link, int64_t now_ns)
{
    if (link->pong_awaited && !link->paused) {
        drop(link, TF_LINK_FAILURE_SILENT, "a ping was not answered");
        return;
    }
    link->ping_wanted = true;
    link->pong_awaited = true;
    link->ping_at_ns = now_ns + link->config.ping_ns;
}

static void on_being_open(tf_link_t *link, int64_t now_ns)
{
    if (!link->paused && now_ns - link->heard_ns >= link->config.silence_ns) {
        drop(link, TF_LINK_FAILURE_SILENT, "no data for silence_ms");
        return;
    }
    if (now_ns >= link->ping_at_ns)
        on_ping_time(link, now_ns);
    if (link->state == TF_LINK_OPEN &&
        (link->ping_wanted || tf_link_outbox_due_ns(&link->outbox) <= now_ns))
        tf_link_socket_write_soon(link);
}

/* ---- the source ---- */

static void (*const on_time[])(tf_link_t *link, int64_t now_ns) = {
    [TF_LINK_WAITING] = on_waiting,
    [TF_LINK_RESOLVING] = on_resolving,
    [TF_LINK_CONNECTING] = on_connecting,
    [TF_LINK_OPEN] = on_being_open,
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t due_ns(const tf_link_t *link, int64_t now_ns)
{
    if (link->state == TF_LINK_RESOLVING)
        return earlier(link->deadline_ns, now_ns + RESOLVE_LOOK_NS);
    if (link->state != TF_LINK_OPEN)
        return link->deadline_ns;
    int64_t data_ns = earlier(link->heard_ns + link->config.silence_ns, link->ping_at_ns);
    /* What is due to be written already waits for the socket, not for time. */
    int64_t request_ns = tf_link_outbox_due_ns(&link->outbox);
    return earlier(data_ns, request_ns > now_ns ? request_ns : INT64_MAX);
}

static void idle(tf_link_t *link, int64_t mono_ns, tf_source_event_t *event)
{
    int64_t wake_in_ns = due_ns(link, mono_ns) - mono_ns;
    *event = (tf_source_event_t){.type = TF_SOURCE_IDLE,
                                 .now_ns = stamp_ns(link, mono_ns),
                                 .wake_in_ns = wake_in_ns > 0 ? wake_in_ns : 0};
}

static void link_poll(tf_source_t *source, int64_t mono_ns, int64_t wall_ns,
                      tf_source_event_t *event)
{
    tf_link_t *link = (tf_link_t *)source;
    (void)wall_ns; /* see stamp_ns() */
    on_time[link->state](link, mono_ns);
    if (tf_link_queue_take(&link->queue, event)) {
        if (event->type == TF_SOURCE_OPENED)
            link->serial_polled++;
        return;
    }
    if (link->paused && link->state == TF_LINK_OPEN) {
        link->paused = false;
        link->heard_ns = mono_ns;
        link->ping_at_ns = mono_ns + link->config.ping_ns;
        tf_link_socket_resume(link);
    }
    idle(link, mono_ns, event);
}

/* Requests are for the connection that the caller knows of: to one that has gone since, or whose
 * opening is still to be told, nothing is sent. */
static void link_send(tf_source_t *source, const char *text, size_t bytes)
{
    tf_link_t *link = (tf_link_t *)source;
    if (link->state != TF_LINK_OPEN || link->serial != link->serial_polled)
        return;
    if (!tf_link_outbox_put(&link->outbox, text, bytes))
        tf_count(link->links->stats, venue_requests_dropped_total, 1);
}

static void link_good(tf_source_t *source)
{
    tf_link_t *link = (tf_link_t *)source;
    if (link->backoff.failures == 0 || link->state != TF_LINK_OPEN ||
        tf_link_now_ns(link) - link->opened_ns < TF_LINK_GOOD_FACTOR * link->backoff.min_ns)
        return;
    tf_link_backoff_reset(&link->backoff);
    tf_link_failures_forget(&link->failures);
    tf_log(TF_LOG_INFO, "link_recovered", "venue=%s", link->venue);
}

static void link_destroy(tf_source_t *source)
{
    tf_link_t *link = (tf_link_t *)source;
    tf_link_socket_drop(link);
    tf_resolve_abandon(&link->resolve);
    tf_link_tls_destroy(link->tls); /* its vhost stays with the context, and makes no connection */
    tf_link_queue_fini(&link->queue);
    tf_link_outbox_fini(&link->outbox);
    link->links->count--;
    tf_mem_free(link);
}

static const tf_source_ops_t link_ops = {
    .poll = link_poll, .send = link_send, .good = link_good, .destroy = link_destroy};

/* ---- opening ---- */

tf_status_t tf_link_config_check(const tf_link_config_t *config)
{
    tf_link_url_t url;
    const struct {
        const char *name;
        int64_t ns;
        int64_t ms_max;
    } times[] = {
        {"silence_ms", config->silence_ns, TIME_MS_MAX},
        {"connect_ms", config->connect_ns, CONNECT_MS_MAX},
        {"backoff_min_ms", config->backoff_min_ns, TIME_MS_MAX},
        {"backoff_max_ms", config->backoff_max_ns, TIME_MS_MAX},
        {"ping_ms", config->ping_ns, TIME_MS_MAX},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i].ns < TF_NS_PER_MS || times[i].ns > times[i].ms_max * TF_NS_PER_MS)
            return tf_error(TF_ERR_ARG, "%s must be 1 to %lld", times[i].name,
                            (long long)times[i].ms_max);
    }
    if (config->backoff_max_ns < config->backoff_min_ns)
        return tf_error(TF_ERR_ARG, "backoff_max_ms must not be less than backoff_min_ms (%lld)",
                        (long long)(config->backoff_min_ns / TF_NS_PER_MS));
    if (config->url == NULL)
        return tf_error(TF_ERR_ARG, "no address of this venue is known: expected url=wss://...");
    return tf_link_url_parse(config->url, &url);
}

static void on_tls_start(void *context)
{
    tf_link_t *link = context;
    if (link->stage == TF_LINK_STAGE_TCP)
        link->stage = TF_LINK_STAGE_TLS;
}

static void on_tls_refused(void *context, const char *text)
{
    tf_link_t *link = context;
    tf_link_why(link, TF_LINK_FAILURE_TLS, "%s", text);
}

static void link_init(tf_link_t *link, tf_links_t *links, const tf_link_config_t *config)
{
    link->source.ops = &link_ops;
    link->links = links;
    link->config = *config;
    link->config.venue = link->config.url = link->config.ca_path = NULL;
    (void)snprintf(link->venue, sizeof link->venue, "%s", config->venue);
    (void)snprintf(link->host_header, sizeof link->host_header,
                   link->url.port == 443 ? "%s" : "%s:%u", link->url.host, link->url.port);
    link->state = TF_LINK_WAITING;
    link->backoff = (tf_link_backoff_t){.min_ns = config->backoff_min_ns,
                                        .max_ns = config->backoff_max_ns,
                                        .rng = {tf_rng_entropy()}};
    link->outbox.spacing_ns =
        config->requests_per_s > 0 ? TF_NS_PER_S / (int64_t)config->requests_per_s : 0;
    clock_set(link);
    links->count++;
}

tf_status_t tf_link_open(tf_source_t **out, tf_links_t *links, const tf_link_config_t *config)
{
    tf_link_url_t url;
    *out = NULL;
    tf_status_t status = tf_link_config_check(config);
    if (status == TF_OK)
        status = tf_link_url_parse(config->url, &url);
    if (status == TF_OK && links->count == TF_LINKS_MAX)
        status = tf_error(TF_ERR_FULL, "more than %d live venues", TF_LINKS_MAX);
    if (status == TF_OK)
        status = tf_link_context_make(links);
    if (status != TF_OK)
        return status;
    tf_link_t *link = tf_mem_calloc(1, sizeof *link);
    if (link == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for a link");
    link->url = url;
    link_init(link, links, config);
    const tf_link_tls_sink_t sink = {on_tls_start, on_tls_refused, link};
    status = tf_link_tls_create(&link->tls, link->url.host, config->ca_path, &sink);
    if (status == TF_OK)
        status = tf_link_vhost_make(link);
    if (status != TF_OK) {
        link_destroy(&link->source);
        return status;
    }
    *out = &link->source;
    return TF_OK;
}

tf_status_t tf_links_create(tf_links_t **out, const tf_clock_t *clock, tf_stats_t *stats)
{
    *out = tf_mem_calloc(1, sizeof **out);
    if (*out == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for links");
    (*out)->clock = clock;
    (*out)->stats = stats;
    return TF_OK;
}

uint32_t tf_links_count(const tf_links_t *links)
{
    return links->count;
}
