"""Market data over HTTP, seen from outside: the bodies beside what WebSocket clients get, errors,
connections, the page's files, and the histograms of delays."""

import contextlib
import http.client
import json
import re
import signal
import socket
import time
import unittest
import urllib.parse
import zlib

import kit
from raw import TEXT, RawClient

DEPTHS = ("1", "10", "25", "50", "200", "1000", "full")
SIM = ("--venue", "sim:seed=9,instruments=3,updates_per_s=20,trades_per_s=5",
       "--instruments-max", "16")
HASTY = ("--requests-per-s", "1000000", "--requests-burst", "1000000")
CONNECTIONS_MAX = 64


def connect(server):
    address = urllib.parse.urlsplit(server.http_url())
    return http.client.HTTPConnection(address.hostname, address.port, timeout=kit.WAIT_S)


def raw_connect(server, receive_bytes=None):
    address = urllib.parse.urlsplit(server.http_url())
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(kit.WAIT_S)
    sock.connect((address.hostname, address.port))
    return sock


def request(path, method="GET"):
    return ("%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (method, path)).encode()


def get_json(server, path):
    """(status, JSON value) of a GET."""
    status, text = server.get(path)
    return status, json.loads(text)


def path_of(channel):
    """The path that gives the channel's snapshot; its rate is the kind's default."""
    kind, venue, symbol, *rest = channel.split(".")
    return "/v1/%s/%s/%s%s" % (kind, venue, symbol, "?depth=" + rest[0] if kind == "book" else "")


def channels_of(venue, symbol):
    return ["%s.%s.%s" % (kind, venue, symbol) for kind in ("ticker", "bbo", "trades")] + [
        "book.%s.%s.%s" % (venue, symbol, depth) for depth in DEPTHS]


def checksum(data):
    """PROTOCOL.md, from the strings of the wire."""
    text = []
    for rank in range(10):
        for side in ("b", "a"):
            text += data[side][rank] if rank < len(data[side]) else []
    return zlib.crc32(":".join(text).encode()) if text else 0


def snapshots(client, channels):
    """Subscribe, and the params of the first snapshots by channel as it was asked for."""
    reply = client.call("subscribe", channels=channels)
    assert not reply["result"]["failed"], reply
    full = {entry["channel"]: name
            for entry, name in zip(reply["result"]["subscribed"], channels)}
    found = {}
    pending, client.texts = client.texts, []
    while len(found) < len(full):
        if pending:
            message = pending.pop(0)
        else:
            opcode, payload = client.frame()
            message = json.loads(payload) if opcode == TEXT else {}
        params = message.get("params", {})
        if message.get("method") == "subscription" and params["type"] == "snapshot":
            found.setdefault(full[params["channel"]], params)
    return found


class Bodies(unittest.TestCase):
    def test_of_a_market_that_stands_still_they_are_the_snapshots_of_the_stream(self):
        capture = kit.recording(kit.COINBASE_2026)
        with kit.serve(*kit.ROOM, "--venue", kit.replay(capture, speed="max")) as server:
            server.find("event=link_ended", server.stderr)
            with RawClient(server.port()) as client:
                client.open()
                for symbol in ("BTC-USD", "ETH-USD"):
                    channels = channels_of("coinbase", symbol)
                    for channel, params in snapshots(client, channels).items():
                        status, body = get_json(server, path_of(channel))
                        if params["seq"] == 0:  # the recording has no tickers
                            self.assertEqual((status, body["error"]["code"]), (503, 4003), channel)
                            continue
                        self.assertEqual(status, 200, channel)
                        self.assertEqual(body, params, channel)
                        if channel.startswith("book"):
                            self.assertEqual(body["cs"], checksum(body["data"]), channel)
                    status, body = get_json(server, "/v1/book/coinbase/" + symbol)
                    self.assertEqual(body["channel"], "book.coinbase.%s.10.100ms" % symbol)
                    status, body = get_json(server, "/v1/trades/coinbase/" + symbol)
                    self.assertEqual(len(body["data"]), 50)

    def test_of_a_market_that_moves_they_have_its_seq_and_checksum(self):
        with kit.serve(*SIM, *HASTY) as server, RawClient(server.port()) as client:
            client.open()
            for channel in channels_of("sim", "BTC-USD"):
                equal = 0
                deadline = time.monotonic() + kit.WAIT_S
                while equal < 3 and time.monotonic() < deadline:
                    reply = client.call("get_snapshot", channel=channel)
                    status, body = get_json(server, path_of(channel))
                    if status == 503:  # nothing published yet
                        self.assertEqual(body["error"]["code"], 4003, channel)
                        continue
                    self.assertEqual(status, 200, body)
                    if channel.startswith("book"):
                        self.assertEqual(body["cs"], checksum(body["data"]), channel)
                    if reply.get("result", {}).get("seq") == body["seq"]:
                        self.assertEqual(body, reply["result"], channel)
                        equal += 1
                self.assertEqual(equal, 3, channel)

    def test_lists_are_those_of_the_requests_and_channels(self):
        with kit.serve(*SIM) as server, RawClient(server.port()) as client:
            server.find("event=ready", server.stderr)
            client.open()
            listed = client.call("get_instruments")["result"]
            self.assertEqual(get_json(server, "/v1/instruments"), (200, listed))
            self.assertEqual(get_json(server, "/v1/instruments?venue=sim"), (200, listed))
            self.assertEqual(len(listed["instruments"]), 3)
            states = get_json(server, "/v1/status?venue=sim")[1]["status"]
            self.assertEqual([entry["scope"] for entry in states], ["venue"] + 3 * ["market"])
            self.assertEqual([entry["symbol"] for entry in states[1:]],
                             [entry["symbol"] for entry in listed["instruments"]])

    def test_config_leads_to_the_websocket(self):
        with kit.serve(*SIM, "--heartbeat-ms", "1500") as server:
            status, config = get_json(server, "/v1/config")
            self.assertEqual(status, 200)
            self.assertEqual(config["ws"], server.ws_url())
            self.assertEqual(config["region"], server.region)
            self.assertEqual(config["heartbeat_s"], 1.5)
            url = urllib.parse.urlsplit(config["ws"])
            self.assertEqual(url.path, "/v1/ws")
            with RawClient(url.port) as client:
                hello = client.open(path=url.path)
                self.assertEqual(hello["version"], config["version"])
                self.assertEqual(hello["heartbeat_s"], config["heartbeat_s"])
                self.assertEqual({venue["epoch"] for venue in hello["venues"]}, {config["epoch"]})

    def test_a_process_without_websocket_says_so(self):
        region = kit.region_name()
        with kit.Process("ingest", "--region", region, "--http", "127.0.0.1:0", *kit.PATIENT, *SIM,
                         region=region) as server:
            self.assertIsNone(get_json(server, "/v1/config")[1]["ws"])
            self.assertEqual(get_json(server, "/v1/instruments")[0], 200)

    def test_while_ingest_is_lost_they_are_stale_until_the_next_epoch(self):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(kit.ingest(*SIM))
            first.find("event=ready", first.stderr)
            server = stack.enter_context(kit.Process(
                "fanout", "--region", first.region, "--listen", "127.0.0.1:0",
                "--http", "127.0.0.1:0", "--lost-ms", "2000"))
            path = "/v1/book/sim/BTC-USD"

            def until(holds):
                deadline = time.monotonic() + kit.WAIT_S
                while True:
                    status, body = get_json(server, path)
                    if status == 200 and holds(body):
                        return body
                    self.assertLess(time.monotonic(), deadline, body)
                    time.sleep(0.02)

            before = until(lambda body: body["state"] == "live")
            first.process.send_signal(signal.SIGKILL)
            first.wait()
            lost = until(lambda body: body["state"] != "live")
            self.assertEqual((lost["state"], lost["reason"]), ("stale", "ingest_lost"))
            self.assertEqual(lost["epoch"], before["epoch"])
            self.assertEqual(lost["cs"], checksum(lost["data"]))
            self.assertEqual(server.metric("venue_link_up", venue="sim"), 0)
            second = stack.enter_context(kit.ingest(*SIM, region=first.region))
            second.find("event=ready", second.stderr)
            after = until(lambda body: body["state"] == "live")
            self.assertNotEqual(after["epoch"], before["epoch"])
            self.assertEqual(server.metric("venue_link_up", venue="sim"), 1)

    def test_after_a_proper_stop_the_last_data_are_there_and_stale(self):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(kit.ingest(*SIM))
            first.find("event=ready", first.stderr)
            server = stack.enter_context(kit.Process(
                "fanout", "--region", first.region, "--listen", "127.0.0.1:0",
                "--http", "127.0.0.1:0", "--lost-ms", "2000"))
            path = "/v1/book/sim/BTC-USD"
            while server.metric("ready") != 1 or server.get(path)[0] != 200:
                time.sleep(0.02)
            self.assertEqual(server.metric("region_up"), 1)
            self.assertEqual(first.terminate()[0], 0)
            status, body = get_json(server, path)
            self.assertEqual((status, body["state"], body["reason"]),
                             (200, "stale", "ingest_lost"))
            values = server.metrics()
            self.assertEqual((values["tickfan_region_up"], values["tickfan_ready"]), (0, 0))
            self.assertEqual(values['tickfan_markets{venue="sim",state="stale"}'], 3)
            self.assertEqual(values['tickfan_venue_link_up{venue="sim"}'], 0)
            self.assertIn("tickfan_region_heartbeat_age_seconds", values)
            second = stack.enter_context(kit.ingest(*SIM, region=first.region))
            second.find("event=ready", second.stderr)
            deadline = time.monotonic() + kit.WAIT_S
            while server.metric("ready") != 1:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            self.assertEqual(server.metric("region_up"), 1)

    def test_without_a_region_metrics_say_that_it_is_not_up(self):
        region = kit.region_name()
        with kit.Process("fanout", "--region", region, "--listen", "127.0.0.1:0",
                         "--http", "127.0.0.1:0", region=region) as server:
            values = server.metrics()
            self.assertEqual((values["tickfan_region_up"], values["tickfan_ready"]), (0, 0))
            status, body = get_json(server, "/v1/status")
            self.assertEqual((status, body["error"]["code"]), (503, -32603))
            self.assertIn("no region", body["error"]["message"])


class Requests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        capture = kit.recording(kit.COINBASE_2026)
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.server = stack.enter_context(
            kit.serve(*kit.ROOM, "--venue", kit.replay(capture, speed="max")))
        cls.server.find("event=link_ended", cls.server.stderr)
        cls.fds = cls.server.fds()

    def test_errors_have_a_status_and_a_code(self):
        for path, status, code in (
                ("/v1/ticker/nowhere/BTC-USD", 404, 2002),
                ("/v1/ticker/coinbase/NO-USD", 404, 2003),
                ("/v1/candles/coinbase/BTC-USD", 400, 2001),
                ("/v1/book/coinbase/BTC-USD?depth=11", 400, -32602),
                ("/v1/book/coinbase/BTC-USD?x=1&depth=11&y", 400, -32602),
                ("/v1/book/coinbase/BTC-USD?depth=%31%31", 400, -32602),
                ("/v1/book/coinbase/BTC-USD?x=" + 300 * "y", 400, -32602),
                ("/v1/book/coinbase", 400, -32602),
                ("/v1/nothing", 404, -32601),
                ("/v1/" + 1000 * "a", 404, -32601)):
            got, body = get_json(self.server, path)
            self.assertEqual((got, body["error"]["code"]), (status, code), path)
            self.assertGreater(len(body["error"]["message"]), 0)
            self.assertGreater(len(body["error"]["reason"]), 0)
        self.assertEqual(get_json(self.server, "/v1/%62ook/coinbase/BTC%2dUSD?depth=1")[0], 200)

    def test_paths_that_climb_lead_nowhere(self):
        for path in ("/v1/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/..%2f..%2fetc/passwd",
                     "/../../../../etc/passwd", "/./etc/passwd", "/etc/passwd"):
            status, text = self.server.get(path)
            self.assertEqual(status, 404, path)
            self.assertNotIn("root:", text)

    def test_what_is_no_request_ends_its_connection_alone(self):
        for line in (b"GET /v1/%zz HTTP/1.1", b"GET /v1/status?venue=% HTTP/1.1",
                     b"GET /" + 8000 * b"a" + b" HTTP/1.1", b"GET /v1/\0 HTTP/1.1",
                     b"GET /v1/status%00 HTTP/1.1", b"\x16\x03\x01\x02\x00", b"GET"):
            with raw_connect(self.server) as sock:
                sock.sendall(line + b"\r\nHost: a\r\n\r\n")
                sock.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(65536):
                        pass
        self.assertEqual(get_json(self.server, "/v1/status")[0], 200)

    def test_head_and_many_requests_share_a_connection(self):
        connection = connect(self.server)
        with contextlib.closing(connection):
            paths = ["/v1/book/coinbase/BTC-USD?depth=full", "/v1/status", "/v1/nothing", "/",
                     "/metrics"]
            local = None
            for path in 4 * paths:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read()
                connection.request("HEAD", path)
                head = connection.getresponse()
                self.assertEqual(head.read(), b"")
                self.assertEqual(head.status, response.status)
                self.assertEqual(head.headers["content-type"], response.headers["content-type"])
                if path != "/metrics":
                    self.assertEqual(int(head.headers["content-length"]), len(body))
                local = local or connection.sock.getsockname()
                self.assertEqual(connection.sock.getsockname(), local)

    def test_pipelined_requests_are_answered_in_order(self):
        paths = ["/v1/book/coinbase/BTC-USD?depth=%s" % depth for depth in DEPTHS]
        expected = [self.server.get(path)[1] for path in paths]
        with raw_connect(self.server) as sock:
            sock.sendall(b"".join(request(path) for path in paths))
            with sock.makefile("rb") as stream:
                for text in expected:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += stream.read(1)
                    length = int(re.search(rb"content-length: (\d+)", head).group(1))
                    self.assertEqual(stream.read(length).decode(), text)

    def test_a_slow_reader_of_a_large_body_gets_it_whole_and_holds_up_nobody(self):
        path = "/v1/book/coinbase/BTC-USD?depth=full"
        expected = self.server.get(path)[1]
        self.assertGreater(len(expected), 300000)
        with raw_connect(self.server, receive_bytes=4096) as sock:
            sock.sendall(request(path))
            received = sock.recv(1000)
            for _ in range(20):
                self.assertEqual(get_json(self.server, "/v1/status")[0], 200)
                received += sock.recv(1000)
            while len(received.split(b"\r\n\r\n", 1)[-1]) < len(expected):
                part = sock.recv(4096)
                self.assertTrue(part, "cut off at %d" % len(received))
                received += part
        self.assertEqual(received.split(b"\r\n\r\n", 1)[1].decode(), expected)

    def crowd(self, stack, path):
        """As many connections as there may be, each with a request and none that reads."""
        socks = [stack.enter_context(raw_connect(self.server, receive_bytes=4096))
                 for _ in range(CONNECTIONS_MAX)]
        for sock in socks:
            sock.sendall(request(path))
        return socks

    def until_all_left(self, fds):
        deadline = time.monotonic() + kit.WAIT_S
        while self.server.fds() > fds:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_connections_over_the_limit_are_closed_and_room_comes_back(self):
        self.until_all_left(self.fds)
        with contextlib.ExitStack() as stack:
            socks = self.crowd(stack, "/v1/status")
            with raw_connect(self.server) as over:
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(over.recv(1), b"")
            for sock in socks:
                self.assertEqual(sock.recv(12), b"HTTP/1.1 200")
        self.until_all_left(self.fds)
        self.assertEqual(self.server.get("/healthz")[0], 200)

    def test_a_crowd_that_asks_for_large_bodies_is_answered_as_far_as_they_may_be_held(self):
        self.until_all_left(self.fds)
        with contextlib.ExitStack() as stack:
            path = "/v1/book/coinbase/BTC-USD?depth=full"
            answers = [sock.recv(12) for sock in self.crowd(stack, path)]
            self.assertLessEqual(set(answers), {b"HTTP/1.1 200", b"HTTP/1.1 503"})
            self.assertGreater(answers.count(b"HTTP/1.1 200"), 10)
            refused = answers.count(b"HTTP/1.1 503")
        self.until_all_left(self.fds)
        self.assertEqual(get_json(self.server, path)[0], 200)
        self.assertEqual(self.server.metric("http_bodies_refused_total"), refused)

    def test_scripts_of_other_origins_may_read_market_data_and_nothing_else(self):
        with contextlib.closing(connect(self.server)) as connection:
            for path, origin in (("/v1/status", "*"), ("/v1/config", "*"), ("/v1/nothing", "*"),
                                 ("/metrics", None), ("/", None), ("/readyz", None)):
                connection.request("GET", path, headers={"Origin": "http://elsewhere"})
                response = connection.getresponse()
                response.read()
                self.assertEqual(response.headers["access-control-allow-origin"], origin, path)
                self.assertEqual(response.headers["x-content-type-options"], "nosniff")

    def test_the_page_is_sent_once_and_then_by_its_tag(self):
        with contextlib.closing(connect(self.server)) as connection:
            connection.request("GET", "/")
            page = connection.getresponse()
            text = page.read().decode()
            self.assertEqual(page.headers["cache-control"], "no-cache")
            policy = page.headers["content-security-policy"]
            self.assertIn("default-src 'self'", policy)
            self.assertIn("connect-src 'self' ws: wss:", policy)
            files = re.findall(r'(?:src|href)="([\w./-]+\.(?:js|css|svg))"', text)
            self.assertGreater(len(files), 0)
            for name in ["", *files]:
                connection.request("GET", "/" + name)
                whole = connection.getresponse()
                self.assertEqual(whole.status, 200, name)
                self.assertGreater(len(whole.read()), 0)
                tag = whole.headers["etag"]
                connection.request("GET", "/" + name, headers={"If-None-Match": tag})
                same = connection.getresponse()
                self.assertEqual((same.status, same.read(), same.headers["etag"]), (304, b"", tag))

    def test_delays_of_a_recording_are_not_counted(self):
        self.assertEqual(self.server.metric("ingest_to_publish_seconds_count"), 0)
        self.assertEqual(self.server.metric("venue_to_ingest_seconds_count"), 0)


class Delays(unittest.TestCase):
    NAMES = ("venue_to_ingest", "ingest_to_publish")

    def histogram(self, values, name):
        """Bucket counts in order of their bounds; checked against the rules of the format."""
        prefix = "tickfan_%s_seconds" % name
        buckets = []
        for series, value in values.items():
            found = re.match(prefix + r'_bucket\{thread="ingest",le="([^"]+)"\}$', series)
            if found:
                buckets.append((float(found.group(1)), value))
        self.assertEqual(buckets, sorted(buckets))
        counts = [value for _, value in buckets]
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(buckets[-1][0], float("inf"))
        self.assertEqual(counts[-1], values[prefix + '_count{thread="ingest"}'])
        self.assertGreaterEqual(values[prefix + '_sum{thread="ingest"}'], 0)
        return counts

    def test_histograms_are_cumulative_and_move(self):
        with kit.serve(*SIM) as server:
            server.find("event=ready", server.stderr)
            before = {name: [0] for name in self.NAMES}
            for _ in range(5):
                deadline = time.monotonic() + kit.WAIT_S
                while True:
                    values = server.metrics()
                    if values.get('tickfan_ingest_to_publish_seconds_count{thread="ingest"}',
                                  0) > before["ingest_to_publish"][-1]:
                        break
                    self.assertLess(time.monotonic(), deadline)
                for name in self.NAMES:
                    counts = self.histogram(values, name)
                    if len(before[name]) > 1:
                        self.assertTrue(all(new >= old for new, old in zip(counts, before[name])))
                    before[name] = counts
            self.assertEqual(server.metric("venue_link_up", venue="sim"), 1)
            published = sum(server.metric(name, thread="ingest") for name in (
                "published_books_total", "published_trades_total", "published_tickers_total"))
            self.assertGreaterEqual(published, before["ingest_to_publish"][-1])


kit.main()
