#include "venue/sim_text.h"

#include "base/clock.h"
#include "base/mem.h"
#include "market/decimal.h"

#include <string.h>

enum { /* upper bounds of what is written per item */
       PRODUCT_BYTES_MAX = 512,
       LISTED_BYTES_MAX = TF_SYMBOL_BYTES_MAX + 3,
       LEVEL_BYTES_MAX = 2 * TF_DECIMAL_TEXT_BYTES_MAX + 16,
       FRAME_BYTES_MAX = 1024, /* a frame without its list of levels or products */
};

const char *const tf_sim_channel_names[TF_SIM_CHANNEL_COUNT] = {"level2_50", "matches", "ticker",
                                                                "heartbeat", "status"};

/* ---- the buffer --------------------------------------------------------------------------- */

/* The bytes that hold whatever is written between two polls: one of these at a time. */
static size_t room_for(uint32_t instruments, uint32_t levels_max)
{
    const size_t list = (size_t)instruments * PRODUCT_BYTES_MAX;
    const size_t subscriptions = (size_t)instruments * TF_SIM_CHANNEL_COUNT * LISTED_BYTES_MAX;
    const size_t snapshot = 2 * (size_t)levels_max * LEVEL_BYTES_MAX;
    const size_t event =
        (size_t)TF_SIM_FRAMES_MAX * FRAME_BYTES_MAX + (size_t)TF_SIM_CHANGES_MAX * LEVEL_BYTES_MAX;
    size_t room = list > subscriptions ? list : subscriptions;
    room = room > snapshot ? room : snapshot;
    return room + event;
}

bool tf_sim_text_init(tf_sim_text_t *text, const tf_sim_market_t *market)
{
    *text = (tf_sim_text_t){.seed = market->config.seed};
    text->room = room_for(market->config.instruments, market->levels_max);
    text->buffer = tf_mem_calloc(text->room, 1);
    return text->buffer != NULL;
}

void tf_sim_text_fini(tf_sim_text_t *text)
{
    tf_mem_free(text->buffer);
}

void tf_sim_text_clear(tf_sim_text_t *text)
{
    text->bytes = 0;
    text->frames = 0;
    text->taken = 0;
}

bool tf_sim_text_take(tf_sim_text_t *text, tf_slice_t *out)
{
    if (text->taken == text->frames) {
        return false;
    }
    const tf_sim_frame_t *frame = &text->frame[text->taken++];
    *out = (tf_slice_t){text->buffer + frame->offset, frame->bytes};
    return true;
}

static void frame_begin(tf_sim_text_t *text)
{
    TF_ASSERT(text->frames < TF_SIM_FRAMES_MAX);
    text->frame[text->frames].offset = text->bytes;
}

static void frame_end(tf_sim_text_t *text)
{
    tf_sim_frame_t *frame = &text->frame[text->frames++];
    frame->bytes = text->bytes - frame->offset;
}

/* ---- values ------------------------------------------------------------------------------- */

static void put(tf_sim_text_t *text, const char *data, size_t bytes)
{
    TF_ASSERT(bytes <= text->room - text->bytes); /* room_for() bounds every frame */
    memcpy(text->buffer + text->bytes, data, bytes);
    text->bytes += bytes;
}

static void put_str(tf_sim_text_t *text, const char *string)
{
    put(text, string, strlen(string));
}

static void put_decimal(tf_sim_text_t *text, int64_t mantissa, uint8_t dp)
{
    char out[TF_DECIMAL_TEXT_BYTES_MAX];
    put(text, out, tf_decimal_write(out, mantissa, dp));
}

/* Without trailing zeros, as matches and tickers have it. */
static void put_trimmed(tf_sim_text_t *text, int64_t mantissa, uint8_t dp)
{
    while (dp > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        dp--;
    }
    put_decimal(text, mantissa, dp);
}

static void put_integer(tf_sim_text_t *text, uint64_t value)
{
    put_decimal(text, (int64_t)value, 0);
}

