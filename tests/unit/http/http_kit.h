/*
 * http_kit: a small blocking HTTP client on plain sockets, so that the server is judged by the
 * bytes it sends. Include after "kit/kit.h". Every wait ends after T_CLIENT_WAIT_S at the latest.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { T_CLIENT_WAIT_S = 20, T_REPLY_BYTES_MAX = 1 << 20 };

typedef struct t_reply {
    char *text; /* the whole response, NUL-terminated; freed by t_reply_free */
    size_t bytes;
    int status;       /* 0: the server closed before a whole response had come */
    const char *body; /* never NULL until freed */
    size_t body_bytes;
} t_reply_t;

static inline int t_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval wait = {.tv_sec = T_CLIENT_WAIT_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    return fd;
}

static inline void t_connect_socket(int fd, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
}

static inline int t_connect(uint16_t port)
{
    int fd = t_socket(AF_INET);
    t_connect_socket(fd, port);
    return fd;
}

static inline void t_send(int fd, const char *text)
{
    size_t bytes = strlen(text);
    assert_int_equal(send(fd, text, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static inline void t_request(int fd, const char *method, const char *path)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, path);
    t_send(fd, text);
}

/* The value of a header, copied; "" when it is not there. */
static inline const char *t_header(const t_reply_t *reply, const char *name)
{
    static char value[256];
    size_t name_bytes = strlen(name);
    value[0] = '\0';
    for (const char *at = strstr(reply->text, "\r\n"); at != NULL && at + 4 < reply->body;
         at = strstr(at + 2, "\r\n")) {
        const char *line = at + 2;
        if (strncasecmp(line, name, name_bytes) == 0 && line[name_bytes] == ':') {
            line += name_bytes + 1;
            line += strspn(line, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
        }
    }
    return value;
}

/* Read more into the reply; false at the end of the stream (or its reset). */
static inline bool t_reply_more(int fd, t_reply_t *reply, size_t bytes)
{
    assert_true(reply->bytes + bytes < T_REPLY_BYTES_MAX);
    ssize_t got = recv(fd, reply->text + reply->bytes, bytes, 0);
    if (got < 0)
        assert_int_equal(errno, ECONNRESET);
    if (got <= 0)
        return false;
    reply->bytes += (size_t)got;
    reply->text[reply->bytes] = '\0';
    return true;
}

/* One response, not a byte more of what follows it. `bodiless`: the answer to HEAD. */
static inline t_reply_t t_reply_read(int fd, bool bodiless)
{
    t_reply_t reply = {.text = calloc(1, T_REPLY_BYTES_MAX), .body = ""};
    assert_non_null(reply.text);
    const char *end;
    while ((end = strstr(reply.text, "\r\n\r\n")) == NULL) {
        if (!t_reply_more(fd, &reply, 1))
            return reply;
    }
    reply.body = end + 4;
    assert_int_equal(strncmp(reply.text, "HTTP/1.", 7), 0);
    assert_string_not_equal(t_header(&reply, "Content-Length"), "");
    reply.body_bytes = bodiless ? 0 : strtoul(t_header(&reply, "Content-Length"), NULL, 10);
    size_t whole = (size_t)(reply.body - reply.text) + reply.body_bytes;
    while (reply.bytes < whole) {
        if (!t_reply_more(fd, &reply, whole - reply.bytes))
            return reply;
    }
    reply.status = (int)strtol(reply.text + 9, NULL, 10);
    return reply;
}

static inline void t_reply_free(t_reply_t *reply)
{
    free(reply->text);
    *reply = (t_reply_t){0};
}

/* Is the next thing the end of the stream? */
static inline bool t_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

static inline t_reply_t t_get(uint16_t port, const char *path)
{
    int fd = t_connect(port);
    t_request(fd, "GET", path);
    t_reply_t reply = t_reply_read(fd, false);
    (void)close(fd);
    return reply;
}

/* GET, and check status and body. */
static inline void t_expect(uint16_t port, const char *path, int status, const char *body)
{
    t_reply_t reply = t_get(port, path);
    assert_int_equal(reply.status, status);
    assert_string_equal(reply.body, body);
    t_reply_free(&reply);
}
