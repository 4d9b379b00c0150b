#include "ingest/intake.h"

#include "base/log.h"
#include "base/mem.h"
#include "ingest/roster.h"

#include <string.h>

enum {
    /* One turn of one link: small enough that a burst on one venue does not hold up the others or
     * the heartbeat (a 1 MiB book takes some 5 ms), large enough that a turn costs nothing. */
    TURN_EVENTS_MAX = 256,
    TURN_BYTES_MAX = 1 << 20,
    REQUEST_BYTES_MAX = 4096, /* venues refuse large frames and name no limit; some 300 symbols */
    LOG_LINES_PER_S = 10,
};

/* At most LOG_LINES_PER_S lines; the rest is counted and told in one. A recording that is looped at
 * full speed opens and closes its link a hundred times a second. */
typedef struct quota {
    int64_t since_mono_ns;
    uint32_t lines;
    uint64_t unsaid;
} quota_t;

struct tf_intake {
    char venue[TF_VENUE_BYTES_MAX];
    const tf_adapter_ops_t *ops;
    tf_adapter_t *adapter;
    tf_source_t *source;
    tf_publisher_bench_t *bench;
    tf_feed_t feed;
    tf_roster_t roster;
    const char **name; /* room for every symbol of a request; NULL: the link names no symbols */
    uint32_t asks;     /* entries with `ask` set */
    bool ended;
    int64_t now_ns; /* the source's clock at the event in hand */
    int64_t mono_ns;
    quota_t quota;
};

static tf_stats_t *stats_of(const tf_intake_t *intake)
{
    return intake->bench->stats;
}

static tf_stamp_t stamp_at(int64_t te_ns, int64_t ti_ns)
{
    return (tf_stamp_t){.te_ns = te_ns, .ti_ns = ti_ns};
}

static void quota_refresh(tf_intake_t *intake)
{
    quota_t *quota = &intake->quota;
    if (intake->mono_ns - quota->since_mono_ns < TF_NS_PER_S)
        return;
    if (quota->unsaid > 0)
        tf_log(TF_LOG_WARN, "log_suppressed", "venue=%s lines=%llu", intake->venue,
               (unsigned long long)quota->unsaid);
    *quota = (quota_t){.since_mono_ns = intake->mono_ns};
}

static bool quota_take(tf_intake_t *intake)
{
    quota_refresh(intake);
    if (intake->quota.lines < LOG_LINES_PER_S) {
        intake->quota.lines++;
        return true;
    }
    intake->quota.unsaid++;
    return false;
}

static void link_log(tf_intake_t *intake, tf_log_level_t level, const char *event)
{
    if (quota_take(intake))
        tf_log(level, event, "venue=%s", intake->venue);
}

/* Changes of a whole link are one line of their own, not one per market. */
static bool worth_a_line(const tf_feed_market_t *market)
{
    return market->state != TF_STATE_LIVE && market->reason != TF_REASON_STARTING &&
           market->reason != TF_REASON_VENUE_DISCONNECTED;
}

static void on_state(void *context, tf_feed_market_t *market, int64_t at_ns)
{
    tf_intake_t *intake = context;
    tf_publisher_t *publisher = &intake->roster.entry[market->slot]->publisher;
    tf_stamp_t stamp = stamp_at(TF_TIME_NONE, at_ns);
    /* A market leaves LIVE before its data goes, and becomes LIVE after its data came
     * (on_snapshot), so that no reader ever finds data marked live that is not. */
    tf_publisher_state(publisher, market->state, market->reason, stamp);
    if (market->state == TF_STATE_RESYNC)
        tf_publisher_withhold(publisher, stamp);
    if (worth_a_line(market) && quota_take(intake))
        tf_log(TF_LOG_INFO, tf_market_state_text(market->state), "venue=%s symbol=%s reason=%s",
               intake->venue, publisher->instrument.symbol, tf_market_reason_text(market->reason));
}

/* Noted, and sent at the end of the turn: many markets then share a request. */
static void on_ask(void *context, tf_feed_market_t *market)
{
    tf_intake_t *intake = context;
    tf_roster_entry_t *entry = intake->roster.entry[market->slot];
    intake->asks += !entry->ask;
    entry->ask = true;
}

