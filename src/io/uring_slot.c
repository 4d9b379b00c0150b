#include "io/uring.h"

tf_uring_slot_t *tf_uring_slot_find(tf_uring_t *uring, tf_io_handle_t handle)
{
    TF_ASSERT(handle.slot < uring->connections_max);
    tf_uring_slot_t *slot = &uring->slots[handle.slot];
    TF_ASSERT(slot->state == TF_URING_SLOT_OPEN && slot->generation == handle.generation);
    return slot;
}

tf_uring_slot_t *tf_uring_slot_use(tf_uring_t *uring, int fd, tf_io_handle_t handle)
{
    TF_ASSERT(handle.slot < uring->connections_max && handle.generation <= TF_URING_GENERATION_MAX);
    tf_uring_slot_t *slot = &uring->slots[handle.slot];
    if (slot->state == TF_URING_SLOT_FREE) {
        slot->state = TF_URING_SLOT_OPEN;
        slot->fd = fd;
        slot->generation = handle.generation;
    }
    TF_ASSERT(slot->fd == fd);
    return tf_uring_slot_find(uring, handle);
}

void tf_uring_todo_add(tf_uring_t *uring, tf_uring_slot_t *slot)
{
    if (slot->todo.listed)
        return;
    uint32_t index = tf_uring_slot_index(uring, slot);
    slot->todo = (tf_uring_link_t){.next = TF_URING_NONE, .listed = true};
    if (uring->todo.head == TF_URING_NONE)
        uring->todo.head = index;
    else
        uring->slots[uring->todo.tail].todo.next = index;
    uring->todo.tail = index;
}

tf_uring_slot_t *tf_uring_todo_first(const tf_uring_t *uring)
{
    return uring->todo.head == TF_URING_NONE ? NULL : &uring->slots[uring->todo.head];
}

void tf_uring_todo_drop_first(tf_uring_t *uring)
{
    tf_uring_slot_t *slot = tf_uring_todo_first(uring);
    uring->todo.head = slot->todo.next;
    slot->todo.listed = false;
}

void tf_uring_ready_add(tf_uring_t *uring, tf_uring_slot_t *slot)
{
    if (slot->ready.listed)
        return;
    uint32_t index = tf_uring_slot_index(uring, slot);
    slot->ready = (tf_uring_link_t){.next = TF_URING_NONE, .listed = true};
    if (uring->ready.head == TF_URING_NONE)
        uring->ready.head = index;
    else
        uring->slots[uring->ready.tail].ready.next = index;
    uring->ready.tail = index;
}

tf_uring_slot_t *tf_uring_ready_take(tf_uring_t *uring)
{
    if (uring->ready.head == TF_URING_NONE)
        return NULL;
    tf_uring_slot_t *slot = &uring->slots[uring->ready.head];
    uring->ready.head = slot->ready.next;
    slot->ready.listed = false;
    return slot;
}
