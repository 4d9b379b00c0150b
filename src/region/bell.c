#include "region/bell.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

tf_status_t tf_bell_open(tf_bell_t *bell)
{
    return tf_bell_open_at(bell, &bell->own);
}

tf_status_t tf_bell_open_at(tf_bell_t *bell, tf_bell_word_t *word)
{
    bell->raised = &word->raised;
    atomic_init(bell->raised, 0);
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell->fd < 0)
        return tf_error(TF_ERR_SYS, "eventfd: %s", strerrordesc_np(errno));
    return TF_OK;
}

void tf_bell_close(tf_bell_t *bell)
{
    if (bell->fd >= 0)
        (void)close(bell->fd);
    bell->fd = -1;
}

void tf_bell_raise(tf_bell_t *bell)
{
    (void)atomic_exchange_explicit(bell->raised, 1, memory_order_seq_cst);
}

bool tf_bell_lower(tf_bell_t *bell)
{
    bool rung = atomic_exchange_explicit(bell->raised, 0, memory_order_seq_cst) == 0;
    /* Even when nobody rang this time: a ring that came late for the last sleep may lie here, and
     * would make every later sleep return at once. */
    uint64_t rings = 0;
    ssize_t got = read(bell->fd, &rings, sizeof rings);
    (void)got; /* EAGAIN: nobody rang */
    return rung;
}

static void ring(const tf_bell_t *bell)
{
    uint64_t one = 1;
    ssize_t put = write(bell->fd, &one, sizeof one);
    (void)put; /* EAGAIN needs 2^64 - 2 unread rings: it is readable then */
}

static bool ring_first(const tf_bells_t *bells, uint32_t from)
{
    for (uint32_t i = from; i < bells->count; i++) {
        if (atomic_exchange_explicit(bells->bell[i]->raised, 0, memory_order_seq_cst) != 0) {
            ring(bells->bell[i]);
            return true;
        }
    }
    return false;
}

bool tf_bells_ring(const tf_bells_t *bells)
{
    return ring_first(bells, 0);
}

bool tf_bells_ring_next(const tf_bells_t *bells, const tf_bell_t *own)
{
    uint32_t index = 0;
    while (index < bells->count && bells->bell[index] != own)
        index++;
    return ring_first(bells, index + 1);
}

void tf_bells_ring_all(const tf_bells_t *bells)
{
    for (uint32_t i = 0; i < bells->count; i++) {
        (void)atomic_exchange_explicit(bells->bell[i]->raised, 0, memory_order_seq_cst);
        ring(bells->bell[i]);
    }
}
