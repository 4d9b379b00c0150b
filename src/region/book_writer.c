/*
 * book_writer: one instrument's book in the image, and the BOOK records that tell of its changes.
 *
 * What a record must give to someone who follows the ring alone: apply its levels in order, cut to
 * image_depth after the last one, and hold exactly the image. Cutting only at the end has a trap: a
 * level that an insert pushed out of the image is still in the follower's book, and stands in the
 * way of what a later removal of the same change lets in. It may even be gone from the full book by
 * then, untold, for it was below the image. So a removal first tells the removal of all that this
 * change has pushed out before; without a removal the cut does it, and the record stays small.
 */
#include "base/mem.h"
#include "region/writer.h"

bool tf_book_edit_init(tf_book_edit_t *edit, uint32_t image_depth)
{
    /* Beyond twice the depth the whole image is the shorter message. */
    edit->changes_max =
        2 * image_depth > TF_EVENT_LEVELS_MAX ? 2 * image_depth : TF_EVENT_LEVELS_MAX;
    for (int side = 0; side < 2; side++) {
        edit->change[side] = tf_mem_calloc(edit->changes_max, sizeof *edit->change[side]);
        edit->evicted_px[side] = tf_mem_calloc(edit->changes_max, sizeof *edit->evicted_px[side]);
        if (edit->change[side] == NULL || edit->evicted_px[side] == NULL)
            return false;
    }
    return true;
}

void tf_book_edit_fini(tf_book_edit_t *edit)
{
    for (int side = 0; side < 2; side++) {
        tf_mem_free(edit->change[side]);
        tf_mem_free(edit->evicted_px[side]);
    }
}

static void level_put(const tf_layout_t *layout, tf_image_book_t *book, unsigned side,
                      uint64_t slot, tf_level_t level)
{
    tf_words_in(&book->level[tf_layout_level_word(layout, side, slot)], &level, sizeof level);
}

static tf_level_t level_get(const tf_layout_t *layout, const tf_image_book_t *book, unsigned side,
                            uint64_t slot)
{
    tf_level_t level;
    tf_words_out(&level, &book->level[tf_layout_level_word(layout, side, slot)], sizeof level);
    return level;
}

/*
 * Half of what publishing a change costs is moving levels by one slot, some hundreds of them when
 * the image is deep. Slots count modulo book_slots, so the levels lie in at most two runs with one
 * step over the seam between them; within a run the loop is bare.
 */
static void levels_move_down(const tf_layout_t *layout, tf_image_book_t *book, unsigned side,
                             uint64_t first, uint64_t count)
{
    _Atomic uint64_t *words = &book->level[tf_layout_level_word(layout, side, 0)];
    uint64_t mask = layout->book_slots - 1U;
    while (count > 0) {
        uint64_t from = first & mask;
        uint64_t to_end = mask + 1 - from;
        uint64_t run = from == 0 ? 1 : count < to_end ? count : to_end;
        _Atomic uint64_t *to = &words[((first - 1) & mask) * 2];
        for (uint64_t i = 0; i < run; i++) {
            tf_word_put(&to[i * 2], tf_word_get(&words[(from + i) * 2]));
            tf_word_put(&to[i * 2 + 1], tf_word_get(&words[(from + i) * 2 + 1]));
        }
        first += run;
        count -= run;
    }
}

static void levels_move_up(const tf_layout_t *layout, tf_image_book_t *book, unsigned side,
                           uint64_t first, uint64_t count)
{
    _Atomic uint64_t *words = &book->level[tf_layout_level_word(layout, side, 0)];
    uint64_t mask = layout->book_slots - 1U;
    while (count > 0) {
        uint64_t last = (first + count - 1) & mask;
        uint64_t run = last == mask ? 1 : count < last + 1 ? count : last + 1;
        _Atomic uint64_t *from = &words[(last + 1 - run) * 2];
        _Atomic uint64_t *to = &words[((last + 2 - run) & mask) * 2];
        for (uint64_t i = run; i-- > 0;) {
            tf_word_put(&to[i * 2], tf_word_get(&from[i * 2]));
            tf_word_put(&to[i * 2 + 1], tf_word_get(&from[i * 2 + 1]));
        }
        count -= run;
    }
}

/* The levels of one change, or of a snapshot, to be told in records. */
typedef struct levels {
    const tf_level_t *level[2];
    size_t count[2];
} levels_t;

