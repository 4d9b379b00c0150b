/*
 * latency_bench: from the receipt of a venue's frame to the submission of the first client's send,
 * on an idle server: one venue frame at a time, one client, real io_uring, the writer and the
 * fan-out thread on two cores.
 *
 *     latency_bench
 *
 * The clock starts when the frame is handed to ingest, and stops when the fan-out thread is about
 * to hand the send to the kernel: a thin io around the real one looks at the clock there. Sleeping
 * (the bell has to wake the thread) and spinning take turns.
 */
#include "kit/kit.h"

#include "base/clock.h"
#include "base/log.h"
#include "fanout/fanout.h"
#include "ingest/ingest.h"
#include "io/io.h"
#include "session/rpc.h"
#include "unit/region/region_kit.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, SAMPLES = 200, PAUSE_US = 4000, PATIENCE_MS = 2000, FRAME_BYTES = 512 };

/* ---- an io that looks at the clock when sends are handed over ---- */

typedef struct watch_io {
    tf_io_t io;
    tf_io_t *inner;
    bool queued;
    _Atomic int64_t submit_ns; /* of the last submit that had a send */
} watch_io_t;

static watch_io_t *watch_of(tf_io_t *io)
{
    return (watch_io_t *)io;
}

static void watch_destroy(tf_io_t *io)
{
    tf_io_destroy(watch_of(io)->inner);
}

static tf_status_t watch_listen(tf_io_t *io, int fd)
{
    return tf_io_listen(watch_of(io)->inner, fd);
}

static void watch_accept_again(tf_io_t *io, uint32_t listener)
{
    tf_io_accept_again(watch_of(io)->inner, listener);
}

static tf_status_t watch_watch(tf_io_t *io, int fd)
{
    return tf_io_watch(watch_of(io)->inner, fd);
}

static void watch_recv_start(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_io_recv_start(watch_of(io)->inner, fd, handle);
}

static void watch_recv_stop(tf_io_t *io, tf_io_handle_t handle)
{
    tf_io_recv_stop(watch_of(io)->inner, handle);
}

static void watch_send(tf_io_t *io, int fd, tf_io_handle_t handle, const void *data, size_t bytes)
{
    watch_of(io)->queued = true;
    tf_io_send(watch_of(io)->inner, fd, handle, data, bytes);
}

static void watch_writable(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_io_writable(watch_of(io)->inner, fd, handle);
}

static void watch_close(tf_io_t *io, int fd, tf_io_handle_t handle)
{
    tf_io_close(watch_of(io)->inner, fd, handle);
}

static void watch_submit(tf_io_t *io)
{
    watch_io_t *watch = watch_of(io);
    if (watch->queued)
        atomic_store_explicit(&watch->submit_ns, tf_clock_mono_ns(&tf_clock_system),
                              memory_order_release);
    watch->queued = false;
    tf_io_submit(watch->inner);
}

static void watch_wait(tf_io_t *io, int64_t timeout_ns)
{
    tf_io_wait(watch_of(io)->inner, timeout_ns);
}

static bool watch_next(tf_io_t *io, tf_io_event_t *event)
{
    return tf_io_next(watch_of(io)->inner, event);
}

static const tf_io_ops_t watch_ops = {
    .destroy = watch_destroy,
    .listen = watch_listen,
    .accept_again = watch_accept_again,
    .watch = watch_watch,
    .recv_start = watch_recv_start,
    .recv_stop = watch_recv_stop,
    .send = watch_send,
    .writable = watch_writable,
    .close = watch_close,
    .submit = watch_submit,
    .wait = watch_wait,
    .next = watch_next,
};

/* ---- a venue that sends a frame when it is told to ---- */

typedef struct venue {
    tf_source_t source;
    char text[FRAME_BYTES];
    size_t bytes;
    int steps; /* 0: not opened yet */
    bool armed;
    uint64_t sent;
} venue_t;

