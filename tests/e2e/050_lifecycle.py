"""Start, stop and misuse: the command line, ports and regions that are taken, SIGTERM, and what the
HTTP listener tells about it."""

import asyncio
import contextlib
import os
import selectors
import re
import signal
import threading
import socket
import struct
import time
import unittest

import kit
import raw
from client import Client
from raw import RawClient

SIM = ("--venue", "sim:seed=5,instruments=3,updates_per_s=20,trades_per_s=5",
       "--instruments-max", "16")

SERIES = r'^[a-z_][a-z0-9_]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+$'


class CommandLine(unittest.TestCase):
    def refused(self, *arguments):
        """What is said on stderr; exit code 2, nothing on stdout."""
        process = kit.run(*arguments)
        self.assertEqual(process.process.returncode, 2, arguments)
        self.assertEqual(process.stdout(), "")
        return process.stderr()

    def test_without_arguments_usage_is_printed_and_the_code_is_2(self):
        text = self.refused()
        for word in ("usage: tickfan", "serve", "ingest", "tap"):
            self.assertIn(word, text)

    def test_help_and_version_go_to_stdout_with_code_0(self):
        for arguments, pattern in (
                (["--help"], "usage: tickfan"), (["--version"], r"tickfan \d+\.\d+"),
                (["serve", "--help"], "--image-depth"), (["tap", "--help"], "--from")):
            process = kit.run(*arguments)
            self.assertEqual(process.process.returncode, 0)
            self.assertRegex(process.stdout(), pattern)
            self.assertEqual(process.stderr(), "")

    def test_every_flag_in_help_has_its_default(self):
        for command in ("serve", "ingest", "tap"):
            text = kit.run(command, "--help").stdout()
            flags = [line for line in text.splitlines() if line.startswith("  --")
                     and not line.startswith("  --venue")]
            self.assertGreater(len(flags), 5)
            for line in flags:
                self.assertRegex(line, r"\(default .+\)$")

    def test_nonsense_is_named(self):
        for arguments, word in (
                (["nonsense"], "nonsense"), (["serve", "--nonsense", "1"], "--nonsense"),
                (["serve", "nonsense"], "nonsense"), (["serve", "--region"], "--region"),
                (["serve", "--ring-mib", "0"], "--ring-mib"),
                (["serve", "--ring-mib", "x"], "--ring-mib"),
                (["tap", "--listen", "1:1"], "--listen"), (["tap", "--format", "xml"], "xml"),
                (["serve", "--log-level", "loud"], "loud")):
            self.assertIn(word, self.refused(*arguments), arguments)

    def started_wrongly(self, *arguments):
        """Exit code and last line of a server that must not come up."""
        region = kit.region_name()
        quiet = [word for pair in (("--listen", "127.0.0.1:0"), ("--http", "off"))
                 for word in pair if pair[0] not in arguments]
        process = kit.Process("serve", "--region", region, *quiet, *arguments, region=region)
        with process:
            code = process.wait()
        self.assertFalse(os.path.exists(kit.region_path(region)), arguments)
        self.assertEqual(process.stdout(), "")
        return code, process.stderr()

    def test_a_venue_that_cannot_be_is_named_and_leaves_no_region(self):
        for venue, word in (("nowhere", "nowhere"), ("replay:nowhere:/dev/null", "nowhere"),
                            ("sim:colour=red", "colour"), ("sim:instruments=0", "instruments"),
                            ("replay:coinbase:/nowhere/file:speed=fast", "speed=fast")):
            code, text = self.started_wrongly("--venue", venue)
            self.assertEqual(code, 2, venue)
            self.assertIn(word, text)

    def test_a_recording_that_is_not_there_is_named(self):
        code, text = self.started_wrongly("--venue", "replay:coinbase:/nowhere/file.ndjson")
        self.assertEqual(code, 2)
        self.assertIn("/nowhere/file.ndjson", text)
        self.assertIn("No such file", text)

    def test_no_venue_says_what_to_do(self):
        code, text = self.started_wrongly()
        self.assertEqual(code, 2)
        self.assertIn("--venue", text)

    def test_an_address_that_is_none_is_named(self):
        code, text = self.started_wrongly(*SIM, "--listen", "nowhere:x")
        self.assertEqual(code, 2)
        self.assertIn("nowhere:x", text)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            for flag in ("--listen", "--http"):
                code, text = self.started_wrongly(*SIM, flag, address)
                self.assertEqual(code, 1, flag)
                self.assertIn(address, text)

    def test_tap_of_no_region_says_so(self):
        process = kit.run("tap", "--region", "e2e-nothing-here")
        self.assertNotEqual(process.process.returncode, 0)
        self.assertIn("e2e-nothing-here", process.stderr())


