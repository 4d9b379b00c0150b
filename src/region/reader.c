#include "base/mem.h"
#include "base/status.h"
#include "market/decimal.h"
#include "region/reader_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_NS = 50000000 }; /* the longest between two looks at the name of a silent region */

/* open */

static tf_status_t file_map(tf_reader_t *reader, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return tf_error(TF_ERR_SYS, "stat: %s", strerrordesc_np(errno));
    if (!S_ISREG(info.st_mode) || info.st_size < (off_t)sizeof(tf_region_header_t))
        return tf_error(TF_ERR_FORMAT, "not a tickfan region (too short)");
    void *base = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return tf_error(TF_ERR_SYS, "mmap: %s", strerrordesc_np(errno));
    reader->mapping = base;
    reader->base = base;
    reader->mapped_bytes = (size_t)info.st_size;
    reader->device = info.st_dev;
    reader->inode = info.st_ino;
    return TF_OK;
}

static tf_status_t header_take(tf_reader_t *reader)
{
    reader->header = (const tf_region_header_t *)(const void *)reader->base;
    const char *wrong = tf_layout_read(&reader->layout, reader->header, reader->mapped_bytes);
    if (wrong != NULL)
        return tf_error(TF_ERR_FORMAT, "%s", wrong);
    uint64_t state = tf_word_get(&reader->header->state);
    if (state != TF_REGION_READY && state != TF_REGION_CLOSED)
        return tf_error(TF_ERR_FORMAT, "damaged header (the region is not ready)");
    reader->epoch = tf_word_get(&reader->header->epoch);
    reader->ring =
        (const _Atomic uint64_t *)(const void *)(reader->base + reader->layout.ring_offset);
    reader->record = tf_mem_aligned(TF_READER_WINDOW_BYTES);
    reader->levels = tf_mem_calloc(2 * (size_t)reader->layout.image_depth, sizeof(tf_level_t));
    reader->trades = tf_mem_calloc(reader->layout.trades_kept, sizeof(tf_trade_t));
    if (reader->record == NULL || reader->levels == NULL || reader->trades == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory");
    return TF_OK;
}

static tf_status_t attach(tf_reader_t *reader)
{
    int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return tf_error(TF_ERR_ABSENT, "not there; is a writer (serve or ingest) running with this "
                                       "region name?");
    if (fd < 0)
        return tf_error(TF_ERR_SYS, "open: %s", strerrordesc_np(errno));
    tf_status_t status = file_map(reader, fd);
    (void)close(fd); /* the mapping keeps the file, and its inode number from being used again */
    return status == TF_OK ? header_take(reader) : status;
}

tf_reader_t *tf_reader_open(const char *name, const char **error)
{
    if (!tf_region_name_valid(name)) {
        (void)tf_error(TF_ERR_ARG, "region name \"%.80s\": 1 to %d of [A-Za-z0-9_-] are allowed",
                       name, TF_REGION_NAME_BYTES_MAX - 1);
        *error = tf_error_text();
        return NULL;
    }
    tf_reader_t *reader = tf_mem_calloc(1, sizeof *reader);
    if (reader == NULL) {
        (void)tf_error(TF_ERR_MEMORY, "region \"%s\": no memory", name);
        *error = tf_error_text();
        return NULL;
    }
    tf_region_path(reader->path, name, "");
    tf_status_t status = attach(reader);
    if (status != TF_OK) {
        (void)tf_error_within(status, "%s", reader->path);
        *error = tf_error_text();
        tf_reader_close(reader);
        return NULL;
    }
    reader->looked_mono_ns = INT64_MIN;
    (void)tf_reader_seek(reader, TF_FROM_NOW);
    return reader;
}

void tf_reader_close(tf_reader_t *reader)
{
    if (reader == NULL)
        return;
    if (reader->mapping != NULL)
        (void)munmap(reader->mapping, reader->mapped_bytes);
    tf_mem_free(reader->record);
    tf_mem_free(reader->levels);
    tf_mem_free(reader->trades);
    tf_mem_free(reader);
}

/* poll: partner of ring_writer.c; ring.h has the protocol */

/* Positions are multiples of 8; a writer that says otherwise must not make us misread words. */
static uint64_t tail_get(const tf_reader_t *reader)
{
    return atomic_load_explicit(&reader->header->ring_tail, memory_order_acquire) & ~7ULL;
}

static void stand_at(tf_reader_t *reader, uint64_t position)
{
    reader->cursor = position;
    reader->window = position;
    reader->window_end = position;
}

bool tf_reader_seek(tf_reader_t *reader, tf_reader_from_t from)
{
    stand_at(reader, tail_get(reader));
    if (from == TF_FROM_NOW)
        return true;
    /* After the tail: an intent of one lap or less then means that the first bytes still stand. */
    uint64_t intent = tf_word_get(&reader->header->ring_intent);
    if (intent > reader->layout.ring_bytes)
        return false;
    stand_at(reader, 0);
    return true;
}

static tf_poll_t lapped(tf_reader_t *reader)
{
    reader->lapped++;
    stand_at(reader, tail_get(reader));
    return TF_POLL_LAPPED;
}

/* Copy what is new from the cursor on, up to the ring's end or a full window. */
static tf_poll_t window_fill(tf_reader_t *reader)
{
    const uint64_t ring_bytes = reader->layout.ring_bytes;
    uint64_t cursor = reader->cursor;
    uint64_t bytes = tail_get(reader) - cursor;
    if (bytes == 0)
        return TF_POLL_EMPTY;
    if (bytes > ring_bytes)
        return lapped(reader);
    uint64_t offset = cursor & (ring_bytes - 1);
    if (bytes > ring_bytes - offset)
        bytes = ring_bytes - offset;
    if (bytes > TF_READER_WINDOW_BYTES)
        bytes = TF_READER_WINDOW_BYTES;
    tf_words_out(reader->record, &reader->ring[offset / 8], bytes);
    atomic_thread_fence(memory_order_acquire);
    uint64_t intent = tf_word_get(&reader->header->ring_intent);
    if (intent - cursor > ring_bytes)
        return lapped(reader);
    reader->window = cursor;
    reader->window_end = cursor + bytes;
    return TF_POLL_EVENT;
}

static const uint8_t *window_at_cursor(const tf_reader_t *reader)
{
    return reader->record + (reader->cursor - reader->window);
}

static uint64_t window_left(const tf_reader_t *reader)
{
    return reader->window_end - reader->cursor;
}

/* Is a record of a known type what its users may rely on? Unknown types are for them to skip. */
static bool body_sound(const uint8_t *record, const tf_event_t *head)
{
    switch (head->type) {
    case TF_EVENT_STATE: {
        tf_event_state_t event;
        if (head->bytes < sizeof event)
            return false;
        memcpy(&event, record, sizeof event);
        return event.state <= TF_STATE_HALTED && event.reason < TF_REASON_INGEST_LOST;
    }
    case TF_EVENT_BOOK: {
        tf_event_book_t event;
        if (head->bytes < sizeof event)
            return false;
        memcpy(&event, record, sizeof event);
        uint64_t levels = (uint64_t)event.bids + event.asks;
        return levels <= TF_EVENT_LEVELS_MAX &&
               levels <= (head->bytes - sizeof event) / sizeof(tf_level_t);
    }
    case TF_EVENT_BBO:
        return head->bytes >= sizeof(tf_event_bbo_t);
    case TF_EVENT_TRADE: {
        tf_event_trade_t event;
        if (head->bytes < sizeof event)
            return false;
        memcpy(&event, record, sizeof event);
        return event.trade.side <= TF_SIDE_SELL && event.trade.id_bytes <= TF_TRADE_ID_BYTES_MAX;
    }
    case TF_EVENT_TICKER: {
        tf_event_ticker_t event;
        if (head->bytes < sizeof event)
            return false;
        memcpy(&event, record, sizeof event);
        return event.ticker.side <= TF_SIDE_SELL && event.ticker.q24_dp <= TF_DECIMAL_DP_MAX &&
               event.ticker.v24_dp <= TF_DECIMAL_DP_MAX;
    }
    default:
        return true;
    }
}

static bool record_sound(const tf_reader_t *reader, const uint8_t *record, const tf_event_t *head)
{
    return head->bytes >= sizeof *head && head->px_dp <= TF_DECIMAL_DP_MAX &&
           head->sz_dp <= TF_DECIMAL_DP_MAX && head->instrument < reader->layout.instruments_max &&
           body_sound(record, head);
}

/*
 * The first word of the record at the cursor, with the whole record in the window unless it is a
 * padding. EVENT, EMPTY, or LAPPED, which is also the answer to a length that can't be: what a
 * broken writer left can't be followed any further.
 */
static tf_poll_t record_find(tf_reader_t *reader, uint32_t *bytes, uint16_t *type)
{
    for (;;) {
        bool fresh = false;
        if (window_left(reader) == 0) {
            tf_poll_t filled = window_fill(reader);
            if (filled != TF_POLL_EVENT)
                return filled;
            fresh = true;
        }
        uint64_t word = 0;
        memcpy(&word, window_at_cursor(reader), sizeof word);
        *bytes = (uint32_t)word;
        *type = (uint16_t)(word >> 32);
        if (*bytes < 8 || *bytes % 8 != 0 || *bytes > TF_EVENT_BYTES_MAX)
            return lapped(reader);
        if (*bytes <= window_left(reader) || *type == TF_EVENT_PADDING)
            return TF_POLL_EVENT;
        if (fresh) /* it crosses the tail or the ring's end */
            return lapped(reader);
        stand_at(reader, reader->cursor); /* cut by the window: copy it again, from its start */
    }
}

tf_poll_t tf_reader_poll(tf_reader_t *reader, const tf_event_t **event)
{
    for (;;) {
        uint32_t bytes = 0;
        uint16_t type = 0;
        tf_poll_t found = record_find(reader, &bytes, &type);
        if (found != TF_POLL_EVENT)
            return found;
        if (type == TF_EVENT_PADDING) {
            /* It reaches exactly to the ring's end, so the loop runs at most twice. */
            uint64_t offset = reader->cursor & (reader->layout.ring_bytes - 1);
            if (offset + bytes != reader->layout.ring_bytes)
                return lapped(reader);
            stand_at(reader, reader->cursor + bytes);
            continue;
        }
        const uint8_t *record = window_at_cursor(reader);
        tf_event_t head;
        if (bytes < sizeof head)
            return lapped(reader);
        memcpy(&head, record, sizeof head);
        if (!record_sound(reader, record, &head))
            return lapped(reader);
        reader->cursor += bytes;
        *event = (const tf_event_t *)(const void *)record;
        return TF_POLL_EVENT;
    }
}

uint64_t tf_reader_lag_bytes(const tf_reader_t *reader)
{
    return tail_get(reader) - reader->cursor;
}

uint64_t tf_reader_lapped_count(const tf_reader_t *reader)
{
    return reader->lapped;
}

/* region facts and health */

uint64_t tf_reader_epoch(const tf_reader_t *reader)
{
    return reader->epoch;
}

uint32_t tf_reader_image_depth(const tf_reader_t *reader)
{
    return reader->layout.image_depth;
}

uint32_t tf_reader_trades_kept(const tf_reader_t *reader)
{
    return reader->layout.trades_kept;
}

uint32_t tf_reader_instruments_max(const tf_reader_t *reader)
{
    return reader->layout.instruments_max;
}

uint32_t tf_reader_instrument_count(const tf_reader_t *reader)
{
    uint64_t count = atomic_load_explicit(&reader->header->instrument_count, memory_order_acquire);
    return count < reader->layout.instruments_max ? (uint32_t)count
                                                  : reader->layout.instruments_max;
}

void tf_epoch_text(uint64_t epoch, char out[9])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* Crockford: no i, l, o, u */
    for (int i = 7; i >= 0; i--) {
        out[i] = digits[epoch & 31];
        epoch >>= 5;
    }
    out[8] = '\0';
}

