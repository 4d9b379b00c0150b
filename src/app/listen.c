#include "app/listen.h"

#include "base/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static tf_status_t expected(const char *flag, const char *text)
{
    return tf_error(
        TF_ERR_ARG,
        "--%s %s: expected a numeric address and a port, as 127.0.0.1:9001 or [::1]:9001", flag,
        text);
}

tf_status_t tf_address_parse(const char *flag, const char *text, char address[TF_ADDRESS_BYTES_MAX],
                             uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return expected(flag, text);
    const char *from = text;
    const char *to = colon;
    if (*from == '[' && to[-1] == ']') {
        from++;
        to--;
    }
    size_t bytes = (size_t)(to - from);
    char *end;
    long number = strtol(colon + 1, &end, 10);
    if (bytes == 0 || bytes >= TF_ADDRESS_BYTES_MAX || colon[1] == '\0' || *end != '\0' ||
        number < 0 || number > UINT16_MAX)
        return expected(flag, text);
    memcpy(address, from, bytes);
    address[bytes] = '\0';
    *port = (uint16_t)number;
    tf_address_t numeric;
    return tf_address_make(address, *port, &numeric) != 0 ? TF_OK : expected(flag, text);
}

static const char *hint(int error)
{
    if (error == EADDRINUSE)
        return "; is another tickfan running? Choose another port";
    return error == EADDRNOTAVAIL ? "; it is not an address of this host" : "";
}

/* SO_REUSEPORT is for our own threads; another process on the port is a mistake to be told. */
static tf_status_t refuse_if_taken(const char *flag, const char *address, uint16_t port,
                                   const tf_address_t *name, socklen_t name_bytes)
{
    int probe = socket(name->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    int error = 0;
    if (probe < 0 || setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(probe, &name->any, name_bytes) != 0)
        error = errno;
    if (probe >= 0)
        (void)close(probe);
    if (error == 0)
        return TF_OK;
    return tf_error(TF_ERR_SYS, "--%s %s:%u: %s%s", flag, address, port, strerrordesc_np(error),
                    hint(error));
}

tf_status_t tf_listen(const char *flag, const char *address, uint16_t *port, tf_listen_t which,
                      int *fd)
{
    *fd = -1;
    tf_address_t name;
    socklen_t name_bytes = tf_address_make(address, *port, &name);
    TF_ASSERT(name_bytes != 0); /* tf_address_parse() has read it */
    if (*port != 0 && which == TF_LISTEN_FIRST) {
        tf_status_t status = refuse_if_taken(flag, address, *port, &name, name_bytes);
        if (status != TF_OK)
            return status;
    }
    int one = 1;
    *fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(*fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0 ||
        bind(*fd, &name.any, name_bytes) != 0 || listen(*fd, BACKLOG) != 0 ||
        getsockname(*fd, &name.any, &name_bytes) != 0) {
        tf_status_t status =
            tf_error(TF_ERR_SYS, "--%s %s:%u: %s", flag, address, *port, strerrordesc_np(errno));
        if (*fd >= 0)
            (void)close(*fd);
        *fd = -1;
        return status;
    }
    *port = tf_address_port(&name);
    return TF_OK;
}

void tf_listener_close(int *fd)
{
    if (*fd < 0)
        return;
    for (int i = 0; i < BACKLOG; i++) { /* no more than can wait there: somebody may keep coming */
        int client = accept4(*fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0 && errno != ECONNABORTED && errno != EINTR)
            break;
        if (client >= 0)
            (void)close(client);
    }
    (void)close(*fd);
    *fd = -1;
}
