#include "app/venue_text.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static tf_status_t sim_parse(tf_venue_text_t *venue, char *keys)
{
    char *key;
    char *value;
    tf_status_t status = TF_OK;
    venue->form = TF_VENUE_SIM;
    venue->adapter = tf_adapter_find("coinbase", strlen("coinbase")); /* what it speaks */
    venue->sim = tf_sim_config_default;
    while (status == TF_OK && next_pair(&keys, &key, &value))
        status = sim_key(&venue->sim, key, value);
    return status == TF_OK ? tf_sim_config_check(&venue->sim) : status;
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

static tf_status_t replay_parse(tf_venue_text_t *venue, char *text)
{
    char *file = strchr(text, ':');
    if (file == NULL)
        return tf_error(TF_ERR_ARG, "expected replay:VENUE:FILE[:speed=N|max,loop=yes]");
    *file++ = '\0';
    venue->form = TF_VENUE_REPLAY;
    venue->adapter = tf_adapter_find(text, strlen(text));
    if (venue->adapter == NULL)
        return tf_error(TF_ERR_ARG, "no adapter for venue \"%s\"; this build knows coinbase", text);
    venue->replay = (tf_replay_config_t){.path = file, .speed = 1, .loop = false};
    /* A file's name may hold colons: only a last part with '=' is options. */
    char *keys = strrchr(file, ':');
    if (keys != NULL && strchr(keys, '=') != NULL)
        *keys++ = '\0';
    else
        keys = NULL;
    char *key;
    char *value;
    tf_status_t status = TF_OK;
    while (status == TF_OK && next_pair(&keys, &key, &value))
        status = replay_key(&venue->replay, key, value);
    return status;
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
static tf_status_t symbols_split(char *text, const tf_adapter_ops_t *adapter,
                                 const char *symbols[TF_VENUE_SYMBOLS_MAX + 1])
{
    char name[TF_SYMBOL_BYTES_MAX];
    size_t count = 0;
    for (char *at = text; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL)
            *comma++ = '\0';
        if (*at == '\0')
            return tf_error(TF_ERR_ARG, "an empty symbol: expected SYMBOL,SYMBOL,...");
        if (count == TF_VENUE_SYMBOLS_MAX)
            return tf_error(TF_ERR_ARG, "more than %d symbols", TF_VENUE_SYMBOLS_MAX);
        if (!adapter->symbol_to_venue(at, name))
            return tf_error(TF_ERR_ARG, "\"%s\" is not a symbol of this venue (BASE-QUOTE)", at);
        symbols[count++] = at;
        at = comma;
    }
    symbols[count] = NULL;
    return TF_OK;
}

/* `text` is what stands behind NAME: NULL, symbols, keys, or both. */
static tf_status_t live_parse(tf_venue_text_t *venue, const tf_adapter_ops_t *adapter, char *text)
{
    tf_link_config_t *config = &venue->live;
    venue->form = TF_VENUE_LIVE;
    venue->adapter = adapter;
    *config = tf_link_config_default;
    config->venue = adapter->venue;
    config->url = adapter->url;
    config->requests_per_s = adapter->rules.requests_per_s;
    char *keys = text;
    tf_status_t status = TF_OK;
    if (text != NULL && strcspn(text, "=") > strcspn(text, ":")) {
        keys = strchr(text, ':');
        *keys++ = '\0';
        status = symbols_split(text, adapter, venue->symbols);
    } else if (text != NULL && strchr(text, '=') == NULL) {
        keys = NULL;
        status = symbols_split(text, adapter, venue->symbols);
    }
    char *key;
    char *value;
    while (status == TF_OK && next_pair(&keys, &key, &value))
        status = live_key(config, key, value);
    return status == TF_OK ? tf_link_config_check(config) : status;
}

/* ---- all ---- */

tf_status_t tf_venue_text_parse(tf_venue_text_t *out, const char *text)
{
    memset(out, 0, sizeof *out);
    if (strlen(text) >= sizeof out->text)
        return tf_error(TF_ERR_ARG, "longer than %d bytes", TF_VENUE_TEXT_BYTES_MAX - 1);
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    char *rest = strchr(out->text, ':');
    if (rest != NULL)
        *rest++ = '\0';
    const tf_adapter_ops_t *adapter = tf_adapter_find(out->text, strlen(out->text));
    if (strcmp(out->text, "sim") == 0)
        return sim_parse(out, rest);
    if (strcmp(out->text, "replay") == 0 && rest != NULL)
        return replay_parse(out, rest);
    if (adapter != NULL)
        return live_parse(out, adapter, rest);
    return tf_error(TF_ERR_ARG, "expected sim[:...], coinbase[:...] or replay:VENUE:FILE[:...]");
}

void tf_venue_name(const char *text, char *out)
{
    static const char replay[] = "replay:";
    if (strncmp(text, replay, sizeof replay - 1) == 0)
        text += sizeof replay - 1;
    (void)snprintf(out, TF_VENUE_BYTES_MAX, "%.*s", (int)strcspn(text, ":"), text);
}
