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

/* A listening socket with SO_REUSEPORT; *port is updated when it was 0. The caller closes *fd. */
TF_MUST_CHECK tf_status_t tf_listen(const char *flag, const char *address, uint16_t *port, int *fd);