static void venue_poll(tf_source_t *source, int64_t mono_ns, int64_t wall_ns,
                       tf_source_event_t *event)
{
    venue_t *venue = (venue_t *)source;
    (void)mono_ns;
    *event =
        (tf_source_event_t){.type = TF_SOURCE_IDLE, .now_ns = wall_ns, .wake_in_ns = INT64_MAX};
    if (venue->steps == 0) {
        event->type = TF_SOURCE_OPENED;
    } else if (venue->armed) {
        event->type = TF_SOURCE_FRAME;
        event->text = venue->text;
        event->bytes = venue->bytes;
        venue->armed = false;
    }
    venue->steps++;
}

static void venue_send(tf_source_t *source, const char *text, size_t bytes)
{
    (void)source;
    (void)text;
    (void)bytes;
}

static void venue_destroy(tf_source_t *source)
{
    (void)source;
}

static const tf_source_ops_t venue_ops = {
    .poll = venue_poll, .send = venue_send, .destroy = venue_destroy};

static void venue_snapshot(venue_t *venue)
{
    venue->bytes = (size_t)snprintf(
        venue->text, sizeof venue->text,
        "{\"type\":\"snapshot\",\"product_id\":\"BTC-USD\",\"asks\":[[\"64000.01\",\"1.00000000\"]]"
        ","
        "\"bids\":[[\"64000.00\",\"1.00000000\"]],\"time\":\"2026-07-07T22:58:17.038046Z\"}");
    venue->armed = true;
}

static void venue_change(venue_t *venue)
{
    venue->sent++;
    venue->bytes = (size_t)snprintf(
        venue->text, sizeof venue->text,
        "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[[\"buy\",\"64000.00\","
        "\"%lu.00000000\"]],\"time\":\"2026-07-07T22:58:19.850643Z\"}",
        (unsigned long)(2 + venue->sent % 7));
    venue->armed = true;
}

/* ---- the fan-out thread ---- */

typedef struct server {
    tf_fanout_config_t config;
    tf_stats_t stats;
    _Atomic uint64_t closes[TF_WS_CLOSE_COUNT];
    watch_io_t watch;
    int listen_fd;
    tf_bell_t bell;
    sem_t ready;
    _Atomic bool stop;
    pthread_t thread;
} server_t;

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *server_run(void *context)
{
    server_t *server = context;
    tf_io_config_t io_config = tf_io_config_default;
    tf_fanout_t *fanout;
    int64_t wake_in_ns;
    pin(0);
    io_config.connections_max = server->config.connections_max;
    server->watch.io.ops = &watch_ops;
    assert_int_equal(tf_io_uring_create(&server->watch.inner, &io_config, &server->stats), TF_OK);
    assert_int_equal(tf_fanout_create(&fanout, &server->config, &server->watch.io, &server->stats,
                                      server->closes),
                     TF_OK);
    assert_int_equal(tf_fanout_listen(fanout, server->listen_fd), TF_OK);
    (void)sem_post(&server->ready);
    while (!atomic_load_explicit(&server->stop, memory_order_acquire)) {
        (void)tf_fanout_step(fanout, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        tf_fanout_sleep(fanout, wake_in_ns);
    }
    tf_fanout_destroy(fanout);
    return NULL;
}

static uint16_t server_listen(server_t *server)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof name;
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&name, bytes), 0);
    assert_int_equal(listen(server->listen_fd, 16), 0);
    assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&name, &bytes), 0);
    return ntohs(name.sin_port);
}

/* ---- the client ---- */

static void client_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static int client_open(uint16_t port)
{
    static const char request[] = "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"channels\":["
                                  "\"book.bench.BTC-USD.10.raw\"]}}";
    char frame[sizeof request + 8];
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    client_send(fd, "GET /v1/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    size_t bytes = sizeof request - 1;
    assert_true(bytes <= 125);
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | bytes); /* the masking key is zero */
    memset(frame + 2, 0, 4);
    memcpy(frame + 6, request, bytes);
    assert_int_equal(send(fd, frame, bytes + 6, MSG_NOSIGNAL), (ssize_t)bytes + 6);
    return fd;
}

