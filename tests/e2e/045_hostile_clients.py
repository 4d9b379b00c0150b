"""Attacks from outside: broken frames, floods, stalls, storms. Each is answered as the protocol
says or refused, shows in /metrics and leaves no trace; a strict client beside it notices
nothing."""

import json
import os
import struct
import time

import kit
import raw
from attacks import (BAD_HEADS, BROKEN, CHANNELS, ERRORS, FULL, GET, LIMIT, NOT_UTF8, PING, TOO_BIG,
                     close, head, more, text)
from hostile import MIB, HostileCase, reset, wait_for
from raw import RawClient, frame


class Frames(HostileCase):
    flags = ("--requests-per-s", "1000000", "--requests-burst", "1000000", "--linger-ms", "10")

    def all_closed_with(self, code, counter, attacks, ways=(RawClient.throw, RawClient.drip)):
        with self.counted(**{counter: len(attacks) * len(ways)}):
            for way in ways:
                for attack in attacks:
                    client = self.client()
                    way(client, attack)
                    self.assertEqual(client.closed_with(), code, attack[:40])
                    self.assertTrue(client.ended())
                    client.socket.close()

    def test_broken_frames_are_closed_with_1002(self):
        self.all_closed_with(1002, "closes_protocol", BROKEN)

    def test_messages_over_the_limit_are_closed_with_1009_declared_or_real(self):
        self.all_closed_with(1009, "closes_too_big", TOO_BIG, ways=(RawClient.throw,))
        self.all_closed_with(1009, "closes_too_big", TOO_BIG[:4], ways=(RawClient.drip,))

    def test_a_declared_size_is_not_reserved(self):
        before = self.server.metric("memory_in_use_bytes")
        clients = [self.client() for _ in range(64)]
        for client in clients:
            client.send(head(raw.TEXT, 8, LIMIT))
            client.send(frame(raw.PING)[:1])  # is payload: that much has arrived for sure
        self.assertLess(self.server.metric("memory_in_use_bytes") - before, 64 * 4096)
        for client in clients:
            client.socket.close()

    def test_text_that_is_not_utf8_is_closed_with_1007(self):
        self.all_closed_with(1007, "closes_utf8", NOT_UTF8)

    def test_binary_messages_are_closed_with_1003(self):
        self.all_closed_with(1003, "closes_unsupported", [
            frame(raw.BINARY, PING), frame(raw.BINARY), frame(raw.BINARY, b"\xff", fin=False)
            + more(b"\xff")])

    def test_what_follows_a_broken_frame_is_not_acted_on(self):
        with self.counted(closes_protocol=1, requests_total=1, subscriptions=0):
            client = self.client()
            subscribe = {"id": 2, "method": "subscribe", "params": {"channels": [FULL]}}
            client.throw(text(PING) + frame(3) + text(json.dumps(subscribe).encode()))
            self.assertEqual(json.loads(client.answer())["result"], "pong")
            self.assertEqual(client.closed_with(), 1002)
            client.throw(text(PING) * 100)
            self.assertTrue(client.ended())

    def test_empty_fragments_without_end_cost_nothing_and_count_as_nothing(self):
        client = self.client()
        before = self.server.metric("memory_in_use_bytes")
        client.send(text(PING[:5], fin=False) + more(b"", fin=False) * 50000)
        client.send(frame(raw.PING, b"there?"))
        self.assertEqual(client.answer(raw.PONG), b"there?")
        self.assertLess(self.server.metric("memory_in_use_bytes") - before, MIB)
        client.send(more(PING[5:]))
        self.assertEqual(json.loads(client.answer())["result"], "pong")
        client.socket.close()

    def test_a_flood_of_pings_is_answered_by_the_newest(self):
        client = self.client()
        before = self.server.metric("memory_in_use_bytes")
        with self.growing("pings_answered_total", "pings_coalesced_total"):
            for i in range(200):
                client.send(b"".join(frame(raw.PING, b"%0125d" % (i * 100 + j))
                                     for j in range(100)))
        self.assertLess(self.server.metric("memory_in_use_bytes") - before, MIB)
        answers = 1
        while client.answer(raw.PONG) != b"%0125d" % 19999:
            answers += 1
        self.assertLess(answers, 20000)
        client.socket.close()

    def test_pongs_that_nobody_asked_for_are_ignored(self):
        client = self.client()
        client.send(frame(raw.PONG, b"x" * 125) * 20000 + text(PING))
        self.assertEqual(json.loads(client.answer())["result"], "pong")
        client.socket.close()


