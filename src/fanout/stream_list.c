#include "base/mem.h"
#include "fanout/stream_inside.h"
#include "fanout/stream_text.h"

#include <string.h>

enum { ROOM_MIN = 16 };

void tf_stream_list_fini(tf_stream_list_t *list)
{
    tf_mem_free(list->entry);
    *list = (tf_stream_list_t){0};
}

/* ---- reading ---- */

/* Entry `at` is there, perhaps as one that is not known. False when out of memory. */
static bool list_reach(tf_stream_list_t *list, uint32_t at)
{
    if (at < list->count)
        return true;
    if (at == list->room) {
        uint32_t room = list->room + list->room / 2 + ROOM_MIN;
        tf_list_entry_t *grown = tf_mem_realloc(list->entry, room, sizeof *grown);
        if (grown == NULL)
            return false;
        list->entry = grown;
        list->room = room;
    }
    list->entry[list->count++] = (tf_list_entry_t){0};
    return true;
}

static bool news_add(tf_list_news_t *news, uint32_t at, const tf_instrument_view_t *view)
{
    if (news->count == news->room) {
        uint32_t room = news->room + news->room / 2 + ROOM_MIN;
        struct tf_list_change *grown = tf_mem_realloc(news->change, room, sizeof *grown);
        if (grown == NULL)
            return false;
        news->change = grown;
        news->room = room;
    }
    news->change[news->count++] = (struct tf_list_change){.view = *view, .at = at};
    return true;
}

/* The names of an instrument never change, but for what the venue calls it. */
static bool same_instrument(const tf_instrument_view_t *a, const tf_instrument_view_t *b)
{
    return a->listing == b->listing && a->tick == b->tick && a->lot == b->lot &&
           a->info.px_dp == b->info.px_dp && a->info.sz_dp == b->info.sz_dp &&
           strcmp(a->venue_symbol, b->venue_symbol) == 0 && strcmp(a->base, b->base) == 0 &&
           strcmp(a->quote, b->quote) == 0;
}

/* The listing is told where it is why a market does not trade. */
static bool same_status(const tf_instrument_view_t *a, const tf_instrument_view_t *b)
{
    return a->info.state == b->info.state && a->info.reason == b->info.reason &&
           a->since_ns == b->since_ns &&
           (a->info.state != TF_STATE_HALTED || a->listing == b->listing);
}

static bool same_on_the_wire(tf_kind_t kind, const tf_instrument_view_t *a,
                             const tf_instrument_view_t *b)
{
    return kind == TF_KIND_STATUS ? same_status(a, b) : same_instrument(a, b);
}

static void take_version(tf_image_info_t *info, const tf_image_info_t *from)
{
    info->seq += from->seq;
    info->ti_ns = from->ti_ns > info->ti_ns ? from->ti_ns : info->ti_ns;
    info->tp_ns = from->tp_ns > info->tp_ns ? from->tp_ns : info->tp_ns;
}

/* One instrument, as the image has it or, when its writer died over it, as it was. False: busy. */
static bool view_read(tf_stream_env_t *env, const tf_list_entry_t *entry, uint32_t instrument,
                      tf_instrument_view_t *view)
{
    if (tf_reader_instrument(env->view.reader, instrument, view) == TF_IMAGE_OK)
        return true;
    *view = entry->view;
    tf_count(env->stats, image_busy_total, 1);
    return env->view.lost;
}

bool tf_stream_list_read(tf_stream_t *stream, tf_stream_env_t *env, tf_image_info_t *info)
{
    tf_stream_list_t *list = &stream->list;
    tf_list_news_t *news = &env->news;
    uint32_t at = 0;
    /* Versions of all of them make the list's: not while the name of one is still to be read. */
    if (tf_reader_instrument_count(env->view.reader) > env->view.directory.count && !env->view.lost)
        return false;
    *info = (tf_image_info_t){.te_ns = TF_TIME_NONE};
    news->count = 0;
    news->venue = TF_VENUE_STATE_NONE;
    uint32_t index = stream->instrument;
    for (; index != TF_INSTRUMENT_NONE; index = env->view.directory.entry[index].next, at++) {
        tf_instrument_view_t view;
        if (!list_reach(list, at) || !view_read(env, &list->entry[at], index, &view))
            return false;
        if (view.info.seq == 0)
            continue; /* never seen whole */
        take_version(info, &view.info);
        tf_venue_state_add(&news->venue, &view);
        tf_list_entry_t *entry = &list->entry[at];
        if (!entry->known || !same_on_the_wire(stream->channel.kind, &entry->view, &view)) {
            if (!news_add(news, at, &view))
                return false;
        } else if (entry->view.info.seq != view.info.seq) {
            entry->view = view; /* nothing that this channel tells */
        }
    }
    return info->seq > 0 && tf_stream_seq_fits(info);
}

