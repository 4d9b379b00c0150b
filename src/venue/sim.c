#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "venue/sim_request.h"

/*
 * One poll gives one event. What happens in the market hangs on a schedule in simulated time alone
 * (a heap of three timers per instrument and one for bursts), never on when or how often poll is
 * called. An event of the schedule writes all its frames; they are handed out one per poll before
 * the next event runs, so there is never a backlog of frames, only of simulated time (lag_max_ns).
 */
enum {
    INSTRUMENTS_MAX = 2000,
    DEPTH_MIN = 5,
    DEPTH_MAX = 1000,
};

static const double rate_max = 100000.0;
static const double burst_every_s_max = 86400.0;
static const double burst_factor_max = 100.0;
static const char products_url[] = "https://api.exchange.coinbase.com/products";
static const int64_t lag_max_ns = TF_NS_PER_S;

typedef enum timer {
    TIMER_UPDATE,
    TIMER_TRADE,
    TIMER_HEARTBEAT,
    TIMER_COUNT, /* per instrument; timer id = instrument * TIMER_COUNT + timer, the last is the
                    burst */
} timer_kind_t;

typedef struct timer_entry {
    int64_t at_ns;
    uint32_t id;
} timer_entry_t;

typedef enum stage {
    STAGE_METADATA,
    STAGE_OPENING,
    STAGE_RUNNING,
} stage_t;

typedef struct sim {
    tf_source_t source;
    stage_t stage;
    bool started;
    bool lag_told;
    tf_sim_market_t market;
    tf_sim_text_t text;
    tf_sim_requests_t requests;
    timer_entry_t *heap;
    uint32_t timers;

    int64_t mono_start_ns;
    int64_t wall_start_ns;
    int64_t elapsed_ns; /* real time since the first poll */
    int64_t lag_ns;     /* real time that was given up; simulated time = elapsed - lag */
} sim_t;

const tf_sim_config_t tf_sim_config_default = {
    .seed = 1,
    .instruments = 40,
    .updates_per_s = 8.0,
    .trades_per_s = 1.5,
    .depth = 200,
    .burst_every_s = 20.0,
    .burst_factor = 8.0,
};

/* ---- schedule ----------------------------------------------------------------------------- */

static bool timer_before(const timer_entry_t *a, const timer_entry_t *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->id < b->id;
}

