#include "region/region.h"

#include "base/mem.h"
#include "base/rng.h"
#include "region/region_file.h"
#include "region/writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EPOCH_BITS = 40 };

const tf_region_config_t tf_region_config_default = {
    .name = "default",
    .instruments_max = 2048,
    .image_depth = 1000,
    .trades_kept = 1024,
    .ring_bytes = 64ULL << 20,
};

uint64_t tf_region_bytes(const tf_region_config_t *config)
{
    tf_layout_t layout;
    return tf_layout_plan(&layout, config) ? layout.file_bytes : 0;
}

static uint64_t epoch_new(void)
{
    uint64_t epoch = 0;
    while (epoch == 0)
        epoch = tf_rng_entropy() & ((1ULL << EPOCH_BITS) - 1);
    return epoch;
}

/* Plain stores: the rename that follows is what shows them to anybody. */
static void header_fill(tf_region_t *region)
{
    tf_region_header_t *header = region->header;
    tf_layout_write(&region->layout, header);
    tf_word_put(&header->abi, TF_REGION_ABI);
    tf_word_put(&header->epoch, region->epoch);
    tf_word_put(&header->writer_pid, (uint64_t)getpid());
    tf_word_put(&header->heartbeat_mono_ns, (uint64_t)tf_clock_mono_ns(region->clock));
    tf_word_put(&header->state, TF_REGION_READY);
    tf_word_put(&header->magic, TF_REGION_MAGIC);
}

/*
 * The header, the small tables and the ring get their memory here; an instrument's book and trades
 * when it is added. Memory is thus spent on the instruments that exist, and none of it can be
 * missing later.
 */
static tf_status_t reserve_fixed(int fd, const tf_layout_t *layout)
{
    tf_status_t status = tf_region_file_reserve(fd, 0, layout->books_offset);
    if (status == TF_OK)
        status = tf_region_file_reserve(fd, layout->ring_offset, layout->ring_bytes);
    return status;
}

static tf_status_t file_map(tf_region_t *region)
{
    const tf_layout_t *layout = &region->layout;
    tf_status_t status = reserve_fixed(region->file_fd, layout);
    if (status == TF_ERR_FULL) {
        /* The file of the writer before us may fill /dev/shm. It is dead, and a restart must not
         * need twice the room: its readers keep their mapping, newcomers wait for ours. */
        char old[TF_REGION_PATH_BYTES_MAX];
        tf_region_path(old, region->name, "");
        if (unlink(old) == 0)
            status = reserve_fixed(region->file_fd, layout);
    }
    if (status != TF_OK)
        return status;
    void *base =
        mmap(NULL, layout->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region->file_fd, 0);
    if (base == MAP_FAILED)
        return tf_error(TF_ERR_SYS, "mmap: %s", strerrordesc_np(errno));
    region->base = base;
    region->header = base;
    region->ring = (tf_ring_writer_t){
        .word = (_Atomic uint64_t *)(void *)(region->base + layout->ring_offset),
        .header = region->header,
        .bytes = layout->ring_bytes,
    };
    return TF_OK;
}

static tf_status_t file_publish(tf_region_t *region)
{
    char aside[TF_REGION_PATH_BYTES_MAX];
    char path[TF_REGION_PATH_BYTES_MAX];
    tf_region_path(path, region->name, "");
    tf_status_t status =
        tf_region_file_make(region->name, region->layout.file_bytes, &region->file_fd, aside);
    if (status != TF_OK)
        return status;
    status = file_map(region);
    if (status == TF_OK) {
        header_fill(region);
        if (rename(aside, path) != 0)
            status =
                tf_error(TF_ERR_SYS, "rename %s to %s: %s", aside, path, strerrordesc_np(errno));
    }
    if (status != TF_OK)
        (void)unlink(aside);
    return status;
}

static void region_free(tf_region_t *region)
{
    if (region->base != NULL)
        (void)munmap(region->base, region->layout.file_bytes);
    if (region->file_fd >= 0)
        (void)close(region->file_fd);
    if (region->lock_fd >= 0)
        (void)close(region->lock_fd);
    tf_book_edit_fini(&region->edit);
    tf_mem_free(region);
}

