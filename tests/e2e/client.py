"""A strict client of the protocol, from its specification alone: every message of every
subscription is checked, and books are rebuilt. A Violation names the channel and the broken rule.
"""

import asyncio
import bisect
import collections
import json
import re
import zlib

import websockets

STATES = {"live", "stale", "resync", "halted"}
REASONS = {"starting", "venue_disconnected", "silent", "seq_gap", "checksum", "crossed",
           "venue_status", "ingest_lost"}
CHECKSUM_LEVELS = 10
MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class Violation(AssertionError):
    pass


def require(holds, text, *values):
    if not holds:
        raise Violation(text % values if values else text)


def decimal_pattern(places):
    fraction = r"\.\d{%d}" % places if places > 0 else ""
    return re.compile(r"^-?(0|[1-9]\d*)%s$" % fraction)


class Side:
    """Levels as the wire has them, sorted best first by their mantissa."""

    def __init__(self, sign):
        self.sign = sign
        self.keys = []
        self.level = {}

    def key(self, price):
        return self.sign * int(price.replace(".", ""))

    def set(self, price, size):
        key = self.key(price)
        if not size.strip("0."):
            require(key in self.level, "removal of a level at %s that is not there", price)
            del self.level[key]
            del self.keys[bisect.bisect_left(self.keys, key)]
            return
        if key not in self.level:
            bisect.insort(self.keys, key)
        else:
            require(self.level[key][1] != size, "level at %s set to the size it has", price)
        self.level[key] = (price, size)

    def replace(self, levels):
        self.level = {self.key(price): (price, size) for price, size in levels}
        self.keys = [self.key(price) for price, _ in levels]
        require(all(a < b for a, b in zip(self.keys, self.keys[1:])), "snapshot is not best first")
        require(all(size.strip("0.") for _, size in levels), "snapshot with a size of zero")

    def truncate(self, depth):
        for key in self.keys[depth:]:
            del self.level[key]
        del self.keys[depth:]

    def top(self, count):
        return [self.level[key] for key in self.keys[:count]]


