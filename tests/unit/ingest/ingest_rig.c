#include "ingest_rig.h"

#include "market/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, RIG_TEXT_BYTES - used, format, arguments);
    va_end(arguments);
}

static void source_poll(tf_source_t *source, int64_t mono_ns, int64_t wall_ns,
                        tf_source_event_t *event)
{
    (void)mono_ns;
    (void)wall_ns;
    rig_source_t *rig_source = (rig_source_t *)source;
    if (rig_source->next < rig_source->count) {
        *event = rig_source->event[rig_source->next++];
        rig_source->now_ns = event->now_ns;
        return;
    }
    *event = (tf_source_event_t){
        .type = TF_SOURCE_IDLE, .now_ns = rig_source->now_ns, .wake_in_ns = INT64_MAX};
}

static void source_send(tf_source_t *source, const char *text, size_t bytes)
{
    append(((rig_source_t *)source)->sent, "%.*s\n", (int)bytes, text);
}

static void source_destroy(tf_source_t *source)
{
    ((rig_source_t *)source)->destroyed = true;
}

static const tf_source_ops_t source_ops = {
    .poll = source_poll, .send = source_send, .destroy = source_destroy};

static int64_t fixed_ns(void *context)
{
    (void)context;
    return 1790000000000000000;
}

void rig_region_open(rig_t *rig, uint32_t instruments_max)
{
    static int count;
    memset(rig, 0, sizeof *rig);
    snprintf(rig->name, sizeof rig->name, "test-ingest-%d-%d", (int)getpid(), count++);
    rig->clock = (tf_clock_t){fixed_ns, fixed_ns, NULL};
    tf_region_config_t config = {
        .name = rig->name,
        .instruments_max = instruments_max,
        .image_depth = RIG_DEPTH,
        .trades_kept = 64,
        .ring_bytes = 1 << 20,
    };
    assert_int_equal(tf_region_create(&rig->region, &config, &rig->clock, &rig->stats), TF_OK);
    const char *error = NULL;
    rig->reader = tf_reader_open(rig->name, &error);
    assert_non_null(rig->reader);
    assert_true(tf_reader_seek(rig->reader, TF_FROM_START));
    rig->source.source.ops = &source_ops;
}

tf_status_t rig_ingest_open(rig_t *rig, const char *const *symbols)
{
    tf_status_t status = tf_ingest_create(&rig->ingest, rig->region, &rig->clock, &rig->stats);
    if (status != TF_OK)
        return status;
    const tf_ingest_link_t link = {
        .venue = "coinbase",
        .adapter = tf_adapter_find("coinbase", strlen("coinbase")),
        .source = &rig->source.source,
        .symbols = symbols,
    };
    return tf_ingest_link_add(rig->ingest, &link);
}

void rig_open(rig_t *rig, const char *const *symbols, uint32_t instruments_max)
{
    rig_region_open(rig, instruments_max);
    assert_int_equal(rig_ingest_open(rig, symbols), TF_OK);
}

void rig_close(rig_t *rig)
{
    char path[128];
    tf_ingest_destroy(rig->ingest);
    tf_reader_close(rig->reader);
    tf_region_close(rig->region, true);
    snprintf(path, sizeof path, "/dev/shm/tickfan.%s.lock", rig->name);
    (void)unlink(path);
    for (size_t i = 0; i < rig->frame_count; i++)
        free(rig->frames[i]);
}

void rig_queue(rig_t *rig, int64_t now_ms, tf_source_event_type_t type, const char *text)
{
    rig_source_t *source = &rig->source;
    if (source->next == source->count) {
        source->next = source->count = 0;
        for (size_t i = 0; i < rig->frame_count; i++)
            free(rig->frames[i]);
        rig->frame_count = 0;
    }
    assert_true(source->count < RIG_EVENTS_MAX);
    tf_source_event_t event = {.type = type, .now_ns = now_ms * TF_NS_PER_MS};
    if (text != NULL) {
        event.text = rig->frames[rig->frame_count++] = strdup(text);
        event.bytes = strlen(text);
    }
    if (type == TF_SOURCE_HTTP) {
        static const char url[] = "https://api.exchange.coinbase.com/products";
        event.url = (tf_slice_t){url, sizeof url - 1};
    }
    source->event[source->count++] = event;
}

