/*
 * fake_io: a door (io/io.h) to sockets that exist in memory only, for tests of the fan-out. It
 * cuts, refuses and delays by a seed, and asserts what the door's contract asks of its user: no
 * second send in flight, bytes untouched until SENT, recv_stop only while receiving, nothing after
 * close.
 *
 * One record per client. The test is the client: it puts bytes for the server, takes what the
 * server sent, and frees the socket's window by reading.
 */
#pragma once

#include "base/rng.h"
#include "io/io.h"

enum { FAKE_CLIENTS_MAX = 64 };

typedef struct fake_io fake_io_t;

fake_io_t *fake_io_create(uint64_t seed, uint32_t send_batch);
tf_io_t *fake_io_door(fake_io_t *fake);

/* No cuts, no delays, no refused accepts; only windows still limit. */
void fake_io_calm(fake_io_t *fake, bool calm);

/* A new client; its number, or FAKE_CLIENTS_MAX when there are too many. */
uint32_t fake_io_connect(fake_io_t *fake);

/* The record may be used again. Only when the server is done with it (over or refused). */
void fake_io_forget(fake_io_t *fake, uint32_t client);

/* Bytes from the client to the server. */
void fake_io_put(fake_io_t *fake, uint32_t client, const void *data, size_t bytes);
void fake_io_fin(fake_io_t *fake, uint32_t client);
void fake_io_reset(fake_io_t *fake, uint32_t client);

/* Bytes that the socket holds before it is full. */
void fake_io_window(fake_io_t *fake, uint32_t client, size_t bytes);
/* The client reads up to so many of the bytes in the window. */
void fake_io_read(fake_io_t *fake, uint32_t client, size_t bytes);
size_t fake_io_unread(const fake_io_t *fake, uint32_t client);

/* What the server sent since the last call, also what is still in the window; valid until the next
 * step of the server. */
const uint8_t *fake_io_take(fake_io_t *fake, uint32_t client, size_t *bytes);

/* The server took the connection; refused it; has closed it. */
bool fake_io_attached(const fake_io_t *fake, uint32_t client);
bool fake_io_refused(const fake_io_t *fake, uint32_t client);
bool fake_io_over(const fake_io_t *fake, uint32_t client);
/* Everything put was received, and a send that was asked for is over. */
bool fake_io_idle(const fake_io_t *fake, uint32_t client);
/* The number of the server's last send to the client, counted over all clients. */
uint64_t fake_io_send_number(const fake_io_t *fake, uint32_t client);
