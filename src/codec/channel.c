#include "codec/channel.h"

#include "market/instrument.h"

#include <string.h>

typedef struct kind_row {
    const char *text;
    tf_rate_t rate_default;
    bool rates[TF_RATE_COUNT];
} kind_row_t;

static const kind_row_t kinds[TF_KIND_COUNT] = {
    [TF_KIND_TICKER] = {"ticker", TF_RATE_100MS, {true, true, true, true}},
    [TF_KIND_BBO] = {"bbo", TF_RATE_RAW, {true, true, true, true}},
    [TF_KIND_TRADES] = {"trades", TF_RATE_RAW, {[TF_RATE_RAW] = true, [TF_RATE_100MS] = true}},
    [TF_KIND_BOOK] = {"book", TF_RATE_100MS, {true, true, true, true}},
    [TF_KIND_INSTRUMENTS] = {"instruments", TF_RATE_RAW, {false}},
    [TF_KIND_STATUS] = {"status", TF_RATE_RAW, {false}},
};

static const struct {
    const char *text;
    int64_t period_ns;
} rates[TF_RATE_COUNT] = {
    [TF_RATE_RAW] = {"raw", 0},
    [TF_RATE_100MS] = {"100ms", 100000000},
    [TF_RATE_250MS] = {"250ms", 250000000},
    [TF_RATE_1S] = {"1s", 1000000000},
};

enum { DEPTH_DEFAULT = 10 };

static const struct {
    const char *text;
    uint32_t depth;
} depths[] = {
    {"1", 1},
    {"10", 10},
    {"25", 25},
    {"50", 50},
    {"200", 200},
    {"1000", 1000},
    {"full", TF_DEPTH_FULL},
};

typedef struct field {
    const char *text;
    size_t bytes;
} field_t;

static bool field_equals(field_t field, const char *text)
{
    return field.bytes == strlen(text) && memcmp(field.text, text, field.bytes) == 0;
}

/* What stands before the next point of *rest, which is NULL behind the last field. An empty field
 * is a field: "book." has two. */
static bool field_next(field_t *rest, field_t *out)
{
    *out = (field_t){"", 0};
    if (rest->text == NULL)
        return false;
    const char *point = memchr(rest->text, '.', rest->bytes);
    if (point == NULL) {
        *out = *rest;
        *rest = (field_t){NULL, 0};
        return true;
    }
    size_t bytes = (size_t)(point - rest->text);
    *out = (field_t){rest->text, bytes};
    *rest = (field_t){point + 1, rest->bytes - bytes - 1};
    return true;
}

static bool kind_parse(field_t field, tf_kind_t *out)
{
    for (unsigned i = 0; i < TF_KIND_COUNT; i++) {
        if (field_equals(field, kinds[i].text)) {
            *out = (tf_kind_t)i;
            return true;
        }
    }
    return false;
}

static tf_channel_result_t market_parse(field_t *rest, tf_channel_t *out)
{
    field_t field;
    field_next(rest, &field);
    if (field_equals(field, "*"))
        return TF_CHANNEL_WILDCARD;
    if (!kind_parse(field, &out->kind))
        return TF_CHANNEL_KIND;
    field_next(rest, &field);
    if (field_equals(field, "*"))
        return TF_CHANNEL_WILDCARD;
    if (!tf_venue_name_valid(field.text, field.bytes))
        return TF_CHANNEL_VENUE;
    memcpy(out->venue, field.text, field.bytes);
    if (tf_kind_of_venue(out->kind))
        return TF_CHANNEL_OK;
    field_next(rest, &field);
    if (field_equals(field, "*"))
        return TF_CHANNEL_WILDCARD;
    if (!tf_symbol_split(field.text, field.bytes, NULL, NULL))
        return TF_CHANNEL_SYMBOL;
    memcpy(out->symbol, field.text, field.bytes);
    return TF_CHANNEL_OK;
}

