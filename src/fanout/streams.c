#include "base/mem.h"
#include "fanout/inside.h"

enum { STREAM_ROOM_MIN = 64 };

void tf_streams_mark(tf_fanout_t *fanout, uint32_t stream_index, bool at_once)
{
    tf_stream_t *stream = fanout->stream[stream_index];
    stream->urgent = stream->urgent || at_once;
    fanout->urgent = fanout->urgent || at_once;
    if (stream->dirty)
        return;
    stream->dirty = true;
    tf_index_list_add(&fanout->dirty[stream->channel.rate], stream_index);
}

void tf_streams_mark_kind(tf_fanout_t *fanout, uint32_t instrument, tf_kind_t kind, bool at_once)
{
    uint32_t index = fanout->market[instrument].first_stream[kind];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next)
        tf_streams_mark(fanout, index, at_once);
}

void tf_streams_mark_instrument(tf_fanout_t *fanout, uint32_t instrument)
{
    uint32_t home = fanout->env.view.directory.entry[instrument].home;
    for (int kind = 0; kind < TF_KIND_COUNT; kind++) {
        bool of_venue = tf_kind_of_venue((tf_kind_t)kind);
        tf_streams_mark_kind(fanout, of_venue ? home : instrument, (tf_kind_t)kind, !of_venue);
    }
}

void tf_streams_mark_all(tf_fanout_t *fanout)
{
    for (uint32_t i = 0; i < fanout->stream_used; i++) {
        if (fanout->stream[i] != NULL)
            tf_streams_mark(fanout, i, true);
    }
}

bool tf_streams_reserve(tf_fanout_t *fanout)
{
    if (fanout->stream_free.count > 0 || fanout->stream_used < fanout->stream_room)
        return true;
    uint32_t room = fanout->stream_room * 2 + STREAM_ROOM_MIN;
    if (room > TF_INDEX_LIMIT)
        return false; /* a subscription has 24 bits to name its stream */
    tf_stream_t **grown = tf_mem_realloc(fanout->stream, room, sizeof(tf_stream_t *));
    if (grown == NULL)
        return false;
    fanout->stream = grown;
    if (!tf_index_list_reserve(&fanout->stream_free, room))
        return false;
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        if (!tf_index_list_reserve(&fanout->dirty[rate], room))
            return false;
    }
    fanout->stream_room = room;
    return true;
}

void tf_streams_link(tf_fanout_t *fanout, tf_stream_t *stream, uint32_t index)
{
    uint32_t *first = &fanout->market[stream->instrument].first_stream[stream->channel.kind];
    stream->next = *first;
    *first = index;
}

tf_directory_find_t tf_streams_instrument(const tf_fanout_t *fanout, const tf_channel_t *channel,
                                          uint32_t *instrument)
{
    const tf_directory_t *directory = &fanout->env.view.directory;
    if (!tf_kind_of_venue(channel->kind))
        return tf_directory_find(directory, channel->venue, channel->symbol, instrument);
    *instrument = tf_directory_home(directory, channel->venue);
    return *instrument != TF_INSTRUMENT_NONE ? TF_DIRECTORY_FOUND : TF_DIRECTORY_NO_VENUE;
}

uint32_t tf_streams_find(const tf_fanout_t *fanout, const tf_channel_t *channel,
                         uint32_t instrument)
{
    uint32_t index = fanout->market[instrument].first_stream[channel->kind];
    for (; index != TF_INDEX_NONE; index = fanout->stream[index]->next) {
        const tf_channel_t *held = &fanout->stream[index]->channel;
        if (held->depth == channel->depth && held->rate == channel->rate)
            break;
    }
    return index;
}

bool tf_streams_get(tf_fanout_t *fanout, const tf_channel_t *channel, uint32_t instrument,
                    uint32_t *index)
{
    *index = tf_streams_find(fanout, channel, instrument);
    if (*index != TF_INDEX_NONE)
        return true;
    tf_stream_t *stream = tf_streams_reserve(fanout) ? tf_mem_calloc(1, sizeof *stream) : NULL;
    if (stream == NULL || !tf_stream_init(stream, &fanout->env, channel, instrument)) {
        tf_mem_free(stream);
        tf_count(fanout->stats, memory_refused_total, 1);
        return false;
    }
    *index = fanout->stream_free.count > 0 ? fanout->stream_free.item[--fanout->stream_free.count]
                                           : fanout->stream_used++;
    fanout->stream[*index] = stream;
    tf_streams_link(fanout, stream, *index);
    tf_stats_add(fanout->stats, TF_STAT_streams, 1);
    return true;
}

void tf_streams_drop(tf_fanout_t *fanout, uint32_t index)
{
    tf_stream_t *stream = fanout->stream[index];
    if (stream->instrument != TF_INSTRUMENT_NONE) {
        uint32_t *link = &fanout->market[stream->instrument].first_stream[stream->channel.kind];
        while (*link != index)
            link = &fanout->stream[*link]->next;
        *link = stream->next;
    } else {
        fanout->orphans--;
    }
    if (stream->dirty) {
        tf_index_list_t *list = &fanout->dirty[stream->channel.rate];
        uint32_t at = 0;
        while (list->item[at] != index)
            at++;
        list->item[at] = list->item[--list->count];
    }
    tf_stream_fini(stream);
    tf_mem_free(stream);
    fanout->stream[index] = NULL;
    tf_index_list_add(&fanout->stream_free, index);
    tf_stats_add(fanout->stats, TF_STAT_streams, (uint64_t)-1);
}

/* ---- emission ---- */

/* Emit the listed streams that may: all of a rate whose tick is due, else only the urgent ones.
 * Those that could not (busy image) or may not yet stay listed. */
static uint64_t emit_list(tf_fanout_t *fanout, tf_index_list_t *list, bool due)
{
    uint64_t emitted = 0;
    uint32_t kept = 0;
    uint32_t count = list->count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = list->item[i];
        tf_stream_t *stream = fanout->stream[index];
        bool done = false;
        if (stream->instrument != TF_INSTRUMENT_NONE && (due || stream->urgent)) {
            done = tf_delivery_emit(fanout, stream);
            emitted++;
        } else if (stream->instrument == TF_INSTRUMENT_NONE) {
            done = true; /* listed again when its instrument turns up */
        }
        if (done) {
            stream->dirty = false;
            stream->urgent = false;
        } else {
            list->item[kept++] = index;
            fanout->urgent = fanout->urgent || stream->urgent;
        }
    }
    list->count = kept;
    return emitted;
}

uint64_t tf_streams_emit_due(tf_fanout_t *fanout)
{
    uint64_t emitted = 0;
    bool urgent = fanout->urgent;
    fanout->urgent = false; /* until a stream turns out to need another try */
    for (int rate = 0; rate < TF_RATE_COUNT; rate++) {
        tf_index_list_t *list = &fanout->dirty[rate];
        bool due = fanout->mono_ns >= fanout->tick_ns[rate];
        if (list->count == 0 || (!due && !urgent))
            continue;
        emitted += emit_list(fanout, list, due);
        /* One clock for all streams of a rate: what a client gets goes out together. */
        if (due)
            fanout->tick_ns[rate] = fanout->mono_ns + tf_rate_period_ns((tf_rate_t)rate);
    }
    return emitted;
}
