/*
 * json_scan against jansson: both accept a text or both refuse it, and a walk over an accepted one
 * finds the same strings and numbers.
 *
 * They may differ where their rules do: nesting beyond TF_SCAN_DEPTH_MAX, numbers that no double
 * holds, "\u0000" in keys. jansson 2.14 overlooks a NUL byte behind a number ("[1\0]"); here it
 * must be refused everywhere. A text with duplicate keys is not walked: jansson keeps the last
 * value only.
 */
#include "base/assert.h"
#include "base/mem.h"
#include "venue/json_scan.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

/* How deep a text that is valid JSON nests. */
static uint32_t depth_of(const char *text, size_t bytes)
{
    uint32_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '[' || text[i] == '{'))
            depth++;
        else if (!in_string && (text[i] == ']' || text[i] == '}'))
            depth--;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* Resolved into memory that the caller frees with tf_mem_free. */
static tf_slice_t unescape(tf_slice_t raw)
{
    char *out = tf_mem_calloc(raw.bytes + 1, 1);
    TF_ASSERT(out != NULL);
    int64_t bytes = tf_scan_unescape(raw, out, raw.bytes);
    TF_ASSERT(bytes >= 0);
    return (tf_slice_t){out, (size_t)bytes};
}

static void slice_free(tf_slice_t slice)
{
    union {
        const char *text;
        void *block;
    } alias = {slice.text};
    tf_mem_free(alias.block);
}

static void walk(tf_scan_t *scan, const json_t *value);

static void walk_object(tf_scan_t *scan, const json_t *value)
{
    tf_slice_t raw;
    size_t members = 0;
    TF_ASSERT(tf_scan_object(scan));
    for (; tf_scan_key(scan, &raw); members++) {
        tf_slice_t key = unescape(raw);
        const json_t *member = json_object_getn(value, key.text, key.bytes);
        TF_ASSERT(member != NULL);
        slice_free(key);
        walk(scan, member);
    }
    TF_ASSERT(members == json_object_size(value));
}

static void walk_array(tf_scan_t *scan, const json_t *value)
{
    size_t items = 0;
    TF_ASSERT(tf_scan_array(scan));
    for (; tf_scan_item(scan); items++)
        walk(scan, json_array_get(value, items));
    TF_ASSERT(items == json_array_size(value));
}

static void walk_string(tf_scan_t *scan, const json_t *value)
{
    tf_slice_t raw;
    bool escaped;
    TF_ASSERT(tf_scan_string(scan, &raw, &escaped));
    tf_slice_t text = unescape(raw);
    TF_ASSERT(text.bytes == json_string_length(value));
    TF_ASSERT(memcmp(text.text, json_string_value(value), text.bytes) == 0);
    TF_ASSERT(escaped || tf_slice_is_bytes(raw, text.text, text.bytes));
    slice_free(text);
}

static void walk_number(tf_scan_t *scan, const json_t *value)
{
    tf_slice_t text;
    tf_scan_t again = *scan;
    uint64_t integer = 0;
    TF_ASSERT(tf_scan_number(scan, &text));
    char *copy = tf_mem_calloc(text.bytes + 1, 1);
    TF_ASSERT(copy != NULL);
    memcpy(copy, text.text, text.bytes);
    TF_ASSERT(strtod(copy, NULL) == json_real_value(value));
    TF_ASSERT(!tf_scan_uint(&again, &integer) || integer == strtoull(copy, NULL, 10));
    tf_mem_free(copy);
}

static void walk(tf_scan_t *scan, const json_t *value)
{
    bool flag = false;
    switch (tf_scan_peek(scan)) {
    case TF_SCAN_OBJECT:
        walk_object(scan, value);
        break;
    case TF_SCAN_ARRAY:
        walk_array(scan, value);
        break;
    case TF_SCAN_STRING:
        walk_string(scan, value);
        break;
    case TF_SCAN_NUMBER:
        walk_number(scan, value);
        break;
    case TF_SCAN_TRUE:
    case TF_SCAN_FALSE:
        TF_ASSERT(tf_scan_bool(scan, &flag) && json_is_boolean(value) &&
                  flag == json_is_true(value));
        break;
    case TF_SCAN_NULL:
        TF_ASSERT(tf_scan_null(scan) && json_is_null(value));
        break;
    case TF_SCAN_NONE:
        TF_ASSERT(false); /* jansson found a value here */
        break;
    }
}

static bool accepts(const char *text, size_t bytes)
{
    tf_scan_t scan;
    tf_scan_init(&scan, text, bytes);
    bool skipped = tf_scan_skip(&scan);
    bool ended = tf_scan_end(&scan);
    TF_ASSERT(skipped || !ended);
    TF_ASSERT(tf_scan_offset(&scan) <= bytes);
    return ended;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = bytes > 0 ? (const char *)data : "";
    json_error_t error;
    json_t *root = json_loadb(text, bytes, FLAGS, &error);
    bool accepted = accepts(text, bytes);
    if (memchr(text, '\0', bytes) != NULL) {
        TF_ASSERT(!accepted);
        json_decref(root);
        return 0;
    }
    if (root == NULL) {
        enum json_error_code code = json_error_code(&error);
        TF_ASSERT(!accepted || code == json_error_numeric_overflow ||
                  code == json_error_null_byte_in_key);
        return 0;
    }
    TF_ASSERT(accepted == (depth_of(text, bytes) <= TF_SCAN_DEPTH_MAX));
    json_t *unique = json_loadb(text, bytes, FLAGS | JSON_REJECT_DUPLICATES, NULL);
    if (accepted && unique != NULL) {
        tf_scan_t scan;
        tf_scan_init(&scan, text, bytes);
        walk(&scan, root);
        TF_ASSERT(tf_scan_end(&scan));
    }
    json_decref(unique);
    json_decref(root);
    return 0;
}
