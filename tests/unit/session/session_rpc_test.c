#include "kit/kit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "session/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { US_IN = 1000, US_OUT = 1234, TEXT_BYTES_MAX = 64 * 1024 };

typedef struct host {
    unsigned calls;
} host_t;

static int on_subtract(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)context;
    const json_t *from = json_array_get(params, 0);
    const json_t *what = json_array_get(params, 1);
    if (json_is_object(params)) {
        from = json_object_get(params, "minuend");
        what = json_object_get(params, "subtrahend");
    }
    tf_buf_int(&reply->result, json_integer_value(from) - json_integer_value(what));
    return TF_RPC_OK;
}

static int on_sum(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)context;
    int64_t sum = 0;
    for (size_t i = 0; i < json_array_size(params); i++)
        sum += json_integer_value(json_array_get(params, i));
    tf_buf_int(&reply->result, sum);
    return TF_RPC_OK;
}

static int on_notify(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)params;
    ((host_t *)context)->calls++;
    tf_buf_lit(&reply->result, "null");
    return TF_RPC_OK;
}

static int on_get_data(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)context;
    (void)params;
    tf_buf_lit(&reply->result, "[\"hello\",5]");
    return TF_RPC_OK;
}

static int on_fail(void *context, const json_t *params, tf_rpc_reply_t *reply)
{
    (void)context;
    int code = (int)json_integer_value(json_array_get(params, 0));
    const char *reason = json_string_value(json_array_get(params, 1));
    tf_buf_lit(&reply->result, "{\"never\":");
    return reason == NULL ? code : tf_rpc_fail(reply, code, "%s", reason);
}

static const tf_rpc_method_t methods[] = {
    {"subtract", on_subtract},   {"sum", on_sum},
    {"update", on_notify},       {"notify_sum", on_notify},
    {"notify_hello", on_notify}, {"get_data", on_get_data},
    {"fail", on_fail},           {NULL, NULL},
};

static int64_t us_now(void *context)
{
    (void)context;
    return US_OUT;
}

static tf_rpc_outcome_t handle(const char *text, size_t bytes, tf_buf_t *out)
{
    host_t host = {0};
    return tf_rpc_handle(methods, &host, text, bytes, US_IN, us_now, out);
}

/* The reply, byte for byte; "" for none. */
static void replies(const char *text, const char *expected)
{
    tf_buf_t out = {0};
    handle(text, strlen(text), &out);
    assert_true(tf_buf_ok(&out));
    tf_buf_put(&out, "", 1);
    assert_string_equal(out.data, expected);
    tf_buf_fini(&out);
}

/* Drop what we send beyond the specification, after seeing that it is there. */
static void extras_drop(json_t *reply)
{
    if (json_is_array(reply)) {
        for (size_t i = 0; i < json_array_size(reply); i++)
            extras_drop(json_array_get(reply, i));
        return;
    }
    assert_int_equal(json_integer_value(json_object_get(reply, "us_in")), US_IN);
    assert_int_equal(json_integer_value(json_object_get(reply, "us_out")), US_OUT);
    json_object_del(reply, "us_in");
    json_object_del(reply, "us_out");
    json_object_del(json_object_get(reply, "error"), "data");
}

/* As the specification has it: equal as JSON; NULL for no reply. */
static void answers(const char *text, const char *expected)
{
    tf_buf_t out = {0};
    handle(text, strlen(text), &out);
    assert_true(tf_buf_ok(&out));
    if (expected == NULL) {
        assert_int_equal(out.bytes, 0);
        tf_buf_fini(&out);
        return;
    }
    json_t *found = json_loadb(out.data, out.bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(found);
    assert_non_null(wanted);
    extras_drop(found);
    if (!json_equal(found, wanted))
        fail_msg("%s\n answered %.*s", text, (int)out.bytes, out.data);
    json_decref(found);
    json_decref(wanted);
    tf_buf_fini(&out);
}

/* JSON-RPC 2.0 specification, section 7. */
static void single_calls_of_the_specification(void **state)
{
    (void)state;
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42, 23], \"id\": 1}",
            "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 1}");
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [23, 42], \"id\": 2}",
            "{\"jsonrpc\": \"2.0\", \"result\": -19, \"id\": 2}");
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
            "{\"subtrahend\": 23, \"minuend\": 42}, \"id\": 3}",
            "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 3}");
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
            "{\"minuend\": 42, \"subtrahend\": 23}, \"id\": 4}",
            "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 4}");
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"update\", \"params\": [1,2,3,4,5]}", NULL);
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}", NULL);
}

