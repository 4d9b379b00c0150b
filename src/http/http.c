#include "http/http.h"

#include "base/address.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/metrics.h"
#include "http/watch.h"
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
    /* Scrapers and probes are few; this is what the page may take of the clients' descriptors. */
    CONNECTIONS_MAX = 64,
    LWS_FDS = CONNECTIONS_MAX + 8, /* the listener, lws's own eventfd, and some it may want */
    BACKLOG = 128,
    REQUEST_BYTES_MAX = 4096, /* request line and headers; lws refuses more */
    HEADERS_BYTES_MAX = 512,
    CHUNK_BYTES = 4096,
    REQUEST_TIMEOUT_S = 5,  /* from accept to the last header byte, however it trickles */
    RESPONSE_TIMEOUT_S = 5, /* for a client to take the whole answer */
    KEEPALIVE_S = 30, /* idle between two requests: a scrape every 15 s keeps its connection */
    ACCEPT_PAUSE_US = 100000, /* when descriptors ran out */
    THREAD_NAME_BYTES_MAX = 32,
    LOG_BYTES_MAX = 256,
};

struct tf_http {
    /* const after start */
    char address[INET6_ADDRSTRLEN];
    char region[TF_REGION_NAME_BYTES_MAX];
    tf_http_thread_t threads[TF_HTTP_THREADS_MAX];
    char thread_names[TF_HTTP_THREADS_MAX][THREAD_NAME_BYTES_MAX];
    uint32_t thread_count;
    uint16_t port;
    pthread_t thread;
    struct lws_context *lws; /* made and destroyed by the owner, served by the thread */
    struct lws_vhost *vhost;
    /* the thread's own */
    struct lws *listener;
    uint32_t connections;
    tf_watch_t watch;
    tf_watch_view_t view; /* of the request at hand */
    /* written by any thread (release), read by the server's (acquire) */
    _Atomic bool draining;
    _Atomic bool stopping;
};

/* One request and its answer: lws's per-session memory, zeroed before each request. */
typedef struct exchange {
    tf_buf_t body;
    size_t sent_bytes;
    unsigned status;
    const char *content_type;
    bool close_after;
} exchange_t;

/* ---- answers ---- */

static void answer_health(tf_http_t *http, exchange_t *exchange)
{
    (void)http;
    tf_buf_lit(&exchange->body, "ok\n");
}

static void answer_lost(const tf_http_t *http, tf_buf_t *body)
{
    if (http->view.health == TF_WATCH_CLOSED) {
        tf_buf_lit(body, "ingest lost: its region is closed\n");
        return;
    }
    tf_buf_lit(body, "ingest lost: no heartbeat for ");
    tf_buf_int(body, http->view.heartbeat_age_ns / TF_NS_PER_MS);
    tf_buf_lit(body, " ms\n");
}

static void answer_ready(tf_http_t *http, exchange_t *exchange)
{
    tf_buf_t *body = &exchange->body;
    exchange->status = HTTP_STATUS_SERVICE_UNAVAILABLE;
    if (atomic_load_explicit(&http->draining, memory_order_acquire)) {
        tf_buf_lit(body, "draining\n");
        return;
    }
    tf_watch_look(&http->watch, tf_clock_mono_ns(&tf_clock_system), &http->view);
    if (http->view.health == TF_WATCH_ABSENT) {
        tf_buf_lit(body, "no region\n");
    } else if (http->view.health != TF_WATCH_ALIVE) {
        answer_lost(http, body);
    } else if (http->view.live == 0) {
        tf_buf_lit(body, "no live market\n");
    } else {
        exchange->status = HTTP_STATUS_OK;
        tf_buf_lit(body, "ok\n");
    }
}

static void answer_metrics(tf_http_t *http, exchange_t *exchange)
{
    exchange->content_type = TF_METRICS_CONTENT_TYPE;
    tf_watch_look(&http->watch, tf_clock_mono_ns(&tf_clock_system), &http->view);
    tf_metrics_write(&exchange->body, http->threads, http->thread_count, http->region, &http->view);
}

static const struct {
    const char *path;
    void (*answer)(tf_http_t *http, exchange_t *exchange);
} routes[] = {
    {"/metrics", answer_metrics},
    {"/healthz", answer_health},
    {"/readyz", answer_ready},
};

static void answer_unknown(exchange_t *exchange)
{
    exchange->status = HTTP_STATUS_NOT_FOUND;
    tf_buf_lit(&exchange->body, "not found; known paths:");
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        tf_buf_lit(&exchange->body, " ");
        tf_buf_text(&exchange->body, routes[i].path);
    }
    tf_buf_lit(&exchange->body, "\n");
}

static void answer_path(tf_http_t *http, exchange_t *exchange, const char *path, size_t bytes)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strlen(routes[i].path) == bytes && memcmp(routes[i].path, path, bytes) == 0) {
            routes[i].answer(http, exchange);
            return;
        }
    }
    answer_unknown(exchange);
}

