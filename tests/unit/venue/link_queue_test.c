#include "kit/kit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "venue/link.h"
#include "venue/link_outbox.h"
#include "venue/link_queue.h"

#include <stdio.h>
#include <string.h>

static void put(tf_link_queue_t *queue, const char *text, int64_t now_ns)
{
    assert_int_equal(tf_link_queue_append(queue, text, strlen(text)), TF_LINK_APPEND_OK);
    tf_link_queue_finish(queue, now_ns);
}

static void expect_frame(tf_link_queue_t *queue, const char *text, int64_t now_ns)
{
    tf_source_event_t event;
    assert_true(tf_link_queue_take(queue, &event));
    assert_int_equal(event.type, TF_SOURCE_FRAME);
    assert_int_equal(event.now_ns, now_ns);
    assert_int_equal(event.bytes, strlen(text));
    assert_memory_equal(event.text, text, event.bytes);
}

static void expect_type(tf_link_queue_t *queue, tf_source_event_type_t type, int64_t now_ns)
{
    tf_source_event_t event;
    assert_true(tf_link_queue_take(queue, &event));
    assert_int_equal(event.type, type);
    assert_int_equal(event.now_ns, now_ns);
    assert_int_equal(event.bytes, 0);
}

static void events_come_out_in_order_with_their_times(void **state)
{
    (void)state;
    tf_link_queue_t queue = {0};
    tf_source_event_t event;
    assert_false(tf_link_queue_take(&queue, &event));
    assert_true(tf_link_queue_event(&queue, TF_SOURCE_OPENED, 5));
    put(&queue, "one", 6);
    assert_int_equal(tf_link_queue_append(&queue, "tw", 2), TF_LINK_APPEND_OK);
    expect_type(&queue, TF_SOURCE_OPENED, 5);
    expect_frame(&queue, "one", 6);
    assert_false(tf_link_queue_take(&queue, &event)); /* the second is not whole */
    assert_int_equal(tf_link_queue_append(&queue, "o", 1), TF_LINK_APPEND_OK);
    tf_link_queue_finish(&queue, 7);
    put(&queue, "", 8);
    assert_true(tf_link_queue_event(&queue, TF_SOURCE_CLOSED, 9));
    expect_frame(&queue, "two", 7);
    expect_frame(&queue, "", 8);
    expect_type(&queue, TF_SOURCE_CLOSED, 9);
    assert_false(tf_link_queue_take(&queue, &event));
    assert_int_equal(tf_link_queue_bytes(&queue), 0);
    tf_link_queue_fini(&queue);
}

static void a_message_cut_off_by_the_end_is_forgotten(void **state)
{
    (void)state;
    tf_link_queue_t queue = {0};
    put(&queue, "whole", 1);
    assert_int_equal(tf_link_queue_append(&queue, "par", 3), TF_LINK_APPEND_OK);
    assert_true(tf_link_queue_event(&queue, TF_SOURCE_CLOSED, 2));
    assert_true(tf_link_queue_event(&queue, TF_SOURCE_OPENED, 3));
    put(&queue, "new", 4);
    expect_frame(&queue, "whole", 1);
    expect_type(&queue, TF_SOURCE_CLOSED, 2);
    expect_type(&queue, TF_SOURCE_OPENED, 3);
    expect_frame(&queue, "new", 4);
    tf_link_queue_fini(&queue);
}

static void a_message_of_the_largest_size_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    enum { PIECE = 1 << 20 };
    static char piece[PIECE];
    tf_link_queue_t queue = {0};
    tf_source_event_t event;
    put(&queue, "before", 1);
    for (int i = 0; i < TF_LINK_MESSAGE_BYTES_MAX / PIECE; i++)
        assert_int_equal(tf_link_queue_append(&queue, piece, PIECE), TF_LINK_APPEND_OK);
    assert_int_equal(tf_link_queue_append(&queue, piece, 1), TF_LINK_APPEND_TOO_BIG);
    tf_link_queue_finish(&queue, 2);
    assert_int_equal(tf_link_queue_append(&queue, piece, 1), TF_LINK_APPEND_OK);
    assert_int_equal(tf_link_queue_append(&queue, piece, SIZE_MAX / 2), TF_LINK_APPEND_TOO_BIG);
    expect_frame(&queue, "before", 1);
    assert_true(tf_link_queue_take(&queue, &event));
    assert_int_equal(event.bytes, TF_LINK_MESSAGE_BYTES_MAX);
    tf_link_queue_fini(&queue);
}

static void out_of_memory_leaves_what_was_queued(void **state)
{
    (void)state;
    enum { PIECE = 1 << 16 };
    static char piece[PIECE];
    tf_link_queue_t queue = {0};
    put(&queue, "kept", 1);
    tf_mem_fail_at(1);
    assert_int_equal(tf_link_queue_append(&queue, piece, PIECE), TF_LINK_APPEND_NO_MEMORY);
    tf_mem_fail_at(0);
    put(&queue, "after", 2);
    expect_frame(&queue, "kept", 1);
    expect_frame(&queue, "after", 2);
    tf_link_queue_fini(&queue);
}