/* Put an instrument into the region and the feed, or refuse it for good. */
static void entry_carry(tf_intake_t *intake, tf_roster_entry_t *entry, int64_t now_ns)
{
    if (tf_publisher_open(&entry->publisher, stamp_at(TF_TIME_NONE, now_ns)) != TF_OK) {
        entry->kind = TF_ROSTER_REFUSED;
        tf_count(stats_of(intake), instruments_refused_total, 1);
        if (quota_take(intake))
            tf_log(TF_LOG_WARN, "instrument_refused", "venue=%s symbol=%s why=%s", intake->venue,
                   entry->publisher.instrument.symbol, TF_LOG_TEXT(tf_error_text()));
        return;
    }
    entry->kind = TF_ROSTER_CARRIED;
    tf_feed_market_add(&intake->feed, &entry->market, entry->slot);
    tf_feed_listing(&intake->feed, &entry->market,
                    (tf_instrument_status_t)entry->publisher.instrument.status);
}

/* A symbol that the venue sends unasked. NULL when it can't be named or kept. */
static tf_roster_entry_t *entry_discover(tf_intake_t *intake, tf_slice_t venue_symbol)
{
    char symbol[TF_SYMBOL_BYTES_MAX];
    char name[TF_SYMBOL_BYTES_MAX] = {0};
    tf_instrument_t instrument;
    if (venue_symbol.bytes >= sizeof name || !intake->ops->symbol_from_venue(venue_symbol, symbol))
        return NULL;
    memcpy(name, venue_symbol.text, venue_symbol.bytes);
    if (!tf_instrument_init(&instrument, intake->venue, symbol, name))
        return NULL;
    return tf_roster_add(&intake->roster, intake->bench, &instrument);
}

/* What to do with a market message of this symbol: its entry, or NULL to drop it. */
static tf_roster_entry_t *entry_for_market(tf_intake_t *intake, tf_slice_t venue_symbol)
{
    tf_roster_entry_t *entry = tf_roster_find(&intake->roster, venue_symbol);
    if (entry == NULL && intake->name == NULL)
        entry = entry_discover(intake, venue_symbol);
    if (entry == NULL) {
        tf_count(stats_of(intake), venue_unknown_symbol_total, 1);
        return NULL;
    }
    if (entry->kind == TF_ROSTER_LISTED)
        entry_carry(intake, entry, intake->now_ns);
    return entry->kind == TF_ROSTER_CARRIED ? entry : NULL;
}

/* A publication did not come off: count why, and resync the book. */
static void on_failure(tf_intake_t *intake, tf_roster_entry_t *entry, tf_publish_t result)
{
    tf_market_reason_t why = TF_REASON_SEQ_GAP;
    if (result == TF_PUBLISH_CROSSED) {
        why = TF_REASON_CROSSED;
        tf_count(stats_of(intake), book_crossed_total, 1);
    } else if (result == TF_PUBLISH_OVERFLOW) {
        tf_count(stats_of(intake), venue_number_overflow_total, 1);
    } else {
        tf_count(stats_of(intake), memory_refused_total, 1);
    }
    tf_feed_book_lost(&intake->feed, &entry->market, why);
    /* Also when the market was in resync before: the scale may have moved. */
    tf_publisher_withhold(&entry->publisher, stamp_at(TF_TIME_NONE, intake->now_ns));
}

static void on_snapshot(tf_intake_t *intake, tf_roster_entry_t *entry, const tf_update_t *update)
{
    tf_publish_t result =
        tf_publisher_snapshot(&entry->publisher, update->book.level, update->book.count,
                              stamp_at(update->te_ns, intake->now_ns));
    if (result == TF_PUBLISH_OK)
        tf_feed_snapshot(&intake->feed, &entry->market);
    else
        on_failure(intake, entry, result);
}

static void on_change(tf_intake_t *intake, tf_roster_entry_t *entry, const tf_update_t *update)
{
    if (!tf_feed_change_wanted(&intake->feed, &entry->market))
        return;
    tf_publish_t result =
        tf_publisher_change(&entry->publisher, update->book.level, update->book.count,
                            stamp_at(update->te_ns, intake->now_ns));
    if (result != TF_PUBLISH_OK)
        on_failure(intake, entry, result);
}

