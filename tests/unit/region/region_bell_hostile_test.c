/* What a guest may do wrong, on purpose or by dying: it is refused and counted, costs the ingest
 * thread nothing, and leaves nothing behind. */
#include "kit/kit.h"

#include "base/clock.h"
#include "unit/region/bell_kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
    GUESTS_MAX = 16,
    FDS_MAX = 200,
    COMINGS = 100,
    NOBODY = 65534,
};

static bell_rig_t rig;

static int open_host(void **state)
{
    (void)state;
    rig_open(&rig, "hostile");
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static uint64_t refused(void)
{
    return tf_stats_get(&rig.bells, TF_STAT_bell_guests_refused_total);
}

static int open_fds(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL) // NOLINT(concurrency-mt-unsafe)
        count++;
    (void)closedir(folder);
    return count;
}

static int guest_connect(void)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, rig.t.name, TF_BELL_SUFFIX);
    const struct sockaddr_un name = tf_bell_address(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static int page_make(size_t bytes, int seals)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int bell_make(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Send `bytes` with descriptors, which are closed then. */
static void say(int socket, const void *words, size_t bytes, const int *fd, uint32_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = {.bytes = {0}};
    uint8_t copy[32];
    assert_in_range(bytes, 1, sizeof copy);
    memcpy(copy, words, bytes);
    struct iovec part = {.iov_base = copy, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(head), fd, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(socket, &message, MSG_NOSIGNAL), bytes);
    for (uint32_t i = 0; i < fd_count; i++)
        (void)close(fd[i]);
}

static void say_hello(int socket, uint64_t bells, const int *fd, uint32_t fd_count)
{
    const tf_bell_hello_t hello = {.magic = TF_BELL_MAGIC, .bells = bells};
    say(socket, &hello, sizeof hello, fd, fd_count);
}

/* The host hangs up, and counts it. */
static void expect_refused(int socket, uint64_t before, const char *what)
{
    char byte;
    struct pollfd fd = {.fd = socket, .events = POLLIN};
    if (poll(&fd, 1, 10000) != 1 || recv(socket, &byte, 1, MSG_DONTWAIT) != 0)
        fail_msg("%s is not refused", what);
    (void)close(socket);
    if (refused() != before + 1)
        fail_msg("%s is not counted", what);
}

/* The page and eventfds of a hello with one bell, one of them spoilt. */
static void expect_spoilt(const char *what, int page, int bell)
{
    uint64_t before = refused();
    int socket = guest_connect();
    const int fd[] = {page, bell};
    say_hello(socket, 1, fd, 2);
    expect_refused(socket, before, what);
}

static void pages_and_bells_that_could_hurt_the_writer_are_refused(void **state)
{
    (void)state;
    int fds = open_fds();
    int ends[2];
    expect_spoilt("a page without seals", page_make(TF_BELL_PAGE_BYTES, 0), bell_make());
    expect_spoilt("a page that may shrink",
                  page_make(TF_BELL_PAGE_BYTES, F_SEAL_GROW | F_SEAL_SEAL), bell_make());
    expect_spoilt("a page that may grow",
                  page_make(TF_BELL_PAGE_BYTES, F_SEAL_SHRINK | F_SEAL_SEAL), bell_make());
    expect_spoilt("a page whose seals may change",
                  page_make(TF_BELL_PAGE_BYTES, F_SEAL_SHRINK | F_SEAL_GROW), bell_make());
    expect_spoilt("a page that can't be written",
                  page_make(TF_BELL_PAGE_BYTES, SEALS | F_SEAL_WRITE), bell_make());
    expect_spoilt("a short page", page_make(TF_BELL_PAGE_BYTES - 4096, SEALS), bell_make());
    expect_spoilt("an empty page", page_make(0, SEALS), bell_make());
    expect_spoilt("a long page", page_make(TF_BELL_PAGE_BYTES + 4096, SEALS), bell_make());
    expect_spoilt("a bell for a page", bell_make(), bell_make());
    expect_spoilt("a file for a page", open("/proc/self/exe", O_RDONLY | O_CLOEXEC), bell_make());
    expect_spoilt("a page for a bell", page_make(TF_BELL_PAGE_BYTES, SEALS),
                  page_make(TF_BELL_PAGE_BYTES, SEALS));
    expect_spoilt("a bell that blocks", page_make(TF_BELL_PAGE_BYTES, SEALS),
                  eventfd(0, EFD_CLOEXEC));
    assert_int_equal(pipe(ends), 0);
    expect_spoilt("a pipe for a bell", page_make(TF_BELL_PAGE_BYTES, SEALS), ends[1]);
    (void)close(ends[0]);
    assert_int_equal(open_fds(), fds);
    assert_int_equal(tf_stats_get(&rig.bells, TF_STAT_bell_guests), 0);
}

static void a_hello_that_is_none_is_refused(void **state)
{
    (void)state;
    int fds = open_fds();
    int many[FDS_MAX];
    static const struct {
        const char *what;
        uint64_t magic, bells;
        size_t bytes;
        uint32_t fds; /* a page first, then bells */
    } hellos[] = {
        {"another magic", TF_BELL_MAGIC + 1, 1, 16, 2},
        {"no bells", TF_BELL_MAGIC, 0, 16, 1},
        {"too many bells", TF_BELL_MAGIC, TF_BELLS_MAX + 1, 16, TF_BELLS_MAX + 2},
        {"a number of bells that is none", TF_BELL_MAGIC, UINT64_MAX, 16, 0},
        {"no descriptors", TF_BELL_MAGIC, 1, 16, 0},
        {"no bell's descriptor", TF_BELL_MAGIC, 1, 16, 1},
        {"more descriptors than bells", TF_BELL_MAGIC, 1, 16, 3},
        {"far more descriptors", TF_BELL_MAGIC, 1, 16, FDS_MAX},
        {"a part of a hello", TF_BELL_MAGIC, 1, 15, 2},
        {"one byte", TF_BELL_MAGIC, 1, 1, 2},
        {"more than a hello", TF_BELL_MAGIC, 1, 24, 2},
    };
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        const uint64_t words[3] = {hellos[i].magic, hellos[i].bells, 0};
        uint64_t before = refused();
        int socket = guest_connect();
        for (uint32_t j = 0; j < hellos[i].fds; j++)
            many[j] = j == 0 ? page_make(TF_BELL_PAGE_BYTES, SEALS) : bell_make();
        say(socket, words, hellos[i].bytes, many, hellos[i].fds);
        expect_refused(socket, before, hellos[i].what);
    }
    assert_int_equal(open_fds(), fds);
}

static void who_says_nothing_is_not_waited_for(void **state)
{
    (void)state;
    int socket = guest_connect();
    expect_refused(socket, 0, "silence");
}

/* A guest made by hand: its socket, its words and its bell. */
typedef struct raw_guest {
    int socket;
    int bell;
    tf_bell_word_t *word;
} raw_guest_t;

static raw_guest_t raw_guest_make(void)
{
    raw_guest_t raw = {.socket = guest_connect(), .bell = bell_make()};
    int fd[] = {page_make(TF_BELL_PAGE_BYTES, SEALS), fcntl(raw.bell, F_DUPFD_CLOEXEC, 0)};
    raw.word = mmap(NULL, TF_BELL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
    assert_ptr_not_equal(raw.word, MAP_FAILED);
    say_hello(raw.socket, 1, fd, 2);
    return raw;
}

static void raw_guest_end(raw_guest_t *raw)
{
    (void)close(raw->socket);
    (void)close(raw->bell);
    (void)munmap(raw->word, TF_BELL_PAGE_BYTES);
}

static void a_member_that_goes_on_talking_is_dismissed(void **state)
{
    (void)state;
    raw_guest_t raw = raw_guest_make();
    char answer[64];
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    assert_int_equal(recv(raw.socket, answer, sizeof answer, 0), sizeof(tf_bell_hello_t));
    assert_int_equal(send(raw.socket, "more", 4, MSG_NOSIGNAL), 4);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 0);
    rig_turn(&rig); /* lets it go */
    assert_int_equal(refused(), 1);
    assert_int_equal(recv(raw.socket, answer, sizeof answer, 0), 0);
    raw_guest_end(&raw);
}

/* Asleep for ever (a stopped process): one ring each time it was raised, which is once. */
static void a_guest_that_never_wakes_costs_one_ring(void **state)
{
    (void)state;
    raw_guest_t raw = raw_guest_make();
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    uint64_t before = rig_rings(&rig);
    atomic_store(&raw.word[0].raised, 1);
    for (int i = 0; i < 1000; i++)
        tf_region_ring_bells(rig.t.region);
    assert_int_equal(rig_rings(&rig), before + 1);
    raw_guest_end(&raw);
}

/* It may fill its bell and write what it likes into the page: no ring blocks. */
static void a_guest_with_a_full_bell_does_not_hold_up_the_writer(void **state)
{
    (void)state;
    raw_guest_t raw = raw_guest_make();
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    assert_int_equal(eventfd_write(raw.bell, UINT64_MAX - 1), 0);
    for (int i = 0; i < 1000; i++) {
        memset(raw.word, 0xff, TF_BELL_PAGE_BYTES);
        tf_region_ring_bells(rig.t.region);
    }
    raw_guest_end(&raw);
}

/* The page is the guest's: holes in it, and its own mapping gone, are no fault of the writer. */
static void a_guest_that_takes_its_memory_away_hurts_nobody(void **state)
{
    (void)state;
    int socket = guest_connect();
    int page = page_make(TF_BELL_PAGE_BYTES, SEALS);
    int fd[] = {fcntl(page, F_DUPFD_CLOEXEC, 0), bell_make()};
    say_hello(socket, 1, fd, 2);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    assert_int_equal(ftruncate(page, 0), -1);
    for (int i = 0; i < 100; i++) {
        (void)fallocate(page, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, TF_BELL_PAGE_BYTES);
        tf_region_ring_bells(rig.t.region);
    }
    (void)close(page);
    (void)close(socket);
}

static void guests_that_leave_at_any_point_free_their_places(void **state)
{
    (void)state;
    int fds = open_fds();
    for (int i = 0; i < COMINGS; i++) {
        if (i % 3 == 0) {
            (void)close(guest_connect()); /* without a word */
            continue;
        }
        raw_guest_t raw = raw_guest_make();
        if (i % 3 == 1) /* else before the ingest thread has seen it */
            rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
        raw_guest_end(&raw);
        if (i % 3 == 1)
            rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 0);
        else
            rig_turn(&rig);
    }
    for (int i = 0; i < TURNS_MAX && open_fds() != fds; i++)
        rig_turn(&rig);
    assert_int_equal(open_fds(), fds);
    assert_int_equal(tf_stats_get(&rig.bells, TF_STAT_bell_guests), 0);
}

