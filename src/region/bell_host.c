#include "region/bell_host.h"

#include "base/clock.h"
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
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 16,
    HELLO_MS = 1000,      /* for a connection to say hello */
    HANDOVER_MS = 2,      /* how often the ingest thread's answer is looked for */
    ACCEPT_PAUSE_MS = 50, /* when descriptors ran out */
    ERROR_PAUSE_MS = 50,  /* when poll(2) fails */
    FDS_MAX = TF_BELLS_MAX + 1,
    LINK_BYTES_MAX = 64,
};

/* Shared with the ingest thread; the header has the drawing. */
typedef enum slot_state { FREE, JOINING, ACTIVE, LEAVING, GONE } slot_state_t;

/* What a guest lent. Made by the host's thread, used by the ingest thread while ACTIVE. */
typedef struct guest {
    void *page;
    tf_bells_t set;
    tf_bell_t bell[];
} guest_t;

/* The host's own view of a connection. */
typedef enum phase { EMPTY, SILENT, OFFERED, MEMBER, DISMISSED } phase_t;

typedef struct connection {
    phase_t phase;
    int fd;
    int64_t hello_end_ns; /* SILENT */
} connection_t;

struct tf_bell_host {
    /* Shared: written by both threads, each its own arrows. `handed` counts slots that are not
     * FREE: a single load tells the ingest thread that there is nobody (written by the host). */
    _Alignas(TF_CACHE_LINE_BYTES) _Atomic uint32_t handed;
    _Atomic uint32_t state[TF_BELL_GUESTS_MAX]; /* slot_state_t */
    guest_t *guest[TF_BELL_GUESTS_MAX];         /* published by JOINING */
    /* the host's thread */
    _Alignas(TF_CACHE_LINE_BYTES) connection_t connection[TF_BELL_GUESTS_MAX];
    tf_stats_t *stats;
    int64_t accept_again_ns;
    int listener;
    int stop_fd; /* eventfd: readable = stop */
    pthread_t thread;
    char path[TF_REGION_PATH_BYTES_MAX];
};

static slot_state_t state_of(tf_bell_host_t *host, uint32_t slot)
{
    return (slot_state_t)atomic_load_explicit(&host->state[slot], memory_order_acquire);
}

static void state_set(tf_bell_host_t *host, uint32_t slot, slot_state_t state)
{
    atomic_store_explicit(&host->state[slot], state, memory_order_release);
}

/* ---- the ingest thread ---- */

uint32_t tf_bell_host_ring(tf_bell_host_t *host)
{
    uint32_t rings = 0;
    if (atomic_load_explicit(&host->handed, memory_order_acquire) == 0)
        return 0;
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++) {
        switch (state_of(host, slot)) {
        case JOINING:
            state_set(host, slot, ACTIVE);
            rings += tf_bells_ring(&host->guest[slot]->set);
            break;
        case ACTIVE:
            rings += tf_bells_ring(&host->guest[slot]->set);
            break;
        case LEAVING:
            state_set(host, slot, GONE);
            break;
        case FREE:
        case GONE:
            break;
        }
    }
    return rings;
}

void tf_bell_host_ring_all(tf_bell_host_t *host)
{
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++) {
        if (state_of(host, slot) == ACTIVE)
            tf_bells_ring_all(&host->guest[slot]->set);
    }
}

/* ---- what a guest brings ---- */

static void guest_free(guest_t *guest)
{
    if (guest == NULL)
        return;
    for (uint32_t i = 0; i < guest->set.count; i++)
        tf_bell_close(&guest->bell[i]);
    if (guest->page != NULL)
        (void)munmap(guest->page, TF_BELL_PAGE_BYTES);
    tf_mem_free(guest);
}

/* A page that can't be resized any more, and is as long as it must be. */
static bool page_sound(int fd)
{
    enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
    struct stat info;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &info) == 0 &&
           info.st_size == TF_BELL_PAGE_BYTES;
}

