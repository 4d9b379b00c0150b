#include "ingest_feed_rig.h"

/* One live market at 0 ms whose last trade is 100. */
static void rig_live(rig_t *rig)
{
    rig_init(rig, &strict, 1);
    at(rig, 0);
    tf_feed_opened(&rig->feed);
    baseline(rig, 0, 100);
    snapshot(rig, 0);
    assert_said(rig, "0:live/none@0");
}

static void market_starts_in_resync_and_a_snapshot_makes_it_live(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 1);
    assert_int_equal(rig.market[0].state, TF_STATE_RESYNC);
    assert_int_equal(rig.market[0].reason, TF_REASON_STARTING);
    at(&rig, 1000);
    tf_feed_opened(&rig.feed);
    assert_said(&rig, "");
    at(&rig, 1500);
    snapshot(&rig, 0);
    assert_said(&rig, "0:live/none@1500");
    snapshot(&rig, 0);
    assert_said(&rig, "");
    assert_int_equal(count_of(&rig, TF_STAT_feed_connects_total), 1);
}

static void change_before_the_snapshot_is_not_wanted_and_counted(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 1);
    at(&rig, 0);
    tf_feed_heard(&rig.feed, &rig.market[0]);
    assert_false(tf_feed_change_wanted(&rig.feed, &rig.market[0]));
    assert_int_equal(count_of(&rig, TF_STAT_venue_out_of_sync_total), 1);
    snapshot(&rig, 0);
    assert_true(tf_feed_change_wanted(&rig.feed, &rig.market[0]));
    assert_int_equal(count_of(&rig, TF_STAT_venue_out_of_sync_total), 1);
}

static void closed_link_makes_markets_stale_and_an_opened_one_resyncs_them(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 3);
    at(&rig, 0);
    tf_feed_opened(&rig.feed);
    snapshot(&rig, 0);
    snapshot(&rig, 1);
    tf_feed_listing(&rig.feed, &rig.market[1], TF_INSTRUMENT_HALTED);
    assert_said(&rig, "0:live/none@0 1:live/none@0 1:halted/venue_status@0");
    at(&rig, 7000);
    tf_feed_closed(&rig.feed);
    assert_said(&rig, "0:stale/venue_disconnected@7000 1:stale/venue_disconnected@7000 "
                      "2:stale/venue_disconnected@7000");
    tf_feed_closed(&rig.feed);
    assert_said(&rig, "");
    at(&rig, 9000);
    tf_feed_opened(&rig.feed);
    assert_said(&rig, "0:resync/venue_disconnected@9000 1:resync/venue_disconnected@9000 "
                      "2:resync/venue_disconnected@9000");
    snapshot(&rig, 0);
    snapshot(&rig, 1);
    assert_said(&rig, "0:live/none@9000 1:halted/venue_status@9000");
    assert_int_equal(count_of(&rig, TF_STAT_feed_disconnects_total), 1);
}

static void opening_an_open_link_closes_it_first(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 10);
    tf_feed_opened(&rig.feed);
    assert_said(&rig, "0:stale/venue_disconnected@10 0:resync/venue_disconnected@10");
}

static void message_on_a_closed_link_opens_it(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    tf_feed_closed(&rig.feed);
    rig.said[0] = '\0';
    at(&rig, 10);
    snapshot(&rig, 0);
    assert_said(&rig, "0:resync/venue_disconnected@10 0:live/none@10");
}

static void trade_that_skips_ahead_announces_the_gap_and_resyncs_the_book(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 10000);
    assert_int_equal(trade(&rig, 0, 101), 0);
    assert_int_equal(trade(&rig, 0, 105), 3);
    assert_said(&rig, "0:resync/seq_gap@10000 0:ask");
    assert_int_equal(trade(&rig, 0, 106), 0);
    assert_int_equal(trade(&rig, 0, 110), 3); /* the snapshot to come is younger */
    assert_said(&rig, "");
    assert_int_equal(count_of(&rig, TF_STAT_venue_lost_trades_total), 6);
    assert_int_equal(count_of(&rig, TF_STAT_feed_gap_total), 1);
}

static void trade_at_or_below_the_last_id_is_a_duplicate(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    assert_int_equal(trade(&rig, 0, 100), DUPLICATE);
    assert_int_equal(trade(&rig, 0, 101), 0);
    assert_int_equal(trade(&rig, 0, 99), DUPLICATE);
    assert_int_equal(trade(&rig, 0, 102), 0);
    assert_int_equal(count_of(&rig, TF_STAT_venue_duplicate_trades_total), 2);
    assert_said(&rig, "");
}

static void first_trade_without_a_baseline_is_taken_as_it_is(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 1);
    at(&rig, 0);
    assert_int_equal(trade(&rig, 0, 5000), 0);
    assert_int_equal(trade(&rig, 0, 5002), 1);
}

