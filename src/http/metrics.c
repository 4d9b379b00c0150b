#include "http/metrics.h"

#include "base/clock.h"
#include "base/mem.h"
#include "market/state.h"
#include "ws/frame.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NUMBER_BYTES_MAX = 32, FAMILY_BYTES_MAX = 64, PROC_BYTES_MAX = 1024 };

/* ---- lines ---- */

static void family_put(tf_buf_t *out, const char *prefix, const char *name, const char *text,
                       const char *type)
{
    tf_buf_lit(out, "# HELP ");
    tf_buf_text(out, prefix);
    tf_buf_text(out, name);
    tf_buf_lit(out, " ");
    tf_buf_text(out, text);
    tf_buf_lit(out, "\n# TYPE ");
    tf_buf_text(out, prefix);
    tf_buf_text(out, name);
    tf_buf_lit(out, " ");
    tf_buf_text(out, type);
    tf_buf_lit(out, "\n");
}

static void typed_head_put(tf_buf_t *out, const char *name, const char *text, const char *type)
{
    family_put(out, "tickfan_", name, text, type);
}

static void head_put(tf_buf_t *out, const char *name, const char *text, bool counter)
{
    typed_head_put(out, name, text, counter ? "counter" : "gauge");
}

/* name="value", escaped as the format asks: backslash, quote, line feed. */
static void label_put(tf_buf_t *out, const char *name, const char *value)
{
    tf_buf_text(out, name);
    tf_buf_lit(out, "=\"");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            tf_buf_lit(out, "\\n");
            continue;
        }
        if (*at == '\\' || *at == '"')
            tf_buf_lit(out, "\\");
        tf_buf_put(out, at, 1);
    }
    tf_buf_lit(out, "\"");
}

/* The start of a sample with labels; the caller adds them and ends with sample_end(). */
static void sample_begin(tf_buf_t *out, const char *name)
{
    tf_buf_lit(out, "tickfan_");
    tf_buf_text(out, name);
    tf_buf_lit(out, "{");
}

static void sample_end(tf_buf_t *out, uint64_t value)
{
    tf_buf_lit(out, "} ");
    tf_buf_uint(out, value);
    tf_buf_lit(out, "\n");
}

/* A name with one sample, without labels. */
static void single_put(tf_buf_t *out, const char *name, const char *text, bool counter,
                       uint64_t value)
{
    head_put(out, name, text, counter);
    tf_buf_lit(out, "tickfan_");
    tf_buf_text(out, name);
    tf_buf_lit(out, " ");
    tf_buf_uint(out, value);
    tf_buf_lit(out, "\n");
}

static void gauge_put(tf_buf_t *out, const char *name, const char *text, uint64_t value)
{
    single_put(out, name, text, false, value);
}

static void counter_put(tf_buf_t *out, const char *name, const char *text, uint64_t value)
{
    single_put(out, name, text, true, value);
}

/* Seconds without the zeros at the end: "0.000002", "10". */
static void seconds_put(tf_buf_t *out, uint64_t ns)
{
    char text[NUMBER_BYTES_MAX];
    int bytes = snprintf(text, sizeof text, "%llu.%09llu", (unsigned long long)(ns / TF_NS_PER_S),
                         (unsigned long long)(ns % TF_NS_PER_S));
    while (text[bytes - 1] == '0')
        bytes--;
    if (text[bytes - 1] == '.')
        bytes--;
    tf_buf_put(out, text, (size_t)bytes);
}

/* ---- the process ---- */

/* The names that every Prometheus client library has, without our prefix; of seconds in ns. */
static void process_one_put(tf_buf_t *out, const char *name, const char *text, const char *type,
                            uint64_t value)
{
    family_put(out, "process_", name, text, type);
    tf_buf_lit(out, "process_");
    tf_buf_text(out, name);
    tf_buf_lit(out, " ");
    if (strstr(name, "_seconds") != NULL)
        seconds_put(out, value);
    else
        tf_buf_uint(out, value);
    tf_buf_lit(out, "\n");
}

/* The first bytes of a small file, as text. */
static bool head_read(const char *path, char text[PROC_BYTES_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, PROC_BYTES_MAX - 1);
    (void)close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return true;
}

