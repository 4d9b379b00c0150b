#include "io/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* Closed at most per failure, 5 ms of this thread's time; the next failure comes after the
     * caller's back-off. */
    SHED_MAX = 256,
    /* A peer that gave up while it waited ends the accept but says nothing about the next one. So
     * many in a row are no coincidence: then there is a pause as for any other error. */
    LAPSES_MAX = 64,
};

void tf_uring_reserve_open(tf_uring_t *uring)
{
    if (uring->reserve_fd < 0)
        uring->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Whoever waits at the listener is told at once that there is no room: with the reserve's number
 * free, connections can be taken and closed one after the other. */
static void shed(tf_uring_t *uring, const tf_uring_source_t *listener)
{
    tf_uring_reserve_open(uring); /* others may have taken its number after the last time */
    if (uring->reserve_fd < 0)
        return;
    (void)close(uring->reserve_fd);
    uring->reserve_fd = -1;
    for (int i = 0; i < SHED_MAX; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
            break;
        if (fd >= 0) {
            (void)close(fd);
            tf_count(uring->stats, connections_shed_total, 1);
        }
    }
    tf_uring_reserve_open(uring);
}

/* The accept is over without a connection. */
static bool on_failed(tf_uring_t *uring, uint32_t index, int error, tf_io_event_t *event)
{
    tf_uring_source_t *listener = &uring->listeners[index];
    bool passing = error == -ECONNABORTED || error == -EINTR || error == -EAGAIN;
    if (passing && ++listener->lapses < LAPSES_MAX) {
        tf_uring_source_due(uring, listener);
        return false;
    }
    listener->lapses = 0;
    listener->state = TF_URING_SOURCE_PAUSED;
    if (error == -EMFILE || error == -ENFILE)
        shed(uring, listener);
    *event =
        (tf_io_event_t){.type = TF_IO_ACCEPT_FAILED, .fd = -1, .listener = index, .error = error};
    return true;
}

bool tf_uring_on_accept(tf_uring_t *uring, uint32_t index, const struct io_uring_cqe *cqe,
                        tf_io_event_t *event)
{
    if (cqe->res < 0)
        return on_failed(uring, index, cqe->res, event);
    tf_uring_source_t *listener = &uring->listeners[index];
    listener->lapses = 0;
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) /* the completion queue was full */
        tf_uring_source_due(uring, listener);
    *event = (tf_io_event_t){.type = TF_IO_ACCEPTED, .fd = cqe->res, .listener = index};
    return true;
}
