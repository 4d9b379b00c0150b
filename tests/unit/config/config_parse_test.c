#include "kit/kit.h"

#include "base/mem.h"
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VENUE, LISTEN, BATCH, KEYS };

static const tf_config_key_t keys[KEYS] = {
    [VENUE] = {"venue", "a list of texts", true},
    [LISTEN] = {"listen", "one text", false},
    [BATCH] = {"batch_us", "a number", false},
};

static tf_config_t *config;
static tf_report_t report;

static tf_status_t parse_bytes(const char *data, size_t bytes)
{
    tf_config_close(config);
    report = (tf_report_t){0};
    return tf_config_parse(&config, "t.yaml", data, bytes, keys, KEYS, &report);
}

static void good(const char *text)
{
    if (parse_bytes(text, strlen(text)) != TF_OK || report.count != 0)
        fail_msg("%s: %s", text, report.line[0]);
}

/* `lines` are all the lines that are reported, each ended by '\n'. */
static void bad(const char *text, const char *lines)
{
    char all[8192] = "";
    size_t all_bytes = 0;
    tf_status_t status = parse_bytes(text, strlen(text));
    assert_true(status == TF_OK || status == TF_ERR_FORMAT);
    assert_true((status == TF_OK) == (config != NULL));
    for (uint32_t i = 0; i < report.count; i++)
        all_bytes +=
            (size_t)snprintf(all + all_bytes, sizeof all - all_bytes, "%s\n", report.line[i]);
    assert_string_equal(all, lines);
}

static void has(uint32_t key, uint32_t at, const char *text, uint32_t line)
{
    assert_true(at < tf_config_count(config, key));
    assert_string_equal(tf_config_item(config, key, at).text, text);
    assert_int_equal(tf_config_item(config, key, at).line, line);
}

static int teardown(void **state)
{
    (void)state;
    tf_config_close(config);
    config = NULL;
    return 0;
}

static void texts_are_read_with_their_lines(void **state)
{
    (void)state;
    good("# a comment\nlisten: 127.0.0.1:9001 # here\n\nvenue: [sim, \"a:b c\",\n   'x']\n"
         "batch_us: 5\n");
    has(LISTEN, 0, "127.0.0.1:9001", 2);
    has(VENUE, 0, "sim", 4);
    has(VENUE, 1, "a:b c", 4);
    has(VENUE, 2, "x", 5);
    has(BATCH, 0, "5", 6);
    good("venue:\n  - sim:seed=1,depth=2\n\n  # why\n  - replay:x:/y\n");
    assert_int_equal(tf_config_count(config, VENUE), 2);
    has(VENUE, 0, "sim:seed=1,depth=2", 2);
    has(VENUE, 1, "replay:x:/y", 5);
    assert_int_equal(tf_config_count(config, LISTEN), 0);
}

static void values_are_texts_whatever_yaml_would_make_of_them(void **state)
{
    (void)state;
    good("listen: off\nbatch_us: 0x10\nvenue: [yes, 1.50, 007]\n");
    has(LISTEN, 0, "off", 1);
    has(BATCH, 0, "0x10", 2);
    has(VENUE, 0, "yes", 3);
    has(VENUE, 1, "1.50", 3);
    has(VENUE, 2, "007", 3);
    good("listen: \"\"\nbatch_us: 'null'");
    has(LISTEN, 0, "", 1);
    has(BATCH, 0, "null", 2);
    good("listen: |\n  two\n  lines\n");
    has(LISTEN, 0, "two\nlines\n", 1);
}

static void a_file_without_keys_gives_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "\n\n", "# nothing\n", "---\n",    "{}",
                                        "null", "~\n",  "---\n...\n",  "venue: []"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        good(texts[i]);
        for (uint32_t key = 0; key < KEYS; key++)
            assert_int_equal(tf_config_count(config, key), 0);
    }
    good("\xef\xbb\xbflisten: x\r\nbatch_us: 1\r\n"); /* as some editors write it */
    has(LISTEN, 0, "x", 1);
    has(BATCH, 0, "1", 2);
}

static void unknown_and_repeated_keys_are_told_with_their_line(void **state)
{
    (void)state;
    bad("listen: x\nbatchus: 5\n", "t.yaml:2: found unknown key \"batchus\", expected batch_us?\n");
    bad("colour: {a: [b, {c: d}]}\nlisten: x\n",
        "t.yaml:1: found unknown key \"colour\", expected one that \"tickfan check\" prints\n");
    has(LISTEN, 0, "x", 2);
    bad("colour: [*a]\n",
        "t.yaml:1: found unknown key \"colour\", expected one that \"tickfan check\" prints\n");
    bad("listen: x\nbatch_us: 1\nlisten: y\n",
        "t.yaml:3: listen: found a second time, expected once (the first is on line 1)\n");
    assert_int_equal(tf_config_count(config, LISTEN), 0);
    has(BATCH, 0, "1", 2);
    bad("? [a, b]\n: c\n", "t.yaml:1: found a list as a key, expected a name\n");
    bad("\"listen\\0x\": c\n", "t.yaml:1: found a NUL in a key, expected a name\n");
    bad("listen: a\n\"listen\\0x\": c\n", "t.yaml:2: found a NUL in a key, expected a name\n");
}

