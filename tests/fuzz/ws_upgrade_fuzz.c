/*
 * ws_upgrade_fuzz: arbitrary request heads. A prefix is either undecided or has the result of the
 * whole; every slice of an accepted request lies inside its head; every result can be answered.
 */
#include "base/mem.h"
#include "ws/upgrade.h"

#include <string.h>

enum {
    INPUT_MAX = 2 * TF_WS_HEAD_BYTES_MAX,
    CUTS = 64, /* prefixes tried per input, evenly spread: each is parsed from its first byte */
};

typedef struct result {
    tf_ws_upgrade_t verdict;
    int http_status;
    size_t head_bytes;
    size_t slices[7]; /* where each begins, SIZE_MAX = absent */
} result_t;

static size_t slice_check(tf_ws_text_t slice, const char *head, size_t head_bytes)
{
    if (slice.text == NULL) {
        TF_ASSERT(slice.bytes == 0);
        return SIZE_MAX;
    }
    TF_ASSERT(slice.text >= head && slice.bytes <= head_bytes);
    TF_ASSERT((size_t)(slice.text - head) <= head_bytes - slice.bytes);
    TF_ASSERT(slice.bytes == 0 || memchr(slice.text, '\n', slice.bytes) == NULL);
    return (size_t)(slice.text - head);
}

static void request_check(const tf_ws_request_t *request, const char *head, result_t *result)
{
    const tf_ws_text_t slices[] = {
        request->path,          request->query,     request->host, request->origin,
        request->authorization, request->protocols, request->key,
    };
    result->head_bytes = request->head_bytes;
    TF_ASSERT(request->head_bytes <= TF_WS_HEAD_BYTES_MAX);
    TF_ASSERT(memcmp(head + request->head_bytes - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
        result->slices[i] = slice_check(slices[i], head, request->head_bytes);

    char out[TF_WS_RESPONSE_BYTES_MAX];
    bool offered = tf_ws_protocol_offered(request->protocols, "tickfan.v1.json");
    size_t bytes = tf_ws_accept_write(out, request, offered ? "tickfan.v1.json" : NULL);
    TF_ASSERT(bytes > 0 && bytes < sizeof out);
    tf_ws_text_t value = tf_ws_query_value(request->query, "enc");
    if (value.bytes > 0)
        (void)slice_check(value, head, request->head_bytes);
}

/* Parse a copy in a block of its own size, so that a read past the end is seen. */
static result_t parse(const uint8_t *data, size_t bytes)
{
    result_t result = {0};
    tf_ws_request_t request;
    char *copy = tf_mem_calloc(bytes + 1, 1);
    TF_ASSERT(copy != NULL);
    if (bytes > 0)
        memcpy(copy + 1, data, bytes);
    const char *head = copy + 1;
    result.verdict = tf_ws_upgrade_parse(head, bytes, &request, &result.http_status);
    if (result.verdict == TF_WS_UPGRADE_OK) {
        TF_ASSERT(request.head_bytes <= bytes);
        request_check(&request, head, &result);
    }
    if (result.verdict == TF_WS_UPGRADE_BAD) {
        char out[TF_WS_RESPONSE_BYTES_MAX];
        TF_ASSERT(tf_ws_reject_write(out, result.http_status) < sizeof out);
    }
    tf_mem_free(copy);
    return result;
}

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name for it */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* NOLINTNEXTLINE(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes > INPUT_MAX)
        return 0;
    result_t whole = parse(data, bytes);
    bool decided = false;
    for (size_t cut = 0; cut < bytes; cut += 1 + bytes / CUTS) {
        result_t result = parse(data, cut);
        if (result.verdict == TF_WS_UPGRADE_MORE) {
            TF_ASSERT(!decided);
            continue;
        }
        decided = true;
        TF_ASSERT(result.verdict == whole.verdict && result.http_status == whole.http_status);
        TF_ASSERT(result.head_bytes == whole.head_bytes);
        TF_ASSERT(memcmp(result.slices, whole.slices, sizeof whole.slices) == 0);
    }
    return 0;
}
