#include "ws/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

enum {
    KEY_BYTES = 24,         /* base64 of 16 bytes: 22 characters and "==" */
    KEY_DIGITS = 22,        /* of those, without the padding */
    ACCEPT_BYTES = 28,      /* base64 of a SHA-1 */
    VERSION_NAME_BYTES = 8, /* "HTTP/1.1" */
    PROTOCOL_BYTES_MAX = 128,
};

/* RFC 6455 1.3 */
static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* A head while it is being parsed. */
typedef struct head {
    tf_ws_request_t *request;
    tf_ws_text_t version;
    tf_ws_text_t content_length;
    tf_ws_text_t transfer_encoding;
    bool upgrade_to_websocket;
    bool connection_upgrade;
    int http_status; /* of the first refusal; 0 = none */
} head_t;

static bool refuse(head_t *head, int http_status)
{
    head->http_status = http_status;
    return false;
}

/* ---- texts ---- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_alphanumeric(char byte) /* whatever the locale */
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

static bool is_visible(char byte)
{
    return byte > ' ' && byte < 0x7f;
}

/* RFC 9110 5.6.2 */
static bool is_token(tf_ws_text_t text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        char byte = text.text[i];
        if (!is_alphanumeric(byte) && (byte == '\0' || strchr("!#$%&'*+-.^_`|~", byte) == NULL))
            return false;
    }
    return text.bytes > 0;
}

static bool all_visible(tf_ws_text_t text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (!is_visible(text.text[i]))
            return false;
    }
    return true;
}

static bool equals(tf_ws_text_t text, const char *other)
{
    return text.bytes == strlen(other) && memcmp(text.text, other, text.bytes) == 0;
}

static bool equals_any_case(tf_ws_text_t text, const char *other)
{
    return text.bytes == strlen(other) && strncasecmp(text.text, other, text.bytes) == 0;
}

static tf_ws_text_t trimmed(tf_ws_text_t text)
{
    while (text.bytes > 0 && is_blank(text.text[0])) {
        text.text++;
        text.bytes--;
    }
    while (text.bytes > 0 && is_blank(text.text[text.bytes - 1]))
        text.bytes--;
    return text;
}

/* Split at the first `separator`: returns what is before it, `rest` keeps what is after it; without
 * one everything is returned and rest->text becomes NULL. */
static tf_ws_text_t split(tf_ws_text_t *rest, char separator)
{
    tf_ws_text_t before = *rest;
    const char *at = rest->bytes > 0 ? memchr(rest->text, separator, rest->bytes) : NULL;
    if (at == NULL) {
        *rest = (tf_ws_text_t){0};
        return before;
    }
    before.bytes = (size_t)(at - before.text);
    *rest = (tf_ws_text_t){at + 1, rest->bytes - before.bytes - 1};
    return before;
}

static bool list_has(tf_ws_text_t list, const char *name,
                     bool (*same)(tf_ws_text_t text, const char *other))
{
    while (list.text != NULL) {
        if (same(trimmed(split(&list, ',')), name))
            return true;
    }
    return false;
}

/* ---- the head as a whole ---- */

typedef enum extent {
    EXTENT_MORE,
    EXTENT_WHOLE,
    EXTENT_BAD,
} extent_t;

/* Find the blank line. Only CRLF ends a line, and no other control character but TAB may appear:
 * what two parsers could read in two ways is refused at its first byte, before the head is
 * complete. */
static extent_t extent_find(const char *data, size_t bytes, size_t *head_bytes)
{
    size_t line_from = 0;
    for (size_t i = 0; i < bytes; i++) {
        char byte = data[i];
        bool after_cr = i > 0 && data[i - 1] == '\r';
        if (after_cr != (byte == '\n'))
            return EXTENT_BAD;
        if ((byte >= 0 && byte < ' ' && byte != '\r' && byte != '\n' && byte != '\t') ||
            byte == 0x7f)
            return EXTENT_BAD;
        if (byte != '\n')
            continue;
        if (i - line_from == 1) {
            *head_bytes = i + 1;
            return EXTENT_WHOLE;
        }
        line_from = i + 1;
    }
    return EXTENT_MORE;
}

/* ---- request line ---- */

static bool http_version_take(head_t *head, tf_ws_text_t version)
{
    if (equals(version, "HTTP/1.1"))
        return true;
    bool well_formed = version.bytes == VERSION_NAME_BYTES &&
                       memcmp(version.text, "HTTP/", 5) == 0 && version.text[5] >= '0' &&
                       version.text[5] <= '9' && version.text[6] == '.' && version.text[7] >= '0' &&
                       version.text[7] <= '9';
    return refuse(head, well_formed ? 505 : 400);
}

