#include "config/places.h"

#include "base/mem.h"
#include "config/nearest.h"

#include <string.h>
#include <yaml.h>

/* No key of ours holds more than a list. libyaml takes time quadratic in the depth: 256 KiB of "["
 * took it minutes. */
enum { DEPTH_MAX = 16 };

typedef struct walk {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    tf_places_t *places;
    const tf_config_key_t *keys;
    tf_report_t *report;
    const char *path;
    const char *data;
    size_t bytes;
    uint32_t key_count;
    bool unloadable; /* something that libcyaml would stop at, or misread, was reported */
    bool out_of_memory;
} walk_t;

/* ---- events ---- */

static uint32_t event_line(const walk_t *walk)
{
    return (uint32_t)walk->event.start_mark.line + 1;
}

/* The reader's errors have an offset only. */
static uint32_t line_at(const walk_t *walk, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset && i < walk->bytes; i++)
        line += walk->data[i] == '\n';
    return line;
}

/* Is a tab in the white space in front of what stands on this line (from 1)? */
static bool indented_by_tab(const walk_t *walk, uint32_t line)
{
    const char *at = walk->data;
    const char *end = walk->data + walk->bytes;
    while (line > 1 && at < end)
        line -= *at++ == '\n';
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\t';
}

static void reader_error(walk_t *walk)
{
    uint32_t line = line_at(walk, walk->parser.problem_offset);
    tf_report_add(walk->report, line, "%s:%u: found byte %#x, expected a text file: %s", walk->path,
                  line, (unsigned)walk->parser.problem_value, walk->parser.problem);
}

static void syntax_error(walk_t *walk)
{
    const yaml_parser_t *parser = &walk->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "unreadable";
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    if (indented_by_tab(walk, line))
        tf_report_add(walk->report, line,
                      "%s:%u: found a tab in front of the text, expected spaces (%s)", walk->path,
                      line, problem);
    else if (parser->context != NULL)
        tf_report_add(walk->report, line,
                      "%s:%u: no valid YAML: %s, %s that began on line %u; expected lines like "
                      "\"key: value\"",
                      walk->path, line, problem, parser->context,
                      (unsigned)parser->context_mark.line + 1);
    else
        tf_report_add(walk->report, line,
                      "%s:%u: no valid YAML: %s; expected lines like \"key: value\"", walk->path,
                      line, problem);
}

/* To the next event; false after an error, which is reported: then the walk is over. */
static bool next(walk_t *walk)
{
    yaml_event_delete(&walk->event);
    if (yaml_parser_parse(&walk->parser, &walk->event) != 0)
        return true;
    walk->unloadable = true;
    if (walk->parser.error == YAML_MEMORY_ERROR)
        walk->out_of_memory = true;
    else if (walk->parser.error == YAML_READER_ERROR)
        reader_error(walk);
    else
        syntax_error(walk);
    return false;
}

/* Over the rest of the node that the current event begins, which was reported. */
static bool skip(walk_t *walk)
{
    uint32_t depth = 0;
    for (;;) {
        yaml_event_type_t type = walk->event.type;
        if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
            depth++;
        else if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT)
            depth--;
        else if (type == YAML_ALIAS_EVENT)
            walk->unloadable = true; /* libcyaml stops at it, also where it does not load */
        if (depth == 0)
            return true;
        if (depth > DEPTH_MAX) {
            tf_report_add(walk->report, event_line(walk),
                          "%s:%u: found more than %d levels, expected one or two", walk->path,
                          event_line(walk), DEPTH_MAX);
            return false;
        }
        if (!next(walk))
            return false;
    }
}

/* ---- one value ---- */

