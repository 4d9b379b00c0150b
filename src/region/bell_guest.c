#include "region/bell_guest.h"

#include "base/log.h"
#include "base/mem.h"
#include "region/bell_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RETRY_MS = 100, FOR_EVER_MS = -1 };

struct tf_bell_guest {
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic bool connected; /* see tf_bell_guest_connected() */
    tf_bells_t set;
    tf_bell_word_t *page;
    int page_fd;
    int stop_fd; /* eventfd: readable = stop */
    tf_stats_t *stats;
    pthread_t thread;
    char region[TF_REGION_NAME_BYTES_MAX];
    tf_bell_t bell[TF_BELLS_MAX];
};

/* ---- the conversation ---- */

/* Wait for the socket (-1 = for nobody) or the order to stop; true = stop. */
static bool wait_for(const tf_bell_guest_t *guest, int fd, int timeout_ms)
{
    struct pollfd on[] = {{.fd = guest->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    return poll(on, 2, timeout_ms) > 0 && on[0].revents != 0;
}

static int host_connect(const tf_bell_guest_t *guest)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, guest->region, TF_BELL_SUFFIX);
    const struct sockaddr_un name = tf_bell_address(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof name) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool hello_send(const tf_bell_guest_t *guest, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * (TF_BELLS_MAX + 1))];
    } control = {.bytes = {0}};
    tf_bell_hello_t hello = {.magic = TF_BELL_MAGIC, .bells = guest->set.count};
    size_t fds_bytes = sizeof(int) * (guest->set.count + 1);
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof hello};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(fds_bytes)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds_bytes);
    memcpy(CMSG_DATA(head), &guest->page_fd, sizeof(int));
    for (uint32_t i = 0; i < guest->set.count; i++)
        memcpy(CMSG_DATA(head) + sizeof(int) * (i + 1), &guest->bell[i].fd, sizeof(int));
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof hello;
}

/* The host's answer: from now on the bells are rung. */
static bool welcome_take(const tf_bell_guest_t *guest, int fd)
{
    tf_bell_hello_t hello;
    return recv(fd, &hello, sizeof hello, MSG_DONTWAIT) == (ssize_t)sizeof hello &&
           hello.magic == TF_BELL_MAGIC && hello.bells == guest->set.count;
}

static void connected_set(tf_bell_guest_t *guest, bool connected)
{
    atomic_store_explicit(&guest->connected, connected, memory_order_release);
    tf_stats_set(guest->stats, TF_STAT_bell_connected, connected ? 1 : 0);
    if (connected)
        tf_count(guest->stats, bell_connects_total, 1);
    else
        tf_bells_ring_all(&guest->set); /* who sleeps now would wait for a ring that never comes */
}

/* Stay as long as the host is there; true = stop. */
static bool converse(tf_bell_guest_t *guest, int fd)
{
    if (!hello_send(guest, fd))
        return false;
    if (wait_for(guest, fd, FOR_EVER_MS))
        return true;
    if (!welcome_take(guest, fd))
        return false;
    connected_set(guest, true);
    tf_log(TF_LOG_INFO, "bells_connected", "region=%s bells=%u", guest->region, guest->set.count);
    bool stop = wait_for(guest, fd, FOR_EVER_MS); /* it says nothing more: readable is the end */
    connected_set(guest, false);
    return stop;
}

static void *guest_run(void *context)
{
    tf_bell_guest_t *guest = context;
    (void)pthread_setname_np(pthread_self(), "bells");
    bool stop = false;
    while (!stop) {
        int fd = host_connect(guest);
        stop = fd >= 0 && converse(guest, fd);
        if (fd >= 0)
            (void)close(fd);
        stop = stop || wait_for(guest, -1, RETRY_MS);
    }
    return NULL;
}

/* ---- life ---- */

/* Its memory is taken now: a page that can't be backed later would be a SIGBUS in both processes.
 */
static tf_status_t page_open(tf_bell_guest_t *guest)
{
    enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
    guest->page_fd = memfd_create("tickfan-bells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (guest->page_fd < 0 || ftruncate(guest->page_fd, TF_BELL_PAGE_BYTES) != 0)
        return tf_error(TF_ERR_SYS, "memfd_create: %s", strerrordesc_np(errno));
    int error = posix_fallocate(guest->page_fd, 0, TF_BELL_PAGE_BYTES);
    if (error != 0)
        return tf_error(TF_ERR_SYS, "memory of a page: %s", strerrordesc_np(error));
    void *page =
        mmap(NULL, TF_BELL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, guest->page_fd, 0);
    if (page == MAP_FAILED)
        return tf_error(TF_ERR_SYS, "mmap: %s", strerrordesc_np(errno));
    guest->page = page;
    if (fcntl(guest->page_fd, F_ADD_SEALS, SEALS) != 0)
        return tf_error(TF_ERR_SYS, "sealing a page: %s", strerrordesc_np(errno));
    return TF_OK;
}

static tf_status_t bells_open(tf_bell_guest_t *guest, uint32_t count)
{
    tf_status_t status = TF_OK;
    while (status == TF_OK && guest->set.count < count) {
        uint32_t at = guest->set.count;
        status = tf_bell_open_at(&guest->bell[at], &guest->page[at]);
        if (status == TF_OK)
            guest->set.bell[guest->set.count++] = &guest->bell[at];
    }
    return status;
}

static tf_status_t thread_start(tf_bell_guest_t *guest)
{
    guest->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = guest->stop_fd < 0 ? errno : pthread_create(&guest->thread, NULL, guest_run, guest);
    return error == 0
               ? TF_OK
               : tf_error(TF_ERR_SYS, "starting the bells' thread: %s", strerrordesc_np(error));
}

static void guest_free(tf_bell_guest_t *guest)
{
    for (uint32_t i = 0; i < guest->set.count; i++)
        tf_bell_close(&guest->bell[i]);
    if (guest->page != NULL)
        (void)munmap(guest->page, TF_BELL_PAGE_BYTES);
    if (guest->page_fd >= 0)
        (void)close(guest->page_fd);
    if (guest->stop_fd >= 0)
        (void)close(guest->stop_fd);
    tf_mem_free(guest);
}

tf_status_t tf_bell_guest_open(tf_bell_guest_t **out, const char *region, uint32_t count,
                               tf_stats_t *stats)
{
    TF_ASSERT(count > 0 && count <= TF_BELLS_MAX);
    tf_bell_guest_t *guest = tf_mem_aligned(sizeof *guest);
    if (guest == NULL)
        return tf_error(TF_ERR_MEMORY, "bells: no memory");
    guest->page_fd = -1;
    guest->stop_fd = -1;
    guest->stats = stats;
    (void)snprintf(guest->region, sizeof guest->region, "%s", region);
    tf_status_t status = page_open(guest);
    if (status == TF_OK)
        status = bells_open(guest, count);
    if (status == TF_OK)
        status = thread_start(guest);
    if (status != TF_OK) {
        guest_free(guest);
        return tf_error_within(status, "bells");
    }
    *out = guest;
    return TF_OK;
}

void tf_bell_guest_close(tf_bell_guest_t *guest)
{
    if (guest == NULL)
        return;
    (void)eventfd_write(guest->stop_fd, 1);
    (void)pthread_join(guest->thread, NULL);
    guest_free(guest);
}

const tf_bells_t *tf_bell_guest_bells(const tf_bell_guest_t *guest)
{
    return &guest->set;
}

const _Atomic bool *tf_bell_guest_connected(const tf_bell_guest_t *guest)
{
    return &guest->connected;
}
