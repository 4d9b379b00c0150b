"""Many strict clients on a replayed recording, joining and leaving at random: each rebuilds what it
subscribed, checks every message, and holds the recording's final state at the end."""

import asyncio
import unittest
from decimal import Decimal

import kit
from capture import Book, Capture
from client import Client

CLIENTS = 40
CLIENTS_SLOW = 200
STAYING = 10  # clients that are there from before the first frame to the end


def final_book(channel):
    """The book a client holds, as the digests see one."""
    book = Book()
    for ours, held in ((book.bids, channel.bids), (book.asks, channel.asks)):
        for price, size in held.top(len(held.keys)):
            ours.set(Decimal(price), Decimal(size))
    return book


class Crowd:
    """The clients of one run. `sids`: which sid stands for which stream, over all of them."""

    def __init__(self, capture, url, random, replay_s):
        self.capture = capture
        self.url = url
        self.random = random
        self.replay_s = replay_s
        self.symbols = sorted(capture.expected["books"])
        self.sids = {}
        self.stayed = []
        self.totals = {}

    def names(self):
        """Channels of a random kind, some in their short form."""
        symbol = self.random.choice(self.symbols)
        rate = self.random.choice([".raw", ".100ms", ""])
        return self.random.choice([
            "book.coinbase.%s.10%s" % (symbol, rate),
            "book.coinbase.%s.full%s" % (symbol, rate),
            "book.coinbase.%s.1%s" % (symbol, rate),
            "trades.coinbase.%s%s" % (symbol, rate),
            "bbo.coinbase.%s%s" % (symbol, rate),
            "ticker.coinbase.%s%s" % (symbol, rate)])

    def note(self, channel):
        stream = (channel.name, channel.px_dp, channel.sz_dp)
        known = self.sids.setdefault(channel.sid, stream)
        assert known == stream, "sid %d is %s and %s" % (channel.sid, known, stream)
        for kind, count in channel.counts.items():
            self.totals[kind] = self.totals.get(kind, 0) + count

    async def enter(self, count):
        """A client with `count` random subscriptions, some of them made one by one."""
        client = await Client(self.capture).connect(self.url)
        await self.markets_known(client)
        names = [self.names() for _ in range(count)]
        channels = []
        if self.random.random() < 0.5:
            channels = await client.subscribe(*names)
        else:
            for name in names:
                channels += await client.subscribe(name)
        return client, channels

    async def visit(self):
        """Come at some time, change the subscriptions now and then, perhaps leave early."""
        await asyncio.sleep(self.random.random() * self.replay_s)
        client, channels = await self.enter(self.random.randint(1, 3))
        for _ in range(self.random.randint(0, 2)):
            await asyncio.sleep(self.random.random() * self.replay_s / 4)
            leaving = self.random.choice(channels).name
            await client.unsubscribe(leaving)
            channels = [channel for channel in channels if channel.name != leaving]
            channels += await client.subscribe(self.names())
        if self.random.random() < 0.3:
            await client.close()
        else:
            await self.stay(client)

    async def stay(self, client):
        await client.until(lambda: all(c.over for c in client.channels.values()))
        self.stayed.append(client)

    async def from_the_start(self, number):
        """One that is there before the first frame: `names` cover every kind and market."""
        symbol = self.symbols[number % len(self.symbols)]
        client = await Client(self.capture).connect(self.url)
        await self.markets_known(client)
        await client.subscribe("trades.coinbase.%s.raw" % symbol, "ticker.coinbase.%s.raw" % symbol,
                               "bbo.coinbase.%s" % symbol)
        await client.subscribe("book.coinbase.%s" % symbol, depth="full",
                               rate="raw" if number % 2 else "100ms")
        await self.stay(client)

    async def markets_known(self, client):
        """Names are known with the recording's first frames."""
        while True:
            reply = await client.call("get_instruments")
            if {i["symbol"] for i in reply["result"]["instruments"]} == set(self.symbols):
                return
            await asyncio.sleep(0.02)

    async def run(self, count):
        tasks = [self.from_the_start(number) for number in range(STAYING)]
        tasks += [self.visit() for _ in range(count - STAYING)]
        await asyncio.gather(*tasks)


