/* A venue's channels, against what was put into the region; the listing's objects by themselves. */
#include "kit/kit.h"

#include "base/rng.h"
#include "market/state.h"
#include "unit/view/view_rig.h"
#include "view/listing.h"

#define TIMES "\"te\":null,\"ti\":1790000000124268,\"tp\":1790000000000000"
#define LIVE  "\"state\":\"live\"," TIMES

#define LISTED(venue, symbol)                                                                      \
    "{\"symbol\":\"" symbol "\",\"venue\":\"" venue "\",\"venue_symbol\":\"x" symbol "\","         \
    "\"kind\":\"spot\",\"base\":\"BTC\",\"quote\":\"USD\",\"tick\":\"0.01\","                      \
    "\"lot\":\"0.00000010\",\"px_dp\":2,\"sz_dp\":8,\"status\":\"online\"}"
#define MARKET(venue, symbol, state, reason, detail)                                               \
    "{\"scope\":\"market\",\"venue\":\"" venue "\",\"symbol\":\"" symbol "\",\"state\":\"" state   \
    "\",\"reason\":" reason ",\"since\":1790000000000000,\"detail\":" detail "}"
#define VENUE(venue, state, reason)                                                                \
    "{\"scope\":\"venue\",\"venue\":\"" venue "\",\"symbol\":null,\"state\":\"" state              \
    "\",\"reason\":" reason ",\"since\":1790000000000000,\"detail\":null}"

static void each_venue_lists_its_own_and_counts_their_changes(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "list-venues");
    uint32_t home = rig_add_live(&rig, "sim", "BTC-USD");   /* 2 versions */
    uint32_t other = rig_add(&rig, "other", "BTC-USD");     /* 1 */
    uint32_t halted = rig_add_live(&rig, "sim", "ETH-USD"); /* 2 */
    (void)rig_add_live(&rig, "other", "SOL-USD");           /* 2 */
    rig_says(&rig, "instruments.sim", home, 4,
             LIVE ",\"data\":[" LISTED("sim", "BTC-USD") "," LISTED("sim", "ETH-USD") "]}");
    rig_says(&rig, "instruments.other", other, 3,
             LIVE ",\"data\":[" LISTED("other", "BTC-USD") "," LISTED("other", "SOL-USD") "]}");
    tf_region_put_state(rig.t.region, halted, TF_STATE_HALTED, TF_REASON_VENUE_STATUS, rig_stamp);
    rig_says(&rig, "status.sim", home, 5,
             LIVE ",\"data\":[" VENUE("sim", "live", "null") "," MARKET(
                 "sim", "BTC-USD", "live", "null", "null") "," MARKET("sim", "ETH-USD", "halted",
                                                                      "\"venue_status\"",
                                                                      "\"online\"") "]}");
    rig_says(&rig, "status.other", other, 3,
             LIVE ",\"data\":[" VENUE("other", "live", "null") "," MARKET(
                 "other", "BTC-USD", "resync", "\"starting\"",
                 "null") "," MARKET("other", "SOL-USD", "live", "null", "null") "]}");
    rig_close(&rig);
}

static void a_change_of_the_listing_is_a_version_of_both_channels(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "list-change");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    tf_instrument_t instrument = t_instrument("BTC-USD", 3, 8);
    instrument.tick = 0;
    instrument.status = TF_INSTRUMENT_DELISTED;
    const tf_stamp_t later = {.te_ns = 1, .ti_ns = rig_stamp.ti_ns + 1000000};
    rig.t.wall_ns += 5000000;
    assert_true(tf_region_instrument_update(rig.t.region, index, &instrument, later));
    rig_says(&rig, "instruments.sim", index, 3,
             "\"state\":\"live\",\"te\":null,\"ti\":1790000000125268,\"tp\":1790000000005000,"
             "\"data\":[{\"symbol\":\"BTC-USD\",\"venue\":\"sim\",\"venue_symbol\":\"xBTC-USD\","
             "\"kind\":\"spot\",\"base\":\"BTC\",\"quote\":\"USD\",\"lot\":\"0.00000010\","
             "\"px_dp\":3,\"sz_dp\":8,\"status\":\"delisted\"}]}");
    rig_says(&rig, "status.sim", index, 3,
             "\"state\":\"live\",\"te\":null,\"ti\":1790000000125268,\"tp\":1790000000005000,"
             "\"data\":[" VENUE("sim", "live", "null") "," MARKET("sim", "BTC-USD", "live", "null",
                                                                  "null") "]}");
    rig_close(&rig);
}

