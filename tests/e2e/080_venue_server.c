/*
 * A venue for tests: a wss server that plays a file of frames to whoever subscribes, and misbehaves
 * on command.
 *
 *     080_venue_server PORT CERTIFICATE KEY FRAMES       PORT 0 takes a free one
 *
 * FRAMES has one frame per line. A subscription to heartbeats starts it from the top; after its end
 * the last heartbeat of each product is repeated. Other requests are only reported.
 *
 * stdin, a command per line:
 *     rate N             frames per second from now on; 0 = as fast as they go
 *     frames FILE        for the next subscriptions
 *     drop               cut the connections
 *     freeze, thaw       send no frame; go on. Pings are answered.
 *     mute N             with 1, subscriptions are not answered
 *     close CODE TEXT    close the connections in good order
 *     big BYTES          send a text message of so many bytes, in fragments
 *     status N           refuse upgrades with this HTTP status; 0 = take them
 *     certificate CERTIFICATE KEY
 *                        for the next connections
 * The end of stdin ends the server.
 *
 * stdout: "port N", then "accept US", "open US", "request TEXT", "gone US"; US is CLOCK_MONOTONIC.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libwebsockets.h>
#include <openssl/ssl.h>

enum {
    FRAMES_MAX = 1 << 16,
    PRODUCTS_MAX = 16,
    CONNECTIONS_MAX = 64,
    COMMAND_BYTES_MAX = 4096,
    LOOK_US = 2000, /* for commands, and for frames whose time has come */
    HEARTBEAT_US = 200000,
    FRAGMENT_BYTES = 1 << 20,
    REQUEST_BYTES_MAX = 1 << 16,
};

typedef struct play {
    char *text; /* the file, NUL for each newline */
    const char *frame[FRAMES_MAX];
    size_t frames;
    const char *heartbeat[PRODUCTS_MAX];
    size_t heartbeats;
} play_t;

typedef struct connection {
    struct lws *wsi;
    const play_t *play; /* NULL until subscribed */
    size_t next;
    int64_t start_us; /* when `next` was `start_frame` */
    size_t start_frame;
    int64_t heartbeat_us; /* the next one */
    size_t heartbeats_due;
    size_t big_bytes; /* of a big message, still to be sent */
    bool big_begun;
    bool closing;
    size_t request_bytes;
    char request[REQUEST_BYTES_MAX];
} connection_t;

static struct {
    struct lws_context *context;
    SSL_CTX *tls;
    connection_t *connection[CONNECTIONS_MAX];
    const play_t *play;
    double rate;
    bool frozen;
    bool muted;
    bool ended;
    unsigned status;
    int close_code;
    char close_text[124];
    char command[COMMAND_BYTES_MAX];
    size_t command_bytes;
    lws_sorted_usec_list_t timer;
} server;

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized): begun above */
    va_end(arguments);
    (void)putchar('\n');
    (void)fflush(stdout);
}

_Noreturn static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "%s: %s\n", what, which);
    exit(1);
}

/* ---- frames ---- */

static char *file_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die("cannot open", path);
    long bytes = ftell(file);
    char *text = calloc(1, (size_t)bytes + 1);
    rewind(file);
    if (text == NULL || fread(text, 1, (size_t)bytes, file) != (size_t)bytes)
        die("cannot read", path);
    (void)fclose(file);
    return text;
}

/* The product of a frame, as `"product_id":"X"`; empty when it names none. */
static size_t product_of(const char *frame, const char **out)
{
    *out = strstr(frame, "\"product_id\":\"");
    return *out != NULL ? strcspn(*out + 14, "\"") + 14 : 0;
}

static void heartbeat_keep(play_t *play, const char *frame)
{
    const char *product;
    size_t bytes = product_of(frame, &product);
    if (strstr(frame, "\"type\":\"heartbeat\"") == NULL || bytes == 0)
        return;
    size_t at = 0;
    for (; at < play->heartbeats; at++) {
        const char *other;
        if (product_of(play->heartbeat[at], &other) == bytes && memcmp(other, product, bytes) == 0)
            break;
    }
    if (at == PRODUCTS_MAX)
        die("too many products", product);
    play->heartbeat[at] = frame;
    play->heartbeats += at == play->heartbeats;
}

