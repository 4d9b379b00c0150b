"""A client on another WebSocket library, in C, beside the Python ones: it rebuilds every market of
both recordings from the messages alone, checks every message, and ends with the recording's books
and trades. Command line: TEST BINARY --client=CLIENT."""

import hashlib
import json
import subprocess
import sys
import time
import unittest

import kit
from capture import Capture, canonical
from raw import RawClient

CLIENT = [argument for argument in sys.argv if argument.startswith("--client=")][0][9:]


def lines(side, letter, count):
    return "".join("%s %s %s\n" % (letter, canonical(price), canonical(size))
                   for price, size in side.top(count))


class LwsClient(unittest.TestCase):
    def follow(self, name, speed):
        capture = Capture(name)
        capture.check()
        symbols = sorted(capture.expected["books"])
        venue = kit.replay(capture.path, speed=speed)
        with kit.serve("--venue", venue, *kit.ROOM) as server:
            self.wait_for(server.port(), len(symbols))
            command = [CLIENT, "127.0.0.1", str(server.port()), "/v1/ws", "coinbase", *symbols]
            told = subprocess.run(command, capture_output=True, text=True, timeout=kit.WAIT_S,
                                  check=False)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertEqual(server.terminate()[0], 0)
        held = [json.loads(line) for line in told.stdout.splitlines()]
        self.assertEqual([market["symbol"] for market in held], symbols)
        for market in held:
            self.check(capture, market)

    def check(self, capture, held):
        symbol = held["symbol"]
        recorded = capture.markets[symbol]
        messages, seqs = dict(zip(("best", "full"), held["messages"])), held["seq"]
        print("%s: messages %s, seq %s, trades %d of %d" % (
            symbol, held["messages"], seqs, len(held["trades"]), len(recorded.trades)))
        for depth, count in messages.items():
            self.assertGreater(count, 1, "%s %s: no update" % (symbol, depth))
        self.assertLessEqual(max(seqs[:2]), len(recorded.messages), symbol)
        self.assertEqual(hashlib.sha256(held["full"].encode()).hexdigest(),
                         capture.expected["books"][symbol]["book_sha256"], symbol)
        self.assertEqual(held["best"], lines(recorded.book.bids, "B", 10) +
                         lines(recorded.book.asks, "A", 10), symbol)
        self.check_trades(symbol, held["trades"], [trade.id for trade in recorded.trades])
        self.assertEqual(seqs[2], len(recorded.trades), symbol)

    def check_trades(self, symbol, held, recorded):
        """All from the first one held to the last, and some unless there are none."""
        self.assertEqual(bool(held), bool(recorded), symbol)
        self.assertEqual(held, recorded[len(recorded) - len(held):], symbol)

    @staticmethod
    def wait_for(port, count):
        """Names are known with the recording's first frames."""
        with RawClient(port) as client:
            client.open()
            while len(client.call("get_instruments")["result"]["instruments"]) < count:
                time.sleep(0.05)

    def test_books_and_trades_of_the_2026_recording_are_rebuilt(self):
        self.follow(kit.COINBASE_2026, 15)

    def test_books_and_trades_of_the_2021_recording_are_rebuilt(self):
        self.follow(kit.COINBASE_2021, 8)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if not argument.startswith("--client=")]
    kit.main()