void rig_play(rig_t *rig, int64_t now_ms, tf_source_event_type_t type, const char *text)
{
    int64_t wake_in_ns = 0;
    rig_queue(rig, now_ms, type, text);
    (void)tf_ingest_step(rig->ingest, 0, 0, &wake_in_ns);
}

void rig_frame(rig_t *rig, int64_t now_ms, const char *text)
{
    rig_play(rig, now_ms, TF_SOURCE_FRAME, text);
}

static void levels_tell(char *told, const tf_level_t *level, size_t count)
{
    for (size_t i = 0; i < count; i++)
        append(told, "%s%lldx%lld", i > 0 ? "," : "", (long long)level[i].px,
               (long long)level[i].sz);
}

static void side_tell(char *told, int64_t px, int64_t sz)
{
    if (px == TF_PRICE_NONE)
        append(told, "-");
    else
        append(told, "%lldx%lld", (long long)px, (long long)sz);
}

static void book_tell(char *told, const tf_event_book_t *book)
{
    append(told, "B%u%s:", book->head.instrument,
           book->head.flags & TF_EVENT_FLAG_SNAPSHOT ? "*" : "");
    levels_tell(told, book->level, book->bids);
    append(told, "|");
    levels_tell(told, book->level + book->bids, book->asks);
}

static void trade_tell(char *told, const tf_event_trade_t *event)
{
    const tf_trade_t *trade = &event->trade;
    append(told, "T%u:%.*s:%s:%lldx%lld", event->head.instrument, trade->id_bytes, trade->id,
           trade->side == TF_SIDE_BUY ? "buy" : "sell", (long long)trade->px, (long long)trade->sz);
    if (trade->gap_before > 0)
        append(told, "+%u", trade->gap_before);
}

static void event_tell(char *told, const tf_event_t *event)
{
    append(told, "%s", told[0] != '\0' ? " " : "");
    if (event->type == TF_EVENT_INSTRUMENT) {
        append(told, "I%u:%u/%u", event->instrument, event->px_dp, event->sz_dp);
    } else if (event->type == TF_EVENT_STATE) {
        const tf_event_state_t *state = (const tf_event_state_t *)event;
        append(told, "S%u:%s", event->instrument, tf_market_state_text(state->state));
        if (state->state != TF_STATE_LIVE)
            append(told, "/%s", tf_market_reason_text(state->reason));
    } else if (event->type == TF_EVENT_BOOK) {
        book_tell(told, (const tf_event_book_t *)event);
    } else if (event->type == TF_EVENT_BBO) {
        const tf_bbo_t *bbo = &((const tf_event_bbo_t *)event)->bbo;
        append(told, "Q%u:", event->instrument);
        side_tell(told, bbo->bid_px, bbo->bid_sz);
        append(told, "|");
        side_tell(told, bbo->ask_px, bbo->ask_sz);
    } else if (event->type == TF_EVENT_TRADE) {
        trade_tell(told, (const tf_event_trade_t *)event);
    } else {
        append(told, "K%u", event->instrument);
    }
}

const char *rig_told(rig_t *rig)
{
    const tf_event_t *event = NULL;
    rig->told[0] = '\0';
    while (tf_reader_poll(rig->reader, &event) == TF_POLL_EVENT)
        event_tell(rig->told, event);
    return rig->told;
}

const char *rig_sent(rig_t *rig)
{
    static char sent[RIG_TEXT_BYTES];
    memcpy(sent, rig->source.sent, sizeof sent);
    rig->source.sent[0] = '\0';
    return sent;
}

uint64_t rig_count(const rig_t *rig, tf_stat_t stat)
{
    return tf_stats_get(&rig->stats, stat);
}

void rig_live(rig_t *rig)
{
    static const char *const btc[] = {"BTC-USD", NULL};
    rig_open(rig, btc, 8);
    rig_play(rig, 1000, TF_SOURCE_OPENED, NULL);
    rig_frame(rig, 1000, RIG_MATCH("last_match", "BTC-USD", "100", "buy", "1", "100"));
    rig_frame(rig, 1000, RIG_BOOK);
    (void)rig_told(rig);
    (void)rig_sent(rig);
}