static bool line_add(walk_t *walk, uint32_t line)
{
    tf_places_t *places = walk->places;
    if (places->line_count == places->line_room) {
        uint32_t room = places->line_room == 0 ? 64 : places->line_room * 2;
        uint32_t *grown = tf_mem_realloc(places->line, room, sizeof *grown);
        if (grown == NULL) {
            walk->out_of_memory = true;
            return false;
        }
        places->line = grown;
        places->line_room = room;
    }
    places->line[places->line_count++] = line;
    return true;
}

static bool is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        if (strcmp((const char *)event->data.scalar.value, nulls[i]) == 0)
            return true;
    }
    return false;
}

/* What the current event is, for a message, when it is not one plain text. NULL when it is. */
static const char *unfit(const walk_t *walk)
{
    const yaml_event_t *event = &walk->event;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return "an alias (*), which is not followed";
    case YAML_SEQUENCE_START_EVENT:
        return "a list";
    case YAML_MAPPING_START_EVENT:
        return "a mapping";
    default:
        break;
    }
    if (event->data.scalar.anchor != NULL)
        return "an anchor (&), which is not kept";
    if (event->data.scalar.tag != NULL)
        return "a tag (!), which is not read";
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return "a text with a NUL in it";
    return is_null(event) ? "nothing" : NULL;
}

static void found(walk_t *walk, uint32_t key, const char *what)
{
    walk->places->key[key].bad = true;
    tf_report_add(walk->report, event_line(walk), "%s:%u: %s: found %s, expected %s", walk->path,
                  event_line(walk), walk->keys[key].name, what, walk->keys[key].expected);
}

/* One text of a key. */
static bool item(walk_t *walk, uint32_t key)
{
    const char *wrong = unfit(walk);
    if (wrong != NULL) {
        found(walk, key, wrong);
        return skip(walk);
    }
    walk->places->key[key].count++;
    return line_add(walk, event_line(walk));
}

