#include "http/http.h"

#include "base/address.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/rest.h"
#include "http/route.h"
#include "region/region_file.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

enum {
    WATCH_EVERY_US = 1000000, /* looks for the region that nobody asked for */
    /* Scrapers and probes are few; this is what the page may take of the clients' descriptors. */
    CONNECTIONS_MAX = 64,
    LWS_FDS = CONNECTIONS_MAX + 8, /* the listener, lws's own eventfd, and some it may want */
    BACKLOG = 128,
    REQUEST_BYTES_MAX = 4096, /* request line and headers; lws refuses more */
    QUERY_BYTES_MAX = 256,
    TAGS_BYTES_MAX = 256, /* If-None-Match; a longer one counts as none */
    HEADERS_BYTES_MAX = 1024,
    CHUNK_BYTES = 16384,
    REQUEST_TIMEOUT_S = 5,          /* from accept to the last header byte, however it trickles */
    RESPONSE_TIMEOUT_S = 5,         /* for a client to take the whole answer, */
    RESPONSE_BYTES_PER_S = 1 << 17, /* and a second more for each of these */
    HELD_BYTES_MAX = 64 << 20, /* of bodies at once; a book of 65536 levels a side is some 5 MB */
    HELD_FREE_BYTES = 1 << 16, /* smaller ones are always made: at most 4 MB in all */
    KEEPALIVE_S = 30, /* idle between two requests: a scrape every 15 s keeps its connection */
    ACCEPT_PAUSE_US = 100000, /* when descriptors ran out */
    THREAD_NAME_BYTES_MAX = 32,
    WS_URL_BYTES_MAX = 256,
    LOG_BYTES_MAX = 256,
};

struct tf_http {
    /* const after start */
    char address[INET6_ADDRSTRLEN];
    char region[TF_REGION_NAME_BYTES_MAX];
    char ws_url[WS_URL_BYTES_MAX];
    tf_http_thread_t threads[TF_HTTP_THREADS_MAX];
    char thread_names[TF_HTTP_THREADS_MAX][THREAD_NAME_BYTES_MAX];
    uint16_t port;
    pthread_t thread;
    struct lws_context *lws; /* made and destroyed by the owner, served by the thread */
    struct lws_vhost *vhost;
    /* the thread's own */
    struct lws *listener;
    uint32_t connections;
    size_t held_bytes; /* room of the bodies that are not sent yet */
    tf_site_t site;
    lws_sorted_usec_list_t watch_timer;
    /* written by any thread (release), read by the server's (acquire) */
    _Atomic bool draining;
    _Atomic bool stopping;
};

/* One request and its answer: lws's per-session memory, zeroed before each request. */
typedef struct exchange {
    tf_answer_t answer;
    size_t sent_bytes;
    size_t held_bytes; /* its share of tf_http.held_bytes */
} exchange_t;

/* ---- requests ---- */

static tf_http_method_t method_of(int method)
{
    switch (method) {
    case LWSHUMETH_GET:
        return TF_HTTP_GET;
    case LWSHUMETH_HEAD:
        return TF_HTTP_HEAD;
    case LWSHUMETH_OPTIONS:
        return TF_HTTP_OPTIONS;
    default:
        return TF_HTTP_OTHER;
    }
}

/* What libwebsockets understood of a request; the strings live in `text` and in its own memory. */
typedef struct request_text {
    char query[QUERY_BYTES_MAX];
    char if_none_match[TAGS_BYTES_MAX];
} request_text_t;

/* The query's parts, decoded, with their '&' again; negative when it is too long. (libwebsockets'
 * own copy of the whole has commas in place of them.) */
static int query_read(struct lws *wsi, char out[QUERY_BYTES_MAX])
{
    int bytes = 0;
    for (int part = 0;; part++) {
        if (lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, part) >
            QUERY_BYTES_MAX - 2 - bytes)
            return -1;
        int got = lws_hdr_copy_fragment(wsi, out + bytes, QUERY_BYTES_MAX - 1 - bytes,
                                        WSI_TOKEN_HTTP_URI_ARGS, part);
        if (got < 0)
            return bytes;
        bytes += got;
        out[bytes++] = '&';
    }
}

