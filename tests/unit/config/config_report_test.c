#include "kit/kit.h"

#include "config/report.h"

#include <string.h>

static tf_report_t report;

static const char *printed(void)
{
    static char text[64 * 1024];
    memset(text, 0, sizeof text);
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    assert_non_null(file);
    tf_report_print(&report, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void lines_come_out_in_the_order_of_the_file_and_too_many_are_counted(void **state)
{
    (void)state;
    report = (tf_report_t){0};
    assert_string_equal(printed(), "");
    tf_report_add(&report, 0, "first %d", 1);
    tf_report_add(&report, 0, "second");
    assert_string_equal(printed(), "first 1\nsecond\n");
    tf_report_add(&report, 7, "seventh");
    tf_report_add(&report, 5, "fifth");
    tf_report_add(&report, 0, "third");
    assert_string_equal(printed(), "first 1\nsecond\nthird\nfifth\nseventh\n");
    for (int i = 5; i < TF_REPORT_LINES_MAX + 3; i++)
        tf_report_add(&report, 7, "another");
    assert_int_equal(report.count, TF_REPORT_LINES_MAX + 3);
    assert_non_null(strstr(printed(), "another\n... and 3 more\n"));
}

static void a_quote_shows_control_bytes_and_cuts_what_is_long(void **state)
{
    (void)state;
    char out[TF_QUOTE_BYTES_MAX];
    char text[200];
    assert_string_equal(tf_quote("", out), "\"\"");
    assert_string_equal(tf_quote("a\tb\n\x1b[0m\x7f", out), "\"a\\x09b\\x0a\\x1b[0m\\x7f\"");
    memset(text, '\x01', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_true(strlen(tf_quote(text, out)) < TF_QUOTE_BYTES_MAX);
    assert_non_null(strstr(out, "\\x01...\""));
    /* 63 letters and a character of two bytes, which does not fit whole. */
    memset(text, 'a', sizeof text);
    memcpy(text + 63, "\xc3\xa9z", 4);
    assert_null(strstr(tf_quote(text, out), "\xc3"));
    assert_non_null(strstr(out, "aaa...\""));
    memcpy(text + 62, "\xc3\xa9", 3); /* and here it does */
    assert_non_null(strstr(tf_quote(text, out), "a\xc3\xa9\""));
}

static void of_a_long_path_the_end_is_told(void **state)
{
    (void)state;
    char path[1000];
    memset(path, 'd', sizeof path);
    (void)snprintf(path + 900, 100, "/tickfan.yaml");
    const char *end = tf_path_end(path);
    assert_int_equal(strlen(end), 256);
    assert_non_null(strstr(end, "/tickfan.yaml"));
    assert_string_equal(tf_path_end("x.yaml"), "x.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_in_the_order_of_the_file_and_too_many_are_counted),
        cmocka_unit_test(a_quote_shows_control_bytes_and_cuts_what_is_long),
        cmocka_unit_test(of_a_long_path_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