static void on_trade(tf_intake_t *intake, tf_roster_entry_t *entry, const tf_update_t *update)
{
    tf_feed_trade_t verdict = tf_feed_trade(&intake->feed, &entry->market, update->trade.id);
    if (!verdict.publish)
        return;
    tf_publish_t result = tf_publisher_trade(&entry->publisher, &update->trade, verdict.gap_before,
                                             stamp_at(update->te_ns, intake->now_ns));
    if (result == TF_PUBLISH_OK)
        return;
    tf_feed_trade_dropped(&entry->market, verdict);
    on_failure(intake, entry, result);
}

static void on_ticker(tf_intake_t *intake, tf_roster_entry_t *entry, const tf_update_t *update)
{
    tf_publish_t result = tf_publisher_ticker(&entry->publisher, &update->ticker,
                                              stamp_at(update->te_ns, intake->now_ns));
    if (result != TF_PUBLISH_OK)
        on_failure(intake, entry, result);
}

/* Metadata of symbols that were not asked for is normal: venues send all they have. */
static void on_metadata(tf_intake_t *intake, const tf_update_t *update)
{
    tf_roster_entry_t *entry = tf_roster_find(&intake->roster, update->symbol);
    if (entry == NULL && intake->name == NULL)
        entry = entry_discover(intake, update->symbol);
    if (entry == NULL || entry->kind == TF_ROSTER_REFUSED)
        return;
    tf_publish_t result = tf_publisher_describe(&entry->publisher, &update->instrument,
                                                stamp_at(update->te_ns, intake->now_ns));
    if (entry->kind != TF_ROSTER_CARRIED)
        return;
    if (result != TF_PUBLISH_OK)
        on_failure(intake, entry, result);
    tf_feed_listing(&intake->feed, &entry->market, update->instrument.status);
}

static void on_market(tf_intake_t *intake, const tf_update_t *update)
{
    tf_roster_entry_t *entry = entry_for_market(intake, update->symbol);
    if (entry == NULL)
        return;
    if (intake->source->ops->good != NULL)
        intake->source->ops->good(intake->source);
    tf_feed_heard(&intake->feed, &entry->market);
    if (update->type == TF_UPDATE_BOOK_CHANGE)
        on_change(intake, entry, update);
    else if (update->type == TF_UPDATE_TRADE)
        on_trade(intake, entry, update);
    else if (update->type == TF_UPDATE_TICKER)
        on_ticker(intake, entry, update);
    else if (update->type == TF_UPDATE_BOOK_SNAPSHOT)
        on_snapshot(intake, entry, update);
    else if (update->type == TF_UPDATE_TRADE_BASELINE)
        tf_feed_baseline(&intake->feed, &entry->market, update->trade.id);
    else
        tf_feed_heartbeat(&intake->feed, &entry->market, update->last_trade_id);
}

static void on_update(void *context, const tf_update_t *update)
{
    tf_intake_t *intake = context;
    switch (update->type) {
    case TF_UPDATE_INSTRUMENT:
        on_metadata(intake, update);
        break;
    case TF_UPDATE_SUBSCRIBED:
        break;
    case TF_UPDATE_ERROR:
        tf_count(stats_of(intake), venue_errors_total, 1);
        if (quota_take(intake))
            tf_log(TF_LOG_WARN, "venue_error", "venue=%s text=%s", intake->venue,
                   TF_LOG_BYTES(update->text.text, update->text.bytes));
        break;
    case TF_UPDATE_BOOK_SNAPSHOT:
    case TF_UPDATE_BOOK_CHANGE:
    case TF_UPDATE_TRADE:
    case TF_UPDATE_TRADE_BASELINE:
    case TF_UPDATE_TICKER:
    case TF_UPDATE_HEARTBEAT:
        on_market(intake, update);
        break;
    }
}

/* A frame was lost on our side; it may have been a book's. */
static void on_loss(tf_intake_t *intake, const tf_decode_loss_t *loss)
{
    if (!loss->book)
        return;
    for (uint32_t slot = 0; slot < intake->roster.count; slot++) {
        tf_roster_entry_t *entry = intake->roster.entry[slot];
        const char *symbol = entry->publisher.instrument.venue_symbol;
        if (entry->kind == TF_ROSTER_CARRIED &&
            (loss->symbol.bytes == 0 || tf_slice_is_bytes(loss->symbol, symbol, strlen(symbol))))
            tf_feed_book_lost(&intake->feed, &entry->market, TF_REASON_SEQ_GAP);
    }
}

