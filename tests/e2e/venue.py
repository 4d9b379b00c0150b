"""A live venue of our own: 080_venue_server.c with certificates made here, its frames, and who
watches them. Command line of the tests: TEST BINARY --server=VENUE_SERVER."""

import json
import re
import subprocess
import sys
import time

import kit
from client import Client

SERVER = [argument for argument in sys.argv if argument.startswith("--server=")][0][9:]
sys.argv = [argument for argument in sys.argv if not argument.startswith("--server=")]
SYMBOL = "AAA-USD"
BOOK = "book.coinbase.%s.10.raw" % SYMBOL
SIM = "bbo.sim.BTC-USD.raw"
TIMES = {"backoff_min_ms": 100, "backoff_max_ms": 1600, "silence_ms": 20000}


def at(second):
    return "2026-01-01T00:00:%02d.000000Z" % second


def match(kind, second, number):
    return {"type": kind, "trade_id": number, "product_id": SYMBOL, "side": "buy",
            "size": "0.50", "price": "10.01", "sequence": 1000 + number, "time": at(second)}


FRAMES = [
    {"type": "subscriptions", "channels": [{"name": "level2_50", "product_ids": [SYMBOL]}]},
    {"type": "snapshot", "product_id": SYMBOL, "time": at(0),
     "bids": [["10.00", "2.00"], ["9.99", "1.00"]], "asks": [["10.02", "1.00"], ["10.04", "1.00"]]},
    match("last_match", 0, 7),
    {"type": "l2update", "product_id": SYMBOL, "time": at(1), "changes": [
        ["buy", "10.01", "1.50"], ["sell", "10.04", "0"]]},
    match("match", 1, 8),
    {"type": "l2update", "product_id": SYMBOL, "time": at(2), "changes": [
        ["buy", "9.99", "0"], ["sell", "10.03", "3.25"]]},
    {"type": "heartbeat", "product_id": SYMBOL, "time": at(2), "last_trade_id": 8,
     "sequence": 2000},
]
BIDS = [("10.01", "1.50"), ("10.00", "2.00")]
ASKS = [("10.02", "1.00"), ("10.03", "3.25")]


# ---- certificates ----

def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr


def authority(name):
    """A certificate authority; the path of its certificate."""
    path = kit.scratch_file(name + ".pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=%s of a test" % name, "-days", "30", "-keyout", path + ".key",
            "-out", path)
    return path


def certificate(name, issuer, host, days="30"):
    """(certificate, key) of a server."""
    path = kit.scratch_file(name + ".pem")
    with open(path + ".ext", "w", encoding="ascii") as file:
        kind = "IP" if host[0].isdigit() else "DNS"
        file.write("subjectAltName=%s:%s\n" % (kind, host))
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + host, "-keyout", path + ".key", "-out", path + ".csr")
    openssl("x509", "-req", "-in", path + ".csr", "-CA", issuer, "-CAkey", issuer + ".key",
            "-CAcreateserial", "-days", days, "-extfile", path + ".ext", "-out", path)
    return path, path + ".key"


class Certificates:
    made = None

    @classmethod
    def get(cls):
        if cls.made is None:
            cls.made = cls()
        return cls.made

    def __init__(self):
        self.authority = authority("authority")
        other = authority("other")
        self.good = certificate("good", self.authority, "localhost")
        self.address = certificate("address", self.authority, "127.0.0.1")
        self.bad = {
            "it is not for localhost": certificate("name", self.authority, "venue.example"),
            "unknown issuer": certificate("issuer", other, "localhost"),
            "it has expired": certificate("expired", self.authority, "localhost", "-1"),
        }


# ---- the venue ----

class Venue:
    """The venue server; a context manager."""

    def __init__(self, frames=None, port=0, certificate_and_key=None):
        if frames is None:
            frames = kit.scratch_file("frames.ndjson")
            with open(frames, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(frame, separators=(",", ":")) + "\n" for frame in FRAMES)
        self.output = kit.scratch_file("venue-%d.out" % time.monotonic_ns())
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(
                [SERVER, str(port), *(certificate_and_key or Certificates.get().good), frames],
                stdin=subprocess.PIPE, stdout=out, text=True, bufsize=1)
        self.port = int(self.until(r"^port (\d+)$", 1)[0])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.stdin.close()
        self.process.wait()

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def said(self, pattern):
        with open(self.output, encoding="utf-8") as file:
            return re.findall(pattern, file.read(), re.MULTILINE)

    def until(self, pattern, count):
        """Wait until that many lines are there; their groups."""
        deadline = time.monotonic() + kit.WAIT_S
        while len(self.said(pattern)) < count:
            assert self.process.poll() is None, "the venue server ended"
            assert time.monotonic() < deadline, "no %d x %s" % (count, pattern)
            time.sleep(0.005)
        return self.said(pattern)

    def times(self, event, count=0):
        """When it was, in seconds."""
        return [int(us) / 1e6 for us in self.until(r"^%s (\d+)$" % event, count)]


def live(port, symbols=SYMBOL, host="localhost", **options):
    options = {"url": "wss://%s:%d/feed?v=1" % (host, port), "ca": Certificates.get().authority,
               **TIMES, **options}
    return "coinbase:%s:%s" % (symbols, ",".join("%s=%s" % option for option in options.items()))


def serve(venue, *arguments, **options):
    """With the simulated venue beside it, whose market everybody knows."""
    value = venue if isinstance(venue, str) else live(venue.port, **options)
    return kit.serve("--venue", value, "--venue", "sim:instruments=1,updates_per_s=50",
                     "--instruments-max", "16", *arguments)


class Watcher(Client):
    """Follows the live market and the simulated one; every message is checked."""

    book = None
    sim = None

    @classmethod
    async def of(cls, server):
        self = cls(trades_repeat=True)
        self.history = []  # (state, reason) of the live market, each when it changed
        await self.connect(server.ws_url())
        self.book, self.sim = await self.subscribe(BOOK, SIM)
        await self.subscribe("trades.coinbase.%s.raw" % SYMBOL)
        return self

    def on_text(self, text):
        super().on_text(text)
        state = self.book.state if self.book else None
        if state is not None and state not in self.history[-1:]:
            self.history.append(state)

    def is_live(self):
        return (self.book.state == ("live", None) and self.book.seq is not None and
                self.book.bids.top(10) == BIDS and self.book.asks.top(10) == ASKS)

    async def until_live(self):
        await self.until(self.is_live)

    async def until_stale(self):
        await self.until(lambda: ("stale", "venue_disconnected") in self.history)

    def came_back(self):
        """It has gone, and become live again, with nothing else between. Each state is told, but
        for those that were over before a turn of the server."""
        after = self.history[self.history.index(("stale", "venue_disconnected")) + 1:]
        return after in ([("live", None)], [("resync", "venue_disconnected"), ("live", None)])

    async def sim_goes_on(self):
        before = self.sim.seq or 0
        await self.until(lambda: (self.sim.seq or 0) > before + 3)
        assert self.sim.state == ("live", None), self.sim.state


def until(server, metric, value):
    """Wait until a counter of the server is there."""
    deadline = time.monotonic() + kit.WAIT_S
    while server.metric(metric) < value:
        assert time.monotonic() < deadline, "no %d of %s" % (value, metric)
        time.sleep(0.02)
