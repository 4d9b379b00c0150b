/*
 * listen: "ADDRESS:PORT" texts and the clients' listening socket.
 */
#pragma once

#include "base/status.h"

#include <stdint.h>

enum { TF_ADDRESS_BYTES_MAX = 64 };

/* "127.0.0.1:9001", "[::1]:9001": a numeric address and a port; `flag` names the option in errors.
 * The address is written without brackets. */
TF_MUST_CHECK tf_status_t tf_address_parse(const char *flag, const char *text,
                                           char address[TF_ADDRESS_BYTES_MAX], uint16_t *port);

/* SO_REUSEPORT is for the threads of one process: whoever else has the port is told about. */
typedef enum tf_listen {
    TF_LISTEN_FIRST, /* nobody may have the port yet */
    TF_LISTEN_NEXT,  /* beside the first */
} tf_listen_t;

/* A listening socket with SO_REUSEPORT; *port is updated when it was 0. To be closed with
 * tf_listener_close(). */
TF_MUST_CHECK tf_status_t tf_listen(const char *flag, const char *address, uint16_t *port,
                                    tf_listen_t which, int *fd);

/*
 * Close a listening socket and make it -1; nothing if it is that already. Connections that wait in
 * its queue would be lost with it, also when other threads listen on the port: they are taken and
 * closed, so that their clients hear at once that they have to come again.
 */
void tf_listener_close(int *fd);
