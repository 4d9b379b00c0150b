"""Clients that stop reading for a while: they come back right and are told, nobody else notices;
one that never reads is cut."""

import asyncio
import socket
import unittest
from decimal import Decimal

import kit
from capture import Capture
from client import Client

SMALL_BUFFER_BYTES = 4096
SPEED = 12
STALLED = 4
HEALTHY = 4


def small_socket(port):
    """A connected socket that takes little while nobody reads it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    sock.connect(("127.0.0.1", port))
    return sock


async def connect_small(server, oracle=None):
    client = Client(oracle)
    return await client.connect(server.ws_url(), sock=small_socket(server.port()))


async def metric_above(server, name, value, **labels):
    """Wait until a counter moved past `value`."""
    loop = asyncio.get_running_loop()
    for _ in range(kit.WAIT_S * 10):
        if await loop.run_in_executor(None, lambda: server.metric(name, **labels)) > value:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("%s%s stays at %s" % (name, labels, value))


async def stall(client, server, until):
    """Stop reading until the condition holds."""
    client.socket.transport.pause_reading()
    await until()
    client.socket.transport.resume_reading()


async def instruments(client, count):
    while True:
        reply = await client.call("get_instruments")
        if "result" in reply and len(reply["result"]["instruments"]) == count:
            return
        await asyncio.sleep(0.02)


class StalledOnARecording(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.capture = Capture(kit.COINBASE_2026)
        venue = kit.replay(cls.capture.path, speed=SPEED)
        with kit.serve("--venue", venue, *kit.ROOM) as server:
            asyncio.run(cls.play(server))

    @classmethod
    async def play(cls, server):
        random = kit.seed(30)
        cls.stalled = [await connect_small(server, cls.capture) for _ in range(STALLED)]
        cls.healthy = [await Client(cls.capture).connect(server.ws_url()) for _ in range(HEALTHY)]
        await instruments(cls.healthy[0], 2)
        tasks = [cls.read_on(client) for client in cls.healthy]
        tasks += [cls.read_now_and_then(client, server, random) for client in cls.stalled]
        await asyncio.gather(*tasks)
        cls.metrics = await asyncio.get_running_loop().run_in_executor(None, server.metrics)
        for client in cls.stalled + cls.healthy:
            await client.close()

    @staticmethod
    async def read_on(client):
        await client.subscribe("book.coinbase.BTC-USD.10.raw", "trades.coinbase.BTC-USD.raw",
                               "bbo.coinbase.ETH-USD.raw", "book.coinbase.ETH-USD.10.100ms")
        await client.until(lambda: all(c.over for c in client.channels.values()))

    @staticmethod
    async def read_now_and_then(client, server, random):
        await client.subscribe("book.coinbase.BTC-USD.200.raw", "trades.coinbase.BTC-USD.raw",
                               "book.coinbase.ETH-USD.200.raw")
        for _ in range(3):
            length_s = random.uniform(0.5, 1.2)
            await stall(client, server, lambda: asyncio.sleep(length_s))
            await asyncio.sleep(random.uniform(0.1, 0.3))
        await client.until(lambda: all(c.over for c in client.channels.values()))

    def total(self, name):
        return sum(value for series, value in self.metrics.items()
                   if series.split("{")[0] == "tickfan_" + name)

    def test_stalled_clients_hold_the_final_books(self):
        for client in self.stalled:
            for channel in client.channels.values():
                self.assertTrue(channel.over, channel.name)
                if channel.kind == "book":
                    book = channel.oracle.market.book
                    prices = [Decimal(price) for price, _ in channel.bids.top(200)]
                    self.assertEqual(prices, [price for price, _ in book.bids.top(200)])

    def test_stalled_clients_are_told_by_lag(self):
        for client in self.stalled:
            self.assertGreater(client.counts.get("lag", 0), 0)

    def test_stalled_clients_miss_no_trade(self):
        ids = [trade.id for trade in self.capture.markets["BTC-USD"].trades]
        for client in self.stalled + self.healthy:
            channel = client.channels["trades.coinbase.BTC-USD.raw"]
            told = [trade["id"] for trade in channel.trades]
            self.assertEqual(channel.counts["gap"], 0)
            self.assertEqual(told, ids[len(ids) - len(told):])
            self.assertGreater(len(told), 50)

    def test_healthy_clients_notice_nothing(self):
        for client in self.healthy:
            self.assertEqual(client.counts.get("lag", 0), 0)
            for channel in client.channels.values():
                self.assertEqual(channel.counts["snapshot"], 1 + self.reset(channel), channel.name)

    @staticmethod
    def reset(channel):
        """A subscriber that came before the venue's snapshot gets that as a second one."""
        return 1 if channel.kind != "trades" and channel.first_seq == 0 else 0

    def test_counters_tell_what_happened(self):
        self.assertGreater(self.total("frames_skipped_total"), 0)
        self.assertGreater(self.total("lag_notices_total"), 0)
        self.assertGreater(self.total("sends_full_total") + self.total("sends_short_total"), 0)
        self.assertGreaterEqual(self.total("lag_notices_total"),
                                sum(client.counts.get("lag", 0) for client in self.stalled))
        self.assertEqual(self.total("trades_lost_total"), 0)
        self.assertEqual(self.total("gap_notices_total"), 0)


