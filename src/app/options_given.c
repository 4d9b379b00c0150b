#include "app/options_given.h"

#include "app/options_table.h"
#include "base/mem.h"
#include "config/nearest.h"

#include <string.h>

static const char default_file[] = "tickfan.yaml";

static void out_of_memory(tf_report_t *report)
{
    tf_report_add(report, 0, "out of memory while reading the configuration");
}

/* ---- environment ---- */

enum { PREFIX_BYTES = 8, VARIABLE_BYTES_MAX = 64 };
static const char prefix[PREFIX_BYTES + 1] = "TICKFAN_";

/* Kubernetes puts these into every pod beside a service called "tickfan" or "tickfan-NAME". */
static bool made_by_kubernetes(const char *name, const char *value)
{
    size_t bytes = strlen(name);
    bool port = bytes >= 5 && strcmp(name + bytes - 5, "_PORT") == 0;
    const char *numbered = strstr(name, "_PORT_");
    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           (port && strstr(value, "://") != NULL) ||
           (numbered != NULL && numbered[6] >= '0' && numbered[6] <= '9');
}

static bool used_by_tests(const char *name)
{
    static const char *const names[] = {"TICKFAN_DATA", "TICKFAN_SEED", "TICKFAN_ROUNDS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* "sim;replay:coinbase:FILE": cut in place into texts, without the blanks around them. */
static void venues_split(tf_options_t *options, char *text, tf_report_t *report)
{
    static const char blanks[] = " \t\r";
    const tf_origin_t origin = {.given = TF_GIVEN_ENVIRONMENT};
    while (*text != '\0') {
        char *end = text + strcspn(text, ";\n");
        char *next = *end == '\0' ? end : end + 1;
        text += strspn(text, blanks);
        while (end > text && strchr(blanks, end[-1]) != NULL)
            end--;
        *end = '\0';
        if (end > text)
            tf_option_venue_add(options, text, origin, report);
        text = next;
    }
}

static void venue_variable(tf_options_t *options, const char *value, tf_report_t *report)
{
    size_t bytes = strlen(value) + 1;
    if (options->venue_texts != NULL)
        return; /* the same name twice in one environment: the first one counts, as for getenv(3) */
    options->venue_texts = tf_mem_calloc(1, bytes);
    if (options->venue_texts == NULL) {
        out_of_memory(report);
        return;
    }
    memcpy(options->venue_texts, value, bytes);
    venues_split(options, options->venue_texts, report);
}

static void unknown_variable(const char *name, tf_report_t *report)
{
    tf_nearest_t nearest = tf_nearest_to(name + PREFIX_BYTES);
    tf_nearest_try(&nearest, "venue");
    tf_nearest_try(&nearest, "config");
    for (int i = 0; i < TF_OPTION_ROWS; i++)
        tf_nearest_try(&nearest, tf_option_rows[i].key);
    char quoted[TF_QUOTE_BYTES_MAX];
    char meant[TF_OPTION_NAME_BYTES_MAX];
    if (nearest.name != NULL)
        tf_report_add(report, 0, "environment: found unknown variable %s, expected %s?",
                      tf_quote(name, quoted), tf_option_variable(nearest.name, meant));
    else
        tf_report_add(report, 0,
                      "environment: found unknown variable %s, expected TICKFAN_ and a key that "
                      "\"tickfan check\" prints",
                      tf_quote(name, quoted));
}

static const tf_option_row_t *row_of_variable(const char *name)
{
    char variable[TF_OPTION_NAME_BYTES_MAX];
    for (int i = 0; i < TF_OPTION_ROWS; i++) {
        if (strcmp(tf_option_variable(tf_option_rows[i].key, variable), name) == 0)
            return &tf_option_rows[i];
    }
    return NULL;
}

static void variable_take(tf_options_t *options, const char *name, const char *value,
                          tf_report_t *report)
{
    const tf_origin_t origin = {.given = TF_GIVEN_ENVIRONMENT};
    const tf_option_row_t *row = row_of_variable(name);
    bool config = strcmp(name, "TICKFAN_CONFIG") == 0;
    bool venue = strcmp(name, "TICKFAN_VENUE") == 0;
    if (row == NULL && !config && !venue) {
        if (!used_by_tests(name) && !made_by_kubernetes(name, value))
            unknown_variable(name, report);
    } else if (*value == '\0') {
        return;
    } else if (row != NULL) {
        tf_option_set(options, row, value, origin, report);
    } else if (venue) {
        venue_variable(options, value, report);
    } else if (options->config.origin.given < origin.given) {
        options->config.text = value;
        options->config.origin = origin;
    }
}

void tf_options_environment(tf_options_t *options, char *const *environment, tf_report_t *report)
{
    for (; *environment != NULL; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || strncmp(*environment, prefix, PREFIX_BYTES) != 0)
            continue;
        char name[VARIABLE_BYTES_MAX];
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - *environment), *environment);
        variable_take(options, name, equals + 1, report);
    }
}

/* ---- file ---- */

/* Key 0 is the list of venues, then the rows of the table in order. */
enum { VENUE_KEY, FIRST_ROW_KEY, KEYS = FIRST_ROW_KEY + TF_OPTION_ROWS };

typedef struct file_keys {
    tf_config_key_t key[KEYS];
    char expected[TF_OPTION_ROWS][TF_EXPECTED_BYTES_MAX];
} file_keys_t;

static void keys_make(file_keys_t *keys)
{
    keys->key[VENUE_KEY] = (tf_config_key_t){
        .name = "venue", .expected = "a list of texts, as [sim]", .is_list = true};
    for (int i = 0; i < TF_OPTION_ROWS; i++)
        keys->key[FIRST_ROW_KEY + i] = (tf_config_key_t){
            .name = tf_option_rows[i].key,
            .expected = tf_option_expected(&tf_option_rows[i], keys->expected[i]),
        };
}

static void file_take(tf_options_t *options, tf_report_t *report)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        for (uint32_t i = 0; i < tf_config_count(options->file, key); i++) {
            tf_config_item_t item = tf_config_item(options->file, key, i);
            const tf_origin_t origin = {.given = TF_GIVEN_FILE, .line = item.line};
            if (key == VENUE_KEY)
                tf_option_venue_add(options, item.text, origin, report);
            else
                tf_option_set(options, &tf_option_rows[key - FIRST_ROW_KEY], item.text, origin,
                              report);
        }
    }
}

void tf_options_file(tf_options_t *options, tf_report_t *report)
{
    bool named = options->config.origin.given != TF_GIVEN_NOWHERE;
    const char *path = named ? options->config.text : default_file;
    options->config.text = NULL;
    if (named && strcmp(path, "none") == 0)
        return;
    file_keys_t keys;
    keys_make(&keys);
    tf_status_t status = tf_config_read(&options->file, path, keys.key, KEYS, report);
    if (status == TF_OK) {
        options->config.text = path;
        file_take(options, report);
    } else if (status == TF_ERR_ABSENT && named) {
        tf_report_add(report, 0, "%s: no such file; \"--config none\" reads none",
                      tf_path_end(path));
    } else if (status == TF_ERR_MEMORY) {
        out_of_memory(report);
    }
}
