#include "app/ingest_thread.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void *ingest_run(void *context)
{
    tf_ingest_thread_t *self = context;
    struct pollfd stop = {.fd = self->stop_fd, .events = POLLIN};
    (void)pthread_setname_np(pthread_self(), "ingest");
    for (;;) {
        int64_t wake_in_ns;
        (void)tf_ingest_step(self->ingest, tf_clock_mono_ns(&tf_clock_system),
                             tf_clock_wall_ns(&tf_clock_system), &wake_in_ns);
        struct timespec wait = {.tv_sec = wake_in_ns / TF_NS_PER_S,
                                .tv_nsec = wake_in_ns % TF_NS_PER_S};
        if (ppoll(&stop, 1, &wait, NULL) > 0)
            return NULL;
    }
}

tf_status_t tf_ingest_thread_start(tf_ingest_thread_t *thread, tf_ingest_t *ingest)
{
    *thread = (tf_ingest_thread_t){.ingest = ingest};
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
    (void)eventfd_write(thread->stop_fd, 1);
    (void)pthread_join(thread->thread, NULL);
    (void)close(thread->stop_fd);
    thread->started = false;
}