static void values_of_the_wrong_shape_are_told(void **state)
{
    (void)state;
    bad("batch_us: [5]\n", "t.yaml:1: batch_us: found a list, expected a number\n");
    bad("batch_us:\n  x: 5\n", "t.yaml:2: batch_us: found a mapping, expected a number\n");
    bad("batch_us:\nlisten: x", "t.yaml:1: batch_us: found nothing, expected a number\n");
    bad("batch_us: ~", "t.yaml:1: batch_us: found nothing, expected a number\n");
    bad("venue: sim\n", "t.yaml:1: venue: found \"sim\", expected a list of texts\n");
    bad("venue:\n", "t.yaml:1: venue: found nothing, expected a list of texts\n");
    bad("venue:\n - a\n - [b]\n - c: d\n -\n",
        "t.yaml:3: venue: found a list, expected a list of texts\n"
        "t.yaml:4: venue: found a mapping, expected a list of texts\n"
        "t.yaml:5: venue: found nothing, expected a list of texts\n");
    bad("listen: \"a\\0b\"\n",
        "t.yaml:1: listen: found a text with a NUL in it, expected one text\n");
    bad("listen: !!str x\n",
        "t.yaml:1: listen: found a tag (!), which is not read, expected one text\n");
    bad("listen: &a x\nbatch_us: *a\n",
        "t.yaml:1: listen: found an anchor (&), which is not kept, expected one text\n"
        "t.yaml:2: batch_us: found an alias (*), which is not followed, expected a number\n");
    bad("- listen\n", "t.yaml:1: found a list, expected lines like \"key: value\"\n");
    bad("\nlisten=x\n", "t.yaml:2: found \"listen=x\", expected lines like \"key: value\"\n");
    bad("listen: x\n---\nlisten: y\n", "t.yaml:2: found a second document (---), expected one\n");
}

static void every_mistake_is_told_at_once_and_the_rest_is_read(void **state)
{
    (void)state;
    bad("lisen: x\nbatch_us: [1]\nvenue: [good, 'too']\nlisten: z\nother: 1\n",
        "t.yaml:1: found unknown key \"lisen\", expected listen?\n"
        "t.yaml:2: batch_us: found a list, expected a number\n"
        "t.yaml:5: found unknown key \"other\", expected one that \"tickfan check\" prints\n");
    has(VENUE, 1, "too", 3);
    has(LISTEN, 0, "z", 4);
}

/* The wording after the line is libyaml's; the line and the file are ours. */
static void broken_syntax_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *told;
    } cases[] = {
        {"listen: x\n\tbatch_us: 5\n", "t.yaml:2: found a tab"},
        {"venue:\n\t- sim\n", "t.yaml:2: found a tab"},
        {"listen: x\nvenue: [a, b\nbatch_us: 5\n", "t.yaml:3: no valid YAML: "},
        {"listen: \"x\n\n", "that began on line 1"},
        {"listen: x: y\n", "t.yaml:1: no valid YAML: "},
        {"listen: x\n batch_us: 5\n", "t.yaml:2: no valid YAML: "},
        {"listen: @x\n", "t.yaml:1: no valid YAML: "},
        {"batch_us: *a\nlisten: @x\n", "t.yaml:1: batch_us: found an alias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse_bytes(cases[i].text, strlen(cases[i].text)), TF_ERR_FORMAT);
        assert_null(config);
        if (strstr(report.line[0], cases[i].told) == NULL)
            fail_msg("\"%s\" does not tell \"%s\"", report.line[0], cases[i].told);
    }
    assert_int_equal(report.count, 2); /* of the last one: the alias and the syntax */
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_bytes("listen: x\nbatch_us: \xff\n", 22), TF_ERR_FORMAT);
    assert_string_equal(report.line[0], "t.yaml:2: found byte 0xff, expected UTF-8 text");
    assert_int_equal(parse_bytes("a\n\xc3", 3), TF_ERR_FORMAT);
    assert_string_equal(report.line[0],
                        "t.yaml:2: found half a character at the end, expected UTF-8 text");
    assert_int_equal(parse_bytes("\xff\xfe\x6c\x00", 4), TF_ERR_FORMAT); /* UTF-16 */
    assert_int_equal(parse_bytes("a: b\n\0", 6), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[0], "t.yaml:2: found byte 0"));
    assert_int_equal(parse_bytes("a: \x1b\n", 5), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[0], "t.yaml:1: found byte 0x1b"));
}

