/*
 * exposition: a strict reader of the Prometheus text format 0.0.4, written from the format's own
 * page (https://prometheus.io/docs/instrumenting/exposition_formats/) and not from the writer under
 * test. Stricter than Prometheus: HELP and TYPE must stand before the samples, nothing may be
 * missing or come twice. Include after "kit/kit.h".
 */
#pragma once

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T_SERIES_MAX = 16384, T_FAMILIES_MAX = 256 };

typedef struct t_series {
    const char *text; /* name and labels as written */
    size_t bytes;
    double value;
} t_series_t;

typedef struct t_exposition {
    t_series_t series[T_SERIES_MAX];
    size_t count;
    char family[T_FAMILIES_MAX][80];
    char type[T_FAMILIES_MAX][16];
    size_t families;
    char wrong[256]; /* "" when the text is sound */
} t_exposition_t;

static inline size_t t_name_bytes(const char *at, bool colon)
{
    size_t bytes = 0;
    while (isalpha((unsigned char)at[bytes]) || at[bytes] == '_' || (colon && at[bytes] == ':') ||
           (bytes > 0 && isdigit((unsigned char)at[bytes])))
        bytes++;
    return bytes;
}

/* Past {a="b",...}, or NULL. */
static inline const char *t_labels_skip(const char *at)
{
    do {
        at++;
        size_t name = t_name_bytes(at, false);
        if (name == 0 || strncmp(at + name, "=\"", 2) != 0)
            return NULL;
        for (at += name + 2; *at != '"'; at++) {
            if (*at == '\\')
                at++;
            if (*at == '\0' || *at == '\n')
                return NULL;
        }
        at++;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

/* Of a histogram NAME the samples are NAME_bucket, NAME_sum and NAME_count. */
static inline bool t_family_has(const t_exposition_t *out, const char *name, size_t bytes)
{
    if (out->families == 0)
        return false;
    const char *family = out->family[out->families - 1];
    size_t whole = strlen(family);
    if (bytes < whole || strncmp(family, name, whole) != 0)
        return false;
    if (strcmp(out->type[out->families - 1], "histogram") != 0)
        return bytes == whole;
    const char *const endings[] = {"_bucket", "_sum", "_count"};
    for (size_t i = 0; i < 3; i++) {
        if (bytes - whole == strlen(endings[i]) &&
            strncmp(name + whole, endings[i], bytes - whole) == 0)
            return true;
    }
    return false;
}

static inline bool t_sample_take(t_exposition_t *out, const char *line, const char *end)
{
    size_t name = t_name_bytes(line, true);
    if (name == 0 || !t_family_has(out, line, name))
        return false;
    const char *at = line + name;
    if (*at == '{')
        at = t_labels_skip(at);
    if (at == NULL || *at != ' ' || at[1] == ' ' || out->count == T_SERIES_MAX)
        return false;
    t_series_t series = {.text = line, .bytes = (size_t)(at - line)};
    for (size_t i = 0; i < out->count; i++) {
        if (out->series[i].bytes == series.bytes &&
            memcmp(out->series[i].text, line, series.bytes) == 0)
            return false;
    }
    char *stop;
    series.value = strtod(at + 1, &stop);
    out->series[out->count++] = series;
    return stop == end && stop != at + 1;
}

/* "# HELP name text" opens a family, "# TYPE name type" follows it at once. */
static inline bool t_comment_take(t_exposition_t *out, const char *line, const char *end,
                                  bool *helped)
{
    const char *name = line + 7;
    size_t bytes = t_name_bytes(name, true);
    if (bytes == 0 || bytes >= sizeof out->family[0] || name[bytes] != ' ')
        return false;
    if (strncmp(line, "# HELP ", 7) == 0) {
        for (size_t i = 0; i < out->families; i++) {
            if (strlen(out->family[i]) == bytes && strncmp(out->family[i], name, bytes) == 0)
                return false;
        }
        if (*helped || out->families == T_FAMILIES_MAX || name + bytes + 1 >= end)
            return false;
        *helped = true;
        (void)snprintf(out->family[out->families++], sizeof out->family[0], "%.*s", (int)bytes,
                       name);
        return true;
    }
    if (strncmp(line, "# TYPE ", 7) != 0 || !*helped ||
        strncmp(out->family[out->families - 1], name, bytes) != 0)
        return false;
    *helped = false;
    const char *type = name + bytes + 1;
    (void)snprintf(out->type[out->families - 1], sizeof out->type[0], "%.*s", (int)(end - type),
                   type);
    return strcmp(out->type[out->families - 1], "counter") == 0 ||
           strcmp(out->type[out->families - 1], "gauge") == 0 ||
           strcmp(out->type[out->families - 1], "histogram") == 0;
}

/* Reads the NUL-terminated page; out->wrong tells the first line that is not sound. */
static inline void t_exposition_read(t_exposition_t *out, const char *text)
{
    memset(out, 0, sizeof *out);
    bool helped = false;
    size_t before = 1; /* samples of the family so far; each family must have one */
    for (const char *line = text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        bool opens = strncmp(line, "# HELP ", 7) == 0;
        bool sound = end != NULL && (!opens || before > 0);
        if (sound)
            sound = *line == '#' ? t_comment_take(out, line, end, &helped)
                                 : !helped && t_sample_take(out, line, end);
        if (!sound) {
            (void)snprintf(out->wrong, sizeof out->wrong, "%.200s", line);
            return;
        }
        before = opens ? 0 : before + (*line != '#');
        line = end + 1;
    }
    if (before == 0)
        (void)snprintf(out->wrong, sizeof out->wrong, "the last family has no samples");
}

/* The value of a series, written exactly so; NULL when it is not there. */
static inline const double *t_series(const t_exposition_t *page, const char *text)
{
    for (size_t i = 0; i < page->count; i++) {
        if (strlen(text) == page->series[i].bytes &&
            memcmp(page->series[i].text, text, page->series[i].bytes) == 0)
            return &page->series[i].value;
    }
    return NULL;
}

/*
 * One histogram: the buckets of NAME{LABELS,le="..."} in the order of the page. Their bounds must
 * rise, their counts must not fall, the last is +Inf and equals _count, and there is a _sum. False
 * when any of this does not hold; *count and *sum are set when it does.
 */
static inline bool t_histogram(const t_exposition_t *page, const char *name, const char *labels,
                               double *count, double *sum)
{
    char start[160];
    char text[160];
    double bound = -1.0;
    double below = 0.0;
    bool ended = false;
    (void)snprintf(start, sizeof start, "%s_bucket{%s,le=\"", name, labels);
    for (size_t i = 0; i < page->count; i++) {
        const t_series_t *series = &page->series[i];
        if (strncmp(series->text, start, strlen(start)) != 0)
            continue;
        const char *at = series->text + strlen(start);
        double next = strtod(at, NULL); /* also of "+Inf" */
        if (ended || next <= bound || series->value < below)
            return false;
        ended = strncmp(at, "+Inf\"}", 6) == 0;
        bound = next;
        below = series->value;
    }
    (void)snprintf(text, sizeof text, "%s_count{%s}", name, labels);
    const double *total = t_series(page, text);
    (void)snprintf(text, sizeof text, "%s_sum{%s}", name, labels);
    const double *all = t_series(page, text);
    if (!ended || total == NULL || all == NULL || *total != below)
        return false;
    *count = *total;
    *sum = *all;
    return true;
}
