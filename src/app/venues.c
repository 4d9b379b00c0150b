#include "app/venues.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 4096, LIVE_SYMBOLS_MAX = 1024 };

/* Splits "key=value,key=value" in place; false at the end. An item without '=' has a value of NULL.
 */
static bool next_pair(char **rest, char **key, char **value)
{
    if (*rest == NULL || **rest == '\0')
        return false;
    *key = *rest;
    char *comma = strchr(*rest, ',');
    *rest = comma != NULL ? comma + 1 : NULL;
    if (comma != NULL)
        *comma = '\0';
    *value = strchr(*key, '=');
    if (*value != NULL)
        *(*value)++ = '\0';
    return true;
}

static bool real_parse(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return *text != '\0' && *end == '\0' && *out >= 0 && *out < 1e9;
}

static tf_status_t bad_key(const char *key, const char *value, const char *expected)
{
    return tf_error(TF_ERR_ARG, "\"%s%s%s\": expected %s", key, value != NULL ? "=" : "",
                    value != NULL ? value : "", expected);
}

/* ---- sim ---- */

static tf_status_t sim_key(tf_sim_config_t *config, const char *key, const char *value)
{
    double number;
    if (value == NULL || !real_parse(value, &number))
        return bad_key(key, value,
                       "key=number with seed, instruments, updates_per_s, trades_per_s, depth, "
                       "burst_every_s or burst_factor");
    if (strcmp(key, "seed") == 0)
        config->seed = (uint64_t)number;
    else if (strcmp(key, "instruments") == 0)
        config->instruments = (uint32_t)number;
    else if (strcmp(key, "updates_per_s") == 0)
        config->updates_per_s = number;
    else if (strcmp(key, "trades_per_s") == 0)
        config->trades_per_s = number;
    else if (strcmp(key, "depth") == 0)
        config->depth = (uint32_t)number;
    else if (strcmp(key, "burst_every_s") == 0)
        config->burst_every_s = number;
    else if (strcmp(key, "burst_factor") == 0)
        config->burst_factor = number;
    else
        return bad_key(
            key, value,
            "one of seed, instruments, updates_per_s, trades_per_s, depth, burst_every_s, "
            "burst_factor");
    return TF_OK;
}

/* Add a link to ingest, or give its source back. */
static tf_status_t add(tf_ingest_t *ingest, const tf_ingest_link_t *link)
{
    tf_status_t status = tf_ingest_link_add(ingest, link);
    if (status != TF_OK)
        link->source->ops->destroy(link->source);
    return status;
}

static tf_status_t sim_link(tf_ingest_t *ingest, const tf_sim_config_t *config, tf_source_t *source)
{
    char(*name)[TF_SYMBOL_BYTES_MAX] = tf_mem_calloc(config->instruments, sizeof *name);
    const char **symbols = tf_mem_calloc((size_t)config->instruments + 1, sizeof *symbols);
    tf_status_t status = TF_OK;
    if (name == NULL || symbols == NULL) {
        source->ops->destroy(source);
        status = tf_error(TF_ERR_MEMORY, "out of memory");
    } else {
        for (uint32_t i = 0; i < config->instruments; i++) {
            tf_sim_symbol(i, name[i]);
            symbols[i] = name[i];
        }
        const tf_ingest_link_t link = {"sim", tf_adapter_find("coinbase", strlen("coinbase")),
                                       source, symbols};
        status = add(ingest, &link);
    }
    tf_mem_free(symbols);
    tf_mem_free(name);
    return status;
}

static tf_status_t sim_add(tf_ingest_t *ingest, char *keys)
{
    tf_sim_config_t config = tf_sim_config_default;
    char *key;
    char *value;
    while (next_pair(&keys, &key, &value)) {
        tf_status_t status = sim_key(&config, key, value);
        if (status != TF_OK)
            return status;
    }
    tf_source_t *source;
    tf_status_t status = tf_sim_open(&source, &config);
    if (status != TF_OK)
        return status;
    tf_log(TF_LOG_INFO, "sim", "seed=%llu instruments=%u", (unsigned long long)config.seed,
           config.instruments);
    return sim_link(ingest, &config, source);
}

/* ---- replay ---- */

static tf_status_t replay_key(tf_replay_config_t *config, const char *key, const char *value)
{
    if (value != NULL && strcmp(key, "speed") == 0) {
        if (strcmp(value, "max") == 0) {
            config->speed = 0;
            return TF_OK;
        }
        if (real_parse(value, &config->speed) && config->speed > 0)
            return TF_OK;
    } else if (value != NULL && strcmp(key, "loop") == 0) {
        config->loop = strcmp(value, "yes") == 0;
        if (config->loop || strcmp(value, "no") == 0)
            return TF_OK;
    }
    return bad_key(key, value, "speed=N (greater than 0), speed=max, loop=yes or loop=no");
}

static tf_status_t replay_add(tf_ingest_t *ingest, char *text)
{
    char *file = strchr(text, ':');
    if (file == NULL)
        return tf_error(TF_ERR_ARG, "expected replay:VENUE:FILE[:speed=N|max,loop=yes]");
    *file++ = '\0';
    const tf_adapter_ops_t *adapter = tf_adapter_find(text, strlen(text));
    if (adapter == NULL)
        return tf_error(TF_ERR_ARG, "no adapter for venue \"%s\"; this build knows coinbase", text);
    tf_replay_config_t config = {.path = file, .speed = 1, .loop = false};
    /* A file's name may hold colons: only a last part with '=' is options. */
    char *keys = strrchr(file, ':');
    if (keys != NULL && strchr(keys, '=') != NULL)
        *keys++ = '\0';
    else
        keys = NULL;
    char *key;
    char *value;
    while (next_pair(&keys, &key, &value)) {
        tf_status_t status = replay_key(&config, key, value);
        if (status != TF_OK)
            return status;
    }
    tf_source_t *source;
    tf_status_t status = tf_replay_open(&source, &config);
    if (status != TF_OK)
        return status;
    const tf_ingest_link_t link = {adapter->venue, adapter, source, NULL};
    return add(ingest, &link);
}

