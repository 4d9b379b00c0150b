#include "io/uring_setup.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Since 6.15, unknown to liburing 2.3: a sleeping thread is idle, not waiting for a disk, in the
 * eyes of top(1) and of alarms on I/O pressure. */
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

enum {
    ENTRIES_MIN = 64,
    SQ_ENTRIES_MAX = 32768, /* the kernel's limits */
    CQ_ENTRIES_MAX = 65536,
    CQ_PER_SQ = 4,            /* completions pile up while sends are queued in several rounds */
    CQ_PER_CONNECTION = 2,    /* each may receive at once, and each of them become writable */
    MEMORY_RETRY_DIVISOR = 4, /* the last smaller attempt when memory is short */
    POOL_BUFFERS_MAX = 32768, /* the kernel's limit; buffer ids have 16 bits */
};

/* SINGLE_ISSUER is since 6.0, DEFER_TASKRUN since 6.1, the rest older. */
static const unsigned rung_flags[TF_URING_RUNG_COUNT] = {
    [TF_URING_DEFERRED_FLAGGED] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    [TF_URING_DEFERRED] = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    [TF_URING_PLAIN] = 0,
};

static uint32_t power_of_two_from(uint64_t value, uint32_t most)
{
    uint32_t power = ENTRIES_MIN;
    while (power < value && power < most)
        power *= 2;
    return power;
}

/* Room for a burst from every connection, and for several batches of sends: what does not fit is
 * not lost, but costs the kernel an allocation each and ends multishot requests. */
static uint32_t cq_entries_for(const tf_io_config_t *config, uint32_t sq_entries)
{
    if (config->cq_entries != 0)
        return power_of_two_from(config->cq_entries, CQ_ENTRIES_MAX);
    uint64_t batches = (uint64_t)sq_entries * CQ_PER_SQ;
    uint64_t burst = (uint64_t)config->connections_max * CQ_PER_CONNECTION;
    return power_of_two_from(batches > burst ? batches : burst, CQ_ENTRIES_MAX);
}

/* SUBMIT_ALL: one bad request must not hold back the rest of a batch. */
static int open_at(tf_uring_ring_t *out, uint32_t sq_entries, uint32_t cq_entries)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | rung_flags[out->rung],
        .cq_entries = cq_entries,
    };
    return io_uring_queue_init_params(sq_entries, &out->ring, &params);
}

static int open_down_the_ladder(tf_uring_ring_t *out, tf_uring_rung_t first, uint32_t sq_entries,
                                uint32_t cq_entries)
{
    int result = -EINVAL;
    for (int rung = (int)first; rung < TF_URING_RUNG_COUNT && result == -EINVAL; rung++) {
        out->rung = (tf_uring_rung_t)rung;
        result = open_at(out, sq_entries, cq_entries);
    }
    return result;
}

/* kernel.io_uring_disabled (since 6.6): '1' or '2' when an administrator switched io_uring off. */
static char disabled_by_sysctl(void)
{
    char digit = '0';
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, &digit, 1) != 1)
            digit = '0';
        (void)close(fd);
    }
    return digit;
}

static tf_status_t explain(int error)
{
    char digit;
    switch (error) {
    case -ENOMEM:
        return tf_error(TF_ERR_MEMORY,
                        "io_uring: no memory for the queues; the locked-memory limit is too low: "
                        "raise LimitMEMLOCK= in the unit (ulimit -l, docker --ulimit memlock=-1)");
    case -EPERM:
    case -EACCES:
        digit = disabled_by_sysctl();
        if (digit != '0')
            return tf_error(TF_ERR_UNSUPPORTED,
                            "io_uring: switched off on this host: sysctl "
                            "kernel.io_uring_disabled is %c, set it to 0",
                            digit);
        return tf_error(TF_ERR_UNSUPPORTED,
                        "io_uring: forbidden by a seccomp profile (the container default does "
                        "that): run with a profile that allows io_uring_setup, io_uring_enter "
                        "and io_uring_register");
    case -ENOSYS:
        return tf_error(TF_ERR_UNSUPPORTED,
                        "io_uring: not in this kernel, or hidden by a sandbox: use Linux 6.1 or "
                        "newer with CONFIG_IO_URING, outside of the sandbox");
    case -EINVAL:
        return tf_error(TF_ERR_UNSUPPORTED,
                        "io_uring: this kernel is too old: use Linux 6.1 or newer");
    case -EMFILE:
    case -ENFILE:
        return tf_error(TF_ERR_SYS,
                        "io_uring: no file descriptor left: raise LimitNOFILE= (ulimit -n)");
    default:
        return tf_error(TF_ERR_SYS, "io_uring: %s", strerrordesc_np(-error));
    }
}

/*
 * Multishot receive came with 6.0 and has no opcode of its own; SEND_ZC came with the same
 * release and has one. Below 6.0 a registered ring fd is not safe either (one vendor's 5.15
 * accepts it and hangs at exit), so this gates both.
 */