static void client_drain(int fd)
{
    static char rest[65536];
    while (recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        continue;
}

/* ---- samples ---- */

typedef struct bench {
    t_region_t t;
    venue_t venue;
    tf_ingest_t *ingest;
    server_t server;
    int client;
} bench_t;

static void ingest_turn(bench_t *bench)
{
    int64_t wake_in_ns;
    (void)tf_ingest_step(bench->ingest, tf_clock_mono_ns(&tf_clock_system),
                         tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
}

static void bench_open(bench_t *bench, int64_t spin_ns)
{
    static const char *const symbols[] = {"BTC-USD", NULL};
    memset(bench, 0, sizeof *bench);
    t_region_init(&bench->t, spin_ns > 0 ? "latency-spin" : "latency-sleep");
    bench->t.clock = tf_clock_system;
    (void)t_region_create(&bench->t);
    assert_int_equal(tf_bell_open(&bench->server.bell), TF_OK);
    assert_int_equal(tf_region_bell_add(bench->t.region, &bench->server.bell), TF_OK);
    assert_int_equal(
        tf_ingest_create(&bench->ingest, bench->t.region, &bench->t.clock, &bench->t.stats), TF_OK);
    bench->venue.source.ops = &venue_ops;
    const tf_ingest_link_t link = {"bench", tf_adapter_find("coinbase", strlen("coinbase")),
                                   &bench->venue.source, symbols};
    assert_int_equal(tf_ingest_link_add(bench->ingest, &link), TF_OK);
    venue_snapshot(&bench->venue);
    for (int i = 0; i < 4; i++)
        ingest_turn(bench);
    server_t *server = &bench->server;
    server->config = tf_fanout_config_default;
    server->config.region = bench->t.name;
    server->config.version = "bench";
    server->config.connections_max = 16;
    server->config.bell = &server->bell;
    server->config.spin_ns = spin_ns;
    uint16_t port = server_listen(server);
    (void)sem_init(&server->ready, 0, 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
    (void)sem_wait(&server->ready);
    bench->client = client_open(port);
}

static void bench_close(bench_t *bench)
{
    atomic_store_explicit(&bench->server.stop, true, memory_order_release);
    (void)eventfd_write(bench->server.bell.fd, 1);
    (void)pthread_join(bench->server.thread, NULL);
    (void)close(bench->client);
    (void)close(bench->server.listen_fd);
    tf_ingest_destroy(bench->ingest);
    t_region_close(&bench->t);
    tf_bell_close(&bench->server.bell);
}

/* From the frame to the submit, in us; negative when no send came. */
static double sample(bench_t *bench)
{
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};
    (void)nanosleep(&pause, NULL);
    client_drain(bench->client);
    int64_t before = atomic_load_explicit(&bench->server.watch.submit_ns, memory_order_acquire);
    venue_change(&bench->venue);
    int64_t begin_ns = tf_clock_mono_ns(&tf_clock_system);
    ingest_turn(bench);
    int64_t submit_ns = before;
    while (submit_ns == before &&
           tf_clock_mono_ns(&tf_clock_system) - begin_ns < PATIENCE_MS * TF_NS_PER_MS)
        submit_ns = atomic_load_explicit(&bench->server.watch.submit_ns, memory_order_acquire);
    return submit_ns == before ? -1 : (double)(submit_ns - begin_ns) / TF_NS_PER_US;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print(const char *mode, double *us, int count)
{
    qsort(us, (size_t)count, sizeof *us, by_value);
    assert_true(us[0] >= 0);
    (void)printf("bench first_send mode=%s samples=%d p50_us=%.1f p90_us=%.1f p99_us=%.1f\n", mode,
                 count, us[count / 2], us[count * 9 / 10], us[count * 99 / 100]);
}

int main(void)
{
    static bench_t bench;
    static double us[2][ROUNDS * SAMPLES];
    int count[2] = {0, 0};
    tf_rpc_init();
    tf_log_level_set(TF_LOG_WARN);
    pin(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0);
    for (int round = 0; round < ROUNDS * 2; round++) {
        int mode = round % 2;
        bench_open(&bench, mode == 1 ? TF_NS_PER_S : 0);
        for (int i = 0; i < 10; i++)
            (void)sample(&bench); /* the handshake and the snapshot are on their way */
        for (int i = 0; i < SAMPLES; i++)
            us[mode][count[mode]++] = sample(&bench);
        bench_close(&bench);
    }
    print("sleeping", us[0], count[0]);
    print("spinning", us[1], count[1]);
    return 0;
}
