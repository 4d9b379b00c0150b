"""An open live link: what a venue tells over wss comes out as it went in, and after every kind of
failure it comes back, while the simulated venue beside it does not notice. Command line: TEST BINARY
--server=VENUE_SERVER."""

import asyncio
import collections
import hashlib
import json
import signal
import unittest
from decimal import Decimal

import kit
from capture import Book, Capture, canonical
from venue import FRAMES, Venue, Watcher, live, serve, until


class Outages(unittest.TestCase):
    """An open link breaks, in every way, and comes back."""

    def follow(self, breaks, log, mends=None, **options):
        """Break the link of a live market, see it stale, mend it, see it live."""
        # Down long enough for every turn of a slow machine to see it.
        options = {"backoff_min_ms": 400, **options}
        with Venue() as venue, serve(venue, **options) as server:
            asyncio.run(self.break_and_mend(venue, server, breaks, log, mends))
            self.assertEqual(server.terminate()[0], 0)

    async def break_and_mend(self, venue, server, breaks, log, mends):
        watcher = await Watcher.of(server)
        await watcher.until_live()
        await watcher.sim_goes_on()
        told_of_sim = list(watcher.sim.states)
        requests = len(venue.said(r'^request .*"subscribe"'))
        breaks(venue)
        await watcher.until_stale()
        await watcher.sim_goes_on()
        server.find(log, server.stderr)
        if mends is not None:
            mends(venue)
        await watcher.until_live()
        self.assertTrue(watcher.came_back(), watcher.history)
        self.assertGreater(len(venue.said(r'^request .*"subscribe"')), requests)
        await watcher.sim_goes_on()
        self.assertEqual(watcher.sim.states, told_of_sim)  # live all the time
        await watcher.close()
        self.assertGreaterEqual(server.metric("feed_connects_total"), 2)

    def test_cut(self):
        self.follow(lambda venue: venue.tell("drop"),
                    r'event=link_failed venue=coinbase .*what="the connection was cut"')

    def test_closed_with_a_code(self):
        self.follow(lambda venue: venue.tell("close", 1001, 'restart "soon"'),
                    r"what=\"closed by the venue: code 1001, restart 'soon'\"")

    def test_silent(self):
        self.follow(lambda venue: venue.tell("freeze"), r'what="no data for silence_ms"',
                    lambda venue: venue.tell("thaw"), silence_ms=1000)

    def test_dead_and_pings_find_out(self):
        self.follow(lambda venue: venue.process.send_signal(signal.SIGSTOP),
                    r'what="a ping was not answered"',
                    lambda venue: venue.process.send_signal(signal.SIGCONT),
                    ping_ms=500, connect_ms=1000)

    def test_a_message_too_large(self):
        self.follow(lambda venue: venue.tell("big", 24 << 20),
                    r'what="a message is larger than 16777216 bytes"')

    def test_a_message_just_not_too_large_is_taken_and_the_link_goes_on(self):
        with Venue() as venue, kit.serve("--venue", live(venue.port)) as server:
            until(server, "venue_frames_total", len(FRAMES))
            venue.tell("big", 16 << 20)  # blanks: malformed, so the book is asked for
            until(server, "venue_malformed_total", 1)
            venue.until(r'^request \{"type":"unsubscribe".*\["level2_batch"\]', 1)
            venue.until(r'^request \{"type":"subscribe".*\["level2_batch"\]', 1)
            # It was more than the queue holds before the socket is left alone: it is read again.
            until(server, "venue_frames_total", server.metric("venue_frames_total") + 5)
            self.assertEqual(server.metric("venue_too_big_total"), 0)
            self.assertEqual(server.metric("feed_connects_total"), 1)

    def test_restart(self):
        with Venue() as venue, serve(venue) as server:
            asyncio.run(self.restart(venue, server))

    async def restart(self, venue, server):
        watcher = await Watcher.of(server)
        await watcher.until_live()
        venue.process.kill()
        venue.process.wait()
        await watcher.until_stale()
        server.find(r'stage=connect what="TCP refused', server.stderr)
        await watcher.sim_goes_on()
        with Venue(port=venue.port):
            await watcher.until_live()
            self.assertTrue(watcher.came_back(), watcher.history)
            await watcher.close()


# ---- the recording ----

class Told:
    """One market, of one connection, as tap prints it."""

    def __init__(self):
        self.book = Book()
        self.bbos = []
        self.trades = []
        self.messages = 0

    def on_event(self, event):
        if event["event"] == "trade":
            self.trades.append("%s %s %s %s\n" % (event["id"], event["side"],
                                                  canonical(event["px"]), canonical(event["sz"])))
        if event["event"] != "book":
            return
        if event["snapshot"]:
            self.book.clear()
        for is_bid, levels in ((True, event["b"]), (False, event["a"])):
            for price, size in levels:
                self.book.side(is_bid).set(Decimal(price), Decimal(size))
        if not event["more"]:
            self.messages += 1
            self.bbos.append(self.book.bbo_line())


def digest(lines):
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Recording(unittest.TestCase):
    """A real venue's minute over a real socket, twice: what comes out is what went in."""

    ROUNDS = 2

    def test_two_connections_tell_the_recording_twice(self):
        capture = Capture(kit.COINBASE_2026)
        capture.check()
        with open(capture.path, encoding="utf-8") as file:
            frames = sum(1 for _ in file)
        symbols = sorted(capture.expected["books"])
        with Venue(capture.path) as venue:
            arguments = ["--venue", live(venue.port, ",".join(symbols)), *kit.ROOM]
            with kit.serve(*arguments) as server, kit.Process(
                    "tap", "--region", server.region, "--format", "json", "--from", "start",
                    "--wait-ms", "30000", *kit.PATIENT) as tap:
                for number in range(1, self.ROUNDS + 1):
                    until(server, "venue_frames_total", number * frames)
                    venue.tell("status", 0 if number < self.ROUNDS else 503)
                    venue.tell("drop")
                    server.find("(?s)(event=link_closed.*){%d}" % number, server.stderr)
                self.assertEqual(server.metric("book_crossed_total"), 0)
                self.assertEqual(server.metric("feed_gap_total"), 0)
                self.assertEqual(server.metric("venue_malformed_total"), 0)
                self.assertEqual(server.terminate()[0], 0)
                self.assertEqual(tap.wait(), 0)
            self.check(capture, tap.stdout_path)

    def check(self, capture, path):
        """A market's connections are told apart by the state that ends each."""
        told = collections.defaultdict(lambda: [Told()])
        with open(path, encoding="utf-8") as file:
            for line in file:
                event = json.loads(line)
                rounds = told[event["symbol"]]
                if event["event"] == "state" and event["state"] == "stale":
                    self.assertEqual(event["reason"], "venue_disconnected")
                    rounds.append(Told())
                elif event["event"] == "book" and event["snapshot"] and not event["b"] + event["a"]:
                    continue  # withheld until the next snapshot
                else:
                    rounds[-1].on_event(event)
        for symbol, expected in capture.expected["books"].items():
            self.assertEqual(len(told[symbol]), self.ROUNDS + 1)
            for market in told[symbol][:self.ROUNDS]:
                self.assertEqual(market.messages, expected["book_messages"])
                self.assertEqual(market.book.digest(), expected["book_sha256"])
                self.assertEqual(digest(market.bbos), expected["bbo_sha256"])
                self.assertEqual(digest(market.trades),
                                 capture.expected["trades"][symbol]["trades_sha256"])


if __name__ == "__main__":
    kit.main()