static void request_read(struct lws *wsi, request_text_t *text, tf_request_t *out)
{
    char *path = NULL;
    int path_bytes = 0;
    int method = lws_http_get_uri_and_method(wsi, &path, &path_bytes);
    int query_bytes = query_read(wsi, text->query);
    int tags_bytes = lws_hdr_copy(wsi, text->if_none_match, sizeof text->if_none_match,
                                  WSI_TOKEN_HTTP_IF_NONE_MATCH);
    *out = (tf_request_t){
        .method = method_of(method),
        .path = path != NULL && path_bytes > 0 ? path : "",
        .path_bytes = path != NULL && path_bytes > 0 ? (size_t)path_bytes : 0,
        .query = query_bytes > 0 ? text->query : "",
        .query_bytes = query_bytes > 0 ? (size_t)query_bytes : 0,
        .query_too_long = query_bytes<0, .if_none_match = tags_bytes> 0 ? text->if_none_match : "",
    };
}

/* ---- responses ---- */

static void exchange_begin(tf_http_t *http, exchange_t *exchange)
{
    tf_answer_begin(&exchange->answer);
    http->held_bytes -= exchange->held_bytes;
    exchange->held_bytes = 0;
    exchange->sent_bytes = 0;
}

/* A client that reads slowly holds its body until its time is up: all of them together may hold so
 * much and no more. */
static void exchange_hold(tf_http_t *http, exchange_t *exchange)
{
    size_t bytes = exchange->answer.text.room;
    if (bytes > HELD_FREE_BYTES && http->held_bytes + bytes > HELD_BYTES_MAX) {
        tf_rest_busy(&exchange->answer);
        http->site.counts.bodies_refused++;
        bytes = exchange->answer.text.room;
    }
    exchange->held_bytes = bytes;
    http->held_bytes += bytes;
}

/* Headers in the making. A failure is sticky: they did not fit. */
typedef struct headers {
    struct lws *wsi;
    uint8_t *at;
    uint8_t *end;
    bool failed;
} headers_t;

static void header_add(headers_t *headers, const char *name, const char *value)
{
    if (value == NULL || headers->failed)
        return;
    headers->failed = lws_add_http_header_by_name(headers->wsi, (const unsigned char *)name,
                                                  (const unsigned char *)value, (int)strlen(value),
                                                  &headers->at, headers->end) != 0;
}

static void answer_headers_add(headers_t *headers, const tf_answer_t *answer)
{
    char seconds[16];
    (void)snprintf(seconds, sizeof seconds, "%u", answer->retry_after_s);
    header_add(headers, "cache-control:", answer->cache_control);
    header_add(headers, "x-content-type-options:", "nosniff");
    header_add(headers, "etag:", answer->etag);
    header_add(headers, "allow:", answer->allow);
    header_add(headers, "retry-after:", answer->retry_after_s > 0 ? seconds : NULL);
    header_add(headers, "access-control-allow-origin:", answer->any_origin ? "*" : NULL);
    header_add(headers, "access-control-allow-methods:", answer->any_origin ? answer->allow : NULL);
    /* The page's WebSocket is on another port, which is another origin; which host it has is the
     * operator's affair (a proxy, a load balancer). */
    header_add(headers, "content-security-policy:",
               answer->page ? "default-src 'self'; connect-src 'self' ws: wss:" : NULL);
    header_add(headers, "connection:", answer->close ? "close" : NULL);
}

static bool headers_write(struct lws *wsi, const tf_answer_t *answer)
{
    uint8_t buffer[LWS_PRE + HEADERS_BYTES_MAX];
    uint8_t *start = buffer + LWS_PRE;
    headers_t headers = {.wsi = wsi, .at = start, .end = buffer + sizeof buffer - 1};
    if (lws_add_http_common_headers(wsi, answer->status, answer->content_type,
                                    tf_answer_bytes(answer), &headers.at, headers.end) != 0)
        return false;
    answer_headers_add(&headers, answer);
    return !headers.failed &&
           lws_finalize_write_http_header(wsi, start, &headers.at, headers.end) == 0;
}