static void ids_that_may_have_holes_prove_nothing_and_texts_are_not_compared(void **state)
{
    (void)state;
    rig_t rig;
    tf_adapter_rules_t loose = strict;
    loose.trade_ids_contiguous = false;
    rig_init(&rig, &loose, 1);
    at(&rig, 0);
    snapshot(&rig, 0);
    assert_int_equal(trade(&rig, 0, 10), 0);
    assert_int_equal(trade(&rig, 0, 20), 0);
    assert_int_equal(trade(&rig, 0, 20), DUPLICATE);
    assert_int_equal(trade(&rig, 0, 0), 0);
    assert_int_equal(trade(&rig, 0, 0), 0);
    assert_int_equal(count_of(&rig, TF_STAT_venue_lost_trades_total), 0);
    assert_said(&rig, "0:live/none@0");
}

static void gap_larger_than_32_bits_saturates(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    assert_int_equal(trade(&rig, 0, UINT64_MAX), UINT32_MAX);
    assert_int_equal(trade(&rig, 0, UINT64_MAX), DUPLICATE);
}

static void trade_that_could_not_be_published_is_announced_by_the_next(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    tf_feed_heard(&rig.feed, &rig.market[0]);
    tf_feed_trade_t verdict = tf_feed_trade(&rig.feed, &rig.market[0], 103);
    assert_int_equal(verdict.gap_before, 2);
    tf_feed_trade_dropped(&rig.market[0], verdict);
    assert_int_equal(trade(&rig, 0, 104), 3);
}

/* What follows a reconnect, when 100 was the last trade before it. */
static void baselines_after_a_reconnect(void **state)
{
    (void)state;
    static const struct {
        uint64_t baseline; /* 0 = none comes */
        uint64_t trade[3];
        int64_t gap[3];
        uint64_t lost;
    } cases[] = {
        {100, {101, 102, 103}, {0, 0, 0}, 0},         /* nothing was missed */
        {104, {105, 104, 106}, {4, DUPLICATE, 0}, 4}, /* 101..104 were */
        {104, {106, 107, 108}, {5, 0, 0}, 5},         /* and 105 since */
        {7, {8, 9, 10}, {0, 0, 0}, 0},                /* numbering began anew */
        {7, {9, 10, 11}, {1, 0, 0}, 1},               /* with a loss after it */
        {0, {101, 102, 103}, {0, 0, 0}, 0},           /* no baseline */
        {0, {103, 104, 104}, {2, 0, DUPLICATE}, 2},   /* a loss shown by the trade */
        {0, {100, 101, 102}, {DUPLICATE, 0, 0}, 0},   /* the same trade again */
        {0, {5, 6, 9}, {0, 0, 2}, 2},                 /* a recording's second round */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_t rig;
        rig_live(&rig);
        tf_feed_closed(&rig.feed);
        at(&rig, 1000);
        tf_feed_opened(&rig.feed);
        if (cases[i].baseline != 0)
            baseline(&rig, 0, cases[i].baseline);
        for (int j = 0; j < 3; j++)
            assert_int_equal(trade(&rig, 0, cases[i].trade[j]), cases[i].gap[j]);
        assert_int_equal(count_of(&rig, TF_STAT_venue_lost_trades_total), cases[i].lost);
    }
}

static void loss_while_disconnected_does_not_resync_the_new_book(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    tf_feed_closed(&rig.feed);
    tf_feed_opened(&rig.feed);
    snapshot(&rig, 0);
    rig.said[0] = '\0';
    assert_int_equal(trade(&rig, 0, 109), 8);
    assert_said(&rig, "");
}

static void baseline_ahead_within_a_connection_proves_a_loss(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    baseline(&rig, 0, 100);
    baseline(&rig, 0, 50);
    assert_said(&rig, "");
    at(&rig, 3000);
    baseline(&rig, 0, 102);
    assert_said(&rig, "0:resync/seq_gap@3000 0:ask");
    assert_int_equal(trade(&rig, 0, 103), 2);
}

static void second_heartbeat_ahead_of_the_trades_resyncs_once(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 3000);
    heartbeat(&rig, 0, 101);
    assert_said(&rig, "");
    assert_int_equal(trade(&rig, 0, 101), 0); /* it was only late */
    heartbeat(&rig, 0, 102);
    heartbeat(&rig, 0, 101); /* not in a row */
    heartbeat(&rig, 0, 103);
    assert_said(&rig, "");
    heartbeat(&rig, 0, 103);
    assert_said(&rig, "0:resync/seq_gap@3000 0:ask");
    assert_int_equal(count_of(&rig, TF_STAT_feed_gap_total), 1);
    snapshot(&rig, 0);
    rig.said[0] = '\0';
    /* No trade for a while: the loss is known, the book is younger than it. */
    heartbeat(&rig, 0, 103);
    heartbeat(&rig, 0, 103);
    heartbeat(&rig, 0, 103);
    assert_int_equal(trade(&rig, 0, 104), 2); /* 102 and 103, announced; the book is good */
    assert_said(&rig, "");
    assert_int_equal(trade(&rig, 0, 106), 1); /* 105 is news */
    assert_int_equal(count_of(&rig, TF_STAT_feed_gap_total), 2);
}

