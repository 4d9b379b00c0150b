#include "kit/kit.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[256];

static uint64_t number_from(const char *variable, uint64_t fallback)
{
    const char *text = getenv(variable);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : fallback;
}

uint64_t t_seed(uint64_t fallback)
{
    uint64_t seed = number_from("TICKFAN_SEED", fallback);
    printf("seed %" PRIu64 " (TICKFAN_SEED repeats it)\n", seed);
    return seed;
}

uint64_t t_rounds(uint64_t fallback)
{
    return number_from("TICKFAN_ROUNDS", fallback);
}

static void scratch_remove(void)
{
    DIR *dir = opendir(scratch);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
    (void)rmdir(scratch);
}

const char *t_scratch_dir(void)
{
    if (scratch[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(scratch, sizeof scratch, "%s/tickfan-test-XXXXXX",
                       base != NULL ? base : "/tmp");
        if (mkdtemp(scratch) == NULL) {
            perror(scratch);
            exit(1);
        }
        (void)atexit(scratch_remove);
    }
    return scratch;
}

const char *t_data_dir(void)
{
    static char path[512];
    const char *given = getenv("TICKFAN_DATA");
    (void)snprintf(path, sizeof path, "%s",
                   given != NULL ? given : TF_SOURCE_DIR "/../shared/data");
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode) ? path : NULL;
}

_Noreturn void t_skip(const char *reason)
{
    printf("skipped: %s\n", reason);
    exit(77);
}

char *t_file_read(const char *path, size_t *bytes)
{
    *bytes = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    struct stat info;
    char *text = NULL;
    if (fstat(fileno(file), &info) == 0)
        text = malloc((size_t)info.st_size + 1);
    if (text != NULL) {
        *bytes = fread(text, 1, (size_t)info.st_size, file);
        text[*bytes] = '\0';
    }
    (void)fclose(file);
    return text;
}
