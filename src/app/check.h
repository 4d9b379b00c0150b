/*
 * check: what types and ranges can't tell about the options: addresses, names, choices, venues.
 * Runs before anything is opened or created, so that a bad argument leaves no region behind; and
 * the output of `tickfan check`.
 */
#pragma once

#include "app/options.h"

/* Judge every value in effect, also those that the command at hand does not need, as far as that
 * goes without opening a socket, a file or a region. Whether a venue must be there, and the files
 * that it names, depends on the command. */
void tf_check(const tf_options_t *options, tf_report_t *report);

/* The effective configuration: YAML that can be read back with --config, each key with its meaning
 * and where its value was given as comments. */
void tf_check_print(const tf_options_t *options, FILE *file);