static void without_a_writer_the_list_is_stale_and_its_entries_are_the_last(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "list-lost");
    uint32_t index = rig_add_live(&rig, "sim", "BTC-USD");
    rig.view.lost = true;
    rig_says(&rig, "status.sim", index, 2,
             "\"state\":\"stale\",\"reason\":\"ingest_lost\"," TIMES ",\"data\":[" VENUE(
                 "sim", "live", "null") "," MARKET("sim", "BTC-USD", "live", "null", "null") "]}");
    rig_close(&rig);
}

static void one_busy_instrument_makes_its_venue_busy(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "list-busy");
    uint32_t home = rig_add_live(&rig, "sim", "BTC-USD");
    uint32_t other = rig_add_live(&rig, "other", "BTC-USD");
    uint32_t second = rig_add_live(&rig, "sim", "ETH-USD");
    tf_image_head_t *head = &tf_writer_instrument(rig.t.region, second)->head;
    tf_image_lock(head);
    rig_refuses(&rig, "instruments.sim", home, TF_VIEW_BUSY);
    rig_refuses(&rig, "status.sim", home, TF_VIEW_BUSY);
    rig_says(&rig, "instruments.other", other, 2,
             LIVE ",\"data\":[" LISTED("other", "BTC-USD") "]}");
    /* Its writer is gone: nobody will ever finish it, and the others are told. */
    rig.view.lost = true;
    rig_says(&rig, "instruments.sim", home, 2,
             "\"state\":\"stale\",\"reason\":\"ingest_lost\"," TIMES
             ",\"data\":[" LISTED("sim", "BTC-USD") "]}");
    tf_image_head_t *first = &tf_writer_instrument(rig.t.region, home)->head;
    tf_image_lock(first);
    rig_refuses(&rig, "instruments.sim", home, TF_VIEW_NOTHING);
    rig_refuses(&rig, "status.sim", home, TF_VIEW_NOTHING);
    tf_image_unlock(first);
    tf_image_unlock(head);
    rig.view.lost = false;
    json_decref(rig_snapshot(&rig, "status.sim", home));
    rig_close(&rig);
}

static void lists_are_appended_to_what_is_there(void **state)
{
    (void)state;
    view_rig_t rig;
    rig_open(&rig, "list-append");
    uint32_t home = rig_add(&rig, "sim", "BTC-USD");
    tf_image_info_t info;
    tf_buf_reset(&rig.out);
    tf_buf_lit(&rig.out, "[");
    assert_int_equal(tf_view_list(&rig.view, TF_KIND_INSTRUMENTS, home, &rig.out, &info),
                     TF_VIEW_OK);
    assert_int_equal(info.seq, 1);
    assert_int_equal(info.te_ns, TF_TIME_NONE);
    assert_int_equal(info.ti_ns, rig_stamp.ti_ns);
    tf_buf_lit(&rig.out, ",");
    assert_int_equal(tf_view_list(&rig.view, TF_KIND_STATUS, home, &rig.out, &info), TF_VIEW_OK);
    tf_buf_put(&rig.out, "]", 2);
    assert_string_equal(
        rig.out.data,
        "[" LISTED("sim", "BTC-USD") "," VENUE("sim", "resync", "\"starting\"") "," MARKET(
            "sim", "BTC-USD", "resync", "\"starting\"", "null") "]");
    rig_close(&rig);
}

