/*
 * report: what is wrong with a configuration, all of it at once, one line per problem. Control
 * plane; one owner.
 *
 * A person mends a file faster when every mistake is named in one go, which the one error trail of
 * base/status.h can't do. The lines are kept in place, so that telling a problem needs no memory.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

enum {
    TF_REPORT_LINES_MAX = 20, /* more are counted only: nobody reads further before mending these */
    TF_REPORT_LINE_BYTES_MAX = 1024,
    TF_QUOTE_BYTES_MAX = 300,
};

/* Zero-initialise. */
typedef struct tf_report {
    uint32_t count; /* problems added, also those beyond the lines kept */
    uint32_t at[TF_REPORT_LINES_MAX];
    char line[TF_REPORT_LINES_MAX][TF_REPORT_LINE_BYTES_MAX];
} tf_report_t;

/* at: the line in the configuration file, from 1; 0 for what is not in it. */
void tf_report_add(tf_report_t *report, uint32_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* In the order of the file, whoever found what first; what is not in it comes before. */
void tf_report_print(const tf_report_t *report, FILE *file);

/* The text in double quotes for a message: control bytes as \xNN, a long one cut with "...".
 * Returns `out`. */
const char *tf_quote(const char *text, char out[TF_QUOTE_BYTES_MAX]);

/* A path for a message: its end if it is so long that it would push the message out. */
const char *tf_path_end(const char *path);
