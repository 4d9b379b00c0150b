/*
 * assets: the files of the live page (src/http/web/), part of the binary: it serves them without a
 * file system, and binary and page are always of one version. Constant data; any thread.
 *
 * embed.cmake writes the table at build time, again whenever one of the files changes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct tf_asset {
    const char *path;         /* "/app.js"; the page itself is "/index.html" */
    const char *content_type; /* value of the header, with charset where it is text */
    const uint8_t *data;
    size_t bytes;
    const char *etag; /* value of the header, quotes included: a hash of the content */
} tf_asset_t;

/*
 * The asset under a path, which is compared byte for byte; "/" is "/index.html".
 *
 * path, bytes  the path of a request, without its query; need not end in NUL
 * returns      a row of the table, or NULL
 */
const tf_asset_t *tf_asset_find(const char *path, size_t bytes);

/* All of them, in the order of their paths. */
const tf_asset_t *tf_asset_table(size_t *count);
