#include "app/ingest_thread.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void wait_for_stop(int stop_fd, int64_t timeout_ns)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    struct timespec wait = {.tv_sec = timeout_ns / TF_NS_PER_S,
                            .tv_nsec = timeout_ns % TF_NS_PER_S};
    (void)ppoll(&stop, 1, &wait, NULL);
}

static void *ingest_run(void *context)
{
    tf_ingest_thread_t *self = context;
    bool live = tf_links_count(self->links) > 0;
    (void)pthread_setname_np(pthread_self(), "ingest");
    while (!atomic_load_explicit(&self->stopping, memory_order_acquire)) {
        int64_t wake_in_ns;
        (void)tf_ingest_step(self->ingest, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        if (live)
            tf_links_wait(self->links, wake_in_ns);
        else
            wait_for_stop(self->stop_fd, wake_in_ns);
    }
    return NULL;
}

tf_status_t tf_ingest_thread_start(tf_ingest_thread_t *thread, tf_ingest_t *ingest,
                                   tf_links_t *links)
{
    *thread = (tf_ingest_thread_t){.ingest = ingest, .links = links};
    thread->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (thread->stop_fd < 0)
        return tf_error(TF_ERR_SYS, "eventfd: %s", strerrordesc_np(errno));
    int error = pthread_create(&thread->thread, NULL, ingest_run, thread);
    if (error != 0) {
        (void)close(thread->stop_fd);
        return tf_error(TF_ERR_SYS, "starting the ingest thread: %s", strerrordesc_np(error));
    }
    thread->started = true;
    return TF_OK;
}

void tf_ingest_thread_stop(tf_ingest_thread_t *thread)
{
    if (!thread->started)
        return;
    atomic_store_explicit(&thread->stopping, true, memory_order_release);
    (void)eventfd_write(thread->stop_fd, 1);
    if (tf_links_count(thread->links) > 0)
        tf_links_wake(thread->links);
    (void)pthread_join(thread->thread, NULL);
    (void)close(thread->stop_fd);
    thread->started = false;
}