/* Kept until the end: connections play from it. */
static play_t *play_load(const char *path)
{
    play_t *play = calloc(1, sizeof *play);
    if (play == NULL)
        die("no memory for", path);
    play->text = file_read(path);
    char *rest = NULL;
    for (char *line = strtok_r(play->text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (play->frames == FRAMES_MAX)
            die("too many frames", path);
        play->frame[play->frames++] = line;
        heartbeat_keep(play, line);
    }
    return play;
}

/* ---- sending ---- */

static int text_write(struct lws *wsi, const char *text, size_t bytes, int flags)
{
    unsigned char *room = malloc(LWS_PRE + bytes);
    if (room == NULL)
        return -1;
    memcpy(room + LWS_PRE, text, bytes);
    int written = lws_write(wsi, room + LWS_PRE, bytes, (enum lws_write_protocol)flags);
    free(room);
    return written < 0 ? -1 : 0;
}

static int big_write(connection_t *connection)
{
    size_t bytes = connection->big_bytes < FRAGMENT_BYTES ? connection->big_bytes : FRAGMENT_BYTES;
    char *text = malloc(bytes);
    if (text == NULL)
        return -1;
    memset(text, ' ', bytes);
    connection->big_bytes -= bytes;
    int flags =
        lws_write_ws_flags(LWS_WRITE_TEXT, !connection->big_begun, connection->big_bytes == 0);
    connection->big_begun = connection->big_bytes > 0;
    int result = text_write(connection->wsi, text, bytes, flags);
    free(text);
    (void)lws_callback_on_writable(connection->wsi);
    return result;
}

/* The next frame that is due; NULL when none is. */
static const char *frame_due(connection_t *connection, int64_t at_us)
{
    const play_t *play = connection->play;
    if (play == NULL || server.frozen)
        return NULL;
    if (connection->next < play->frames) {
        double due = (double)(at_us - connection->start_us) * server.rate / 1e6;
        if (server.rate > 0 && (double)(connection->next - connection->start_frame) > due)
            return NULL;
        return play->frame[connection->next++];
    }
    if (connection->heartbeats_due == 0 && at_us >= connection->heartbeat_us) {
        connection->heartbeats_due = play->heartbeats;
        connection->heartbeat_us = at_us + HEARTBEAT_US;
    }
    return connection->heartbeats_due > 0 ? play->heartbeat[--connection->heartbeats_due] : NULL;
}

static int on_writable(connection_t *connection)
{
    if (connection->closing) {
        lws_close_reason(connection->wsi, (enum lws_close_status)server.close_code,
                         (unsigned char *)server.close_text, strlen(server.close_text));
        return -1;
    }
    if (connection->big_bytes > 0)
        return big_write(connection);
    const char *frame = frame_due(connection, now_us());
    if (frame == NULL)
        return 0;
    (void)lws_callback_on_writable(connection->wsi);
    return text_write(connection->wsi, frame, strlen(frame), LWS_WRITE_TEXT);
}

/* ---- the other side ---- */

static void on_request(connection_t *connection)
{
    connection->request[connection->request_bytes] = '\0';
    connection->request_bytes = 0;
    say("request %s", connection->request);
    if (server.muted || strstr(connection->request, "\"subscribe\"") == NULL ||
        strstr(connection->request, "heartbeat") == NULL)
        return;
    connection->play = server.play;
    connection->next = 0;
    connection->start_frame = 0;
    connection->start_us = now_us();
    connection->heartbeats_due = 0;
    (void)lws_callback_on_writable(connection->wsi);
}

static int on_receive(connection_t *connection, const void *in, size_t bytes)
{
    if (connection->request_bytes + bytes >= REQUEST_BYTES_MAX)
        return -1;
    memcpy(connection->request + connection->request_bytes, in, bytes);
    connection->request_bytes += bytes;
    if (lws_is_final_fragment(connection->wsi) &&
        lws_remaining_packet_payload(connection->wsi) == 0)
        on_request(connection);
    return 0;
}

static int on_open(connection_t *connection, struct lws *wsi)
{
    memset(connection, 0, sizeof *connection);
    connection->wsi = wsi;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] == NULL) {
            server.connection[i] = connection;
            say("open %lld", (long long)now_us());
            return 0;
        }
    }
    return -1;
}

static void on_gone(const connection_t *connection)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] == connection)
            server.connection[i] = NULL;
    }
    say("gone %lld", (long long)now_us());
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t bytes)
{
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        server.tls = user;
        return 0;
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        say("accept %lld", (long long)now_us());
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        if (server.status == 0)
            return 0;
        (void)lws_return_http_status(wsi, server.status, NULL);
        return 1;
    case LWS_CALLBACK_ESTABLISHED:
        return on_open(user, wsi);
    case LWS_CALLBACK_RECEIVE:
        return on_receive(user, in, bytes);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(user);
    case LWS_CALLBACK_CLOSED:
        on_gone(user);
        return 0;
    default:
        return 0;
    }
}

