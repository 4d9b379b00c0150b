#include "session/rpc.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* Bytes of the text that jansson has already found to be valid JSON. */
typedef struct span {
    const char *at;
    const char *end;
} span_t;

typedef struct call {
    const tf_rpc_method_t *methods;
    void *context;
    int64_t us_in;
    int64_t (*us_now)(void *context);
    tf_buf_t *out;
    bool batch;
    uint32_t replies;
    tf_rpc_outcome_t outcome;
} call_t;

static const char null_text[] = "null";
static const span_t id_null = {null_text, null_text + sizeof null_text - 1};

/* jansson reports some failed allocations as a syntax error, so they are noted here. */
static _Thread_local bool json_memory_failed;

static void *json_alloc(size_t bytes)
{
    void *block = tf_mem_realloc(NULL, 1, bytes == 0 ? 1 : bytes);
    if (block == NULL)
        json_memory_failed = true;
    return block;
}

void tf_rpc_init(void)
{
    json_set_alloc_funcs(json_alloc, tf_mem_free);
}

static const struct error_row {
    int code;
    bool retryable;
    const char *text;
} error_rows[] = {
#define TF_RPC_ERROR(name, code, retryable, message) {(code), (retryable), (message)},
#include "session/errors.def"
#undef TF_RPC_ERROR
};

static const struct error_row *error_find(int code)
{
    static const struct error_row none = {0, false, ""};
    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++) {
        if (error_rows[i].code == code)
            return &error_rows[i];
    }
    return &none;
}

const char *tf_rpc_error_text(int code)
{
    return error_find(code)->text;
}

bool tf_rpc_error_retryable(int code)
{
    return error_find(code)->retryable;
}

int tf_rpc_fail(tf_rpc_reply_t *reply, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reply->reason, sizeof reply->reason, format, arguments);
    va_end(arguments);
    return code;
}

const char *tf_rpc_value_text(char out[TF_RPC_VALUE_BYTES_MAX], const json_t *value)
{
    const size_t room = TF_RPC_VALUE_BYTES_MAX;
    if (value == NULL) {
        snprintf(out, room, "missing");
        return out;
    }
    switch (json_typeof(value)) {
    case JSON_STRING:
        snprintf(out, room,
                 json_string_length(value) > 32 ? "a string \"%.32s...\"" : "a string \"%s\"",
                 json_string_value(value));
        break;
    case JSON_INTEGER:
        snprintf(out, room, "the number %lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(out, room, "the number %.15g", json_real_value(value));
        break;
    case JSON_OBJECT:
        snprintf(out, room, "an object");
        break;
    case JSON_ARRAY:
        snprintf(out, room, json_array_size(value) == 0 ? "an empty array" : "an array");
        break;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        snprintf(out, room, "%s",
                 json_is_null(value)   ? "null"
                 : json_is_true(value) ? "true"
                                       : "false");
        break;
    }
    return out;
}

/*
 * Finding the request's id in the text: jansson turns 1.10 and 1e2 into doubles, and a client may
 * compare what it gets back as text. Every scan stays before `end` even so, which costs nothing.
 */

static const char *space_skip(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* `at` is on the opening quote; returns behind the closing one. */
static const char *string_skip(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : end;
}

static const char *scalar_skip(const char *at, const char *end)
{
    while (at < end && strchr(",]} \t\n\r", *at) == NULL)
        at++;
    return at;
}

static const char *value_skip(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = string_skip(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (depth == 0) {
            return scalar_skip(at, end);
        } else {
            if (*at == '}' || *at == ']')
                depth--;
            at++;
        }
        if (depth == 0 && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']'))
            return at;
    }
    return end;
}

static bool key_is_id(const char *key, size_t bytes)
{
    static const char *const spellings[] = {"\"id\"", "\"\\u0069d\"", "\"i\\u0064\"",
                                            "\"\\u0069\\u0064\""};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        if (bytes == strlen(spellings[i]) && memcmp(key, spellings[i], bytes) == 0)
            return true;
    }
    return false;
}

