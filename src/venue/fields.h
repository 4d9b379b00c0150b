/*
 * fields: reads a JSON object by a table of the keys that are known, straight into the members of
 * an adapter's own reader. Ingest thread. Flow: json_scan -> [fields] -> adapter.
 *
 * Keys may come in any order; unknown ones are skipped; a known one that comes twice, a required
 * one that does not come, and a value that its reader refuses fail the scan.
 */
#pragma once

#include "market/decimal.h"
#include "venue/json_scan.h"

/* First member of the struct that a table's offsets count in. */
typedef struct tf_fields {
    tf_scan_t scan;
    uint32_t present; /* TF_TICKER_* of the fields that were given and not null */
} tf_fields_t;

/* Read one value to `to`; false: malformed. */
typedef bool (*tf_field_read_t)(tf_fields_t *fields, void *to);

enum { /* tf_field_t.flags */
       TF_FIELD_REQUIRED = 1,
       TF_FIELD_NULLABLE = 2, /* null counts as not given */
};

typedef struct tf_field {
    const char *key;
    size_t key_bytes;
    tf_field_read_t read;
    size_t offset;
    uint32_t flags;
    uint32_t present;
} tf_field_t;

/* At most 64 fields, in the venue's usual order: the search starts behind the one found last. */
typedef struct tf_field_table {
    const tf_field_t *field;
    size_t count;
} tf_field_table_t;

#define TF_FIELD(key, read, type, member, flags)                                                   \
    {                                                                                              \
        key, sizeof(key) - 1, read, offsetof(type, member), flags, 0                               \
    }
#define TF_FIELD_TABLE(fields)                                                                     \
    {                                                                                              \
        fields, sizeof(fields) / sizeof(fields)[0]                                                 \
    }

/* Read one object. False when the scan failed. */
bool tf_fields_read(tf_fields_t *fields, const tf_field_table_t *table);

/* Readers of values; `to` is what the comment says. */
bool tf_field_skip(tf_fields_t *fields, void *to);   /* nothing: any value */
bool tf_field_text(tf_fields_t *fields, void *to);   /* tf_slice_t: a string, escapes unresolved */
bool tf_field_uint(tf_fields_t *fields, void *to);   /* uint64_t */
bool tf_field_time(tf_fields_t *fields, void *to);   /* int64_t ns: an RFC 3339 string */
bool tf_field_figure(tf_fields_t *fields, void *to); /* tf_decimal_t: a string, not negative */
bool tf_field_amount(tf_fields_t *fields, void *to); /* tf_decimal_t: a string, above 0 */
bool tf_field_side(tf_fields_t *fields, void *to);   /* uint8_t tf_side_t: "buy" or "sell" */