/* The link of an eventfd has this text on every Linux; nothing else a process can pass has it. */
static bool eventfd_sound(int fd)
{
    static const char expected[] = "anon_inode:[eventfd]";
    char path[LINK_BYTES_MAX];
    char link[LINK_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(path, link, sizeof link);
    return bytes == (ssize_t)sizeof expected - 1 &&
           memcmp(link, expected, sizeof expected - 1) == 0 &&
           (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

static bool fds_sound(const tf_bell_hello_t *hello, const int *fd, uint32_t count)
{
    if (hello->magic != TF_BELL_MAGIC || hello->bells == 0 || hello->bells > TF_BELLS_MAX ||
        count != hello->bells + 1 || !page_sound(fd[0]))
        return false;
    for (uint32_t i = 1; i < count; i++) {
        if (!eventfd_sound(fd[i]))
            return false;
    }
    return true;
}

/* The guest owns the eventfds on success; the page's descriptor is not needed once it is mapped. */
static guest_t *guest_make(const tf_bell_hello_t *hello, const int *fd)
{
    uint32_t bells = (uint32_t)hello->bells;
    guest_t *guest = tf_mem_aligned(sizeof *guest + bells * sizeof(tf_bell_t));
    if (guest == NULL)
        return NULL;
    void *page = mmap(NULL, TF_BELL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
    if (page == MAP_FAILED) {
        tf_mem_free(guest);
        return NULL;
    }
    guest->page = page;
    tf_bell_word_t *word = page;
    guest->set.count = bells;
    for (uint32_t i = 0; i < bells; i++) {
        guest->bell[i].raised = &word[i].raised;
        guest->bell[i].fd = fd[i + 1];
        guest->set.bell[i] = &guest->bell[i];
    }
    return guest;
}

/* ---- connections ---- */

static void refuse(tf_bell_host_t *host, const char *reason)
{
    tf_count(host->stats, bell_guests_refused_total, 1);
    tf_log(TF_LOG_DEBUG, "bell_guest_refused", "reason=%s", TF_LOG_TEXT(reason));
}

static void hang_up(connection_t *connection)
{
    (void)close(connection->fd);
    *connection = (connection_t){.phase = EMPTY, .fd = -1};
}

typedef struct mail {
    tf_bell_hello_t hello;
    bool whole; /* exactly a hello, with all its descriptors */
    int fd[FDS_MAX];
    uint32_t fd_count;
} mail_t;

/* The descriptors of one message; those beyond what a hello may bring were closed by the kernel. */
static void mail_fds(mail_t *mail, struct msghdr *message)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && mail->fd_count < FDS_MAX; i++)
            memcpy(&mail->fd[mail->fd_count++], CMSG_DATA(head) + i * sizeof(int), sizeof(int));
    }
}

/* False when nothing came: hung up, or nothing there after all (*again). */
static bool mail_take(int fd, mail_t *mail, bool *again)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control;
    struct iovec part = {.iov_base = &mail->hello, .iov_len = sizeof mail->hello};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             /* LEN, not SPACE: its padding would have room for one more */
                             .msg_controllen = CMSG_LEN(sizeof(int) * FDS_MAX)};
    *mail = (mail_t){.fd_count = 0};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    *again = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (got < 0)
        return false;
    mail_fds(mail, &message);
    mail->whole =
        got == (ssize_t)sizeof mail->hello && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    return got > 0 || mail->fd_count > 0;
}

static void hello_take(tf_bell_host_t *host, uint32_t slot)
{
    connection_t *connection = &host->connection[slot];
    mail_t mail;
    bool again;
    if (!mail_take(connection->fd, &mail, &again)) {
        if (!again)
            hang_up(connection); /* left without a word */
        return;
    }
    bool sound = mail.whole && fds_sound(&mail.hello, mail.fd, mail.fd_count);
    guest_t *guest = sound ? guest_make(&mail.hello, mail.fd) : NULL;
    for (uint32_t i = guest != NULL ? 1 : mail.fd_count; i-- > 0;)
        (void)close(mail.fd[i]);
    if (guest == NULL) {
        refuse(host, sound ? "not to be mapped" : "malformed");
        hang_up(connection);
        return;
    }
    host->guest[slot] = guest;
    connection->phase = OFFERED;
    atomic_fetch_add_explicit(&host->handed, 1, memory_order_release);
    state_set(host, slot, JOINING);
}

