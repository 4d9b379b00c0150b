#include "http/assets.h"

#include "http/assets_table.h"

#include <string.h>

const tf_asset_t *tf_asset_find(const char *path, size_t bytes)
{
    static const char page[] = "/index.html";
    if (bytes == 1 && path[0] == '/') {
        path = page;
        bytes = sizeof page - 1;
    }
    for (size_t i = 0; i < tf_assets_count; i++) {
        if (strlen(tf_assets[i].path) == bytes && memcmp(tf_assets[i].path, path, bytes) == 0)
            return &tf_assets[i];
    }
    return NULL;
}

const tf_asset_t *tf_asset_table(size_t *count)
{
    *count = tf_assets_count;
    return tf_assets;
}
