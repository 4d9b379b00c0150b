/*
 * bare_loop: the reference for the fan-out CPU budget. The least a program can do to send the same
 * bytes to many sockets through io_uring: no abstraction, no receive, no bookkeeping; it shares no
 * code with the server on purpose.
 *
 *     bare_loop --clients 2000 --bytes 300 --rate 50 --seconds 10 [--send-loop]
 *
 * Prints "port N", waits for the clients (sink_clients --port N --clients 2000), sends `rate` times
 * a second to each, for `seconds`, and prints one line:
 *
 *     bench bare_loop mode=uring clients=2000 bytes=300 ... cpu_ns_per_frame=2345
 *
 * cpu_ns_per_frame is the CPU time of the sending thread, all of it from the first tick to the
 * last, per send that the socket took whole. --send-loop: send(2) in a loop instead, the second
 * reference. Run it pinned to one core and the sink to another (bare_loop.sh does).
 */
#include "bench_args.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

enum {
    CLIENTS_MAX = 19000,
    BYTES_MAX = 65536,
    BATCH = 1024, /* sends per system call, the server's default */
    ACCEPT_PATIENCE_S = 30,
    NOTSENT_LOWAT_BYTES = 16384, /* as the server sets it */
};

typedef struct result {
    uint64_t delivered;
    uint64_t short_or_full;
    uint64_t failed;
} result_t;

typedef struct bench {
    uint32_t clients;
    uint32_t bytes;
    uint32_t rate;
    uint32_t seconds;
    bool send_loop;
    struct io_uring ring;
    result_t result;
    uint64_t ticks;
    uint64_t ticks_skipped; /* the one before was not over in time */
} bench_t;

static int fds[CLIENTS_MAX];
static char frame[BYTES_MAX];

static void count(bench_t *bench, int64_t sent)
{
    if (sent == bench->bytes)
        bench->result.delivered++;
    else if (sent >= 0 || sent == -EAGAIN)
        bench->result.short_or_full++;
    else
        bench->result.failed++;
}

static void open_ring(struct io_uring *ring)
{
    int result = io_uring_queue_init(BATCH, ring,
                                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG);
    if (result < 0) {
        errno = -result;
        bench_fail("io_uring");
    }
    (void)io_uring_register_ring_fd(ring);
}

static void send_batch(bench_t *bench, const int *batch_fds, uint32_t batch)
{
    struct io_uring *ring = &bench->ring;
    for (uint32_t i = 0; i < batch; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        io_uring_prep_send(sqe, batch_fds[i], frame, bench->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(sqe, i);
    }
    int submitted = io_uring_submit(ring);
    if (submitted != (int)batch) {
        errno = submitted < 0 ? -submitted : EIO;
        bench_fail("submit");
    }
    unsigned head;
    unsigned seen = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(ring, head, cqe)
    {
        count(bench, cqe->res);
        seen++;
    }
    io_uring_cq_advance(ring, seen);
    if (seen != batch) {
        errno = EPROTO; /* the premise of the bench: all sends are over when the call returns */
        bench_fail("sends not completed inside submit");
    }
}

static void tick(bench_t *bench)
{
    if (bench->send_loop) {
        for (uint32_t i = 0; i < bench->clients; i++) {
            ssize_t sent = send(fds[i], frame, bench->bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
            count(bench, sent >= 0 ? sent : -errno);
        }
        return;
    }
    for (uint32_t done = 0; done < bench->clients; done += BATCH) {
        uint32_t left = bench->clients - done;
        send_batch(bench, fds + done, left < BATCH ? left : BATCH);
    }
}

static int listen_and_tell(void)
{
    struct sockaddr_in address = bench_loopback(0);
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = ACCEPT_PATIENCE_S};
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        bench_fail("listen");
    (void)printf("port %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void accept_all(const bench_t *bench, int listener)
{
    const int on = 1;
    const int lowat_bytes = NOTSENT_LOWAT_BYTES;
    for (uint32_t i = 0; i < bench->clients; i++) {
        fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fds[i] < 0)
            bench_fail("accept");
        if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
            setsockopt(fds[i], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat_bytes, sizeof lowat_bytes) !=
                0)
            bench_fail("setsockopt");
    }
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

/* A tick that is over late takes the place of the next ones: no burst makes up for them. */
static void run(bench_t *bench)
{
    int64_t period_ns = 1000000000LL / bench->rate;
    int64_t next_ns = bench_clock_ns(CLOCK_MONOTONIC);
    int64_t end_ns = next_ns + bench->seconds * 1000000000LL;
    while (next_ns < end_ns) {
        sleep_until(next_ns);
        tick(bench);
        bench->ticks++;
        next_ns += period_ns;
        for (int64_t now_ns = bench_clock_ns(CLOCK_MONOTONIC); next_ns < now_ns;
             next_ns += period_ns)
            bench->ticks_skipped++;
    }
}

int main(int argc, char **argv)
{
    static bench_t bench;
    bench.clients = bench_number(argc, argv, "--clients", 1000, CLIENTS_MAX);
    bench.bytes = bench_number(argc, argv, "--bytes", 300, BYTES_MAX);
    bench.rate = bench_number(argc, argv, "--rate", 20, 100000);
    bench.seconds = bench_number(argc, argv, "--seconds", 5, 3600);
    bench.send_loop = bench_flag(argc, argv, "--send-loop");
    (void)memset(frame, 'x', sizeof frame);
    bench_raise_fd_limit();
    if (!bench.send_loop)
        open_ring(&bench.ring);
    accept_all(&bench, listen_and_tell());

    int64_t begin_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    run(&bench);
    int64_t cpu_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;

    const result_t *result = &bench.result;
    (void)printf("bench bare_loop mode=%s clients=%u bytes=%u rate=%u seconds=%u ticks=%" PRIu64
                 " ticks_skipped=%" PRIu64 " delivered=%" PRIu64 " short_or_full=%" PRIu64
                 " failed=%" PRIu64 " cpu_percent=%.1f cpu_ns_per_frame=%" PRIu64 "\n",
                 bench.send_loop ? "send" : "uring", bench.clients, bench.bytes, bench.rate,
                 bench.seconds, bench.ticks, bench.ticks_skipped, result->delivered,
                 result->short_or_full, result->failed,
                 (double)cpu_ns / 1e7 / (double)bench.seconds,
                 result->delivered == 0 ? 0 : (uint64_t)cpu_ns / result->delivered);
    return result->delivered > 0 && result->failed == 0 ? 0 : 1;
}
