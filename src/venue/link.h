/*
 * link: a live venue as a source: a WebSocket over TLS that is kept up. Owned and polled by one
 * ingest thread. Flow: venue -> [link] -> adapter -> ingest.
 *
 *              address            TCP, TLS, upgrade           no data, closed, refused
 *   RESOLVING ---------> CONNECTING ---------------> OPEN -------------.
 *       ^                    |  ^                                       |
 *       |                    |  '- next address                         v
 *       '------------------------------------------------------- WAITING (back-off)
 *
 * Names are resolved in a thread of their own (resolve.h), so a dead name server stalls nobody.
 * Certificate chain and host name are always checked, TLS is at least 1.2, and no proxy variable of
 * the environment is looked at.
 *
 * Queues. Received messages wait in a byte queue until poll() takes them; beyond 4 MiB the socket
 * is not read until the queue is empty again (nothing is dropped). Requests are spaced evenly, at
 * the adapter's rate, without a burst; beyond 64 KiB of them new ones are dropped and counted, and
 * the feed asks again.
 *
 * Back-off. From backoff_min to backoff_max, doubling, each shortened at random by up to a quarter.
 * It starts anew only after good data: a market message decoded by the adapter, on a connection
 * that is then at least TF_LINK_GOOD_FACTOR times backoff_min old. A venue that sends us a snapshot
 * and throws us out, again and again, is therefore asked ever less often.
 *
 * Ends of a connection that we bring about: no piece of a message for silence_ms (pings do not
 * count, so an unanswered subscription is noticed too), a ping that was not answered when the next
 * one is due, a message over 16 MiB.
 */
#pragma once

#include "base/clock.h"
#include "base/stats.h"
#include "base/status.h"
#include "venue/source.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TF_LINK_HOST_BYTES_MAX = 254,        /* a DNS name and its NUL (RFC 1035 section 2.3.4) */
    TF_LINK_PATH_BYTES_MAX = 1024,       /* with its NUL */
    TF_LINK_MESSAGE_BYTES_MAX = 1 << 24, /* Coinbase's largest books are 5 MB */
    TF_LINK_GOOD_FACTOR = 20,
    TF_LINKS_MAX = 64,
};

/* All links of one ingest thread, and what that thread sleeps in. */
typedef struct tf_links tf_links_t;

/* `clock` and `stats` must outlive it. Nothing is started before the first link. */
TF_MUST_CHECK tf_status_t tf_links_create(tf_links_t **out, const tf_clock_t *clock,
                                          tf_stats_t *stats);
/* After its links; NULL is allowed. */
void tf_links_destroy(tf_links_t *links);

/* Links that are open now: with none, tf_links_wait() must not be called. */
uint32_t tf_links_count(const tf_links_t *links);

/*
 * Sleep until a socket of a link has something, tf_links_wake() was called, or the time is over;
 * handle what the sockets have. Rounded up to whole milliseconds, libwebsockets' unit. What a
 * source's poll() handed out is not valid any more.
 */
void tf_links_wait(tf_links_t *links, int64_t timeout_ns);

/* End the sleep, also one that has not begun. The only call for other threads. */
void tf_links_wake(tf_links_t *links);

typedef struct tf_link_config {
    const char *venue;   /* for the log */
    const char *url;     /* wss://HOST[:PORT][/PATH] */
    const char *ca_path; /* PEM file with the authorities to trust instead of the system's; NULL */
    uint32_t requests_per_s; /* 0 = not limited */
    int64_t silence_ns;
    int64_t connect_ns; /* resolving may take so long, and so may each address up to the upgrade */
    int64_t backoff_min_ns;
    int64_t backoff_max_ns;
    int64_t ping_ns;
} tf_link_config_t;

extern const tf_link_config_t tf_link_config_default;

/* TF_ERR_ARG names what is wrong with the URL or a time. Opens nothing. */
TF_MUST_CHECK tf_status_t tf_link_config_check(const tf_link_config_t *config);

/*
 * A link that starts connecting with its first poll. Destroy it (its ops) before `links`.
 * TF_ERR_ARG names what is wrong with the URL or a time, TF_ERR_FORMAT the file of authorities,
 * TF_ERR_FULL more than TF_LINKS_MAX links. Call before threads that read the environment start: it
 * is changed (http_proxy goes, which libwebsockets would obey).
 */
TF_MUST_CHECK tf_status_t tf_link_open(tf_source_t **out, tf_links_t *links,
                                       const tf_link_config_t *config);