static void a_list_without_memory_is_never_half_told(void **state)
{
    (void)state;
    static const char *const names[] = {"instruments.sim", "status.sim"};
    view_rig_t rig;
    rig_open(&rig, "list-starved");
    uint32_t home = rig_add_live(&rig, "sim", "BTC-USD");
    for (unsigned i = 1; i < VIEW_INSTRUMENTS; i++) {
        char symbol[16];
        (void)snprintf(symbol, sizeof symbol, "A%u-USD", i);
        (void)rig_add_live(&rig, "sim", symbol);
    }
    for (size_t i = 0; i < 2; i++) {
        tf_channel_t channel = rig_channel(names[i]);
        uint64_t nth = 0;
        bool told = false;
        while (!told) {
            tf_buf_t out = {0};
            (void)tf_buf_reserve(&out, 8192); /* what is short is the view's own memory */
            tf_buf_fini(&rig.view.name);
            tf_buf_fini(&rig.view.items);
            tf_mem_fail_at(++nth);
            tf_view_result_t result = tf_view_snapshot(&rig.view, &channel, home, &out);
            tf_mem_fail_at(0);
            told = result == TF_VIEW_OK && tf_buf_ok(&out);
            assert_true(told || result == TF_VIEW_BUSY || !tf_buf_ok(&out));
            assert_true(result == TF_VIEW_OK || out.bytes == 0);
            json_t *read = told ? json_loadb(out.data, out.bytes, 0, NULL) : NULL;
            if (told)
                assert_int_equal(json_array_size(json_object_get(read, "data")),
                                 VIEW_INSTRUMENTS + i);
            json_decref(read);
            tf_buf_fini(&out);
        }
        assert_in_range(nth, 5, 40);
    }
    rig_close(&rig);
}

/* ---- the objects ---- */

static tf_instrument_view_t some_instrument(void)
{
    return (tf_instrument_view_t){.symbol = "BTC-USD",
                                  .venue_symbol = "a\"\\\x01/b",
                                  .venue = "sim",
                                  .base = "BTC",
                                  .quote = "USD",
                                  .info = {.px_dp = 18, .sz_dp = 0},
                                  .tick = INT64_MAX,
                                  .lot = 3,
                                  .since_ns = 1790000000000000999,
                                  .listing = TF_INSTRUMENT_HALTED};
}

