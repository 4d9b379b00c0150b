"""The recorded Coinbase Exchange traffic, replayed here with exact decimals: what a correct server
must have published, message by message. Independent of the product; its own results are checked
against the digests in expected/, which another program computed.
"""

import bisect
import collections
import hashlib
import json
import os
import re
import zlib
from datetime import datetime, timezone
from decimal import Decimal

import kit

TAKER = {"buy": "sell", "sell": "buy"}  # a match names the maker's side


def canonical(number):
    """No exponent, no trailing zeros, "0" for zero."""
    number = Decimal(number)
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def time_us(text):
    """RFC 3339 -> microseconds UTC."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


class Side:
    """One side of a book: prices sorted best first, sizes beside them."""

    def __init__(self, sign):
        self.sign = sign  # -1: bids, the highest is the best
        self.keys = []
        self.sizes = {}

    def set(self, price, size):
        """Returns whether anything changed."""
        key = price * self.sign
        if size == 0:
            if key not in self.sizes:
                return False
            del self.sizes[key]
            del self.keys[bisect.bisect_left(self.keys, key)]
            return True
        if key not in self.sizes:
            bisect.insort(self.keys, key)
        elif self.sizes[key] == size:
            return False
        self.sizes[key] = size
        return True

    def top(self, count):
        return [(key * self.sign, self.sizes[key]) for key in self.keys[:count]]

    def levels(self):
        return self.top(len(self.keys))


class Book:
    def __init__(self):
        self.clear()

    def clear(self):
        self.bids = Side(-1)
        self.asks = Side(1)

    def side(self, buy):
        return self.bids if buy else self.asks

    def crossed(self):
        return bool(self.bids.keys and self.asks.keys and -self.bids.keys[0] >= self.asks.keys[0])

    def bbo_line(self):
        words = []
        for side in (self.bids, self.asks):
            words += map(canonical, side.top(1)[0]) if side.keys else ["-", "-"]
        return " ".join(words) + "\n"

    def digest(self):
        digest = hashlib.sha256()
        for letter, side in (("B", self.bids), ("A", self.asks)):
            for price, size in side.levels():
                digest.update(("%s %s %s\n" % (letter, canonical(price), canonical(size))).encode())
        return digest.hexdigest()


# What one message does to a book: `changes` are (is_bid, price, size) that differ from before;
# `top` is the ten best of both sides afterwards.
BookMessage = collections.namedtuple("BookMessage", "te snapshot changes top bbo")
Trade = collections.namedtuple("Trade", "id side price size te")


class Market:
    def __init__(self):
        self.book = Book()
        self.messages = []
        self.trades = []
        self.tickers = []

    def _book_message(self, te, snapshot, changes):
        top = (self.book.bids.top(10), self.book.asks.top(10))
        self.messages.append(BookMessage(te, snapshot, changes, top, self.book.bbo_line()))

    def on_snapshot(self, frame):
        self.book.clear()
        changes = []
        for is_bid, levels in ((True, frame["bids"]), (False, frame["asks"])):
            for price, size in levels:
                change = (is_bid, Decimal(price), Decimal(size))
                self.book.side(is_bid).set(*change[1:])
                changes.append(change)
        te = time_us(frame["time"]) if "time" in frame else None
        self._book_message(te, True, changes)

    def on_update(self, frame):
        changes = []
        for side, price, size in frame["changes"]:
            change = (side == "buy", Decimal(price), Decimal(size))
            if self.book.side(change[0]).set(*change[1:]):
                changes.append(change)
        self._book_message(time_us(frame["time"]), False, changes)

    def on_match(self, frame):
        self.trades.append(Trade(str(frame["trade_id"]), TAKER[frame["side"]],
                                 Decimal(frame["price"]), Decimal(frame["size"]),
                                 time_us(frame["time"])))


class MarketOracle:
    """What a client must be told at every seq of a market that is replayed once: seq counts the
    versions from 1, so the n-th message, trade, ticker or best bid and offer has seq n."""

    TICKER = {"px": "price", "sz": "last_size", "bid": "best_bid", "ask": "best_ask",
              "o24": "open_24h", "h24": "high_24h", "l24": "low_24h", "v24": "volume_24h"}

    def __init__(self, market):
        self.market = market
        lines = [message.bbo for message in market.messages]
        self.bbos = [line for number, line in enumerate(lines)
                     if number == 0 or line != lines[number - 1]]

    @staticmethod
    def checksum(message, depth, px_dp, sz_dp):
        """As PROTOCOL.md defines cs."""
        words = []
        for rank in range(depth):
            for side in message.top:
                if rank < len(side):
                    words += ["%.*f" % (px_dp, side[rank][0]), "%.*f" % (sz_dp, side[rank][1])]
        return zlib.crc32(":".join(words).encode())

    def final(self, channel):
        """Has the channel got all there is? A state is told before the data that came with it."""
        if channel.kind != "book":
            return channel.seq == len({"trades": self.market.trades, "bbo": self.bbos,
                                       "ticker": self.market.tickers}[channel.kind])
        if channel.levels_max > 10:  # the last version that changed anything
            return channel.seq == max(seq for seq, message in enumerate(self.market.messages, 1)
                                      if message.changes)
        return channel.checksum() == self.checksum(self.market.messages[-1], channel.levels_max,
                                                   channel.px_dp, channel.sz_dp)

    def check_book(self, channel, params):
        message = self.market.messages[params["seq"] - 1]
        depth = min(10, channel.levels_max)
        expected = self.checksum(message, depth, channel.px_dp, channel.sz_dp)
        assert params["cs"] == expected, "%s: not the book of the recording at seq %d" % (
            channel.name, params["seq"])
        assert params["te"] == message.te, "%s: te of seq %d" % (channel.name, params["seq"])

    def check_trade(self, channel, seq, trade):
        expected = self.market.trades[seq - 1]
        told = Trade(trade["id"], trade["side"], Decimal(trade["px"]), Decimal(trade["sz"]),
                     trade["te"])
        assert told == expected, "%s: seq %d is %s, recorded %s" % (channel.name, seq, told,
                                                                     expected)

    def check_bbo(self, channel, params):
        data = params["data"]
        words = [data["bid"], data["bsz"], data["ask"], data["asz"]]
        told = " ".join("-" if word is None else canonical(word) for word in words) + "\n"
        assert told == self.bbos[params["seq"] - 1], "%s: seq %d is %s, recorded %s" % (
            channel.name, params["seq"], told, self.bbos[params["seq"] - 1])

    def check_ticker(self, channel, params):
        frame = self.market.tickers[params["seq"] - 1]
        for ours, theirs in self.TICKER.items():
            told = params["data"].get(ours)
            assert (told is None) == (theirs not in frame), "%s: %s" % (channel.name, ours)
            assert told is None or Decimal(told) == Decimal(frame[theirs]), "%s: %s is %s" % (
                channel.name, ours, told)
        assert params["data"].get("side") == frame.get("side"), channel.name
        assert params["te"] == (time_us(frame["time"]) if "time" in frame else None), channel.name


def frames(path):
    """The venue's frames, in either file format."""
    with open(path, "r", encoding="utf-8") as file:
        captured = file.read(12).startswith('{"t":"header')
        file.seek(0)
        for line in file:
            if not captured:
                yield json.loads(line)
                continue
            record = json.loads(line)
            if record["t"] == "recv":
                yield json.loads(record["data"])


