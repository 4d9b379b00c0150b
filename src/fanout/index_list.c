#include "fanout/index_list.h"

#include "base/mem.h"

bool tf_index_list_reserve(tf_index_list_t *list, uint32_t room)
{
    if (room <= list->room)
        return true;
    uint32_t *grown = tf_mem_realloc(list->item, room, sizeof *grown);
    if (grown == NULL)
        return false;
    list->item = grown;
    list->room = room;
    return true;
}

void tf_index_list_add(tf_index_list_t *list, uint32_t index)
{
    TF_ASSERT(list->count < list->room);
    list->item[list->count++] = index;
}

void tf_index_list_fini(tf_index_list_t *list)
{
    tf_mem_free(list->item);
    *list = (tf_index_list_t){0};
}
