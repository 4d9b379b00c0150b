#include "region/region_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REGION_DIR    "/dev/shm"
#define REGION_PREFIX "tickfan."

enum { PID_TEXT_BYTES = 24 };

_Static_assert(sizeof REGION_DIR "/" REGION_PREFIX + TF_REGION_NAME_BYTES_MAX + PID_TEXT_BYTES <=
                   TF_REGION_PATH_BYTES_MAX,
               "every path fits");

bool tf_region_name_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t bytes = strnlen(name, TF_REGION_NAME_BYTES_MAX);
    return bytes > 0 && bytes < TF_REGION_NAME_BYTES_MAX && strspn(name, allowed) == bytes;
}

void tf_region_path(char out[TF_REGION_PATH_BYTES_MAX], const char *name, const char *suffix)
{
    (void)snprintf(out, TF_REGION_PATH_BYTES_MAX, REGION_DIR "/" REGION_PREFIX "%s%s", name,
                   suffix);
}

/* The pid that the holder wrote, "" when it has not done so yet. */
static void holder_read(int fd, char out[PID_TEXT_BYTES])
{
    ssize_t got = pread(fd, out, PID_TEXT_BYTES - 1, 0);
    size_t bytes = got > 0 ? (size_t)got : 0;
    out[bytes] = '\0';
    out[strspn(out, "0123456789")] = '\0';
}

static tf_status_t lock_refused(int fd, const char *path)
{
    int cause = errno;
    if (cause != EWOULDBLOCK)
        return tf_error(TF_ERR_SYS, "lock %s: %s", path, strerrordesc_np(cause));
    char pid[PID_TEXT_BYTES];
    holder_read(fd, pid);
    return tf_error(TF_ERR_BUSY,
                    "already has a writer (process %s); stop it or choose another region name",
                    pid[0] != '\0' ? pid : "unknown");
}

tf_status_t tf_region_lock(const char *name, int *fd)
{
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, name, ".lock");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (lock < 0)
        return tf_error(TF_ERR_SYS, "open %s: %s", path, strerrordesc_np(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        tf_status_t status = lock_refused(lock, path);
        (void)close(lock);
        return status;
    }
    /* Only for the message of the next one who comes: the lock holds without it. */
    char pid[PID_TEXT_BYTES];
    int bytes = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)bytes, 0) != bytes) {
        int cause = errno;
        (void)close(lock);
        return tf_error(TF_ERR_SYS, "write %s: %s; is " REGION_DIR " full?", path,
                        strerrordesc_np(cause));
    }
    *fd = lock;
    return TF_OK;
}

/* Pids are no proof of life across pid namespaces; the lock that the caller holds is. */
static void leftovers_remove(const char *name)
{
    char prefix[TF_REGION_PATH_BYTES_MAX];
    int bytes = snprintf(prefix, sizeof prefix, REGION_PREFIX "%s.tmp.", name);
    DIR *dir = opendir(REGION_DIR);
    if (dir == NULL)
        return;
    /* One stream, one thread: readdir's own buffer is not shared.
     * NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strncmp(entry->d_name, prefix, (size_t)bytes) == 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
}

tf_status_t tf_region_file_make(const char *name, uint64_t bytes, int *fd,
                                char path[TF_REGION_PATH_BYTES_MAX])
{
    leftovers_remove(name);
    char suffix[PID_TEXT_BYTES + 8];
    (void)snprintf(suffix, sizeof suffix, ".tmp.%ld", (long)getpid());
    tf_region_path(path, name, suffix);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file < 0)
        return tf_error(TF_ERR_SYS, "create %s: %s", path, strerrordesc_np(errno));
    if (ftruncate(file, (off_t)bytes) != 0) {
        int cause = errno;
        (void)close(file);
        (void)unlink(path);
        return tf_error(TF_ERR_SYS, "resize %s to %" PRIu64 " bytes: %s", path, bytes,
                        strerrordesc_np(cause));
    }
    *fd = file;
    return TF_OK;
}

tf_status_t tf_region_file_reserve(int fd, uint64_t offset, uint64_t bytes)
{
    int cause = 0;
    do {
        cause = posix_fallocate(fd, (off_t)offset, (off_t)bytes);
    } while (cause == EINTR);
    if (cause == 0)
        return TF_OK;
    return tf_error(cause == ENOSPC ? TF_ERR_FULL : TF_ERR_SYS,
                    "reserve %" PRIu64 " KiB in " REGION_DIR
                    ": %s; enlarge it (mount -o remount,size=..., docker --shm-size) or lower "
                    "--ring-mib, --image-depth or --trades-kept",
                    bytes / 1024, strerrordesc_np(cause));
}
