/*
 * sink_clients: many connections that read and discard, in one thread with epoll. The other end of
 * bare_loop, and of the server with --ws.
 *
 *     sink_clients --port N --clients 2000 --seconds 60 [--host 127.0.0.1]
 *                  [--ws /v1 --send '{"id":1,...}' [--send2 TEXT]] [--latency]
 *                  [--watch FILE --watch-count 50]
 *
 * --ws does a WebSocket handshake for the path on each connection, --send (and --send2) goes out as
 * a text message after it; pings and closes are answered. Prints "ready" when all are connected,
 * and ends after `seconds` or when every connection was closed by the server, with one line:
 *
 *     bench sink_clients clients=2000 seconds=10.0 bytes=... frames=... closed=...
 * cpu_ns_per_frame=...
 *
 * --watch: FILE has one channel name per line; each client subscribes to --watch-count of them,
 * drawn by a fixed seed. --latency: after two seconds of warming up, also how long after their
 * publication (`tp`) messages were read here, by the first client and by the last of all:
 *
 *     bench sink_latency messages=500 first_p50_us=70 first_p99_us=... last_p50_us=...
 * last_p99_us=...
 *
 * bytes and frames count what came after "ready" only; frames are messages (text, binary), by their
 * headers, and 0 without --ws. A driver that wants the totals of the server's whole life asks the
 * server.
 */
#include "bench_args.h"
#include "sink_latency.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 19000,
    HANDSHAKE_PATIENCE_S = 30,
    HANDSHAKE_BYTES_MAX = 4096,
    MESSAGE_BYTES_MAX = 16384,
    WARM_UP_S = 2,
    WATCH_MAX = 2048,
    WATCH_NAME_BYTES_MAX = 128,
    CONTROL_BYTES_MAX = 125, /* RFC 6455 section 5.5 */
    READ_BYTES = 256 * 1024,
    EVENTS = 256,
    OPCODE_MASK = 0x0f,
    OPCODE_TEXT = 1,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
    FIN = 0x80,
    MASKED = 0x80,
};

typedef struct client {
    int fd;
    uint8_t header[10]; /* of the frame that is coming in */
    uint8_t header_bytes;
    uint8_t control_bytes;
    uint64_t payload_left;
    uint8_t control[CONTROL_BYTES_MAX];
    sink_head_t *head; /* --latency: how the message that is coming in begins */
} client_t;

typedef struct sink {
    struct sockaddr_in address;
    uint32_t clients;
    const char *ws_path; /* NULL: plain TCP */
    const char *messages[2];
    uint32_t watch_count; /* --watch: channels a client asks for, 0 = none */
    uint32_t watched;     /* names in the file */
    bool latency;
    uint64_t random;
    uint64_t bytes;
    uint64_t frames;
    uint32_t closed;
} sink_t;

static client_t clients[CLIENTS_MAX];
static uint8_t buffer[READ_BYTES];
static char watch[WATCH_MAX][WATCH_NAME_BYTES_MAX];

static void write_all(int fd, const void *data, size_t bytes)
{
    const uint8_t *next = data;
    while (bytes > 0) {
        ssize_t sent = send(fd, next, bytes, MSG_NOSIGNAL);
        if (sent < 0)
            bench_fail("send");
        next += sent;
        bytes -= (size_t)sent;
    }
}

/* A client's frame; the masking key is zero, so the payload stays as it is. */
static size_t frame_make(uint8_t *out, uint8_t opcode, const void *payload, size_t bytes)
{
    size_t at = 0;
    out[at++] = (uint8_t)(FIN | opcode);
    if (bytes <= CONTROL_BYTES_MAX) {
        out[at++] = (uint8_t)(MASKED | bytes);
    } else {
        out[at++] = MASKED | 126;
        out[at++] = (uint8_t)(bytes >> 8);
        out[at++] = (uint8_t)bytes;
    }
    (void)memset(out + at, 0, 4);
    at += 4;
    (void)memcpy(out + at, payload, bytes);
    return at + bytes;
}

static void send_message(int fd, const char *text)
{
    static uint8_t frame[MESSAGE_BYTES_MAX + 8];
    size_t bytes = strlen(text);
    if (bytes > MESSAGE_BYTES_MAX) {
        errno = EMSGSIZE;
        bench_fail("--send");
    }
    write_all(fd, frame, frame_make(frame, OPCODE_TEXT, text, bytes));
}

/* A pong for a ping, a close for a close, with the payload that came. */
static void answer(const client_t *client, uint8_t opcode)
{
    uint8_t frame[CONTROL_BYTES_MAX + 8];
    size_t bytes = frame_make(frame, opcode, client->control, client->control_bytes);
    (void)send(client->fd, frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT); /* full: the next ping */
}