static void on_text(tf_intake_t *intake, const tf_source_event_t *event)
{
    const tf_update_sink_t sink = {.on_update = on_update, .context = intake};
    tf_decode_loss_t loss = {.book = false, .symbol = {"", 0}};
    tf_count(stats_of(intake), venue_frames_total, 1);
    tf_count(stats_of(intake), venue_bytes_total, event->bytes);
    tf_decode_t decoded =
        event->type == TF_SOURCE_HTTP
            ? intake->ops->decode_http(intake->adapter, event->url, event->text, event->bytes,
                                       &sink)
            : intake->ops->decode(intake->adapter, event->text, event->bytes, &sink, &loss);
    if (decoded == TF_DECODE_IGNORED)
        tf_count(stats_of(intake), venue_ignored_total, 1);
    else if (decoded == TF_DECODE_MALFORMED)
        tf_count(stats_of(intake), venue_malformed_total, 1);
    else if (decoded == TF_DECODE_NO_MEMORY)
        tf_count(stats_of(intake), memory_refused_total, 1);
    if (decoded == TF_DECODE_MALFORMED || decoded == TF_DECODE_NO_MEMORY)
        on_loss(intake, &loss);
}

/* As few requests as hold all of intake->name[0..count). */
static void request_send(tf_intake_t *intake, tf_request_t request, size_t count)
{
    char text[REQUEST_BYTES_MAX];
    for (size_t done = 0; done < count;) {
        size_t take = count - done;
        int64_t bytes = -1;
        for (;;) {
            bytes = intake->ops->request(request, intake->name + done, take, text, sizeof text);
            if (bytes >= 0)
                break;
            TF_ASSERT(take > 1); /* any one symbol fits */
            take = (take + 1) / 2;
        }
        intake->source->ops->send(intake->source, text, (size_t)bytes);
        done += take;
    }
}

static void subscribe(tf_intake_t *intake)
{
    size_t count = 0;
    if (intake->name == NULL)
        return;
    for (uint32_t slot = 0; slot < intake->roster.count; slot++) {
        if (intake->roster.entry[slot]->kind == TF_ROSTER_CARRIED)
            intake->name[count++] = intake->roster.entry[slot]->publisher.instrument.venue_symbol;
    }
    request_send(intake, TF_REQUEST_SUBSCRIBE, count);
}

/* Send what the feed asked for in this turn and still needs. */
static void asks_send(tf_intake_t *intake)
{
    size_t count = 0;
    if (intake->asks == 0)
        return;
    for (uint32_t slot = 0; slot < intake->roster.count; slot++) {
        tf_roster_entry_t *entry = intake->roster.entry[slot];
        if (entry->ask && intake->name != NULL && intake->feed.open &&
            entry->market.book == TF_FEED_BOOK_AWAITED)
            intake->name[count++] = entry->publisher.instrument.venue_symbol;
        entry->ask = false;
    }
    intake->asks = 0;
    tf_count(stats_of(intake), feed_resync_total, count);
    request_send(intake, TF_REQUEST_BOOK_LEAVE, count);
    request_send(intake, TF_REQUEST_BOOK_ENTER, count);
}

/* One event of the source, but IDLE. */
static void on_event(tf_intake_t *intake, const tf_source_event_t *event)
{
    switch (event->type) {
    case TF_SOURCE_OPENED:
        link_log(intake, TF_LOG_INFO, "link_opened");
        tf_feed_opened(&intake->feed);
        subscribe(intake);
        break;
    case TF_SOURCE_FRAME:
        if (!intake->feed.open)
            tf_feed_opened(&intake->feed);
        on_text(intake, event);
        break;
    case TF_SOURCE_HTTP:
        on_text(intake, event);
        break;
    case TF_SOURCE_CLOSED:
        link_log(intake, TF_LOG_WARN, "link_closed");
        tf_feed_closed(&intake->feed);
        break;
    case TF_SOURCE_ENDED:
        link_log(intake, TF_LOG_INFO, "link_ended");
        tf_feed_closed(&intake->feed);
        intake->ended = true;
        break;
    case TF_SOURCE_IDLE:
        break;
    }
}

