#include "kit/kit.h"

#include "app/options_table.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16, TEXT_BYTES_MAX = 16384 };

static tf_options_t options;
static tf_report_t report;
static char printed[TEXT_BYTES_MAX];

/* Of the next parse(); NULL-terminated. */
static const char *environment[8];

static tf_parse_t parse_arguments(int argc, char **argv, FILE *file)
{
    /* As the kernel gives it: the texts are only read. */
    char *texts[sizeof environment / sizeof environment[0]] = {0};
    memcpy(texts, environment, sizeof texts);
    tf_options_fini(&options);
    report = (tf_report_t){0};
    return tf_options_parse(argc, argv, texts, &options, file, &report);
}

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
    tf_parse_t result = parse_arguments(argc, argv, file);
    (void)fclose(file);
    return result;
}

static void bad(const char *line, const char *named)
{
    assert_int_equal(parse(line), TF_PARSE_BAD);
    assert_int_equal(report.count, 1);
    if (strstr(report.line[0], named) == NULL)
        fail_msg("\"%s\" does not name \"%s\"", report.line[0], named);
}

/* `tickfan.yaml` of the working directory. */
static void file_is(const char *text)
{
    FILE *file = fopen("tickfan.yaml", "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    return chdir(t_scratch_dir());
}

/* Every test starts without a file and without variables. */
static int nothing_given(void **state)
{
    (void)state;
    (void)unlink("tickfan.yaml");
    memset(environment, 0, sizeof environment);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tf_options_fini(&options);
    return chdir("/");
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
    bad("sevre", "\"sevre\", expected serve?");
    assert_int_equal(options.command, 0);
    bad("frobnicate", "\"frobnicate\"");
    bad("serve --image-dept 5", "unknown flag --image-dept, expected --image-depth?");
    bad("serve --colour red", "unknown flag \"--colour\"");
    bad("serve image-depth", "\"image-depth\"");
    bad("serve --image-depth", "value is missing");
    bad("serve --image-depth 0", "from 1 to 65536");
    bad("serve --image-depth 65537", "from 1 to 65536");
    bad("serve --image-depth 5x", "5x");
    bad("serve --image-depth -5", "-5");
    bad("serve --batch-us 1 --batch-us=2", "--batch-us: found a second time, expected once");
    bad("serve --config none --config none", "--config: found a second time");
    bad("serve --image-depth 99999999999999999999", "whole number");
}

static void flags_of_another_command_are_refused(void **state)
{
    (void)state;
    bad("tap --listen 127.0.0.1:1", "--listen");
    bad("tap --venue sim", "--venue");
    bad("ingest --listen 127.0.0.1:1", "--listen");
    bad("fanout --venue sim", "--venue");
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
    assert_int_equal(parse_arguments(2 + TF_VENUES_MAX, argv, stdout), TF_PARSE_RUN);
    assert_int_equal(parse_arguments(2 + TF_VENUES_MAX + 1, argv, stdout), TF_PARSE_BAD);
}

static void help_lists_every_flag_of_the_command_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(parse("serve --help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "--venue"));
    assert_non_null(strstr(printed, "--listen"));
    assert_null(strstr(printed, "--format"));
    assert_non_null(strstr(printed, "\n  --listen A:P "));
    assert_non_null(strstr(printed, "\n  --batch-us US "));
    assert_non_null(strstr(printed, " [0 to 1000000] (default 1000)\n"));
    assert_int_equal(parse("tap --help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "--format"));
    assert_null(strstr(printed, "--venue "));
    assert_int_equal(parse("--help"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "serve"));
    assert_int_equal(parse("--version"), TF_PARSE_DONE);
    assert_non_null(strstr(printed, "tickfan "));
}

static void given(const tf_option_value_t *value, tf_given_t place, uint32_t line)
{
    assert_int_equal(value->origin.given, place);
    assert_int_equal(value->origin.line, line);
}

static void a_flag_goes_before_a_variable_and_that_before_the_file(void **state)
{
    (void)state;
    file_is("ping_ms: 1\nstall_ms: 1\n\nlinger_ms: 1\n");
    environment[0] = "TICKFAN_PING_MS=2";
    environment[1] = "TICKFAN_STALL_MS=2";
    assert_int_equal(parse("serve --ping-ms 3"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 3);
    given(&options.ping_ms, TF_GIVEN_FLAG, 0);
    assert_int_equal(options.stall_ms.number, 2);
    given(&options.stall_ms, TF_GIVEN_ENVIRONMENT, 0);
    assert_int_equal(options.linger_ms.number, 1);
    given(&options.linger_ms, TF_GIVEN_FILE, 4);
    given(&options.drain_ms, TF_GIVEN_NOWHERE, 0);
    assert_string_equal(options.config.text, "tickfan.yaml");
}

static void the_strongest_place_that_names_venues_gives_all_of_them(void **state)
{
    (void)state;
    file_is("venue:\n- a\n- b\n");
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.venue_count, 2);
    assert_string_equal(options.venue[1], "b");
    assert_int_equal(options.venue_origin[1].line, 3);
    environment[0] = "TICKFAN_VENUE= c ;;d\n\te:f g \r\n";
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.venue_count, 3);
    assert_string_equal(options.venue[0], "c");
    assert_string_equal(options.venue[1], "d");
    assert_string_equal(options.venue[2], "e:f g");
    assert_int_equal(options.venue_origin[2].given, TF_GIVEN_ENVIRONMENT);
    assert_int_equal(parse("serve --venue g"), TF_PARSE_RUN);
    assert_int_equal(options.venue_count, 1);
    assert_string_equal(options.venue[0], "g");
    environment[0] = "TICKFAN_VENUE= ; ";
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.venue_count, 2);
}

static void the_file_is_named_by_flag_or_variable_or_is_the_default_one(void **state)
{
    (void)state;
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_null(options.config.text);
    bad("serve --config other.yaml", "other.yaml: no such file");
    file_is("ping_ms: 1\n");
    assert_int_equal(rename("tickfan.yaml", "other.yaml"), 0);
    file_is("ping_ms: 2\n");
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 2);
    assert_int_equal(parse("serve --config=other.yaml"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 1);
    assert_int_equal(parse("serve --config none"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 20000);
    assert_null(options.config.text);
    environment[0] = "TICKFAN_CONFIG=other.yaml";
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 1);
    assert_int_equal(parse("serve --config none"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 20000);
    environment[0] = "TICKFAN_CONFIG=";
    assert_int_equal(parse("serve"), TF_PARSE_RUN);
    assert_int_equal(options.ping_ms.number, 2);
}

static void one_file_and_one_environment_serve_all_commands(void **state)
{
    (void)state;
    file_is("listen: 127.0.0.1:1\nformat: json\nvenue: [sim]\nlost_ms: 50\n");
    environment[0] = "TICKFAN_BATCH_US=7";
    static const char *const commands[] = {"serve", "ingest", "fanout", "tap", "check"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_int_equal(parse(commands[i]), TF_PARSE_RUN);
        assert_int_equal(options.lost_ms.number, 50);
        assert_int_equal(options.batch_us.number, 7);
        assert_string_equal(options.format.text, "json");
    }
    assert_int_equal(parse("check --format text --listen 1 --venue sim"), TF_PARSE_RUN);
    assert_string_equal(options.format.text, "text");
}

static void mistakes_of_every_place_are_told_at_once_with_the_place(void **state)
{
    (void)state;
    file_is("\nbatch_us: fast\nping_ms: 0\npong: 1\n");
    environment[0] = "TICKFAN_STALL_MS=-1";
    environment[1] = "TICKFAN_BATCHUS=1";
    environment[2] = "TICKFAN_COLOUR=red";
    assert_int_equal(parse("serve --linger-ms 99999999 --ping-ms 5"), TF_PARSE_BAD);
    static const char *const lines[] = {
        "--linger-ms: found \"99999999\", expected a whole number from 1 to 60000 (ms)",
        "TICKFAN_STALL_MS: found \"-1\", expected a whole number from 1 to 3600000 (ms)",
        "environment: found unknown variable \"TICKFAN_BATCHUS\", expected TICKFAN_BATCH_US?",
        "environment: found unknown variable \"TICKFAN_COLOUR\", expected",
        "tickfan.yaml:4: found unknown key \"pong\", expected pong_timeout_ms?",
        "tickfan.yaml:2: batch_us: found \"fast\", expected a whole number from 0 to 1000000 (us)",
        "tickfan.yaml:3: ping_ms: found \"0\", expected a whole number from 1 to 3600000 (ms)",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        bool told = false;
        for (uint32_t j = 0; j < report.count; j++)
            told = told || strncmp(lines[i], report.line[j], strlen(lines[i])) == 0;
        if (!told)
            fail_msg("not told: %s", lines[i]);
    }
    assert_int_equal(report.count, sizeof lines / sizeof lines[0]);
}

static void variables_that_nobody_typed_for_us_are_passed_over(void **state)
{
    (void)state;
    static const char *const passed[] = {"TICKFAN_DATA=/x",
                                         "TICKFAN_SEED=1",
                                         "TICKFAN_ROUNDS=1",
                                         "TICKFAN_LISTEN=",
                                         "TICKFAN_VENUE=",
                                         "TICKFAN=x",
                                         "TICKFAN_NO_EQUALS_SIGN",
                                         "OTHER_BATCH_US=x",
                                         "TICKFAN_SERVICE_HOST=10.0.0.1",
                                         "TICKFAN_SERVICE_PORT_WS=9001",
                                         "TICKFAN_PORT=tcp://10.0.0.1:9001",
                                         "TICKFAN_PORT_9001_TCP_PROTO=tcp",
                                         "TICKFAN_FEED_PORT_9001_TCP=tcp://10.0.0.1:9001"};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        environment[0] = passed[i];
        if (parse("serve") != TF_PARSE_RUN)
            fail_msg("%s: %s", passed[i], report.line[0]);
    }
    assert_string_equal(options.listen.text, "127.0.0.1:9001");
    environment[0] = "TICKFAN_PORT=9001"; /* that is a person's */
    bad("serve", "TICKFAN_PORT");
    environment[0] = "TICKFAN_LISTEN_ADDRESS_OF_THE_SERVER_WHICH_IS_FAR_TOO_LONG_FOR_A_NAME=1";
    bad("serve", "unknown variable");
}

static void keys_are_flags_with_underscores(void **state)
{
    (void)state;
    for (int i = 0; i < TF_OPTION_ROWS; i++) {
        char key[TF_OPTION_NAME_BYTES_MAX];
        (void)snprintf(key, sizeof key, "%s", tf_option_rows[i].flag);
        for (char *at = key; *at != '\0'; at++)
            *at = *at == '-' ? '_' : *at;
        assert_string_equal(key, tf_option_rows[i].key);
        /* Names fit their room with something to spare, and mean one thing. */
        assert_true(strlen("TICKFAN_") + strlen(key) < sizeof key - 1);
        assert_string_not_equal(key, "config");
        assert_string_not_equal(key, "venue");
    }
}

static void every_allocation_may_fail_and_nothing_leaks(void **state)
{
    (void)state;
    file_is("listen: x\nping_ms: 5\nvenue: [a, b]\n");
    environment[0] = "TICKFAN_VENUE=c;d";
    tf_options_fini(&options);
    uint64_t before = tf_mem_in_use_bytes();
    tf_parse_t result;
    uint64_t nth = 0;
    do {
        tf_mem_fail_at(++nth);
        result = parse("serve");
        tf_mem_fail_at(0);
        if (result != TF_PARSE_RUN)
            assert_non_null(strstr(report.line[0], "out of memory"));
        tf_options_fini(&options);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    } while (result != TF_PARSE_RUN);
    assert_true(nth > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_those_of_the_table, nothing_given),
        cmocka_unit_test_setup(values_come_with_an_equals_sign_or_behind, nothing_given),
        cmocka_unit_test_setup(nonsense_is_named, nothing_given),
        cmocka_unit_test_setup(flags_of_another_command_are_refused, nothing_given),
        cmocka_unit_test_setup(too_many_venues_are_refused, nothing_given),
        cmocka_unit_test_setup(help_lists_every_flag_of_the_command_and_no_other, nothing_given),
        cmocka_unit_test_setup(a_flag_goes_before_a_variable_and_that_before_the_file,
                               nothing_given),
        cmocka_unit_test_setup(the_strongest_place_that_names_venues_gives_all_of_them,
                               nothing_given),
        cmocka_unit_test_setup(the_file_is_named_by_flag_or_variable_or_is_the_default_one,
                               nothing_given),
        cmocka_unit_test_setup(one_file_and_one_environment_serve_all_commands, nothing_given),
        cmocka_unit_test_setup(mistakes_of_every_place_are_told_at_once_with_the_place,
                               nothing_given),
        cmocka_unit_test_setup(variables_that_nobody_typed_for_us_are_passed_over, nothing_given),
        cmocka_unit_test_setup(keys_are_flags_with_underscores, nothing_given),
        cmocka_unit_test_setup(every_allocation_may_fail_and_nothing_leaks, nothing_given),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
