/* The page in the binary: each row is the file it was made of, and the page needs nothing else. */
#include "kit/kit.h"

#include "http/assets.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WEB_DIR TF_SOURCE_DIR "/src/http/web"

static bool ends_in(const char *text, const char *end)
{
    size_t bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

static void each_row_is_its_file_byte_for_byte(void **state)
{
    (void)state;
    size_t count = 0;
    const tf_asset_t *row = tf_asset_table(&count);
    assert_true(count >= 5);
    for (size_t i = 0; i < count; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s%s", WEB_DIR, row[i].path);
        size_t bytes = 0;
        char *data = t_file_read(path, &bytes);
        assert_non_null(data);
        assert_int_equal(row[i].bytes, bytes);
        assert_memory_equal(row[i].data, data, bytes);
        free(data);
    }
}

static void rows_are_in_order_and_found_by_their_path(void **state)
{
    (void)state;
    size_t count = 0;
    const tf_asset_t *row = tf_asset_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(row[i].path[0], '/');
        assert_ptr_equal(tf_asset_find(row[i].path, strlen(row[i].path)), &row[i]);
        if (i > 0)
            assert_true(strcmp(row[i - 1].path, row[i].path) < 0);
    }
}

static void the_root_is_the_page(void **state)
{
    (void)state;
    const tf_asset_t *page = tf_asset_find("/", 1);
    assert_non_null(page);
    assert_string_equal(page->path, "/index.html");
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const absent[] = {
        "",           "//",     "/index.htm", "/index.html/", "/INDEX.HTML", "/package.json",
        "/../http.c", "app.js",
    };
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(tf_asset_find(absent[i], strlen(absent[i])));
    assert_null(tf_asset_find("/app.js", 3)); /* the length counts, not a NUL */
    assert_null(tf_asset_find("/app.js\0x", 9));
}

static void content_types_are_those_that_browsers_insist_on(void **state)
{
    (void)state;
    static const struct {
        const char *end;
        const char *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };
    size_t count = 0;
    const tf_asset_t *row = tf_asset_table(&count);
    for (size_t i = 0; i < count; i++) {
        const char *expected = NULL;
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
            if (ends_in(row[i].path, types[t].end))
                expected = types[t].type;
        }
        assert_non_null(expected);
        assert_string_equal(row[i].content_type, expected);
    }
}

/* RFC 9110 8.8.3: quoted, and one that differs for each content. */
static void etags_are_quoted_and_differ(void **state)
{
    (void)state;
    size_t count = 0;
    const tf_asset_t *row = tf_asset_table(&count);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(row[i].etag);
        assert_true(bytes > 2 && row[i].etag[0] == '"' && row[i].etag[bytes - 1] == '"');
        assert_int_equal(strspn(row[i].etag + 1, "0123456789abcdef"), bytes - 2);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(row[other].etag, row[i].etag);
    }
}

/* No request leaves the server, and no inline script or style stands against the strictest policy.
 */
static void nothing_is_loaded_from_elsewhere_or_inline(void **state)
{
    (void)state;
    static const char *const banned[] = {"https://", "src=\"//", "@import",   "<style",
                                         "style=\"", "eval(",    "innerHTML", " onclick="};
    size_t count = 0;
    const tf_asset_t *row = tf_asset_table(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t b = 0; b < sizeof banned / sizeof *banned; b++)
            assert_null(memmem(row[i].data, row[i].bytes, banned[b], strlen(banned[b])));
        const char *http = memmem(row[i].data, row[i].bytes, "http://", 7);
        if (http != NULL) /* the name of SVG's namespace is no address that anybody asks */
            assert_memory_equal(http, "http://www.w3.org/2000/svg", 26);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_its_file_byte_for_byte),
        cmocka_unit_test(rows_are_in_order_and_found_by_their_path),
        cmocka_unit_test(the_root_is_the_page),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(content_types_are_those_that_browsers_insist_on),
        cmocka_unit_test(etags_are_quoted_and_differ),
        cmocka_unit_test(nothing_is_loaded_from_elsewhere_or_inline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