class Regions(unittest.TestCase):
    def test_a_region_has_one_writer_and_the_second_is_told_its_pid(self):
        with kit.ingest(*SIM) as first:
            first.find("event=ready", first.stderr)
            second = kit.Process("ingest", "--region", first.region, "--http", "off", *SIM)
            with second:
                self.assertEqual(second.wait(), 1)
            self.assertIn(str(first.pid), second.stderr())
            self.assertIn(first.region, second.stderr())
            self.assertTrue(os.path.exists(kit.region_path(first.region)))
            self.assertEqual(first.terminate()[0], 0)
            self.assertFalse(os.path.exists(kit.region_path(first.region)))

    def test_a_region_whose_writer_was_killed_is_taken_over(self):
        region = kit.region_name()
        with kit.ingest(*SIM, region=region) as first:
            first.find("event=ready", first.stderr)
            first.process.send_signal(signal.SIGKILL)
            first.wait()
            self.assertTrue(os.path.exists(kit.region_path(region)))
            with kit.ingest(*SIM, region=region) as second:
                second.find("event=ready", second.stderr)
                self.assertEqual(second.terminate()[0], 0)
            self.assertFalse(os.path.exists(kit.region_path(region)))

    def test_tap_is_not_held_up_by_an_entry_that_a_killed_writer_left_half_written(self):
        region = kit.region_name()
        with kit.ingest(*SIM, region=region) as writer:
            writer.find("event=ready", writer.stderr)
            writer.process.send_signal(signal.SIGKILL)
            writer.wait()
            with open(kit.region_path(region), "r+b") as file:
                file.seek(80)  # tf_region_header_t.instruments_offset
                first, = struct.unpack("<Q", file.read(8))
                file.seek(first)  # the seqlock of the first instrument: odd = being written
                file.write(struct.pack("<Q", 1))
            with kit.Process("tap", "--region", region, "--from", "start",
                             "--lost-ms", "100") as tap:
                self.assertEqual(tap.wait(10), 1)
                self.assertIn("ingest_lost", tap.stderr())
            os.unlink(kit.region_path(region))

    def test_tap_follows_what_a_server_publishes_and_ends_with_it(self):
        with kit.serve(*SIM) as server:
            server.ws_url()
            with kit.Process("tap", "--region", server.region, *kit.PATIENT) as tap:
                tap.find(r"^trade venue=sim symbol=\S+ seq=\d+ ")
                self.assertEqual(server.terminate()[0], 0)
                self.assertEqual(tap.wait(), 0)


