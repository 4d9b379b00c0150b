/*
 * reader_inside: the inside of tf_reader_t, shared by reader.c and image_reader.c. One thread each.
 * Private to src/region.
 */
#pragma once

#include "region/layout.h"
#include "region/region_file.h"
#include "region/words.h"

#include <tickfan/reader.h>

#include <sys/types.h>

/*
 * The window is a private copy of ring bytes [window, window_end) that was whole when it was taken:
 * records are served from it without another look at shared memory. Many small records thus cost
 * one look at tail and intent, whose cache lines the writer needs as well.
 */
enum { TF_READER_WINDOW_BYTES = TF_EVENT_BYTES_MAX };

struct tf_reader {
    void *mapping;       /* what munmap(2) wants back; read through base */
    const uint8_t *base; /* the mapped file */
    const tf_region_header_t *header;
    const _Atomic uint64_t *ring; /* the ring's first word */
    tf_layout_t layout;
    uint64_t cursor; /* position of the next record */
    uint64_t window;
    uint64_t window_end;
    uint64_t lapped;
    uint64_t epoch;
    uint8_t *record;           /* TF_READER_WINDOW_BYTES, 8-byte aligned: the window's bytes */
    tf_level_t *levels;        /* 2 x image_depth: a book before it is known to be whole */
    tf_trade_t *trades;        /* trades_kept, likewise */
    uint32_t instrument_count; /* as last seen; only grows */
    bool replaced;             /* another file stands at the name; stays so */
    int64_t looked_mono_ns;    /* when health last looked at the name */
    size_t mapped_bytes;
    dev_t device;
    ino_t inode;
    char path[TF_REGION_PATH_BYTES_MAX];
};
