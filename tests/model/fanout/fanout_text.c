#include "kit/kit.h"

#include "fanout_judge.h"

#include <inttypes.h>
#include <stdio.h>

size_t market_decimal(char *out, int64_t mantissa, uint8_t dp)
{
    int64_t unit = 1;
    for (uint8_t i = 0; i < dp; i++)
        unit *= 10;
    const char *sign = mantissa < 0 ? "-" : "";
    int64_t whole = mantissa < 0 ? -mantissa : mantissa;
    int length = sprintf(out, "%s%" PRId64, sign, whole / unit);
    if (dp > 0) {
        /* The leading 1 keeps the zeros of the fraction; the point takes its place. */
        char *point = out + length;
        length += sprintf(point, "%" PRId64, unit + whole % unit);
        *point = '.';
    }
    return (size_t)length;
}

uint64_t market_hash(uint64_t hash, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 1099511628211ULL;
    return hash;
}

uint64_t market_hash_level(uint64_t hash, char side, const tf_level_t *level, uint8_t px_dp,
                           uint8_t sz_dp)
{
    char text[80];
    size_t at = 0;
    text[at++] = side;
    at += market_decimal(text + at, level->px, px_dp);
    text[at++] = ':';
    at += market_decimal(text + at, level->sz, sz_dp);
    return market_hash(hash, text, at);
}

uint64_t market_hash_bbo(const tf_bbo_t *bbo, uint8_t px_dp, uint8_t sz_dp)
{
    uint64_t hash = MARKET_HASH_START;
    tf_level_t bid = {bbo->bid_px, bbo->bid_sz};
    tf_level_t ask = {bbo->ask_px, bbo->ask_sz};
    if (bid.px != TF_PRICE_NONE)
        hash = market_hash_level(hash, 'b', &bid, px_dp, sz_dp);
    if (ask.px != TF_PRICE_NONE)
        hash = market_hash_level(hash, 'a', &ask, px_dp, sz_dp);
    return hash;
}

static uint64_t field_hash(uint64_t hash, const char *key, int64_t mantissa, uint8_t dp)
{
    char text[80];
    size_t bytes = (size_t)sprintf(text, "%s=", key);
    bytes += market_decimal(text + bytes, mantissa, dp);
    return market_hash(hash, text, bytes);
}

/* The fields that this writer ever gives, in the order of the wire. */
uint64_t market_hash_ticker(const tf_ticker_t *ticker, uint8_t px_dp, uint8_t sz_dp)
{
    uint64_t hash = MARKET_HASH_START;
    if (ticker->present & TF_TICKER_PX)
        hash = field_hash(hash, "px", ticker->px, px_dp);
    if (ticker->present & TF_TICKER_SZ)
        hash = field_hash(hash, "sz", ticker->sz, sz_dp);
    if (ticker->present & TF_TICKER_BID)
        hash = field_hash(hash, "bid", ticker->bid, px_dp);
    if (ticker->present & TF_TICKER_V24)
        hash = field_hash(hash, "v24", ticker->v24, ticker->v24_dp);
    if (ticker->present & TF_TICKER_N24)
        hash = field_hash(hash, "n24", ticker->n24, 0);
    return hash;
}

uint64_t field_uint(const judge_t *judge, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        violation(judge, key, "is no number", object);
    return (uint64_t)json_integer_value(value);
}

const char *field_text(const judge_t *judge, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        violation(judge, key, "is no text", object);
    return json_string_value(value);
}