class Channel:
    """One subscription: what it holds, and the rules that are the same for every kind."""

    kind = None
    chained = False  # prev must be the seq held

    def __init__(self, entry, oracle):
        self.name = entry["channel"]
        kind, self.venue, self.symbol, *rest = self.name.split(".")
        require(kind == self.kind, "%s is not of kind %s", self.name, self.kind)
        self.depth = rest.pop(0) if kind == "book" else None
        self.rate = rest.pop(0)
        require(not rest, "%s has too many fields", self.name)
        self.oracle = oracle.market(self.symbol) if oracle else None
        self.state = None  # (state, reason) told last
        self.states = []   # by messages of type state
        self.seq = None
        self.described_seq = None
        self.counts = dict.fromkeys(("snapshot", "update", "state", "lag", "gap"), 0)
        self.first_seq = None  # of the first message
        self.ids_follow = True  # trade ids are contiguous but for announced gaps
        self.recent = collections.deque(maxlen=12)  # for the report of a violation
        self.describe(entry)

    def describe(self, entry):
        """An entry of `subscribed`: a reply's, or a notification's (then a snapshot follows)."""
        require(entry["channel"] == self.name, "%s described as %s", self.name, entry["channel"])
        for field in ("sid", "seq", "px_dp", "sz_dp"):
            require(isinstance(entry[field], int), "%s: %s is no integer", self.name, field)
        require(isinstance(entry["epoch"], str) and entry["epoch"], "%s: no epoch", self.name)
        require("recovered" in entry, "%s: no recovered", self.name)
        self.sid = entry["sid"]
        self.epoch = entry["epoch"]
        self.px_dp = entry["px_dp"]
        self.sz_dp = entry["sz_dp"]
        self.price_pattern = decimal_pattern(self.px_dp)
        self.size_pattern = decimal_pattern(self.sz_dp)
        self.described_seq = entry["seq"]
        self.seq = None  # a snapshot comes first

    @property
    def over(self):
        """The recording ended: the venue is gone, and all that came before is here."""
        gone = self.state == ("stale", "venue_disconnected") and self.seq is not None
        return gone and (self.oracle is None or self.oracle.final(self))

    def check_price(self, text):
        require(isinstance(text, str) and self.price_pattern.match(text),
                "%s: price %r has not %d places", self.name, text, self.px_dp)

    def check_size(self, text):
        require(isinstance(text, str) and self.size_pattern.match(text) and text[0] != "-",
                "%s: size %r has not %d places", self.name, text, self.sz_dp)

    def on_message(self, params):
        kind = params.get("type")
        require(kind in ("snapshot", "update", "state"), "%s: type %r", self.name, kind)
        self.counts[kind] += 1
        self.check_times(params)
        require(isinstance(params["seq"], int), "%s: seq is no integer", self.name)
        if kind == "state":
            self.on_state(params)
            return
        if kind == "snapshot":
            self.take_state(params)
            require(params["epoch"] == self.epoch, "%s: epoch %s, described as %s", self.name,
                    params["epoch"], self.epoch)
            require(params["prev"] is None, "%s: snapshot with prev", self.name)
            if self.seq is None:
                require(params["seq"] >= self.described_seq, "%s: snapshot %d, described as %d",
                        self.name, params["seq"], self.described_seq)
            else:
                require(params["seq"] > self.seq, "%s: snapshot goes from %d to %d", self.name,
                        self.seq, params["seq"])
        else:
            self.check_update(params)
        self.on_data(params, kind == "snapshot")
        self.seq = params["seq"]
        if self.first_seq is None:
            self.first_seq = self.seq

    def check_update(self, params):
        require(self.seq is not None, "%s: update before the snapshot", self.name)
        require(params["seq"] > self.seq, "%s: update goes from %d to %d", self.name, self.seq,
                params["seq"])
        if self.chained:
            require(params["prev"] == self.seq, "%s: prev is %r, held is %d", self.name,
                    params["prev"], self.seq)
        else:
            require(params["prev"] is None, "%s: prev is %r", self.name, params["prev"])

    def check_times(self, params):
        for field in ("te", "ti", "tp"):
            require(field in params, "%s: no %s", self.name, field)
            value = params[field]
            require(isinstance(value, int) or (field == "te" and value is None),
                    "%s: %s is %r", self.name, field, value)
            require(value is None or 10**15 < value < 10**16, "%s: %s is %r, not microseconds",
                    self.name, field, value)

    def take_state(self, params):
        state, reason = params["state"], params.get("reason")
        require(state in STATES, "%s: state %r", self.name, state)
        if state == "live":
            require(reason is None, "%s: live with reason %r", self.name, reason)
        else:
            require(reason in REASONS, "%s: %s with reason %r", self.name, state, reason)
        self.state = (state, reason)

    def on_state(self, params):
        before = self.state
        self.take_state(params)
        self.states.append(self.state[0])
        require(self.state != before, "%s: told twice of %s", self.name, self.state)
        require("prev" not in params and "data" not in params, "%s: state with data", self.name)
        require(self.seq is None or params["seq"] >= self.seq, "%s: state with seq %d, held is %d",
                self.name, params["seq"], self.seq)

    def on_lag(self, params):
        self.counts["lag"] += 1
        require(self.seq is not None, "%s: lag before the snapshot", self.name)
        require(params["from"] == self.seq, "%s: lag from %r, held is %d", self.name,
                params["from"], self.seq)
        require(params["to"] > params["from"] and params["count"] == params["to"] - params["from"],
                "%s: lag %r", self.name, params)
        require(isinstance(params["action"], str), "%s: lag without action", self.name)

    def on_gap(self, params):
        raise Violation("%s: gap on a channel that has none" % self.name)

    def on_data(self, params, snapshot):
        raise NotImplementedError


class BookChannel(Channel):
    kind = "book"
    chained = True

    def __init__(self, entry, oracle):
        self.bids = Side(-1)
        self.asks = Side(1)
        super().__init__(entry, oracle)
        self.levels_max = entry["depth_max"] if self.depth == "full" else int(self.depth)

    def checksum(self):
        count = min(CHECKSUM_LEVELS, self.levels_max)
        bids, asks = self.bids.top(count), self.asks.top(count)
        parts = []
        for i in range(max(len(bids), len(asks))):
            for side in (bids, asks):
                if i < len(side):
                    parts += side[i]
        return zlib.crc32(":".join(parts).encode())

    def on_data(self, params, snapshot):
        data = params["data"]
        for side, levels in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price, size in levels:
                self.check_price(price)
                self.check_size(size)
            if snapshot:
                side.replace(levels)
                require(len(levels) <= self.levels_max, "%s: %d levels", self.name, len(levels))
                continue
            for price, size in levels:
                side.set(price, size)
            side.truncate(self.levels_max)
        require(snapshot or data["b"] or data["a"], "%s: update of nothing", self.name)
        require(params["cs"] == self.checksum(), "%s: cs of seq %d is %r, the book's is %d",
                self.name, params["seq"], params["cs"], self.checksum())
        if self.state[0] == "live" and self.bids.keys and self.asks.keys:
            require(-self.bids.keys[0] < self.asks.keys[0], "%s: crossed and live", self.name)
        if self.oracle and params["seq"] > 0:
            self.oracle.check_book(self, params)


