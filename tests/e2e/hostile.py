"""For tests of what strangers may do to a server: the server, a witness who must not notice, and
counters that must tell."""

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time
import unittest

import kit
import raw
from client import Client

# Freed memory that a sanitizer keeps back must not look like a leak.
os.environ["ASAN_OPTIONS"] = ":".join(
    part for part in (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=8") if part)

MIB = 1 << 20
VENUE = "sim:seed=45,instruments=2,updates_per_s=100,trades_per_s=50,burst_every_s=0"
WITNESSED = ("book.sim.%s.10.raw", "book.sim.%s.200.raw", "trades.sim.%s.raw", "bbo.sim.%s.raw",
             "ticker.sim.%s.100ms")


class Witness:
    """A strict client in a thread of its own. Every message it gets is checked."""

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.client = Client()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        try:
            self.channels = self._run(self._start(url))
            self.check()
        except BaseException:
            self._end()
            raise

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(kit.WAIT_S)

    def _end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.run_until_complete(asyncio.sleep(0))  # what was closed last says so
        self.loop.close()

    async def _start(self, url):
        await self.client.connect(url)
        while True:
            result = (await self.client.call("get_instruments"))["result"]
            symbols = [entry["symbol"] for entry in result["instruments"][:2]]
            if symbols:
                break
        names = [name % symbol for symbol in symbols for name in WITNESSED]
        return await self.client.subscribe(*names)

    async def _served(self):
        books = [channel for channel in self.channels if channel.kind == "book"]
        seqs = [channel.seq or 0 for channel in books]
        await self.client.until(lambda: all(c.seq and c.seq > seq for c, seq in zip(books, seqs)))

    def check(self):
        """Every book goes on, and it has missed nothing so far."""
        self._run(self._served())
        assert not self.client.counts.get("lag"), self.client.counts
        assert not self.client.counts.get("gap"), self.client.counts
        for channel in self.channels:
            assert channel.counts["snapshot"] == 1, (channel.name, channel.counts)

    def stop(self):
        try:
            self.check()
            self._run(self.client.close())
        finally:
            self._end()


class HostileCase(unittest.TestCase):
    """One server for a class of attacks. After each of them the witness has noticed nothing and the
    attackers are gone; at the end no descriptor and no memory is."""

    flags = ()
    venue = VENUE
    growth_bytes_max = 4 * MIB

    @classmethod
    def setUpClass(cls):
        cls.server = cls.start()
        try:
            cls.port = cls.server.port()
            cls.witness = Witness(cls.server.ws_url())
            cls.fds = cls.server.fds()
            cls.memory = cls.server.metric("memory_in_use_bytes")
        except BaseException as error:
            cls.server.__exit__(type(error), error, None)
            raise

    @classmethod
    def start(cls):
        return kit.serve("--venue", cls.venue, "--instruments-max", "256", *cls.flags)

    @classmethod
    def tearDownClass(cls):
        with cls.server:
            grown = cls.server.metric("memory_in_use_bytes") - cls.memory
            assert grown <= cls.growth_bytes_max, "memory grew by %d bytes" % grown
            wait_for(lambda: cls.server.fds() <= cls.fds, "descriptors leaked")
            cls.witness.stop()
            assert cls.server.terminate()[0] == 0, cls.server.stderr()
            for word in ("Sanitizer", "runtime error", "level=error"):
                assert word not in cls.server.stderr(), cls.server.stderr()

    def setUp(self):
        self.addCleanup(self.unharmed)

    def unharmed(self):
        wait_for(lambda: self.server.metric("connections") == 1, "attackers stay connected")
        self.assertEqual(self.server.metric("subscriptions"), len(self.witness.channels))
        self.assertEqual(self.server.metric("memory_refused_total"), 0)
        self.witness.check()

    def client(self, **options):
        client = self.stranger()
        client.open(**options)
        return client

    def stranger(self):
        """Connected, and nothing said."""
        client = raw.RawClient(self.port)
        self.addCleanup(client.socket.close)
        return client

    @staticmethod
    def has_ended(client, timeout_s):
        """Does the server end the connection within that time?"""
        client.socket.settimeout(timeout_s)
        try:
            return client.ended()
        except TimeoutError:
            return False

    def counter(self, name):
        """A counter of /metrics; closes_REASON is closes_total of that reason, sends_cut all sends
        that were not taken whole."""
        if name.startswith("closes_") and name != "closes_total":
            return self.server.metric("closes_total", reason=name[len("closes_"):])
        if name == "sends_cut":
            return self.server.metric("sends_short_total") + self.server.metric("sends_full_total")
        return self.server.metric(name)

    @contextlib.contextmanager
    def counted(self, **expected):
        """The counters move by so much, not less and not more."""
        before = {name: self.counter(name) for name in expected}

        def moved():
            return {name: self.counter(name) - before[name] for name in expected}
        yield
        with contextlib.suppress(AssertionError):
            wait_for(lambda: all(moved()[name] >= least for name, least in expected.items()), "")
        self.assertEqual(moved(), expected)

    @contextlib.contextmanager
    def growing(self, *names):
        """The counters move."""
        before = {name: self.counter(name) for name in names}
        yield
        for name in names:
            wait_for(lambda: self.counter(name) > before[name], name + " does not move")


def wait_for(holds, failure, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(failure)
        time.sleep(0.01)


def reset(client):
    """Leave by RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
