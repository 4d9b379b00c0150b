/*
 * index_list: indexes in order of arrival. Room is made where the indexed thing is created, so that
 * adding never fails. One owner.
 */
#pragma once

#include "base/assert.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct tf_index_list {
    uint32_t *item;
    uint32_t count;
    uint32_t room;
} tf_index_list_t;

/* Room for so many; false when out of memory. */
TF_MUST_CHECK bool tf_index_list_reserve(tf_index_list_t *list, uint32_t room);
void tf_index_list_add(tf_index_list_t *list, uint32_t index);
void tf_index_list_fini(tf_index_list_t *list);
