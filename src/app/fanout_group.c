#include "app/fanout_group.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FDS_SPARE = 128,    /* region, recordings, venue links, 64 of HTTP */
    FDS_PER_THREAD = 8, /* ring, bell, listener, reader, reserve, and some room */
};

uint32_t tf_fanout_group_count(int64_t option)
{
    if (option > 0)
        return (uint32_t)option;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    int may = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    if (may <= 2) /* one is for ingest */
        return 1;
    return may - 1 < TF_FANOUT_AUTO_MAX ? (uint32_t)may - 1 : TF_FANOUT_AUTO_MAX;
}

/* ---- configuration ---- */

static int64_t ms(tf_option_value_t value)
{
    return value.number * TF_NS_PER_MS;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void limits_configure(tf_session_limits_t *limits, const tf_options_t *options)
{
    limits->message_bytes_max = (uint32_t)options->message_bytes_max.number;
    limits->subscriptions_max = (uint32_t)options->subscriptions_max.number;
    limits->requests_per_s = (uint32_t)options->requests_per_s.number;
    limits->requests_burst = (uint32_t)options->requests_burst.number;
    limits->handshake_ns = ms(options->handshake_ms);
    limits->ping_ns = ms(options->ping_ms);
    limits->pong_ns = ms(options->pong_timeout_ms);
    limits->stall_ns = ms(options->stall_ms);
    limits->linger_ns = ms(options->linger_ms);
    limits->heartbeat_ns = ms(options->heartbeat_ms);
}

static void configure(tf_fanout_config_t *config, const tf_options_t *options)
{
    *config = tf_fanout_config_default;
    config->region = options->region.text;
    config->version = TF_VERSION;
    config->connections_max = (uint32_t)options->connections_max.number;
    config->batch_ns = options->batch_us.number * TF_NS_PER_US;
    config->spin_ns = options->spin_us.number * TF_NS_PER_US;
    config->accept_backoff_ns = ms(options->accept_backoff_ms);
    config->lost_ns = ms(options->lost_ms);
    config->drain_ns = ms(options->drain_ms);
    limits_configure(&config->limits, options);
    /* Time-outs are looked at four times per shortest one, so none is more than a quarter late. */
    const tf_session_limits_t *limits = &config->limits;
    int64_t shortest = least(least(limits->handshake_ns, limits->ping_ns),
                             least(limits->pong_ns, least(limits->stall_ns, limits->linger_ns)));
    if (limits->heartbeat_ns > 0)
        shortest = least(shortest, limits->heartbeat_ns);
    config->sweep_ns = least(config->sweep_ns, shortest / 4);
}

/* Each client is a file descriptor: raise the soft limit, and refuse a promise that can't be kept.
 * Once for the process: the threads share the limit. */
static tf_status_t fit_fd_limit(tf_fanout_config_t *config, uint32_t threads)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return tf_error(TF_ERR_SYS, "open-file limit: %s", strerrordesc_np(errno));
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    rlim_t fds = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : soft;
    const rlim_t own = FDS_SPARE + (rlim_t)threads * FDS_PER_THREAD;
    if (fds <= own)
        return tf_error(TF_ERR_SYS,
                        "the open-file limit is %llu, but %llu are needed (fan-out threads: %u), "
                        "and one more for each client: raise LimitNOFILE= (ulimit -n)",
                        (unsigned long long)fds, (unsigned long long)own, threads);
    if (fds - own < config->connections_max) {
        uint32_t fits = (uint32_t)(fds - own);
        tf_log(TF_LOG_WARN, "fd_limit",
               "connections_max=%u lowered_to=%u hint=\"raise LimitNOFILE\"",
               config->connections_max, fits);
        config->connections_max = fits;
    }
    return TF_OK;
}

/* ---- bells ---- */

static tf_status_t bells_open(tf_fanout_group_t *group, tf_region_t *region)
{
    group->bell = tf_mem_aligned(group->count * sizeof *group->bell);
    if (group->bell == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory for %u bells", group->count);
    tf_status_t status = TF_OK;
    while (status == TF_OK && group->bells.count < group->count) {
        tf_bell_t *bell = &group->bell[group->bells.count];
        status = tf_bell_open(bell);
        if (status != TF_OK)
            break;
        group->bells.bell[group->bells.count++] = bell;
        status = tf_region_bell_add(region, bell);
    }
    return status;
}

static tf_status_t bells_make(tf_fanout_group_t *group, const tf_options_t *options,
                              tf_region_t *region, tf_fanout_config_t *config)
{
    if (region != NULL) {
        config->bells = &group->bells;
        return bells_open(group, region);
    }
    tf_status_t status =
        tf_bell_guest_open(&group->guest, options->region.text, group->count, &group->guest_stats);
    if (status == TF_OK) {
        config->bells = tf_bell_guest_bells(group->guest);
        config->bell_connected = tf_bell_guest_connected(group->guest);
    }
    return status;
}

/* ---- life ---- */

static tf_status_t threads_start(tf_fanout_group_t *group, const tf_fanout_config_t *config)
{
    tf_status_t status = TF_OK;
    for (uint32_t i = 0; status == TF_OK && i < group->count; i++) {
        tf_fanout_thread_t *thread = &group->thread[i];
        thread->config = *config;
        thread->config.thread = i;
        thread->config.bell = config->bells->bell[i];
        status = tf_fanout_thread_start(thread);
    }
    return status;
}

tf_status_t tf_fanout_group_start(tf_fanout_group_t *group, const tf_options_t *options,
                                  tf_region_t *region, const char *address, uint16_t *port)
{
    uint32_t count = tf_fanout_group_count(options->fanout_threads.number);
    TF_ASSERT(count <= TF_BELLS_MAX);
    group->thread = tf_mem_aligned(count * sizeof *group->thread);
    if (group->thread == NULL)
        return tf_error(TF_ERR_MEMORY, "out of memory for %u fan-out threads", count);
    group->count = count;
    for (uint32_t i = 0; i < count; i++) {
        group->thread[i].listen_fd = -1;
        (void)snprintf(group->thread[i].name, sizeof group->thread[i].name, "fanout-%u", i);
    }
    tf_fanout_config_t config;
    configure(&config, options);
    config.threads = count;
    config.connections_open = &group->connections_open;
    tf_status_t status = fit_fd_limit(&config, count);
    for (uint32_t i = 0; status == TF_OK && i < count; i++)
        status = tf_listen("listen", address, port, i == 0 ? TF_LISTEN_FIRST : TF_LISTEN_NEXT,
                           &group->thread[i].listen_fd);
    if (status == TF_OK)
        status = bells_make(group, options, region, &config);
    return status == TF_OK ? threads_start(group, &config) : status;
}

void tf_fanout_group_stop(tf_fanout_group_t *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        tf_fanout_thread_drain(&group->thread[i]);
    for (uint32_t i = 0; i < group->count; i++)
        tf_fanout_thread_stop(&group->thread[i]);
}

void tf_fanout_group_free(tf_fanout_group_t *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        tf_listener_close(&group->thread[i].listen_fd); /* of threads that never started */
    tf_bell_guest_close(group->guest);
    for (uint32_t i = 0; i < group->bells.count; i++)
        tf_bell_close(&group->bell[i]);
    tf_mem_free(group->bell);
    tf_mem_free(group->thread);
    *group = (tf_fanout_group_t){.count = 0};
}
