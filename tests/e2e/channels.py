"""What a subscription holds, by kind, rebuilt from its messages alone; each message is checked. A
Violation names the channel and the broken rule."""

import bisect
import collections
import re
import zlib

STATES = {"live", "stale", "resync", "halted"}
REASONS = {"starting", "venue_disconnected", "silent", "seq_gap", "checksum", "crossed",
           "venue_status", "ingest_lost"}
CHECKSUM_LEVELS = 10


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
    scales = ("px_dp", "sz_dp")

    def __init__(self, entry, oracle):
        self.name = entry["channel"]
        self.place(*self.name.split("."))
        self.oracle = oracle.market(self.symbol) if oracle and self.symbol else None
        self.state = None  # (state, reason) told last
        self.states = []   # by messages of type state
        self.seq = None
        self.described_seq = None
        self.counts = dict.fromkeys(("snapshot", "update", "state", "lag", "gap"), 0)
        self.first_seq = None  # of the first message
        self.ids_follow = True  # trade ids are contiguous but for announced gaps
        self.recent = collections.deque(maxlen=12)  # for the report of a violation
        self.unheard = 0   # messages since the last heartbeat
        self.ended = None  # code of `unsubscribed`
        self.describe(entry)

    def place(self, kind, venue, symbol, *rest):
        """The fields of the canonical name."""
        require(kind == self.kind, "%s is not of kind %s", self.name, self.kind)
        self.venue, self.symbol = venue, symbol
        rest = list(rest)
        self.depth = rest.pop(0) if kind == "book" else None
        self.rate = rest.pop(0)
        require(not rest, "%s has too many fields", self.name)

    def describe(self, entry):
        """An entry of `subscribed`: a reply's, or a notification's (then a snapshot follows)."""
        require(entry["channel"] == self.name, "%s described as %s", self.name, entry["channel"])
        for field in ("sid", "seq", *self.scales):
            require(isinstance(entry[field], int), "%s: %s is no integer", self.name, field)
        require(isinstance(entry["epoch"], str) and entry["epoch"], "%s: no epoch", self.name)
        require("recovered" in entry, "%s: no recovered", self.name)
        self.sid = entry["sid"]
        self.epoch = entry["epoch"]
        self.px_dp, self.sz_dp = (entry[field] for field in self.scales) if self.scales else (0, 0)
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


class VenueChannel(Channel):
    """A venue's list: its entries by symbol, a venue's own under None."""

    chained = True
    scales = ()
    fields = set()
    optional = set()

    def __init__(self, entry, oracle):
        self.entries = {}
        super().__init__(entry, oracle)

    def place(self, kind, venue):
        require(kind == self.kind, "%s is not of kind %s", self.name, self.kind)
        self.venue, self.symbol, self.depth, self.rate = venue, None, None, None

    def take_state(self, params):
        super().take_state(params)
        require(self.state in (("live", None), ("stale", "ingest_lost")), "%s: state %r", self.name,
                self.state)

    def on_data(self, params, snapshot):
        require(params["data"], "%s: %s of nothing", self.name, params["type"])
        require(params["te"] is None, "%s: te %r", self.name, params["te"])
        if snapshot:
            self.entries = {}
        named = set()
        for entry in params["data"]:
            symbol = entry["symbol"]
            require(symbol not in named, "%s: %s twice", self.name, symbol)
            named.add(symbol)
            require(entry["venue"] == self.venue, "%s: of %s", self.name, entry["venue"])
            require(self.fields <= set(entry) <= self.fields | self.optional, "%s: fields %s",
                    self.name, sorted(entry))
            self.check_entry(entry)
            self.entries[symbol] = entry

    def check_entry(self, entry):
        raise NotImplementedError


class InstrumentsChannel(VenueChannel):
    kind = "instruments"
    fields = {"symbol", "venue", "venue_symbol", "kind", "base", "quote", "px_dp", "sz_dp",
              "status"}
    optional = {"tick", "lot"}

    @property
    def over(self):
        return self.seq is not None

    def check_entry(self, entry):
        require(entry["status"] in ("unknown", "online", "halted", "delisted"), "%s: status %r",
                self.name, entry["status"])
        require(entry["symbol"] == "%s-%s" % (entry["base"], entry["quote"]), "%s: symbol %r",
                self.name, entry["symbol"])


class StatusChannel(VenueChannel):
    kind = "status"
    fields = {"scope", "venue", "symbol", "state", "reason", "since", "detail"}

    @property
    def over(self):
        return self.seq is not None and all(
            (entry["state"], entry["reason"]) == ("stale", "venue_disconnected")
            for entry in self.entries.values())

    def check_entry(self, entry):
        scope = "market" if entry["symbol"] else "venue"
        require(entry["scope"] == scope, "%s: scope %r of %r", self.name, entry["scope"],
                entry["symbol"])
        require(entry["state"] in STATES, "%s: state %r", self.name, entry["state"])
        if entry["state"] == "live":
            require(entry["reason"] is None, "%s: live with reason %r", self.name, entry["reason"])
        else:
            require(entry["reason"] in REASONS, "%s: reason %r", self.name, entry["reason"])
        require(isinstance(entry["since"], int) and 10**15 < entry["since"] < 10**16,
                "%s: since %r", self.name, entry["since"])

    def on_data(self, params, snapshot):
        super().on_data(params, snapshot)
        require(None in self.entries, "%s: without the venue", self.name)
        order = ("live", "stale", "resync", "halted")
        best = min((order.index(entry["state"]), entry["since"])
                   for symbol, entry in self.entries.items() if symbol)
        venue = self.entries[None]
        require((order.index(venue["state"]), venue["since"]) == best,
                "%s: the venue is %s, its best market %s", self.name, venue, best)


KINDS = {kind.kind: kind for kind in (BookChannel, TradesChannel, BboChannel, TickerChannel,
                                      InstrumentsChannel, StatusChannel)}