static void errors_of_the_specification(void **state)
{
    (void)state;
    answers(
        "{\"jsonrpc\": \"2.0\", \"method\": \"foobar\", \"id\": \"1\"}",
        "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32601, \"message\": \"Method not found\"},"
        " \"id\": \"1\"}");
    answers("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]",
            "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700, \"message\": \"Parse error\"},"
            " \"id\": null}");
    answers(
        "{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}",
        "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, \"message\": \"Invalid Request\"},"
        " \"id\": null}");
    answers("[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
            "{\"jsonrpc\": \"2.0\", \"method\"]",
            "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700, \"message\": \"Parse error\"},"
            " \"id\": null}");
}

#define INVALID                                                                                    \
    "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, \"message\": \"Invalid Request\"}, "     \
    "\"id\": null}"

static void batches_of_the_specification(void **state)
{
    (void)state;
    answers("[]", INVALID);
    answers("[1]", "[" INVALID "]");
    answers("[1,2,3]", "[" INVALID "," INVALID "," INVALID "]");
    answers(
        "[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], \"id\": \"1\"},"
        "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]},"
        "{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42,23], \"id\": \"2\"},"
        "{\"foo\": \"boo\"},"
        "{\"jsonrpc\": \"2.0\", \"method\": \"foo.get\", \"params\": {\"name\": \"myself\"}, "
        "\"id\": \"5\"},"
        "{\"jsonrpc\": \"2.0\", \"method\": \"get_data\", \"id\": \"9\"}]",
        "[{\"jsonrpc\": \"2.0\", \"result\": 7, \"id\": \"1\"},"
        "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": \"2\"}," INVALID ","
        "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32601, \"message\": \"Method not found\"},"
        " \"id\": \"5\"},"
        "{\"jsonrpc\": \"2.0\", \"result\": [\"hello\", 5], \"id\": \"9\"}]");
    answers("[{\"jsonrpc\": \"2.0\", \"method\": \"notify_sum\", \"params\": [1,2,4]},"
            "{\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", \"params\": [7]}]",
            NULL);
}

static void members_of_a_reply_keep_their_order(void **state)
{
    (void)state;
    replies("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"sum\",\"params\":[1,2]}",
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"us_in\":1000,\"us_out\":1234,\"result\":3}");
    replies("[{\"id\":7,\"method\":\"sum\"},{\"id\":8,\"method\":\"sum\"}]",
            "[{\"jsonrpc\":\"2.0\",\"id\":7,\"us_in\":1000,\"us_out\":1234,\"result\":0},"
            "{\"jsonrpc\":\"2.0\",\"id\":8,\"us_in\":1000,\"us_out\":1234,\"result\":0}]");
}

static void error_data_has_only_what_there_is_to_say(void **state)
{
    (void)state;
#define FRAME "{\"jsonrpc\":\"2.0\",\"id\":1,\"us_in\":1000,\"us_out\":1234,\"error\":"
    replies("{\"id\":1,\"method\":\"fail\",\"params\":[-32602]}",
            FRAME "{\"code\":-32602,\"message\":\"Invalid params\"}}");
    replies("{\"id\":1,\"method\":\"fail\",\"params\":[-32602,\"say \\\"so\\\"\"]}",
            FRAME "{\"code\":-32602,\"message\":\"Invalid params\","
                  "\"data\":{\"reason\":\"say \\\"so\\\"\"}}}");
    replies("{\"id\":1,\"method\":\"fail\",\"params\":[-32603]}", FRAME
            "{\"code\":-32603,\"message\":\"Internal error\",\"data\":{\"retryable\":true}}}");
    replies("{\"id\":1,\"method\":\"fail\",\"params\":[2001]}",
            FRAME "{\"code\":2001,\"message\":\"unknown channel kind\","
                  "\"data\":{\"retryable\":false}}}");
    replies("{\"id\":1,\"method\":\"fail\",\"params\":[4003,\"wait\"]}",
            FRAME "{\"code\":4003,\"message\":\"no snapshot yet\","
                  "\"data\":{\"reason\":\"wait\",\"retryable\":true}}}");
#undef FRAME
}

