/*
 * ring: the byte ring's writer. One thread; readers are tf_reader_poll() in any number of
 * processes. Flow: image entry written -> [ring] -> bells.
 *
 *        tail                 intent                      positions count bytes since the epoch
 * began;
 *   ------+--------------------+-------> position         position p lies at p mod ring_bytes
 *    read | being written      | (next lap's bytes are overwritten up to intent - ring_bytes)
 *
 * writer: intent (relaxed); fence (release); words (relaxed); tail (release)
 * reader: tail (acquire); words (relaxed); fence (acquire); intent (relaxed)
 *
 * A reader that has copied even one word of a newer lap therefore also sees the intent stored
 * before it: bytes from position c are good if and only if intent - c <= ring_bytes.
 *
 * A record never crosses the ring's end: a PADDING record, of which only the first word exists,
 * fills it up and is published together with the record behind it.
 */
#pragma once

#include <tickfan/event.h>
#include <tickfan/region.h>

#include <stdint.h>

typedef struct tf_ring_writer {
    _Atomic uint64_t *word; /* the ring's first word */
    tf_region_header_t *header;
    uint64_t bytes; /* power of two */
    uint64_t tail;  /* what header->ring_tail has: the writer never reads shared positions */
} tf_ring_writer_t;

/* Publish a record that lies in one piece; its head says how long it is. */
void tf_ring_put(tf_ring_writer_t *ring, const tf_event_t *record);

/* Publish a BOOK record whose levels lie elsewhere: book->bids at `bids`, book->asks at `asks`. */
void tf_ring_put_book(tf_ring_writer_t *ring, const tf_event_book_t *book, const tf_level_t *bids,
                      const tf_level_t *asks);