tf_status_t tf_region_create(tf_region_t **out, const tf_region_config_t *config,
                             const tf_clock_t *clock, tf_stats_t *stats)
{
    *out = NULL;
    if (!tf_region_name_valid(config->name))
        return tf_error(TF_ERR_ARG, "region name \"%.80s\": 1 to %d of [A-Za-z0-9_-] are allowed",
                        config->name, TF_REGION_NAME_BYTES_MAX - 1);
    tf_layout_t layout;
    if (!tf_layout_plan(&layout, config))
        return tf_error(TF_ERR_ARG,
                        "region \"%s\": out of range: instruments_max 1..%d, image_depth 1..%d, "
                        "trades_kept %d..%d, ring_bytes %d..%llu",
                        config->name, TF_REGION_INSTRUMENTS_MAX, TF_IMAGE_DEPTH_MAX,
                        TF_REGION_TRADES_MIN, TF_REGION_TRADES_MAX, TF_RING_BYTES_MIN,
                        TF_RING_BYTES_MAX);
    tf_region_t *region = tf_mem_calloc(1, sizeof *region);
    if (region == NULL)
        return tf_error(TF_ERR_MEMORY, "region \"%s\": no memory", config->name);
    region->layout = layout;
    region->clock = clock;
    region->stats = stats;
    region->epoch = epoch_new();
    region->lock_fd = -1;
    region->file_fd = -1;
    (void)snprintf(region->name, sizeof region->name, "%s", config->name);
    tf_status_t status = tf_book_edit_init(&region->edit, layout.image_depth)
                             ? tf_region_lock(region->name, &region->lock_fd)
                             : tf_error(TF_ERR_MEMORY, "no memory");
    if (status == TF_OK)
        status = file_publish(region);
    if (status != TF_OK) {
        region_free(region);
        return tf_error_within(status, "region \"%s\"", config->name);
    }
    *out = region;
    return TF_OK;
}

void tf_region_close(tf_region_t *region, bool remove)
{
    if (region == NULL)
        return;
    atomic_store_explicit(&region->header->state, TF_REGION_CLOSED, memory_order_release);
    tf_bells_ring_all(&region->bells);
    if (region->guests != NULL)
        tf_bell_host_ring_all(region->guests);
    tf_bell_host_close(region->guests);
    if (remove) { /* before the lock goes: after it the name may lead to another writer's file */
        char path[TF_REGION_PATH_BYTES_MAX];
        tf_region_path(path, region->name, "");
        (void)unlink(path);
    }
    region_free(region);
}

uint64_t tf_region_epoch(const tf_region_t *region)
{
    return region->epoch;
}

uint32_t tf_region_image_depth(const tf_region_t *region)
{
    return region->layout.image_depth;
}

void tf_region_heartbeat(tf_region_t *region, int64_t now_mono_ns)
{
    atomic_store_explicit(&region->header->heartbeat_mono_ns, (uint64_t)now_mono_ns,
                          memory_order_release);
}

tf_status_t tf_region_bell_add(tf_region_t *region, tf_bell_t *bell)
{
    tf_bells_t *bells = &region->bells;
    if (bells->count == TF_BELLS_MAX)
        return tf_error(TF_ERR_FULL, "region \"%s\": %d readers have a bell already", region->name,
                        TF_BELLS_MAX);
    bells->bell[bells->count++] = bell;
    return TF_OK;
}

tf_status_t tf_region_bell_host(tf_region_t *region, tf_stats_t *stats)
{
    TF_ASSERT(region->guests == NULL);
    tf_status_t status = tf_bell_host_open(&region->guests, region->name, stats);
    return status == TF_OK ? TF_OK : tf_error_within(status, "region \"%s\"", region->name);
}

void tf_region_ring_bells(tf_region_t *region)
{
    uint32_t rings = tf_bells_ring(&region->bells) ? 1 : 0;
    if (region->guests != NULL)
        rings += tf_bell_host_ring(region->guests);
    if (rings > 0)
        tf_count(region->stats, bell_rings_total, rings);
}