/* ---- live ---- */

static bool ms_parse(const char *text, int64_t *out_ns)
{
    char *end;
    long long ms = strtoll(text, &end, 10);
    bool number = *text >= '0' && *text <= '9' && *end == '\0' && ms < INT32_MAX;
    if (number)
        *out_ns = ms * TF_NS_PER_MS;
    return number;
}

static tf_status_t live_key(tf_link_config_t *config, const char *key, const char *value)
{
    static const char expected[] =
        "url=wss://..., ca=FILE, or a whole number of milliseconds for silence_ms, connect_ms, "
        "backoff_min_ms, backoff_max_ms or ping_ms";
    const struct {
        const char *key;
        int64_t *ns;
    } times[] = {
        {"silence_ms", &config->silence_ns},
        {"connect_ms", &config->connect_ns},
        {"backoff_min_ms", &config->backoff_min_ns},
        {"backoff_max_ms", &config->backoff_max_ns},
        {"ping_ms", &config->ping_ns},
    };
    if (value != NULL && *value != '\0' && strcmp(key, "url") == 0) {
        config->url = value;
        return TF_OK;
    }
    if (value != NULL && *value != '\0' && strcmp(key, "ca") == 0) {
        config->ca_path = value;
        return TF_OK;
    }
    for (size_t i = 0; value != NULL && i < sizeof times / sizeof times[0]; i++) {
        if (strcmp(key, times[i].key) == 0 && ms_parse(value, times[i].ns))
            return TF_OK;
    }
    return bad_key(key, value, expected);
}

/* "A,B,C" in place, to a NULL-terminated list. */
static tf_status_t symbols_split(char *text, const char *symbols[LIVE_SYMBOLS_MAX + 1])
{
    size_t count = 0;
    for (char *at = text; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL)
            *comma++ = '\0';
        if (*at == '\0')
            return tf_error(TF_ERR_ARG, "an empty symbol: expected SYMBOL,SYMBOL,...");
        if (count == LIVE_SYMBOLS_MAX)
            return tf_error(TF_ERR_ARG, "more than %d symbols", LIVE_SYMBOLS_MAX);
        symbols[count++] = at;
        at = comma;
    }
    symbols[count] = NULL;
    return TF_OK;
}

/* `text` is what stands behind NAME: NULL, symbols, keys, or both. */
static tf_status_t live_add(tf_ingest_t *ingest, tf_links_t *links, const tf_adapter_ops_t *adapter,
                            char *text)
{
    const char *symbols[LIVE_SYMBOLS_MAX + 1] = {NULL};
    tf_link_config_t config = tf_link_config_default;
    config.venue = adapter->venue;
    config.url = adapter->url;
    config.requests_per_s = adapter->rules.requests_per_s;
    char *keys = text;
    tf_status_t status = TF_OK;
    if (text != NULL && strcspn(text, "=") > strcspn(text, ":")) {
        keys = strchr(text, ':');
        *keys++ = '\0';
        status = symbols_split(text, symbols);
    } else if (text != NULL && strchr(text, '=') == NULL) {
        keys = NULL;
        status = symbols_split(text, symbols);
    }
    char *key;
    char *value;
    while (status == TF_OK && next_pair(&keys, &key, &value))
        status = live_key(&config, key, value);
    if (status == TF_OK && config.url == NULL)
        status = tf_error(TF_ERR_ARG, "no address of this venue is known: expected url=wss://...");
    tf_source_t *source = NULL;
    if (status == TF_OK)
        status = tf_link_open(&source, links, &config);
    if (status != TF_OK)
        return status;
    const tf_ingest_link_t link = {adapter->venue, adapter, source,
                                   symbols[0] != NULL ? symbols : adapter->default_symbols};
    return add(ingest, &link);
}

void tf_venue_name(const char *text, char *out)
{
    static const char replay[] = "replay:";
    if (strncmp(text, replay, sizeof replay - 1) == 0)
        text += sizeof replay - 1;
    (void)snprintf(out, TF_VENUE_BYTES_MAX, "%.*s", (int)strcspn(text, ":"), text);
}

tf_status_t tf_venue_add(tf_ingest_t *ingest, tf_links_t *links, const char *text)
{
    char copy[TEXT_BYTES_MAX];
    if (strlen(text) >= sizeof copy)
        return tf_error(TF_ERR_ARG, "--venue: longer than %d bytes", TEXT_BYTES_MAX - 1);
    (void)snprintf(copy, sizeof copy, "%s", text);
    char *rest = strchr(copy, ':');
    if (rest != NULL)
        *rest++ = '\0';
    tf_status_t status;
    if (strcmp(copy, "sim") == 0)
        status = sim_add(ingest, rest);
    else if (strcmp(copy, "replay") == 0 && rest != NULL)
        status = replay_add(ingest, rest);
    else if (tf_adapter_find(copy, strlen(copy)) != NULL)
        status = live_add(ingest, links, tf_adapter_find(copy, strlen(copy)), rest);
    else
        status = tf_error(TF_ERR_ARG, "expected sim[:...], coinbase[:...] or "
                                      "replay:VENUE:FILE[:...]");
    return status == TF_OK ? TF_OK : tf_error_within(status, "--venue %s", text);
}
