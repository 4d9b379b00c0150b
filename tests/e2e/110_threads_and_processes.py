"""The recording again, served by one fan-out thread and by several, in one process and in two:
every client of each holds what the recording says, at every depth and rate.
"""

import asyncio
import importlib
import time
import unittest

import kit
import raw
from capture import Capture, MarketOracle
from client import Client
from raw import RawClient

rebuild = importlib.import_module("020_clients_rebuild")
Rebuilt = rebuild.ClientsOfRecording

CLIENTS = 20
CLIENTS_SLOW = 200
STAYING = 4
SPEED = 15
SPEED_SLOW = 4
LENGTH_S = 60

DEPTHS = ["1", "10", "25", "50", "200", "1000", "full"]
RATES = ["raw", "100ms", "250ms", "1s"]
TRADE_RATES = ["raw", "100ms"]


class Oracle(MarketOracle):
    """Also knows when a book between ten levels and all of them is complete: its last version need
    not be the market's last, whose changes may lie below it."""

    def final(self, channel):
        if channel.kind != "book" or channel.levels_max <= 10 or channel.depth == "full":
            return super().final(channel)
        held = rebuild.final_book(channel)
        return (held.bids.levels() == self.market.book.bids.top(channel.levels_max)
                and held.asks.levels() == self.market.book.asks.top(channel.levels_max))


class Recording(Capture):
    def market(self, symbol):
        return Oracle(self.markets[symbol])


