#include "base/latency.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

const int64_t tf_latency_bound_ns[TF_LATENCY_BUCKETS] = {
    1 * US,   2 * US,   5 * US, 10 * US, 20 * US, 50 * US, 100 * US, 200 * US,
    500 * US, 1 * MS,   2 * MS, 5 * MS,  10 * MS, 20 * MS, 50 * MS,  100 * MS,
    200 * MS, 500 * MS, 1 * S,  2 * S,   5 * S,   10 * S,
};

static const struct {
    const char *name;
    const char *text;
} rows[TF_LATENCY_COUNT] = {
#define TF_LATENCY(name, text) {#name, text},
#include "base/latency.def"
#undef TF_LATENCY
};

const char *tf_latency_name(tf_latency_row_t row)
{
    TF_ASSERT(row < TF_LATENCY_COUNT);
    return rows[row].name;
}

const char *tf_latency_text(tf_latency_row_t row)
{
    TF_ASSERT(row < TF_LATENCY_COUNT);
    return rows[row].text;
}

const uint8_t tf_latency_below[TF_LATENCY_OCTAVES] = {
    0, 0, 0,  0,  0,  0,  0,  0,  0,  0,  1,  2,  2,  3,  4,  5,  6,  7,
    8, 9, 10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 20, 21, 22,
};