/* As many records as it takes: bids first, then asks, each full but the last. */
static void records_put(tf_region_t *region, uint32_t index, const levels_t *levels,
                        const tf_bbo_t *bbo, uint32_t flags)
{
    tf_event_book_t event = {
        .head =
            tf_event_head(&tf_writer_book(region, index)->head, TF_EVENT_BOOK, index, sizeof event),
        .bid_px = bbo->bid_px,
        .bid_sz = bbo->bid_sz,
        .ask_px = bbo->ask_px,
        .ask_sz = bbo->ask_sz,
    };
    levels_t left = *levels;
    do {
        size_t bids = left.count[0] < TF_EVENT_LEVELS_MAX ? left.count[0] : TF_EVENT_LEVELS_MAX;
        size_t room = TF_EVENT_LEVELS_MAX - bids;
        size_t asks = left.count[1] < room ? left.count[1] : room;
        event.bids = (uint32_t)bids;
        event.asks = (uint32_t)asks;
        event.head.bytes = (uint32_t)(sizeof event + (bids + asks) * sizeof(tf_level_t));
        const tf_level_t *bid = left.level[0];
        const tf_level_t *ask = left.level[1];
        left.count[0] -= bids;
        left.count[1] -= asks;
        if (bids != 0)
            left.level[0] += bids;
        if (asks != 0)
            left.level[1] += asks;
        bool more = left.count[0] + left.count[1] != 0;
        event.head.flags = flags | (more ? TF_EVENT_FLAG_MORE : 0U);
        tf_ring_put_book(&region->ring, &event, bid, ask);
        flags &= ~(uint32_t)TF_EVENT_FLAG_SNAPSHOT;
    } while (left.count[0] + left.count[1] != 0);
    tf_count(region->stats, published_books_total, 1);
}

static tf_bbo_t levels_bbo(const levels_t *levels)
{
    tf_bbo_t bbo = {.bid_px = TF_PRICE_NONE, .ask_px = TF_PRICE_NONE};
    if (levels->count[0] != 0) {
        bbo.bid_px = levels->level[0][0].px;
        bbo.bid_sz = levels->level[0][0].sz;
    }
    if (levels->count[1] != 0) {
        bbo.ask_px = levels->level[1][0].px;
        bbo.ask_sz = levels->level[1][0].sz;
    }
    return bbo;
}

void tf_region_put_book_snapshot(tf_region_t *region, uint32_t index, const tf_level_t *bids,
                                 size_t bid_count, const tf_level_t *asks, size_t ask_count,
                                 tf_stamp_t stamp)
{
    tf_writer_check(region, index);
    const tf_layout_t *layout = &region->layout;
    size_t depth = layout->image_depth;
    levels_t levels = {
        .level = {bids, asks},
        .count = {bid_count < depth ? bid_count : depth, ask_count < depth ? ask_count : depth},
    };
    tf_image_book_t *book = tf_writer_book(region, index);
    const tf_image_head_t *instrument = &tf_writer_instrument(region, index)->head;
    uint64_t seq = tf_word_get(&book->head.seq) + 1;
    tf_image_lock(&book->head);
    for (unsigned side = 0; side < 2; side++) {
        tf_word_put(&book->start[side], 0);
        tf_word_put(&book->count[side], levels.count[side]);
        if (levels.count[side] != 0)
            tf_words_in(&book->level[tf_layout_level_word(layout, side, 0)], levels.level[side],
                        levels.count[side] * sizeof(tf_level_t));
    }
    tf_image_stamp(&book->head, seq, stamp, tf_clock_wall_ns(region->clock));
    tf_word_put(&book->head.base_seq, seq);
    tf_word_put(&book->head.status, tf_word_get(&instrument->status)); /* the scale may be new */
    tf_image_unlock(&book->head);
    tf_bbo_t bbo = levels_bbo(&levels);
    records_put(region, index, &levels, &bbo, TF_EVENT_FLAG_SNAPSHOT);
}

void tf_region_book_begin(tf_region_t *region, uint32_t index)
{
    tf_writer_check(region, index);
    tf_image_book_t *book = tf_writer_book(region, index);
    /* A new scale needs a snapshot before its first change. */
    TF_ASSERT(tf_word_get(&book->head.status) ==
              tf_word_get(&tf_writer_instrument(region, index)->head.status));
    tf_book_edit_t *edit = &region->edit;
    edit->book = book;
    edit->index = index;
    edit->overflowed = false;
    for (int side = 0; side < 2; side++) {
        edit->start[side] = tf_word_get(&book->start[side]);
        edit->count[side] = (uint32_t)tf_word_get(&book->count[side]);
        edit->changes[side] = 0;
        edit->evicted[side] = 0;
    }
    tf_image_lock(&book->head);
}

static void change_add(tf_book_edit_t *edit, unsigned side, tf_level_t level)
{
    if (edit->changes[side] == edit->changes_max)
        edit->overflowed = true;
    else
        edit->change[side][edit->changes[side]++] = level;
}

