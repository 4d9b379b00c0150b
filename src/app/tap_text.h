/*
 * tap_text: one event as a line, for people (text) or programs (JSON). Pure.
 */
#pragma once

#include "base/buf.h"

#include <tickfan/reader.h>

#include <stdbool.h>

typedef struct tf_tap_style {
    bool json;
    bool publication; /* with tp, which differs from run to run */
} tf_tap_style_t;

/* Append the line of an event of the instrument that `view` describes, newline included. */
void tf_tap_line(tf_buf_t *out, const tf_tap_style_t *style, const tf_event_t *event,
                 const tf_instrument_view_t *view);

/* Append the line that says how often events were lost. */
void tf_tap_lapped_line(tf_buf_t *out, const tf_tap_style_t *style, uint64_t times);
