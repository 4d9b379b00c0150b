#include "base/log.h"
#include "base/mem.h"
#include "venue/link_inside.h"
#include "venue/link_tls.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RX_BYTES = 64 << 10,
    PING_BYTES = 4,
    /* A connection that was cut stays in libwebsockets' table until its TCP is shut down (20 s at
     * most), beside the one that replaces it. */
    FDS_PER_LINK = 16,
    TEXT_BYTES_MAX = 160,
    STATUS_UPGRADED = 101,
};

/* ---- what libwebsockets tells ---- */

/* Copy a text that the other side may have written: no quotes in the log line. */
static void text_copy(char *out, size_t room, const void *text, size_t bytes)
{
    size_t count = bytes < room - 1 ? bytes : room - 1;
    for (size_t i = 0; i < count; i++) {
        char byte = ((const char *)text)[i];
        out[i] = byte == '"' || byte == '\\' ? '\'' : byte;
    }
    out[count] = '\0';
}

/* libwebsockets keeps connect()'s errno to itself. Without a route connecting a datagram socket,
 * which sends nothing, fails too and says why; else the connection was refused. */
static const char *tcp_error(const char *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    const char *text = "TCP refused: nothing listens there, or a firewall says no";
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, "1", &hints, &found) != 0)
        return text;
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        text = strerrordesc_np(errno);
    if (fd >= 0)
        (void)close(fd);
    freeaddrinfo(found);
    return text;
}

static void on_connection_error(tf_link_t *link, struct lws *wsi, const void *in, size_t bytes)
{
    char text[TEXT_BYTES_MAX];
    text_copy(text, sizeof text, in != NULL ? in : "", in != NULL ? bytes : 0);
    if (link->stage == TF_LINK_STAGE_TCP) {
        tf_link_on_end(link, TF_LINK_FAILURE_CONNECT, tcp_error(link->connecting));
        return;
    }
    if (link->stage == TF_LINK_STAGE_TLS) {
        const char *reason = tf_link_tls_reason(link->tls);
        tf_link_why(link, TF_LINK_FAILURE_TLS, "no TLS handshake: %s",
                    reason != NULL ? reason : "the other side ended the connection");
        tf_link_on_end(link, TF_LINK_FAILURE_TLS, "");
        return;
    }
    unsigned status = lws_http_client_http_response(wsi);
    if (status != 0 && status != STATUS_UPGRADED)
        tf_link_why(link, TF_LINK_FAILURE_UPGRADE, "HTTP status %u instead of 101", status);
    tf_link_on_end(link, TF_LINK_FAILURE_UPGRADE, text);
}

static void on_peer_close(tf_link_t *link, const void *in, size_t bytes)
{
    const uint8_t *payload = in;
    char text[TEXT_BYTES_MAX];
    if (bytes < 2) {
        tf_link_why(link, TF_LINK_FAILURE_CLOSED, "closed by the venue without a code");
        return;
    }
    text_copy(text, sizeof text, payload + 2, bytes - 2);
    tf_link_why(link, TF_LINK_FAILURE_CLOSED, "closed by the venue: code %u%s%s",
                (unsigned)(payload[0] << 8 | payload[1]), text[0] != '\0' ? ", " : "", text);
}

/* A ping first: it is small, and its answer is awaited. Negative: the connection is broken. */
static int on_writable(tf_link_t *link, struct lws *wsi)
{
    unsigned char frame[LWS_PRE + TF_LINK_REQUEST_BYTES_MAX];
    if (link->ping_wanted) {
        link->ping_wanted = false;
        memcpy(frame + LWS_PRE, "ping", PING_BYTES);
        return lws_write(wsi, frame + LWS_PRE, PING_BYTES, LWS_WRITE_PING) < 0 ? -1 : 0;
    }
    size_t bytes =
        tf_link_outbox_take(&link->outbox, tf_link_now_ns(link), (char *)frame + LWS_PRE);
    if (bytes == 0)
        return 0;
    return lws_write(wsi, frame + LWS_PRE, bytes, LWS_WRITE_TEXT) < 0 ? -1 : 0;
}

/* Negative: close. */
static int on_receive(tf_link_t *link, struct lws *wsi, const void *in, size_t bytes)
{
    if (lws_is_first_fragment(wsi))
        link->binary = lws_frame_is_binary(wsi) != 0;
    bool last = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
    /* No close frame: libwebsockets 4.1.6 would go on reading until it is answered, and store what
     * comes behind the end of its buffer. */
    if (!tf_link_on_data(link, in, bytes, last))
        return -1;
    if (link->paused)
        (void)lws_rx_flow_control(wsi, 0);
    return 0;
}

