/*
 * io_rig: an io_uring door, a loopback listener and client sockets in one thread, for the tests of
 * the door. Events are logged as they come; a test takes them out by type.
 */
#pragma once

#include "kit/kit.h"

#include "io/io.h"
#include "io/uring_setup.h"

#include <stdbool.h>

enum { RIG_SLOTS = 1100, RIG_LOG_MAX = 8192 };

typedef struct rig {
    tf_stats_t stats; /* first: the widest alignment */
    tf_io_t *io;
    int listen_fd;
    uint16_t port; /* of listen_fd, host order */
    uint32_t log_count;
    tf_io_event_t log[RIG_LOG_MAX];
    uint8_t *received[RIG_SLOTS]; /* what each slot received so far */
    size_t received_bytes[RIG_SLOTS];
} rig_t;

/* Both ends of one connection. */
typedef struct rig_pair {
    int client; /* blocking */
    int fd;     /* as accepted */
    tf_io_handle_t handle;
} rig_pair_t;

/* send_batch 1024, 64 receive buffers of 2 KiB. */
extern const tf_io_config_t rig_config;

rig_t *rig_open(const tf_io_config_t *config, tf_uring_rung_t first);

/* Also asserts that nothing leaked since rig_open(): no memory, no fd. All pairs must be closed. */
void rig_close(rig_t *rig);

/* A socket listening on a free loopback port, and a client connected to a port. */
int rig_listen(uint16_t *port);
int rig_connect(uint16_t port);

rig_pair_t rig_pair(rig_t *rig, uint32_t slot, uint32_t generation);

/* Close both ends and wait for CLOSED. */
void rig_pair_close(rig_t *rig, const rig_pair_t *pair);

/* Log what tf_io_next() has now; wait for something and log it. */
void rig_drain(rig_t *rig);
void rig_turn(rig_t *rig, int64_t timeout_ns);

/* Take the first logged event of a type out of the log, waiting for it; fails after 10 s. */
tf_io_event_t rig_expect(rig_t *rig, tf_io_event_type_t type);

/* The same for a given slot. */
tf_io_event_t rig_expect_of(rig_t *rig, tf_io_event_type_t type, uint32_t slot);

/* Events of a type in the log now. */
uint32_t rig_logged(const rig_t *rig, tf_io_event_type_t type);

/* Wait until a slot has received `bytes` in all. */
void rig_receive(rig_t *rig, uint32_t slot, size_t bytes);

/* Write from a client, serving the door while the socket is full. */
void rig_client_write(rig_t *rig, int client, const void *data, size_t bytes);

/* Open file descriptors of this process. */
uint32_t rig_fds(void);