static void proven_losses_do_not_outlive_the_numbering(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    heartbeat(&rig, 0, 103);
    heartbeat(&rig, 0, 103);
    tf_feed_closed(&rig.feed);
    tf_feed_opened(&rig.feed);
    baseline(&rig, 0, 7);
    snapshot(&rig, 0);
    rig.said[0] = '\0';
    heartbeat(&rig, 0, 8);
    heartbeat(&rig, 0, 8);
    assert_said(&rig, "0:resync/seq_gap@0");
}

static void silence_is_stale_at_the_deadline_and_data_brings_it_back(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 60000); /* not armed: no heartbeat was ever seen */
    assert_said(&rig, "");
    heartbeat(&rig, 0, 100);
    at(&rig, 64000);
    assert_int_equal(trade(&rig, 0, 101), 0); /* any message is a sign of life */
    at(&rig, 69000);
    assert_said(&rig, "");
    at(&rig, 123456);
    assert_said(&rig, "0:stale/silent@69000 0:ask 0:ask");
    assert_int_equal(count_of(&rig, TF_STAT_feed_silent_total), 1);
    tf_feed_heard(&rig.feed, &rig.market[0]);
    assert_said(&rig, "0:resync/silent@123456");
    assert_false(tf_feed_change_wanted(&rig.feed, &rig.market[0]));
    snapshot(&rig, 0);
    assert_said(&rig, "0:live/none@123456");
    at(&rig, 128456);
    assert_said(&rig, "");
    at(&rig, 128457); /* armed again */
    assert_said(&rig, "0:stale/silent@128456 0:ask");
}

static void silences_fire_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 3);
    at(&rig, 0);
    tf_feed_opened(&rig.feed);
    for (uint32_t i = 0; i < 3; i++) {
        at(&rig, 100 * (int64_t)i);
        snapshot(&rig, i);
        heartbeat(&rig, i, 0);
    }
    at(&rig, 300);
    tf_feed_heard(&rig.feed, &rig.market[0]);
    rig.said[0] = '\0';
    at(&rig, 5250);
    assert_said(&rig, "1:stale/silent@5100 1:ask 2:stale/silent@5200 2:ask");
    at(&rig, 6000);
    assert_said(&rig, "0:stale/silent@5300 0:ask");
}

static void reconnect_disarms_the_heartbeat_rule(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    heartbeat(&rig, 0, 100);
    tf_feed_closed(&rig.feed);
    rig.said[0] = '\0';
    at(&rig, 20000); /* no silence while there is nothing to hear */
    assert_said(&rig, "");
    tf_feed_opened(&rig.feed);
    snapshot(&rig, 0);
    rig.said[0] = '\0';
    at(&rig, 40000);
    assert_said(&rig, "");
}

static void crossed_book_is_resynced_and_asked_for_with_growing_waits(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 10000);
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_CROSSED);
    assert_said(&rig, "0:resync/crossed@10000 0:ask");
    static const int64_t asks_ms[] = {12000, 16000, 24000, 40000, 70000, 100000};
    for (size_t i = 0; i < sizeof asks_ms / sizeof asks_ms[0]; i++) {
        at(&rig, asks_ms[i] - 1);
        assert_said(&rig, "");
        at(&rig, asks_ms[i]);
        assert_said(&rig, "0:ask");
    }
    at(&rig, 100001);
    snapshot(&rig, 0);
    assert_said(&rig, "0:live/none@100001");
    at(&rig, 200000);
    assert_said(&rig, "");
}

static void requests_keep_their_distance_even_when_books_are_lost_at_once_again(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 10000);
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_CROSSED);
    snapshot(&rig, 0);
    rig.said[0] = '\0';
    at(&rig, 10500);
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_CROSSED);
    assert_said(&rig, "0:resync/crossed@10500");
    at(&rig, 11999);
    assert_said(&rig, "");
    at(&rig, 12000);
    assert_said(&rig, "0:ask");
}

static void subscription_counts_as_asking_and_is_repeated_after_30_s(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 1);
    at(&rig, 0);
    tf_feed_opened(&rig.feed);
    at(&rig, 29999);
    assert_said(&rig, "");
    at(&rig, 30000);
    assert_said(&rig, "0:ask");
    tf_feed_closed(&rig.feed);
    rig.said[0] = '\0';
    at(&rig, 90000);
    assert_said(&rig, ""); /* nobody to ask */
}

