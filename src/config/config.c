#include "config/config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "config/places.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cyaml/cyaml.h>

/* Where libcyaml puts a key's value. */
typedef struct slot {
    char *text;  /* a key that is no list */
    char **list; /* a list */
    uint32_t list_count;
} slot_t;

struct tf_config {
    uint32_t key_count;
    tf_places_t places;
    slot_t *slot; /* by key; libcyaml's; NULL when the file has none of them */
    cyaml_schema_field_t *fields;
    cyaml_schema_value_t root;
};

/* ---- libcyaml ---- */

static void *cyaml_memory(void *context, void *block, size_t bytes)
{
    (void)context;
    if (bytes > 0)
        return tf_mem_realloc(block, 1, bytes);
    tf_mem_free(block);
    return NULL;
}

static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

/* One field per key that was found in its right shape: the others are skipped as unknown. */
static void schema_make(tf_config_t *config, const tf_config_key_t *keys)
{
    cyaml_schema_field_t *field = config->fields;
    for (uint32_t i = 0; i < config->key_count; i++) {
        const tf_place_t *place = &config->places.key[i];
        if (place->key_line == 0 || place->bad)
            continue;
        uint32_t base = i * (uint32_t)sizeof(slot_t);
        field->key = keys[i].name;
        if (keys[i].is_list) {
            field->data_offset = base + (uint32_t)offsetof(slot_t, list);
            field->count_offset = base + (uint32_t)offsetof(slot_t, list_count);
            field->count_size = sizeof(uint32_t);
            field->value = (cyaml_schema_value_t){
                CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char *, &text_schema,
                                     0, CYAML_UNLIMITED)};
        } else {
            field->data_offset = base + (uint32_t)offsetof(slot_t, text);
            field->value = (cyaml_schema_value_t){CYAML_VALUE_STRING(
                CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0, CYAML_UNLIMITED)};
        }
        field++;
    }
    config->root = (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER,
        .data_size = config->key_count * (uint32_t)sizeof(slot_t),
        .mapping = {.fields = config->fields},
    };
}

static const cyaml_config_t cyaml_settings = {
    .mem_fn = cyaml_memory,
    .flags = CYAML_CFG_IGNORE_UNKNOWN_KEYS | CYAML_CFG_NO_ALIAS,
};

static tf_status_t texts_load(tf_config_t *config, const char *path, const char *data, size_t bytes,
                              const tf_config_key_t *keys, tf_report_t *report)
{
    config->fields = tf_mem_calloc((size_t)config->key_count + 1, sizeof *config->fields);
    if (config->fields == NULL)
        return TF_ERR_MEMORY;
    schema_make(config, keys);
    cyaml_data_t *slots = NULL;
    cyaml_err_t error =
        cyaml_load_data((const uint8_t *)data, bytes, &cyaml_settings, &config->root, &slots, NULL);
    config->slot = slots;
    if (error == CYAML_OK)
        return TF_OK;
    if (error == CYAML_ERR_OOM)
        return TF_ERR_MEMORY;
    tf_report_add(report, 0, "%s: libcyaml: %s", path, cyaml_strerror(error));
    return TF_ERR_FORMAT;
}

/* ---- bytes ---- */

static uint32_t line_of(const char *data, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += data[i] == '\n';
    return line;
}

static bool bytes_fit(const char *path, const char *data, size_t bytes, tf_report_t *report)
{
    if (bytes > TF_CONFIG_BYTES_MAX) {
        tf_report_add(report, 0, "%s: found more than %d bytes, expected a configuration file",
                      path, TF_CONFIG_BYTES_MAX);
        return false;
    }
    tf_utf8_t state = {0};
    size_t good = 0;
    while (good < bytes && tf_utf8_feed(&state, (const uint8_t *)data + good, 1))
        good++;
    if (good == bytes && tf_utf8_complete(&state))
        return true;
    if (good == bytes)
        tf_report_add(report, 0, "%s:%u: found half a character at the end, expected UTF-8 text",
                      path, line_of(data, good));
    else
        tf_report_add(report, 0, "%s:%u: found byte 0x%02x, expected UTF-8 text", path,
                      line_of(data, good), (unsigned)(unsigned char)data[good]);
    return false;
}

tf_status_t tf_config_parse(tf_config_t **out, const char *path, const char *data, size_t bytes,
                            const tf_config_key_t *keys, uint32_t key_count, tf_report_t *report)
{
    *out = NULL;
    path = tf_path_end(path);
    if (!bytes_fit(path, data, bytes, report))
        return TF_ERR_FORMAT;
    tf_config_t *config = tf_mem_calloc(1, sizeof *config);
    if (config == NULL)
        return TF_ERR_MEMORY;
    config->key_count = key_count;
    tf_status_t status =
        tf_places_find(&config->places, path, data, bytes, keys, key_count, report);
    if (status == TF_OK && !config->places.empty)
        status = texts_load(config, path, data, bytes, keys, report);
    if (status != TF_OK) {
        tf_config_close(config);
        return status;
    }
    *out = config;
    return TF_OK;
}

/* At most one byte more than is allowed, which is enough to see that it is too much. */
static tf_status_t file_read(int fd, const char *path, tf_buf_t *out, tf_report_t *report)
{
    enum { STEP_BYTES = 16 * 1024 };
    while (out->bytes <= TF_CONFIG_BYTES_MAX) {
        char *room = tf_buf_reserve(out, STEP_BYTES);
        if (room == NULL)
            return TF_ERR_MEMORY;
        ssize_t got = read(fd, room, STEP_BYTES);
        if (got == 0)
            break;
        if (got > 0) {
            tf_buf_commit(out, (size_t)got);
        } else if (errno != EINTR) {
            tf_report_add(report, 0, "%s: %s", tf_path_end(path), strerrordesc_np(errno));
            return TF_ERR_FORMAT;
        }
    }
    return TF_OK;
}

tf_status_t tf_config_read(tf_config_t **out, const char *path, const tf_config_key_t *keys,
                           uint32_t key_count, tf_report_t *report)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return TF_ERR_ABSENT;
        tf_report_add(report, 0, "%s: %s", tf_path_end(path), strerrordesc_np(errno));
        return TF_ERR_FORMAT;
    }
    tf_buf_t buf = {0};
    tf_status_t status = file_read(fd, path, &buf, report);
    (void)close(fd);
    if (status == TF_OK)
        status = tf_config_parse(out, path, buf.data, buf.bytes, keys, key_count, report);
    tf_buf_fini(&buf);
    return status;
}

void tf_config_close(tf_config_t *config)
{
    if (config == NULL)
        return;
    if (config->slot != NULL)
        (void)cyaml_free(&cyaml_settings, &config->root, config->slot, 0);
    tf_places_fini(&config->places);
    tf_mem_free(config->fields);
    tf_mem_free(config);
}

/* ---- reading ---- */

uint32_t tf_config_count(const tf_config_t *config, uint32_t key)
{
    TF_ASSERT(key < config->key_count);
    const tf_place_t *place = &config->places.key[key];
    return place->bad || config->slot == NULL ? 0 : place->count;
}

tf_config_item_t tf_config_item(const tf_config_t *config, uint32_t key, uint32_t at)
{
    TF_ASSERT(at < tf_config_count(config, key));
    const slot_t *slot = &config->slot[key];
    const tf_place_t *place = &config->places.key[key];
    /* Both libraries have read the same document. */
    TF_ASSERT(slot->text != NULL || slot->list_count == place->count);
    return (tf_config_item_t){
        .text = slot->text != NULL ? slot->text : slot->list[at],
        .line = config->places.line[place->first + at],
    };
}
