#include "market/checksum.h"

#include "market/decimal.h"

#include <zlib.h>

enum {
    FIGURES_MAX = TF_CHECKSUM_LEVELS_MAX * 4, /* a price and a size on both sides */
    TEXT_BYTES_MAX = FIGURES_MAX * (TF_DECIMAL_TEXT_BYTES_MAX + 1),
};

static size_t level_write(char *text, const tf_level_t *level, uint8_t px_dp, uint8_t sz_dp)
{
    size_t used = tf_decimal_write(text, level->px, px_dp);
    text[used++] = ':';
    used += tf_decimal_write(text + used, level->sz, sz_dp);
    text[used++] = ':';
    return used;
}

uint32_t tf_book_checksum(const tf_level_t *bids, size_t bid_count, const tf_level_t *asks,
                          size_t ask_count, uint8_t px_dp, uint8_t sz_dp)
{
    char text[TEXT_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < TF_CHECKSUM_LEVELS_MAX; i++) {
        if (i < bid_count)
            used += level_write(text + used, &bids[i], px_dp, sz_dp);
        if (i < ask_count)
            used += level_write(text + used, &asks[i], px_dp, sz_dp);
    }
    if (used == 0)
        return 0;
    return (uint32_t)crc32(0, (const Bytef *)text, (uInt)(used - 1)); /* less the last colon */
}