/* Callbacks answer lws: 0 = go on, -1 = close the connection. */
static int exchange_end(tf_http_t *http, struct lws *wsi, exchange_t *exchange)
{
    bool close_after = exchange->answer.close;
    exchange_begin(http, exchange);
    return close_after || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int respond(tf_http_t *http, struct lws *wsi, exchange_t *exchange)
{
    const tf_answer_t *answer = &exchange->answer;
    if (!tf_buf_ok(&answer->text))
        return -1; /* out of memory: half a page would be worse than none */
    size_t bytes = tf_answer_bytes(answer);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT,
                    RESPONSE_TIMEOUT_S + (int)(bytes / RESPONSE_BYTES_PER_S));
    if (!headers_write(wsi, answer))
        return -1;
    if (answer->bodiless || bytes == 0)
        return exchange_end(http, wsi, exchange);
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_request(tf_http_t *http, struct lws *wsi, exchange_t *exchange)
{
    request_text_t text;
    tf_request_t request;
    request_read(wsi, &text, &request);
    exchange_begin(http, exchange);
    http->site.counts.connections = http->connections - 1; /* the listener is one of them */
    http->site.counts.requests++;
    tf_route(&http->site, &request, &exchange->answer);
    exchange_hold(http, exchange);
    return respond(http, wsi, exchange);
}

static int on_writeable(tf_http_t *http, struct lws *wsi, exchange_t *exchange)
{
    uint8_t buffer[LWS_PRE + CHUNK_BYTES];
    const uint8_t *body = tf_answer_body(&exchange->answer);
    size_t bytes = tf_answer_bytes(&exchange->answer) - exchange->sent_bytes;
    if (bytes == 0)
        return 0;
    bool last = bytes <= CHUNK_BYTES;
    if (!last)
        bytes = CHUNK_BYTES;
    memcpy(buffer + LWS_PRE, body + exchange->sent_bytes, bytes);
    /* What the socket does not take of a chunk lws keeps and sends before the next callback. */
    if (lws_write(wsi, buffer + LWS_PRE, bytes, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
        (int)bytes)
        return -1;
    exchange->sent_bytes += bytes;
    if (last)
        return exchange_end(http, wsi, exchange);
    lws_callback_on_writable(wsi);
    return 0;
}

/*
 * HTTP/2 is not spoken here and WebSocket is served elsewhere; say so to who took the wrong port.
 * Before an upgrade lws has no session for us, and ends the transaction itself (1 = answered): the
 * text goes out at once.
 */
static int refuse_upgrade(struct lws *wsi)
{
    static const char text[] = "no upgrades here; WebSocket clients: see --listen\n";
    uint8_t buffer[LWS_PRE + sizeof text];
    tf_answer_t refusal = {0};
    tf_answer_begin(&refusal);
    refusal.status = HTTP_STATUS_BAD_REQUEST;
    refusal.close = true;
    refusal.data = (const uint8_t *)text;
    refusal.data_bytes = sizeof text - 1;
    memcpy(buffer + LWS_PRE, text, sizeof text);
    if (!headers_write(wsi, &refusal) || lws_write(wsi, buffer + LWS_PRE, sizeof text - 1,
                                                   LWS_WRITE_HTTP_FINAL) < (int)sizeof text - 1)
        return -1;
    return 1;
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t bytes)
{
    (void)in;
    (void)bytes;
    tf_http_t *http = lws_context_user(lws_get_context(wsi));
    exchange_t *exchange = user;
    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE:
        http->connections++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        http->connections--;
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return refuse_upgrade(wsi);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return -1;
    case LWS_CALLBACK_HTTP:
        return on_request(http, wsi, exchange);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writeable(http, wsi, exchange);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (exchange != NULL)
            exchange_begin(http, exchange);
        return 0;
    default:
        return 0;
    }
}

/* ---- the listening socket ---- */

static tf_status_t bind_error(const char *address, uint16_t port, int error)
{
    bool v6 = strchr(address, ':') != NULL;
    return tf_error(TF_ERR_SYS, "http: listen on %s%s%s:%u: %s%s", v6 ? "[" : "", address,
                    v6 ? "]" : "", port, strerrordesc_np(error),
                    error == EADDRINUSE ? "; is another tickfan running? choose another --http"
                                        : "");
}

/*
 * The socket is ours rather than lws's: a taken port is told with its errno, nobody else may share
 * it, connections have a limit, and running out of descriptors pauses instead of spinning. `port`
 * goes in as configured and comes out as bound.
 */
static tf_status_t listen_open(const char *address, uint16_t *port, int *fd)
{
    tf_address_t name;
    socklen_t bytes = tf_address_make(address, *port, &name);
    if (bytes == 0)
        return tf_error(TF_ERR_ARG, "http: \"%.80s\" is not a numeric IPv4 or IPv6 address",
                        address);
    *fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return bind_error(address, *port, errno);
    int one = 1; /* for a restart while old connections are in TIME_WAIT */
    if (setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(*fd, &name.any, bytes) != 0 || listen(*fd, BACKLOG) != 0 ||
        getsockname(*fd, &name.any, &bytes) != 0) {
        int error = errno;
        (void)close(*fd);
        return bind_error(address, *port, error);
    }
    *port = tf_address_port(&name);
    return TF_OK;
}

static void accept_pause(struct lws *listener)
{
    (void)lws_rx_flow_control(listener, 0);
    lws_set_timer_usecs(listener, ACCEPT_PAUSE_US);
}

static int on_connecting(tf_http_t *http, struct lws *listener)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        int fd = accept4(lws_get_socket_fd(listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                accept_pause(listener);
            return 0; /* the rest is EAGAIN, or one that went away before it was accepted */
        }
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (http->connections > CONNECTIONS_MAX) { /* the listener is one of them */
            (void)close(fd);
            http->site.counts.connections_refused++;
        } else {
            (void)lws_adopt_socket_vhost(http->vhost, fd); /* closes the socket when it fails */
        }
    }
    return 0;
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t bytes)
{
    (void)user;
    (void)in;
    (void)bytes;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        return on_connecting(lws_context_user(lws_get_context(wsi)), wsi);
    case LWS_CALLBACK_TIMER:
        (void)lws_rx_flow_control(wsi, 1);
        return 0;
    default:
        return 0;
    }
}

