"""A venue as its subscribers see it: its lists through a whole recording, and what goes with any
subscription: heartbeats, the list of them, and leaving all."""

import asyncio
import json
import socket
import unittest

import kit
from client import Client

SMALL_BUFFER_BYTES = 4096
INSTRUMENTS = 40
QUIET_MAX = 256
SIM = "sim:seed=75,instruments=%d,updates_per_s=0.2,trades_per_s=0.1,burst_every_s=0" % INSTRUMENTS
BUSY = "sim:seed=75,instruments=1,updates_per_s=1000,trades_per_s=0,burst_every_s=0"


def at(second):
    return "2026-01-01T00:00:%02d.000000Z" % second


def snapshot(second, product):
    return {"type": "snapshot", "product_id": product, "time": at(second),
            "bids": [["10.00", "2.00"]], "asks": [["10.02", "1.00"]]}


def update(second, product, price):
    return {"type": "l2update", "product_id": product, "time": at(second),
            "changes": [["buy", price, "1.50"]]}


RECORDING = [
    snapshot(0, "AAA-USD"),
    update(3, "AAA-USD", "10.01"),   # time for clients to come
    snapshot(3, "BBB-USD"),          # one that was not there
    update(4, "AAA-USD", "10.005"),  # a finer price
    update(5, "BBB-USD", "10.05"),   # over the best ask
    snapshot(6, "BBB-USD"),
    update(7, "AAA-USD", "10.00"),
]


def recording():
    path = kit.scratch_file("venue.ndjson")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in RECORDING)
    return path


async def venue_known(client, name, instruments):
    while True:
        reply = await client.call("get_instruments", venue=name)
        if "result" in reply and len(reply["result"]["instruments"]) == instruments:
            return
        await asyncio.sleep(0.01)


class History(Client):
    """Keeps what each entry of its lists went through."""

    def __init__(self):
        super().__init__()
        self.past = {}  # (kind, symbol) -> [(state or status with px_dp)]

    def on_text(self, text):
        super().on_text(text)
        message = json.loads(text)
        params = message.get("params", {})
        if message.get("method") != "subscription" or "data" not in params:
            return
        kind = params["channel"].split(".")[0]
        for entry in params["data"] if kind in ("status", "instruments") else ():
            told = entry["state"] if kind == "status" else (entry["status"], entry["px_dp"])
            past = self.past.setdefault((kind, entry["symbol"]), [])
            if not past or past[-1] != told:
                past.append(told)


