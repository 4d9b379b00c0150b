#include "view/view.h"

#include "base/mem.h"
#include "market/checksum.h"
#include "view/listing.h"

#include <string.h>

bool tf_view_init(tf_view_t *view, tf_reader_t *reader)
{
    size_t depth = tf_reader_image_depth(reader);
    *view = (tf_view_t){.reader = reader};
    for (int side = 0; side < 2; side++)
        view->level[side] = tf_mem_calloc(depth, sizeof(tf_level_t));
    view->trade = tf_mem_calloc(tf_reader_trades_kept(reader), sizeof(tf_trade_t));
    if (view->level[0] == NULL || view->level[1] == NULL || view->trade == NULL ||
        !tf_directory_init(&view->directory, tf_reader_instruments_max(reader))) {
        tf_view_fini(view);
        return false;
    }
    tf_epoch_text(tf_reader_epoch(reader), view->epoch);
    return true;
}

void tf_view_fini(tf_view_t *view)
{
    for (int side = 0; side < 2; side++)
        tf_mem_free(view->level[side]);
    tf_mem_free(view->trade);
    tf_directory_fini(&view->directory);
    tf_buf_fini(&view->name);
    tf_buf_fini(&view->items);
    *view = (tf_view_t){0};
}

uint32_t tf_view_depth(const tf_view_t *view, const tf_channel_t *channel)
{
    uint32_t kept = tf_reader_image_depth(view->reader);
    return channel->depth < kept ? channel->depth : kept;
}

tf_image_result_t tf_view_read(tf_view_t *view, tf_kind_t kind, uint32_t instrument, uint32_t depth,
                               tf_view_image_t *out)
{
    uint64_t first;
    uint32_t count;
    switch (kind) {
    case TF_KIND_TICKER:
        return tf_reader_ticker(view->reader, instrument, &out->info, &out->ticker);
    case TF_KIND_BBO:
        return tf_reader_bbo(view->reader, instrument, &out->info, &out->bbo);
    case TF_KIND_BOOK:
        return tf_reader_book(view->reader, instrument, depth, &out->info, view->level[0],
                              &out->count[0], view->level[1], &out->count[1]);
    case TF_KIND_TRADES: /* only the newest number and the state are wanted */
        return tf_reader_trades(view->reader, instrument, UINT64_MAX, UINT64_MAX, &out->info,
                                view->trade, 1, &first, &count);
    case TF_KIND_INSTRUMENTS:
    case TF_KIND_STATUS:
    case TF_KIND_COUNT:
        break;
    }
    return TF_IMAGE_RANGE;
}

/* ---- venues ---- */

static void take_version(tf_image_info_t *info, const tf_image_info_t *from)
{
    info->seq += from->seq;
    info->ti_ns = from->ti_ns > info->ti_ns ? from->ti_ns : info->ti_ns;
    info->tp_ns = from->tp_ns > info->tp_ns ? from->tp_ns : info->tp_ns;
}

/* Append the objects of the venue's instruments, and add up what they say together. */
static bool members_put(tf_view_t *view, tf_kind_t kind, uint32_t home, tf_buf_t *out,
                        tf_image_info_t *info, tf_venue_state_t *venue)
{
    uint32_t index = home;
    for (; index != TF_INSTRUMENT_NONE; index = view->directory.entry[index].next) {
        tf_instrument_view_t instrument;
        if (tf_reader_instrument(view->reader, index, &instrument) != TF_IMAGE_OK) {
            if (view->lost)
                continue; /* left half written by a dead writer: nobody can tell it */
            return false;
        }
        if (out->bytes > 0)
            tf_buf_lit(out, ",");
        if (kind == TF_KIND_STATUS)
            tf_listing_put_market(out, &instrument);
        else
            tf_listing_put_instrument(out, &instrument);
        take_version(info, &instrument.info);
        tf_venue_state_add(venue, &instrument);
    }
    return true;
}