/* Pages from the second figure of /proc/self/statm (proc(5)); false when it can't be read. */
static bool resident_bytes(uint64_t *bytes)
{
    char text[PROC_BYTES_MAX];
    if (!head_read("/proc/self/statm", text))
        return false;
    const char *resident = strchr(text, ' ');
    if (resident == NULL)
        return false;
    *bytes = strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

/* When the host booted, in seconds of the wall clock: "btime" of /proc/stat. Its line of interrupts
 * may be very long, and then comes in parts, none of which begins like that. */
static bool boot_time_s(uint64_t *seconds)
{
    static const char key[] = "btime ";
    char line[PROC_BYTES_MAX];
    bool found = false;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        found = strncmp(line, key, sizeof key - 1) == 0;
        if (found)
            *seconds = strtoull(line + sizeof key - 1, NULL, 10);
    }
    (void)fclose(file);
    return found;
}

/* Boot time and figure 22 of /proc/self/stat, clock ticks since then. The second figure, a name in
 * brackets, may have blanks. */
static bool start_time_ns(uint64_t *ns)
{
    enum { STARTTIME = 22, AFTER_NAME = 2 };
    char text[PROC_BYTES_MAX];
    uint64_t boot_s = 0;
    if (!head_read("/proc/self/stat", text) || !boot_time_s(&boot_s))
        return false;
    const char *at = strrchr(text, ')');
    for (int figure = AFTER_NAME; at != NULL && figure < STARTTIME; figure++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return false;
    uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t ticks = strtoull(at, NULL, 10);
    *ns = boot_s * TF_NS_PER_S + ticks / hz * TF_NS_PER_S + ticks % hz * TF_NS_PER_S / hz;
    return true;
}

static uint64_t cpu_ns(void)
{
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) != 0)
        return 0;
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * TF_NS_PER_S +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * TF_NS_PER_US;
}

static bool open_fds(uint64_t *count)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return false;
    uint64_t entries = 0;
    /* This thread alone has the stream: readdir is safe (readdir(3), ATTRIBUTES). */
    while (readdir(folder) != NULL) // NOLINT(concurrency-mt-unsafe)
        entries++;
    (void)closedir(folder);
    *count = entries > 3 ? entries - 3 : 0; /* "." and "..", and the folder's own descriptor */
    return true;
}

static void process_put(tf_buf_t *out)
{
    gauge_put(out, "up", "1 while the process answers", 1);
    head_put(out, "build_info", "The version of the program, as a label", false);
    sample_begin(out, "build_info");
    label_put(out, "version", TF_VERSION);
    sample_end(out, 1);
    gauge_put(out, "memory_in_use_bytes", "Memory that the program's own code allocated and holds",
              tf_mem_in_use_bytes());
}

static void process_standard_put(tf_buf_t *out)
{
    struct rlimit fds;
    uint64_t value = 0;
    if (start_time_ns(&value))
        process_one_put(out, "start_time_seconds", "When the process started, Unix time", "gauge",
                        value);
    process_one_put(out, "cpu_seconds_total", "Processor time used, user and system", "counter",
                    cpu_ns());
    if (open_fds(&value))
        process_one_put(out, "open_fds", "Open file descriptors", "gauge", value);
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        process_one_put(out, "max_fds", "Most file descriptors that may be open", "gauge",
                        fds.rlim_cur);
    if (resident_bytes(&value))
        process_one_put(out, "resident_memory_bytes", "Resident memory, shared memory included",
                        "gauge", value);
}

/* ---- the region ---- */

static void heartbeat_put(tf_buf_t *out, int64_t age_ns)
{
    char seconds[NUMBER_BYTES_MAX];
    head_put(out, "region_heartbeat_age_seconds", "Time since the writer of the region said alive",
             false);
    (void)snprintf(seconds, sizeof seconds, "%lld.%09lld", (long long)(age_ns / TF_NS_PER_S),
                   (long long)(age_ns % TF_NS_PER_S));
    tf_buf_lit(out, "tickfan_region_heartbeat_age_seconds ");
    tf_buf_text(out, seconds);
    tf_buf_lit(out, "\n");
}

static void markets_put(tf_buf_t *out, const tf_watch_figures_t *seen)
{
    if (seen->venue_count == 0)
        return;
    head_put(out, "markets", "Markets by venue and state; all are stale while ingest is lost",
             false);
    for (uint32_t i = 0; i < seen->venue_count; i++) {
        const tf_watch_venue_t *venue = &seen->venue[i];
        for (int state = 0; state < TF_WATCH_STATES; state++) {
            sample_begin(out, "markets");
            label_put(out, "venue", venue->name);
            tf_buf_lit(out, ",");
            label_put(out, "state", tf_market_state_text((tf_market_state_t)state));
            sample_end(out, venue->markets[state]);
        }
    }
}

