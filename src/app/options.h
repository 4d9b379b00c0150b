/*
 * options: what a command shall do. One table (options.def) gives every option its flag, its key in
 * the configuration file, its environment variable, its default and its line in --help:
 *
 *     --batch-us 500        batch_us: 500        TICKFAN_BATCH_US=500
 *
 * A flag goes before a variable, a variable before the file, the file before the default. Venues
 * are a list: the strongest of the three that names any gives all of them.
 *
 * File         --config FILE, else TICKFAN_CONFIG, else tickfan.yaml in the working directory if
 *              there is one; "none" reads none. One file serves all commands: a key that the
 *              command at hand does not need is checked, and otherwise of no effect. An unknown key
 *              is an error.
 * Environment  as the file: checked, unknown TICKFAN_* names are errors. Not looked at: empty
 *              values, the names that the tests of this tree use (TICKFAN_DATA, TICKFAN_SEED,
 *              TICKFAN_ROUNDS), and the ones that Kubernetes makes up for a service called tickfan
 *              (TICKFAN_SERVICE_HOST, TICKFAN_PORT_9001_TCP, ...), which nobody typed. Venues in
 *              TICKFAN_VENUE are separated by ";" or line ends.
 * Flags        those of another command are errors: somebody typed them for this one.
 *
 * Control plane, before any thread starts.
 */
#pragma once

#include "base/status.h"
#include "config/config.h"
#include "config/report.h"

#include <stdint.h>
#include <stdio.h>

typedef enum tf_command {
    TF_COMMAND_SERVE = 1,
    TF_COMMAND_INGEST = 2,
    TF_COMMAND_TAP = 4,
    TF_COMMAND_FANOUT = 8,
    TF_COMMAND_CHECK = 16, /* takes the flags of all */
} tf_command_t;

enum { TF_VENUES_MAX = 32, TF_ORIGIN_BYTES_MAX = 384 };

/* Where a value was given; a greater one goes before a lesser one. */
typedef enum tf_given {
    TF_GIVEN_NOWHERE, /* the default of the table */
    TF_GIVEN_FILE,
    TF_GIVEN_ENVIRONMENT,
    TF_GIVEN_FLAG,
} tf_given_t;

typedef struct tf_origin {
    tf_given_t given;
    uint32_t line; /* in the file, from 1 */
} tf_origin_t;

/* Texts are literals, or live in argv, in the environment, or in the options. NUMBER as given; MS
 * and US in that unit. */
typedef struct tf_option_value {
    union {
        const char *text;
        int64_t number;
    };
    tf_origin_t origin;
} tf_option_value_t;

typedef struct tf_options {
    tf_command_t command;             /* 0: none was named */
    const char *venue[TF_VENUES_MAX]; /* in order */
    tf_origin_t venue_origin[TF_VENUES_MAX];
    uint32_t venue_count;
    tf_option_value_t config; /* .text: the file that was read, NULL for none */
#define TF_OPTION(field, flag, type, commands, least, most, fallback, help) tf_option_value_t field;
#include "app/options.def"
#undef TF_OPTION
    /* Owned: what the texts above may point into. */
    tf_config_t *file;
    char *venue_texts;
} tf_options_t;

typedef enum tf_parse {
    TF_PARSE_RUN,  /* *out is complete, the report is empty */
    TF_PARSE_DONE, /* help or version was printed: exit 0 */
    TF_PARSE_BAD,  /* the report says what was wrong: exit 2 */
} tf_parse_t;

/*
 * Command line, environment and file, with types and ranges checked; tf_check() does the rest.
 *
 * environment  as environ(7), NULL-terminated
 * out          to be given back with tf_options_fini(), whatever is returned
 * out_file     receives help and version
 */
TF_MUST_CHECK tf_parse_t tf_options_parse(int argc, char **argv, char *const *environment,
                                          tf_options_t *out, FILE *out_file, tf_report_t *report);

void tf_options_fini(tf_options_t *options);

/* The short text for a call without arguments. */
void tf_options_usage(FILE *file);
