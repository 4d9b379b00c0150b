#include "market/instrument.h"

#include <string.h>

enum {
    PART_BYTES_MAX = 15,
    DATE_BYTES = 8, /* YYYYMMDD */
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Bytes of the run of [A-Z0-9] that `text` starts with. */
static size_t part_bytes(const char *text, size_t bytes)
{
    size_t used = 0;
    while (used < bytes && ((text[used] >= 'A' && text[used] <= 'Z') || is_digit(text[used])))
        used++;
    return used;
}

static bool date_valid(const char *text)
{
    for (size_t i = 0; i < DATE_BYTES; i++) {
        if (!is_digit(text[i]))
            return false;
    }
    int month = (text[4] - '0') * 10 + (text[5] - '0');
    int day = (text[6] - '0') * 10 + (text[7] - '0');
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* What may follow BASE-QUOTE: nothing, -PERP or -YYYYMMDD. */
static bool suffix_valid(const char *text, size_t bytes)
{
    static const char perp[] = "-PERP";
    if (bytes == 0)
        return true;
    if (bytes == sizeof perp - 1)
        return memcmp(text, perp, bytes) == 0;
    return bytes == 1 + DATE_BYTES && text[0] == '-' && date_valid(text + 1);
}

static void name_copy(char *out, const char *text, size_t bytes)
{
    if (out == NULL)
        return;
    memcpy(out, text, bytes);
    out[bytes] = '\0';
}

const char *tf_instrument_status_text(tf_instrument_status_t status)
{
    static const char *const text[] = {"unknown", "online", "halted", "delisted"};
    return (unsigned)status < sizeof text / sizeof text[0] ? text[status] : "unknown";
}

bool tf_symbol_split(const char *symbol, size_t bytes, char *base, char *quote)
{
    if (bytes >= TF_SYMBOL_BYTES_MAX)
        return false;
    size_t base_bytes = part_bytes(symbol, bytes);
    if (base_bytes == 0 || base_bytes > PART_BYTES_MAX || base_bytes == bytes ||
        symbol[base_bytes] != '-')
        return false;
    const char *rest = symbol + base_bytes + 1;
    size_t rest_bytes = bytes - base_bytes - 1;
    size_t quote_bytes = part_bytes(rest, rest_bytes);
    if (quote_bytes == 0 || quote_bytes > PART_BYTES_MAX ||
        !suffix_valid(rest + quote_bytes, rest_bytes - quote_bytes))
        return false;
    name_copy(base, symbol, base_bytes);
    name_copy(quote, rest, quote_bytes);
    return true;
}

bool tf_venue_name_valid(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes >= TF_VENUE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!(name[i] >= 'a' && name[i] <= 'z') && !is_digit(name[i]) && name[i] != '_')
            return false;
    }
    return true;
}

bool tf_instrument_init(tf_instrument_t *out, const char *venue, const char *symbol,
                        const char *venue_symbol)
{
    memset(out, 0, sizeof *out);
    size_t venue_bytes = strnlen(venue, TF_VENUE_BYTES_MAX);
    size_t symbol_bytes = strnlen(symbol, TF_SYMBOL_BYTES_MAX);
    size_t venue_symbol_bytes = strnlen(venue_symbol, TF_SYMBOL_BYTES_MAX);
    if (!tf_venue_name_valid(venue, venue_bytes) || venue_symbol_bytes == 0 ||
        venue_symbol_bytes == TF_SYMBOL_BYTES_MAX ||
        !tf_symbol_split(symbol, symbol_bytes, out->base, out->quote))
        return false;
    name_copy(out->venue, venue, venue_bytes);
    name_copy(out->symbol, symbol, symbol_bytes);
    name_copy(out->venue_symbol, venue_symbol, venue_symbol_bytes);
    return true;
}