static bool name_leads_elsewhere(const tf_reader_t *reader)
{
    struct stat info;
    return lstat(reader->path, &info) == 0 &&
           (info.st_dev != reader->device || info.st_ino != reader->inode);
}

int64_t tf_reader_heartbeat_age_ns(const tf_reader_t *reader, int64_t now_mono_ns)
{
    uint64_t beat = atomic_load_explicit(&reader->header->heartbeat_mono_ns, memory_order_acquire);
    /* A beat a little ahead of `now` is a beat that came after `now` was read. */
    return beat < (uint64_t)now_mono_ns ? (int64_t)((uint64_t)now_mono_ns - beat) : 0;
}

/* A look is one lstat(2), and only where nothing happens anyway: often enough that a writer which
 * came back is found long before the time-out of the old one is over again. */
static bool look_due(const tf_reader_t *reader, int64_t now_mono_ns, int64_t timeout_ns)
{
    const int64_t period_ns = timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS;
    return reader->looked_mono_ns == INT64_MIN || now_mono_ns - reader->looked_mono_ns >= period_ns;
}

tf_reader_health_t tf_reader_health(tf_reader_t *reader, int64_t now_mono_ns, int64_t timeout_ns)
{
    if (reader->replaced)
        return TF_READER_NEW_EPOCH;
    bool closed = tf_word_get(&reader->header->state) == TF_REGION_CLOSED;
    if (tf_reader_heartbeat_age_ns(reader, now_mono_ns) <= timeout_ns && !closed)
        return TF_READER_ALIVE;
    if (look_due(reader, now_mono_ns, timeout_ns)) {
        reader->looked_mono_ns = now_mono_ns;
        reader->replaced = name_leads_elsewhere(reader);
    }
    if (reader->replaced)
        return TF_READER_NEW_EPOCH;
    return closed ? TF_READER_CLOSED : TF_READER_LOST;
}