static bool target_take(head_t *head, tf_ws_text_t target)
{
    /* A fragment never travels (RFC 9112 3.2). */
    if (target.bytes == 0 || target.text[0] != '/' || !all_visible(target) ||
        memchr(target.text, '#', target.bytes) != NULL)
        return refuse(head, 400);
    head->request->query = target;
    head->request->path = split(&head->request->query, '?');
    return true;
}

static bool request_line_take(head_t *head, tf_ws_text_t line)
{
    tf_ws_text_t method = split(&line, ' ');
    tf_ws_text_t target = split(&line, ' ');
    if (!is_token(method) || target.text == NULL || line.text == NULL)
        return refuse(head, 400);
    if (!http_version_take(head, line))
        return false;
    if (!equals(method, "GET"))
        return refuse(head, 405);
    return target_take(head, target);
}

/* ---- headers ---- */

/* The field for a header that may come once; NULL for every other. */
static tf_ws_text_t *single_field(head_t *head, tf_ws_text_t name)
{
    tf_ws_request_t *request = head->request;
    const struct {
        const char *name;
        tf_ws_text_t *field;
    } fields[] = {
        {"Host", &request->host},
        {"Origin", &request->origin},
        {"Authorization", &request->authorization},
        {"Sec-WebSocket-Protocol", &request->protocols},
        {"Sec-WebSocket-Key", &request->key},
        {"Sec-WebSocket-Version", &head->version},
        {"Content-Length", &head->content_length},
        {"Transfer-Encoding", &head->transfer_encoding},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (equals_any_case(name, fields[i].name))
            return fields[i].field;
    }
    return NULL;
}

static bool header_take(head_t *head, tf_ws_text_t line)
{
    tf_ws_text_t value = line;
    tf_ws_text_t name = split(&value, ':');
    if (value.text == NULL ||
        !is_token(name)) /* a folded line, too: its name begins with a blank */
        return refuse(head, 400);
    value = trimmed(value);

    tf_ws_text_t *field = single_field(head, name);
    if (field != NULL) {
        if (field->text != NULL)
            return refuse(head, 400);
        *field = value;
    } else if (equals_any_case(name, "Upgrade")) {
        head->upgrade_to_websocket |= list_has(value, "websocket", equals_any_case);
    } else if (equals_any_case(name, "Connection")) {
        head->connection_upgrade |= list_has(value, "upgrade", equals_any_case);
    }
    return true;
}

/* `lines` ends with the CRLF of the last header. */
static bool lines_take(head_t *head, tf_ws_text_t lines)
{
    bool first = true;
    size_t headers = 0;
    while (lines.bytes > 0) {
        tf_ws_text_t line = split(&lines, '\n');
        line.bytes--; /* its CR */
        if (first) {
            if (!request_line_take(head, line))
                return false;
            first = false;
            continue;
        }
        if (++headers > TF_WS_HEADERS_MAX)
            return refuse(head, 431);
        if (!header_take(head, line))
            return false;
    }
    return !first || refuse(head, 400);
}

/* ---- what the request must say ---- */

