#include "sink_latency.h"

#include "bench_args.h"

enum {
    OPEN_MAX = 256, /* messages that not every client has read yet */
    SAMPLES_MAX = 1 << 20,
    AGE_EVERY = 64, /* messages per sample of the age */
};

typedef struct message {
    int64_t tp_us;
    uint32_t readers;
} message_t;

typedef struct samples {
    uint32_t us[SAMPLES_MAX];
    uint32_t count;
} samples_t;

static message_t open_messages[OPEN_MAX];
static uint32_t open_next;
static samples_t first;
static samples_t last;
static samples_t age; /* of any message at any client */
static uint64_t messages;
static uint32_t clients;
static int64_t now_us;

void sink_latency_begin(uint32_t count)
{
    memset(open_messages, 0, sizeof open_messages);
    first.count = 0;
    last.count = 0;
    age.count = 0;
    clients = count;
}

void sink_latency_now(void)
{
    now_us = bench_clock_ns(CLOCK_REALTIME) / 1000;
}

void sink_latency_payload(sink_head_t *head, const uint8_t *data, size_t bytes)
{
    size_t room = sizeof head->text - 1 - head->bytes;
    size_t taken = bytes < room ? bytes : room;
    memcpy(head->text + head->bytes, data, taken);
    head->bytes += (uint32_t)taken;
}

static void sample(samples_t *samples, int64_t tp_us)
{
    int64_t delay_us = now_us > tp_us ? now_us - tp_us : 0;
    if (samples->count < SAMPLES_MAX)
        samples->us[samples->count++] = (uint32_t)delay_us;
}

static message_t *message_of(int64_t tp_us)
{
    for (uint32_t i = 0; i < OPEN_MAX; i++) {
        if (open_messages[i].tp_us == tp_us)
            return &open_messages[i];
    }
    message_t *message = &open_messages[open_next];
    open_next = (open_next + 1) % OPEN_MAX;
    *message = (message_t){.tp_us = tp_us};
    sample(&first, tp_us);
    return message;
}

void sink_latency_message(sink_head_t *head)
{
    head->text[head->bytes] = '\0';
    head->bytes = 0;
    if (clients == 0 || strstr(head->text, "\"type\":\"update\"") == NULL)
        return;
    const char *tp = strstr(head->text, "\"tp\":");
    if (tp == NULL)
        return;
    int64_t tp_us = strtoll(tp + 5, NULL, 10);
    if (++messages % AGE_EVERY == 0)
        sample(&age, tp_us);
    message_t *message = message_of(tp_us);
    if (++message->readers == clients)
        sample(&last, tp_us);
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static uint32_t percentile(samples_t *samples, uint32_t percent)
{
    if (samples->count == 0)
        return 0;
    qsort(samples->us, samples->count, sizeof samples->us[0], by_value);
    return samples->us[(uint64_t)(samples->count - 1) * percent / 100];
}

void sink_latency_print(void)
{
    (void)printf("bench sink_latency messages=%u first_p50_us=%u first_p99_us=%u last_p50_us=%u "
                 "last_p99_us=%u age_p50_us=%u age_p99_us=%u\n",
                 last.count, percentile(&first, 50), percentile(&first, 99), percentile(&last, 50),
                 percentile(&last, 99), percentile(&age, 50), percentile(&age, 99));
}