static bool has_multishot_receive(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool has = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
    io_uring_free_probe(probe);
    return has;
}

/* Rings count as locked memory where the kernel says so. When there is too little, first do
 * without the room for bursts, then with smaller batches. */
static int open_as_large_as_possible(tf_uring_ring_t *out, const tf_io_config_t *config,
                                     tf_uring_rung_t first)
{
    /* Beside the sends, a turn queues arms and cancels; more than fit are submitted in between. */
    uint32_t sq_entries = power_of_two_from(config->send_batch, SQ_ENTRIES_MAX);
    uint32_t cq_entries = cq_entries_for(config, sq_entries);
    int result = open_down_the_ladder(out, first, sq_entries, cq_entries);
    uint32_t cq_less = power_of_two_from((uint64_t)sq_entries * CQ_PER_SQ, CQ_ENTRIES_MAX);
    if (result == -ENOMEM && cq_less < cq_entries)
        result = open_down_the_ladder(out, first, sq_entries, cq_less);
    if (result == -ENOMEM) {
        sq_entries = power_of_two_from(sq_entries / MEMORY_RETRY_DIVISOR, SQ_ENTRIES_MAX);
        result = open_down_the_ladder(out, first, sq_entries, sq_entries * CQ_PER_SQ);
    }
    return result;
}

tf_status_t tf_uring_ring_open(tf_uring_ring_t *out, const tf_io_config_t *config,
                               tf_uring_rung_t first)
{
    int result = open_as_large_as_possible(out, config, first);
    if (result < 0)
        return explain(result);
    if (!has_multishot_receive(&out->ring)) {
        io_uring_queue_exit(&out->ring);
        return explain(-EINVAL);
    }
    out->wait_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if ((out->ring.features & IORING_FEAT_NO_IOWAIT) != 0)
        out->wait_flags |= IORING_ENTER_NO_IOWAIT;
    /* Saves the file lookup in each system call; going on without it is fine. */
    if (io_uring_register_ring_fd(&out->ring) == 1)
        out->wait_flags |= IORING_ENTER_REGISTERED_RING;
    return TF_OK;
}

void tf_uring_ring_close(tf_uring_ring_t *ring)
{
    io_uring_queue_exit(&ring->ring);
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static tf_status_t pool_register(tf_uring_pool_t *pool, tf_uring_ring_t *ring)
{
    struct io_uring_buf_reg request = {
        .ring_addr = (uintptr_t)pool->entries,
        .ring_entries = pool->count,
        .bgid = TF_URING_POOL_GROUP,
    };
    int result = io_uring_register_buf_ring(&ring->ring, &request, 0);
    return result == 0 ? TF_OK : tf_error_within(explain(result), "receive buffers");
}

tf_status_t tf_uring_pool_open(tf_uring_pool_t *out, tf_uring_ring_t *ring, uint32_t count,
                               uint32_t bytes)
{
    TF_ASSERT(count > 0 && count <= POOL_BUFFERS_MAX && (count & (count - 1)) == 0 && bytes > 0);
    size_t page = page_bytes();
    size_t entries_bytes = (size_t)count * sizeof(struct io_uring_buf);
    *out = (tf_uring_pool_t){.count = count, .bytes = bytes};
    out->block = tf_mem_aligned(entries_bytes + page); /* the kernel wants whole pages */
    out->data = tf_mem_calloc(count, bytes);
    tf_status_t status = TF_ERR_MEMORY;
    if (out->block == NULL || out->data == NULL) {
        (void)tf_error(status, "io_uring: no memory for %u receive buffers", count);
        goto fail;
    }
    size_t skip = (page - (uintptr_t)out->block % page) % page;
    out->entries = (void *)((uint8_t *)out->block + skip);
    status = pool_register(out, ring);
    if (status != TF_OK)
        goto fail;
    io_uring_buf_ring_init(out->entries);
    for (uint32_t id = 0; id < count; id++)
        tf_uring_pool_return(out, id);
    return TF_OK;
fail:
    tf_mem_free(out->data);
    tf_mem_free(out->block);
    return status;
}

void tf_uring_pool_close(tf_uring_pool_t *pool, tf_uring_ring_t *ring)
{
    (void)io_uring_unregister_buf_ring(&ring->ring, TF_URING_POOL_GROUP);
    tf_mem_free(pool->data);
    tf_mem_free(pool->block);
}

void tf_uring_pool_return(tf_uring_pool_t *pool, uint32_t id)
{
    TF_ASSERT(id < pool->count);
    io_uring_buf_ring_add(pool->entries, tf_uring_pool_buffer(pool, id), pool->bytes,
                          (unsigned short)id, io_uring_buf_ring_mask(pool->count), 0);
    io_uring_buf_ring_advance(pool->entries, 1);
}
