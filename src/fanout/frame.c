#include "fanout/frame.h"

#include "base/mem.h"
#include "ws/frame.h"

#include <string.h>

tf_frame_t *tf_frame_create(tf_frame_type_t type, const tf_buf_t *blob)
{
    if (!tf_buf_ok(blob) || blob->bytes > UINT32_MAX)
        return NULL;
    tf_frame_t *frame = tf_mem_calloc(1, sizeof *frame + blob->bytes);
    if (frame == NULL)
        return NULL;
    frame->refs = 1;
    frame->type = type;
    frame->messages = 1;
    frame->bytes = (uint32_t)blob->bytes;
    memcpy(frame->data, blob->data, blob->bytes);
    return frame;
}

void tf_frame_unref(tf_frame_t *frame)
{
    if (frame == NULL)
        return;
    TF_ASSERT(frame->refs > 0);
    if (--frame->refs == 0)
        tf_mem_free(frame);
}

void tf_frame_put_text(tf_buf_t *blob, const tf_buf_t *text)
{
    if (!tf_buf_ok(text))
        blob->failed = true;
    uint8_t *to = (uint8_t *)tf_buf_reserve(blob, TF_WS_HEADER_BYTES_MAX + text->bytes);
    if (to == NULL)
        return;
    size_t header_bytes = tf_ws_header_write(to, TF_WS_TEXT, text->bytes);
    memcpy(to + header_bytes, text->data, text->bytes);
    tf_buf_commit(blob, header_bytes + text->bytes);
}
