/*
 * bell_wire: what a guest process and the writer's process say to each other over
 * `/dev/shm/tickfan.NAME.sock` (SOCK_SEQPACKET). Private to src/region.
 *
 *   guest                                            writer's process
 *   connect                                          accept, look at the peer's user
 *   hello, with SCM_RIGHTS: page, eventfd, ... --->  check, map, hand to the ingest thread
 *   sleeps on its bells from here on           <---  the same hello: the ingest thread rings them
 *   (nothing more is said)
 *   closes, or dies                                  the ingest thread lets go, unmap, close
 *
 * The page is a memfd of TF_BELL_PAGE_BYTES: one tf_bell_word_t per bell, in the order of the
 * eventfds. It carries seals against being resized: a page that a guest could shrink would be a
 * SIGBUS in the ingest thread.
 */
#pragma once

#include "region/bell.h"
#include "region/region_file.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { TF_BELL_PAGE_BYTES = TF_BELLS_MAX * sizeof(tf_bell_word_t) };

#define TF_BELL_MAGIC  0x736c6c65626b6974ULL /* "tikbells", little-endian */
#define TF_BELL_SUFFIX ".sock"

typedef struct tf_bell_hello {
    uint64_t magic;
    uint64_t bells; /* 1..TF_BELLS_MAX; so many eventfds follow the page */
} tf_bell_hello_t;

_Static_assert(sizeof(tf_bell_hello_t) == 16, "no padding on the wire");
_Static_assert(TF_BELL_PAGE_BYTES % 4096 == 0, "whole pages");
_Static_assert(sizeof "/dev/shm/tickfan." + TF_REGION_NAME_BYTES_MAX +
                       sizeof ".tmp.4194304" TF_BELL_SUFFIX <=
                   sizeof((struct sockaddr_un *)0)->sun_path,
               "a socket's path fits, also aside, with the largest pid");

static inline struct sockaddr_un tf_bell_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = strlen(path);
    TF_ASSERT(bytes < sizeof address.sun_path);
    memcpy(address.sun_path, path, bytes);
    return address;
}
