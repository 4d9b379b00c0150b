/*
 * source: where a venue link's frames come from: a recording (replay.c), the simulated venue
 * (sim.c), the venue itself (link.h). Owned and polled by one ingest thread; never blocks. Flow:
 * [source] -> adapter -> ingest.
 *
 * A source has its own clock. For live data it is the wall clock; a recording has a virtual one, so
 * that receive times and time-outs come out the same at any replay speed. Ingest takes every time
 * of a link from here.
 */
#pragma once

#include "base/assert.h"
#include "base/status.h"
#include "venue/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum tf_source_event_type {
    TF_SOURCE_IDLE,   /* nothing now; `now_ns` says how far the source's clock got */
    TF_SOURCE_OPENED, /* a connection to the venue is up: subscribe, baselines start anew */
    TF_SOURCE_FRAME,  /* one text frame from the venue */
    TF_SOURCE_HTTP,   /* one REST body from the venue; `url` names it */
    TF_SOURCE_CLOSED, /* the connection is gone; OPENED follows if the source tries again */
    TF_SOURCE_ENDED,  /* a recording is over: as CLOSED, and nothing will follow */
} tf_source_event_type_t;

typedef struct tf_source_event {
    tf_source_event_type_t type;
    int64_t now_ns; /* the source's wall clock at this event (receive time of a frame), never less
                       than at the event before */
    int64_t
        wake_in_ns;   /* IDLE: real time until polling again makes sense; INT64_MAX = not by time */
    const char *text; /* FRAME, HTTP: the source's memory, valid until the next poll */
    size_t bytes;
    tf_slice_t url; /* HTTP */
} tf_source_event_t;

typedef struct tf_source tf_source_t;

typedef struct tf_source_ops {
    /* The next event. `mono_ns` is the real monotonic clock, `wall_ns` the real wall clock; a
     * source with a virtual clock uses mono_ns only to pace itself. */
    void (*poll)(tf_source_t *source, int64_t mono_ns, int64_t wall_ns, tf_source_event_t *event);

    /* A request frame for the venue. A recording has nobody to ask and ignores it. */
    void (*send)(tf_source_t *source, const char *text, size_t bytes);

    /* A market message was decoded: the connection is of use. NULL: nobody asks. */
    void (*good)(tf_source_t *source);

    void (*destroy)(tf_source_t *source);
} tf_source_ops_t;

/* First member of every source. */
struct tf_source {
    const tf_source_ops_t *ops;
    /* Its times are not the wall clock's: delays measured with them mean nothing. */
    bool virtual_clock;
};

/*
 * A recording as a source. Formats, told apart by their first line:
 *   raw        one text frame per line (no receive times: the frame's own event time is used, and
 *              never goes back; frames without one take the time of the frame before)
 *   capture 2  JSON objects {"t":"header"|"connect"|"send"|"recv"|"http", "ts":seconds, "data":...}
 *
 * speed  0 = as fast as possible, 1 = as recorded, n = n times faster
 * loop   start again at the end: CLOSED, then OPENED with times continued. The virtual clock of a
 * later round is shifted so that it goes on where the round before ended, plus one second.
 * TF_ERR_ABSENT or TF_ERR_FORMAT with the file's name and line in the error trail. The file is
 * mapped; lines over 16 MiB are refused.
 */
typedef struct tf_replay_config {
    const char *path;
    double speed;
    bool loop;
} tf_replay_config_t;

TF_MUST_CHECK tf_status_t tf_replay_open(tf_source_t **out, const tf_replay_config_t *config);

/*
 * The simulated venue as a source: speaks Coinbase Exchange's format, answers its subscribe and
 * unsubscribe requests, so nothing downstream knows that it is not real. Seeded: the same config
 * and requests give the same bytes (event times are offsets from the first poll).
 */
typedef struct tf_sim_config {
    uint64_t seed;
    uint32_t instruments; /* 1..2000; the first ones are familiar: BTC-USD, ETH-USD, ... */
    double updates_per_s; /* book messages per second and instrument, mean */
    double trades_per_s;  /* trades per second and instrument, mean; clustered */
    uint32_t depth;       /* levels a side around which a book hovers */
    double burst_every_s; /* mean time between bursts (all instruments at once); 0 = none */
    double burst_factor;  /* how many times busier a burst is */
} tf_sim_config_t;

extern const tf_sim_config_t tf_sim_config_default;

/* TF_ERR_ARG names the figure that is out of range. */
TF_MUST_CHECK tf_status_t tf_sim_config_check(const tf_sim_config_t *config);

TF_MUST_CHECK tf_status_t tf_sim_open(tf_source_t **out, const tf_sim_config_t *config);

/* The canonical symbol of the simulated instrument `index`; out has TF_SYMBOL_BYTES_MAX bytes. */
void tf_sim_symbol(uint32_t index, char *out);
