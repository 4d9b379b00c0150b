#include "kit/kit.h"

#include "app/check.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 16384 };

static tf_options_t options;
static tf_report_t report;

/* The options of a command line as they come out of the parser, checked. */
static void check(const char *command, const char *flag, const char *value)
{
    char *argv[5] = {0};
    const char *const texts[] = {"tickfan", command, flag, value};
    memcpy(argv, texts, sizeof texts);
    char *environment[] = {NULL};
    tf_options_fini(&options);
    report = (tf_report_t){0};
    assert_int_equal(
        tf_options_parse(flag == NULL ? 2 : 4, argv, environment, &options, stdout, &report),
        TF_PARSE_RUN);
    tf_check(&options, &report);
}

static void bad(const char *flag, const char *value, const char *expected)
{
    char line[TF_REPORT_LINE_BYTES_MAX];
    (void)snprintf(line, sizeof line, "%s: found \"%s\", expected %s", flag, value, expected);
    check("check", flag, value);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.line[0], line);
}

static void the_defaults_are_good(void **state)
{
    (void)state;
    static const char *const commands[] = {"check", "tap", "fanout"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        check(commands[i], NULL, NULL);
        assert_int_equal(report.count, 0);
    }
}

static void texts_are_judged_by_what_they_are_for(void **state)
{
    (void)state;
    bad("--region", "a/b", "1 to 63 of A-Z a-z 0-9 _ -");
    bad("--region", "", "1 to 63 of A-Z a-z 0-9 _ -");
    bad("--log-level", "loud", "debug, info, warn, error or off");
    bad("--listen", "9001", "a numeric address and a port, as 127.0.0.1:9001 or [::1]:9001");
    bad("--listen", "off", "a numeric address and a port, as 127.0.0.1:9001 or [::1]:9001");
    bad("--http", "localhost:1",
        "a numeric address and a port, as 127.0.0.1:9002 or [::1]:9002, or off");
    bad("--format", "xml", "text or json");
    bad("--from", "then", "now or start");
    bad("--times", "none", "all or venue");
    static const char *const good[][2] = {
        {"--region", "a-Z_9"}, {"--log-level", "off"}, {"--listen", "[::1]:0"}, {"--http", "off"},
        {"--format", "json"},  {"--from", "start"},    {"--times", "venue"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        check("check", good[i][0], good[i][1]);
        assert_int_equal(report.count, 0);
    }
}

static void who_takes_in_venues_needs_one(void **state)
{
    (void)state;
    check("serve", NULL, NULL);
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(report.line[0], "--venue"));
    check("ingest", NULL, NULL);
    assert_int_equal(report.count, 1);
    check("serve", "--venue", "sim:seed=1");
    assert_int_equal(report.count, 0);
}

static void a_venue_that_cannot_be_is_told(void **state)
{
    (void)state;
    check("serve", "--venue", "nowhere:x");
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(report.line[0], "--venue"));
    assert_non_null(strstr(report.line[0], "nowhere:x"));
}

static void line_is(uint32_t count, const char *line)
{
    assert_int_equal(report.count, count);
    if (count > 0)
        assert_string_equal(report.line[0], line);
}

/* Two flags, for what has to fit together. */
static void check_two(const char *command, const char *a, const char *value_a, const char *b,
                      const char *value_b)
{
    char *argv[7] = {0};
    const char *const texts[] = {"tickfan", command, a, value_a, b, value_b};
    memcpy(argv, texts, sizeof texts);
    char *environment[] = {NULL};
    tf_options_fini(&options);
    report = (tf_report_t){0};
    assert_int_equal(tf_options_parse(6, argv, environment, &options, stdout, &report),
                     TF_PARSE_RUN);
    tf_check(&options, &report);
}

static void a_venue_can_be_given_once(void **state)
{
    (void)state;
    check_two("serve", "--venue", "sim", "--venue", "sim:seed=2");
    line_is(1, "--venue: found \"sim:seed=2\" after \"sim\": a venue can be given once");
    check_two("serve", "--venue", "coinbase", "--venue", "replay:coinbase:/dev/null");
    line_is(1, "--venue: found \"replay:coinbase:/dev/null\" after \"coinbase\": a venue can be "
               "given once");
    check_two("serve", "--venue", "sim", "--venue", "coinbase:BTC-USD");
    assert_int_equal(report.count, 0);
}

