#include "app/fanout_thread.h"

#include "app/listen.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

static tf_status_t fanout_build(tf_fanout_thread_t *self, tf_fanout_t **out)
{
    tf_io_config_t io_config = tf_io_config_default;
    io_config.connections_max = self->config.connections_max;
    io_config.send_batch = self->config.send_batch;
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
        (void)tf_fanout_step(fanout, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        if (atomic_load_explicit(&self->drain, memory_order_acquire))
            tf_fanout_drain(fanout); /* the farewells go out in the next turn */
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

tf_status_t tf_fanout_thread_start(tf_fanout_thread_t *thread)
{
    (void)sem_init(&thread->decided, 0, 0);
    int error = pthread_create(&thread->thread, NULL, fanout_run, thread);
    if (error != 0)
        return tf_error(TF_ERR_SYS, "starting a fan-out thread: %s", strerrordesc_np(error));
    while (sem_wait(&thread->decided) != 0)
        continue; /* EINTR */
    thread->started = true;
    if (!thread->failed)
        return TF_OK;
    (void)pthread_join(thread->thread, NULL);
    thread->started = false;
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
    (void)pthread_join(thread->thread, NULL);
    thread->started = false;
}