class Crowd(rebuild.Crowd):
    """Clients of all depths and rates; each is there before the server knows any market."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ids = []
        self.first_hello = None

    def names(self):
        symbol = self.random.choice(self.symbols)
        kind = self.random.choice(["book", "book", "book", "trades", "bbo", "ticker"])
        name = "%s.coinbase.%s" % (kind, symbol)
        if kind == "book":
            return "%s.%s.%s" % (name, self.random.choice(DEPTHS), self.random.choice(RATES))
        return "%s.%s" % (name, self.random.choice(TRADE_RATES if kind == "trades" else RATES))

    async def markets_known(self, client):
        self.ids.append(client.hello["conn"])
        if self.first_hello is None:
            self.first_hello = client.hello
        await super().markets_known(client)

    async def from_the_start(self, number):
        """As in 020, with slower full books: 40,000 levels are much for a client in Python, which
        is behind then and gets them all again."""
        symbol = self.symbols[number % len(self.symbols)]
        client = await Client(self.capture).connect(self.url)
        await self.markets_known(client)
        await client.subscribe("trades.coinbase.%s.raw" % symbol, "ticker.coinbase.%s.raw" % symbol,
                               "bbo.coinbase.%s" % symbol,
                               "book.coinbase.%s.full.%s" % (symbol, RATES[2 + number // 2 % 2]))
        await self.stay(client)

    async def every_depth(self):
        """One client has them all."""
        client = await Client(self.capture).connect(self.url)
        await self.markets_known(client)
        for symbol in self.symbols:
            await client.subscribe(*["book.coinbase.%s.%s.%s" % (
                symbol, depth, "1s" if depth == "full" else "raw") for depth in DEPTHS])
        await self.stay(client)

    async def run(self, count):
        tasks = [self.from_the_start(number) for number in range(STAYING)]
        tasks += [self.every_depth()]
        tasks += [self.visit() for _ in range(count - len(tasks))]
        await asyncio.gather(*tasks)


class Served:
    """One way to serve it; the tests are those of 020 and these."""

    threads = 0
    processes = 0
    capture = None

    @classmethod
    def setUpClass(cls):
        if Served.capture is None:
            Served.capture = Recording(kit.COINBASE_2026)
            Served.capture.check()
        speed = SPEED_SLOW if kit.slow else SPEED
        venue = ("--venue", kit.replay(cls.capture.path, speed=speed), *kit.ROOM)
        threads = ("--fanout-threads", str(cls.threads))
        crowd = (cls.capture, kit.seed(110 + cls.threads), LENGTH_S / speed)
        if cls.processes == 1:
            with kit.serve(*venue, *threads) as server:
                cls.run_with(server, server, *crowd)
            return
        # Clients come before there is anything to serve.
        region = kit.region_name()
        with kit.fanout(*threads, region=region) as server:
            cls.early = asyncio.run(cls.hello_of(server))
            cls.unready = server.get("/readyz")
            with kit.ingest("--http", "127.0.0.1:0", *venue, region=region) as writer:
                cls.run_with(server, writer, *crowd)

    @classmethod
    async def hello_of(cls, server):
        client = await Client().connect(server.ws_url())
        reply = await client.call("subscribe", channels=["trades.coinbase.BTC-USD"])
        await client.close()
        return client.hello, reply

    @classmethod
    def run_with(cls, server, writer, capture, random, replay_s):
        cls.crowd = Crowd(capture, server.ws_url(), random, replay_s)
        cls.metrics, cls.writer_metrics = asyncio.run(cls.visit(server, writer))
        cls.exit = server.terminate()
        cls.writer_exit = writer.terminate() if writer is not server else (0, 0)
        print("messages: %s" % cls.crowd.totals, flush=True)

    @classmethod
    async def visit(cls, server, writer):
        await cls.crowd.run(CLIENTS_SLOW if kit.slow else CLIENTS)
        loop = asyncio.get_running_loop()
        metrics = [await loop.run_in_executor(None, process.metrics)
                   for process in (server, writer)]
        for client in cls.crowd.stayed:
            for channel in [*client.channels.values(), *client.retired]:
                cls.crowd.note(channel)
            await client.close()
        return metrics

    def series(self, name, metrics=None, **labels):
        """By thread."""
        start = "tickfan_%s{thread=\"" % name
        return {series[len(start):].split('"')[0]: value
                for series, value in (metrics or self.metrics).items() if series.startswith(start)}

    held = Rebuilt.held
    test_full_books = Rebuilt.test_full_books_are_the_recordings_final_books
    test_shallow_books = Rebuilt.test_shallow_books_are_the_top_of_the_final_books
    test_trades = Rebuilt.test_trades_are_the_recordings_from_the_first_one_held_to_the_last
    test_bbos = Rebuilt.test_best_bids_and_offers_and_tickers_end_with_the_last
    test_losses = Rebuilt.test_nothing_was_lost_on_the_way

    def test_every_depth_was_held_to_the_end(self):
        self.assertEqual({channel.depth for channel in self.held("book")}, set(DEPTHS))

    def test_every_thread_had_clients_and_their_ids_are_unique_in_the_process(self):
        accepted = self.series("connections_accepted_total")
        served = [accepted["fanout-%d" % thread] for thread in range(self.threads)]
        self.assertTrue(all(served), served)
        self.assertEqual(len(self.crowd.ids), CLIENTS_SLOW if kit.slow else CLIENTS)
        self.assertEqual(len(set(self.crowd.ids)), len(self.crowd.ids))

    def test_all_processes_end_well(self):
        for code, seconds in (self.exit, self.writer_exit):
            self.assertEqual(code, 0)
            self.assertLess(seconds, 5)


class InTwoProcesses(Served):
    processes = 2

    def test_without_a_region_clients_are_greeted_and_readyz_says_why_not(self):
        hello, reply = self.early
        self.assertEqual(hello["venues"], [])
        self.assertEqual(reply["result"]["subscribed"], [])
        self.assertEqual(len(reply["result"]["failed"]), 1)
        self.assertEqual(self.unready, (503, "no region\n"))

    def test_the_writer_woke_the_threads_of_the_other_process(self):
        self.assertEqual(self.series("bell_connected")["bells"], 1)
        self.assertEqual(self.series("bell_guests", self.writer_metrics)["bells"], 1)
        self.assertGreater(self.series("bell_rings_total", self.writer_metrics)["ingest"], 20)


class ThreeThreads(Served, unittest.TestCase):
    threads = 3
    processes = 1


class TwoProcessesThreeThreads(InTwoProcesses, unittest.TestCase):
    threads = 3


class ManyThreads(unittest.TestCase):
    """What the threads share: a limit, and the end."""

    SIM = ("--venue", "sim:seed=5,instruments=3,updates_per_s=20,trades_per_s=5",
           "--instruments-max", "16", "--ring-mib", "1")

    @staticmethod
    def opened(server):
        client = RawClient(server.port())
        try:
            client.open()
        except (raw.Ended, ConnectionError):
            client.__exit__()
            return None
        return client

    def test_the_limit_of_connections_is_that_of_the_process(self):
        with kit.serve(*self.SIM, "--fanout-threads", "4", "--connections-max", "6") as server:
            clients = [self.opened(server) for _ in range(6)]
            self.assertNotIn(None, clients)
            for _ in range(12):  # on whichever thread they land
                self.assertIsNone(self.opened(server))
            self.assertEqual(server.metric("connections"), 6)
            self.assertEqual(server.metric("connections_refused_total"), 12)
            clients.pop().__exit__()
            deadline = time.monotonic() + kit.WAIT_S
            late = None
            while late is None and time.monotonic() < deadline:
                late = self.opened(server)
            self.assertIsNotNone(late)
            for client in [*clients, late]:
                client.__exit__()

    def test_all_threads_end_at_once_with_clients_that_do_not_answer(self):
        with kit.serve(*self.SIM, "--fanout-threads", "4", "--drain-ms", "1000",
                       "--linger-ms", "60000") as server:
            clients = [self.opened(server) for _ in range(24)]
            code, seconds = server.terminate()
            self.assertEqual([client.closed_with() for client in clients], [1001] * 24)
            for client in clients:
                client.__exit__()
        self.assertEqual(code, 0)
        self.assertGreaterEqual(seconds, 1)
        self.assertLess(seconds, 3)  # one after the other it would be four


if "slow" in kit.sys.argv:
    class OneThread(Served, unittest.TestCase):
        threads = 1
        processes = 1

    class TwoProcessesOneThread(InTwoProcesses, unittest.TestCase):
        threads = 1


if __name__ == "__main__":
    kit.main()
