#include "kit/kit.h"

#include "base/assert.h"
#include "market/state.h"

enum { STATES = 4, REASONS = 9 };

static void transitions_are_those_of_the_drawing(void **state)
{
    (void)state;
    static const bool expected[STATES][STATES] = {
        /* to:    live   stale  resync halted */
        /* live   */ {false, true, true, true},
        /* stale  */ {false, true, true, true},
        /* resync */ {true, true, true, true},
        /* halted */ {false, true, true, true},
    };
    for (unsigned from = 0; from < STATES; from++) {
        for (unsigned to = 0; to < STATES; to++) {
            assert_int_equal(tf_market_state_may((tf_market_state_t)from, (tf_market_state_t)to),
                             expected[from][to]);
        }
    }
}

static void foreign_states_lead_nowhere(void **state)
{
    (void)state;
    for (unsigned other = 0; other <= STATES; other++) {
        assert_false(tf_market_state_may((tf_market_state_t)STATES, (tf_market_state_t)other));
        assert_false(tf_market_state_may((tf_market_state_t)other, (tf_market_state_t)STATES));
    }
}

static void move_sets_state_and_reason(void **state)
{
    (void)state;
    tf_market_state_t now = TF_STATE_RESYNC;
    tf_market_reason_t why = TF_REASON_STARTING;
    tf_market_state_move(&now, &why, TF_STATE_LIVE, TF_REASON_NONE);
    assert_int_equal(now, TF_STATE_LIVE);
    assert_int_equal(why, TF_REASON_NONE);
    tf_market_state_move(&now, &why, TF_STATE_STALE, TF_REASON_SILENT);
    assert_int_equal(now, TF_STATE_STALE);
    assert_int_equal(why, TF_REASON_SILENT);
    tf_market_state_move(&now, &why, TF_STATE_STALE, TF_REASON_VENUE_DISCONNECTED);
    assert_int_equal(now, TF_STATE_STALE);
    assert_int_equal(why, TF_REASON_VENUE_DISCONNECTED);
}

static void move_aborts_on_an_illegal_transition(void **state)
{
    (void)state;
    tf_market_state_t now = TF_STATE_STALE;
    tf_market_reason_t why = TF_REASON_SILENT;
    expect_assert_failure(tf_market_state_move(&now, &why, TF_STATE_LIVE, TF_REASON_NONE));
    assert_int_equal(now, TF_STATE_STALE);
    assert_int_equal(why, TF_REASON_SILENT);
    now = TF_STATE_LIVE;
    why = TF_REASON_NONE;
    expect_assert_failure(tf_market_state_move(&now, &why, TF_STATE_LIVE, TF_REASON_NONE));
}

static void move_aborts_on_a_reason_that_does_not_fit(void **state)
{
    (void)state;
    tf_market_state_t now = TF_STATE_RESYNC;
    tf_market_reason_t why = TF_REASON_STARTING;
    expect_assert_failure(tf_market_state_move(&now, &why, TF_STATE_LIVE, TF_REASON_SEQ_GAP));
    expect_assert_failure(tf_market_state_move(&now, &why, TF_STATE_STALE, TF_REASON_NONE));
    expect_assert_failure(
        tf_market_state_move(&now, &why, TF_STATE_STALE, (tf_market_reason_t)REASONS));
    assert_int_equal(now, TF_STATE_RESYNC);
    assert_int_equal(why, TF_REASON_STARTING);
}

static void texts_are_those_of_the_wire(void **state)
{
    (void)state;
    static const char *const states[STATES] = {"live", "stale", "resync", "halted"};
    static const char *const reasons[REASONS] = {
        "none",     "starting", "venue_disconnected", "silent",      "seq_gap",
        "checksum", "crossed",  "venue_status",       "ingest_lost",
    };
    for (unsigned i = 0; i < STATES; i++)
        assert_string_equal(tf_market_state_text((tf_market_state_t)i), states[i]);
    for (unsigned i = 0; i < REASONS; i++)
        assert_string_equal(tf_market_reason_text((tf_market_reason_t)i), reasons[i]);
    assert_string_equal(tf_market_state_text((tf_market_state_t)STATES), "unknown");
    assert_string_equal(tf_market_reason_text((tf_market_reason_t)REASONS), "unknown");
}

int main(void)
{
    t_panic_to_cmocka();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions_are_those_of_the_drawing),
        cmocka_unit_test(foreign_states_lead_nowhere),
        cmocka_unit_test(move_sets_state_and_reason),
        cmocka_unit_test(move_aborts_on_an_illegal_transition),
        cmocka_unit_test(move_aborts_on_a_reason_that_does_not_fit),
        cmocka_unit_test(texts_are_those_of_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