/* ---- libwebsockets ---- */

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = on_http, .per_session_data_size = sizeof(exchange_t)},
    {.name = "listener", .callback = on_listener},
    {.name = NULL},
};

/* Errors are warnings here, one a second at most: some of them any client can cause at will. */
static tf_log_level_t line_level(int level)
{
    static _Atomic int64_t quiet_until_ns; /* any thread that runs a context; relaxed */
    if (level != LLL_ERR)
        return TF_LOG_DEBUG;
    int64_t now_ns = tf_clock_mono_ns(&tf_clock_system);
    if (now_ns < atomic_load_explicit(&quiet_until_ns, memory_order_relaxed))
        return TF_LOG_DEBUG;
    atomic_store_explicit(&quiet_until_ns, now_ns + TF_NS_PER_S, memory_order_relaxed);
    return TF_LOG_WARN;
}

/* "[2026/07/07 22:58:16:1234] N: text\n": our lines have a time and a level of their own. */
static void libwebsockets_log(int level, const char *line)
{
    char text[LOG_BYTES_MAX];
    const char *from = strstr(line, "] ");
    from = from != NULL && strlen(from) > 5 ? from + 5 : line;
    size_t bytes = 0;
    for (; from[bytes] != '\0' && bytes < sizeof text - 1; bytes++)
        text[bytes] = from[bytes];
    while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == ' '))
        bytes--;
    tf_log(line_level(level), "libwebsockets", "text=%s", TF_LOG_BYTES(text, bytes));
}

static tf_status_t libwebsockets_start(tf_http_t *http)
{
    /* Process-wide in libwebsockets; its info and debug levels cost a line per connection. */
    lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, libwebsockets_log);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .user = http,
        .vhost_name = "tickfan",
        .server_string = "tickfan",
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .gid = -1,
        .uid = -1,
        .fd_limit_per_thread = LWS_FDS,
        .max_http_header_data = REQUEST_BYTES_MAX,
        .max_http_header_pool = CONNECTIONS_MAX,
        .timeout_secs = REQUEST_TIMEOUT_S,
        .timeout_secs_ah_idle = REQUEST_TIMEOUT_S,
        .keepalive_timeout = KEEPALIVE_S,
        /* An address, if an empty one: else $http_proxy is read. Without a port it is complained
         * about. */
        .http_proxy_address = "",
        .http_proxy_port = 1,
    };
    http->lws = lws_create_context(&info);
    if (http->lws == NULL)
        return tf_error(TF_ERR_SYS, "http: libwebsockets did not start (memory or descriptors?)");
    http->vhost = lws_create_vhost(http->lws, &info);
    if (http->vhost == NULL)
        return tf_error(TF_ERR_SYS, "http: libwebsockets made no vhost (memory?)");
    return TF_OK;
}