static void the_17th_guest_is_refused_and_has_a_place_later(void **state)
{
    (void)state;
    raw_guest_t raw[GUESTS_MAX];
    for (uint64_t i = 0; i < GUESTS_MAX; i++) {
        raw[i] = raw_guest_make();
        rig_until(&rig, &rig.bells, TF_STAT_bell_guests, i + 1);
    }
    int late = guest_connect();
    expect_refused(late, 0, "one too many");
    raw_guest_end(&raw[5]);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, GUESTS_MAX - 1);
    for (int i = 0; i < 20; i++) /* until the ingest thread has let go of it */
        rig_turn(&rig);
    raw[5] = raw_guest_make();
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, GUESTS_MAX);
    for (int i = 0; i < GUESTS_MAX; i++)
        raw_guest_end(&raw[i]);
}

static void another_user_is_refused(void **state)
{
    (void)state;
    char path[TF_REGION_PATH_BYTES_MAX];
    if (geteuid() != 0)
        skip();
    tf_region_path(path, rig.t.name, TF_BELL_SUFFIX);
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct sockaddr_un name = tf_bell_address(path);
            int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
            if (setuid(NOBODY) != 0)
                _exit(2);
            _exit(connect(fd, (const struct sockaddr *)&name, sizeof name) == 0 ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (round == 0) {
            assert_int_equal(WEXITSTATUS(status), 1); /* the file says no ... */
            assert_int_equal(chmod(path, 0777), 0);
        } else {
            assert_int_equal(WEXITSTATUS(status), 0);
            rig_until(&rig, &rig.bells, TF_STAT_bell_guests_refused_total,
                      1); /* ... and the host */
        }
    }
}

