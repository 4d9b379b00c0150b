/*
 * options_given: options from the environment and from the configuration file. Called by
 * tf_options_parse() after the flags, in this order: each fills in what no stronger place gave.
 * Inside of options.
 */
#pragma once

#include "app/options.h"

/* All TICKFAN_* variables of `environment` (as environ(7)). */
void tf_options_environment(tf_options_t *options, char *const *environment, tf_report_t *report);

/* The file that options->config names, or the one of the default name if there is one. */
void tf_options_file(tf_options_t *options, tf_report_t *report);
