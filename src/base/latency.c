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

static uint32_t bucket_of(int64_t delay_ns)
{
    uint32_t low = 0;
    uint32_t high = TF_LATENCY_BUCKETS;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (delay_ns <= tf_latency_bound_ns[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + value, memory_order_relaxed);
}

void tf_latency_add(tf_latency_t *latency, int64_t delay_ns)
{
    if (delay_ns < 0)
        delay_ns = 0;
    add(&latency->bucket[bucket_of(delay_ns)], 1);
    add(&latency->sum_ns, (uint64_t)delay_ns);
}
