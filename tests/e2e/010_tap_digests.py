"""A recording through the real `ingest`, read by the real `tap`: every level, best bid and offer,
trade and ticker against what the recording says, and against digests of another program."""

import collections
import filecmp
import hashlib
import json
import unittest
from decimal import Decimal

import kit
from capture import Book, Capture, MarketOracle, canonical

SPEEDS = ("max", "50", "7")


class Market:
    """One market, rebuilt from what tap printed."""

    def __init__(self):
        self.book = Book()
        self.messages = []  # (events of one change, bbo line afterwards)
        self.open = []
        self.bbos = []
        self.trades = []
        self.tickers = []
        self.states = []
        self.scale = None

    def on_book(self, event):
        if event["snapshot"]:
            self.book.clear()
        for is_bid, levels in ((True, event["b"]), (False, event["a"])):
            for price, size in levels:
                self.book.side(is_bid).set(Decimal(price), Decimal(size))
        self.open.append(event)
        if not event["more"]:
            self.messages.append((self.open, self.book.bbo_line(), self.book.crossed()))
            self.open = []

    def on_event(self, event):
        kind = event["event"]
        if kind == "book":
            self.on_book(event)
        elif kind == "instrument":
            self.scale = (event["px_dp"], event["sz_dp"])
        else:
            {"bbo": self.bbos, "trade": self.trades, "ticker": self.tickers,
             "state": self.states}[kind].append(event)


def markets_of(path):
    markets = collections.defaultdict(Market)
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            assert event["event"] != "lapped", line
            assert event["venue"] == "coinbase", line
            markets[event["symbol"]].on_event(event)
    return markets


def tap(ingest, *arguments):
    return kit.Process("tap", "--region", ingest.region, "--format", "json", "--from", "start",
                       "--wait-ms", "30000", *kit.PATIENT, *arguments)


class Run:
    """One replay of a recording into a region, with tap beside it."""

    def __init__(self, capture, speed):
        self.ingest = kit.ingest("--venue", kit.replay(capture.path, speed=speed), *kit.ROOM)
        self.tap = tap(self.ingest, "--times", "venue")

    def finish(self):
        with self.ingest, self.tap:
            self.ingest.find("link_ended", self.ingest.stderr)
            self.exit_ingest = self.ingest.terminate()
            self.exit_tap = self.tap.wait()
        return self.tap.stdout_path


def event_levels(events):
    return [(is_bid, Decimal(price), Decimal(size)) for event in events
            for is_bid, side in ((True, "b"), (False, "a")) for price, size in event[side]]


def bbo_line(event):
    words = [event["bid"], event["bsz"], event["ask"], event["asz"]]
    return " ".join("-" if word is None else canonical(word) for word in words) + "\n"


def sides_apart(changes):
    """Bids before asks, as a record has them; the order within a side is kept."""
    return [c for c in changes if c[0]] + [c for c in changes if not c[0]]