static bool key_valid(tf_ws_text_t key)
{
    if (key.bytes != KEY_BYTES || memcmp(key.text + KEY_DIGITS, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        char byte = key.text[i];
        if (!is_alphanumeric(byte) && byte != '+' && byte != '/')
            return false;
    }
    return true;
}

/* What follows the head are frames: a body would be read as frames by us, as a body by a proxy. */
static bool body_announced(const head_t *head)
{
    tf_ws_text_t length = head->content_length;
    for (size_t i = 0; i < length.bytes; i++) {
        if (length.text[i] != '0')
            return true;
    }
    return head->transfer_encoding.text != NULL || (length.text != NULL && length.bytes == 0);
}

static bool demands_met(head_t *head)
{
    const tf_ws_request_t *request = head->request;
    if (request->host.bytes == 0 || !all_visible(request->host) || body_announced(head))
        return refuse(head, 400);
    if (!head->upgrade_to_websocket || !head->connection_upgrade || !equals(head->version, "13"))
        return refuse(head, 426);
    return key_valid(request->key) || refuse(head, 400);
}

tf_ws_upgrade_t tf_ws_upgrade_parse(const char *data, size_t bytes, tf_ws_request_t *request,
                                    int *http_status)
{
    *request = (tf_ws_request_t){0};
    size_t scanned = bytes < TF_WS_HEAD_BYTES_MAX ? bytes : TF_WS_HEAD_BYTES_MAX;
    size_t head_bytes = 0;
    head_t head = {.request = request};
    switch (extent_find(data, scanned, &head_bytes)) {
    case EXTENT_BAD:
        *http_status = 400;
        return TF_WS_UPGRADE_BAD;
    case EXTENT_MORE:
        if (scanned < TF_WS_HEAD_BYTES_MAX)
            return TF_WS_UPGRADE_MORE;
        *http_status = 431;
        return TF_WS_UPGRADE_BAD;
    case EXTENT_WHOLE:
        break;
    }
    request->head_bytes = head_bytes;
    if (lines_take(&head, (tf_ws_text_t){data, head_bytes - 2}) && demands_met(&head))
        return TF_WS_UPGRADE_OK;
    *http_status = head.http_status;
    return TF_WS_UPGRADE_BAD;
}

bool tf_ws_protocol_offered(tf_ws_text_t protocols, const char *name)
{
    return list_has(protocols, name, equals);
}

tf_ws_text_t tf_ws_query_value(tf_ws_text_t query, const char *name)
{
    while (query.text != NULL) {
        tf_ws_text_t value = split(&query, '&');
        if (!equals(split(&value, '='), name))
            continue;
        if (value.text == NULL) /* "name" without '=' */
            value.text = "";
        return value;
    }
    return (tf_ws_text_t){0};
}

/* ---- responses ---- */

/* RFC 6455 4.2.2: base64 of the SHA-1 of key and GUID, NUL-terminated. */
static bool accept_value_write(char out[ACCEPT_BYTES + 1], tf_ws_text_t key)
{
    unsigned char input[KEY_BYTES + sizeof accept_guid - 1];
    unsigned char digest[SHA_DIGEST_LENGTH];
    TF_ASSERT(key.bytes == KEY_BYTES);
    memcpy(input, key.text, KEY_BYTES);
    memcpy(input + KEY_BYTES, accept_guid, sizeof accept_guid - 1);
    if (SHA1(input, sizeof input, digest) == NULL)
        return false;
    return EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest) == ACCEPT_BYTES;
}

size_t tf_ws_accept_write(char *out, const tf_ws_request_t *request, const char *protocol)
{
    TF_ASSERT(protocol == NULL || strlen(protocol) <= PROTOCOL_BYTES_MAX);
    char accept[ACCEPT_BYTES + 1];
    if (!accept_value_write(accept, request->key))
        return 0;
    int bytes = snprintf(out, TF_WS_RESPONSE_BYTES_MAX,
                         "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\n"
                         "Connection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n"
                         "%s%s%s\r\n",
                         accept, protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                         protocol != NULL ? protocol : "", protocol != NULL ? "\r\n" : "");
    TF_ASSERT(bytes > 0 && bytes < TF_WS_RESPONSE_BYTES_MAX);
    return (size_t)bytes;
}

size_t tf_ws_reject_write(char *out, int http_status)
{
    static const struct reject {
        int http_status;
        const char *phrase;
        const char *headers;
        const char *reason;
    } rejects[] = {
        {400, "Bad Request", "",
         "malformed request, or an encoding that is not offered; json (tickfan.v1.json) is"},
        {401, "Unauthorized", "WWW-Authenticate: Bearer\r\n", "authentication failed"},
        {403, "Forbidden", "", "not allowed"},
        {404, "Not Found", "", "no such resource"},
        {405, "Method Not Allowed", "Allow: GET\r\n", "only GET is answered here"},
        {408, "Request Timeout", "", "the request took too long"},
        {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
         "this is a WebSocket endpoint, version 13"},
        {429, "Too Many Requests", "", "too many connections or requests; try again later"},
        {431, "Request Header Fields Too Large", "", "request head too large"},
        {500, "Internal Server Error", "", "internal error"},
        {503, "Service Unavailable", "", "no room for more connections; try again later"},
        {505, "HTTP Version Not Supported", "", "only HTTP/1.1 is spoken here"},
    };
    const struct reject *reject = rejects;
    while (reject->http_status != http_status) {
        reject++;
        TF_ASSERT(reject < rejects + sizeof rejects / sizeof rejects[0]);
    }
    /* Upgrade is hop-by-hop, so Connection names it (RFC 9110 7.8). */
    int bytes =
        snprintf(out, TF_WS_RESPONSE_BYTES_MAX,
                 "HTTP/1.1 %d %s\r\n"
                 "%s"
                 "Connection: close%s\r\n"
                 "Content-Type: text/plain\r\n"
                 "Content-Length: %zu\r\n"
                 "\r\n"
                 "%s\n",
                 reject->http_status, reject->phrase, reject->headers,
                 http_status == 426 ? ", Upgrade" : "", strlen(reject->reason) + 1, reject->reason);
    TF_ASSERT(bytes > 0 && bytes < TF_WS_RESPONSE_BYTES_MAX);
    return (size_t)bytes;
}