class ClientsOfRecording:
    name = None
    length_s = 0
    speed = 0

    @classmethod
    def setUpClass(cls):
        cls.capture = Capture(cls.name)
        cls.capture.check()
        speed = cls.speed / 2 if kit.slow else cls.speed
        count = CLIENTS_SLOW if kit.slow else CLIENTS
        with kit.serve("--venue", kit.replay(cls.capture.path, speed=speed),
                       *kit.ROOM) as server:
            cls.crowd = Crowd(cls.capture, server.ws_url(), kit.seed(20), cls.length_s / speed)
            cls.metrics = asyncio.run(cls.visit(server, count))
            cls.exit = server.terminate()
        print("messages: %s" % cls.crowd.totals, flush=True)

    @classmethod
    async def visit(cls, server, count):
        await cls.crowd.run(count)
        metrics = await asyncio.get_running_loop().run_in_executor(None, server.metrics)
        for client in cls.crowd.stayed:
            for channel in [*client.channels.values(), *client.retired]:
                cls.crowd.note(channel)
            await client.close()
        return metrics

    def held(self, kind):
        for client in self.crowd.stayed:
            for channel in client.channels.values():
                if channel.kind == kind:
                    yield channel

    def test_full_books_are_the_recordings_final_books(self):
        markets = set()
        for channel in self.held("book"):
            if channel.depth == "full":
                markets.add(channel.symbol)
                expected = self.capture.expected["books"][channel.symbol]["book_sha256"]
                self.assertEqual(final_book(channel).digest(), expected, channel.name)
        self.assertEqual(markets, set(self.capture.expected["books"]))

    def test_shallow_books_are_the_top_of_the_final_books(self):
        for channel in self.held("book"):
            book = self.capture.markets[channel.symbol].book
            held = final_book(channel)
            count = channel.levels_max
            self.assertEqual(held.bids.levels(), book.bids.top(count), channel.name)
            self.assertEqual(held.asks.levels(), book.asks.top(count), channel.name)

    def test_trades_are_the_recordings_from_the_first_one_held_to_the_last(self):
        for channel in self.held("trades"):
            recorded = self.capture.markets[channel.symbol].trades
            told = [trade["id"] for trade in channel.trades]
            ids = [trade.id for trade in recorded]
            self.assertEqual(told, ids[len(ids) - len(told):], channel.name)
            if told:
                self.assertEqual(told[-1], ids[-1])
            else:
                self.assertEqual(ids, [], channel.name)

    def test_every_market_had_a_client_that_saw_all_its_trades(self):
        for symbol, market in self.capture.markets.items():
            counts = [len(channel.trades) for channel in self.held("trades")
                      if channel.symbol == symbol]
            self.assertLessEqual(min(len(market.trades), 50), max(counts), symbol)

    def test_best_bids_and_offers_and_tickers_end_with_the_last(self):
        for channel in self.held("bbo"):
            self.assertEqual(channel.seq, len(channel.oracle.bbos), channel.name)
        for channel in self.held("ticker"):
            self.assertEqual(channel.seq, len(channel.oracle.market.tickers), channel.name)

    def test_nothing_was_lost_on_the_way(self):
        self.assertEqual(self.crowd.totals["gap"], 0)
        for name in ("trades_lost_total", "ring_lapped_total", "venue_malformed_total",
                     "book_crossed_total", "request_errors_total", "memory_refused_total"):
            self.assertEqual(sum(value for series, value in self.metrics.items()
                                 if series.split("{")[0] == "tickfan_" + name), 0, name)

    def test_one_frame_serves_many(self):
        def total(name):
            return sum(value for series, value in self.metrics.items()
                       if series.split("{")[0] == "tickfan_" + name)
        self.assertGreater(total("frames_delivered_total"), total("frames_encoded_total"))

    def test_the_server_ends_well(self):
        self.assertEqual(self.exit[0], 0)
        self.assertLess(self.exit[1], 5)


class Recording2026(ClientsOfRecording, unittest.TestCase):
    name = kit.COINBASE_2026
    length_s = 60
    speed = 12


class Recording2021(ClientsOfRecording, unittest.TestCase):
    name = kit.COINBASE_2021
    length_s = 31
    speed = 6


if __name__ == "__main__":
    kit.main()