static void links_put(tf_buf_t *out, const tf_watch_figures_t *seen)
{
    if (seen->venue_count == 0)
        return;
    head_put(
        out, "venue_link_up",
        "1 while the link to the venue is up: any of its markets has heard from the venue since "
        "the link last opened; 0 while ingest is lost",
        false);
    for (uint32_t i = 0; i < seen->venue_count; i++) {
        sample_begin(out, "venue_link_up");
        label_put(out, "venue", seen->venue[i].name);
        sample_end(out, seen->venue[i].link_up);
    }
}

static void region_put(tf_buf_t *out, const tf_site_t *site, const tf_watch_figures_t *seen)
{
    gauge_put(out, "ready", "1 while /readyz answers 200", tf_site_ready(site, seen));
    gauge_put(out, "region_up",
              "1 while the region is there and its writer says in time that it is alive",
              seen->health == TF_WATCH_ALIVE);
    if (seen->health == TF_WATCH_ABSENT)
        return;
    char epoch[9];
    tf_epoch_text(seen->epoch, epoch);
    head_put(out, "region_info", "The region that is read: its name and epoch, as labels", false);
    sample_begin(out, "region_info");
    label_put(out, "region", site->region);
    tf_buf_lit(out, ",");
    label_put(out, "epoch", epoch);
    sample_end(out, 1);
    heartbeat_put(out, seen->heartbeat_age_ns);
    gauge_put(out, "instruments", "Instruments in the region", seen->instruments);
    gauge_put(out, "instruments_max", "Instruments that the region has room for",
              seen->instruments_max);
    links_put(out, seen);
    markets_put(out, seen);
}

/* ---- the threads ---- */

static bool is_counter(const char *name)
{
    static const char ending[] = "_total";
    size_t bytes = strlen(name);
    return bytes >= sizeof ending - 1 && strcmp(name + bytes - (sizeof ending - 1), ending) == 0;
}

static void stats_put(tf_buf_t *out, const tf_http_thread_t *threads, uint32_t thread_count)
{
    for (int stat = 0; stat < TF_STAT_COUNT; stat++) {
        const char *name = tf_stat_name((tf_stat_t)stat);
        bool headed = false;
        for (uint32_t i = 0; i < thread_count; i++) {
            if (!tf_stat_of((tf_stat_t)stat, threads[i].kind))
                continue;
            if (!headed)
                head_put(out, name, tf_stat_text((tf_stat_t)stat), is_counter(name));
            headed = true;
            sample_begin(out, name);
            label_put(out, "thread", threads[i].name);
            sample_end(out, tf_stats_get(threads[i].stats, (tf_stat_t)stat));
        }
    }
}

/* ---- histograms ---- */

static void bucket_put(tf_buf_t *out, const char *name, const char *thread, size_t bucket,
                       uint64_t count)
{
    tf_buf_lit(out, "tickfan_");
    tf_buf_text(out, name);
    tf_buf_lit(out, "_seconds_bucket{");
    label_put(out, "thread", thread);
    tf_buf_lit(out, ",le=\"");
    if (bucket < TF_LATENCY_BUCKETS)
        seconds_put(out, (uint64_t)tf_latency_bound_ns[bucket]);
    else
        tf_buf_lit(out, "+Inf");
    tf_buf_lit(out, "\"");
    sample_end(out, count);
}

/* The counts are cumulative, and the total is the last of them, so that they always agree; the sum
 * may be one observation older or newer. */
static void histogram_put(tf_buf_t *out, const char *name, const char *thread,
                          const tf_latency_t *latency)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= TF_LATENCY_BUCKETS; i++) {
        count += atomic_load_explicit(&latency->bucket[i], memory_order_relaxed);
        bucket_put(out, name, thread, i, count);
    }
    tf_buf_lit(out, "tickfan_");
    tf_buf_text(out, name);
    tf_buf_lit(out, "_seconds_sum{");
    label_put(out, "thread", thread);
    tf_buf_lit(out, "} ");
    seconds_put(out, atomic_load_explicit(&latency->sum_ns, memory_order_relaxed));
    tf_buf_lit(out, "\ntickfan_");
    tf_buf_text(out, name);
    tf_buf_lit(out, "_seconds_count{");
    label_put(out, "thread", thread);
    sample_end(out, count);
}