class Capture:
    """A recording with what follows from it; `expected` are the other program's results."""

    def __init__(self, name):
        self.name = name
        self.path = kit.recording(name)
        self.markets = collections.defaultdict(Market)
        for frame in frames(self.path):
            market = self.markets[frame["product_id"]] if "product_id" in frame else None
            if frame["type"] == "snapshot":
                market.on_snapshot(frame)
            elif frame["type"] == "l2update":
                market.on_update(frame)
            elif frame["type"] == "match":
                market.on_match(frame)
            elif frame["type"] == "ticker":
                market.tickers.append(frame)
        stem = re.sub(r"\.\w+$", "", name.replace("/", "__"))
        results = os.path.join(kit.data_dir(), "expected", stem + ".json")
        with open(results, encoding="utf-8") as file:
            self.expected = json.load(file)

    def market(self, symbol):
        return MarketOracle(self.markets[symbol])

    def check(self):
        """This replay against the expected results, so that neither can be wrong alone."""
        for symbol, expected in self.expected["books"].items():
            market = self.markets[symbol]
            bbo = hashlib.sha256("".join(m.bbo for m in market.messages).encode()).hexdigest()
            assert market.book.digest() == expected["book_sha256"], symbol
            assert bbo == expected["bbo_sha256"], symbol
            assert len(market.messages) == expected["book_messages"], symbol
