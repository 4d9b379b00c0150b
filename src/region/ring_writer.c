#include "region/ring.h"
#include "region/words.h"

/* Claim `bytes` in one piece; the position where they start. */
static inline uint64_t claim(tf_ring_writer_t *ring, uint32_t bytes)
{
    TF_ASSERT(bytes >= sizeof(tf_event_t) && bytes <= TF_EVENT_BYTES_MAX && bytes % 8 == 0);
    uint64_t offset = ring->tail & (ring->bytes - 1);
    uint64_t room = ring->bytes - offset;
    uint64_t padding = bytes > room ? room : 0;
    tf_word_put(&ring->header->ring_intent, ring->tail + padding + bytes);
    atomic_thread_fence(memory_order_release);
    if (padding != 0) /* the first word of a head: bytes, then type 0 */
        tf_word_put(&ring->word[offset / 8], padding);
    return ring->tail + padding;
}

static inline void commit(tf_ring_writer_t *ring, uint64_t end)
{
    ring->tail = end;
    atomic_store_explicit(&ring->header->ring_tail, end, memory_order_release);
}

void tf_ring_put(tf_ring_writer_t *ring, const tf_event_t *record)
{
    uint64_t at = claim(ring, record->bytes);
    tf_words_in(&ring->word[(at & (ring->bytes - 1)) / 8], record, record->bytes);
    commit(ring, at + record->bytes);
}

void tf_ring_put_book(tf_ring_writer_t *ring, const tf_event_book_t *book, const tf_level_t *bids,
                      const tf_level_t *asks)
{
    size_t bid_bytes = book->bids * sizeof(tf_level_t);
    size_t ask_bytes = book->asks * sizeof(tf_level_t);
    TF_ASSERT(book->head.bytes == sizeof *book + bid_bytes + ask_bytes);
    uint64_t at = claim(ring, book->head.bytes);
    _Atomic uint64_t *word = &ring->word[(at & (ring->bytes - 1)) / 8];
    tf_words_in(word, book, sizeof *book);
    word += sizeof *book / 8;
    if (bid_bytes != 0)
        tf_words_in(word, bids, bid_bytes);
    if (ask_bytes != 0)
        tf_words_in(word + bid_bytes / 8, asks, ask_bytes);
    commit(ring, at + book->head.bytes);
}