static void what_a_venue_needs_is_looked_at_before_a_region_is_made(void **state)
{
    (void)state;
    static const char *const commands[] = {"serve", "ingest", "check"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        check(commands[i], "--venue", "coinbase:btc-usd");
        line_is(1, "--venue: found \"coinbase:btc-usd\": \"btc-usd\" is not a symbol of this "
                   "venue (BASE-QUOTE)");
        check(commands[i], "--venue", "replay:coinbase:/no/file");
        line_is(1, "--venue: found \"replay:coinbase:/no/file\": /no/file: No such file or "
                   "directory");
        check(commands[i], "--venue", "replay:coinbase:/");
        line_is(1, "--venue: found \"replay:coinbase:/\": /: Is a directory");
        check(commands[i], "--venue", "coinbase:BTC-USD:ca=/no/file");
        line_is(1, "--venue: found \"coinbase:BTC-USD:ca=/no/file\": /no/file: No such file or "
                   "directory");
        check_two(commands[i], "--venue", "sim:instruments=300", "--instruments-max", "100");
        line_is(1, "--venue: found \"sim:instruments=300\": instruments=300 and instruments_max "
                   "is 100: raise it, or lower instruments");
        check_two(commands[i], "--venue", "sim:instruments=100", "--instruments-max", "100");
        assert_int_equal(report.count, 0);
    }
    check("serve", "--venue", "nowhere");
    line_is(1, "--venue: found \"nowhere\", expected sim[:...], coinbase[:...] or "
               "replay:VENUE:FILE[:...]");
}

static void one_port_is_not_for_both(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *http;
        uint32_t count;
    } cases[] = {
        {"127.0.0.1:5", "127.0.0.1:5", 1}, {"0.0.0.0:5", "127.0.0.1:5", 1},
        {"127.0.0.1:5", "[::]:5", 1},      {"[::1]:5", "[::1]:5", 1},
        {"127.0.0.1:5", "127.0.0.2:5", 0}, {"127.0.0.1:5", "127.0.0.1:6", 0},
        {"127.0.0.1:0", "127.0.0.1:0", 0}, {"127.0.0.1:5", "off", 0},
        {"0.0.0.0:5", "[::1]:5", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_two("fanout", "--listen", cases[i].listen, "--http", cases[i].http);
        assert_int_equal(report.count, cases[i].count);
    }
    check("check", "--http", "0.0.0.0:9001");
    line_is(1, "--http: found \"0.0.0.0:9001\", expected another port than listen, which is "
               "\"127.0.0.1:9001\"");
    check("check", "--listen", "127.0.0.1:9002");
    line_is(1, "--listen: found \"127.0.0.1:9002\", expected another port than http, which is "
               "\"127.0.0.1:9002\"");
    check_two("ingest", "--http", "127.0.0.1:9001", "--venue", "sim"); /* takes no --listen */
    assert_int_equal(report.count, 0);
}

static void a_pong_has_longer_than_the_next_ping(void **state)
{
    (void)state;
    check_two("fanout", "--ping-ms", "50", "--pong-timeout-ms", "50");
    line_is(1, "--pong-timeout-ms: found 50, expected more than ping_ms, which is 50");
    check("fanout", "--ping-ms", "60000");
    line_is(1, "--ping-ms: found 60000, expected less than pong_timeout_ms, which is 60000");
    check_two("fanout", "--ping-ms", "50", "--pong-timeout-ms", "51");
    assert_int_equal(report.count, 0);
}

static void what_is_printed_names_each_value_and_where_it_is_from(void **state)
{
    (void)state;
    static char text[TEXT_BYTES_MAX];
    check("check", "--venue", "sim:seed=1");
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(file);
    tf_check_print(&options, file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "\nvenue:\n  - \"sim:seed=1\"  # --venue\n"));
    assert_non_null(strstr(text, "\nregion: \"default\"  # default\n"));
    assert_non_null(strstr(text, "\nbatch_us: 1000  # default\n"));
}

static int teardown(void **state)
{
    (void)state;
    tf_options_fini(&options);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_good),
        cmocka_unit_test(texts_are_judged_by_what_they_are_for),
        cmocka_unit_test(who_takes_in_venues_needs_one),
        cmocka_unit_test(a_venue_that_cannot_be_is_told),
        cmocka_unit_test(a_venue_can_be_given_once),
        cmocka_unit_test(what_a_venue_needs_is_looked_at_before_a_region_is_made),
        cmocka_unit_test(one_port_is_not_for_both),
        cmocka_unit_test(a_pong_has_longer_than_the_next_ping),
        cmocka_unit_test(what_is_printed_names_each_value_and_where_it_is_from),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