class TradesChannel(Channel):
    kind = "trades"
    chained = True

    def __init__(self, entry, oracle):
        self.trades = []
        self.missing = 0  # trades between the last one held and the next, as announced
        super().__init__(entry, oracle)

    def describe(self, entry):
        """A new scale does not end a list: it goes on from the seq held, in the new scale."""
        held = self.seq if self.described_seq is not None and entry["epoch"] == self.epoch else None
        super().describe(entry)
        if held is not None:
            require(entry["seq"] == held, "%s: goes on at %d, held is %d", self.name, entry["seq"],
                    held)
            self.seq = held

    def on_gap(self, params):
        self.counts["gap"] += 1
        require(params["cause"] in ("venue", "server"), "%s: gap by %r", self.name, params["cause"])
        require(params["from"] == self.seq, "%s: gap from %r, held is %d", self.name,
                params["from"], self.seq)
        self.missing += params["count"]
        if params["cause"] == "server":
            require(params["count"] == params["to"] - params["from"], "%s: gap %r", self.name,
                    params)
            self.seq = params["to"]

    def on_data(self, params, snapshot):
        trades = params["data"]
        if snapshot:
            require(len(trades) <= 50, "%s: snapshot of %d trades", self.name, len(trades))
            self.trades = []
            self.missing = 0
        else:
            require(len(trades) == params["seq"] - params["prev"], "%s: %d trades from %d to %d",
                    self.name, len(trades), params["prev"], params["seq"])
        for position, trade in enumerate(trades):
            self.on_trade(trade)
            if self.oracle:
                self.oracle.check_trade(self, params["seq"] - len(trades) + 1 + position, trade)

    def on_trade(self, trade):
        require(isinstance(trade["id"], str) and 0 < len(trade["id"]) <= 40, "%s: id %r", self.name,
                trade["id"])
        self.check_price(trade["px"])
        self.check_size(trade["sz"])
        require(trade["side"] in ("buy", "sell"), "%s: side %r", self.name, trade["side"])
        require(trade["te"] is None or isinstance(trade["te"], int), "%s: te %r", self.name,
                trade["te"])
        if self.trades and trade["id"].isdigit() and self.ids_follow:
            expected = int(self.trades[-1]["id"]) + 1 + self.missing
            require(int(trade["id"]) == expected, "%s: trade %s, expected %d", self.name,
                    trade["id"], expected)
        self.missing = 0
        self.trades.append(trade)


class BboChannel(Channel):
    kind = "bbo"

    def on_data(self, params, snapshot):
        data = params["data"]
        for price, size in (("bid", "bsz"), ("ask", "asz")):
            require((data.get(price) is None) == (data.get(size) is None), "%s: half a side",
                    self.name)
            if data.get(price) is not None:
                self.check_price(data[price])
                self.check_size(data[size])
        if self.state[0] == "live" and data.get("bid") and data.get("ask"):
            require(float(data["bid"]) < float(data["ask"]), "%s: crossed and live", self.name)
        if self.oracle and params["seq"] > 0:
            self.oracle.check_bbo(self, params)


class TickerChannel(Channel):
    kind = "ticker"

    def on_data(self, params, snapshot):
        data = params["data"]
        for field in ("px", "bid", "ask", "o24", "h24", "l24"):
            if field in data:
                self.check_price(data[field])
        for field in ("sz", "bsz", "asz"):
            if field in data:
                self.check_size(data[field])
        require(data.get("side") in (None, "buy", "sell"), "%s: side %r", self.name,
                data.get("side"))
        if self.oracle and params["seq"] > 0:
            self.oracle.check_ticker(self, params)


KINDS = {kind.kind: kind for kind in (BookChannel, TradesChannel, BboChannel, TickerChannel)}


