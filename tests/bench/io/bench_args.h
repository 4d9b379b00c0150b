/*
 * bench_args: "--name value" and "--name" on the command line of the io benches, which are plain
 * programs without any of the server's code.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* The value after `name`, else `fallback`. */
static inline const char *bench_text(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    }
    return fallback;
}

/* The same as a number of 1 .. `max`; ends the program when it is none. */
static inline uint32_t bench_number(int argc, char **argv, const char *name, uint32_t fallback,
                                    uint32_t max)
{
    const char *text = bench_text(argc, argv, name, NULL);
    if (text == NULL)
        return fallback;
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > max) {
        (void)fprintf(stderr, "%s takes 1 to %u, not \"%s\"\n", name, max, text);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return (uint32_t)value;
}

static inline bool bench_flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return false;
}

_Noreturn static inline void bench_fail(const char *what)
{
    perror(what);
    exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static inline int64_t bench_clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline struct sockaddr_in bench_loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* As many descriptors as this process may have. */
static inline void bench_raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}