static void a_list_may_be_long_and_a_file_may_not(void **state)
{
    (void)state;
    static char text[TF_CONFIG_BYTES_MAX + 1];
    size_t bytes = (size_t)snprintf(text, sizeof text, "venue:\n");
    while (bytes + 16 < TF_CONFIG_BYTES_MAX)
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "- %zu\n", bytes);
    assert_int_equal(parse_bytes(text, bytes), TF_OK);
    uint32_t count = tf_config_count(config, VENUE);
    assert_true(count > 10000);
    assert_int_equal(tf_config_item(config, VENUE, count - 1).line, count + 1);
    memset(text, '#', sizeof text);
    assert_int_equal(parse_bytes(text, TF_CONFIG_BYTES_MAX), TF_OK);
    assert_int_equal(parse_bytes(text, TF_CONFIG_BYTES_MAX + 1), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[0], "more than 262144 bytes"));
}

/* libyaml alone would take minutes for this: the test's time-out sees it. */
static void lists_in_lists_are_not_followed_to_the_end(void **state)
{
    (void)state;
    static char text[TF_CONFIG_BYTES_MAX];
    memset(text, '[', sizeof text);
    (void)snprintf(text, 8, "venue: ");
    text[7] = '[';
    assert_int_equal(parse_bytes(text, sizeof text), TF_ERR_FORMAT);
    assert_string_equal(report.line[1], "t.yaml:1: found more than 16 levels, expected one or two");
    memset(text, '{', sizeof text);
    (void)snprintf(text, 8, "venue: ");
    text[7] = '[';
    assert_int_equal(parse_bytes(text, sizeof text), TF_ERR_FORMAT);
}

static void files_are_read_and_what_is_none_is_told(void **state)
{
    (void)state;
    char path[512];
    report = (tf_report_t){0};
    (void)snprintf(path, sizeof path, "%s/ok.yaml", t_scratch_dir());
    assert_int_equal(tf_config_read(&config, path, keys, KEYS, &report), TF_ERR_ABSENT);
    assert_int_equal(report.count, 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 3000; i++)
        (void)fputs("# more than one read\n", file);
    (void)fputs("listen: x\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(tf_config_read(&config, path, keys, KEYS, &report), TF_OK);
    has(LISTEN, 0, "x", 3001);
    tf_config_close(config);
    assert_int_equal(tf_config_read(&config, t_scratch_dir(), keys, KEYS, &report), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[0], "Is a directory"));
    assert_int_equal(tf_config_read(&config, "/dev/zero", keys, KEYS, &report), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[1], "more than 262144 bytes"));
    (void)snprintf(path, sizeof path, "%s/ok.yaml/below", t_scratch_dir());
    assert_int_equal(tf_config_read(&config, path, keys, KEYS, &report), TF_ERR_FORMAT);
    assert_non_null(strstr(report.line[2], "Not a directory"));
}

static void every_allocation_may_fail_and_nothing_leaks(void **state)
{
    (void)state;
    static const char text[] = "listen: x\nbatch_us: 5\nvenue: [a, b, c, d, e, f, g, h]\n";
    tf_config_close(config);
    config = NULL;
    uint64_t before = tf_mem_in_use_bytes();
    uint64_t nth = 0;
    tf_status_t status;
    do {
        tf_mem_fail_at(++nth);
        status = parse_bytes(text, sizeof text - 1);
        tf_mem_fail_at(0);
        if (status != TF_OK) {
            assert_int_equal(status, TF_ERR_MEMORY);
            assert_null(config);
            assert_int_equal(report.count, 0);
            assert_int_equal(tf_mem_in_use_bytes(), before);
        }
    } while (status != TF_OK);
    assert_true(nth > 10);
    has(VENUE, 7, "h", 3);
    tf_config_close(config);
    config = NULL;
    assert_int_equal(tf_mem_in_use_bytes(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_with_their_lines),
        cmocka_unit_test(values_are_texts_whatever_yaml_would_make_of_them),
        cmocka_unit_test(a_file_without_keys_gives_none),
        cmocka_unit_test(unknown_and_repeated_keys_are_told_with_their_line),
        cmocka_unit_test(values_of_the_wrong_shape_are_told),
        cmocka_unit_test(every_mistake_is_told_at_once_and_the_rest_is_read),
        cmocka_unit_test(broken_syntax_is_told_with_its_line),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(a_list_may_be_long_and_a_file_may_not),
        cmocka_unit_test(lists_in_lists_are_not_followed_to_the_end),
        cmocka_unit_test(files_are_read_and_what_is_none_is_told),
        cmocka_unit_test(every_allocation_may_fail_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
