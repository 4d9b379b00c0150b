/*
 * checksum: the `cs` of a book message. Pure; any thread. The only file with zlib's crc32.
 *
 * CRC-32 (IEEE, as in zlib, unsigned) over the ASCII text "bidpx:bidsz:askpx:asksz:..." of levels
 * 1..min(10, depth), interleaved best first, a missing side skipped, no trailing colon, decimals
 * exactly as on the wire (px_dp and sz_dp places). An empty book is 0. PROTOCOL.md has vectors.
 */
#pragma once

#include <tickfan/event.h>

#include <stddef.h>
#include <stdint.h>

enum { TF_CHECKSUM_LEVELS_MAX = 10 };

/* bids and asks best first; counts beyond TF_CHECKSUM_LEVELS_MAX are ignored. */
uint32_t tf_book_checksum(const tf_level_t *bids, size_t bid_count, const tf_level_t *asks,
                          size_t ask_count, uint8_t px_dp, uint8_t sz_dp);
