/*
 * json_scan: a strict in-place scanner for venue JSON (RFC 8259). No allocation, no copy, no DOM:
 * the caller walks the text once, by key, and takes numbers as text. Pure; any thread. Flow: frame
 * bytes -> [json_scan] -> adapter.
 *
 * Strict means: exactly what jansson accepts as one text (a fuzz target compares them), with UTF-8
 * checked in strings, at most TF_SCAN_DEPTH_MAX nested levels, nothing but white space after the
 * value. Errors are sticky: after the first one every call answers "no more" or "none", so that an
 * adapter checks once, with tf_scan_end(), before it publishes anything.
 *
 *     tf_scan_t scan;
 *     tf_scan_init(&scan, text, bytes);
 *     tf_slice_t key;
 *     tf_scan_object(&scan);
 *     while (tf_scan_key(&scan, &key)) {
 *         if (tf_slice_is(key, "price")) tf_scan_string(&scan, &price);
 *         else tf_scan_skip(&scan);
 *     }
 *     if (!tf_scan_end(&scan)) return malformed;
 *
 * Duplicate keys are the caller's to notice (a key handled twice): adapters treat them as
 * malformed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TF_SCAN_DEPTH_MAX = 64 };

typedef struct tf_slice {
    const char *text; /* into the scanned text; not NUL-terminated */
    size_t bytes;
} tf_slice_t;

static inline bool tf_slice_is_bytes(tf_slice_t slice, const char *text, size_t bytes)
{
    return slice.bytes == bytes && memcmp(slice.text, text, bytes) == 0;
}

/* Compare with a string literal. */
#define tf_slice_is(slice, literal) tf_slice_is_bytes((slice), "" literal, sizeof(literal) - 1)

typedef enum tf_scan_type {
    TF_SCAN_NONE, /* error, or the container has ended */
    TF_SCAN_OBJECT,
    TF_SCAN_ARRAY,
    TF_SCAN_STRING,
    TF_SCAN_NUMBER,
    TF_SCAN_TRUE,
    TF_SCAN_FALSE,
    TF_SCAN_NULL,
} tf_scan_type_t;

typedef struct tf_scan {
    const char *at;
    const char *end;
    const char *start;
    uint32_t depth;    /* containers entered and not yet left */
    bool failed;       /* sticky */
    bool first;        /* no member of the innermost container was read yet */
    uint64_t is_array; /* bit d: the container at depth d + 1 is an array */
} tf_scan_t;

/* The text must stay in place and unchanged while the scan and its slices are used. */
void tf_scan_init(tf_scan_t *scan, const char *text, size_t bytes);

/* The type of the value that comes next, without consuming it. */
tf_scan_type_t tf_scan_peek(tf_scan_t *scan);

/* Enter an object or array; fails (sticky) when something else comes next. */
bool tf_scan_object(tf_scan_t *scan);
bool tf_scan_array(tf_scan_t *scan);

/* In an object: the next key, raw bytes between the quotes (escapes not resolved: venue keys have
 * none, and an escaped key just matches nothing). False when the object ended (it is then left). */
bool tf_scan_key(tf_scan_t *scan, tf_slice_t *key);

/* In an array: is there another item? False when the array ended (it is then left). */
bool tf_scan_item(tf_scan_t *scan);

/* A string's raw bytes between the quotes. *escaped (may be NULL) tells whether it holds escapes;
 * use tf_scan_unescape() on those. */
bool tf_scan_string(tf_scan_t *scan, tf_slice_t *out, bool *escaped);

/* A number's text, exactly as written (JSON grammar checked). */
bool tf_scan_number(tf_scan_t *scan, tf_slice_t *out);

/* An unsigned integer without fraction or exponent, up to UINT64_MAX; fails (sticky) otherwise. */
bool tf_scan_uint(tf_scan_t *scan, uint64_t *out);

bool tf_scan_bool(tf_scan_t *scan, bool *out);
bool tf_scan_null(tf_scan_t *scan);

/* Any value, whole. */
bool tf_scan_skip(tf_scan_t *scan);

/* Refuse the text for a reason of the caller's (wrong type, bad number): sticky like the others. */
void tf_scan_fail(tf_scan_t *scan);

/* The value was scanned whole, no error happened, and only white space follows. */
bool tf_scan_end(tf_scan_t *scan);

/* Byte offset of the scan's position: where it failed, for diagnostics. */
size_t tf_scan_offset(const tf_scan_t *scan);

/* Resolve the escapes of a string's raw bytes into `out` (UTF-8). Returns the bytes written, or -1
 * when `room` is too small (raw.bytes is always enough) or an escape is a lone surrogate. */
int64_t tf_scan_unescape(tf_slice_t raw, char *out, size_t room);
