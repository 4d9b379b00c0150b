#include "kit/kit.h"

#include "app/options.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 16, TEXT_BYTES_MAX = 16384 };

static tf_options_t options;
static char printed[TEXT_BYTES_MAX];

/* Parse a command line written as one text; what is printed lands in `printed`. */
static tf_parse_t parse(const char *line)
{
    static char copy[1024];
    char *argv[ARGUMENTS_MAX] = {0};
    char *rest = NULL;
    int argc = 0;
    (void)snprintf(copy, sizeof copy, "tickfan %s", line);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    memset(printed, 0, sizeof printed);
    FILE *file = fmemopen(printed, sizeof printed - 1, "w");
    assert_non_null(file);
    tf_parse_t result = tf_options_parse(argc, argv, &options, file);
    (void)fclose(file);
    return result;
}

static void bad(const char *line, const char *named)
{
    assert_int_equal(parse(line), TF_PARSE_BAD);
    if (strstr(tf_error_text(), named) == NULL)
        fail_msg("\"%s\" does not name \"%s\"", tf_error_text(), named);
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.command, TF_COMMAND_SERVE);
    assert_string_equal(options.listen.text, "127.0.0.1:9001");
    assert_string_equal(options.http.text, "127.0.0.1:9002");
    assert_string_equal(options.region.text, "default");
    assert_int_equal(options.image_depth.number, 1000);
    assert_int_equal(options.trades_kept.number, 1024);
    assert_int_equal(options.instruments_max.number, 2048);
    assert_int_equal(options.venue_count, 0);
}

static void values_come_with_an_equals_sign_or_behind(void **state)
{
    (void)state;
    assert_int_equal(parse("serve --image-depth=65536 --region r1 --venue sim --venue=replay:a:b"),
                     TF_PARSE_RUN);
    assert_int_equal(options.image_depth.number, 65536);
    assert_string_equal(options.region.text, "r1");
    assert_int_equal(options.venue_count, 2);
    assert_string_equal(options.venue[0], "sim");
    assert_string_equal(options.venue[1], "replay:a:b");
}

static void nonsense_is_named(void **state)
{
    (void)state;
    bad("", "command is missing");
    bad("sevre", "\"sevre\"");
    bad("serve --image-dept 5", "--image-dept");
    bad("serve image-depth", "\"image-depth\"");
    bad("serve --image-depth", "value is missing");
    bad("serve --image-depth 0", "from 1 to 65536");
    bad("serve --image-depth 65537", "from 1 to 65536");
    bad("serve --image-depth 5x", "5x");
    bad("serve --image-depth -5", "-5");
    bad("serve --image-depth 99999999999999999999", "whole number");
}

static void flags_of_another_command_are_refused(void **state)
{
    (void)state;
    bad("tap --listen 127.0.0.1:1", "--listen");
    bad("tap --venue sim", "--venue");
    bad("ingest --listen 127.0.0.1:1", "--listen");
    bad("serve --format json", "--format");
}

static void too_many_venues_are_refused(void **state)
{
    (void)state;
    char *argv[2 + TF_VENUES_MAX + 1];
    char command[] = "serve";
    char venue[] = "--venue=sim";
    argv[0] = command;
    argv[1] = command;
    for (int i = 2; i < 2 + TF_VENUES_MAX + 1; i++)
        argv[i] = venue;
    assert_int_equal(tf_options_parse(2 + TF_VENUES_MAX, argv, &options, stdout), TF_PARSE_RUN);
    assert_int_equal(tf_options_parse(2 + TF_VENUES_MAX + 1, argv, &options, stdout), TF_PARSE_BAD);
}

static void help_lists_every_flag_of_the_command_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(parse("serve --help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "--venue"));
    assert_non_null(strstr(printed, "--listen"));
    assert_null(strstr(printed, "--format"));
    assert_int_equal(parse("tap --help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "--format"));
    assert_null(strstr(printed, "--venue "));
    assert_int_equal(parse("--help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "serve"));
    assert_int_equal(parse("--version"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "tickfan "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(values_come_with_an_equals_sign_or_behind),
        cmocka_unit_test(nonsense_is_named),
        cmocka_unit_test(flags_of_another_command_are_refused),
        cmocka_unit_test(too_many_venues_are_refused),
        cmocka_unit_test(help_lists_every_flag_of_the_command_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
