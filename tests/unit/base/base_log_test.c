#include "kit/kit.h"

#include "base/log.h"

#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CAPTURE_BYTES = 8192 };

static char captured[CAPTURE_BYTES];
static int pipe_ends[2];
static int stderr_kept;

static void capture_begin(void)
{
    (void)fflush(stderr);
    assert_int_equal(pipe(pipe_ends), 0);
    stderr_kept = dup(STDERR_FILENO);
    assert_true(stderr_kept >= 0);
    assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
}

/* What was written to stderr since capture_begin: at most a pipe's worth, so no writer blocks. */
static const char *capture_end(void)
{
    assert_int_equal(dup2(stderr_kept, STDERR_FILENO), STDERR_FILENO);
    (void)close(stderr_kept);
    (void)close(pipe_ends[1]);
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < sizeof captured - 1) {
        got = read(pipe_ends[0], captured + used, sizeof captured - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    (void)close(pipe_ends[0]);
    captured[used] = '\0';
    return captured;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return match;
}

static void level_names_are_parsed(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    for (int i = TF_LOG_DEBUG; i <= TF_LOG_OFF; i++) {
        tf_log_level_t level = i == TF_LOG_OFF ? TF_LOG_DEBUG : TF_LOG_OFF;
        assert_int_equal(tf_log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
}

static void other_names_leave_the_level_untouched(void **state)
{
    (void)state;
    static const char *const names[] = {"", "INFO", "warning", "info ", "of"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tf_log_level_t level = TF_LOG_ERROR;
        assert_int_equal(tf_log_level_parse(names[i], &level), -1);
        assert_int_equal(level, TF_LOG_ERROR);
    }
}

static void a_line_is_logfmt_with_a_utc_stamp(void **state)
{
    (void)state;
    capture_begin();
    tf_log(TF_LOG_WARN, "venue_down", "venue=%s tries=%d", "kraken", 3);
    const char *line = capture_end();
    assert_true(matches(line, "^time=20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}"
                              "\\.[0-9]{3}Z level=warn event=venue_down venue=kraken tries=3\n$"));
}

static void control_bytes_cannot_forge_a_line(void **state)
{
    (void)state;
    char hostile[0x21 + 2];
    for (int byte = 1; byte <= 0x20; byte++)
        hostile[byte - 1] = (char)byte;
    hostile[0x20] = 0x7f;
    hostile[0x21] = '\0';
    capture_begin();
    tf_log(TF_LOG_ERROR, "reject", "text=\"%s\"", hostile);
    const char *line = capture_end();
    size_t bytes = strlen(line);
    assert_ptr_equal(strchr(line, '\n'), line + bytes - 1); /* one line feed, at the end */
    assert_non_null(strstr(line, "text=\"??????????????????????????????? ?\"\n"));
}

static void quoted_text_cannot_end_its_quotes_or_the_line(void **state)
{
    (void)state;
    capture_begin();
    tf_log(TF_LOG_ERROR, "reject", "why=%s part=%s",
           TF_LOG_TEXT("region \"a\\b\": x\n\" level=info event=forged"), TF_LOG_BYTES("abc", 2));
    assert_non_null(strstr(capture_end(), " why=\"region \\\"a\\\\b\\\": x\\u000a\\\" level=info "
                                          "event=forged\" part=\"ab\"\n"));
    char out[TF_LOG_TEXT_BYTES_MAX];
    assert_string_equal(tf_log_text(out, "", 0), "\"\"");
    static const char hostile[] = {'x', '"', '\n'};
    for (size_t i = 0; i < sizeof hostile; i++) { /* cut, and still quoted */
        char text[2 * TF_LOG_TEXT_BYTES_MAX];
        memset(text, hostile[i], sizeof text);
        size_t bytes = strlen(tf_log_text(out, text, sizeof text));
        assert_in_range(bytes, sizeof out - 16, sizeof out - 1);
        assert_string_equal(out + bytes - 4, "...\"");
    }
}

static void lines_below_the_threshold_are_not_written(void **state)
{
    (void)state;
    tf_log_level_set(TF_LOG_ERROR);
    capture_begin();
    tf_log(TF_LOG_WARN, "quiet", "x=1");
    tf_log(TF_LOG_ERROR, "loud", "x=2");
    const char *text = capture_end();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "loud"));
    tf_log_level_set(TF_LOG_OFF);
    capture_begin();
    tf_log(TF_LOG_ERROR, "loud", "x=3");
    tf_log(TF_LOG_OFF, "off", "is a threshold only");
    assert_string_equal(capture_end(), "");
    tf_log_level_set(TF_LOG_INFO);
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    char text[6000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture_begin();
    tf_log(TF_LOG_ERROR, "long", "text=%s", text);
    const char *line = capture_end();
    size_t bytes = strlen(line);
    assert_in_range(bytes, 1000, 3000);
    assert_ptr_equal(strchr(line, '\n'), line + bytes - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_names_are_parsed),
        cmocka_unit_test(other_names_leave_the_level_untouched),
        cmocka_unit_test(a_line_is_logfmt_with_a_utc_stamp),
        cmocka_unit_test(control_bytes_cannot_forge_a_line),
        cmocka_unit_test(quoted_text_cannot_end_its_quotes_or_the_line),
        cmocka_unit_test(lines_below_the_threshold_are_not_written),
        cmocka_unit_test(a_long_line_is_cut_and_still_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
