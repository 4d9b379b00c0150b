#include "venue/link_queue.h"

#include "venue/link.h"

#include <string.h>

/* Moving what waits to the front is worth it when less waits than was taken. */
enum { COMPACT_BYTES = 1 << 20 };

typedef struct head {
    int64_t now_ns;
    uint32_t type; /* tf_source_event_type_t */
    uint32_t bytes;
} head_t;

static void compact(tf_link_queue_t *queue)
{
    tf_buf_consume(&queue->buf, queue->head_bytes);
    queue->whole_bytes -= queue->head_bytes;
    queue->head_bytes = 0;
}

/* Room for `bytes` more at the end, or NULL; without the buffer's stickiness. */
static char *reserve(tf_link_queue_t *queue, size_t bytes)
{
    if (queue->head_bytes >= COMPACT_BYTES && queue->head_bytes > tf_link_queue_bytes(queue))
        compact(queue);
    char *room = tf_buf_reserve(&queue->buf, bytes);
    queue->buf.failed = false;
    return room;
}

void tf_link_queue_fini(tf_link_queue_t *queue)
{
    tf_buf_fini(&queue->buf);
    *queue = (tf_link_queue_t){0};
}

bool tf_link_queue_event(tf_link_queue_t *queue, tf_source_event_type_t type, int64_t now_ns)
{
    const head_t head = {.now_ns = now_ns, .type = type};
    queue->buf.bytes = queue->whole_bytes;
    char *room = reserve(queue, sizeof head);
    if (room == NULL)
        return false;
    memcpy(room, &head, sizeof head);
    tf_buf_commit(&queue->buf, sizeof head);
    queue->whole_bytes = queue->buf.bytes;
    return true;
}

tf_link_append_t tf_link_queue_append(tf_link_queue_t *queue, const void *data, size_t bytes)
{
    size_t partial_bytes = queue->buf.bytes - queue->whole_bytes;
    size_t head_bytes = partial_bytes == 0 ? sizeof(head_t) : 0; /* written when it ends */
    size_t before_bytes = partial_bytes + head_bytes - sizeof(head_t);
    if (bytes > TF_LINK_MESSAGE_BYTES_MAX - before_bytes)
        return TF_LINK_APPEND_TOO_BIG;
    char *room = reserve(queue, head_bytes + bytes);
    if (room == NULL)
        return TF_LINK_APPEND_NO_MEMORY;
    if (bytes > 0)
        memcpy(room + head_bytes, data, bytes);
    tf_buf_commit(&queue->buf, head_bytes + bytes);
    return TF_LINK_APPEND_OK;
}

void tf_link_queue_finish(tf_link_queue_t *queue, int64_t now_ns)
{
    size_t partial_bytes = queue->buf.bytes - queue->whole_bytes;
    TF_ASSERT(partial_bytes >= sizeof(head_t));
    const head_t head = {.now_ns = now_ns,
                         .type = TF_SOURCE_FRAME,
                         .bytes = (uint32_t)(partial_bytes - sizeof head)};
    memcpy(queue->buf.data + queue->whole_bytes, &head, sizeof head);
    queue->whole_bytes = queue->buf.bytes;
}

bool tf_link_queue_take(tf_link_queue_t *queue, tf_source_event_t *event)
{
    head_t head;
    if (tf_link_queue_bytes(queue) == 0) {
        if (queue->head_bytes > 0)
            compact(queue);
        return false;
    }
    memcpy(&head, queue->buf.data + queue->head_bytes, sizeof head);
    *event = (tf_source_event_t){.type = (tf_source_event_type_t)head.type,
                                 .now_ns = head.now_ns,
                                 .text = queue->buf.data + queue->head_bytes + sizeof head,
                                 .bytes = head.bytes};
    queue->head_bytes += sizeof head + head.bytes;
    TF_ASSERT(queue->head_bytes <= queue->whole_bytes);
    return true;
}