class StalledOnASimulatedVenue(unittest.TestCase):
    VENUE = "sim:seed=3,instruments=1,updates_per_s=1000,trades_per_s=500,burst_every_s=0"

    def play(self, scene, *arguments, venue=VENUE):
        with kit.serve("--venue", venue, "--instruments-max", "16", *arguments) as server:
            asyncio.run(scene(server))
            self.assertEqual(server.terminate()[0], 0)

    def test_a_client_that_keeps_up_gets_nearly_every_version_on_its_own(self):
        """A fan-out thread that overslept would merge what came meanwhile."""
        async def scene(server):
            client = await Client().connect(server.ws_url())
            channel, = await client.subscribe("book.sim.BTC-USD.full.raw")
            await client.until(lambda: channel.seq and channel.seq > channel.first_seq + 400)
            self.assertGreater(channel.counts["update"], (channel.seq - channel.first_seq) / 2)
            await client.close()
        self.play(scene, venue="sim:seed=3,instruments=1,updates_per_s=100,burst_every_s=0")

    def test_trades_that_history_no_longer_has_are_a_gap_with_the_exact_count(self):
        async def scene(server):
            client = await connect_small(server)
            channel, _ = await client.subscribe("trades.sim.BTC-USD.raw", "book.sim.BTC-USD.50.raw")
            await client.until(lambda: channel.seq)

            async def history_passed():
                await metric_above(server, "published_trades_total",
                                   server.metric("published_trades_total") + 700)
            await stall(client, server, history_passed)
            # That ids go on right where the gap says is checked with every trade.
            await client.until(lambda: channel.counts["gap"] > 0 and channel.missing == 0)
            ids = [int(trade["id"]) for trade in channel.trades]
            self.assertGreater(ids[-1] - ids[0] + 1, len(ids) + 100)
            self.assertGreater(server.metric("trades_lost_total"), 100)
            await client.close()
        self.play(scene, "--trades-kept", "64")

    def test_a_client_that_never_reads_is_cut_and_the_others_are_not(self):
        async def scene(server):
            healthy = await Client().connect(server.ws_url())
            watched = (await healthy.subscribe("book.sim.BTC-USD.10.raw"))[0]
            stalled = await connect_small(server)
            await stalled.subscribe("book.sim.BTC-USD.full.raw")
            stalled.socket.transport.pause_reading()
            await metric_above(server, "closes_total", 0, reason="too_slow")
            stalled.socket.transport.resume_reading()
            self.assertNotEqual(await stalled.until_closed(), 1000)
            before = watched.seq
            await healthy.until(lambda: watched.seq > before + 100)
            self.assertEqual(server.metric("connections"), 1)
            await healthy.close()
        self.play(scene, "--stall-ms", "700")


if __name__ == "__main__":
    kit.main()