class Requests(HostileCase):
    flags = ("--requests-per-s", "1000000", "--requests-burst", "1000000")

    def test_bad_requests_of_many_kinds_get_their_code_and_do_no_harm(self):
        client = self.client()
        requests = [(code, request) for code, bad in ERRORS.items() for request in bad]
        with self.counted(request_errors_total=len(requests), requests_total=len(requests) + 1,
                          subscriptions=0):
            for code, request in requests:
                reply = client.ask(request)
                self.assertIn("error", reply, request[:100])
                self.assertEqual(reply["error"]["code"], code, request[:100])
            self.assertEqual(client.call("ping")["result"], "pong")
        client.socket.close()

    def test_bad_channels_of_many_kinds_get_their_code(self):
        client = self.client()
        for code, names in CHANNELS.items():
            result = client.call("subscribe", channels=names)["result"]
            self.assertEqual([(f["channel"], f["code"]) for f in result["failed"]],
                             [(name, code) for name in names])
            self.assertEqual(result["subscribed"], [])
        client.socket.close()

    def test_bad_requests_come_one_byte_at_a_time_too(self):
        client = self.client()
        for code, bad in ERRORS.items():
            for request in bad:
                if len(request) < 200:
                    client.drip(text(request.encode()))
                    self.assertEqual(json.loads(client.answer())["error"]["code"], code, request)
        client.socket.close()