class Client:
    """One connection. Every message goes through on_text(), in the order of the wire."""

    def __init__(self, oracle=None, trades_repeat=False):
        self.oracle = oracle
        self.trades_repeat = trades_repeat  # a recording in a loop: ids start again
        self.channels = {}
        self.retired = []  # channels that were left
        self.hello = None
        self.pending = {}  # id -> (method, future)
        self.request_id = 0
        self.counts = {}   # notifications by method
        self.closed = None  # close code
        self.failure = None
        self.changed = asyncio.Event()
        self.socket = None
        self.reader = None

    # ---- connection ----

    async def connect(self, url, **options):
        options.setdefault("subprotocols", ["tickfan.v1.json"])
        self.socket = await websockets.connect(url, max_size=MESSAGE_BYTES_MAX, ping_interval=None,
                                               open_timeout=60, close_timeout=5, **options)
        self.reader = asyncio.ensure_future(self._read())
        await self.until(lambda: self.hello is not None)
        return self

    async def _read(self):
        try:
            async for text in self.socket:
                self.on_text(text)
                self.changed.set()
        except websockets.ConnectionClosed:
            pass
        except Exception as error:  # whoever waits gets it
            self.failure = error
            self.report(text)
            self.socket.fail_connection(1011)
        finally:
            self.closed = self.socket.close_code
            self.changed.set()
            for _, future in self.pending.values():
                if not future.done():
                    future.cancel()

    def report(self, text):
        """What led to a violation: the messages of its channel, oldest first."""
        name = json.loads(text).get("params", {}).get("channel")
        for message in self.channels[name].recent if name in self.channels else []:
            print("  %s" % message)
        print("  at %.500s" % text, flush=True)

    async def close(self):
        await self.socket.close()
        await self.reader
        self.raise_failure()

    def raise_failure(self):
        if self.failure is not None:
            raise self.failure

    async def until(self, holds, timeout_s=60):
        """Wait for messages until holds() does; a violation or a close ends it."""
        async def wait():
            while not holds():
                self.raise_failure()
                require(self.closed is None, "closed with %s", self.closed)
                self.changed.clear()
                await self.changed.wait()
            self.raise_failure()
        await asyncio.wait_for(wait(), timeout_s)

    async def until_closed(self, timeout_s=60):
        """The close code."""
        await asyncio.wait_for(asyncio.shield(self.reader), timeout_s)
        self.raise_failure()
        return self.closed

    # ---- requests ----

    async def call(self, method, **params):
        """The whole reply."""
        self.request_id += 1
        future = asyncio.get_running_loop().create_future()
        self.pending[self.request_id] = (method, future)
        request = {"jsonrpc": "2.0", "id": self.request_id, "method": method, "params": params}
        await self.socket.send(json.dumps(request))
        return await asyncio.wait_for(future, 60)

    async def subscribe(self, *channels, **params):
        """Everything must succeed; the channels, in order of the request."""
        reply = await self.call("subscribe", channels=list(channels), **params)
        self.raise_failure()
        require("result" in reply, "subscribe failed: %r", reply)
        require(not reply["result"]["failed"], "subscribe failed: %r", reply)
        entries = reply["result"]["subscribed"]
        require(len(entries) == len(channels), "%d entries for %d", len(entries), len(channels))
        return [self.channels[entry["channel"]] for entry in entries]

    async def unsubscribe(self, *channels):
        reply = await self.call("unsubscribe", channels=list(channels))
        self.raise_failure()
        require(not reply["result"]["failed"], "unsubscribe failed: %r", reply)

    # ---- messages ----

    def on_text(self, text):
        require(isinstance(text, str), "a binary message on a JSON connection")
        message = json.loads(text)
        if isinstance(message, list) or "method" not in message:
            self.on_reply(message)
            return
        require(message["jsonrpc"] == "2.0" and "id" not in message, "no notification: %.200s",
                text)
        require(self.hello is not None or message["method"] == "hello", "hello is not first")
        method, params = message["method"], message["params"]
        if params.get("channel") in self.channels:
            self.channels[params["channel"]].recent.append(
                {"method": method, **{key: value for key, value in params.items()
                                      if key not in ("channel", "data", "te", "ti")}})
        self.counts[method] = self.counts.get(method, 0) + 1
        if method == "subscription":
            self.channel(params).on_message(params)
        elif method == "hello":
            self.hello = params
        elif method == "subscribed":
            self.channel(params).describe(params)
        elif method == "lag":
            self.channel(params).on_lag(params)
        elif method == "gap":
            self.channel(params).on_gap(params)

    def channel(self, params):
        require(params["channel"] in self.channels, "%s was not subscribed", params["channel"])
        return self.channels[params["channel"]]

    def on_reply(self, reply):
        if isinstance(reply, list) or reply.get("id") not in self.pending:
            self.on_other_reply(reply)
            return
        method, future = self.pending.pop(reply["id"])
        require(reply["jsonrpc"] == "2.0", "reply without jsonrpc")
        require(("result" in reply) != ("error" in reply), "reply %r", reply)
        require(0 < reply["us_in"] <= reply["us_out"], "us_in %r us_out %r", reply["us_in"],
                reply["us_out"])
        if method == "subscribe" and "result" in reply:
            self.on_subscribed(reply["result"])
        elif method == "unsubscribe" and "result" in reply:
            for name in reply["result"]["unsubscribed"]:
                if name in self.channels:
                    self.retired.append(self.channels.pop(name))
        if not future.done():
            future.set_result(reply)

    def on_subscribed(self, result):
        for entry in result["subscribed"]:
            name = entry["channel"]
            if name not in self.channels:  # else subscribed twice: the current position
                self.channels[name] = KINDS[name.split(".")[0]](entry, self.oracle)
                self.channels[name].ids_follow = not self.trades_repeat

    def on_other_reply(self, reply):
        raise Violation("a reply nobody asked for: %r" % reply)
