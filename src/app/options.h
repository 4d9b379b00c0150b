/*
 * options: the command line. One table (options.def) gives the parser, the defaults and --help.
 */
#pragma once

#include "base/status.h"

#include <stdint.h>
#include <stdio.h>

typedef enum tf_command {
    TF_COMMAND_SERVE = 1,
    TF_COMMAND_INGEST = 2,
    TF_COMMAND_TAP = 4,
    TF_COMMAND_FANOUT = 8,
} tf_command_t;

enum { TF_VENUES_MAX = 32 };

/* Texts point into argv or are literals. NUMBER as given; MS and US in that unit. */
typedef union tf_option_value {
    const char *text;
    int64_t number;
} tf_option_value_t;

typedef struct tf_options {
    tf_command_t command;
    const char *venue[TF_VENUES_MAX]; /* --venue, in order */
    uint32_t venue_count;
#define TF_OPTION(field, flag, type, commands, least, most, fallback, help) tf_option_value_t field;
#include "app/options.def"
#undef TF_OPTION
} tf_options_t;

typedef enum tf_parse {
    TF_PARSE_RUN,  /* *out is complete */
    TF_PARSE_DONE, /* help or version was printed: exit 0 */
    TF_PARSE_BAD,  /* the error trail says what was wrong and what to do: exit 2 */
} tf_parse_t;

/* --flag VALUE or --flag=VALUE. Help and version go to `out_file`. */
TF_MUST_CHECK tf_parse_t tf_options_parse(int argc, char **argv, tf_options_t *out, FILE *out_file);

/* The short text for a call without arguments. */
void tf_options_usage(FILE *file);
