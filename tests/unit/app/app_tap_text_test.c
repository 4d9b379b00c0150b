#include "kit/kit.h"

#include "app/tap_text.h"

#include <string.h>

#include <jansson.h>

static const tf_instrument_view_t view = {.venue = "coinbase", .symbol = "BTC-USD"};
static const tf_tap_style_t as_json = {.json = true, .publication = true};
static const tf_tap_style_t as_text = {.json = false, .publication = false};

static tf_event_t head(tf_event_type_t type, size_t bytes)
{
    return (tf_event_t){.bytes = (uint32_t)bytes,
                        .type = (uint16_t)type,
                        .px_dp = 2,
                        .sz_dp = 8,
                        .seq = 7,
                        .te_ns = TF_TIME_NONE,
                        .ti_ns = 1783465097050195999,
                        .tp_ns = 1783465097050196000};
}

static void expect_line(const tf_tap_style_t *style, const tf_event_t *event, const char *expected)
{
    tf_buf_t out = {0};
    tf_tap_line(&out, style, event, &view);
    assert_true(tf_buf_ok(&out));
    assert_int_equal(out.bytes, strlen(expected));
    assert_memory_equal(out.data, expected, out.bytes);
    if (style->json) {
        json_t *parsed = json_loadb(out.data, out.bytes, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
    tf_buf_fini(&out);
}

static void trade_lines(void **state)
{
    (void)state;
    tf_event_trade_t event = {
        .head = head(TF_EVENT_TRADE, sizeof event),
        .trade = {.px = 6351460, .sz = 20000000, .side = TF_SIDE_BUY, .id_bytes = 3}};
    memcpy(event.trade.id, "105", 3);
    expect_line(&as_json, &event.head,
                "{\"event\":\"trade\",\"venue\":\"coinbase\",\"symbol\":\"BTC-USD\",\"seq\":7,"
                "\"te\":null,\"ti\":1783465097050195,\"tp\":1783465097050196,\"id\":\"105\","
                "\"px\":\"63514.60\",\"sz\":\"0.20000000\",\"side\":\"buy\",\"gap_before\":0}\n");
    expect_line(
        &as_text, &event.head,
        "trade venue=coinbase symbol=BTC-USD seq=7 te=- ti=1783465097050195 id=105 px=63514.60 "
        "sz=0.20000000 side=buy gap_before=0\n");
}

static void book_lines_with_an_empty_side(void **state)
{
    (void)state;
    static _Alignas(
        tf_event_book_t) unsigned char room[sizeof(tf_event_book_t) + sizeof(tf_level_t)];
    tf_event_book_t *event = (tf_event_book_t *)(void *)room;
    *event = (tf_event_book_t){.head = head(TF_EVENT_BOOK, sizeof room),
                               .bids = 1,
                               .bid_px = 100,
                               .bid_sz = 5,
                               .ask_px = TF_PRICE_NONE};
    event->head.flags = TF_EVENT_FLAG_SNAPSHOT | TF_EVENT_FLAG_MORE;
    event->level[0] = (tf_level_t){.px = 100, .sz = 5};
    expect_line(&as_text, &event->head,
                "book venue=coinbase symbol=BTC-USD seq=7 te=- ti=1783465097050195 snapshot=true "
                "more=true bid=1.00 bsz=0.00000005 ask=- asz=- b=[1.00x0.00000005] a=[]\n");
    expect_line(&as_json, &event->head,
                "{\"event\":\"book\",\"venue\":\"coinbase\",\"symbol\":\"BTC-USD\",\"seq\":7,"
                "\"te\":null,\"ti\":1783465097050195,\"tp\":1783465097050196,\"snapshot\":true,"
                "\"more\":true,\"bid\":\"1.00\",\"bsz\":\"0.00000005\",\"ask\":null,\"asz\":null,"
                "\"b\":[[\"1.00\",\"0.00000005\"]],\"a\":[]}\n");
}

static void state_and_instrument_lines(void **state)
{
    (void)state;
    tf_event_state_t event = {.head = head(TF_EVENT_STATE, sizeof event),
                              .state = TF_STATE_RESYNC,
                              .reason = TF_REASON_SEQ_GAP};
    expect_line(&as_text, &event.head,
                "state venue=coinbase symbol=BTC-USD seq=7 te=- ti=1783465097050195 state=resync "
                "reason=seq_gap\n");
    tf_event_t instrument = head(TF_EVENT_INSTRUMENT, sizeof instrument);
    expect_line(&as_text, &instrument,
                "instrument venue=coinbase symbol=BTC-USD seq=7 te=- ti=1783465097050195 px_dp=2 "
                "sz_dp=8\n");
}

static void ticker_lines_have_only_what_the_venue_gave(void **state)
{
    (void)state;
    tf_event_ticker_t event = {
        .head = head(TF_EVENT_TICKER, sizeof event),
        .ticker = {.present = TF_TICKER_PX | TF_TICKER_V24, .px = 100, .v24 = 12345, .v24_dp = 3}};
    expect_line(
        &as_text, &event.head,
        "ticker venue=coinbase symbol=BTC-USD seq=7 te=- ti=1783465097050195 px=1.00 v24=12.345\n");
}

static void a_broken_writers_record_is_printed_without_harm(void **state)
{
    (void)state;
    tf_event_trade_t event = {.head = head(TF_EVENT_TRADE, sizeof event)};
    event.trade.id_bytes = 255; /* more than there is */
    tf_buf_t out = {0};
    tf_tap_line(&out, &as_json, &event.head, &view);
    event.head.type = 999;
    tf_tap_line(&out, &as_json, &event.head, &view);
    assert_true(tf_buf_ok(&out));
    tf_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trade_lines),
        cmocka_unit_test(book_lines_with_an_empty_side),
        cmocka_unit_test(state_and_instrument_lines),
        cmocka_unit_test(ticker_lines_have_only_what_the_venue_gave),
        cmocka_unit_test(a_broken_writers_record_is_printed_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