static void id_is_echoed_byte_for_byte(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "0",
        "-1",
        "1.0",
        "1.10",
        "0.1",
        "1e2",
        "1E+2",
        "-0",
        "9007199254740993",
        "9223372036854775807",
        "null",
        "\"\"",
        "\"a\\\"b\\\\\"",
        "\"\\u0041\\u0000\"",
        "\"}],{[\"",
        "\"\xc3\xa9\"",
        "0.30000000000000004",
        "123456789.123456789012345678",
    };
    char text[256];
    char expected[256];
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snprintf(expected, sizeof expected,
                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"us_in\":1000,\"us_out\":1234,\"result\":0}",
                 ids[i]);
        snprintf(text, sizeof text, "{\"id\":%s,\"method\":\"sum\"}", ids[i]);
        replies(text, expected);
        snprintf(text, sizeof text,
                 " {\"method\":\"sum\", \"x\" : {\"id\":[{}, \"id\"]} ,\"params\":[ ] ,"
                 "\t\"\\u0069\\u0064\"\n: %s\r\n}\n",
                 ids[i]);
        replies(text, expected);
    }
    replies("[ {\"id\" : 1.50 , \"method\":\"sum\"} , {\"method\":\"sum\",\"i\\u0064\":2.0} ]",
            "[{\"jsonrpc\":\"2.0\",\"id\":1.50,\"us_in\":1000,\"us_out\":1234,\"result\":0},"
            "{\"jsonrpc\":\"2.0\",\"id\":2.0,\"us_in\":1000,\"us_out\":1234,\"result\":0}]");
}

/* The error reply with its reason. */
static void refused(const char *text, const char *id, int code, const char *reason)
{
    char expected[512];
    snprintf(expected, sizeof expected,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"us_in\":1000,\"us_out\":1234,\"error\":{\"code\":%d,"
             "\"message\":\"%s\",\"data\":{\"reason\":\"%s\"}}}",
             id, code, tf_rpc_error_text(code), reason);
    replies(text, expected);
}

static void invalid_requests_are_told_what_was_found(void **state)
{
    (void)state;
    refused("7", "null", -32600, "a request is an object, this is the number 7");
    refused("\"ping\"", "null", -32600, "a request is an object, this is a string \\\"ping\\\"");
    refused("{\"id\":[1],\"method\":\"sum\"}", "null", -32600,
            "id is a string, a number or null, not an array");
    refused("{\"id\":true,\"method\":\"sum\"}", "null", -32600,
            "id is a string, a number or null, not true");
    refused("{\"id\":5}", "5", -32600, "method is a string, not missing");
    refused("{\"id\":5,\"method\":null}", "5", -32600, "method is a string, not null");
    refused("{\"id\":5,\"method\":\"sum\",\"jsonrpc\":\"1.0\"}", "5", -32600,
            "jsonrpc is \\\"2.0\\\" or left out, not a string \\\"1.0\\\"");
    refused("{\"id\":5,\"method\":\"sum\",\"jsonrpc\":2.0}", "5", -32600,
            "jsonrpc is \\\"2.0\\\" or left out, not the number 2");
    refused("{\"id\":5,\"method\":\"sum\",\"params\":\"x\"}", "5", -32600,
            "params is an object or left out, not a string \\\"x\\\"");
    refused("{\"id\":5,\"method\":\"sum\",\"params\":null}", "5", -32600,
            "params is an object or left out, not null");
    refused("{\"method\":\"sum\",\"params\":false}", "null", -32600,
            "params is an object or left out, not false");
    refused("{\"id\":5,\"method\":\"sum\\u0000x\"}", "5", -32601,
            "method is a string \\\"sum\\\", which is not offered");
    refused("{\"id\":5,\"method\":\"a method whose name goes on and on and on\"}", "5", -32601,
            "method is a string \\\"a method whose name goes on and ...\\\", which is not offered");
}

static void parse_errors_say_where(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{\"id\":1,\"id\":2,\"method\":\"sum\"}",
        "{\"id\":1}{\"id\":2}",
        "nul",
        "\"\xff\"",
        "{\"id\":99999999999999999999}",
        "{\"id\":1e999}",
        "{'id':1}",
        "[1,]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tf_buf_t out = {0};
        tf_rpc_outcome_t outcome = handle(texts[i], strlen(texts[i]), &out);
        assert_int_equal(outcome.requests, 1);
        assert_int_equal(outcome.errors, 1);
        json_t *reply = json_loadb(out.data, out.bytes, 0, NULL);
        json_t *error = json_object_get(reply, "error");
        json_t *reason = json_object_get(json_object_get(error, "data"), "reason");
        assert_int_equal(json_integer_value(json_object_get(error, "code")), TF_RPC_PARSE);
        assert_true(json_is_null(json_object_get(reply, "id")));
        assert_int_equal(strncmp(json_string_value(reason), "at byte ", 8), 0);
        json_decref(reply);
        tf_buf_fini(&out);
    }
    refused("{\"id\":1,\"id\":2}", "null", -32700,
            "at byte 12: duplicate object key near '\\\"id\\\"'");
}