/* Against counters: each message says its number in each of its bytes. */
static void random_pieces_come_out_whole_in_bounded_memory(void **state)
{
    (void)state;
    enum { PIECE_MAX = 40000 };
    static char piece[PIECE_MAX];
    tf_rng_t rng = {t_seed(4)};
    tf_link_queue_t queue = {0};
    size_t length[1024] = {0}; /* by number, modulo */
    uint64_t put_number = 0, taken = 0;
    size_t partial = 0;
    for (uint64_t turn = 0; turn < t_rounds(20000); turn++) {
        if (tf_rng_below(&rng, 2) == 0 && put_number - taken < 100) {
            size_t bytes = tf_rng_below(&rng, PIECE_MAX);
            memset(piece, (int)(put_number & 0xff), bytes);
            assert_int_equal(tf_link_queue_append(&queue, piece, bytes), TF_LINK_APPEND_OK);
            partial += bytes;
            if (tf_rng_below(&rng, 3) == 0) {
                tf_link_queue_finish(&queue, (int64_t)put_number);
                length[put_number++ % 1024] = partial;
                partial = 0;
            }
            continue;
        }
        tf_source_event_t event;
        assert_int_equal(tf_link_queue_take(&queue, &event), taken < put_number);
        if (taken == put_number)
            continue;
        assert_int_equal(event.now_ns, taken);
        assert_int_equal(event.bytes, length[taken % 1024]);
        for (size_t i = 0; i < event.bytes; i += 997)
            assert_int_equal((uint8_t)event.text[i], taken & 0xff);
        taken++;
    }
    /* 100 messages of 120 KB on average wait at most; what was taken is given back. */
    assert_in_range(queue.buf.room, 0, 64 << 20);
    tf_link_queue_fini(&queue);
}

static void requests_are_spaced_evenly(void **state)
{
    (void)state;
    char out[TF_LINK_REQUEST_BYTES_MAX];
    tf_link_outbox_t outbox = {.spacing_ns = 125};
    assert_int_equal(tf_link_outbox_due_ns(&outbox), INT64_MAX);
    assert_int_equal(tf_link_outbox_take(&outbox, 1000, out), 0);
    assert_true(tf_link_outbox_put(&outbox, "first", 5));
    assert_true(tf_link_outbox_put(&outbox, "second!", 7));
    assert_int_equal(tf_link_outbox_take(&outbox, 1000, out), 5);
    assert_memory_equal(out, "first", 5);
    assert_int_equal(tf_link_outbox_due_ns(&outbox), 1125);
    assert_int_equal(tf_link_outbox_take(&outbox, 1124, out), 0);
    assert_int_equal(tf_link_outbox_take(&outbox, 1125, out), 7);
    assert_memory_equal(out, "second!", 7);
    /* Also the first one of the next connection. */
    tf_link_outbox_clear(&outbox);
    assert_true(tf_link_outbox_put(&outbox, "third", 5));
    assert_int_equal(tf_link_outbox_take(&outbox, 1200, out), 0);
    assert_int_equal(tf_link_outbox_take(&outbox, 9999, out), 5);
    tf_link_outbox_fini(&outbox);
}

static void requests_that_do_not_fit_are_dropped_and_the_others_stay(void **state)
{
    (void)state;
    static char request[TF_LINK_REQUEST_BYTES_MAX + 1];
    char out[TF_LINK_REQUEST_BYTES_MAX];
    tf_link_outbox_t outbox = {.spacing_ns = 0};
    assert_false(tf_link_outbox_put(&outbox, request, sizeof request));
    assert_false(tf_link_outbox_put(&outbox, request, 0));
    size_t taken = 0;
    while (tf_link_outbox_put(&outbox, request, sizeof request - 1))
        taken++;
    assert_int_equal(taken, 7); /* eight of them and their lengths are over the bound */
    assert_in_range(outbox.buf.bytes, 1, TF_LINK_OUTBOX_BYTES_MAX);
    tf_mem_fail_at(1);
    tf_link_outbox_t other = {0};
    assert_false(tf_link_outbox_put(&other, request, 10));
    tf_mem_fail_at(0);
    assert_true(tf_link_outbox_put(&other, request, 10));
    tf_link_outbox_fini(&other);
    for (size_t i = 0; i < taken; i++)
        assert_int_equal(tf_link_outbox_take(&outbox, 1, out), sizeof request - 1);
    assert_int_equal(tf_link_outbox_take(&outbox, 1, out), 0);
    tf_link_outbox_fini(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_in_order_with_their_times),
        cmocka_unit_test(a_message_cut_off_by_the_end_is_forgotten),
        cmocka_unit_test(a_message_of_the_largest_size_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(out_of_memory_leaves_what_was_queued),
        cmocka_unit_test(random_pieces_come_out_whole_in_bounded_memory),
        cmocka_unit_test(requests_are_spaced_evenly),
        cmocka_unit_test(requests_that_do_not_fit_are_dropped_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