class TapOfRecording:
    """The tests of one recording; subclasses name it."""

    name = None

    @classmethod
    def setUpClass(cls):
        cls.capture = Capture(cls.name)
        cls.capture.check()
        cls.runs = {speed: Run(cls.capture, speed) for speed in SPEEDS}
        cls.paths = {speed: run.finish() for speed, run in cls.runs.items()}
        cls.markets = markets_of(cls.paths["max"])

    def each(self):
        """(symbol, what tap told, what the recording says, digests)."""
        for symbol, expected in self.capture.expected["books"].items():
            with self.subTest(symbol):
                yield symbol, self.markets[symbol], self.capture.markets[symbol], expected

    def test_both_processes_end_with_0_and_ingest_soon(self):
        for run in self.runs.values():
            self.assertEqual(run.exit_ingest[0], 0)
            self.assertLess(run.exit_ingest[1], 5)
            self.assertEqual(run.exit_tap, 0)

    def test_the_stream_is_the_same_at_every_speed(self):
        for speed in SPEEDS[1:]:
            same = filecmp.cmp(self.paths["max"], self.paths[speed], shallow=False)
            self.assertTrue(same, "speed=max and speed=%s differ" % speed)

    def test_markets_are_those_of_the_recording(self):
        self.assertEqual(sorted(self.markets), sorted(self.capture.expected["books"]))

    def test_book_digests_match(self):
        for _, told, _, expected in self.each():
            bbos = "".join(bbo for _, bbo, _ in told.messages)
            self.assertEqual(told.open, [])
            self.assertEqual(len(told.messages), expected["book_messages"])
            snapshots = sum(events[0]["snapshot"] for events, _, _ in told.messages)
            self.assertEqual(snapshots, expected["snapshots"])
            self.assertEqual(len(told.book.bids.keys), expected["final_bid_levels"])
            self.assertEqual(len(told.book.asks.keys), expected["final_ask_levels"])
            self.assertEqual(told.book.digest(), expected["book_sha256"])
            self.assertEqual(hashlib.sha256(bbos.encode()).hexdigest(), expected["bbo_sha256"])

    def test_best_bid_and_offer_in_every_book_event_are_the_rebuilt_ones(self):
        for symbol, told, _, _ in self.each():
            for number, (events, bbo, crossed) in enumerate(told.messages):
                self.assertFalse(crossed, "%s message %d" % (symbol, number))
                for event in events:
                    self.assertEqual(bbo_line(event), bbo, "%s message %d" % (symbol, number))

    def test_every_level_that_changed_is_told_once_and_in_order(self):
        for symbol, told, recorded, _ in self.each():
            for number, message in enumerate(recorded.messages):
                events = told.messages[number][0]
                changes = event_levels(events) if len(events) == 1 else None
                if changes is None:
                    changes = sides_apart(event_levels(events))
                self.assertEqual(changes, sides_apart(message.changes),
                                 "%s message %d" % (symbol, number))
                self.assertEqual({e["te"] for e in events}, {message.te})

    def test_one_change_of_many_levels_is_one_version(self):
        for symbol, told, _, _ in self.each():
            for number, (events, _, _) in enumerate(told.messages):
                self.assertEqual({e["seq"] for e in events}, {number + 1}, symbol)
                self.assertEqual([e["more"] for e in events], [True] * (len(events) - 1) + [False])
                self.assertFalse(any(e["snapshot"] for e in events[1:]), symbol)

    def test_a_bbo_event_follows_every_change_of_the_best_and_no_other(self):
        for symbol, told, _, _ in self.each():
            lines = [bbo for _, bbo, _ in told.messages]
            changed = [line for number, line in enumerate(lines)
                       if number == 0 or line != lines[number - 1]]
            self.assertEqual([bbo_line(event) for event in told.bbos], changed)
            self.assertEqual([e["seq"] for e in told.bbos], list(range(1, len(changed) + 1)))

    def test_trades_match(self):
        for symbol, told, recorded, _ in self.each():
            expected = self.capture.expected["trades"].get(symbol)
            lines = ["%s %s %s %s\n" % (t["id"], t["side"], canonical(t["px"]), canonical(t["sz"]))
                     for t in told.trades]
            digest = hashlib.sha256("".join(lines).encode()).hexdigest()
            self.assertEqual(len(lines), expected["trades"])
            self.assertEqual(digest, expected["trades_sha256"])
            self.assertEqual(canonical(sum(Decimal(t["sz"]) for t in told.trades)),
                             expected["total_qty"])
            self.assertEqual(sum(t["gap_before"] for t in told.trades), expected["id_gaps"])
            self.assertEqual([t["seq"] for t in told.trades], list(range(1, len(lines) + 1)))
            self.assertEqual([t["te"] for t in told.trades], [t.te for t in recorded.trades])
            if lines:
                self.assertEqual(told.trades[0]["id"], str(expected["first_id"]))
                self.assertEqual(told.trades[-1]["id"], str(expected["last_id"]))

    def test_tickers_carry_what_the_venue_gave(self):
        for _, told, recorded, _ in self.each():
            self.assertEqual(len(told.tickers), len(recorded.tickers))
            for event, frame in zip(told.tickers, recorded.tickers):
                for ours, theirs in MarketOracle.TICKER.items():
                    self.assertEqual(ours in event, theirs in frame, ours)
                    if theirs in frame:
                        self.assertEqual(Decimal(event[ours]), Decimal(frame[theirs]), ours)
                self.assertEqual(event.get("side"), frame.get("side"))

    def test_prices_and_sizes_have_exactly_the_instruments_decimals(self):
        def places(text):
            return len(text.partition(".")[2])
        for _, told, _, _ in self.each():
            px_dp, sz_dp = told.scale
            pairs = [level for events, _, _ in told.messages for event in events
                     for level in event["b"] + event["a"]]
            pairs += [(trade["px"], trade["sz"]) for trade in told.trades]
            self.assertEqual({(places(px), places(sz)) for px, sz in pairs}, {(px_dp, sz_dp)})

    def test_a_market_becomes_live_and_is_stale_when_the_recording_is_over(self):
        for _, told, _, _ in self.each():
            states = [(e["state"], e["reason"]) for e in told.states]
            self.assertEqual(states, [("live", "none"), ("stale", "venue_disconnected")])


