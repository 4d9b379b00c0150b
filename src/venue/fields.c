#include "venue/fields.h"

#include "venue/adapter.h"

static size_t field_find(const tf_field_table_t *table, tf_slice_t key, size_t from)
{
    for (size_t tried = 0, i = from; tried < table->count; tried++, i++) {
        if (i >= table->count)
            i = 0;
        const tf_field_t *field = &table->field[i];
        if (tf_slice_is_bytes(key, field->key, field->key_bytes))
            return i;
    }
    return table->count;
}

static bool field_read(tf_fields_t *fields, const tf_field_t *field)
{
    if ((field->flags & TF_FIELD_NULLABLE) != 0 && tf_scan_peek(&fields->scan) == TF_SCAN_NULL)
        return tf_scan_null(&fields->scan);
    if (!field->read(fields, (char *)fields + field->offset))
        return false;
    fields->present |= field->present;
    return true;
}

bool tf_fields_read(tf_fields_t *fields, const tf_field_table_t *table)
{
    uint64_t seen = 0;
    size_t next = 0;
    tf_slice_t key;
    (void)tf_scan_object(&fields->scan);
    while (tf_scan_key(&fields->scan, &key)) {
        size_t i = field_find(table, key, next);
        if (i == table->count) {
            (void)tf_scan_skip(&fields->scan);
            continue;
        }
        if ((seen >> i & 1) != 0 || !field_read(fields, &table->field[i]))
            tf_scan_fail(&fields->scan);
        seen |= UINT64_C(1) << i;
        next = i + 1;
    }
    for (size_t i = 0; i < table->count; i++) {
        if ((table->field[i].flags & TF_FIELD_REQUIRED) != 0 && (seen >> i & 1) == 0)
            tf_scan_fail(&fields->scan);
    }
    return !fields->scan.failed;
}

bool tf_field_skip(tf_fields_t *fields, void *to)
{
    (void)to;
    return tf_scan_skip(&fields->scan);
}

bool tf_field_text(tf_fields_t *fields, void *to)
{
    return tf_scan_string(&fields->scan, to, NULL);
}

bool tf_field_uint(tf_fields_t *fields, void *to)
{
    return tf_scan_uint(&fields->scan, to);
}

bool tf_field_time(tf_fields_t *fields, void *to)
{
    tf_slice_t text;
    return tf_scan_string(&fields->scan, &text, NULL) && tf_time_parse_rfc3339(text, to);
}

bool tf_field_figure(tf_fields_t *fields, void *to)
{
    tf_decimal_t *value = to;
    tf_slice_t text;
    return tf_scan_string(&fields->scan, &text, NULL) &&
           tf_decimal_parse(text.text, text.bytes, value) == TF_DECIMAL_OK && value->mantissa >= 0;
}

bool tf_field_amount(tf_fields_t *fields, void *to)
{
    const tf_decimal_t *value = to;
    return tf_field_figure(fields, to) && value->mantissa > 0;
}

bool tf_field_side(tf_fields_t *fields, void *to)
{
    tf_slice_t text;
    if (!tf_scan_string(&fields->scan, &text, NULL))
        return false;
    bool sell = tf_slice_is(text, "sell");
    *(uint8_t *)to = sell ? TF_SIDE_SELL : TF_SIDE_BUY;
    return sell || tf_slice_is(text, "buy");
}