uint32_t tf_intake_poll(tf_intake_t *intake, int64_t mono_ns, int64_t wall_ns, int64_t *wake_in_ns)
{
    uint32_t frames = 0;
    size_t bytes = 0;
    *wake_in_ns = intake->ended ? INT64_MAX : 0;
    intake->mono_ns = mono_ns;
    quota_refresh(intake);
    intake->bench->timed = !intake->source->virtual_clock;
    for (uint32_t events = 0; events < TURN_EVENTS_MAX && bytes < TURN_BYTES_MAX; events++) {
        tf_source_event_t event = {.type = TF_SOURCE_IDLE};
        if (intake->ended)
            break;
        intake->source->ops->poll(intake->source, mono_ns, wall_ns, &event);
        intake->now_ns = event.now_ns;
        tf_feed_advance(&intake->feed, event.now_ns);
        if (event.type == TF_SOURCE_IDLE) {
            *wake_in_ns = event.wake_in_ns;
            break;
        }
        if (event.type == TF_SOURCE_FRAME || event.type == TF_SOURCE_HTTP) {
            frames++;
            bytes += event.bytes;
        }
        on_event(intake, &event);
    }
    asks_send(intake);
    return frames;
}

bool tf_intake_ended(const tf_intake_t *intake)
{
    return intake->ended;
}

/* The instruments that a link names. */
static tf_status_t entries_add(tf_intake_t *intake, const char *const *symbols, int64_t now_ns)
{
    for (size_t i = 0; symbols[i] != NULL; i++) {
        char name[TF_SYMBOL_BYTES_MAX];
        tf_instrument_t instrument;
        if (!intake->ops->symbol_to_venue(symbols[i], name) ||
            !tf_instrument_init(&instrument, intake->venue, symbols[i], name))
            return tf_error(TF_ERR_ARG, "%s: \"%s\" is not a symbol of this venue (BASE-QUOTE)",
                            intake->venue, symbols[i]);
        if (tf_roster_find(&intake->roster, (tf_slice_t){name, strlen(name)}) != NULL)
            continue;
        tf_roster_entry_t *entry = tf_roster_add(&intake->roster, intake->bench, &instrument);
        if (entry == NULL)
            return tf_error(TF_ERR_MEMORY, "%s: no memory for %s", intake->venue, symbols[i]);
        entry_carry(intake, entry, now_ns);
    }
    intake->name = tf_mem_calloc((size_t)intake->roster.count + 1, sizeof *intake->name);
    if (intake->name == NULL)
        return tf_error(TF_ERR_MEMORY, "%s: no memory for its requests", intake->venue);
    return TF_OK;
}

tf_status_t tf_intake_create(tf_intake_t **out, const tf_ingest_link_t *link,
                             tf_publisher_bench_t *bench, int64_t stamp_ns)
{
    size_t venue_bytes = strlen(link->venue);
    if (!tf_venue_name_valid(link->venue, venue_bytes))
        return tf_error(TF_ERR_ARG, "\"%s\" is not a venue name ([a-z0-9_], at most 15)",
                        link->venue);
    tf_intake_t *intake = tf_mem_calloc(1, sizeof *intake);
    if (intake == NULL)
        return tf_error(TF_ERR_MEMORY, "no memory for venue %s", link->venue);
    memcpy(intake->venue, link->venue, venue_bytes);
    intake->ops = link->adapter;
    intake->bench = bench;
    const tf_feed_sink_t sink = {.on_state = on_state, .on_ask = on_ask, .context = intake};
    tf_feed_init(&intake->feed, &link->adapter->rules, &sink, bench->stats);
    tf_status_t status = TF_OK;
    intake->adapter = link->adapter->create();
    if (intake->adapter == NULL)
        status = tf_error(TF_ERR_MEMORY, "no memory for the adapter of %s", link->venue);
    else if (link->symbols != NULL)
        status = entries_add(intake, link->symbols, stamp_ns);
    if (status != TF_OK) {
        tf_intake_destroy(intake);
        return status;
    }
    intake->source = link->source; /* only now: a failed create leaves it with the caller */
    *out = intake;
    return TF_OK;
}

void tf_intake_destroy(tf_intake_t *intake)
{
    if (intake == NULL)
        return;
    if (intake->source != NULL)
        intake->source->ops->destroy(intake->source);
    if (intake->adapter != NULL)
        intake->ops->destroy(intake->adapter);
    tf_roster_fini(&intake->roster);
    tf_mem_free(intake->name);
    tf_mem_free(intake);
}
