/*
 * options_table: the rows of options.def, their names in the three places they can be given, and
 * how a text becomes a value. Inside of options and check.
 */
#pragma once

#include "app/options.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TF_VENUE_COMMANDS = TF_COMMAND_SERVE | TF_COMMAND_INGEST,
    TF_EXPECTED_BYTES_MAX = 96,
    TF_OPTION_NAME_BYTES_MAX = 48,
};

enum {
#define TF_OPTION(field, flag, type, commands, least, most, fallback, help) TF_OPTION_ROW_##field,
#include "app/options.def"
#undef TF_OPTION
    TF_OPTION_ROWS
};

typedef enum tf_option_type {
    TF_TYPE_TEXT,
    TF_TYPE_NUMBER,
    TF_TYPE_MS,
    TF_TYPE_US
} tf_option_type_t;

typedef struct tf_option_row {
    const char *key;  /* in the file: batch_us */
    const char *flag; /* batch-us */
    tf_option_type_t type;
    int commands; /* tf_command_t bits */
    int64_t least, most;
    const char *fallback;
    const char *help;
    size_t offset; /* of its tf_option_value_t in tf_options_t */
} tf_option_row_t;

extern const tf_option_row_t tf_option_rows[TF_OPTION_ROWS];

/* Does `command` take an option of these commands? */
static inline bool tf_command_takes(tf_command_t command, int commands)
{
    return command == TF_COMMAND_CHECK || ((int)command & commands) != 0;
}

const tf_option_value_t *tf_option_of(const tf_options_t *options, const tf_option_row_t *row);

/* The row of a flag given as `bytes` bytes; NULL when there is none. */
const tf_option_row_t *tf_option_by_flag(const char *flag, size_t bytes);

/* "a whole number from 0 to 1000000 (us)"; returns `out`. */
const char *tf_option_expected(const tf_option_row_t *row, char out[TF_EXPECTED_BYTES_MAX]);

/* TICKFAN_BATCH_US for batch_us; returns `out`. */
const char *tf_option_variable(const char *key, char out[TF_OPTION_NAME_BYTES_MAX]);

/* Where the option was given: "tickfan.yaml:7", "TICKFAN_BATCH_US", "--batch-us" or "default". In
 * front of a message the file's line is not enough: `with_key` gives "tickfan.yaml:7: batch_us".
 * Returns `out`. */
const char *tf_option_where(const tf_options_t *options, const char *key, tf_origin_t origin,
                            bool with_key, char out[TF_ORIGIN_BYTES_MAX]);

/* Set from a text, or report what is wrong with its type or range. A value from a stronger place
 * stays, but the text is checked all the same. */
void tf_option_set(tf_options_t *options, const tf_option_row_t *row, const char *text,
                   tf_origin_t origin, tf_report_t *report);

/* Add one venue; ignored when a stronger place has named any. */
void tf_option_venue_add(tf_options_t *options, const char *text, tf_origin_t origin,
                         tf_report_t *report);