static void batch_of_32_is_the_largest(void **state)
{
    (void)state;
    for (size_t count = TF_RPC_BATCH_MAX; count <= TF_RPC_BATCH_MAX + 1; count++) {
        tf_buf_t text = {0};
        tf_buf_t out = {0};
        for (size_t i = 0; i < count; i++)
            tf_buf_text(&text, i == 0 ? "[{\"id\":1,\"method\":\"sum\"}"
                                      : ",{\"id\":1,\"method\":\"sum\"}");
        tf_buf_lit(&text, "]");
        tf_rpc_outcome_t outcome = handle(text.data, text.bytes, &out);
        json_t *reply = json_loadb(out.data, out.bytes, 0, NULL);
        if (count == TF_RPC_BATCH_MAX) {
            assert_int_equal(json_array_size(reply), TF_RPC_BATCH_MAX);
            assert_int_equal(outcome.requests, TF_RPC_BATCH_MAX);
            assert_int_equal(outcome.errors, 0);
        } else {
            assert_true(json_is_object(reply));
            assert_int_equal(outcome.requests, 1);
            assert_int_equal(outcome.errors, 1);
        }
        json_decref(reply);
        tf_buf_fini(&text);
        tf_buf_fini(&out);
    }
}

static void outcome_counts_requests_and_errors(void **state)
{
    (void)state;
    static const char text[] =
        "[{\"id\":1,\"method\":\"sum\"},{\"method\":\"update\"},"
        "{\"method\":\"nothing\"},3,{\"method\":\"fail\",\"params\":[2001]}]";
    tf_buf_t out = {0};
    host_t host = {0};
    tf_rpc_outcome_t outcome =
        tf_rpc_handle(methods, &host, text, sizeof text - 1, US_IN, us_now, &out);
    assert_int_equal(outcome.requests, 5);
    assert_int_equal(outcome.errors, 3);
    assert_int_equal(host.calls, 1);
    tf_buf_fini(&out);
}

static void reply_is_appended_to_what_is_there(void **state)
{
    (void)state;
    tf_buf_t out = {0};
    tf_buf_lit(&out, "before[");
    handle("[{\"id\":1,\"method\":\"sum\"}]", 25, &out);
    assert_memory_equal(out.data, "before[[{\"jsonrpc\"", 17);
    tf_buf_fini(&out);
}

static void deep_nesting_is_a_parse_error(void **state)
{
    (void)state;
    char *text = malloc(TEXT_BYTES_MAX);
    assert_non_null(text);
    static const char *const openings[] = {"[", "{\"a\":", "[{\"a\":"};
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        size_t bytes = strlen(openings[i]);
        for (size_t at = 0; at + bytes <= TEXT_BYTES_MAX; at += bytes)
            memcpy(text + at, openings[i], bytes);
        tf_buf_t out = {0};
        handle(text, TEXT_BYTES_MAX / bytes * bytes, &out);
        json_t *reply = json_loadb(out.data, out.bytes, 0, NULL);
        json_t *code = json_object_get(json_object_get(reply, "error"), "code");
        assert_int_equal(json_integer_value(code), TF_RPC_PARSE);
        json_decref(reply);
        tf_buf_fini(&out);
    }
    free(text);
}

/* The deepest that is parsed is also walked and freed. */
static void nesting_that_parses_is_handled(void **state)
{
    (void)state;
    enum { DEPTH = 2000 };
    tf_buf_t text = {0};
    tf_buf_lit(&text, "{\"x\":");
    for (size_t i = 0; i < DEPTH; i++)
        tf_buf_lit(&text, "[");
    for (size_t i = 0; i < DEPTH; i++)
        tf_buf_lit(&text, "]");
    tf_buf_lit(&text, ",\"method\":\"sum\",\"id\":\"deep\"}");
    tf_buf_put(&text, "", 1);
    answers(text.data, "{\"jsonrpc\":\"2.0\",\"id\":\"deep\",\"result\":0}");
    tf_buf_fini(&text);
}

