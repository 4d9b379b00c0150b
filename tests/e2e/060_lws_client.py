"""A client on another WebSocket library, in C, beside the Python ones: it rebuilds every market of
both recordings from the messages alone. Command line: TEST BINARY --client=CLIENT."""

import subprocess
import sys
import time
import unittest

import kit
from capture import Capture
from raw import RawClient

CLIENT = [argument for argument in sys.argv if argument.startswith("--client=")][0][9:]


class LwsClient(unittest.TestCase):
    def follow(self, name, speed):
        capture = Capture(name)
        symbols = sorted(capture.expected["books"])
        venue = kit.replay(capture.path, speed=speed)
        with kit.serve("--venue", venue, *kit.ROOM) as server:
            self.wait_for(server.port(), len(symbols))
            command = [CLIENT, "127.0.0.1", str(server.port()), "/v1/ws", "coinbase", *symbols]
            told = subprocess.run(command, capture_output=True, text=True, timeout=kit.WAIT_S,
                                  check=False)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertEqual(server.terminate()[0], 0)
        for line, symbol in zip(told.stdout.splitlines(), symbols):
            market, messages, seq = line.split()
            self.assertEqual(market, symbol)
            self.assertGreater(int(messages), 1)
            self.assertLessEqual(int(seq), len(capture.markets[symbol].messages))
        self.assertEqual(len(told.stdout.splitlines()), len(symbols))

    @staticmethod
    def wait_for(port, count):
        """Names are known with the recording's first frames."""
        with RawClient(port) as client:
            client.open()
            while len(client.call("get_instruments")["result"]["instruments"]) < count:
                time.sleep(0.05)

    def test_books_of_the_2026_recording_are_rebuilt(self):
        self.follow(kit.COINBASE_2026, 15)

    def test_books_of_the_2021_recording_are_rebuilt(self):
        self.follow(kit.COINBASE_2021, 8)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if not argument.startswith("--client=")]
    kit.main()