tf_view_result_t tf_view_list(tf_view_t *view, tf_kind_t kind, uint32_t home, tf_buf_t *out,
                              tf_image_info_t *info)
{
    tf_venue_state_t venue = TF_VENUE_STATE_NONE;
    *info = (tf_image_info_t){.te_ns = TF_TIME_NONE};
    tf_buf_reset(&view->items);
    /* While names are missing, the sum of versions would be that of a part. */
    if (!view->lost && tf_reader_instrument_count(view->reader) > view->directory.count)
        return TF_VIEW_BUSY;
    if (!members_put(view, kind, home, &view->items, info, &venue) || !tf_buf_ok(&view->items))
        return TF_VIEW_BUSY;
    if (info->seq == 0)
        return TF_VIEW_NOTHING;
    if (kind == TF_KIND_STATUS) {
        tf_listing_put_venue(out, view->directory.entry[home].venue, &venue);
        tf_buf_lit(out, ",");
    }
    tf_buf_put(out, view->items.data, view->items.bytes);
    return TF_VIEW_OK;
}

/* ---- snapshots ---- */

static tf_message_t message_of(const tf_view_t *view, const tf_image_info_t *info)
{
    return (tf_message_t){.type = TF_MESSAGE_SNAPSHOT,
                          .px_dp = info->px_dp,
                          .sz_dp = info->sz_dp,
                          .state = view->lost ? TF_STATE_STALE : (tf_market_state_t)info->state,
                          .reason =
                              view->lost ? TF_REASON_INGEST_LOST : (tf_market_reason_t)info->reason,
                          .channel = view->name.data,
                          .channel_bytes = view->name.bytes,
                          .epoch = view->epoch,
                          .seq = info->seq,
                          .te_ns = info->te_ns,
                          .ti_ns = info->ti_ns,
                          .tp_ns = info->tp_ns};
}

static tf_view_result_t venue_snapshot(tf_view_t *view, tf_kind_t kind, uint32_t home,
                                       tf_buf_t *out)
{
    tf_image_info_t info;
    tf_buf_t items = {0};
    tf_view_result_t result = tf_view_list(view, kind, home, &items, &info);
    if (result == TF_VIEW_OK && !tf_buf_ok(&items))
        result = TF_VIEW_BUSY;
    if (result == TF_VIEW_OK) {
        tf_message_t message = message_of(view, &info);
        tf_json_list(out, &message, items.data, items.bytes);
    }
    tf_buf_fini(&items);
    return result;
}

static tf_view_result_t trades_snapshot(tf_view_t *view, uint32_t instrument, tf_buf_t *out)
{
    tf_image_info_t info;
    uint64_t first;
    uint32_t count;
    if (tf_reader_trades(view->reader, instrument, 0, UINT64_MAX, &info, view->trade,
                         TF_VIEW_TRADES_JOIN, &first, &count) != TF_IMAGE_OK)
        return TF_VIEW_BUSY;
    if (info.seq == 0)
        return TF_VIEW_NOTHING;
    tf_message_t message = message_of(view, &info);
    tf_json_trades(out, &message, view->trade, count);
    return TF_VIEW_OK;
}

static void figures_put(const tf_view_t *view, tf_kind_t kind, const tf_view_image_t *image,
                        tf_buf_t *out)
{
    tf_message_t message = message_of(view, &image->info);
    if (kind == TF_KIND_TICKER) {
        tf_json_ticker(out, &message, &image->ticker);
    } else if (kind == TF_KIND_BBO) {
        tf_json_bbo(out, &message, &image->bbo);
    } else {
        message.has_cs = true;
        message.cs = tf_book_checksum(view->level[0], image->count[0], view->level[1],
                                      image->count[1], image->info.px_dp, image->info.sz_dp);
        tf_json_book(out, &message, view->level[0], image->count[0], view->level[1],
                     image->count[1]);
    }
}

tf_view_result_t tf_view_snapshot(tf_view_t *view, const tf_channel_t *channel, uint32_t instrument,
                                  tf_buf_t *out)
{
    tf_view_image_t image;
    tf_buf_reset(&view->name);
    tf_channel_write(&view->name, channel);
    if (!tf_buf_ok(&view->name))
        return TF_VIEW_BUSY;
    if (tf_kind_of_venue(channel->kind))
        return venue_snapshot(view, channel->kind, instrument, out);
    if (channel->kind == TF_KIND_TRADES)
        return trades_snapshot(view, instrument, out);
    if (tf_view_read(view, channel->kind, instrument, tf_view_depth(view, channel), &image) !=
        TF_IMAGE_OK)
        return TF_VIEW_BUSY;
    if (image.info.seq == 0)
        return TF_VIEW_NOTHING;
    figures_put(view, channel->kind, &image, out);
    return TF_VIEW_OK;
}