static void defaults_fill(const tf_channel_options_t *options, tf_channel_t *out)
{
    out->rate = kinds[out->kind].rate_default;
    if (options != NULL && options->has_rate && tf_kind_has_rate(out->kind, options->rate))
        out->rate = options->rate;
    out->depth = TF_DEPTH_NONE;
    if (out->kind == TF_KIND_BOOK)
        out->depth = options != NULL && options->has_depth ? options->depth : DEPTH_DEFAULT;
}

tf_channel_result_t tf_channel_parse(const char *name, size_t bytes,
                                     const tf_channel_options_t *options, tf_channel_t *out)
{
    tf_channel_t channel = {0};
    field_t rest = {name, bytes};
    tf_channel_result_t result = market_parse(&rest, &channel);
    if (result != TF_CHANNEL_OK)
        return result;
    defaults_fill(options, &channel);

    field_t field;
    bool left = field_next(&rest, &field);
    if (left && channel.kind == TF_KIND_BOOK &&
        tf_depth_parse(field.text, field.bytes, &channel.depth))
        left = field_next(&rest, &field);
    tf_rate_t rate;
    if (left && tf_rate_parse(field.text, field.bytes, &rate) &&
        tf_kind_has_rate(channel.kind, rate)) {
        channel.rate = rate;
        left = field_next(&rest, &field);
    }
    if (left && field_equals(field, "*"))
        return TF_CHANNEL_WILDCARD;
    if (left)
        return tf_kind_of_venue(channel.kind) ? TF_CHANNEL_VENUE_END : TF_CHANNEL_OPTION;
    *out = channel;
    return TF_CHANNEL_OK;
}

static const char *depth_text(uint32_t depth)
{
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        if (depths[i].depth == depth)
            return depths[i].text;
    }
    return NULL;
}

void tf_channel_write(tf_buf_t *buf, const tf_channel_t *channel)
{
    tf_buf_text(buf, tf_kind_text(channel->kind));
    tf_buf_lit(buf, ".");
    tf_buf_text(buf, channel->venue);
    if (tf_kind_of_venue(channel->kind))
        return;
    tf_buf_lit(buf, ".");
    tf_buf_text(buf, channel->symbol);
    if (channel->kind == TF_KIND_BOOK) {
        const char *depth = depth_text(channel->depth);
        TF_ASSERT(depth != NULL);
        tf_buf_lit(buf, ".");
        tf_buf_text(buf, depth);
    }
    tf_buf_lit(buf, ".");
    tf_buf_text(buf, tf_rate_text(channel->rate));
}

const char *tf_kind_text(tf_kind_t kind)
{
    TF_ASSERT((unsigned)kind < TF_KIND_COUNT);
    return kinds[kind].text;
}

const char *tf_rate_text(tf_rate_t rate)
{
    TF_ASSERT((unsigned)rate < TF_RATE_COUNT);
    return rates[rate].text;
}

int64_t tf_rate_period_ns(tf_rate_t rate)
{
    TF_ASSERT((unsigned)rate < TF_RATE_COUNT);
    return rates[rate].period_ns;
}

bool tf_rate_parse(const char *text, size_t bytes, tf_rate_t *out)
{
    for (unsigned i = 0; i < TF_RATE_COUNT; i++) {
        if (field_equals((field_t){text, bytes}, rates[i].text)) {
            *out = (tf_rate_t)i;
            return true;
        }
    }
    return false;
}

bool tf_depth_parse(const char *text, size_t bytes, uint32_t *out)
{
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        if (field_equals((field_t){text, bytes}, depths[i].text)) {
            *out = depths[i].depth;
            return true;
        }
    }
    return false;
}

bool tf_kind_of_venue(tf_kind_t kind)
{
    return kind == TF_KIND_INSTRUMENTS || kind == TF_KIND_STATUS;
}

bool tf_kind_has_rate(tf_kind_t kind, tf_rate_t rate)
{
    TF_ASSERT((unsigned)kind < TF_KIND_COUNT && (unsigned)rate < TF_RATE_COUNT);
    return kinds[kind].rates[rate];
}