/* Hand the socket to lws, which closes it from now on. */
static tf_status_t listener_adopt(tf_http_t *http, int fd)
{
    lws_sock_file_fd_type descriptor = {.filefd = fd};
    http->listener = lws_adopt_descriptor_vhost(http->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                                protocols[1].name, NULL);
    return http->listener != NULL
               ? TF_OK
               : tf_error(TF_ERR_SYS, "http: libwebsockets did not take the listening socket");
}

/* ---- start and stop ---- */

static tf_status_t config_copy(tf_http_t *http, const tf_http_config_t *config)
{
    TF_ASSERT(config->thread_count <= TF_HTTP_THREADS_MAX);
    if (!tf_region_name_valid(config->region))
        return tf_error(TF_ERR_ARG, "http: region name \"%.80s\" is not valid", config->region);
    (void)snprintf(http->address, sizeof http->address, "%s", config->address);
    (void)snprintf(http->region, sizeof http->region, "%s", config->region);
    for (uint32_t i = 0; i < config->thread_count; i++) {
        http->threads[i] = config->threads[i];
        (void)snprintf(http->thread_names[i], THREAD_NAME_BYTES_MAX, "%s", config->threads[i].name);
        http->threads[i].name = http->thread_names[i];
    }
    (void)snprintf(http->ws_url, sizeof http->ws_url, "%s",
                   config->ws_url != NULL ? config->ws_url : "");
    http->port = config->port;
    http->site = (tf_site_t){
        .region = http->region,
        .ws_url = config->ws_url != NULL ? http->ws_url : NULL,
        .heartbeat_ms = config->heartbeat_ms,
        .threads = http->threads,
        .thread_count = config->thread_count,
        .draining = &http->draining,
        .watch = {.region = http->region, .lost_ns = config->lost_ns},
    };
    return TF_OK;
}

/* Whether or not anybody asks, see tf_watch_attach(). */
static void watch_due(lws_sorted_usec_list_t *timer)
{
    tf_http_t *http = lws_container_of(timer, tf_http_t, watch_timer);
    (void)tf_watch_attach(&http->site.watch, tf_clock_mono_ns(&tf_clock_system));
    lws_sul_schedule(http->lws, 0, timer, watch_due, WATCH_EVERY_US);
}

static void *run(void *context)
{
    tf_http_t *http = context;
    (void)pthread_setname_np(pthread_self(), "http");
    watch_due(&http->watch_timer);
    while (!atomic_load_explicit(&http->stopping, memory_order_acquire)) {
        if (lws_service(http->lws, 0) < 0) {
            tf_log(TF_LOG_ERROR, "http_stopped", "reason=\"libwebsockets gave up\"");
            break;
        }
    }
    return NULL;
}

/* Signals are for the thread that waits for them: this one starts with all blocked. */
static tf_status_t thread_start(tf_http_t *http)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&http->thread, NULL, run, http);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0
               ? TF_OK
               : tf_error(TF_ERR_SYS, "http: starting the thread: %s", strerrordesc_np(error));
}

static void http_free(tf_http_t *http)
{
    lws_sul_cancel(&http->watch_timer);
    if (http->lws != NULL)
        lws_context_destroy(http->lws);
    tf_watch_fini(&http->site.watch);
    tf_mem_free(http);
}

tf_status_t tf_http_start(tf_http_t **out, const tf_http_config_t *config)
{
    *out = NULL;
    tf_http_t *http = tf_mem_calloc(1, sizeof *http);
    if (http == NULL)
        return tf_error(TF_ERR_MEMORY, "http: no memory");
    int fd = -1;
    tf_status_t status = config_copy(http, config);
    if (status == TF_OK)
        status = listen_open(http->address, &http->port, &fd);
    if (status == TF_OK) {
        status = libwebsockets_start(http);
        if (status == TF_OK)
            status = listener_adopt(http, fd);
        else
            (void)close(fd);
    }
    if (status == TF_OK)
        status = thread_start(http);
    if (status != TF_OK) {
        http_free(http);
        return status;
    }
    *out = http;
    return TF_OK;
}

uint16_t tf_http_port(const tf_http_t *http)
{
    return http->port;
}

void tf_http_drain(tf_http_t *http)
{
    atomic_store_explicit(&http->draining, true, memory_order_release);
}

void tf_http_stop(tf_http_t *http)
{
    if (http == NULL)
        return;
    atomic_store_explicit(&http->stopping, true, memory_order_release);
    lws_cancel_service(http->lws);
    (void)pthread_join(http->thread, NULL);
    http_free(http);
}