static void every_code_has_its_text(void **state)
{
    (void)state;
    assert_string_equal(tf_rpc_error_text(-32700), "Parse error");
    assert_string_equal(tf_rpc_error_text(2006), "option not supported");
    assert_string_equal(tf_rpc_error_text(0), "");
    assert_string_equal(tf_rpc_error_text(1), "");
    assert_true(tf_rpc_error_retryable(5001));
    assert_false(tf_rpc_error_retryable(2006));
    assert_false(tf_rpc_error_retryable(1));
}

/* Fail the n-th allocation, jansson's included, until one run needs fewer: no leak, and out is
 * either failed or a whole reply. */
static void every_failed_allocation_fails_out_and_leaks_nothing(void **state)
{
    (void)state;
    static const char text[] = "[{\"id\":1.5,\"method\":\"sum\",\"params\":[1,2.5,{\"a\":\"b\"}]},"
                               "{\"id\":\"x\",\"method\":\"nothing\"},{\"method\":\"update\"},4]";
    uint64_t before = tf_mem_in_use_bytes();
    uint64_t nth = 0;
    bool failed = true;
    while (failed) {
        nth++;
        assert_in_range(nth, 1, 1000);
        tf_buf_t out = {0};
        /* Room for any reply: only what parsing and methods need can fail. */
        (void)tf_buf_reserve(&out, 4096);
        tf_mem_fail_at(nth);
        handle(text, sizeof text - 1, &out);
        tf_mem_fail_at(0);
        failed = !tf_buf_ok(&out);
        if (!failed) {
            json_t *reply = json_loadb(out.data, out.bytes, 0, NULL);
            assert_int_equal(json_array_size(reply), 3);
            json_decref(reply);
        }
        tf_buf_fini(&out);
        assert_int_equal(tf_mem_in_use_bytes(), before);
    }
    assert_in_range(nth, 10, 1000); /* jansson's were among them */
}

/* Random pieces of requests: whatever comes in, what goes out is JSON and each reply has a version.
 */
static void random_texts_get_valid_replies_or_none(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"id\"",
        "\"method\"",
        "\"params\"",
        "\"sum\"",
        "1",
        "2.50",
        "null",
        "\"jsonrpc\":\"2.0\"",
        "{\"id\":1,\"method\":\"sum\"}",
        "\"",
        "\\",
        "\"id\":3,",
        " ",
        "{\"method\":\"update\"}",
        "{\"method\":\"sum\",\"id\":",
    };
    tf_rng_t rng = {t_seed(4)};
    for (uint64_t round = t_rounds(20000); round > 0; round--) {
        tf_buf_t text = {0};
        tf_buf_t out = {0};
        for (uint64_t count = tf_rng_below(&rng, 9); count > 0; count--)
            tf_buf_text(&text, pieces[tf_rng_below(&rng, sizeof pieces / sizeof pieces[0])]);
        handle(text.data, text.bytes, &out);
        if (out.bytes > 0) {
            json_t *reply = json_loadb(out.data, out.bytes, JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(reply);
            extras_drop(reply);
            json_decref(reply);
        }
        tf_buf_fini(&text);
        tf_buf_fini(&out);
    }
}

int main(void)
{
    t_panic_to_cmocka();
    tf_rpc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_calls_of_the_specification),
        cmocka_unit_test(errors_of_the_specification),
        cmocka_unit_test(batches_of_the_specification),
        cmocka_unit_test(members_of_a_reply_keep_their_order),
        cmocka_unit_test(error_data_has_only_what_there_is_to_say),
        cmocka_unit_test(id_is_echoed_byte_for_byte),
        cmocka_unit_test(invalid_requests_are_told_what_was_found),
        cmocka_unit_test(parse_errors_say_where),
        cmocka_unit_test(batch_of_32_is_the_largest),
        cmocka_unit_test(outcome_counts_requests_and_errors),
        cmocka_unit_test(reply_is_appended_to_what_is_there),
        cmocka_unit_test(deep_nesting_is_a_parse_error),
        cmocka_unit_test(nesting_that_parses_is_handled),
        cmocka_unit_test(every_code_has_its_text),
        cmocka_unit_test(every_failed_allocation_fails_out_and_leaks_nothing),
        cmocka_unit_test(random_texts_get_valid_replies_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
