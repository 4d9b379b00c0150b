/*
 * writer: the inside of tf_region_t, shared by region.c, image_writer.c and book_writer.c. Owned by
 * the ingest thread. Private to src/region.
 *
 * The image is also the writer's own memory: it is the only one who writes it, so it reads back
 * what it needs (seq, scale, start and count of a book) with relaxed loads and keeps no second
 * copy.
 */
#pragma once

#include "region/bell_host.h"
#include "region/layout.h"
#include "region/region.h"
#include "region/ring.h"
#include "region/words.h"

/* The change of a book between begin and commit. */
typedef struct tf_book_edit {
    tf_image_book_t *book; /* NULL when no change is open */
    uint32_t index;
    bool overflowed;   /* more changes than fit: the commit tells the whole image instead */
    uint64_t start[2]; /* as the entry's, stored there by the commit */
    uint32_t count[2];
    uint32_t changes[2];  /* filled in change[side] */
    uint32_t evicted[2];  /* filled in evicted_px[side] */
    uint32_t changes_max; /* room of each of the four arrays; >= image_depth */
    tf_level_t *change[2];
    int64_t
        *evicted_px[2]; /* pushed out of the image in this change, and the record does not say so */
} tf_book_edit_t;

struct tf_region {
    uint8_t *base; /* the mapped file */
    tf_region_header_t *header;
    tf_layout_t layout;
    tf_ring_writer_t ring;
    tf_book_edit_t edit;
    const tf_clock_t *clock;
    tf_stats_t *stats;
    uint64_t epoch;
    uint32_t instrument_count;
    int lock_fd;
    int file_fd;
    char name[TF_REGION_NAME_BYTES_MAX];
    tf_bells_t bells;       /* of this process's threads */
    tf_bell_host_t *guests; /* other processes' bells; NULL = none are taken in */
};

static inline tf_image_instrument_t *tf_writer_instrument(const tf_region_t *region, uint32_t index)
{
    return (tf_image_instrument_t *)(void *)(region->base +
                                             tf_layout_instrument(&region->layout, index));
}

static inline tf_image_ticker_t *tf_writer_ticker(const tf_region_t *region, uint32_t index)
{
    return (tf_image_ticker_t *)(void *)(region->base + tf_layout_ticker(&region->layout, index));
}

static inline tf_image_bbo_t *tf_writer_bbo(const tf_region_t *region, uint32_t index)
{
    return (tf_image_bbo_t *)(void *)(region->base + tf_layout_bbo(&region->layout, index));
}

static inline tf_image_book_t *tf_writer_book(const tf_region_t *region, uint32_t index)
{
    return (tf_image_book_t *)(void *)(region->base + tf_layout_book(&region->layout, index));
}

static inline tf_image_trades_t *tf_writer_trades(const tf_region_t *region, uint32_t index)
{
    return (tf_image_trades_t *)(void *)(region->base + tf_layout_trades(&region->layout, index));
}

/* Seqlock, writer's half: partner image_copy_begin() and image_copy_end() of image_reader.c. The
 * fence keeps the entry's words from being seen before the odd lock. */
static inline void tf_image_lock(tf_image_head_t *head)
{
    uint64_t lock = tf_word_get(&head->lock);
    TF_ASSERT(lock % 2 == 0);
    tf_word_put(&head->lock, lock + 1);
    atomic_thread_fence(memory_order_release);
}

static inline void tf_image_unlock(tf_image_head_t *head)
{
    atomic_store_explicit(&head->lock, tf_word_get(&head->lock) + 1, memory_order_release);
}

/* tf_image_head_t.status */
enum { TF_STATUS_STATE_BITS = 0xffff }; /* state and reason; the scale lies above them */

static inline uint64_t tf_image_status(tf_market_state_t state, tf_market_reason_t reason)
{
    return (uint64_t)state | (uint64_t)reason << 8;
}

static inline uint64_t tf_image_scale(uint8_t px_dp, uint8_t sz_dp)
{
    return (uint64_t)px_dp << 16 | (uint64_t)sz_dp << 24;
}

static inline uint8_t tf_image_px_dp(const tf_image_head_t *head)
{
    return (uint8_t)(tf_word_get(&head->status) >> 16);
}

static inline uint8_t tf_image_sz_dp(const tf_image_head_t *head)
{
    return (uint8_t)(tf_word_get(&head->status) >> 24);
}

/* Store what a publication brings: the new version and its times. Within the lock. */
static inline void tf_image_stamp(tf_image_head_t *head, uint64_t seq, tf_stamp_t stamp,
                                  int64_t tp_ns)
{
    tf_word_put(&head->seq, seq);
    tf_word_put(&head->te_ns, (uint64_t)stamp.te_ns);
    tf_word_put(&head->ti_ns, (uint64_t)stamp.ti_ns);
    tf_word_put(&head->tp_ns, (uint64_t)tp_ns);
}

/* The head of the record that tells about an entry as it stands. */
static inline tf_event_t tf_event_head(const tf_image_head_t *head, tf_event_type_t type,
                                       uint32_t index, size_t bytes)
{
    return (tf_event_t){
        .bytes = (uint32_t)bytes,
        .type = (uint16_t)type,
        .px_dp = tf_image_px_dp(head),
        .sz_dp = tf_image_sz_dp(head),
        .instrument = index,
        .seq = tf_word_get(&head->seq),
        .te_ns = (int64_t)tf_word_get(&head->te_ns),
        .ti_ns = (int64_t)tf_word_get(&head->ti_ns),
        .tp_ns = (int64_t)tf_word_get(&head->tp_ns),
    };
}

/* Every publication starts with this: a known instrument and no book change half done. */
static inline void tf_writer_check(const tf_region_t *region, uint32_t index)
{
    TF_ASSERT(index < region->instrument_count);
    TF_ASSERT(region->edit.book == NULL);
}

/* Memory for the edit; false when there is none. */
TF_MUST_CHECK bool tf_book_edit_init(tf_book_edit_t *edit, uint32_t image_depth);
void tf_book_edit_fini(tf_book_edit_t *edit);
