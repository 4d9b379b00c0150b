"""What a market can do while clients watch it, from a recording written for it: a finer price, a
book that comes out crossed, trades that were never received, an event without a time, a reconnect.
"""

import asyncio
import json
import unittest

import kit
from capture import Capture
from client import Client

NO_TIME = "0001-01-01T00:00:00.000000Z"


def at(second):
    return "2026-01-01T00:00:%02d.000000Z" % second


def snapshot(second, bids, asks):
    return {"type": "snapshot", "product_id": "AAA-USD", "time": at(second), "bids": bids,
            "asks": asks}


def update(time, *changes):
    return {"type": "l2update", "product_id": "AAA-USD", "time": time, "changes": changes}


def match(kind, second, number):
    return {"type": kind, "trade_id": number, "product_id": "AAA-USD", "side": "buy",
            "size": "0.50", "price": "10.01", "sequence": 1000 + number, "time": at(second)}


RECORDING = [
    snapshot(0, [["10.00", "2.00"]], [["10.02", "1.00"], ["10.04", "1.00"]]),
    match("last_match", 0, 7),
    # Time for clients to come.
    update(at(3), ["buy", "10.01", "1.50"]),
    match("match", 3, 8),
    match("last_match", 4, 8),
    update(NO_TIME, ["buy", "10.01", "2.50"]),
    # A digit beyond the scale.
    update(at(5), ["sell", "10.015", "1.00"]),
    # A bid over the best ask.
    update(at(6), ["buy", "10.03", "1.00"]),
    update(at(6), ["buy", "10.00", "9.00"]),  # of a book that is not followed any more
    snapshot(7, [["10.00", "2.00"]], [["10.01", "1.00"]]),
    match("match", 8, 9),
    # 10, 11 and 12 are missing.
    match("match", 8, 13),
    snapshot(9, [["9.99", "2.00"]], [["10.01", "1.00"]]),
    update(at(10), ["buy", "9.98", "4.00"]),
    match("match", 11, 14),
]


class History(Client):
    """Keeps every message of its channels, in order."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_text(self, text):
        super().on_text(text)
        message = json.loads(text)
        if message.get("method") in ("subscription", "subscribed", "gap", "lag"):
            self.told.append((message["method"], message["params"]))

    def of(self, channel):
        return [told for told in self.told if told[1]["channel"] == channel.name]


def outline(told):
    """Methods and types, with a state's name."""
    words = []
    for method, params in told:
        word = params.get("type", method)
        words.append(params["state"] if word == "state" else word)
    return words


class MarketChanges(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = kit.scratch_file("changes.ndjson")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in RECORDING)
        with kit.serve("--venue", kit.replay(path), "--instruments-max", "16") as server:
            asyncio.run(cls.watch(server))
            cls.metrics = server.metrics()

    @classmethod
    async def watch(cls, server):
        cls.client = await History().connect(server.ws_url())
        while "error" in await cls.client.call("get_snapshot", channel="book.coinbase.AAA-USD"):
            await asyncio.sleep(0.01)
        cls.book, cls.slow, cls.trades, cls.bbo = await cls.client.subscribe(
            "book.coinbase.AAA-USD.10.raw", "book.coinbase.AAA-USD.10.1s",
            "trades.coinbase.AAA-USD.raw", "bbo.coinbase.AAA-USD.raw")
        await cls.client.until(lambda: all(c.over for c in cls.client.channels.values()))
        await cls.client.close()

    def test_the_book_goes_through_every_change(self):
        self.assertEqual(outline(self.client.of(self.book)), [
            "snapshot", "update", "update",  # as it was, then two bids
            "subscribed", "snapshot",        # the finer scale, with the ask that brought it
            "resync", "snapshot",            # crossed: emptied
            "live", "snapshot",              # the venue's next book; states go before data
            "resync", "snapshot",            # trades missing: emptied
            "live", "snapshot", "update",
            "stale"])                        # the end

    def test_a_finer_price_makes_a_new_stream(self):
        told = self.client.of(self.book)
        place = outline(told).index("subscribed")
        entry, first = told[place][1], told[place + 1][1]
        self.assertEqual((entry["px_dp"], entry["sz_dp"]), (3, 2))
        self.assertEqual(entry["sid"], self.book.sid)
        self.assertEqual(first["data"], {
            "b": [["10.010", "2.50"], ["10.000", "2.00"]],
            "a": [["10.015", "1.00"], ["10.020", "1.00"], ["10.040", "1.00"]]})

    def test_an_event_without_a_time_has_te_null(self):
        told = [params for _, params in self.client.of(self.book)]
        updates = [params for params in told if params.get("type") == "update"]
        self.assertEqual([params["te"] is None for params in updates], [False, True, False])

    def test_a_crossed_book_is_never_shown(self):
        told = self.client.of(self.book)
        place = outline(told).index("resync")
        self.assertEqual(told[place][1]["reason"], "crossed")
        self.assertEqual(told[place + 1][1]["data"], {"b": [], "a": []})
        self.assertEqual(told[place + 1][1]["cs"], 0)
        self.assertFalse(any(price == "10.030" for _, params in told if "data" in params
                             for price, _ in params["data"]["b"]))

    def test_every_kind_is_told_of_every_state(self):
        for channel in (self.book, self.slow, self.trades, self.bbo):
            self.assertEqual(channel.states, ["resync", "live", "resync", "live", "stale"],
                             channel.name)

    def test_missing_trades_are_a_gap_with_their_count(self):
        gaps = [params for method, params in self.client.of(self.trades) if method == "gap"]
        self.assertEqual([(gap["cause"], gap["count"]) for gap in gaps], [("venue", 3)])
        self.assertEqual([trade["id"] for trade in self.trades.trades][-4:], ["8", "9", "13", "14"])

    def test_counters_tell_the_same(self):
        def total(name):
            return sum(value for series, value in self.metrics.items()
                       if series.split("{")[0] == "tickfan_" + name)
        self.assertEqual([total(name) for name in (
            "book_crossed_total", "venue_scale_raised_total", "venue_lost_trades_total",
            "venue_out_of_sync_total", "gap_notices_total")], [1, 1, 3, 1, 1])


class Reconnect(unittest.TestCase):
    """A recording in a loop, at every rate: each round is a new session with the venue."""

    def test_clients_go_through_reconnects_without_a_broken_rule(self):
        capture = Capture(kit.COINBASE_2021)
        with kit.serve("--venue", kit.replay(capture.path, speed=40, loop="yes"),
                       "--instruments-max", "16") as server:
            asyncio.run(self.follow(server, sorted(capture.expected["books"])))

    async def follow(self, server, symbols):
        client = Client(trades_repeat=True)
        await client.connect(server.ws_url())
        while len((await client.call("get_instruments"))["result"]["instruments"]) < len(symbols):
            await asyncio.sleep(0.01)
        names = ["%s.coinbase.%s%s" % (kind, symbol, rate) for symbol in symbols for kind, rate in (
            ("book", ".10.raw"), ("book", ".50.250ms"), ("trades", ".100ms"), ("bbo", ".raw"),
            ("ticker", ""))]
        channels = await client.subscribe(*names)

        await client.until(lambda: all(channel.states.count("live") >= 3 for channel in channels))
        for channel in channels:
            # Which ones are told between depends on the turns: states are states, not messages.
            self.assertLessEqual(set(channel.states), {"live", "stale", "resync"}, channel.name)
        self.assertEqual(len({channel.epoch for channel in channels}), 1)
        self.assertEqual(len({channel.sid for channel in channels}), len(channels))
        await client.close()


if __name__ == "__main__":
    kit.main()
