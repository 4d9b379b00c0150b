/*
 * address: numeric socket addresses of both families. Any thread; no name is ever looked up.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

typedef union tf_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} tf_address_t;

/* "127.0.0.1" or "::1" (no brackets) and a port as a socket address; its length for bind(2), or 0
 * when `text` is no numeric address. */
socklen_t tf_address_make(const char *text, uint16_t port, tf_address_t *out);

/* The port in an address of either family. */
uint16_t tf_address_port(const tf_address_t *address);