/* The ingest thread rings it now: say so. */
static void welcome(tf_bell_host_t *host, uint32_t slot)
{
    connection_t *connection = &host->connection[slot];
    const tf_bell_hello_t hello = {.magic = TF_BELL_MAGIC, .bells = host->guest[slot]->set.count};
    connection->phase = MEMBER;
    tf_stats_add(host->stats, TF_STAT_bell_guests, 1);
    /* Failing means that it is gone, which the next look at the socket tells. */
    (void)send(connection->fd, &hello, sizeof hello, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A member says nothing more: whatever comes ends it, its hanging up above all. */
static void member_end(tf_bell_host_t *host, uint32_t slot)
{
    connection_t *connection = &host->connection[slot];
    char byte;
    ssize_t got = recv(connection->fd, &byte, sizeof byte, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        refuse(host, "talkative");
    tf_stats_add(host->stats, TF_STAT_bell_guests, (uint64_t)-1);
    connection->phase = DISMISSED;
    state_set(host, slot, LEAVING);
}

/* The ingest thread has let go. */
static void slot_clear(tf_bell_host_t *host, uint32_t slot)
{
    guest_free(host->guest[slot]);
    host->guest[slot] = NULL;
    hang_up(&host->connection[slot]);
    state_set(host, slot, FREE);
    atomic_fetch_sub_explicit(&host->handed, 1, memory_order_release);
}

static bool same_user(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.uid == geteuid();
}

static connection_t *connection_free(tf_bell_host_t *host)
{
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++) {
        if (host->connection[slot].phase == EMPTY)
            return &host->connection[slot];
    }
    return NULL;
}

static void on_connecting(tf_bell_host_t *host, int64_t now_ns)
{
    int fd = accept4(host->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            host->accept_again_ns = now_ns + ACCEPT_PAUSE_MS * TF_NS_PER_MS;
        return;
    }
    connection_t *connection = connection_free(host);
    if (connection == NULL || !same_user(fd)) {
        refuse(host, connection == NULL ? "too many" : "another user's");
        (void)close(fd);
        return;
    }
    *connection =
        (connection_t){.phase = SILENT, .fd = fd, .hello_end_ns = now_ns + HELLO_MS * TF_NS_PER_MS};
}

/* ---- the thread ---- */

enum { POLL_STOP, POLL_LISTENER, POLL_CONNECTIONS, POLL_COUNT = 2 + TF_BELL_GUESTS_MAX };

/* What is waited for. Without gaps: poll(2) refuses more entries than RLIMIT_NOFILE, those it would
 * pass over included, and a limit can be lowered at any time. */
typedef struct wait_set {
    struct pollfd fd[POLL_COUNT];
    nfds_t count;
    nfds_t place[POLL_COUNT]; /* of each in fd[]; POLL_COUNT when it is not waited for */
} wait_set_t;

static void wait_add(wait_set_t *set, uint32_t what, bool wanted, int fd)
{
    set->place[what] = wanted ? set->count : POLL_COUNT;
    if (wanted)
        set->fd[set->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static bool readable(const wait_set_t *set, uint32_t what)
{
    return set->place[what] < set->count && set->fd[set->place[what]].revents != 0;
}

static int sooner(int timeout_ms, int64_t then_ms)
{
    if (then_ms < 0)
        then_ms = 0;
    return timeout_ms < 0 || then_ms < timeout_ms ? (int)then_ms : timeout_ms;
}

/* What to wait for, and how long. */
static int wait_fill(tf_bell_host_t *host, wait_set_t *set, int64_t now_ns)
{
    int timeout_ms = -1;
    bool accepting = now_ns >= host->accept_again_ns;
    set->count = 0;
    wait_add(set, POLL_STOP, true, host->stop_fd);
    wait_add(set, POLL_LISTENER, accepting, host->listener);
    if (!accepting)
        timeout_ms = ACCEPT_PAUSE_MS;
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++) {
        const connection_t *connection = &host->connection[slot];
        bool listening = connection->phase == SILENT || connection->phase == MEMBER;
        wait_add(set, POLL_CONNECTIONS + slot, listening, connection->fd);
        if (connection->phase == SILENT)
            timeout_ms = sooner(timeout_ms, (connection->hello_end_ns - now_ns) / TF_NS_PER_MS + 1);
        if (connection->phase == OFFERED || connection->phase == DISMISSED)
            timeout_ms = sooner(timeout_ms, HANDOVER_MS);
    }
    return timeout_ms;
}

static void look_at(tf_bell_host_t *host, uint32_t slot, bool heard, int64_t now_ns)
{
    connection_t *connection = &host->connection[slot];
    switch (connection->phase) {
    case SILENT:
        if (heard) {
            hello_take(host, slot);
        } else if (now_ns >= connection->hello_end_ns) {
            refuse(host, "silent");
            hang_up(connection);
        }
        break;
    case OFFERED:
        if (state_of(host, slot) == ACTIVE)
            welcome(host, slot);
        break;
    case MEMBER:
        if (heard)
            member_end(host, slot);
        break;
    case DISMISSED:
        if (state_of(host, slot) == GONE)
            slot_clear(host, slot);
        break;
    case EMPTY:
        break;
    }
}

/* False when the host is to stop. Where poll(2) itself fails, the thread goes on at a slow pace and
 * can still be stopped. */
static bool wait_for(tf_bell_host_t *host, wait_set_t *set, int timeout_ms)
{
    if (poll(set->fd, set->count, timeout_ms) >= 0 || errno == EINTR)
        return !readable(set, POLL_STOP);
    eventfd_t stop;
    (void)poll(NULL, 0, ERROR_PAUSE_MS);
    return eventfd_read(host->stop_fd, &stop) != 0;
}

static void *host_run(void *context)
{
    tf_bell_host_t *host = context;
    (void)pthread_setname_np(pthread_self(), "bells");
    for (;;) {
        wait_set_t set;
        int timeout_ms = wait_fill(host, &set, tf_clock_mono_ns(&tf_clock_system));
        if (!wait_for(host, &set, timeout_ms))
            return NULL;
        int64_t now_ns = tf_clock_mono_ns(&tf_clock_system);
        for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++)
            look_at(host, slot, readable(&set, POLL_CONNECTIONS + slot), now_ns);
        if (readable(&set, POLL_LISTENER))
            on_connecting(host, now_ns);
    }
}

/* ---- life ---- */

/* Bound aside and renamed into place, as the region is: who finds the name finds a listener. The
 * caller has the region's lock, so another writer's socket is a dead one's. */
static tf_status_t socket_open(tf_bell_host_t *host, const char *region)
{
    char aside[TF_REGION_PATH_BYTES_MAX];
    char suffix[TF_REGION_NAME_BYTES_MAX];
    tf_region_path(host->path, region, TF_BELL_SUFFIX);
    (void)snprintf(suffix, sizeof suffix, ".tmp.%ld" TF_BELL_SUFFIX, (long)getpid());
    tf_region_path(aside, region, suffix);
    const struct sockaddr_un name = tf_bell_address(aside);
    host->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (host->listener < 0)
        return tf_error(TF_ERR_SYS, "socket: %s", strerrordesc_np(errno));
    (void)unlink(aside);
    if (bind(host->listener, (const struct sockaddr *)&name, sizeof name) != 0 ||
        chmod(aside, S_IRUSR | S_IWUSR) != 0 || listen(host->listener, BACKLOG) != 0 ||
        rename(aside, host->path) != 0) {
        int cause = errno;
        (void)unlink(aside);
        return tf_error(TF_ERR_SYS, "%s: %s", host->path, strerrordesc_np(cause));
    }
    return TF_OK;
}

static tf_status_t thread_start(tf_bell_host_t *host)
{
    host->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = host->stop_fd < 0 ? errno : pthread_create(&host->thread, NULL, host_run, host);
    return error == 0
               ? TF_OK
               : tf_error(TF_ERR_SYS, "starting the bells' thread: %s", strerrordesc_np(error));
}

static void host_free(tf_bell_host_t *host)
{
    if (host->listener >= 0)
        (void)close(host->listener);
    if (host->stop_fd >= 0)
        (void)close(host->stop_fd);
    tf_mem_free(host);
}

tf_status_t tf_bell_host_open(tf_bell_host_t **out, const char *region, tf_stats_t *stats)
{
    tf_bell_host_t *host = tf_mem_aligned(sizeof *host);
    if (host == NULL)
        return tf_error(TF_ERR_MEMORY, "bells: no memory");
    host->stats = stats;
    host->stop_fd = -1;
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++)
        host->connection[slot].fd = -1;
    tf_status_t status = socket_open(host, region);
    if (status == TF_OK) {
        status = thread_start(host);
        if (status != TF_OK)
            (void)unlink(host->path);
    }
    if (status != TF_OK) {
        host_free(host);
        return tf_error_within(status, "bells");
    }
    *out = host;
    return TF_OK;
}

void tf_bell_host_close(tf_bell_host_t *host)
{
    if (host == NULL)
        return;
    (void)unlink(host->path);
    (void)eventfd_write(host->stop_fd, 1);
    (void)pthread_join(host->thread, NULL);
    for (uint32_t slot = 0; slot < TF_BELL_GUESTS_MAX; slot++) {
        guest_free(host->guest[slot]);
        if (host->connection[slot].fd >= 0)
            (void)close(host->connection[slot].fd);
    }
    host_free(host);
}
