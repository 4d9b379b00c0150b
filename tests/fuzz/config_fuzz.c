/*
 * Configuration files: whatever the bytes, one answer and nothing left behind; and what is accepted
 * is what libyaml's document loader, which the product does not use, reads too.
 */
#include "base/mem.h"
#include "config/config.h"

#include <string.h>
#include <yaml.h>

enum { VENUE, LISTEN, BATCH, KEYS };

static const tf_config_key_t keys[KEYS] = {
    [VENUE] = {"venue", "a list of texts", true},
    [LISTEN] = {"listen", "one text", false},
    [BATCH] = {"batch_us", "a number", false},
};

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer gives the name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void same(const tf_config_item_t item, const yaml_node_t *node)
{
    TF_ASSERT(node->type == YAML_SCALAR_NODE);
    TF_ASSERT(strlen(item.text) == node->data.scalar.length);
    TF_ASSERT(memcmp(item.text, node->data.scalar.value, node->data.scalar.length) == 0);
    TF_ASSERT(item.line == node->start_mark.line + 1);
}

static uint32_t key_of(const yaml_node_t *node)
{
    TF_ASSERT(node->type == YAML_SCALAR_NODE);
    uint32_t key = 0;
    while (key < KEYS && strcmp(keys[key].name, (const char *)node->data.scalar.value) != 0)
        key++;
    TF_ASSERT(key < KEYS);
    return key;
}

static void pair_compare(const tf_config_t *config, yaml_document_t *document,
                         const yaml_node_pair_t *pair)
{
    uint32_t key = key_of(yaml_document_get_node(document, pair->key));
    const yaml_node_t *value = yaml_document_get_node(document, pair->value);
    if (!keys[key].is_list) {
        TF_ASSERT(tf_config_count(config, key) == 1);
        same(tf_config_item(config, key, 0), value);
        return;
    }
    TF_ASSERT(value->type == YAML_SEQUENCE_NODE);
    const yaml_node_item_t *item = value->data.sequence.items.start;
    for (uint32_t i = 0; i < tf_config_count(config, key); i++)
        same(tf_config_item(config, key, i), yaml_document_get_node(document, *item++));
    TF_ASSERT(item == value->data.sequence.items.top);
}

static void compare(const tf_config_t *config, const uint8_t *data, size_t bytes)
{
    yaml_parser_t parser;
    yaml_document_t document;
    TF_ASSERT(yaml_parser_initialize(&parser) != 0);
    yaml_parser_set_input_string(&parser, data, bytes);
    TF_ASSERT(yaml_parser_load(&parser, &document) != 0);
    uint32_t wanted = 0;
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root != NULL && root->type == YAML_MAPPING_NODE) {
        for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
             pair < root->data.mapping.pairs.top; pair++) {
            pair_compare(config, &document, pair);
            wanted += tf_config_count(config, key_of(yaml_document_get_node(&document, pair->key)));
        }
    }
    uint32_t there = 0;
    for (uint32_t key = 0; key < KEYS; key++)
        there += tf_config_count(config, key);
    TF_ASSERT(there == wanted);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static tf_report_t report;
    report.count = 0;
    uint64_t before = tf_mem_in_use_bytes();
    tf_config_t *config;
    tf_status_t status =
        tf_config_parse(&config, "f.yaml", (const char *)data, bytes, keys, KEYS, &report);
    TF_ASSERT((status == TF_OK) == (config != NULL));
    TF_ASSERT(status == TF_OK || (status == TF_ERR_FORMAT && report.count > 0));
    for (uint32_t i = 0; i < report.count && i < TF_REPORT_LINES_MAX; i++) {
        TF_ASSERT(strncmp(report.line[i], "f.yaml:", 7) == 0);
        /* What is left to libcyaml has no mistake any more. */
        TF_ASSERT(strncmp(report.line[i], "f.yaml: libcyaml", 16) != 0);
    }
    if (status == TF_OK && report.count == 0)
        compare(config, data, bytes);
    tf_config_close(config);
    TF_ASSERT(tf_mem_in_use_bytes() == before);
    return 0;
}