/* ---- commands ---- */

static void certificate_set(const char *arguments)
{
    char certificate[COMMAND_BYTES_MAX];
    char key[COMMAND_BYTES_MAX];
    if (sscanf(arguments, "%4095s %4095s", certificate, key) != 2 ||
        SSL_CTX_use_certificate_chain_file(server.tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, key, SSL_FILETYPE_PEM) != 1)
        die("certificate", arguments);
}

static void rate_set(const char *argument)
{
    server.rate = strtod(argument, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        connection_t *connection = server.connection[i];
        if (connection == NULL)
            continue;
        connection->start_us = now_us();
        connection->start_frame = connection->next;
    }
}

static void each_cut(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] != NULL)
            lws_set_timeout(server.connection[i]->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
}

static void each_close(const char *arguments)
{
    char *text;
    server.close_code = (int)strtol(arguments, &text, 10);
    (void)snprintf(server.close_text, sizeof server.close_text, "%s", text + (*text == ' '));
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] != NULL)
            server.connection[i]->closing = true;
    }
}

static void each_big(const char *argument)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] != NULL)
            server.connection[i]->big_bytes = strtoul(argument, NULL, 10);
    }
}

static void command_run(char *line)
{
    size_t bytes = strcspn(line, " ");
    char *argument = line[bytes] == ' ' ? line + bytes + 1 : line + bytes;
    line[bytes] = '\0';
    if (strcmp(line, "rate") == 0)
        rate_set(argument);
    else if (strcmp(line, "frames") == 0)
        server.play = play_load(argument);
    else if (strcmp(line, "drop") == 0)
        each_cut();
    else if (strcmp(line, "freeze") == 0)
        server.frozen = true;
    else if (strcmp(line, "thaw") == 0)
        server.frozen = false;
    else if (strcmp(line, "mute") == 0)
        server.muted = *argument == '1';
    else if (strcmp(line, "close") == 0)
        each_close(argument);
    else if (strcmp(line, "big") == 0)
        each_big(argument);
    else if (strcmp(line, "status") == 0)
        server.status = (unsigned)strtoul(argument, NULL, 10);
    else if (strcmp(line, "certificate") == 0)
        certificate_set(argument);
    else
        die("no such command", line);
}

static void commands_read(void)
{
    ssize_t got = read(STDIN_FILENO, server.command + server.command_bytes,
                       sizeof server.command - 1 - server.command_bytes);
    if (got == 0)
        server.ended = true;
    if (got <= 0)
        return;
    server.command_bytes += (size_t)got;
    server.command[server.command_bytes] = '\0';
    for (char *end; (end = strchr(server.command, '\n')) != NULL;) {
        *end++ = '\0';
        command_run(server.command);
        server.command_bytes -= (size_t)(end - server.command);
        memmove(server.command, end, server.command_bytes + 1);
    }
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
    commands_read();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server.connection[i] != NULL)
            (void)lws_callback_on_writable(server.connection[i]->wsi);
    }
    lws_sul_schedule(server.context, 0, timer, on_timer, LOOK_US);
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {"venue", on_event, sizeof(connection_t), 65536, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0}};
    if (argc != 5)
        die("usage", "080_venue_server PORT CERTIFICATE KEY FRAMES");
    server.play = play_load(argv[4]);
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    lws_set_log_level(0, NULL);
    const struct lws_context_creation_info info = {
        .port = (int)strtol(argv[1], NULL, 10),
        .iface = "127.0.0.1",
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
        .ssl_cert_filepath = argv[2],
        .ssl_private_key_filepath = argv[3],
        .gid = -1,
        .uid = -1,
        .fd_limit_per_thread = 4 * CONNECTIONS_MAX,
    };
    server.context = lws_create_context(&info);
    struct lws_vhost *vhost =
        server.context != NULL ? lws_create_vhost(server.context, &info) : NULL;
    if (vhost == NULL)
        die("cannot listen on port", argv[1]);
    say("port %d", lws_get_vhost_listen_port(vhost));
    lws_sul_schedule(server.context, 0, &server.timer, on_timer, LOOK_US);
    while (!server.ended && lws_service(server.context, 0) >= 0)
        continue;
    lws_sul_cancel(&server.timer);
    lws_context_destroy(server.context);
    return 0;
}
