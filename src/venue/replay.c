#include "base/clock.h"
#include "base/mem.h"
#include "venue/recording.h"
#include "venue/source.h"

enum {
    CONNECTIONS_MAX = 64, /* ids told apart; venues are recorded over a handful of connections */
    ROUND_PAUSE_S = 1,    /* between the last event of a round and the first of the next */
};

static const double speed_min = 0.001;
static const double speed_max = 1e6;

typedef struct replay {
    tf_source_t source;
    tf_recording_t recording;
    double speed;
    bool loop;
    bool started;
    bool ended;
    bool round_had_event;
    bool link_up;
    bool record_held;
    bool next_held;

    uint64_t connections;
    tf_slice_t connection[CONNECTIONS_MAX]; /* ids that have connected in this round */

    tf_record_t record;     /* read, but not yet given out, while record_held */
    tf_source_event_t next; /* prepared, waiting until it is due, while next_held */

    int64_t file_ns;  /* file time so far in this round */
    int64_t shift_ns; /* added to file times; grows with every round */
    int64_t now_ns;   /* of the event given last */
    int64_t mono_start_ns;
} replay_t;

static int64_t max_ns(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- records -> events -------------------------------------------------------------------- */

/* Was this connection id seen in this round? It is remembered either way. An id beyond the table
 * counts as new for ever: its reconnects are then not told, as if they had not been recorded. */
static bool connection_known(replay_t *replay, tf_slice_t id)
{
    for (uint64_t i = 0; i < replay->connections; i++) {
        if (tf_slice_is_bytes(replay->connection[i], id.text, id.bytes)) {
            return true;
        }
    }
    if (replay->connections < CONNECTIONS_MAX) {
        replay->connection[replay->connections++] = id;
    }
    return false;
}

/* What the held record means now; OPENED and CLOSED leave it held where more is to come of it.
 * False: nothing, it is used up. */
static bool record_to_event(replay_t *replay, tf_source_event_type_t *type)
{
    const tf_record_t *record = &replay->record;
    if (record->type == TF_RECORD_HTTP || (record->type == TF_RECORD_FRAME && replay->link_up)) {
        replay->record_held = false;
        *type = record->type == TF_RECORD_HTTP ? TF_SOURCE_HTTP : TF_SOURCE_FRAME;
        return tf_recording_unescape(&replay->recording, &replay->record);
    }
    if (record->type == TF_RECORD_FRAME) { /* raw files, and captures cut off at their start */
        replay->link_up = true;
        *type = TF_SOURCE_OPENED;
        return true;
    }
    TF_ASSERT(record->type == TF_RECORD_CONNECT);
    const bool known = connection_known(replay, record->connection);
    if (replay->link_up && known) {
        replay->link_up = false;
        *type = TF_SOURCE_CLOSED;
        return true;
    }
    replay->record_held = false;
    *type = TF_SOURCE_OPENED;
    const bool was_up = replay->link_up;
    replay->link_up = true;
    return !was_up;
}

static void rewind_file(replay_t *replay)
{
    tf_recording_rewind(&replay->recording);
    replay->file_ns = replay->recording.first_ns;
    replay->connections = 0;
    replay->link_up = false;
    replay->round_had_event = false;
}

/* The file is read to its end: the event for that, or false when the next round simply goes on. */
static bool round_end(replay_t *replay, tf_source_event_t *event)
{
    *event = (tf_source_event_t){.now_ns = replay->file_ns + replay->shift_ns};
    if (!replay->loop || !replay->round_had_event) { /* the latter: out of memory all along */
        replay->ended = true;
        event->type = TF_SOURCE_ENDED;
        return true;
    }
    const bool was_up = replay->link_up;
    replay->shift_ns += replay->file_ns - replay->recording.first_ns + ROUND_PAUSE_S * TF_NS_PER_S;
    rewind_file(replay);
    event->type = TF_SOURCE_CLOSED;
    return was_up;
}

/* Make `next` the event that follows the one given last. */
static void next_prepare(replay_t *replay)
{
    tf_source_event_t *next = &replay->next;
    while (!replay->next_held) {
        if (!replay->record_held) {
            replay->record_held = tf_recording_next(&replay->recording, &replay->record);
            if (!replay->record_held) {
                replay->next_held = round_end(replay, next);
                continue;
            }
            if (replay->record.time_ns != TF_TIME_NONE) {
                replay->file_ns = max_ns(replay->file_ns, replay->record.time_ns);
            }
        }
        tf_source_event_type_t type = TF_SOURCE_IDLE;
        if (!record_to_event(replay, &type)) {
            continue;
        }
        *next = (tf_source_event_t){.type = type, .now_ns = replay->file_ns + replay->shift_ns};
        if (type == TF_SOURCE_FRAME || type == TF_SOURCE_HTTP) {
            next->text = replay->record.text.text;
            next->bytes = replay->record.text.bytes;
            next->url = replay->record.url;
        }
        replay->round_had_event = true;
        replay->next_held = true;
    }
}

/* ---- the source --------------------------------------------------------------------------- */

/* Real time from the first poll until the prepared event is due. */
static int64_t due_after_ns(const replay_t *replay)
{
    if (replay->speed <= 0.0) {
        return 0;
    }
    const double recorded_ns = (double)(replay->next.now_ns - replay->recording.first_ns);
    const double real_ns = recorded_ns / replay->speed;
    if (real_ns >= (double)(INT64_MAX / 2)) {
        return INT64_MAX / 2;
    }
    const int64_t due_ns = (int64_t)real_ns;
    return (double)due_ns < real_ns ? due_ns + 1 : due_ns;
}

static void idle_until(replay_t *replay, int64_t elapsed_ns, int64_t due_ns,
                       tf_source_event_t *event)
{
    const double virtual_ns = (double)elapsed_ns * replay->speed;
    const int64_t room_ns = replay->next.now_ns - replay->recording.first_ns;
    const int64_t passed_ns = virtual_ns < (double)room_ns ? (int64_t)virtual_ns : room_ns;
    replay->now_ns = max_ns(replay->now_ns, replay->recording.first_ns + passed_ns);
    *event = (tf_source_event_t){
        .type = TF_SOURCE_IDLE, .now_ns = replay->now_ns, .wake_in_ns = due_ns - elapsed_ns};
}

static void replay_poll(tf_source_t *source, int64_t mono_ns, int64_t wall_ns,
                        tf_source_event_t *event)
{
    replay_t *replay = (replay_t *)source;
    (void)wall_ns; /* a recording lives in its own time */
    if (!replay->started) {
        replay->started = true;
        replay->mono_start_ns = mono_ns;
    }
    if (replay->ended && !replay->next_held) {
        *event = (tf_source_event_t){
            .type = TF_SOURCE_IDLE, .now_ns = replay->now_ns, .wake_in_ns = INT64_MAX};
        return;
    }
    next_prepare(replay);
    const int64_t elapsed_ns = mono_ns - replay->mono_start_ns;
    const int64_t due_ns = due_after_ns(replay);
    if (elapsed_ns < due_ns) {
        idle_until(replay, elapsed_ns, due_ns, event);
        return;
    }
    TF_ASSERT(replay->next.now_ns >= replay->now_ns);
    replay->next_held = false;
    replay->now_ns = replay->next.now_ns;
    *event = replay->next;
}

static void replay_send(tf_source_t *source, const char *text, size_t bytes)
{
    (void)source;
    (void)text;
    (void)bytes;
}

static void replay_destroy(tf_source_t *source)
{
    replay_t *replay = (replay_t *)source;
    tf_recording_close(&replay->recording);
    tf_mem_free(replay);
}

static const tf_source_ops_t replay_ops = {
    .poll = replay_poll, .send = replay_send, .destroy = replay_destroy};

/* ---- opening ------------------------------------------------------------------------------ */

tf_status_t tf_replay_open(tf_source_t **out, const tf_replay_config_t *config)
{
    *out = NULL;
    const double speed = config->speed;
    if (speed != 0.0 && !(speed >= speed_min && speed <= speed_max)) {
        return tf_error(TF_ERR_ARG, "replay speed %g: must be 0 (unpaced) or %g..%g", speed,
                        speed_min, speed_max);
    }
    replay_t *replay = tf_mem_calloc(1, sizeof *replay);
    if (replay == NULL) {
        return tf_error(TF_ERR_MEMORY, "recording %s: out of memory", config->path);
    }
    replay->source.ops = &replay_ops;
    replay->source.virtual_clock = true;
    replay->speed = speed;
    replay->loop = config->loop;
    const tf_status_t status = tf_recording_open(&replay->recording, config->path);
    if (status != TF_OK) {
        tf_mem_free(replay);
        return status;
    }
    replay->now_ns = replay->recording.first_ns;
    rewind_file(replay);
    *out = &replay->source;
    return TF_OK;
}