static void lost_message_while_the_book_is_awaited_keeps_the_first_reason(void **state)
{
    (void)state;
    rig_t rig;
    rig_init(&rig, &strict, 1);
    at(&rig, 0);
    tf_feed_opened(&rig.feed);
    at(&rig, 5000);
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_SEQ_GAP);
    assert_said(&rig, "0:ask");
    assert_int_equal(rig.market[0].reason, TF_REASON_STARTING);
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_CROSSED);
    assert_said(&rig, "0:resync/crossed@5000");
    tf_feed_closed(&rig.feed);
    rig.said[0] = '\0';
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_SEQ_GAP);
    assert_said(&rig, "");
}

static void halted_market_keeps_its_book_and_returns_by_resync(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    at(&rig, 3000);
    tf_feed_listing(&rig.feed, &rig.market[0], TF_INSTRUMENT_ONLINE);
    assert_said(&rig, "");
    tf_feed_listing(&rig.feed, &rig.market[0], TF_INSTRUMENT_DELISTED);
    tf_feed_listing(&rig.feed, &rig.market[0], TF_INSTRUMENT_HALTED);
    assert_said(&rig, "0:halted/venue_status@3000");
    assert_true(tf_feed_change_wanted(&rig.feed, &rig.market[0]));
    snapshot(&rig, 0);
    assert_said(&rig, "");
    tf_feed_book_lost(&rig.feed, &rig.market[0], TF_REASON_CROSSED);
    assert_said(&rig, "0:resync/crossed@3000 0:ask");
    snapshot(&rig, 0);
    assert_said(&rig, "0:halted/venue_status@3000");
    at(&rig, 9000);
    tf_feed_listing(&rig.feed, &rig.market[0], TF_INSTRUMENT_ONLINE);
    assert_said(&rig, "0:resync/venue_status@9000 0:ask");
    snapshot(&rig, 0);
    assert_said(&rig, "0:live/none@9000");
}

static void listing_of_a_stale_market_shows_after_its_snapshot(void **state)
{
    (void)state;
    rig_t rig;
    rig_live(&rig);
    tf_feed_closed(&rig.feed);
    rig.said[0] = '\0';
    tf_feed_listing(&rig.feed, &rig.market[0], TF_INSTRUMENT_HALTED);
    assert_said(&rig, "");
    at(&rig, 1);
    tf_feed_opened(&rig.feed);
    snapshot(&rig, 0);
    assert_said(&rig, "0:resync/venue_disconnected@1 0:halted/venue_status@1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(market_starts_in_resync_and_a_snapshot_makes_it_live),
        cmocka_unit_test(change_before_the_snapshot_is_not_wanted_and_counted),
        cmocka_unit_test(closed_link_makes_markets_stale_and_an_opened_one_resyncs_them),
        cmocka_unit_test(opening_an_open_link_closes_it_first),
        cmocka_unit_test(message_on_a_closed_link_opens_it),
        cmocka_unit_test(trade_that_skips_ahead_announces_the_gap_and_resyncs_the_book),
        cmocka_unit_test(trade_at_or_below_the_last_id_is_a_duplicate),
        cmocka_unit_test(first_trade_without_a_baseline_is_taken_as_it_is),
        cmocka_unit_test(ids_that_may_have_holes_prove_nothing_and_texts_are_not_compared),
        cmocka_unit_test(gap_larger_than_32_bits_saturates),
        cmocka_unit_test(trade_that_could_not_be_published_is_announced_by_the_next),
        cmocka_unit_test(baselines_after_a_reconnect),
        cmocka_unit_test(loss_while_disconnected_does_not_resync_the_new_book),
        cmocka_unit_test(baseline_ahead_within_a_connection_proves_a_loss),
        cmocka_unit_test(second_heartbeat_ahead_of_the_trades_resyncs_once),
        cmocka_unit_test(proven_losses_do_not_outlive_the_numbering),
        cmocka_unit_test(silence_is_stale_at_the_deadline_and_data_brings_it_back),
        cmocka_unit_test(silences_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(reconnect_disarms_the_heartbeat_rule),
        cmocka_unit_test(crossed_book_is_resynced_and_asked_for_with_growing_waits),
        cmocka_unit_test(requests_keep_their_distance_even_when_books_are_lost_at_once_again),
        cmocka_unit_test(subscription_counts_as_asking_and_is_repeated_after_30_s),
        cmocka_unit_test(lost_message_while_the_book_is_awaited_keeps_the_first_reason),
        cmocka_unit_test(halted_market_keeps_its_book_and_returns_by_resync),
        cmocka_unit_test(listing_of_a_stale_market_shows_after_its_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