/* The text of the member "id" of the object in `text`; "null" when there is none. */
static span_t id_find(span_t text)
{
    const char *at = space_skip(text.at, text.end) + 1;
    while (at < text.end) {
        const char *key = space_skip(at, text.end);
        if (key == text.end || *key != '"')
            break;
        const char *key_end = string_skip(key, text.end);
        const char *colon = space_skip(key_end, text.end);
        if (colon == text.end)
            break;
        const char *value = space_skip(colon + 1, text.end);
        const char *value_end = value_skip(value, text.end);
        if (key_is_id(key, (size_t)(key_end - key)))
            return (span_t){value, value_end};
        at = space_skip(value_end, text.end);
        if (at == text.end || *at != ',')
            break;
        at++;
    }
    return id_null;
}

static void reply_begin(call_t *call, span_t id)
{
    tf_buf_t *out = call->out;
    if (call->batch) {
        if (call->replies == 0)
            tf_buf_lit(out, "[");
        else
            tf_buf_lit(out, ",");
    }
    call->replies++;
    tf_buf_lit(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    tf_buf_put(out, id.at, (size_t)(id.end - id.at));
    tf_buf_lit(out, ",\"us_in\":");
    tf_buf_int(out, call->us_in);
    tf_buf_lit(out, ",\"us_out\":");
    tf_buf_int(out, call->us_now(call->context));
}

/* "data" says what the code alone does not. Our own codes always say whether to try again; the
 * standard ones only when that helps. */
static void error_data_append(tf_buf_t *out, int code, const char *reason)
{
    bool retryable = tf_rpc_error_retryable(code);
    bool tells_retryable = retryable || code > 0;
    if (reason[0] == '\0' && !tells_retryable)
        return;
    tf_buf_lit(out, ",\"data\":{");
    if (reason[0] != '\0') {
        tf_buf_lit(out, "\"reason\":");
        tf_buf_json_string(out, reason, strlen(reason));
    }
    if (tells_retryable) {
        if (reason[0] != '\0')
            tf_buf_lit(out, ",");
        tf_buf_lit(out, "\"retryable\":");
        tf_buf_text(out, retryable ? "true" : "false");
    }
    tf_buf_lit(out, "}");
}

static void reply_error(call_t *call, span_t id, int code, const char *reason)
{
    reply_begin(call, id);
    tf_buf_lit(call->out, ",\"error\":{\"code\":");
    tf_buf_int(call->out, code);
    tf_buf_lit(call->out, ",\"message\":");
    const char *message = tf_rpc_error_text(code);
    tf_buf_json_string(call->out, message, strlen(message));
    error_data_append(call->out, code, reason);
    tf_buf_lit(call->out, "}}");
}

static void reply_result(call_t *call, span_t id, const tf_buf_t *result)
{
    TF_ASSERT(result->bytes > 0);
    reply_begin(call, id);
    tf_buf_lit(call->out, ",\"result\":");
    tf_buf_put(call->out, result->data, result->bytes);
    tf_buf_lit(call->out, "}");
}

/* Is this a Request object (JSON-RPC 2.0, section 4)? Sets the reason if not. */
static bool request_valid(const json_t *request, tf_rpc_reply_t *reply)
{
    char found[TF_RPC_VALUE_BYTES_MAX];
    const json_t *version = json_object_get(request, "jsonrpc");
    const json_t *method = json_object_get(request, "method");
    const json_t *params = json_object_get(request, "params");
    if (!json_is_object(request)) {
        tf_rpc_fail(reply, 0, "a request is an object, this is %s",
                    tf_rpc_value_text(found, request));
    } else if (version != NULL &&
               (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)) {
        tf_rpc_fail(reply, 0, "jsonrpc is \"2.0\" or left out, not %s",
                    tf_rpc_value_text(found, version));
    } else if (!json_is_string(method)) {
        tf_rpc_fail(reply, 0, "method is a string, not %s", tf_rpc_value_text(found, method));
    } else if (params != NULL && !json_is_object(params) && !json_is_array(params)) {
        tf_rpc_fail(reply, 0, "params is an object or left out, not %s",
                    tf_rpc_value_text(found, params));
    } else {
        return true;
    }
    return false;
}

static bool id_valid(const json_t *id)
{
    return id == NULL || json_is_string(id) || json_is_number(id) || json_is_null(id);
}

static const tf_rpc_method_t *method_find(const tf_rpc_method_t *methods, const json_t *name)
{
    for (; methods->name != NULL; methods++) {
        if (json_string_length(name) == strlen(methods->name) &&
            memcmp(json_string_value(name), methods->name, json_string_length(name)) == 0)
            return methods;
    }
    return NULL;
}

static int method_run(call_t *call, const json_t *request, tf_rpc_reply_t *reply)
{
    const json_t *name = json_object_get(request, "method");
    const tf_rpc_method_t *method = method_find(call->methods, name);
    if (method == NULL) {
        char found[TF_RPC_VALUE_BYTES_MAX];
        return tf_rpc_fail(reply, TF_RPC_METHOD_NOT_FOUND, "method is %s, which is not offered",
                           tf_rpc_value_text(found, name));
    }
    return method->handler(call->context, json_object_get(request, "params"), reply);
}

static void request_handle(call_t *call, const json_t *request, span_t text)
{
    tf_rpc_reply_t reply = {0};
    int code = TF_RPC_INVALID_REQUEST;
    bool answered = true;
    span_t id_text = id_null;
    const json_t *id = json_object_get(request, "id");
    if (!id_valid(id)) {
        char found[TF_RPC_VALUE_BYTES_MAX];
        tf_rpc_fail(&reply, 0, "id is a string, a number or null, not %s",
                    tf_rpc_value_text(found, id));
    } else {
        if (id != NULL)
            id_text = id_find(text);
        if (request_valid(request, &reply)) {
            answered = id != NULL; /* else a notification */
            code = method_run(call, request, &reply);
        }
    }
    call->outcome.requests++;
    call->outcome.errors += code != TF_RPC_OK;
    if (!tf_buf_ok(&reply.result))
        call->out->failed = true;
    else if (answered && code == TF_RPC_OK)
        reply_result(call, id_text, &reply.result);
    else if (answered)
        reply_error(call, id_text, code, reply.reason);
    tf_buf_fini(&reply.result);
}

/* A text that is refused as a whole. */
static void text_refuse(call_t *call, int code, const char *reason)
{
    call->outcome.requests++;
    call->outcome.errors++;
    reply_error(call, id_null, code, reason);
}

static void batch_handle(call_t *call, const json_t *requests, span_t text)
{
    size_t count = json_array_size(requests);
    if (count == 0 || count > TF_RPC_BATCH_MAX) {
        tf_rpc_reply_t reply;
        tf_rpc_fail(&reply, 0, "a batch has 1 to %d requests, this one has %zu", TF_RPC_BATCH_MAX,
                    count);
        text_refuse(call, TF_RPC_INVALID_REQUEST, reply.reason);
        return;
    }
    call->batch = true;
    const char *at = space_skip(text.at, text.end) + 1;
    for (size_t i = 0; i < count; i++) {
        const char *value = space_skip(at, text.end);
        const char *value_end = value_skip(value, text.end);
        request_handle(call, json_array_get(requests, i), (span_t){value, value_end});
        at = space_skip(value_end, text.end) + 1; /* behind the comma */
    }
    if (call->replies > 0)
        tf_buf_lit(call->out, "]");
}

static void parse_refuse(call_t *call, const json_error_t *error)
{
    if (json_memory_failed || json_error_code(error) == json_error_out_of_memory ||
        error->text[0] == '\0') {
        call->out->failed = true;
        return;
    }
    tf_rpc_reply_t reply;
    tf_rpc_fail(&reply, 0, "at byte %d: %s", error->position, error->text);
    text_refuse(call, TF_RPC_PARSE, reply.reason);
}

tf_rpc_outcome_t tf_rpc_handle(const tf_rpc_method_t *methods, void *context, const char *text,
                               size_t bytes, int64_t us_in, int64_t (*us_now)(void *context),
                               tf_buf_t *out)
{
    call_t call = {
        .methods = methods, .context = context, .us_in = us_in, .us_now = us_now, .out = out};
    json_error_t error;
    json_memory_failed = false;
    json_t *value =
        json_loadb(text, bytes, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (value == NULL)
        parse_refuse(&call, &error);
    else if (json_is_array(value))
        batch_handle(&call, value, (span_t){text, text + bytes});
    else
        request_handle(&call, value, (span_t){text, text + bytes});
    json_decref(value);
    return call.outcome;
}
