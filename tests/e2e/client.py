"""A strict client of the protocol, from its specification alone: every message of every
subscription is checked (channels.py), and so are replies and heartbeats."""

import asyncio
import json

import websockets

from channels import KINDS, Violation, require

MESSAGE_BYTES_MAX = 16 * 1024 * 1024

# Notifications that count as `sent` in a heartbeat.
OF_SUBSCRIPTIONS = ("subscription", "subscribed", "unsubscribed", "lag", "gap")
QUIET_MAX = 256


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
        self.unheard = 0   # messages of subscriptions since the last heartbeat
        self.heartbeats = []
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

    async def check_venue(self, venue):
        """Its lists are what the server answers when asked, entry by entry."""
        async def snapshot(kind):
            reply = await self.call("get_snapshot", channel="%s.%s" % (kind, venue))
            require("result" in reply, "no snapshot of %s.%s: %r", kind, venue, reply)
            return reply["result"]
        reply = await self.call("get_instruments", venue=venue)
        for kind in ("instruments", "status"):
            held = self.channels["%s.%s" % (kind, venue)]
            now = await snapshot(kind)
            require(now["seq"] >= held.seq, "%s is at %d, the region at %d", held.name, held.seq,
                    now["seq"])
            require(list(held.entries.values()) == now["data"] or
                    sorted(held.entries.values(), key=str) == sorted(now["data"], key=str),
                    "%s holds %r, the region has %r", held.name, held.entries, now["data"])
            if kind == "instruments":
                require(now["data"] == reply["result"]["instruments"],
                        "get_instruments and get_snapshot differ")

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
        if method in OF_SUBSCRIPTIONS:
            self.unheard += 1
            self.channel(params).unheard += 1
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
        elif method == "unsubscribed":
            self.on_unsubscribed(params)
        elif method == "heartbeat":
            self.on_heartbeat(params)

    def on_unsubscribed(self, params):
        channel = self.channels.pop(params["channel"])
        require(isinstance(params["code"], int) and isinstance(params["message"], str),
                "%s: unsubscribed %r", channel.name, params)
        channel.ended = params["code"]
        self.retired.append(channel)

    def on_heartbeat(self, params):
        """Silence is proven: who is named holds what the server says, and got nothing."""
        require(params["sent"] == self.unheard, "heartbeat: sent %r, got %d", params["sent"],
                self.unheard)
        require(params["delay_us"] >= 0 and 10**15 < params["time"] < 10**16, "heartbeat %r",
                params)
        quiet = params["quiet"]
        require(len(quiet) <= QUIET_MAX, "heartbeat: %d quiet", len(quiet))
        require(params["quiet_more"] == 0 or len(quiet) == QUIET_MAX, "heartbeat %r", params)
        require(len({entry["sid"] for entry in quiet}) == len(quiet), "heartbeat: quiet twice")
        silent = {}  # (sid, seq) -> channels
        for channel in self.channels.values():
            if channel.unheard == 0:
                silent.setdefault((channel.sid, channel.seq), []).append(channel.name)
            channel.unheard = 0
        for entry in quiet:
            require((entry["sid"], entry["seq"]) in silent, "heartbeat: %r is not held or not quiet",
                    entry)
        named = len(quiet) + params["quiet_more"] + params["behind"]
        require(sum(map(len, silent.values())) <= named <= len(self.channels),
                "heartbeat: %d of %d subscriptions got nothing, %r", sum(map(len, silent.values())),
                len(self.channels), params)
        self.unheard = 0
        self.heartbeats.append(params)

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
        elif method == "unsubscribe_all" and "result" in reply:
            names = reply["result"]["unsubscribed"]
            require(sorted(names) == sorted(self.channels), "unsubscribe_all: %r, has %r", names,
                    sorted(self.channels))
            self.retired += self.channels.values()
            self.channels = {}
        elif method == "list_subscriptions" and "result" in reply:
            self.on_listed(reply["result"]["subscriptions"])
        if not future.done():
            future.set_result(reply)

    def on_subscribed(self, result):
        for entry in result["subscribed"]:
            name = entry["channel"]
            if name not in self.channels:  # else subscribed twice: the current position
                self.channels[name] = KINDS[name.split(".")[0]](entry, self.oracle)
                self.channels[name].ids_follow = not self.trades_repeat

    def on_listed(self, entries):
        """All it has, each where it stands."""
        require(sorted(entry["channel"] for entry in entries) == sorted(self.channels),
                "list_subscriptions: %r, has %r", entries, sorted(self.channels))
        for entry in entries:
            channel = self.channels[entry["channel"]]
            require(entry["seq"] in (None, channel.seq), "%s listed at %r, held is %r",
                    channel.name, entry["seq"], channel.seq)
            require(entry["epoch"] == channel.epoch and entry["sid"] == channel.sid,
                    "%s listed as %r", channel.name, entry)
            require(all(entry[field] == getattr(channel, field) for field in channel.scales),
                    "%s listed as %r", channel.name, entry)
            require(isinstance(entry["behind"], bool) and entry["lag"] == "conflate",
                    "%s listed as %r", channel.name, entry)

    def on_other_reply(self, reply):
        raise Violation("a reply nobody asked for: %r" % reply)
