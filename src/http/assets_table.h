/*
 * assets_table: what embed.cmake generates and assets.c searches. For assets.c alone.
 */
#pragma once

#include "http/assets.h"

extern const tf_asset_t tf_assets[];
extern const size_t tf_assets_count;
