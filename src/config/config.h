/*
 * config: a configuration file: one YAML mapping of known keys, each to one text or to a list of
 * texts. Control plane; any thread, one owner per object. It knows no option: the caller brings the
 * keys, and judges the texts.
 *
 * Two libraries read the same bytes, because neither does it all:
 *
 *     bytes -> size, UTF-8 -> [libyaml, places.c] -> shape, lines -> [libcyaml] -> texts
 *
 * libcyaml loads the values against a schema that is made of the caller's keys. It stops at the
 * first mistake, keeps no line numbers, and the line in its own error is that of the event before
 * the bad one (1.3.1: an unknown key on line 2 is told as "line: 1"). So a pass over libyaml's
 * events, which carry exact marks, comes first: it notes where everything stands and tells every
 * mistake of shape at once (syntax, unknown or repeated keys, a list for a text, aliases). libcyaml
 * then gets a schema of the keys that were found right, so that the texts of those can be judged
 * too, and a file's mistakes are all told in one go.
 *
 * The file is data from outside: nothing in it makes this code abort, and its size is bounded.
 * libyaml takes its memory from malloc directly (the pass is over before anything runs); all else
 * comes from base/mem.h.
 */
#pragma once

#include "base/status.h"
#include "config/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TF_CONFIG_BYTES_MAX = 256 * 1024 };

typedef struct tf_config_key {
    const char *name;
    const char *expected; /* for messages: "a whole number from 1 to 9" */
    bool is_list;
} tf_config_key_t;

/* One text and the line it stands on, from 1. Lives as long as its config. */
typedef struct tf_config_item {
    const char *text;
    uint32_t line;
} tf_config_item_t;

typedef struct tf_config tf_config_t;

/*
 * Read a file.
 *
 * out      the object, to be closed; NULL unless TF_OK is returned
 * path     as in messages and for open(2)
 * keys     what the file may hold; the names must outlive the object, the rest only the call
 * report   receives one line per mistake, "FILE:LINE: KEY: found ..., expected ..."
 * returns  TF_OK: the items of every rightly shaped key can be had, although `report` may have
 *          lines about others. TF_ERR_FORMAT: nothing can be had, `report` says why. TF_ERR_ABSENT:
 *          no such file, nothing is reported. TF_ERR_MEMORY: nothing is reported.
 */
TF_MUST_CHECK tf_status_t tf_config_read(tf_config_t **out, const char *path,
                                         const tf_config_key_t *keys, uint32_t key_count,
                                         tf_report_t *report);

/* The same from memory; `path` is for messages. Never TF_ERR_ABSENT. */
TF_MUST_CHECK tf_status_t tf_config_parse(tf_config_t **out, const char *path, const char *data,
                                          size_t bytes, const tf_config_key_t *keys,
                                          uint32_t key_count, tf_report_t *report);

/* NULL is allowed. */
void tf_config_close(tf_config_t *config);

/* Texts of a key (an index into `keys`): 0 when the file does not have it; at most 1 for a key that
 * is no list. */
uint32_t tf_config_count(const tf_config_t *config, uint32_t key);

/* The text `at` of a key; at < tf_config_count(). */
tf_config_item_t tf_config_item(const tf_config_t *config, uint32_t key, uint32_t at);
