/*
 * main: which command, and what its result means for the exit code: 0 done, 1 failed, 2 used
 * wrongly.
 */
#include "app/check.h"
#include "app/serve.h"
#include "app/tap.h"
#include "base/log.h"
#include "session/rpc.h"

#include <stdio.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

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

static int check(const tf_options_t *options)
{
    tf_check_print(options, stdout);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return EXIT_DONE;
    (void)fputs("tickfan: can't write to the standard output\n", stderr);
    return EXIT_FAILED;
}

static int run(const tf_options_t *options)
{
    if (options->command == TF_COMMAND_CHECK)
        return check(options);
    tf_log_level_t level = TF_LOG_INFO;
    (void)tf_log_level_parse(options->log_level.text, &level); /* tf_check() has seen it */
    tf_log_level_set(level);
    if (options->config.text != NULL)
        tf_log(TF_LOG_INFO, "config", "file=%s", TF_LOG_TEXT(options->config.text));
    if (options->command == TF_COMMAND_TAP)
        return tap(options);
    tf_rpc_init();
    tf_status_t status = tf_serve(options);
    return status == TF_OK ? EXIT_DONE : failed(status);
}

int main(int argc, char **argv)
{
    static tf_report_t report; /* large for a stack */
    tf_options_t options;
    int code = EXIT_DONE;
    tf_parse_t parsed = tf_options_parse(argc, argv, environ, &options, stdout, &report);
    if (parsed != TF_PARSE_DONE && options.command != 0)
        tf_check(&options, &report);
    if (report.count > 0) {
        tf_report_print(&report, stderr);
        if (options.command == 0) {
            (void)fputc('\n', stderr);
            tf_options_usage(stderr);
        }
        code = EXIT_USAGE;
    } else if (parsed == TF_PARSE_RUN) {
        code = run(&options);
    }
    tf_options_fini(&options);
    return code;
}