/* poll(2) fails then, always; a host that took that for "nothing yet" would never look up again. */
static void a_limit_below_every_descriptor_does_not_keep_the_host_from_stopping(void **state)
{
    (void)state;
    struct rlimit limit;
    raw_guest_t raw = raw_guest_make();
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    say(raw.socket, "?", 1, NULL, 0);
    rig_until(&rig, &rig.bells, TF_STAT_bell_guests_refused_total, 1); /* it has woken up */
    tf_region_close(rig.t.region, true);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    raw_guest_end(&raw);
    rig_create_region(&rig);
}

int main(void)
{
#define HOSTILE(test) cmocka_unit_test_setup_teardown(test, open_host, close_host)
    const struct CMUnitTest tests[] = {
        HOSTILE(pages_and_bells_that_could_hurt_the_writer_are_refused),
        HOSTILE(a_hello_that_is_none_is_refused),
        HOSTILE(who_says_nothing_is_not_waited_for),
        HOSTILE(a_member_that_goes_on_talking_is_dismissed),
        HOSTILE(a_guest_that_never_wakes_costs_one_ring),
        HOSTILE(a_guest_with_a_full_bell_does_not_hold_up_the_writer),
        HOSTILE(a_guest_that_takes_its_memory_away_hurts_nobody),
        HOSTILE(guests_that_leave_at_any_point_free_their_places),
        HOSTILE(the_17th_guest_is_refused_and_has_a_place_later),
        HOSTILE(another_user_is_refused),
        HOSTILE(a_limit_below_every_descriptor_does_not_keep_the_host_from_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