class Recording2026(TapOfRecording, unittest.TestCase):
    name = kit.COINBASE_2026


class Recording2021(TapOfRecording, unittest.TestCase):
    name = kit.COINBASE_2021


class LoopedRecording(unittest.TestCase):
    """loop=yes: the second round is a reconnect to the same venue."""

    @classmethod
    def setUpClass(cls):
        cls.capture = Capture(kit.COINBASE_2021)
        venue = kit.replay(cls.capture.path, speed=60, loop="yes")
        with kit.ingest("--venue", venue, *kit.ROOM) as ingest, tap(ingest) as printed:
            # The third round begins: two are complete.
            ingest.find(r"(link_closed(.|\n)*){2}link_opened", ingest.stderr)
            cls.exit_code = ingest.terminate()[0]
            cls.exit_tap = printed.wait()
        cls.markets = markets_of(printed.stdout_path)

    def test_the_writer_can_be_stopped_in_the_middle(self):
        self.assertEqual((self.exit_code, self.exit_tap), (0, 0))

    def test_a_second_round_goes_through_stale_and_resync_to_live(self):
        for symbol, market in self.markets.items():
            states = [(e["state"], e["reason"]) for e in market.states]
            again = [("stale", "venue_disconnected"), ("resync", "venue_disconnected")]
            live = [("live", "none")]
            self.assertEqual(states[:6], [*live, *again, *live, *again][:6], symbol)

    def test_books_of_the_second_round_are_those_of_the_first(self):
        for symbol, recorded in self.capture.markets.items():
            told = [bbo for _, bbo, _ in self.markets[symbol].messages]
            once = [message.bbo for message in recorded.messages]
            # The book is emptied between the rounds: nothing of a lost link is left standing.
            self.assertEqual(told[:2 * len(once) + 1], once + ["- - - -\n"] + once, symbol)

    def test_trades_of_the_second_round_are_published_again(self):
        for symbol, recorded in self.capture.markets.items():
            told = [event["id"] for event in self.markets[symbol].trades]
            once = [trade.id for trade in recorded.trades]
            self.assertEqual(told[:2 * len(once)], 2 * once, symbol)

    def test_receive_times_never_go_back(self):
        for symbol, market in self.markets.items():
            times = [event["ti"] for events, _, _ in market.messages for event in events]
            self.assertEqual(times, sorted(times), symbol)


if __name__ == "__main__":
    kit.main()