static void evicted_add(tf_book_edit_t *edit, unsigned side, int64_t px)
{
    if (edit->evicted[side] == edit->changes_max)
        edit->overflowed = true;
    else
        edit->evicted_px[side][edit->evicted[side]++] = px;
}

void tf_region_book_insert(tf_region_t *region, tf_side_t side, uint32_t rank, tf_level_t level)
{
    tf_book_edit_t *edit = &region->edit;
    const tf_layout_t *layout = &region->layout;
    TF_ASSERT(edit->book != NULL);
    TF_ASSERT(rank <= edit->count[side] && rank < layout->image_depth && level.sz > 0);
    if (edit->count[side] == layout->image_depth) {
        edit->count[side]--;
        uint64_t worst = edit->start[side] + edit->count[side];
        evicted_add(edit, side, level_get(layout, edit->book, side, worst).px);
    }
    /* Make room on the side with fewer levels. Slots count modulo book_slots, so a start that goes
     * below 0 is as good as any. */
    if (rank <= edit->count[side] / 2) {
        levels_move_down(layout, edit->book, side, edit->start[side], rank);
        edit->start[side]--;
    } else {
        levels_move_up(layout, edit->book, side, edit->start[side] + rank,
                       edit->count[side] - rank);
    }
    level_put(layout, edit->book, side, edit->start[side] + rank, level);
    edit->count[side]++;
    change_add(edit, side, level);
}

void tf_region_book_resize(tf_region_t *region, tf_side_t side, uint32_t rank, tf_level_t level)
{
    tf_book_edit_t *edit = &region->edit;
    TF_ASSERT(edit->book != NULL && rank < edit->count[side] && level.sz > 0);
    uint64_t slot = edit->start[side] + rank;
    TF_ASSERT(level_get(&region->layout, edit->book, side, slot).px == level.px);
    level_put(&region->layout, edit->book, side, slot, level);
    change_add(edit, side, level);
}

static void evictions_tell(tf_book_edit_t *edit, unsigned side)
{
    for (uint32_t i = 0; i < edit->evicted[side]; i++)
        change_add(edit, side, (tf_level_t){.px = edit->evicted_px[side][i], .sz = 0});
    edit->evicted[side] = 0;
}

void tf_region_book_remove(tf_region_t *region, tf_side_t side, uint32_t rank, int64_t px,
                           const tf_level_t *refill)
{
    tf_book_edit_t *edit = &region->edit;
    const tf_layout_t *layout = &region->layout;
    TF_ASSERT(edit->book != NULL && rank < edit->count[side]);
    uint64_t gone = edit->start[side] + rank;
    TF_ASSERT(level_get(layout, edit->book, side, gone).px == px);
    if (rank < edit->count[side] / 2) {
        levels_move_up(layout, edit->book, side, edit->start[side], rank);
        edit->start[side]++;
    } else {
        levels_move_down(layout, edit->book, side, gone + 1, edit->count[side] - rank - 1);
    }
    edit->count[side]--;
    change_add(edit, side, (tf_level_t){.px = px, .sz = 0});
    evictions_tell(edit, side);
    if (refill == NULL)
        return;
    TF_ASSERT(edit->count[side] == layout->image_depth - 1 && refill->sz > 0);
    level_put(layout, edit->book, side, edit->start[side] + edit->count[side], *refill);
    edit->count[side]++;
    change_add(edit, side, *refill);
}

/* The image as it now stands, in the edit's own buffers, in place of its changes. */
static void changes_replace(const tf_layout_t *layout, tf_book_edit_t *edit)
{
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t rank = 0; rank < edit->count[side]; rank++)
            edit->change[side][rank] =
                level_get(layout, edit->book, side, edit->start[side] + rank);
        edit->changes[side] = edit->count[side];
    }
}

void tf_region_book_commit(tf_region_t *region, const tf_bbo_t *bbo, tf_stamp_t stamp)
{
    tf_book_edit_t *edit = &region->edit;
    tf_image_book_t *book = edit->book;
    TF_ASSERT(book != NULL);
    for (int side = 0; side < 2; side++) {
        tf_word_put(&book->start[side], edit->start[side] & (region->layout.book_slots - 1U));
        tf_word_put(&book->count[side], edit->count[side]);
    }
    tf_image_stamp(&book->head, tf_word_get(&book->head.seq) + 1, stamp,
                   tf_clock_wall_ns(region->clock));
    tf_image_unlock(&book->head);
    if (edit->overflowed)
        changes_replace(&region->layout, edit);
    levels_t levels = {
        .level = {edit->change[0], edit->change[1]},
        .count = {edit->changes[0], edit->changes[1]},
    };
    edit->book = NULL;
    records_put(region, edit->index, &levels, bbo,
                edit->overflowed ? (uint32_t)TF_EVENT_FLAG_SNAPSHOT : 0U);
}