static void wrote(tf_buf_t *buf, const char *expected)
{
    json_t *read = json_loadb(buf->data, buf->bytes, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(read);
    json_decref(read);
    tf_buf_put(buf, "", 1);
    assert_string_equal(buf->data, expected);
    tf_buf_reset(buf);
}

static void an_instrument_has_every_name_escaped_and_every_figure_in_its_scale(void **state)
{
    (void)state;
    tf_instrument_view_t view = some_instrument();
    tf_buf_t buf = {0};
    tf_listing_put_instrument(&buf, &view);
    wrote(&buf, "{\"symbol\":\"BTC-USD\",\"venue\":\"sim\","
                "\"venue_symbol\":\"a\\\"\\\\\\u0001/b\",\"kind\":\"spot\",\"base\":\"BTC\","
                "\"quote\":\"USD\",\"tick\":\"9.223372036854775807\",\"lot\":\"3\",\"px_dp\":18,"
                "\"sz_dp\":0,\"status\":\"halted\"}");
    view.tick = 0;
    view.lot = 0;
    view.listing = TF_INSTRUMENT_UNKNOWN;
    strcpy(view.venue_symbol, "\xff");
    tf_listing_put_instrument(&buf, &view);
    wrote(&buf, "{\"symbol\":\"BTC-USD\",\"venue\":\"sim\",\"venue_symbol\":\"\xef\xbf\xbd\","
                "\"kind\":\"spot\",\"base\":\"BTC\",\"quote\":\"USD\",\"px_dp\":18,\"sz_dp\":0,"
                "\"status\":\"unknown\"}");
    tf_buf_fini(&buf);
}

static void a_markets_detail_is_the_listings_word_when_halted_alone(void **state)
{
    (void)state;
    static const char *const listings[] = {"unknown", "online", "halted", "delisted"};
    tf_instrument_view_t view = some_instrument();
    tf_buf_t buf = {0};
    for (unsigned market = TF_STATE_LIVE; market <= TF_STATE_HALTED; market++) {
        for (unsigned listing = 0; listing <= TF_INSTRUMENT_DELISTED; listing++) {
            char expected[256];
            bool live = market == TF_STATE_LIVE;
            bool halted = market == TF_STATE_HALTED;
            view.info.state = (uint8_t)market;
            view.info.reason = live ? TF_REASON_NONE : TF_REASON_CROSSED;
            view.listing = (uint8_t)listing;
            (void)snprintf(expected, sizeof expected,
                           "{\"scope\":\"market\",\"venue\":\"sim\",\"symbol\":\"BTC-USD\","
                           "\"state\":\"%s\",\"reason\":%s,\"since\":1790000000000000,"
                           "\"detail\":%s%s%s}",
                           tf_market_state_text((tf_market_state_t)market),
                           live ? "null" : "\"crossed\"", halted ? "\"" : "",
                           halted ? listings[listing] : "null", halted ? "\"" : "");
            tf_listing_put_market(&buf, &view);
            wrote(&buf, expected);
        }
    }
    tf_buf_fini(&buf);
}

static void a_venue_is_as_good_as_its_best_market_since_the_first_of_these(void **state)
{
    (void)state;
    static const struct {
        uint8_t state, reason;
        int64_t since_ns;
    } markets[] = {{TF_STATE_HALTED, TF_REASON_VENUE_STATUS, 1000},
                   {TF_STATE_STALE, TF_REASON_SILENT, 9000},
                   {TF_STATE_RESYNC, TF_REASON_SEQ_GAP, 2000},
                   {TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED, 5000},
                   {TF_STATE_STALE, TF_REASON_SILENT, 7000}};
    enum { MARKETS = sizeof markets / sizeof markets[0] };
    tf_buf_t buf = {0};
    for (size_t start = 0; start < MARKETS; start++) { /* the order does not matter */
        for (size_t step = 1; step < MARKETS; step++) {
            tf_venue_state_t venue = TF_VENUE_STATE_NONE;
            for (size_t i = 0; i < MARKETS; i++) {
                size_t at = (start + i * step) % MARKETS;
                tf_instrument_view_t view = some_instrument();
                view.info.state = markets[at].state;
                view.info.reason = markets[at].reason;
                view.since_ns = markets[at].since_ns;
                tf_venue_state_add(&venue, &view);
            }
            tf_listing_put_venue(&buf, "sim", &venue);
            wrote(&buf, "{\"scope\":\"venue\",\"venue\":\"sim\",\"symbol\":null,"
                        "\"state\":\"stale\",\"reason\":\"venue_disconnected\",\"since\":5,"
                        "\"detail\":null}");
        }
    }
    tf_buf_fini(&buf);
}

/* ---- any sequence of changes, against a naive model ---- */

typedef struct model_market {
    const char *venue;
    char symbol[16];
    uint64_t versions;
    uint8_t state, reason, listing;
    int64_t since_us;
} model_market_t;

typedef struct model {
    model_market_t market[VIEW_INSTRUMENTS];
    uint32_t count;
} model_t;

static const char *const venues[] = {"sim", "other", "third_1"};

static void market_matches(const json_t *entry, const model_market_t *market)
{
    static const char *const listings[] = {"unknown", "online", "halted", "delisted"};
    assert_string_equal(rig_text(entry, "venue"), market->venue);
    assert_string_equal(rig_text(entry, "symbol"), market->symbol);
    if (json_object_get(entry, "scope") == NULL) {
        assert_string_equal(rig_text(entry, "status"), listings[market->listing]);
        return;
    }
    assert_string_equal(rig_text(entry, "scope"), "market");
    assert_string_equal(rig_text(entry, "state"),
                        tf_market_state_text((tf_market_state_t)market->state));
    assert_int_equal(rig_number(entry, "since"), market->since_us);
    assert_int_equal(json_is_null(json_object_get(entry, "reason")),
                     market->state == TF_STATE_LIVE);
    assert_int_equal(json_is_null(json_object_get(entry, "detail")),
                     market->state != TF_STATE_HALTED);
}

static void venue_matches(const json_t *entry, const model_t *model, const char *venue)
{
    const model_market_t none = {.state = UINT8_MAX};
    const model_market_t *best = &none;
    for (uint32_t i = 0; i < model->count; i++) {
        const model_market_t *market = &model->market[i];
        if (strcmp(market->venue, venue) != 0)
            continue;
        if (market->state < best->state ||
            (market->state == best->state && market->since_us < best->since_us))
            best = market;
    }
    assert_string_equal(rig_text(entry, "scope"), "venue");
    assert_true(json_is_null(json_object_get(entry, "symbol")));
    assert_string_equal(rig_text(entry, "state"),
                        tf_market_state_text((tf_market_state_t)best->state));
    assert_int_equal(rig_number(entry, "since"), best->since_us);
}

static void lists_match(view_rig_t *rig, const model_t *model, const char *venue, const char *kind)
{
    char name[64];
    bool status = strcmp(kind, "status") == 0;
    uint32_t home = tf_directory_home(&rig->view.directory, venue);
    if (home == TF_INSTRUMENT_NONE)
        return;
    (void)snprintf(name, sizeof name, "%s.%s", kind, venue);
    json_t *read = rig_snapshot(rig, name, home);
    const json_t *data = json_object_get(read, "data");
    size_t at = 0;
    uint64_t versions = 0;
    if (status)
        venue_matches(json_array_get(data, at++), model, venue);
    for (uint32_t i = 0; i < model->count; i++) {
        if (strcmp(model->market[i].venue, venue) != 0)
            continue;
        market_matches(json_array_get(data, at++), &model->market[i]);
        versions += model->market[i].versions;
    }
    assert_int_equal(json_array_size(data), at);
    assert_int_equal(rig_number(read, "seq"), versions);
    json_decref(read);
}

static void model_add(view_rig_t *rig, model_t *model, tf_rng_t *rng)
{
    model_market_t *market = &model->market[model->count];
    *market = (model_market_t){.venue = venues[tf_rng_below(rng, 3)],
                               .versions = 1,
                               .state = TF_STATE_RESYNC,
                               .reason = TF_REASON_STARTING,
                               .listing = TF_INSTRUMENT_ONLINE,
                               .since_us = rig->t.wall_ns / 1000};
    (void)snprintf(market->symbol, sizeof market->symbol, "A%u-USD", model->count);
    assert_int_equal(rig_add(rig, market->venue, market->symbol), model->count);
    model->count++;
}

static void model_change(view_rig_t *rig, model_t *model, tf_rng_t *rng)
{
    uint32_t index = (uint32_t)tf_rng_below(rng, model->count);
    model_market_t *market = &model->market[index];
    market->versions++;
    if (tf_rng_below(rng, 2) == 0) {
        market->state = (uint8_t)tf_rng_below(rng, 4);
        market->reason = market->state == TF_STATE_LIVE ? TF_REASON_NONE : TF_REASON_SILENT;
        market->since_us = rig->t.wall_ns / 1000;
        tf_region_put_state(rig->t.region, index, (tf_market_state_t)market->state,
                            (tf_market_reason_t)market->reason, rig_stamp);
        return;
    }
    tf_instrument_t instrument = t_instrument(market->symbol, 2, 8);
    (void)snprintf(instrument.venue, sizeof instrument.venue, "%s", market->venue);
    market->listing = (uint8_t)tf_rng_below(rng, 4);
    instrument.status = market->listing;
    assert_true(tf_region_instrument_update(rig->t.region, index, &instrument, rig_stamp));
}

static void lists_follow_any_changes(void **state)
{
    (void)state;
    tf_rng_t rng = {t_seed(5)};
    for (uint64_t round = t_rounds(20); round > 0; round--) {
        view_rig_t rig;
        model_t model = {0};
        rig_open(&rig, "list-random");
        for (int step = 0; step < 60; step++) {
            rig.t.wall_ns += (int64_t)tf_rng_below(&rng, 3) * 1000;
            if (model.count == 0 || (model.count < VIEW_INSTRUMENTS && tf_rng_below(&rng, 5) == 0))
                model_add(&rig, &model, &rng);
            else
                model_change(&rig, &model, &rng);
            for (size_t v = 0; v < 3; v++) {
                lists_match(&rig, &model, venues[v], "status");
                lists_match(&rig, &model, venues[v], "instruments");
            }
        }
        rig_close(&rig);
    }
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_venue_lists_its_own_and_counts_their_changes),
        cmocka_unit_test(a_change_of_the_listing_is_a_version_of_both_channels),
        cmocka_unit_test(without_a_writer_the_list_is_stale_and_its_entries_are_the_last),
        cmocka_unit_test(one_busy_instrument_makes_its_venue_busy),
        cmocka_unit_test(lists_are_appended_to_what_is_there),
        cmocka_unit_test(a_list_without_memory_is_never_half_told),
        cmocka_unit_test(an_instrument_has_every_name_escaped_and_every_figure_in_its_scale),
        cmocka_unit_test(a_markets_detail_is_the_listings_word_when_halted_alone),
        cmocka_unit_test(a_venue_is_as_good_as_its_best_market_since_the_first_of_these),
        cmocka_unit_test(lists_follow_any_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
