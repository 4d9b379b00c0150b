/*
 * main: which command, and what its result means for the exit code: 0 done, 1 failed, 2 used
 * wrongly.
 */
#include "app/serve.h"
#include "app/tap.h"
#include "base/log.h"
#include "session/rpc.h"

#include <stdio.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int usage(void)
{
    (void)fprintf(stderr, "tickfan: %s\n\n", tf_error_text());
    tf_options_usage(stderr);
    return EXIT_USAGE;
}

static int failed(tf_status_t status)
{
    (void)fprintf(stderr, "tickfan: %s\n", tf_error_text());
    return status == TF_ERR_ARG || status == TF_ERR_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
}

static int tap(const tf_options_t *options)
{
    int code = tf_tap(options);
    if (code == EXIT_USAGE)
        (void)fprintf(stderr, "tickfan: %s\n", tf_error_text());
    return code;
}

int main(int argc, char **argv)
{
    tf_options_t options;
    tf_log_level_t level;
    switch (tf_options_parse(argc, argv, &options, stdout)) {
    case TF_PARSE_DONE:
        return 0;
    case TF_PARSE_BAD:
        return usage();
    case TF_PARSE_RUN:
        break;
    }
    if (tf_log_level_parse(options.log_level.text, &level) != 0) {
        (void)tf_error(TF_ERR_ARG, "--log-level %s: expected debug, info, warn, error or off",
                       options.log_level.text);
        return usage();
    }
    tf_log_level_set(level);
    if (options.command == TF_COMMAND_TAP)
        return tap(&options);
    tf_rpc_init();
    tf_status_t status = tf_serve(&options);
    return status == TF_OK ? 0 : failed(status);
}
