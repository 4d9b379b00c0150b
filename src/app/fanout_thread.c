#include "app/fanout_thread.h"

#include "app/listen.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * The completion queue is sized by what this thread serves, not the process: rings are charged to
 * the locked-memory limit, and one for all clients on every thread wastes it. SO_REUSEPORT deals
 * the clients out by hash, unevenly: room for twice an even share. A burst beyond that loses
 * nothing: the kernel keeps what does not fit, at a price.
 */
static uint32_t cq_entries_for(const tf_fanout_config_t *config)
{
    enum {
        UNEVEN = 2,
        PER_CLIENT = 2,     /* each may receive at once, and each of them become writable */
        PER_BATCH_SEND = 4, /* completions pile up while sends are queued in several rounds */
    };
    uint64_t all = config->connections_max;
    uint64_t share = all * UNEVEN / config->threads;
    uint64_t burst = (share < all ? share : all) * PER_CLIENT;
    uint64_t batches = (uint64_t)config->send_batch * PER_BATCH_SEND;
    return (uint32_t)(burst > batches ? burst : batches);
}

static tf_status_t fanout_build(tf_fanout_thread_t *self, tf_fanout_t **out)
{
    tf_io_config_t io_config = tf_io_config_default;
    io_config.connections_max = self->config.connections_max;
    io_config.send_batch = self->config.send_batch;
    io_config.cq_entries = cq_entries_for(&self->config);
    tf_io_t *io;
    tf_status_t status = tf_io_uring_create(&io, &io_config, &self->stats);
    if (status != TF_OK)
        return status;
    status = tf_fanout_create(out, &self->config, io, &self->stats, self->closes);
    if (status != TF_OK) {
        tf_io_destroy(io);
        return status;
    }
    status = tf_fanout_listen(*out, self->listen_fd);
    if (status != TF_OK) {
        tf_fanout_destroy(*out);
        *out = NULL;
    }
    return status;
}

static void fanout_loop(tf_fanout_thread_t *self, tf_fanout_t *fanout)
{
    while (!tf_fanout_drained(fanout)) {
        int64_t wake_in_ns;
        bool drain = atomic_load_explicit(&self->drain, memory_order_acquire);
        if (drain)
            tf_fanout_drain(fanout); /* before the step: the farewells go out in it */
        (void)tf_fanout_step(fanout, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        /* Asked for during the step, which may have taken the ring that came with it: no sleep. */
        if (drain == atomic_load_explicit(&self->drain, memory_order_acquire))
            tf_fanout_sleep(fanout, wake_in_ns);
    }
}

static void *fanout_run(void *context)
{
    tf_fanout_thread_t *self = context;
    tf_fanout_t *fanout = NULL;
    (void)pthread_setname_np(pthread_self(), self->name);
    bool failed = fanout_build(self, &fanout) != TF_OK;
    self->failed = failed;
    if (failed)
        (void)snprintf(self->error, sizeof self->error, "%s", tf_error_text());
    (void)sem_post(&self->decided);
    if (!failed)
        fanout_loop(self, fanout);
    tf_fanout_destroy(fanout);
    tf_listener_close(&self->listen_fd);
    return NULL;
}

static void thread_end(tf_fanout_thread_t *thread)
{
    (void)pthread_join(thread->thread, NULL);
    (void)sem_destroy(&thread->decided);
    thread->started = false;
}

tf_status_t tf_fanout_thread_start(tf_fanout_thread_t *thread)
{
    (void)sem_init(&thread->decided, 0, 0);
    int error = pthread_create(&thread->thread, NULL, fanout_run, thread);
    if (error != 0) {
        (void)sem_destroy(&thread->decided);
        return tf_error(TF_ERR_SYS, "starting a fan-out thread: %s", strerrordesc_np(error));
    }
    while (sem_wait(&thread->decided) != 0)
        continue; /* EINTR */
    thread->started = true;
    if (!thread->failed)
        return TF_OK;
    thread_end(thread);
    return tf_error(TF_ERR_SYS, "%s: %s", thread->name, thread->error);
}

void tf_fanout_thread_drain(tf_fanout_thread_t *thread)
{
    if (!thread->started)
        return;
    atomic_store_explicit(&thread->drain, true, memory_order_release);
    (void)eventfd_write(thread->config.bell->fd, 1);
}

void tf_fanout_thread_stop(tf_fanout_thread_t *thread)
{
    if (!thread->started)
        return;
    tf_fanout_thread_drain(thread);
    thread_end(thread);
}
