#include "app/tap.h"

#include "app/tap_text.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    EXIT_CLOSED = 0,
    EXIT_LOST = 1,
    EXIT_ARGUMENT = 2,
    EXIT_LAPPED = 3,
    FLUSH_BYTES = 64 * 1024,
    POLL_MS = 2, /* tap polls: it must never cost the writer anything */
};

typedef struct tap {
    const tf_options_t *options;
    tf_reader_t *reader;
    tf_tap_style_t style;
    tf_buf_t out;
    tf_instrument_view_t *view; /* by instrument index; symbol[0] == 0 = not read yet */
    uint32_t view_count;
    bool from_start;
    bool lapped;
    bool output_gone;
    bool stop_asked;
    int signal_fd; /* readable: SIGTERM or SIGINT came */
} tap_t;

/* tf_check() has refused every other word. */
static void styles_take(tap_t *tap)
{
    tap->style.json = strcmp(tap->options->format.text, "json") == 0;
    tap->from_start = strcmp(tap->options->from.text, "start") == 0;
    tap->style.publication = strcmp(tap->options->times.text, "venue") != 0;
}

/* Wait for `for_ms`, or until a signal asks to stop. */
static void look_for_stop(tap_t *tap, int for_ms)
{
    struct pollfd signals = {.fd = tap->signal_fd, .events = POLLIN};
    if (poll(&signals, 1, for_ms) > 0)
        tap->stop_asked = true;
}

/* Wait for the region as long as was allowed. */
static bool open_region(tap_t *tap)
{
    int64_t until_ns =
        tf_clock_mono_ns(&tf_clock_system) + tap->options->wait_ms.number * TF_NS_PER_MS;
    for (;;) {
        const char *error;
        tap->reader = tf_reader_open(tap->options->region.text, &error);
        if (tap->reader != NULL)
            break;
        if (tap->stop_asked || tf_clock_mono_ns(&tf_clock_system) >= until_ns)
            return false; /* `error` is this thread's error trail */
        look_for_stop(tap, POLL_MS);
    }
    tap->view_count = tf_reader_instruments_max(tap->reader);
    tap->view = tf_mem_calloc(tap->view_count, sizeof *tap->view);
    if (tap->view == NULL) {
        (void)tf_error(TF_ERR_MEMORY, "out of memory for %u instruments", tap->view_count);
        return false;
    }
    return true;
}

static void flush(tap_t *tap)
{
    size_t done = 0;
    while (done < tap->out.bytes && !tap->output_gone) {
        ssize_t written = write(STDOUT_FILENO, tap->out.data + done, tap->out.bytes - done);
        if (written > 0)
            done += (size_t)written;
        else if (errno != EINTR)
            tap->output_gone = true; /* a closed pipe: nobody listens any more */
    }
    tf_buf_reset(&tap->out);
}

static void print_lapped(tap_t *tap)
{
    tap->lapped = true;
    tf_tap_lapped_line(&tap->out, &tap->style, tf_reader_lapped_count(tap->reader));
}

static tf_reader_health_t health(const tap_t *tap)
{
    return tf_reader_health(tap->reader, tf_clock_mono_ns(&tf_clock_system),
                            tap->options->lost_ms.number * TF_NS_PER_MS);
}

/* Names never change within an epoch, so each is read once. An entry that stays busy was left so by
 * a dead writer: its events are printed without a name, and follow() tells the rest. */
static const tf_instrument_view_t *view_of(tap_t *tap, uint32_t index)
{
    static const tf_instrument_view_t unknown = {.symbol = "?", .venue = "?"};
    if (index >= tap->view_count)
        return &unknown;
    tf_instrument_view_t *view = &tap->view[index];
    while (view->symbol[0] == '\0') {
        tf_image_result_t result = tf_reader_instrument(tap->reader, index, view);
        if (result == TF_IMAGE_OK)
            break;
        if (result == TF_IMAGE_BUSY)
            look_for_stop(tap, POLL_MS);
        if (result == TF_IMAGE_RANGE || tap->stop_asked || health(tap) != TF_READER_ALIVE)
            return &unknown;
    }
    return view;
}

/* Print everything that is there; returns how many events that were. */
static uint64_t drain(tap_t *tap)
{
    uint64_t events = 0;
    for (;;) {
        const tf_event_t *event;
        tf_poll_t polled = tf_reader_poll(tap->reader, &event);
        if (polled == TF_POLL_EMPTY || tap->output_gone || tap->stop_asked)
            break;
        if (polled == TF_POLL_LAPPED)
            print_lapped(tap);
        else
            tf_tap_line(&tap->out, &tap->style, event, view_of(tap, event->instrument));
        events++;
        if (tap->out.bytes >= FLUSH_BYTES)
            flush(tap);
    }
    flush(tap);
    return events;
}

static int follow(tap_t *tap)
{
    for (;;) {
        /* Health first: what a closing writer published before is then still drained. */
        tf_reader_health_t now = health(tap);
        uint64_t events = drain(tap);
        if (tap->output_gone || tap->stop_asked)
            return EXIT_CLOSED;
        if (events == 0 && (now == TF_READER_CLOSED || now == TF_READER_NEW_EPOCH))
            return tap->from_start && tap->lapped ? EXIT_LAPPED : EXIT_CLOSED;
        if (events == 0 && now == TF_READER_LOST) {
            tf_log(TF_LOG_ERROR, "ingest_lost", "region=%s hint=\"its writer hangs or was killed\"",
                   tap->options->region.text);
            return EXIT_LOST;
        }
        look_for_stop(tap, events == 0 ? POLL_MS : 0);
    }
}

/* SIGTERM and SIGINT become readable; a closed pipe becomes an error of write(2). */
static tf_status_t take_signals(tap_t *tap)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    tap->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return tap->signal_fd >= 0 ? TF_OK
                               : tf_error(TF_ERR_SYS, "signalfd: %s", strerrordesc_np(errno));
}

int tf_tap(const tf_options_t *options)
{
    tap_t tap = {.options = options, .signal_fd = -1};
    int code = EXIT_ARGUMENT;
    styles_take(&tap);
    if (take_signals(&tap) == TF_OK && open_region(&tap)) {
        if (!tf_reader_seek(tap.reader, tap.from_start ? TF_FROM_START : TF_FROM_NOW))
            print_lapped(&tap);
        code = follow(&tap);
    }
    if (tap.signal_fd >= 0)
        (void)close(tap.signal_fd);
    tf_reader_close(tap.reader);
    tf_mem_free(tap.view);
    tf_buf_fini(&tap.out);
    return code;
}