static void put_digits(char *out, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Simulated time as RFC 3339 with microseconds. */
static void put_time(tf_sim_text_t *text, int64_t sim_ns)
{
    const int64_t wall_us = (text->epoch_ns + sim_ns) / TF_NS_PER_US;
    const int64_t seconds = wall_us / 1000000;
    const int64_t of_day = seconds % 86400;
    /* Civil date from days since 1970: the year starts in March, so the leap day is its last. */
    const int64_t days = seconds / 86400 + 719468;
    const int64_t era = days / 146097;
    const int64_t of_era = days % 146097;
    const int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t march_month = (5 * of_year + 2) / 153;
    const int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    char out[] = "0000-00-00T00:00:00.000000Z";
    put_digits(out, year_of_era + era * 400 + (month <= 2 ? 1 : 0), 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, of_year - (153 * march_month + 2) / 5 + 1, 2);
    put_digits(out + 11, of_day / 3600, 2);
    put_digits(out + 14, of_day / 60 % 60, 2);
    put_digits(out + 17, of_day % 60, 2);
    put_digits(out + 20, wall_us % 1000000, 6);
    put(text, out, sizeof out - 1);
}

/* A random UUID; its bits come from the trade, so that they do not depend on who listens. */
static void put_uuid(tf_sim_text_t *text, tf_rng_t *rng)
{
    char out[] = "00000000-0000-4000-8000-000000000000";
    uint64_t bits = 0;
    uint32_t left = 0;
    for (size_t i = 0; i < sizeof out - 1; i++) {
        if (out[i] == '0') {
            if (left == 0) {
                bits = tf_rng_next(rng);
                left = 16;
            }
            out[i] = "0123456789abcdef"[bits & 15];
            bits >>= 4;
            left--;
        }
    }
    put(text, out, sizeof out - 1);
}

static const char *side_text(uint8_t s)
{
    return s == TF_SIDE_BUY ? "buy" : "sell";
}

static void put_member(tf_sim_text_t *text, const char *before, const char *value)
{
    put_str(text, before);
    put_str(text, value);
    put_str(text, "\"");
}

/* `"key":"` ... `"` with a trimmed number; `before` is the text up to the number. */
static void put_number(tf_sim_text_t *text, const char *before, int64_t mantissa, uint8_t dp)
{
    put_str(text, before);
    put_trimmed(text, mantissa, dp);
    put_str(text, "\"");
}

static void put_time_end(tf_sim_text_t *text, int64_t sim_ns)
{
    put_str(text, ",\"time\":\"");
    put_time(text, sim_ns);
    put_str(text, "\"}");
}

/* ---- frames ------------------------------------------------------------------------------- */

static void write_levels(tf_sim_text_t *text, const tf_sim_instrument_t *ins, uint8_t s)
{
    const tf_sim_side_t *side = &ins->side[s];
    for (uint32_t i = side->count; i > 0; i--) {
        put_str(text, i == side->count ? "[\"" : ",[\"");
        put_decimal(text, tf_sim_key_price(s, side->level[i - 1].key), ins->px_dp);
        put_str(text, "\",\"");
        put_decimal(text, side->level[i - 1].sz, ins->sz_dp);
        put_str(text, "\"]");
    }
}

void tf_sim_text_snapshot(tf_sim_text_t *text, const tf_sim_instrument_t *ins, int64_t te_ns)
{
    frame_begin(text);
    put_member(text, "{\"type\":\"snapshot\",\"product_id\":\"", ins->symbol);
    put_str(text, ",\"asks\":[");
    write_levels(text, ins, TF_SIDE_SELL);
    put_str(text, "],\"bids\":[");
    write_levels(text, ins, TF_SIDE_BUY);
    put_str(text, "]");
    put_time_end(text, te_ns);
    frame_end(text);
}

void tf_sim_text_l2update(tf_sim_text_t *text, const tf_sim_market_t *market,
                          const tf_sim_instrument_t *ins, int64_t te_ns)
{
    frame_begin(text);
    put_member(text, "{\"type\":\"l2update\",\"product_id\":\"", ins->symbol);
    put_str(text, ",\"changes\":[");
    for (uint32_t i = 0; i < market->changes; i++) {
        const tf_sim_change_t *change = &market->change[i];
        put_member(text, i == 0 ? "[\"" : ",[\"", side_text(change->side));
        put_str(text, ",\"");
        put_decimal(text, tf_sim_key_price(change->side, change->key), ins->px_dp);
        put_str(text, "\",\"");
        put_decimal(text, change->sz, ins->sz_dp);
        put_str(text, "\"]");
    }
    put_str(text, "]");
    put_time_end(text, te_ns);
    frame_end(text);
}

void tf_sim_text_match(tf_sim_text_t *text, const tf_sim_instrument_t *ins,
                       const tf_sim_fill_t *fill, const char *type)
{
    tf_rng_t ids = {text->seed ^ fill->trade_id};
    frame_begin(text);
    put_member(text, "{\"type\":\"", type);
    put_str(text, ",\"trade_id\":");
    put_integer(text, fill->trade_id);
    put_str(text, ",\"maker_order_id\":\"");
    put_uuid(text, &ids);
    put_str(text, "\",\"taker_order_id\":\"");
    put_uuid(text, &ids);
    put_member(text, "\",\"side\":\"",
               side_text(1 - ins->taker)); /* the venue names the maker's side */
    put_number(text, ",\"size\":\"", fill->sz, ins->sz_dp);
    put_number(text, ",\"price\":\"", fill->px, ins->px_dp);
    put_member(text, ",\"product_id\":\"", ins->symbol);
    put_str(text, ",\"sequence\":");
    put_integer(text, fill->sequence);
    put_time_end(text, ins->trade_te_ns);
    frame_end(text);
}

void tf_sim_text_ticker(tf_sim_text_t *text, const tf_sim_instrument_t *ins)
{
    const tf_sim_level_t *bid = tf_sim_side_best(&ins->side[TF_SIDE_BUY]);
    const tf_sim_level_t *ask = tf_sim_side_best(&ins->side[TF_SIDE_SELL]);
    frame_begin(text);
    put_str(text, "{\"type\":\"ticker\",\"sequence\":");
    put_integer(text, ins->sequence);
    put_member(text, ",\"product_id\":\"", ins->symbol);
    put_number(text, ",\"price\":\"", ins->last_px, ins->px_dp);
    put_number(text, ",\"open_24h\":\"", ins->open_px, ins->px_dp);
    put_number(text, ",\"volume_24h\":\"", ins->volume_sz, ins->sz_dp);
    put_number(text, ",\"low_24h\":\"", ins->low_px, ins->px_dp);
    put_number(text, ",\"high_24h\":\"", ins->high_px, ins->px_dp);
    put_number(text, ",\"volume_30d\":\"", ins->volume_sz * 30, ins->sz_dp);
    put_number(text, ",\"best_bid\":\"", bid->key, ins->px_dp);
    put_str(text, ",\"best_bid_size\":\"");
    put_decimal(text, bid->sz, ins->sz_dp);
    put_number(text, "\",\"best_ask\":\"", -ask->key, ins->px_dp);
    put_str(text, ",\"best_ask_size\":\"");
    put_decimal(text, ask->sz, ins->sz_dp);
    put_member(text, "\",\"side\":\"", side_text(ins->taker));
    put_str(text, ",\"time\":\"");
    put_time(text, ins->trade_te_ns);
    put_str(text, "\",\"trade_id\":");
    put_integer(text, ins->trade_id);
    put_number(text, ",\"last_size\":\"", ins->last_sz, ins->sz_dp);
    put_str(text, "}");
    frame_end(text);
}

void tf_sim_text_heartbeat(tf_sim_text_t *text, const tf_sim_instrument_t *ins, int64_t te_ns)
{
    frame_begin(text);
    put_str(text, "{\"type\":\"heartbeat\",\"last_trade_id\":");
    put_integer(text, ins->trade_id);
    put_member(text, ",\"product_id\":\"", ins->symbol);
    put_str(text, ",\"sequence\":");
    put_integer(text, ins->sequence);
    put_time_end(text, te_ns);
    frame_end(text);
}

/* The product list, as /products and the status channel have it. */
static void put_products(tf_sim_text_t *text, const tf_sim_market_t *market)
{
    for (uint32_t i = 0; i < market->config.instruments; i++) {
        const tf_sim_instrument_t *ins = &market->instrument[i];
        const size_t base_bytes = (size_t)(strchr(ins->symbol, '-') - ins->symbol);
        put_member(text, i == 0 ? "{\"id\":\"" : ",{\"id\":\"", ins->symbol);
        put_str(text, ",\"base_currency\":\"");
        put(text, ins->symbol, base_bytes);
        put_member(text, "\",\"quote_currency\":\"", ins->symbol + base_bytes + 1);
        put_number(text, ",\"base_increment\":\"", 1, ins->sz_dp);
        put_number(text, ",\"quote_increment\":\"", 1, ins->px_dp);
        put_member(text, ",\"display_name\":\"", ins->symbol);
        put_str(text, ",\"status\":\"online\",\"status_message\":null,\"min_market_funds\":\"1\","
                      "\"post_only\":false,\"limit_only\":false,\"cancel_only\":false,"
                      "\"trading_disabled\":false,\"auction_mode\":false,\"fx_stablecoin\":false}");
    }
}

void tf_sim_text_products(tf_sim_text_t *text, const tf_sim_market_t *market)
{
    frame_begin(text);
    put_str(text, "[");
    put_products(text, market);
    put_str(text, "]");
    frame_end(text);
}

void tf_sim_text_status(tf_sim_text_t *text, const tf_sim_market_t *market)
{
    frame_begin(text);
    put_str(text, "{\"type\":\"status\",\"products\":[");
    put_products(text, market);
    put_str(text, "],\"currencies\":[]}");
    frame_end(text);
}

void tf_sim_text_subscriptions(tf_sim_text_t *text, const tf_sim_market_t *market, bool status)
{
    bool any = false;
    frame_begin(text);
    put_str(text, "{\"type\":\"subscriptions\",\"channels\":[");
    for (uint32_t channel = 0; channel < TF_SIM_CHANNEL_COUNT; channel++) {
        bool listed = channel == TF_SIM_STATUS && status;
        for (uint32_t i = 0; i < market->config.instruments && !listed; i++) {
            listed = (market->instrument[i].channels & 1U << channel) != 0;
        }
        if (!listed) {
            continue;
        }
        put_member(text, any ? ",{\"name\":\"" : "{\"name\":\"", tf_sim_channel_names[channel]);
        put_str(text, ",\"product_ids\":[");
        bool first = true;
        for (uint32_t i = 0; i < market->config.instruments; i++) {
            if ((market->instrument[i].channels & 1U << channel) != 0) {
                put_member(text, first ? "\"" : ",\"", market->instrument[i].symbol);
                first = false;
            }
        }
        put_str(text, "],\"account_ids\":null}");
        any = true;
    }
    put_str(text, "]}");
    frame_end(text);
}

void tf_sim_text_error(tf_sim_text_t *text, const char *reason)
{
    frame_begin(text);
    put_member(text, "{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"",
               reason);
    put_str(text, "}");
    frame_end(text);
}