/* ---- responses ---- */

static void exchange_begin(exchange_t *exchange)
{
    tf_buf_fini(&exchange->body);
    *exchange = (exchange_t){
        .status = HTTP_STATUS_OK,
        .content_type = "text/plain; charset=utf-8",
    };
}

static bool header_add(struct lws *wsi, const char *name, const char *value, uint8_t **at,
                       uint8_t *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

static bool headers_write(struct lws *wsi, const exchange_t *exchange)
{
    uint8_t buffer[LWS_PRE + HEADERS_BYTES_MAX];
    uint8_t *start = buffer + LWS_PRE;
    uint8_t *at = start;
    uint8_t *end = buffer + sizeof buffer - 1;
    if (lws_add_http_common_headers(wsi, exchange->status, exchange->content_type,
                                    exchange->body.bytes, &at, end) != 0 ||
        !header_add(wsi, "cache-control:", "no-store", &at, end))
        return false;
    if (exchange->status == HTTP_STATUS_METHOD_NOT_ALLOWED &&
        !header_add(wsi, "allow:", "GET, HEAD", &at, end))
        return false;
    if (exchange->close_after && !header_add(wsi, "connection:", "close", &at, end))
        return false;
    return lws_finalize_write_http_header(wsi, start, &at, end) == 0;
}

/* Callbacks answer lws: 0 = go on, -1 = close the connection. */
static int exchange_end(struct lws *wsi, exchange_t *exchange)
{
    bool close_after = exchange->close_after;
    exchange_begin(exchange);
    return close_after || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int respond(struct lws *wsi, exchange_t *exchange, bool with_body)
{
    if (!tf_buf_ok(&exchange->body))
        return -1; /* out of memory: half a page would be worse than none */
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, RESPONSE_TIMEOUT_S);
    if (!headers_write(wsi, exchange))
        return -1;
    if (!with_body)
        return exchange_end(wsi, exchange);
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_request(tf_http_t *http, struct lws *wsi, exchange_t *exchange)
{
    char *path = NULL;
    int path_bytes = 0;
    int method = lws_http_get_uri_and_method(wsi, &path, &path_bytes);
    exchange_begin(exchange);
    if (method == LWSHUMETH_GET || method == LWSHUMETH_HEAD) {
        answer_path(http, exchange, path, (size_t)path_bytes);
        return respond(wsi, exchange, method == LWSHUMETH_GET);
    }
    exchange->status = HTTP_STATUS_METHOD_NOT_ALLOWED;
    exchange->close_after = true; /* a body may follow that nobody reads */
    tf_buf_lit(&exchange->body, "method not allowed; use GET or HEAD\n");
    return respond(wsi, exchange, true);
}

static int on_writeable(struct lws *wsi, exchange_t *exchange)
{
    uint8_t buffer[LWS_PRE + CHUNK_BYTES];
    size_t bytes = exchange->body.bytes - exchange->sent_bytes;
    if (bytes == 0)
        return 0;
    bool last = bytes <= CHUNK_BYTES;
    if (!last)
        bytes = CHUNK_BYTES;
    memcpy(buffer + LWS_PRE, exchange->body.data + exchange->sent_bytes, bytes);
    /* What the socket does not take of a chunk lws keeps and sends before the next callback. */
    if (lws_write(wsi, buffer + LWS_PRE, bytes, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
        (int)bytes)
        return -1;
    exchange->sent_bytes += bytes;
    if (last)
        return exchange_end(wsi, exchange);
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
    exchange_t refusal = {0};
    exchange_begin(&refusal);
    refusal.status = HTTP_STATUS_BAD_REQUEST;
    refusal.close_after = true;
    refusal.body.bytes = sizeof text - 1; /* for the headers; nothing is owned */
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
        return on_writeable(wsi, exchange);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (exchange != NULL)
            exchange_begin(exchange);
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
        if (http->connections > CONNECTIONS_MAX) /* the listener is one of them */
            (void)close(fd);
        else
            (void)lws_adopt_socket_vhost(http->vhost, fd); /* closes the socket when it fails */
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
        text[bytes] = from[bytes] == '"' ? '\'' : from[bytes];
    while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == ' '))
        bytes--;
    tf_log(line_level(level), "libwebsockets", "text=\"%.*s\"", (int)bytes, text);
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
    http->thread_count = config->thread_count;
    http->port = config->port;
    http->watch = (tf_watch_t){.region = http->region, .lost_ns = config->lost_ns};
    return TF_OK;
}

static void *run(void *context)
{
    tf_http_t *http = context;
    (void)pthread_setname_np(pthread_self(), "http");
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
    if (http->lws != NULL)
        lws_context_destroy(http->lws);
    tf_watch_fini(&http->watch);
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