static void heap_sink(sim_t *sim, uint32_t at)
{
    const timer_entry_t entry = sim->heap[at];
    for (uint32_t child = 2 * at + 1; child < sim->timers; child = 2 * at + 1) {
        if (child + 1 < sim->timers && timer_before(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!timer_before(&sim->heap[child], &entry)) {
            break;
        }
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    sim->heap[at] = entry;
}

static void heap_order(sim_t *sim)
{
    for (uint32_t i = sim->timers / 2; i > 0; i--) {
        heap_sink(sim, i - 1);
    }
}

/* A burst begins or ends, and every waiting time shrinks or grows. Returns when the contrary is
 * due; leaves the heap unordered. */
static int64_t on_burst(sim_t *sim)
{
    const int64_t next_ns = tf_sim_market_burst(&sim->market);
    const int64_t now_ns = sim->market.now_ns;
    for (uint32_t i = 0; i < sim->timers; i++) {
        timer_entry_t *entry = &sim->heap[i];
        const uint32_t kind = entry->id % TIMER_COUNT;
        if (entry->at_ns >= TF_SIM_NEVER_NS || kind == TIMER_HEARTBEAT ||
            entry->id == sim->timers - 1) {
            continue;
        }
        tf_sim_instrument_t *ins = &sim->market.instrument[entry->id / TIMER_COUNT];
        const double shrink = kind == TIMER_TRADE ? tf_sim_market_trade_shrink(&sim->market, ins)
                                                  : tf_sim_market_update_shrink(&sim->market);
        entry->at_ns = now_ns + (int64_t)((double)(entry->at_ns - now_ns) * shrink);
    }
    return next_ns;
}

static void on_update(sim_t *sim, tf_sim_instrument_t *ins)
{
    const int64_t te_ns = tf_sim_market_update(&sim->market, ins);
    if (tf_sim_listens(ins, TF_SIM_LEVEL2)) {
        tf_sim_text_l2update(&sim->text, &sim->market, ins, te_ns);
    }
}

static void on_trade(sim_t *sim, tf_sim_instrument_t *ins)
{
    const tf_sim_market_t *market = &sim->market;
    if (!tf_sim_market_trade(&sim->market, ins)) {
        return;
    }
    for (uint32_t i = 0; i < market->fills && tf_sim_listens(ins, TF_SIM_MATCHES); i++) {
        tf_sim_text_match(&sim->text, ins, &market->fill[i], "match");
    }
    if (tf_sim_listens(ins, TF_SIM_LEVEL2)) {
        tf_sim_text_l2update(&sim->text, market, ins, ins->trade_te_ns);
    }
    if (tf_sim_listens(ins, TF_SIM_TICKER)) {
        tf_sim_text_ticker(&sim->text, ins);
    }
}

/* Run the first timer of the heap and set it anew. */
static void timer_run(sim_t *sim)
{
    timer_entry_t *entry = &sim->heap[0];
    sim->market.now_ns = entry->at_ns;
    if (entry->id == sim->timers - 1) {
        entry->at_ns = on_burst(sim);
        heap_order(sim);
        return;
    }
    tf_sim_instrument_t *ins = &sim->market.instrument[entry->id / TIMER_COUNT];
    switch ((timer_kind_t)(entry->id % TIMER_COUNT)) {
    case TIMER_UPDATE:
        on_update(sim, ins);
        entry->at_ns = tf_sim_market_next_update(&sim->market, ins);
        break;
    case TIMER_TRADE:
        on_trade(sim, ins);
        entry->at_ns = tf_sim_market_next_trade(&sim->market, ins);
        break;
    case TIMER_HEARTBEAT:
    case TIMER_COUNT:
        if (tf_sim_listens(ins, TF_SIM_HEARTBEAT)) {
            tf_sim_text_heartbeat(&sim->text, ins, entry->at_ns - TF_NS_PER_MS);
        }
        entry->at_ns += TF_NS_PER_S;
        break;
    }
    heap_sink(sim, 0);
}

static void schedule_set(sim_t *sim)
{
    for (uint32_t id = 0; id < sim->timers - 1; id++) {
        tf_sim_instrument_t *ins = &sim->market.instrument[id / TIMER_COUNT];
        /* heartbeats: spread over the second */
        int64_t at_ns = (int64_t)tf_rng_below(&ins->rng, TF_NS_PER_S);
        if (id % TIMER_COUNT == TIMER_UPDATE) {
            at_ns = tf_sim_market_next_update(&sim->market, ins);
        } else if (id % TIMER_COUNT == TIMER_TRADE) {
            at_ns = tf_sim_market_next_trade(&sim->market, ins);
        }
        sim->heap[id] = (timer_entry_t){at_ns, id};
    }
    sim->heap[sim->timers - 1] =
        (timer_entry_t){tf_sim_market_next_burst(&sim->market), sim->timers - 1};
    heap_order(sim);
}

/* ---- the source --------------------------------------------------------------------------- */

/* Do not build up a backlog for a consumer that cannot follow: give the time up. */
static void limit_lag(sim_t *sim)
{
    const int64_t behind_ns = sim->elapsed_ns - sim->lag_ns - sim->heap[0].at_ns;
    if (behind_ns <= lag_max_ns) {
        return;
    }
    sim->lag_ns += behind_ns;
    sim->text.epoch_ns += behind_ns;
    if (!sim->lag_told) {
        sim->lag_told = true;
        tf_log(TF_LOG_WARN, "sim_behind",
               "skipped_ms=%lld reason=\"polled too slowly for its rate; told once\"",
               (long long)(behind_ns / TF_NS_PER_MS));
    }
}

/* The next frame, if one is due. */
static bool frame_next(sim_t *sim, tf_slice_t *out)
{
    if (tf_sim_text_take(&sim->text, out)) {
        return true;
    }
    tf_sim_text_clear(&sim->text);
    if (!tf_sim_requests_answer(&sim->requests, &sim->text)) {
        limit_lag(sim);
        const int64_t now_ns = sim->elapsed_ns - sim->lag_ns;
        while (sim->text.frames == 0 && sim->heap[0].at_ns <= now_ns) {
            timer_run(sim);
        }
    }
    return tf_sim_text_take(&sim->text, out);
}

static void sim_send(tf_source_t *source, const char *text, size_t bytes)
{
    sim_t *sim = (sim_t *)source;
    tf_sim_requests_take(&sim->requests, text, bytes, sim->elapsed_ns - sim->lag_ns);
}

static void sim_poll(tf_source_t *source, int64_t mono_ns, int64_t wall_ns,
                     tf_source_event_t *event)
{
    sim_t *sim = (sim_t *)source;
    if (!sim->started) {
        sim->started = true;
        sim->mono_start_ns = mono_ns;
        sim->wall_start_ns = wall_ns;
        sim->text.epoch_ns = wall_ns;
    }
    sim->elapsed_ns = mono_ns - sim->mono_start_ns;
    *event = (tf_source_event_t){.now_ns = sim->wall_start_ns + sim->elapsed_ns};
    tf_slice_t frame = {NULL, 0};
    switch (sim->stage) {
    case STAGE_METADATA:
        sim->stage = STAGE_OPENING;
        event->type = TF_SOURCE_HTTP;
        event->url = (tf_slice_t){products_url, sizeof products_url - 1};
        tf_sim_text_products(&sim->text, &sim->market);
        (void)tf_sim_text_take(&sim->text, &frame);
        break;
    case STAGE_OPENING:
        sim->stage = STAGE_RUNNING;
        event->type = TF_SOURCE_OPENED;
        break;
    case STAGE_RUNNING:
        if (frame_next(sim, &frame)) {
            event->type = TF_SOURCE_FRAME;
        } else {
            event->type = TF_SOURCE_IDLE;
            event->wake_in_ns = sim->heap[0].at_ns - (sim->elapsed_ns - sim->lag_ns);
        }
        break;
    }
    event->text = frame.text;
    event->bytes = frame.bytes;
}

static void sim_destroy(tf_source_t *source)
{
    sim_t *sim = (sim_t *)source;
    tf_sim_market_fini(&sim->market);
    tf_sim_text_fini(&sim->text);
    tf_mem_free(sim->heap);
    tf_mem_free(sim);
}

static const tf_source_ops_t sim_ops = {.poll = sim_poll, .send = sim_send, .destroy = sim_destroy};

/* ---- opening ------------------------------------------------------------------------------ */

static tf_status_t check_range(const char *key, double value, double low, double high)
{
    if (value >= low && value <= high) {
        return TF_OK;
    }
    return tf_error(TF_ERR_ARG, "simulated venue: %s %g: must be %g..%g", key, value, low, high);
}

tf_status_t tf_sim_config_check(const tf_sim_config_t *config)
{
    const struct {
        const char *key;
        double value, low, high;
    } checks[] = {
        {"instruments", config->instruments, 1, INSTRUMENTS_MAX},
        {"depth", config->depth, DEPTH_MIN, DEPTH_MAX},
        {"updates_per_s", config->updates_per_s, 0, rate_max},
        {"trades_per_s", config->trades_per_s, 0, rate_max},
        {"burst_every_s", config->burst_every_s, 0, burst_every_s_max},
        {"burst_factor", config->burst_factor, 1, burst_factor_max},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const tf_status_t status =
            check_range(checks[i].key, checks[i].value, checks[i].low, checks[i].high);
        if (status != TF_OK) {
            return status;
        }
    }
    return TF_OK;
}

tf_status_t tf_sim_open(tf_source_t **out, const tf_sim_config_t *config)
{
    *out = NULL;
    const tf_status_t status = tf_sim_config_check(config);
    if (status != TF_OK) {
        return status;
    }
    sim_t *sim = tf_mem_calloc(1, sizeof *sim);
    if (sim == NULL) {
        return tf_error(TF_ERR_MEMORY, "simulated venue: out of memory");
    }
    sim->source.ops = &sim_ops;
    sim->timers = config->instruments * TIMER_COUNT + 1;
    sim->heap = tf_mem_calloc(sim->timers, sizeof *sim->heap);
    if (sim->heap == NULL || !tf_sim_market_init(&sim->market, config) ||
        !tf_sim_text_init(&sim->text, &sim->market)) {
        sim_destroy(&sim->source);
        return tf_error(TF_ERR_MEMORY, "simulated venue: out of memory for %u instruments",
                        config->instruments);
    }
    tf_sim_requests_init(&sim->requests, &sim->market);
    schedule_set(sim);
    *out = &sim->source;
    return TF_OK;
}
