#include "bench/ingest/memory_source.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 200000 };

static char *copy_text(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

static void tape_add(memory_tape_t *tape, const tf_source_event_t *event)
{
    tape->event[tape->count++] = *event;
    if (event->type != TF_SOURCE_FRAME)
        return;
    tape->frame_count++;
    tape->frame_bytes += event->bytes;
}

static void tape_init(memory_tape_t *tape)
{
    *tape = (memory_tape_t){.event = calloc(EVENTS_MAX, sizeof *tape->event)};
    if (tape->event == NULL)
        abort();
}

bool memory_tape_load(memory_tape_t *tape, const char *path)
{
    const tf_replay_config_t config = {.path = path};
    tf_source_t *replay;
    if (tf_replay_open(&replay, &config) != TF_OK)
        return false;
    tape_init(tape);
    tf_source_event_t event = {.type = TF_SOURCE_IDLE};
    while (event.type != TF_SOURCE_ENDED && tape->count < EVENTS_MAX) {
        replay->ops->poll(replay, 0, 0, &event);
        if (event.type == TF_SOURCE_FRAME)
            event.text = copy_text(event.text, event.bytes);
        if (event.type == TF_SOURCE_FRAME || event.type == TF_SOURCE_OPENED)
            tape_add(tape, &event);
    }
    replay->ops->destroy(replay);
    return true;
}

static bool is_type(const tf_source_event_t *event, const char *type)
{
    return event->type == TF_SOURCE_FRAME &&
           memmem(event->text, event->bytes, type, strlen(type)) != NULL;
}

void memory_tape_books(memory_tape_t *tape, const memory_tape_t *from, size_t *changes_at)
{
    tape_init(tape);
    *changes_at = 0;
    for (size_t i = 0; i < from->count; i++) {
        const tf_source_event_t *event = &from->event[i];
        bool change = is_type(event, "\"type\":\"l2update\"");
        if (!change && event->type == TF_SOURCE_FRAME && !is_type(event, "\"type\":\"snapshot\""))
            continue;
        tape_add(tape, event);
        if (!change)
            *changes_at = tape->count;
    }
}

static void poll_event(tf_source_t *base, int64_t mono_ns, int64_t wall_ns,
                       tf_source_event_t *event)
{
    memory_source_t *source = (memory_source_t *)base;
    (void)mono_ns;
    (void)wall_ns;
    if (source->next == source->end) {
        *event = (tf_source_event_t){
            .type = TF_SOURCE_IDLE, .now_ns = source->now_ns, .wake_in_ns = INT64_MAX};
        return;
    }
    *event = source->tape->event[source->next++];
    event->now_ns += source->shift_ns;
    source->now_ns = event->now_ns;
}

static void send_request(tf_source_t *source, const char *text, size_t bytes)
{
    (void)source;
    (void)text;
    (void)bytes;
}

static void destroy(tf_source_t *source)
{
    (void)source; /* the caller's memory */
}

static const tf_source_ops_t ops = {.poll = poll_event, .send = send_request, .destroy = destroy};

void memory_source_init(memory_source_t *source, const memory_tape_t *tape)
{
    *source =
        (memory_source_t){.source = {.ops = &ops}, .tape = tape, .now_ns = tape->event[0].now_ns};
}

void memory_source_wind(memory_source_t *source, size_t end)
{
    const memory_tape_t *tape = source->tape;
    if (source->next == tape->count) {
        source->next = 0;
        source->shift_ns +=
            tape->event[tape->count - 1].now_ns - tape->event[0].now_ns + TF_NS_PER_S;
    }
    source->end = end;
}