class ThroughARecording(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with kit.serve("--venue", kit.replay(recording()), "--instruments-max", "16") as server:
            asyncio.run(cls.watch(server))

    @classmethod
    async def watch(cls, server):
        cls.client = await History().connect(server.ws_url())
        await venue_known(cls.client, "coinbase", 1)
        cls.status, cls.instruments = await cls.client.subscribe("status.coinbase",
                                                                 "instruments.coinbase")
        await cls.client.until(lambda: None not in (cls.status.seq, cls.instruments.seq))
        await cls.client.until(lambda: cls.status.over)
        cls.late = await Client().connect(server.ws_url())
        late = await cls.late.subscribe("instruments.coinbase", "status.coinbase")
        await cls.late.until(lambda: None not in [channel.seq for channel in late])
        for client in (cls.client, cls.late):
            await client.check_venue("coinbase")
            await client.close()

    def test_states_are_told_as_they_come(self):
        self.assertEqual(self.client.past["status", "AAA-USD"][-2:], ["live", "stale"])
        self.assertEqual(self.client.past["status", "BBB-USD"][-4:],
                         ["live", "resync", "live", "stale"])
        self.assertEqual(self.client.past["status", None][-2:], ["live", "stale"])

    def test_a_new_instrument_and_a_finer_price_are_changes(self):
        self.assertEqual([told for told in self.client.past["instruments", "AAA-USD"]
                          if told[1] > 0], [("unknown", 2), ("unknown", 3)])
        self.assertIn("BBB-USD", self.instruments.entries)

    def test_one_snapshot_and_then_updates(self):
        for channel in (self.status, self.instruments):
            self.assertEqual(channel.counts["snapshot"], 1, channel.name)
            self.assertGreater(channel.counts["update"], 0, channel.name)
            self.assertEqual(channel.counts["lag"], 0, channel.name)

    def test_a_late_joiner_holds_the_same(self):
        for name, channel in self.late.channels.items():
            self.assertEqual(channel.entries, self.client.channels[name].entries)
            self.assertEqual(channel.counts["snapshot"], 1)


class Behind(unittest.TestCase):
    """Its socket is full of something else while the venue comes and goes."""

    def test_who_was_behind_gets_what_changed(self):
        with kit.serve("--venue", kit.replay(recording(), speed=40, loop="yes"), "--venue", BUSY,
                       "--instruments-max", "16") as server:
            asyncio.run(self.follow(server))

    async def follow(self, server):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        sock.connect(("127.0.0.1", server.port()))
        client = await Client().connect(server.ws_url(), sock=sock)
        await venue_known(client, "coinbase", 2)
        await venue_known(client, "sim", 1)
        status, instruments, _ = await client.subscribe(
            "status.coinbase", "instruments.coinbase", "book.sim.BTC-USD.full.raw")
        await client.call("set_heartbeat", interval_s=1)
        await client.until(lambda: status.counts["update"] > 0)
        for _ in range(30):
            client.socket.transport.pause_reading()
            await asyncio.sleep(1.5)
            client.socket.transport.resume_reading()
            updates = status.counts["update"]
            await client.until(lambda: status.counts["update"] > updates)
            if status.counts["lag"] > 0:
                break
        beats = len(client.heartbeats)
        await client.until(lambda: len(client.heartbeats) > beats + 1)
        self.assertGreater(status.counts["lag"], 0)
        self.assertEqual(status.counts["snapshot"], 1)
        self.assertEqual(instruments.counts["snapshot"], 1)
        await client.close()


class OfAConnection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = kit.serve("--venue", SIM, "--heartbeat-ms", "0")
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    @staticmethod
    def names(symbols):
        return ["%s.sim.%s%s" % (kind, symbol, rate) for symbol in symbols for kind, rate in (
            ("bbo", ".raw"), ("bbo", ".1s"), ("ticker", ""), ("ticker", ".raw"), ("trades", ""),
            ("trades", ".raw"), ("book", ""), ("book", ".full.250ms"))]

    async def entered(self, count):
        """A client of `count` markets, all of it loaded."""
        client = await Client().connect(self.server.ws_url())
        await venue_known(client, "sim", INSTRUMENTS)
        reply = await client.call("get_instruments", venue="sim")
        symbols = [entry["symbol"] for entry in reply["result"]["instruments"]][:count]
        await client.subscribe("status.sim", "instruments.sim", *self.names(symbols))
        await client.until(lambda: all(c.seq is not None for c in client.channels.values()))
        return client

    def test_heartbeats_prove_silence(self):
        async def follow():
            client = await self.entered(INSTRUMENTS)
            self.assertGreater(len(client.channels), QUIET_MAX)
            self.assertEqual(client.hello["heartbeat_s"], 0)
            self.assertEqual(client.heartbeats, [])
            reply = await client.call("set_heartbeat", interval_s=1)
            self.assertEqual(reply["result"], {"interval_s": 1})
            # Each is checked by the client; the first one may have no quiet ones.
            await client.until(lambda: len(client.heartbeats) >= 4)
            self.assertTrue(any(beat["quiet_more"] > 0 for beat in client.heartbeats[1:]))
            times = [beat["time"] for beat in client.heartbeats]
            gaps = [b - a for a, b in zip(times, times[1:])]
            self.assertTrue(all(300_000 < gap for gap in gaps), gaps)
            await client.call("set_heartbeat", interval_s=0)
            beats = len(client.heartbeats)
            await asyncio.sleep(1.5)
            await client.call("ping")
            self.assertEqual(len(client.heartbeats), beats)
            await client.close()
        asyncio.run(follow())

    def test_a_connection_can_list_and_leave_all_it_has(self):
        async def follow():
            client = await self.entered(3)
            count = len(client.channels)
            listed = (await client.call("list_subscriptions"))["result"]["subscriptions"]
            self.assertEqual(len(listed), count)
            self.assertFalse(any(entry["behind"] for entry in listed))
            self.assertEqual([entry for entry in listed if "px_dp" not in entry],
                             [entry for entry in listed
                              if entry["channel"] in ("status.sim", "instruments.sim")])
            left = await client.call("unsubscribe_all")
            self.assertEqual(len(left["result"]["unsubscribed"]), count)
            again = await client.call("unsubscribe_all")
            self.assertEqual(again["result"]["unsubscribed"], [])
            self.assertEqual((await client.call("list_subscriptions"))["result"],
                             {"subscriptions": []})
            # Nothing follows, and all can come back.
            await asyncio.sleep(0.3)
            await client.subscribe("status.sim", "bbo.sim.BTC-USD")
            await client.until(lambda: all(c.seq is not None for c in client.channels.values()))
            await client.close()
        asyncio.run(follow())

    def test_lists_are_what_the_server_answers(self):
        async def follow():
            client = await self.entered(1)
            status = client.channels["status.sim"]
            await client.until(lambda: all(entry["state"] == "live"
                                           for entry in status.entries.values()))
            self.assertEqual(len(status.entries), INSTRUMENTS + 1)
            await client.check_venue("sim")
            await client.close()
        asyncio.run(follow())


if __name__ == "__main__":
    kit.main()
