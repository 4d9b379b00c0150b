/*
 * trade_writer: a region with one market whose trades come at a steady rate, for `tickfan fanout`
 * beside it: what the fan-out thread costs is then measured alone.
 *
 *     trade_writer --region NAME --rate 12000 --seconds 60
 *
 * Prints "ready" when the region is there. Trades are published a millisecond's worth at a time.
 */
#include "base/clock.h"
#include "bench/io/bench_args.h"
#include "market/instrument.h"
#include "region/region.h"

#include <time.h>

enum { TURN_US = 1000, TRADES_KEPT = 65536, RATE_MAX = 1000000, SECONDS_MAX = 3600 };

static void ok(tf_status_t status)
{
    if (status == TF_OK)
        return;
    (void)fprintf(stderr, "trade_writer: %s\n", tf_error_text());
    exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static uint32_t market_add(tf_region_t *region, tf_stamp_t stamp)
{
    tf_instrument_t instrument;
    uint32_t index;
    if (!tf_instrument_init(&instrument, "hot", "BTC-USD", "BTC-USD"))
        bench_fail("instrument");
    instrument.px_dp = 2;
    instrument.sz_dp = 8;
    ok(tf_region_instrument_add(region, &instrument, stamp, &index));
    tf_region_put_state(region, index, TF_STATE_LIVE, TF_REASON_NONE, stamp);
    return index;
}

static void publish(tf_region_t *region, uint32_t index, uint64_t number, int64_t now_ns)
{
    tf_trade_t trade = {.px = 6400000 + (int64_t)(number % 100),
                        .sz = 1000000 + (int64_t)(number % 977),
                        .te_ns = now_ns,
                        .side = number % 2 == 0 ? TF_SIDE_BUY : TF_SIDE_SELL};
    trade.id_bytes = (uint8_t)snprintf(trade.id, sizeof trade.id, "%lu", (unsigned long)number);
    tf_region_put_trade(region, index, &trade, (tf_stamp_t){now_ns, now_ns});
}

int main(int argc, char **argv)
{
    static tf_stats_t stats;
    uint32_t rate = bench_number(argc, argv, "--rate", 12000, RATE_MAX);
    uint32_t seconds = bench_number(argc, argv, "--seconds", 60, SECONDS_MAX);
    tf_region_config_t config = tf_region_config_default;
    config.name = bench_text(argc, argv, "--region", "bench-hot");
    config.instruments_max = 1;
    config.trades_kept = TRADES_KEPT;
    tf_region_t *region;
    ok(tf_region_create(&region, &config, &tf_clock_system, &stats));
    ok(tf_region_bell_host(region, &stats));
    int64_t now_ns = tf_clock_wall_ns(&tf_clock_system);
    uint32_t index = market_add(region, (tf_stamp_t){now_ns, now_ns});
    (void)printf("ready\n");
    (void)fflush(stdout);

    int64_t begin_ns = tf_clock_mono_ns(&tf_clock_system);
    int64_t elapsed_ns = 0;
    uint64_t published = 0;
    while (elapsed_ns < seconds * TF_NS_PER_S) {
        const struct timespec turn = {.tv_nsec = TURN_US * TF_NS_PER_US};
        (void)nanosleep(&turn, NULL);
        int64_t mono_ns = tf_clock_mono_ns(&tf_clock_system);
        elapsed_ns = mono_ns - begin_ns;
        now_ns = tf_clock_wall_ns(&tf_clock_system);
        uint64_t due = (uint64_t)((double)elapsed_ns / 1e9 * rate);
        while (published < due)
            publish(region, index, ++published, now_ns);
        tf_region_heartbeat(region, mono_ns);
        tf_region_ring_bells(region);
    }
    (void)printf("bench trade_writer trades=%lu\n", (unsigned long)published);
    tf_region_close(region, true);
    return 0;
}