class Handshakes(HostileCase):
    HANDSHAKE_S = 0.8
    flags = ("--handshake-ms", "800", "--linger-ms", "200")

    def test_heads_that_are_no_upgrade_are_refused_with_a_status(self):
        refused = [(status, bad) for status, heads in BAD_HEADS.items() for bad in heads]
        with self.counted(upgrade_rejected_total=len(refused), upgrades_total=0):
            for status, bad in refused:
                client = self.stranger()
                client.throw(bad)
                self.assertIn(client.head()[0], (status, 405 if bad[:3] == b"PRI" else status),
                              bad[:60])
                self.assertTrue(client.ended())
                client.socket.close()

    def test_ten_thousand_headers_one_by_one_are_refused_early(self):
        with self.counted(upgrade_rejected_total=1):
            client = self.stranger()
            client.throw(GET)
            for i in range(10000):
                client.throw(b"X-%d: %d\r\n" % (i, i))
            self.assertEqual(client.head()[0], 431)
            client.socket.close()

    def test_a_crowd_of_half_open_handshakes_is_cut_in_time(self):
        starts = [b"", b"G", GET, GET + b"Host: a\r\n", raw.upgrade()[:-1]]
        with self.counted(upgrade_timeout_total=300, connections_accepted_total=300,
                          upgrades_total=0):
            begin = time.monotonic()
            clients = [self.stranger() for _ in range(300)]
            for i, client in enumerate(clients):
                client.send(starts[i % len(starts)])
            for client in clients:
                self.assertTrue(client.ended())
                client.socket.close()
            self.assertGreaterEqual(time.monotonic() - begin, self.HANDSHAKE_S)

    def test_a_trickle_does_not_put_the_deadline_off(self):
        with self.counted(upgrade_timeout_total=1):
            client = self.stranger()
            begin = time.monotonic()
            client.send(GET + b"X: ")
            while not self.has_ended(client, 0.05):
                self.assertLess(time.monotonic() - begin, 20 * self.HANDSHAKE_S)
                client.throw(b"x")
            self.assertGreaterEqual(time.monotonic() - begin, self.HANDSHAKE_S)
            client.socket.close()

    def test_resets_in_the_middle_of_a_handshake_are_forgotten(self):
        head_text = raw.upgrade()
        with self.counted(connections_accepted_total=100, upgrade_timeout_total=0):
            for i in range(100):
                client = self.stranger()
                client.send(head_text[:i * len(head_text) // 99])
                reset(client)

    def test_a_storm_of_connections_that_close_at_once_passes(self):
        with self.counted(connections_accepted_total=3000, connections_refused_total=0,
                          accept_errors_total=0):
            for i in range(3000):
                client = RawClient(self.port)
                if i % 3 == 0:
                    reset(client)
                elif i % 3 == 1:
                    client.throw(GET)
                client.socket.close()


class Resets(HostileCase):
    venue = "sim:seed=45,instruments=2,depth=1000,updates_per_s=100,burst_every_s=0"
    flags = ("--requests-per-s", "1000000", "--requests-burst", "1000000", "--linger-ms", "200",
             "--stall-ms", "800")

    def test_resets_in_the_middle_of_a_frame_are_forgotten(self):
        data = text(PING + b" " * 3000)
        with self.counted(upgrades_total=60, requests_total=0, closes_protocol=0):
            for i in range(60):
                client = self.client()
                client.send(data[:1 + i * (len(data) - 2) // 59])
                reset(client)

    def test_resets_in_the_middle_of_a_reply_are_forgotten(self):
        snapshot = {"id": 1, "method": "get_snapshot", "params": {"channel": FULL}}
        request = text(json.dumps(snapshot).encode())
        with self.counted(upgrades_total=60):
            for i in range(60):
                client = self.client()
                client.send(request * 20)
                if i % 2 == 0:
                    client.socket.recv(1 + 500 * i)
                reset(client)

    def test_resets_in_the_middle_of_a_stream_are_forgotten(self):
        with self.counted(upgrades_total=60):
            for i in range(60):
                client = self.client()
                client.say({"id": 1, "method": "subscribe", "params": {"channels": [FULL]}})
                if i % 2 == 0:
                    client.socket.recv(1 + 500 * i)
                reset(client)

    def test_a_client_that_asks_and_never_reads_is_not_read_from_and_then_cut(self):
        snapshot = {"id": 1, "method": "get_snapshot", "params": {"channel": FULL}}
        requests = text(json.dumps(snapshot).encode()) * 400
        client = self.client()
        before = self.server.metric("memory_in_use_bytes")
        with self.counted(closes_too_slow=1), self.growing("sends_cut"):
            client.socket.settimeout(0.3)
            with self.assertRaises((TimeoutError, ConnectionResetError, BrokenPipeError)):
                for _ in range(1000):
                    client.send(requests)
            self.assertLess(self.server.metric("memory_in_use_bytes") - before, MIB)
        client.socket.close()


class Floods(HostileCase):
    """At the usual rates."""

    flags = ("--linger-ms", "200")

    @staticmethod
    def code_after_answers(client):
        while True:
            opcode, payload = client.frame()
            if opcode == raw.CLOSE:
                return struct.unpack(">H", payload[:2])[0]

    def test_a_flood_of_subscriptions_is_closed_with_4429_after_the_burst(self):
        on = json.dumps({"id": 1, "method": "subscribe", "params": {"channels": [FULL]}}).encode()
        off = on.replace(b"subscribe", b"unsubscribe")
        with self.counted(closes_rate=1), self.growing("requests_total"):
            client = self.client()
            before = self.counter("requests_total")
            client.throw((text(on) + text(off)) * 1000)
            self.assertEqual(self.code_after_answers(client), 4429)
            self.assertTrue(client.ended())
        self.assertIn(self.counter("requests_total") - before, range(200, 1000))

    def test_a_batch_pays_for_each_of_its_requests(self):
        batch = json.dumps([{"id": 1, "method": "ping"}] * 32).encode()
        with self.counted(closes_rate=1):
            client = self.client()
            before = self.counter("requests_total")
            client.throw(text(batch) * 100)
            self.assertEqual(self.code_after_answers(client), 4429)
        self.assertIn(self.counter("requests_total") - before, range(200, 1000))

    def test_nonsense_pays_too(self):
        with self.counted(closes_rate=1), self.growing("request_errors_total"):
            client = self.client()
            client.throw(text(b"{") * 1000)
            self.assertEqual(self.code_after_answers(client), 4429)

    def test_who_pauses_may_ask_again(self):
        with self.counted(closes_rate=0, requests_total=220):
            client = self.client()
            client.send(text(PING) * 200)
            for _ in range(200):
                client.answer()
            time.sleep(0.5)
            client.send(text(PING) * 20)
            for _ in range(20):
                client.answer()
        client.socket.close()


class Crowds(HostileCase):
    """4,096 subscriptions of one client."""

    STALL_S = 0.8
    venue = "sim:seed=45,instruments=110,depth=50,updates_per_s=2,trades_per_s=1,burst_every_s=0"
    flags = ("--stall-ms", "800", "--requests-per-s", "1000000", "--requests-burst", "1000000")
    growth_bytes_max = 16 * MIB  # the table of subscriptions stays as large as it was

    @staticmethod
    def names(client):
        listed = client.call("get_instruments")["result"]["instruments"]
        rates = ("raw", "100ms", "250ms", "1s")
        endings = ["ticker.sim.%%s.%s" % rate for rate in rates]
        endings += ["bbo.sim.%%s.%s" % rate for rate in rates]
        endings += ["book.sim.%%s.%s.%s" % (depth, rate) for rate in rates
                    for depth in (1, 10, 25, 50, 200, 1000, "full")]
        endings += ["trades.sim.%s.raw", "trades.sim.%s.100ms"]
        return [ending % entry["symbol"] for entry in listed for ending in endings]

    def subscribed(self, client, names):
        """Of the replies: how many, and the failures."""
        count, failed = 0, []
        for i in range(0, len(names), 512):
            result = client.call("subscribe", channels=names[i:i + 512])["result"]
            count += len(result["subscribed"])
            failed += result["failed"]
        return count, failed

    def test_the_4097th_subscription_is_2005_and_who_never_reads_is_cut(self):
        client = self.client()
        names = self.names(client)[:4097]
        self.assertEqual(len(names), 4097)
        with self.counted(closes_too_slow=1), self.growing("sends_cut", "frames_skipped_total"):
            count, failed = self.subscribed(client, names)
            self.assertEqual((count, [(f["channel"], f["code"]) for f in failed]),
                             (4096, [(names[4096], 2005)]))
            self.assertEqual(self.counter("subscriptions"), 4096 + len(self.witness.channels))
            high = self.counter("memory_in_use_bytes")
            while self.counter("subscriptions") > len(self.witness.channels):
                self.assertLess(self.counter("memory_in_use_bytes") - high, 2 * MIB)
                time.sleep(0.05)
        self.assertTrue(client.ended())
        client.socket.close()

    def test_a_client_of_4096_that_reads_on_is_served(self):
        client = self.client()
        count, failed = self.subscribed(client, self.names(client)[:4096])
        self.assertEqual((count, failed), (4096, []))
        end = time.monotonic() + 1.5 * self.STALL_S
        while time.monotonic() < end:
            self.assertEqual(client.call("ping")["result"], "pong")
            del client.texts[:]
        client.socket.close()


class Full(HostileCase):
    flags = ("--connections-max", "40")

    def test_connections_over_the_limit_are_closed_at_once_until_there_is_room(self):
        with self.counted(connections_accepted_total=39, connections_refused_total=60):
            clients = [self.client() for _ in range(39)]
            for _ in range(60):
                client = self.stranger()
                client.throw(raw.upgrade())
                self.assertTrue(client.ended())
                client.socket.close()
        for client in clients:
            self.assertEqual(client.call("ping")["result"], "pong")
        clients.pop().socket.close()
        wait_for(lambda: self.server.metric("connections") == 39, "nobody left")
        self.client().socket.close()
        for client in clients:
            client.socket.close()


class OutOfDescriptors(HostileCase):
    """Descriptors run out before the limit of connections is reached: the server reckons with what
    it needs itself, and here it has inherited hundreds that it knows nothing of."""

    LIMIT = 400
    SCRIPT = """ulimit -n %d; for fd in {10..309}; do eval "exec $fd</dev/null"; done; exec "$@" """

    @classmethod
    def start(cls):
        region = kit.region_name()
        return kit.Process("-c", cls.SCRIPT % cls.LIMIT, "bash", kit.binary(), "serve",
                           "--region", region, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
                           "--venue", cls.venue, "--accept-backoff-ms", "100", *kit.PATIENT,
                           region=region, binary="/bin/bash")

    def crowd(self):
        clients = [RawClient(self.port) for _ in range(120)]
        for client in clients:
            self.addCleanup(client.socket.close)
        return clients

    def cpu_s(self):
        with open("/proc/%d/stat" % self.server.pid, encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_who_finds_no_descriptor_is_closed_soon_and_the_server_does_not_spin(self):
        shed, errors = (self.counter(name) for name in ("connections_shed_total",
                                                        "accept_errors_total"))
        before = self.counter("connections")
        begin = time.monotonic()
        clients = self.crowd()
        wait_for(lambda: self.server.fds() >= self.LIMIT - 1, "descriptors are left")
        cpu_s = self.cpu_s()
        time.sleep(1)
        self.assertLess(self.cpu_s() - cpu_s, 0.5)
        ended = [client for client in clients if self.has_ended(client, 0.001)]
        self.assertGreater(len(ended), 0)
        left = [client for client in clients if client not in ended]
        for client in left[:10]:  # room for the metrics
            client.socket.close()
        wait_for(lambda: self.server.fds() < self.LIMIT - 5, "no descriptor comes back")
        end = time.monotonic()
        self.assertEqual(self.counter("connections_shed_total") - shed, len(ended))
        self.assertEqual(self.counter("connections") - before, len(left) - 10)
        self.assertIn(self.counter("accept_errors_total") - errors,
                      range(1, int((end - begin) / 0.1) + 3))
        self.assertLess(len(self.server.stderr().splitlines()), 20)
        for client in clients:
            client.socket.close()
        self.assertEqual(self.client().call("ping")["result"], "pong")


class Mutations(HostileCase):
    """What a client may send, changed at random."""

    CONNECTIONS = 400
    CONNECTIONS_SLOW = 20000
    flags = ("--handshake-ms", "400", "--linger-ms", "50", "--stall-ms", "1000")

    @staticmethod
    def message(random):
        channel = "%s.sim.%s" % (random.choice(("book", "trades", "bbo", "ticker")),
                                 random.choice(("BTC-USD", "ETH-USD", "ZZZ-USD")))
        params = {"subscribe": {"channels": [channel, FULL]},
                  "unsubscribe": {"channels": [channel]},
                  "get_snapshot": {"channel": channel}, "get_instruments": {}, "ping": {}}
        methods = random.choices(list(params), k=random.randint(1, 3))
        requests = [{"jsonrpc": "2.0", "id": i, "method": method, "params": params[method]}
                    for i, method in enumerate(methods)]
        data = json.dumps(requests if len(requests) > 1 else requests[0]).encode()
        cut = random.randrange(len(data))
        return random.choice((
            text(data), text(data), text(data[:cut], fin=False) + more(data[cut:]),
            text(data[:cut], fin=False) + frame(raw.PING, b"p") + more(data[cut:]),
            frame(raw.PING, b"ping"), frame(raw.PONG), close(1000, b"bye")))

    @staticmethod
    def mutated(random, data):
        at, end = sorted(random.choices(range(len(data) + 1), k=2))
        end = min(end, at + 200)
        noise = random.randbytes(random.randint(1, 20))
        flipped = bytes(byte ^ 1 << random.randrange(8) for byte in data[at:at + 1])
        middle = random.choice((b"", noise, flipped + data[at + 1:end], data[at:end] * 3,
                                data[at:end][::-1], noise + data[at:end],
                                bytes([random.choice((0, 0x7f, 0x80, 0xff))]) * (end - at)))
        rest = data[end:] if random.random() < 0.9 else b""
        return data[:at] + middle + rest

    def stream(self, random):
        head_text = raw.upgrade()
        frames = b"".join(self.message(random) for _ in range(random.randint(1, 6)))
        whole = random.random() < 0.2
        data = head_text + frames if whole else frames
        for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
            data = self.mutated(random, data)
        return data if whole else head_text + data

    def visit(self, random):
        client = RawClient(self.port)
        data = self.stream(random)
        cuts = sorted(random.choices(range(len(data) + 1), k=random.randint(0, 3)))
        for at, end in zip([0, *cuts], [*cuts, len(data)]):
            client.throw(data[at:end])
        leave = random.randrange(4)
        if leave == 0:
            reset(client)
        elif leave == 1:
            self.has_ended(client, random.choice((0.001, 0.01)))
        client.socket.close()

    def test_changed_streams_do_no_harm_and_add_up(self):
        random = kit.seed(45)
        self.addCleanup(setattr, raw, "entropy", raw.entropy)
        raw.entropy = random.randbytes
        count = self.CONNECTIONS_SLOW if kit.slow else self.CONNECTIONS
        names = ("upgrades_total", "upgrade_rejected_total", "upgrade_timeout_total",
                 "closes_total", "requests_total", "request_errors_total")
        before = {name: self.counter(name) for name in names}
        with self.counted(connections_accepted_total=count, connections_refused_total=0,
                          connections_shed_total=0, accept_errors_total=0, cq_overflows_total=0,
                          completions_stale_total=0, closes_internal=0):
            for _ in range(count):
                self.visit(random)
        wait_for(lambda: self.server.metric("connections") == 1, "visitors stay connected")
        moved = {name: self.counter(name) - before[name] for name in names}
        print(moved, flush=True)
        self.assertLessEqual(moved["upgrades_total"] + moved["upgrade_rejected_total"]
                             + moved["upgrade_timeout_total"], count)
        self.assertGreater(moved["upgrades_total"], count / 4)
        self.assertGreater(moved["upgrade_rejected_total"], 0)
        self.assertGreater(moved["closes_total"], 0)
        self.assertLessEqual(moved["closes_total"], moved["upgrades_total"])
        self.assertLess(moved["request_errors_total"], moved["requests_total"])


if __name__ == "__main__":
    kit.main()