static bool venue_differs(const tf_stream_list_t *list, const tf_venue_state_t *venue)
{
    return list->venue_changed == 0 || list->venue.state != venue->state ||
           list->venue.reason != venue->reason || list->venue.since_ns != venue->since_ns;
}

void tf_stream_list_take(tf_stream_t *stream, const tf_stream_env_t *env)
{
    tf_stream_list_t *list = &stream->list;
    const tf_list_news_t *news = &env->news;
    for (uint32_t i = 0; i < news->count; i++)
        list->entry[news->change[i].at] =
            (tf_list_entry_t){.view = news->change[i].view, .changed = stream->seq, .known = true};
    if (!venue_differs(list, &news->venue))
        return;
    list->venue = news->venue;
    list->venue_changed = stream->seq;
}

/* ---- writing ---- */

/* A comma-separated text grows in env->view.items. */
static tf_buf_t *items_begin(tf_stream_env_t *env)
{
    tf_buf_reset(&env->view.items);
    return &env->view.items;
}

static void put_venue(const tf_stream_t *stream, tf_buf_t *items, const tf_venue_state_t *venue)
{
    tf_listing_put_venue(items, stream->channel.venue, venue);
}

static void put_item(const tf_stream_t *stream, tf_buf_t *items, const tf_instrument_view_t *view)
{
    if (items->bytes > 0)
        tf_buf_lit(items, ",");
    if (stream->channel.kind == TF_KIND_STATUS)
        tf_listing_put_market(items, view);
    else
        tf_listing_put_instrument(items, view);
}

static void items_end(tf_stream_env_t *env, const tf_message_t *message)
{
    const tf_buf_t *items = &env->view.items;
    tf_buf_reset(&env->text);
    tf_json_list(&env->text, message, items->data, items->bytes);
    if (!tf_buf_ok(items))
        env->text.failed = true;
}

/* What changed after `seq`; all of it after 0, for every change has a seq of 1 or more. */
static void put_changed_since(const tf_stream_t *stream, tf_stream_env_t *env,
                              const tf_message_t *message, uint64_t seq)
{
    const tf_stream_list_t *list = &stream->list;
    tf_buf_t *items = items_begin(env);
    if (stream->channel.kind == TF_KIND_STATUS && list->venue_changed > seq)
        put_venue(stream, items, &list->venue);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entry[i].known && list->entry[i].changed > seq)
            put_item(stream, items, &list->entry[i].view);
    }
    items_end(env, message);
}

void tf_stream_list_put(const tf_stream_t *stream, tf_stream_env_t *env,
                        const tf_message_t *message)
{
    put_changed_since(stream, env, message, 0);
}

void tf_stream_list_put_news(const tf_stream_t *stream, tf_stream_env_t *env,
                             const tf_message_t *message)
{
    const tf_list_news_t *news = &env->news;
    tf_buf_t *items = items_begin(env);
    if (stream->channel.kind == TF_KIND_STATUS && venue_differs(&stream->list, &news->venue))
        put_venue(stream, items, &news->venue);
    for (uint32_t i = 0; i < news->count; i++)
        put_item(stream, items, &news->change[i].view);
    items_end(env, message);
}

tf_frame_t *tf_stream_list_since(tf_stream_t *stream, tf_stream_env_t *env, uint64_t seq)
{
    tf_message_t message = tf_stream_message(stream, env, TF_MESSAGE_UPDATE);
    message.has_prev = true;
    message.prev = seq;
    put_changed_since(stream, env, &message, seq);
    tf_frame_t *frame = tf_stream_count_encoded(env, tf_stream_frame(env, TF_FRAME_UPDATE));
    if (frame == NULL)
        return NULL;
    frame->prev = seq;
    frame->seq = stream->seq;
    return frame;
}