static int on_established_event(tf_link_t *link, struct lws *wsi, enum lws_callback_reasons reason,
                                const void *in, size_t bytes)
{
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        link->wsi = wsi;
        return tf_link_on_open(link) ? 0 : -1;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_receive(link, wsi, in, bytes);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        link->pong_awaited = false;
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(link, wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        on_peer_close(link, in, bytes);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        tf_link_on_end(link, TF_LINK_FAILURE_CLOSED, "the connection was cut");
        return 0;
    default:
        return 0;
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    (void)user;
    tf_link_t *link = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
    if (link == NULL) /* of the context, or of a connection that was dropped */
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        link->stage = TF_LINK_STAGE_UPGRADE;
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        on_connection_error(link, wsi, in, bytes);
        return 0;
    default:
        return on_established_event(link, wsi, reason, in, bytes);
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "venue", .callback = on_event, .rx_buffer_size = RX_BYTES},
    {.name = NULL},
};

/* ---- what it is told ---- */

void tf_link_socket_connect(tf_link_t *link, const char *address)
{
    const struct lws_client_connect_info info = {
        .context = link->links->lws,
        .address = address,
        .port = link->url.port,
        /* Nothing else of LCCSCF_: chain and host name are checked; a redirect is a failure. */
        .ssl_connection = LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .path = link->url.path,
        .host = link->host_header, /* also for SNI and the check of the name */
        .vhost = link->vhost,
        .local_protocol_name = protocols[0].name,
        .alpn = "http/1.1", /* else h2 is offered, and answered by some */
        .pwsi = &link->wsi,
        .opaque_user_data = link,
    };
    link->stage = TF_LINK_STAGE_TCP;
    if (lws_client_connect_via_info(&info) == NULL && link->state == TF_LINK_CONNECTING)
        tf_link_on_end(link, TF_LINK_FAILURE_CONNECT, "libwebsockets made no connection");
}

void tf_link_socket_drop(tf_link_t *link)
{
    struct lws *wsi = link->wsi;
    link->wsi = NULL;
    if (wsi == NULL)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void tf_link_socket_write_soon(tf_link_t *link)
{
    (void)lws_callback_on_writable(link->wsi);
}

void tf_link_socket_resume(tf_link_t *link)
{
    (void)lws_rx_flow_control(link->wsi, 1);
}

/* ---- the context ---- */

tf_status_t tf_link_context_make(tf_links_t *links)
{
    if (links->lws != NULL)
        return TF_OK;
    /* It would be obeyed, whatever no_proxy says. */
    (void)unsetenv("http_proxy"); /* NOLINT(concurrency-mt-unsafe): see tf_link_open() */
    /* Process-wide. What goes wrong is told by us, in words. */
    lws_set_log_level(0, NULL);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .gid = -1,
        .uid = -1,
        .fd_limit_per_thread = TF_LINKS_MAX * FDS_PER_LINK,
        .pt_serv_buf_size = RX_BYTES,
    };
    links->lws = lws_create_context(&info);
    return links->lws != NULL
               ? TF_OK
               : tf_error(TF_ERR_SYS, "libwebsockets did not start (memory or descriptors?)");
}

tf_status_t tf_link_vhost_make(tf_link_t *link)
{
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .vhost_name = link->venue,
        .provided_client_ssl_ctx = link->tls, /* stays ours */
    };
    link->vhost = lws_create_vhost(link->links->lws, &info);
    return link->vhost != NULL ? TF_OK
                               : tf_error(TF_ERR_SYS, "libwebsockets made no vhost (memory?)");
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
    (void)timer; /* it only bounds the sleep */
}

void tf_links_wait(tf_links_t *links, int64_t timeout_ns)
{
    TF_ASSERT(links->count > 0);
    int64_t wait_ms = (timeout_ns + TF_NS_PER_MS - 1) / TF_NS_PER_MS;
    int result = 0;
    if (timeout_ns <= 0) {
        result = lws_service(links->lws, -1);
    } else {
        /* The wait is cut to whole milliseconds: with a little more than the wanted ones it is they
         * and not one less, whose rest would be spent spinning. */
        lws_sul_schedule(links->lws, 0, &links->timer, on_timer,
                         (lws_usec_t)(wait_ms * LWS_US_PER_MS + LWS_US_PER_MS - 1));
        result = lws_service(links->lws, 0);
    }
    if (result >= 0)
        return;
    if (!links->broken)
        tf_log(TF_LOG_ERROR, "links_stopped", "reason=\"libwebsockets gave up\"");
    links->broken = true;
    (void)poll(NULL, 0, (int)wait_ms);
}

void tf_links_wake(tf_links_t *links)
{
    lws_cancel_service(links->lws);
}

void tf_links_destroy(tf_links_t *links)
{
    if (links == NULL)
        return;
    TF_ASSERT(links->count == 0);
    if (links->lws != NULL) {
        lws_sul_cancel(&links->timer);
        lws_context_destroy(links->lws);
    }
    tf_mem_free(links);
}