static bool list(walk_t *walk, uint32_t key)
{
    if (walk->event.type != YAML_SEQUENCE_START_EVENT) {
        char text[TF_QUOTE_BYTES_MAX];
        const char *wrong = unfit(walk);
        if (wrong == NULL)
            wrong = tf_quote((const char *)walk->event.data.scalar.value, text);
        found(walk, key, wrong);
        return skip(walk);
    }
    if (walk->event.data.sequence_start.anchor != NULL ||
        walk->event.data.sequence_start.tag != NULL)
        found(walk, key, "an anchor (&) or a tag (!), which is not read");
    while (next(walk)) {
        if (walk->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        if (!item(walk, key))
            return false;
    }
    return false;
}

/* ---- the mapping ---- */

static void unknown_key(walk_t *walk, const char *name)
{
    char text[TF_QUOTE_BYTES_MAX];
    tf_nearest_t nearest = tf_nearest_to(name);
    for (uint32_t i = 0; i < walk->key_count; i++)
        tf_nearest_try(&nearest, walk->keys[i].name);
    if (nearest.name != NULL)
        tf_report_add(walk->report, event_line(walk), "%s:%u: found unknown key %s, expected %s?",
                      walk->path, event_line(walk), tf_quote(name, text), nearest.name);
    else
        tf_report_add(walk->report, event_line(walk),
                      "%s:%u: found unknown key %s, expected one that \"tickfan check\" prints",
                      walk->path, event_line(walk), tf_quote(name, text));
}

/* The index of the key that the current event names, or key_count, reported. */
static uint32_t key_find(walk_t *walk)
{
    if (walk->event.type != YAML_SCALAR_EVENT) {
        walk->unloadable = true; /* libcyaml takes scalars only */
        tf_report_add(walk->report, event_line(walk), "%s:%u: found %s as a key, expected a name",
                      walk->path, event_line(walk), unfit(walk));
        return walk->key_count;
    }
    const char *name = (const char *)walk->event.data.scalar.value;
    uint32_t key = 0;
    while (key < walk->key_count && strcmp(walk->keys[key].name, name) != 0)
        key++;
    if (strlen(name) != walk->event.data.scalar.length) {
        walk->unloadable = true; /* libcyaml would take it for the name before the NUL */
        tf_report_add(walk->report, event_line(walk),
                      "%s:%u: found a NUL in a key, expected a name", walk->path, event_line(walk));
        return walk->key_count;
    }
    if (key == walk->key_count) {
        unknown_key(walk, name);
        return walk->key_count;
    }
    tf_place_t *place = &walk->places->key[key];
    if (place->key_line != 0) {
        place->bad = true;
        tf_report_add(walk->report, event_line(walk),
                      "%s:%u: %s: found a second time, expected once (the first is on line %u)",
                      walk->path, event_line(walk), name, place->key_line);
        return walk->key_count;
    }
    place->key_line = event_line(walk);
    place->first = walk->places->line_count;
    return key;
}

static bool mapping(walk_t *walk)
{
    while (next(walk)) {
        if (walk->event.type == YAML_MAPPING_END_EVENT)
            return true;
        uint32_t key = key_find(walk);
        bool whole = key < walk->key_count || skip(walk); /* a key of several events */
        if (!whole || !next(walk))
            return false;
        if (key == walk->key_count)
            whole = skip(walk);
        else
            whole = walk->keys[key].is_list ? list(walk, key) : item(walk, key);
        if (!whole)
            return false;
    }
    return false;
}

/* The one document of the stream. */
static bool document(walk_t *walk)
{
    if (!next(walk)) /* the start of the stream */
        return false;
    if (!next(walk)) /* of the document */
        return false;
    walk->places->empty = walk->event.type == YAML_STREAM_END_EVENT;
    if (walk->places->empty)
        return true;
    if (!next(walk))
        return false;
    if (walk->event.type == YAML_MAPPING_START_EVENT) {
        if (!mapping(walk))
            return false;
    } else if (walk->event.type == YAML_SCALAR_EVENT && is_null(&walk->event)) {
        walk->places->empty = true;
    } else {
        char text[TF_QUOTE_BYTES_MAX];
        const char *wrong = unfit(walk);
        if (wrong == NULL)
            wrong = tf_quote((const char *)walk->event.data.scalar.value, text);
        walk->unloadable = true;
        tf_report_add(walk->report, event_line(walk),
                      "%s:%u: found %s, expected lines like \"key: value\"", walk->path,
                      event_line(walk), wrong);
        return false;
    }
    if (!next(walk)) /* the end of the document */
        return false;
    if (!next(walk))
        return false;
    if (walk->event.type != YAML_STREAM_END_EVENT)
        tf_report_add(walk->report, event_line(walk),
                      "%s:%u: found a second document (---), expected one", walk->path,
                      event_line(walk));
    return true;
}

tf_status_t tf_places_find(tf_places_t *places, const char *path, const char *data, size_t bytes,
                           const tf_config_key_t *keys, uint32_t key_count, tf_report_t *report)
{
    walk_t walk = {.places = places,
                   .keys = keys,
                   .report = report,
                   .path = path,
                   .data = data,
                   .bytes = bytes,
                   .key_count = key_count};
    places->key = tf_mem_calloc((size_t)key_count + 1, sizeof *places->key);
    if (places->key == NULL || yaml_parser_initialize(&walk.parser) == 0)
        return TF_ERR_MEMORY;
    /* Its own guess of the encoding is right: UTF-8, and only it skips a byte order mark. */
    yaml_parser_set_input_string(&walk.parser, (const unsigned char *)data, bytes);
    bool whole = document(&walk);
    yaml_event_delete(&walk.event);
    yaml_parser_delete(&walk.parser);
    if (walk.out_of_memory)
        return TF_ERR_MEMORY;
    return whole && !walk.unloadable ? TF_OK : TF_ERR_FORMAT;
}

void tf_places_fini(tf_places_t *places)
{
    tf_mem_free(places->key);
    tf_mem_free(places->line);
    *places = (tf_places_t){0};
}