class Shutdown(unittest.TestCase):
    def test_sigterm_and_sigint_say_1001_to_every_client_and_end_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with kit.serve(*SIM) as server:
                asyncio.run(self.clients_see_1001(server, number))
                self.assertEqual(server.wait(5), 0)
                self.assertFalse(os.path.exists(kit.region_path(server.region)))

    async def clients_see_1001(self, server, number):
        clients = [await Client().connect(server.ws_url()) for _ in range(10)]
        for client in clients[1:]:
            await client.subscribe("book.sim.BTC-USD.10.raw", "trades.sim.ETH-USD.raw")
        server.process.send_signal(number)
        self.assertEqual([await client.until_closed() for client in clients], [1001] * 10)

    def test_clients_that_do_not_answer_are_cut_in_time(self):
        with kit.serve(*SIM, "--drain-ms", "500", "--linger-ms", "60000") as server:
            with RawClient(server.port()) as silent, RawClient(server.port()) as half:
                silent.open()
                half.send(b"GET /v1/ws")
                code, seconds = server.terminate()
                self.assertEqual(silent.closed_with(), 1001)
            self.assertEqual(code, 0)
            self.assertLess(seconds, 5)

    def test_hundreds_of_busy_clients_do_not_hold_up_the_end(self):
        busy = "sim:instruments=1,updates_per_s=500,trades_per_s=0,burst_every_s=0"
        subscribe = {"id": 1, "method": "subscribe",
                     "params": {"channels": ["book.sim.BTC-USD.10.raw"]}}
        with kit.serve("--venue", busy) as server, contextlib.ExitStack() as stack:
            sockets = selectors.DefaultSelector()
            for _ in range(1000):
                client = stack.enter_context(RawClient(server.port()))
                client.open()
                client.say(subscribe)
                sockets.register(client.socket, selectors.EVENT_READ)
            reader = threading.Thread(target=self.read_until_closed, args=(sockets,))
            reader.start()
            code, seconds = server.terminate(10)
            reader.join()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 5)

    @staticmethod
    def read_until_closed(sockets):
        """Read everything; hang up at the server's goodbye, without an answer."""
        while sockets.get_map():
            for key, _ in sockets.select(kit.WAIT_S):
                try:
                    data = key.fileobj.recv(65536)
                except ConnectionError:
                    data = b""
                if not data or b"shutting down" in data:
                    sockets.unregister(key.fileobj)
                    key.fileobj.close()

    def test_while_draining_no_new_client_is_taken_and_readyz_says_503(self):
        with kit.serve(*SIM, "--drain-ms", "2000", "--linger-ms", "60000") as server:
            with RawClient(server.port()) as client:
                client.open()
                self.wait_ready(server)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(client.closed_with(), 1001)
                self.assertEqual(server.get("/readyz")[0], 503)
                with self.assertRaises((raw.Ended, ConnectionError)):
                    with RawClient(server.port()) as late:
                        late.send(raw.upgrade())
                        late.head()
                client.send(raw.frame(raw.CLOSE, b"\x03\xe9"))
                self.assertEqual(server.wait(5), 0)

    @staticmethod
    def wait_ready(server):
        while server.get("/readyz")[0] != 200:
            pass


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = kit.serve(*SIM)
        try:
            Shutdown.wait_ready(cls.server)
        except BaseException as error:
            cls.server.__exit__(type(error), error, None)
            raise

    @classmethod
    def tearDownClass(cls):
        with cls.server:
            assert cls.server.terminate()[0] == 0

    def test_health_and_readiness(self):
        self.assertEqual(self.server.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.server.get("/readyz")[0], 200)

    def test_other_paths_and_methods_are_refused(self):
        self.assertEqual(self.server.get("/nothing")[0], 404)
        host, port = self.server.http_url()[7:].split(":")
        with socket.create_connection((host, int(port)), kit.WAIT_S) as sock:
            sock.sendall(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            self.assertRegex(sock.recv(100).decode(), r"^HTTP/1\.1 405")

    def test_metrics_are_prometheus_text(self):
        status, text = self.server.get("/metrics")
        self.assertEqual(status, 200)
        typed = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split()[2:]
                self.assertNotIn(name, typed, "two TYPE lines")
                typed[name] = kind
            elif not line.startswith("#"):
                self.assertRegex(line, SERIES)
                name = re.split(r"[{ ]", line)[0]
                family = re.sub(r"_(bucket|sum|count)$", "", name)
                name = family if typed.get(family) == "histogram" else name
                self.assertIn(name, typed)
                self.assertEqual(typed[name] == "counter", name.endswith("_total"), name)

    def test_counters_of_both_threads_move_with_what_happens(self):
        before = self.server.metric("upgrades_total")
        with RawClient(self.server.port()) as client:
            client.open()
            self.assertEqual(client.call("ping")["result"], "pong")
            self.assertEqual(self.server.metric("upgrades_total"), before + 1)
            self.assertEqual(self.server.metric("connections"), 1)
            self.assertGreaterEqual(self.server.metric("requests_total"), 1)
        self.assertGreater(self.server.metric("published_books_total", thread="ingest"), 0)

    def test_counters_are_shown_of_the_threads_that_move_them(self):
        values = self.server.metrics()
        for name, thread, shown in (("connections", "ingest", False),
                                    ("connections", "fanout-0", True),
                                    ("published_books_total", "ingest", True),
                                    ("published_books_total", "fanout-0", False),
                                    ("bell_guests", "bells", True),
                                    ("memory_refused_total", "ingest", True),
                                    ("memory_refused_total", "fanout-0", True),
                                    ("memory_refused_total", "bells", False)):
            series = 'tickfan_%s{thread="%s"}' % (name, thread)
            self.assertEqual(series in values, shown, series)

    def test_the_process_has_the_usual_figures(self):
        values = self.server.metrics()
        with open("/proc/%d/limits" % self.server.pid, encoding="ascii") as file:
            soft = re.search(r"Max open files +(\d+)", file.read()).group(1)
        self.assertEqual(values["process_max_fds"], int(soft))
        self.assertGreater(values["process_open_fds"], 5)
        self.assertGreater(values["process_resident_memory_bytes"], 1e6)
        self.assertGreater(values["process_cpu_seconds_total"], 0)
        self.assertLess(abs(values["process_start_time_seconds"] - time.time()), 600)

    def test_a_closed_connection_is_counted_with_its_reason(self):
        with RawClient(self.server.port()) as client:
            client.open()
            client.send(raw.frame(raw.BINARY, b"x"))
            self.assertEqual(client.closed_with(), 1003)
        self.assertEqual(self.server.metric("closes_total", code="1003"), 1)


class NotReady(unittest.TestCase):
    def test_without_a_live_market_readyz_is_503_and_healthz_200(self):
        path = kit.scratch_file("empty.ndjson")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"type":"subscriptions","channels":[]}\n'
                       '{"type":"heartbeat","last_trade_id":1,"product_id":"AAA-USD",'
                       '"sequence":1,"time":"2026-01-01T00:00:00.000000Z"}\n')
        with kit.serve("--venue", kit.replay(path)) as server:
            self.assertEqual(server.get("/readyz")[0], 503)
            self.assertEqual(server.get("/healthz")[0], 200)
            self.assertEqual(server.terminate()[0], 0)


if __name__ == "__main__":
    kit.main()