static size_t header_bytes_of(const client_t *client)
{
    if (client->header_bytes < 2)
        return 2;
    uint8_t length = client->header[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

static uint64_t payload_bytes_of(const client_t *client)
{
    size_t end = header_bytes_of(client);
    if (end == 2)
        return client->header[1] & 0x7f;
    uint64_t bytes = 0;
    for (size_t i = 2; i < end; i++)
        bytes = bytes << 8 | client->header[i];
    return bytes;
}

static void on_frame(sink_t *sink, client_t *client)
{
    uint8_t opcode = client->header[0] & OPCODE_MASK;
    if (opcode == OPCODE_TEXT || opcode == OPCODE_BINARY) {
        sink->frames++;
        if (client->head != NULL)
            sink_latency_message(client->head);
    }
    if (opcode == OPCODE_PING)
        answer(client, OPCODE_PONG);
    else if (opcode == OPCODE_CLOSE)
        answer(client, OPCODE_CLOSE);
    client->header_bytes = 0;
    client->control_bytes = 0;
}

static size_t take_payload(client_t *client, const uint8_t *data, size_t bytes)
{
    size_t taken = bytes < client->payload_left ? bytes : (size_t)client->payload_left;
    bool is_control = (client->header[0] & 0x08) != 0;
    if (is_control && client->control_bytes + taken <= CONTROL_BYTES_MAX) {
        (void)memcpy(client->control + client->control_bytes, data, taken);
        client->control_bytes = (uint8_t)(client->control_bytes + taken);
    }
    if (!is_control && client->head != NULL)
        sink_latency_payload(client->head, data, taken);
    client->payload_left -= taken;
    return taken;
}

static void count_frames(sink_t *sink, client_t *client, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        size_t taken = 0;
        if (client->payload_left > 0) {
            taken = take_payload(client, data, bytes);
        } else {
            client->header[client->header_bytes++] = *data;
            taken = 1;
            if (client->header_bytes < header_bytes_of(client)) {
                data++;
                bytes--;
                continue;
            }
            client->payload_left = payload_bytes_of(client);
        }
        data += taken;
        bytes -= taken;
        if (client->payload_left == 0)
            on_frame(sink, client);
    }
}

/* Send the upgrade request, read up to the end of the answer's header, keep what follows. */
static void handshake(sink_t *sink, client_t *client)
{
    char text[HANDSHAKE_BYTES_MAX];
    int bytes = snprintf(text, sizeof text,
                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                         sink->ws_path, ntohs(sink->address.sin_port));
    write_all(client->fd, text, (size_t)bytes);
    size_t got = 0;
    const char *end = NULL;
    while (end == NULL) {
        ssize_t n =
            got + 1 < sizeof text ? recv(client->fd, text + got, sizeof text - 1 - got, 0) : 0;
        if (n <= 0)
            bench_fail("handshake");
        got += (size_t)n;
        text[got] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
        (void)fprintf(stderr, "%.*s\n", (int)strcspn(text, "\r"), text);
        errno = EPROTO;
        bench_fail("handshake refused");
    }
    count_frames(sink, client, (const uint8_t *)end + 4, got - (size_t)(end + 4 - text));
    for (size_t i = 0; i < 2; i++) {
        if (sink->messages[i] != NULL)
            send_message(client->fd, sink->messages[i]);
    }
}

/* xorshift64*: the same watch lists in every run. */
static uint32_t draw(sink_t *sink, uint32_t below)
{
    sink->random ^= sink->random >> 12;
    sink->random ^= sink->random << 25;
    sink->random ^= sink->random >> 27;
    return (uint32_t)((sink->random * 2685821657736338717ULL) >> 33) % below;
}

static void watch_read(sink_t *sink, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        bench_fail(path);
    while (sink->watched < WATCH_MAX &&
           fgets(watch[sink->watched], WATCH_NAME_BYTES_MAX, file) != NULL) {
        watch[sink->watched][strcspn(watch[sink->watched], "\n")] = '\0';
        sink->watched++;
    }
    (void)fclose(file);
    if (sink->watched < sink->watch_count) {
        errno = EINVAL;
        bench_fail("--watch-count is more than the file has");
    }
}

/* A run of names from a random place on: distinct, and every name as often as any other. */
static void watch_subscribe(sink_t *sink, const client_t *client)
{
    static char text[MESSAGE_BYTES_MAX];
    size_t at = (size_t)snprintf(text, sizeof text,
                                 "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"channels\":[");
    uint32_t stride = sink->watched / sink->watch_count;
    uint32_t start = draw(sink, sink->watched);
    for (uint32_t i = 0; i < sink->watch_count && at < sizeof text; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s\"%s\"", i == 0 ? "" : ",",
                               watch[(start + i * stride) % sink->watched]);
    if (at + 4 > sizeof text) {
        errno = EMSGSIZE;
        bench_fail("--watch-count");
    }
    (void)snprintf(text + at, sizeof text - at, "]}}");
    send_message(client->fd, text);
}

static void connect_one(sink_t *sink, client_t *client, int epoll)
{
    const int on = 1;
    struct timeval patience = {.tv_sec = HANDSHAKE_PATIENCE_S};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 ||
        setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        connect(client->fd, (struct sockaddr *)&sink->address, sizeof sink->address) != 0)
        bench_fail("connect");
    if (sink->ws_path != NULL)
        handshake(sink, client);
    if (sink->watch_count > 0)
        watch_subscribe(sink, client);
    if (sink->latency && (client->head = calloc(1, sizeof *client->head)) == NULL)
        bench_fail("memory");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (fcntl(client->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        bench_fail("epoll");
}

static void on_readable(sink_t *sink, client_t *client)
{
    ssize_t got = recv(client->fd, buffer, sizeof buffer, 0);
    if (got > 0) {
        if (sink->latency)
            sink_latency_now();
        sink->bytes += (uint64_t)got;
        if (sink->ws_path != NULL)
            count_frames(sink, client, buffer, (size_t)got);
    } else if (got == 0 || errno != EAGAIN) {
        (void)close(client->fd);
        sink->closed++;
    }
}

static void read_until(sink_t *sink, int epoll, int64_t end_ns)
{
    struct epoll_event events[EVENTS];
    while (sink->closed < sink->clients) {
        int64_t left_ns = end_ns - bench_clock_ns(CLOCK_MONOTONIC);
        if (left_ns <= 0)
            return;
        int count = epoll_wait(epoll, events, EVENTS, (int)(left_ns / 1000000) + 1);
        for (int i = 0; i < count; i++)
            on_readable(sink, events[i].data.ptr);
    }
}

static sink_t sink_from(int argc, char **argv)
{
    sink_t sink = {
        .address = bench_loopback((uint16_t)bench_number(argc, argv, "--port", 0, 65535)),
        .clients = bench_number(argc, argv, "--clients", 1000, CLIENTS_MAX),
        .ws_path = bench_text(argc, argv, "--ws", NULL),
        .messages = {bench_text(argc, argv, "--send", NULL),
                     bench_text(argc, argv, "--send2", NULL)},
        .latency = bench_flag(argc, argv, "--latency"),
        .random = 88172645463325252ULL,
    };
    const char *host = bench_text(argc, argv, "--host", "127.0.0.1");
    const char *watch_path = bench_text(argc, argv, "--watch", NULL);
    if (watch_path != NULL) {
        sink.watch_count = bench_number(argc, argv, "--watch-count", 50, WATCH_MAX);
        watch_read(&sink, watch_path);
    }
    if (sink.address.sin_port == 0 || inet_pton(AF_INET, host, &sink.address.sin_addr) != 1) {
        errno = EINVAL;
        bench_fail("--port N is needed, --host is an IPv4 address");
    }
    return sink;
}

int main(int argc, char **argv)
{
    sink_t sink = sink_from(argc, argv);
    uint32_t seconds = bench_number(argc, argv, "--seconds", 60, 3600);
    bench_raise_fd_limit();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        bench_fail("epoll");
    for (uint32_t i = 0; i < sink.clients; i++)
        connect_one(&sink, &clients[i], epoll);
    (void)printf("ready\n");
    (void)fflush(stdout);

    /* What piled up in the sockets while the others connected says nothing about the server. */
    if (sink.latency)
        read_until(&sink, epoll, bench_clock_ns(CLOCK_MONOTONIC) + WARM_UP_S * 1000000000LL);
    sink.bytes = 0;
    sink.frames = 0;
    sink_latency_begin(sink.clients);
    int64_t begin_ns = bench_clock_ns(CLOCK_MONOTONIC);
    int64_t begin_cpu_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    read_until(&sink, epoll, begin_ns + seconds * 1000000000LL);
    int64_t cpu_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_cpu_ns;
    double took_s = (double)(bench_clock_ns(CLOCK_MONOTONIC) - begin_ns) / 1e9;
    (void)printf("bench sink_clients clients=%u seconds=%.1f bytes=%" PRIu64 " frames=%" PRIu64
                 " closed=%u cpu_ns_per_frame=%" PRIu64 "\n",
                 sink.clients, took_s, sink.bytes, sink.frames, sink.closed,
                 sink.frames == 0 ? 0 : (uint64_t)cpu_ns / sink.frames);
    if (sink.latency)
        sink_latency_print();
    return 0;
}
