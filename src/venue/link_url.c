#include "venue/link_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HTTPS_PORT = 443, PORT_DIGITS_MAX = 5, PORT_MAX = 65535 };

static const char scheme[] = "wss://";

static bool host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_';
}

/* What a request line can carry as it is. */
static bool path_byte(char byte)
{
    return byte > ' ' && byte < 0x7f && byte != '#' && byte != '"';
}

static size_t span(const char *text, bool (*wanted)(char byte))
{
    size_t bytes = 0;
    while (wanted(text[bytes]))
        bytes++;
    return bytes;
}

/* ":PORT", or nothing; *text moves behind it. */
static bool port_parse(const char **text, uint16_t *out)
{
    *out = HTTPS_PORT;
    if (**text != ':')
        return true;
    const char *digits = *text + 1;
    size_t bytes = strspn(digits, "0123456789");
    long port = bytes > 0 && bytes <= PORT_DIGITS_MAX ? strtol(digits, NULL, 10) : 0;
    *text = digits + bytes;
    *out = (uint16_t)port;
    return port > 0 && port <= PORT_MAX;
}

tf_status_t tf_link_url_parse(const char *text, tf_link_url_t *out)
{
    *out = (tf_link_url_t){.path = "/"};
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return tf_error(TF_ERR_ARG, "url \"%.200s\": expected wss://HOST[:PORT][/PATH]", text);
    const char *at = text + sizeof scheme - 1;
    size_t bytes = span(at, host_byte);
    if (bytes == 0 || bytes >= sizeof out->host)
        return tf_error(TF_ERR_ARG, "url \"%.200s\": expected a host name behind wss://", text);
    memcpy(out->host, at, bytes);
    at += bytes;
    if (!port_parse(&at, &out->port))
        return tf_error(TF_ERR_ARG, "url \"%.200s\": the port must be 1 to %d", text, PORT_MAX);
    if (*at == '\0')
        return TF_OK;
    bytes = span(at, path_byte);
    if (*at != '/' || at[bytes] != '\0' || bytes >= sizeof out->path)
        return tf_error(TF_ERR_ARG,
                        "url \"%.200s\": behind the host goes :PORT, /PATH or nothing (no blanks, "
                        "no #)",
                        text);
    memcpy(out->path, at, bytes + 1);
    return TF_OK;
}
