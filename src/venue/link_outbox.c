#include "venue/link_outbox.h"

#include <string.h>

void tf_link_outbox_fini(tf_link_outbox_t *outbox)
{
    tf_buf_fini(&outbox->buf);
}

bool tf_link_outbox_put(tf_link_outbox_t *outbox, const char *text, size_t bytes)
{
    const uint32_t length = (uint32_t)bytes;
    if (bytes == 0 || bytes > TF_LINK_REQUEST_BYTES_MAX ||
        outbox->buf.bytes + sizeof length + bytes > TF_LINK_OUTBOX_BYTES_MAX)
        return false;
    char *room = tf_buf_reserve(&outbox->buf, sizeof length + bytes);
    outbox->buf.failed = false;
    if (room == NULL)
        return false;
    memcpy(room, &length, sizeof length);
    memcpy(room + sizeof length, text, bytes);
    tf_buf_commit(&outbox->buf, sizeof length + bytes);
    return true;
}

void tf_link_outbox_clear(tf_link_outbox_t *outbox)
{
    tf_buf_reset(&outbox->buf);
}

int64_t tf_link_outbox_due_ns(const tf_link_outbox_t *outbox)
{
    return outbox->buf.bytes > 0 ? outbox->next_ns : INT64_MAX;
}

size_t tf_link_outbox_take(tf_link_outbox_t *outbox, int64_t now_ns, char *out)
{
    uint32_t length;
    if (tf_link_outbox_due_ns(outbox) > now_ns)
        return 0;
    memcpy(&length, outbox->buf.data, sizeof length);
    memcpy(out, outbox->buf.data + sizeof length, length);
    tf_buf_consume(&outbox->buf, sizeof length + length);
    outbox->next_ns = now_ns + outbox->spacing_ns;
    return length;
}