/* Fan-out threads have the histograms of sending, and ingest those of what comes from venues. */
static bool has_histogram(const tf_http_thread_t *thread, tf_latency_row_t row)
{
    bool of_ingest = row == TF_LATENCY_venue_to_ingest || row == TF_LATENCY_ingest_to_publish;
    return thread->kind == (of_ingest ? TF_THREAD_INGEST : TF_THREAD_FANOUT);
}

static void histograms_put(tf_buf_t *out, const tf_http_thread_t *threads, uint32_t thread_count)
{
    for (int row = 0; row < TF_LATENCY_COUNT; row++) {
        const char *name = tf_latency_name((tf_latency_row_t)row);
        bool headed = false;
        for (uint32_t i = 0; i < thread_count; i++) {
            if (!has_histogram(&threads[i], (tf_latency_row_t)row))
                continue;
            if (!headed) {
                char family[FAMILY_BYTES_MAX];
                (void)snprintf(family, sizeof family, "%s_seconds", name);
                typed_head_put(out, family, tf_latency_text((tf_latency_row_t)row), "histogram");
            }
            headed = true;
            histogram_put(out, name, threads[i].name, &threads[i].stats->latency[row]);
        }
    }
}

/* ---- closes ---- */

/* The rows of close.def by their lower-case names: two of them may share a code. */
static const char *close_name(tf_ws_close_t reason, char out[NUMBER_BYTES_MAX])
{
    static const char *const rows[TF_WS_CLOSE_COUNT] = {
#define TF_WS_CLOSE(name, code, text) [TF_WS_CLOSE_##name] = #name,
#include "ws/close.def"
#undef TF_WS_CLOSE
    };
    size_t bytes = 0;
    for (; rows[reason][bytes] != '\0' && bytes < NUMBER_BYTES_MAX - 1; bytes++)
        out[bytes] = (char)tolower((unsigned char)rows[reason][bytes]);
    out[bytes] = '\0';
    return out;
}

static void closes_of_thread_put(tf_buf_t *out, const tf_http_thread_t *thread)
{
    for (int reason = TF_WS_CLOSE_NONE + 1; reason < TF_WS_CLOSE_COUNT; reason++) {
        char name[NUMBER_BYTES_MAX];
        char code[NUMBER_BYTES_MAX];
        (void)snprintf(code, sizeof code, "%u", tf_ws_close_code((tf_ws_close_t)reason));
        sample_begin(out, "closes_total");
        label_put(out, "thread", thread->name);
        tf_buf_lit(out, ",");
        label_put(out, "code", code);
        tf_buf_lit(out, ",");
        label_put(out, "reason", close_name((tf_ws_close_t)reason, name));
        sample_end(out, atomic_load_explicit(&thread->closes[reason], memory_order_relaxed));
    }
}

static void closes_put(tf_buf_t *out, const tf_http_thread_t *threads, uint32_t thread_count)
{
    bool headed = false;
    for (uint32_t i = 0; i < thread_count; i++) {
        if (threads[i].closes == NULL)
            continue;
        if (!headed)
            head_put(out, "closes_total", "Client connections closed by the server, by reason",
                     true);
        headed = true;
        closes_of_thread_put(out, &threads[i]);
    }
}

/* ---- the HTTP thread itself ---- */

static void counts_put(tf_buf_t *out, const tf_site_counts_t *counts)
{
    gauge_put(out, "http_connections", "Open connections of the HTTP listener",
              counts->connections);
    counter_put(out, "http_requests_total", "HTTP requests", counts->requests);
    counter_put(out, "http_connections_refused_total",
                "HTTP connections closed at accept: over the limit", counts->connections_refused);
    counter_put(out, "http_bodies_refused_total",
                "HTTP requests answered with 503 because too much is held for slow readers",
                counts->bodies_refused);
}

void tf_metrics_write(tf_buf_t *out, const tf_site_t *site, const tf_watch_figures_t *seen)
{
    process_put(out);
    process_standard_put(out);
    counts_put(out, &site->counts);
    region_put(out, site, seen);
    if (site->thread_count == 0)
        return;
    stats_put(out, site->threads, site->thread_count);
    histograms_put(out, site->threads, site->thread_count);
    closes_put(out, site->threads, site->thread_count);
}
