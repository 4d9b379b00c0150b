#include "config/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_BYTES_MAX = 48, BEGINNING_BYTES_MIN = 3 };

/* "Batch-US" and "batch_us" are the same name in two spellings. */
static char plain(char byte)
{
    if (byte == '-')
        return '_';
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and replacements from `a` to `b` (Levenshtein), one row of the table at a
 * time. */
static size_t distance_of(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t row[NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t replaced = diagonal + (plain(a[i - 1]) != plain(b[j - 1]));
            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_bytes];
}

/* "batch" for "batch_us": the unit at the end is what people forget. */
static bool begins(const char *name, size_t name_bytes, const char *text, size_t text_bytes)
{
    if (text_bytes < BEGINNING_BYTES_MIN || text_bytes > name_bytes)
        return false;
    size_t same = 0;
    while (same < text_bytes && plain(text[same]) == plain(name[same]))
        same++;
    return same == text_bytes;
}

tf_nearest_t tf_nearest_to(const char *text)
{
    /* One slip, and one more per four letters: beyond that a hint misleads. */
    return (tf_nearest_t){.text = text, .distance = strlen(text) / 4 + 2};
}

void tf_nearest_try(tf_nearest_t *nearest, const char *name)
{
    size_t text_bytes = strlen(nearest->text);
    size_t name_bytes = strlen(name);
    if (text_bytes > NAME_BYTES_MAX || name_bytes > NAME_BYTES_MAX)
        return;
    size_t distance = begins(name, name_bytes, nearest->text, text_bytes)
                          ? 1
                          : distance_of(nearest->text, text_bytes, name, name_bytes);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->name = name;
    }
}
