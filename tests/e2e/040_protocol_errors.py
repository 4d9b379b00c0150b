"""What clients can get wrong, and what the protocol promises for each case: error codes, HTTP
statuses, close codes, time-outs. Whoever else is connected must not notice."""

import asyncio
import json
import struct
import threading
import unittest
import zlib

import kit
import raw
from client import Client
from raw import RawClient, frame

BOOK = "book.coinbase.AAA-USD"

# A market that stands still: live for an hour, without trades, without a ticker.
RECORDING = [
    {"type": "snapshot", "product_id": "AAA-USD", "time": "2026-01-01T00:00:00.000000Z",
     "asks": [["10.01", "1.00000000"], ["10.03", "5.50000000"]],
     "bids": [["10.00", "2.00000000"]]},
    {"type": "l2update", "product_id": "AAA-USD", "time": "2026-01-01T01:00:00.000000Z",
     "changes": [["buy", "10.00", "3.00000000"]]},
]
# What cs of its book is the CRC of, written by hand.
CHECKSUM_TEXT = b"10.00:2.00000000:10.01:1.00000000:10.03:5.50000000"


class Watcher:
    """A strict client of a busy market, in a thread of its own."""

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.client = Client()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.channels = self.run(self._start(url))

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(kit.WAIT_S)

    async def _start(self, url):
        await self.client.connect(url)
        return await self.client.subscribe("book.sim.BTC-USD.10.raw", "trades.sim.BTC-USD.raw")

    async def _stop(self):
        seqs = [channel.seq or 0 for channel in self.channels]
        await self.client.until(lambda: all(c.seq > seq for c, seq in zip(self.channels, seqs)))
        await self.client.close()

    def stop(self):
        """It must still be served, and must have missed nothing."""
        try:
            self.run(self._stop())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
        assert not self.client.counts.get("lag") and not self.client.counts.get("gap")
        assert all(channel.counts["snapshot"] == 1 for channel in self.channels)


class ServerCase(unittest.TestCase):
    """One server for a class of tests, and a watcher beside all of them."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        path = kit.scratch_file("still.ndjson")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in RECORDING)
        cls.server = kit.serve("--venue", kit.replay(path), "--venue",
                               "sim:seed=4,instruments=1,updates_per_s=50,trades_per_s=20",
                               "--instruments-max", "16", *cls.flags)
        try:
            cls.port = cls.server.port()
            cls.wait_for_markets()
            cls.watcher = Watcher(cls.server.ws_url())
        except BaseException as error:
            cls.server.__exit__(type(error), error, None)
            raise

    @classmethod
    def wait_for_markets(cls):
        with RawClient(cls.port) as client:
            client.open()
            while "error" in client.call("get_snapshot", channel="book.coinbase.AAA-USD"):
                pass

    @classmethod
    def tearDownClass(cls):
        with cls.server:
            cls.watcher.stop()
            assert cls.server.terminate()[0] == 0, cls.server.stderr()

    def client(self, **options):
        client = RawClient(self.port)
        self.addCleanup(client.socket.close)
        client.open(**options)
        return client


class Requests(ServerCase):
    flags = ("--subscriptions-max", "6", "--requests-per-s", "1000000",
             "--requests-burst", "1000000")

    def error_of(self, request):
        reply = self.client().ask(request)
        self.assertNotIn("result", reply)
        return reply["error"]["code"]

    def test_hello_is_first_and_tells_limits_and_venues(self):
        with RawClient(self.port) as client:
            hello = client.open()
        self.assertEqual(hello["limits"]["message_bytes"], 65536)
        self.assertEqual(hello["limits"]["subscriptions"], 6)
        venues = {venue["venue"]: venue for venue in hello["venues"]}
        self.assertEqual(sorted(venues), ["coinbase", "sim"])
        self.assertEqual(venues["coinbase"]["state"], "live")
        self.assertTrue(venues["coinbase"]["epoch"])

    def test_bad_channels_fail_one_by_one_and_good_ones_are_subscribed(self):
        codes = {
            "candle.coinbase.AAA-USD": 2001, "": 2001, "book": 2002, "book.nowhere.AAA-USD": 2002,
            "book.COINBASE.AAA-USD": 2002, "book.coinbase": 2003, "book.coinbase.ZZZ-USD": 2003,
            "book.coinbase.aaa-usd": 2003, "book.coinbase.*": 2004, BOOK + ".7": 2006,
            BOOK + ".10.5s": 2006, BOOK + ".10.raw.x": 2006, "trades.coinbase.AAA-USD.1s": 2006,
            "bbo.coinbase.AAA-USD.10.raw": 2006}
        good = [BOOK, "bbo.coinbase.AAA-USD"]
        result = self.client().call("subscribe", channels=[good[0], *codes, good[1]])["result"]
        self.assertEqual({f["channel"]: f["code"] for f in result["failed"]}, codes)
        self.assertTrue(all(f["message"] and isinstance(f["retryable"], bool)
                            for f in result["failed"]))
        self.assertEqual([entry["channel"] for entry in result["subscribed"]],
                         [BOOK + ".10.100ms", "bbo.coinbase.AAA-USD.raw"])

    def test_more_subscriptions_than_allowed_are_2005(self):
        names = ["%s.%s" % (BOOK, depth) for depth in (1, 10, 25, 50, 200, 1000, "full")]
        result = self.client().call("subscribe", channels=names)["result"]
        self.assertEqual(len(result["subscribed"]), 6)
        self.assertEqual([(f["channel"], f["code"]) for f in result["failed"]], [(names[6], 2005)])

    def test_text_that_is_not_json_is_32700(self):
        for text in ("{", "nonsense", '{"id":1,"id":2,"method":"ping"}', '{"id":1} x'):
            self.assertEqual(self.error_of(text), -32700, text)

    def test_json_that_is_no_request_is_32600(self):
        for request in ([], 7, "ping", {"id": 1}, {"id": 1, "method": 5},
                        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
                        {"jsonrpc": "2.0", "id": {}, "method": "ping"}):
            self.assertEqual(self.error_of(json.dumps(request)), -32600, request)

    def test_an_error_that_has_no_id_answers_with_null(self):
        self.assertIsNone(self.client().ask("{")["id"])

    def test_unknown_methods_are_32601(self):
        self.assertEqual(self.error_of({"id": 1, "method": "subscrib"}), -32601)

    def test_wrong_params_are_32602_and_say_which(self):
        for params, word in (({}, "channels"), ({"channels": []}, "channels"),
                             ({"channels": BOOK}, "channels"), ({"channels": [1]}, "channels"),
                             ({"channels": [BOOK], "rate": "5s"}, "rate"),
                             ({"channels": [BOOK], "depth": 7}, "depth"),
                             ({"channels": [BOOK], "resume": []}, "resume"), ([BOOK], "params")):
            error = self.client().ask({"id": 1, "method": "subscribe", "params": params})["error"]
            self.assertEqual(error["code"], -32602, params)
            self.assertIn(word, error["data"]["reason"], params)

    def test_an_option_that_is_not_offered_is_2006(self):
        self.assertEqual(self.error_of({"id": 1, "method": "subscribe", "params": {
            "channels": [BOOK], "lag": "disconnect"}}), 2006)

    def test_a_missing_version_is_tolerated_and_ids_come_back_as_they_were(self):
        client = self.client()
        for identifier in (1, "a", -5, "\u00e4"):
            reply = client.ask({"id": identifier, "method": "ping"})
            self.assertEqual((reply["id"], reply["jsonrpc"]), (identifier, "2.0"))
            self.assertLessEqual(reply["us_in"], reply["us_out"])

    def test_a_batch_is_answered_by_a_batch_without_its_notifications(self):
        replies = self.client().ask([{"id": 1, "method": "ping"}, {"method": "ping"},
                                     {"id": 2, "method": "nothing"}, 5])
        self.assertEqual([r["id"] for r in replies], [1, 2, None])
        self.assertEqual([r.get("error", {}).get("code") for r in replies], [None, -32601, -32600])

    def test_notifications_are_not_answered_but_acted_on(self):
        client = self.client()
        client.say([{"method": "ping"}, {"method": "ping"}])
        client.say({"method": "subscribe", "params": {"channels": [BOOK]}})
        self.assertEqual(client.call("ping")["result"], "pong")
        while not any(t["method"] == "subscription" for t in client.texts):
            client.call("ping")

    def test_a_batch_over_the_limit_is_32600(self):
        request = {"id": 1, "method": "ping"}
        self.assertEqual(len(self.client().ask([request] * 32)), 32)
        self.assertEqual(self.error_of(json.dumps([request] * 33)), -32600)

    def test_subscribing_twice_tells_the_position_and_sends_no_second_snapshot(self):
        client = self.client()
        first, = client.call("subscribe", channels=[BOOK])["result"]["subscribed"]
        again, = client.call("subscribe", channels=[BOOK + ".10"])["result"]["subscribed"]
        self.assertEqual(first, again)
        for _ in range(20):
            client.call("ping")
        snapshots = [t["params"] for t in client.texts if t["method"] == "subscription"]
        self.assertEqual([s["type"] for s in snapshots], ["snapshot"])

    def test_after_unsubscribe_nothing_comes(self):
        client = self.client()
        name = "book.sim.BTC-USD.10.raw"
        client.call("subscribe", channels=[name])
        while len(client.texts) < 3:
            client.call("ping")
        self.assertEqual(client.call("unsubscribe", channels=[name])["result"],
                         {"unsubscribed": [name], "failed": []})
        del client.texts[:]
        before = self.watcher.channels[0].seq
        while self.watcher.channels[0].seq < before + 10:
            client.call("ping")
        self.assertEqual(client.texts, [])

    def test_unsubscribing_what_is_not_subscribed_is_no_error(self):
        result = self.client().call("unsubscribe", channels=[BOOK, "book.nowhere.A-B"])["result"]
        self.assertEqual(result["unsubscribed"], [BOOK + ".10.100ms"])
        self.assertEqual([f["code"] for f in result["failed"]], [2002])

    def test_rate_and_depth_beside_the_names_fill_in_what_these_omit(self):
        client = self.client()
        result = client.call("subscribe", rate="1s", depth=25, channels=[
            BOOK, BOOK + ".1", BOOK + ".raw", "trades.coinbase.AAA-USD"])["result"]
        self.assertEqual([entry["channel"] for entry in result["subscribed"]], [
            BOOK + ".25.1s", BOOK + ".1.1s", BOOK + ".25.raw", "trades.coinbase.AAA-USD.raw"])

    def test_resume_is_refused_softly(self):
        result = self.client().call("subscribe", channels=[BOOK], resume={
            BOOK + ".10": {"epoch": "x", "seq": 3}})["result"]
        entry, = result["subscribed"]
        self.assertIs(entry["recovered"], False)
        self.assertIn(entry["code"], (4001, 4002))

    def test_instruments_are_listed(self):
        client = self.client()
        listed = client.call("get_instruments", venue="coinbase")["result"]["instruments"]
        self.assertEqual([(i["symbol"], i["venue_symbol"], i["base"], i["quote"]) for i in listed],
                         [("AAA-USD", "AAA-USD", "AAA", "USD")])
        self.assertEqual((listed[0]["px_dp"], listed[0]["sz_dp"]), (2, 8))
        self.assertEqual(len(client.call("get_instruments")["result"]["instruments"]), 2)
        self.assertEqual(client.call("get_instruments", venue="nowhere")["error"]["code"], 2002)

    def test_a_snapshot_on_request_is_what_the_stream_says(self):
        client = self.client()
        asked = client.call("get_snapshot", channel=BOOK)["result"]
        client.call("subscribe", channels=[BOOK])
        while not client.texts:
            client.call("ping")
        self.assertEqual(client.texts[0]["params"], asked)
        self.assertEqual(asked["cs"], zlib.crc32(CHECKSUM_TEXT))
        self.assertEqual(asked["data"], {"b": [["10.00", "2.00000000"]],
                                         "a": [["10.01", "1.00000000"], ["10.03", "5.50000000"]]})
        self.assertEqual((asked["state"], asked["prev"], asked["te"]),
                         ("live", None, 1767225600000000))

    def test_a_snapshot_of_what_was_never_received_is_4003(self):
        client = self.client()
        for channel, code in (("ticker.coinbase.AAA-USD", 4003), ("book.coinbase.ZZZ-USD", 2003),
                              ("book.nowhere.AAA-USD", 2002), ("x.coinbase.AAA-USD", 2001)):
            self.assertEqual(client.call("get_snapshot", channel=channel)["error"]["code"], code)

    def test_subscribing_to_what_was_never_received_succeeds_with_empty_data(self):
        client = self.client()
        client.call("subscribe", channels=["trades.coinbase.AAA-USD.raw"])
        while not client.texts:
            client.call("ping")
        first = client.texts[0]["params"]
        self.assertEqual((first["data"], first["seq"], first["te"]), ([], 0, None))


class Handshakes(ServerCase):
    flags = ("--handshake-ms", "500")

    def status(self, **options):
        with RawClient(self.port) as client:
            client.send(raw.upgrade(**options))
            return client.head()

    def test_the_json_protocol_is_chosen_where_it_is_offered(self):
        for offer in ("tickfan.v1.json", "other, tickfan.v1.json",
                      "tickfan.v1.msgpack,tickfan.v1.json"):
            status, headers = self.status(extra=["Sec-WebSocket-Protocol: " + offer])
            self.assertEqual((status, headers["sec-websocket-protocol"]), (101, "tickfan.v1.json"))

    def test_without_an_offer_the_query_or_the_default_decides(self):
        for path in ("/v1/ws", "/v1/ws?enc=json", "/v1/ws?x=1&enc=json"):
            status, headers = self.status(path=path)
            self.assertEqual(status, 101)
            self.assertNotIn("sec-websocket-protocol", headers)

    def test_an_encoding_that_is_not_offered_is_400(self):
        self.assertEqual(self.status(path="/v1/ws?enc=msgpack")[0], 400)
        self.assertEqual(self.status(extra=["Sec-WebSocket-Protocol: other"])[0], 400)

    def test_what_is_no_upgrade_gets_an_http_status(self):
        self.assertEqual(self.status(path="/v1/other")[0], 404)
        self.assertEqual(self.status(method="POST")[0], 405)
        self.assertEqual(self.status(version="8")[0], 426)
        self.assertEqual(self.status(key=False)[0], 400)
        with RawClient(self.port) as client:
            client.send(b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIn(client.head()[0], (400, 426))
            self.assertTrue(client.ended())

    def test_one_byte_at_a_time_is_enough(self):
        with RawClient(self.port) as client:
            client.drip(raw.upgrade())
            self.assertEqual(client.head()[0], 101)
            self.assertIn(b"hello", client.frame()[1])
            client.drip(frame(raw.TEXT, b'{"id":1,"method":"ping"}'))
            self.assertEqual(json.loads(client.answer())["result"], "pong")

    def test_a_handshake_that_does_not_end_is_cut(self):
        before = self.server.metric("upgrade_timeout_total")
        for start in (b"", b"GET /v1/ws HTTP/1.1\r\n"):
            with RawClient(self.port) as client:
                client.send(start)
                self.assertTrue(client.ended())
        self.assertEqual(self.server.metric("upgrade_timeout_total"), before + 2)


class Frames(ServerCase):
    def closed_after(self, data):
        return self.sent(data).closed_with()

    def sent(self, data):
        client = self.client()
        client.send(data)
        return client

    def test_a_ping_is_answered_with_its_payload(self):
        client = self.sent(frame(raw.PING, b"are you there?"))
        self.assertEqual(client.answer(raw.PONG), b"are you there?")

    def test_a_close_is_answered_and_the_connection_ended(self):
        for payload in (b"", struct.pack(">H", 1000),
                        struct.pack(">H", 4000) + "gr\u00fc\u00df".encode()):
            client = self.sent(frame(raw.CLOSE, payload))
            self.assertEqual(client.answer(raw.CLOSE), payload[:2])
            self.assertTrue(client.ended())

    def test_what_breaks_the_framing_is_closed_with_1002(self):
        for data in (frame(raw.TEXT, b"{}", masked=False), frame(3, b"x"), frame(11, b""),
                     frame(raw.TEXT, b"{}", rsv=4), frame(raw.PING, b"x" * 126),
                     frame(raw.PING, b"x", fin=False), frame(0, b"x"),
                     frame(raw.TEXT, b"x", fin=False) + frame(raw.TEXT, b"y"),
                     frame(raw.CLOSE, struct.pack(">H", 1005)), frame(raw.CLOSE, b"x")):
            self.assertEqual(self.closed_after(data), 1002, data)

    def test_a_binary_message_is_closed_with_1003(self):
        self.assertEqual(self.closed_after(frame(raw.BINARY, b"{}")), 1003)

    def test_text_that_is_not_utf8_is_closed_with_1007(self):
        for text in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82"):
            self.assertEqual(self.closed_after(frame(raw.TEXT, b'{"x":"' + text)), 1007, text)

    def test_a_message_over_the_limit_is_closed_with_1009(self):
        self.assertEqual(self.closed_after(frame(raw.TEXT, b" " * 65537)), 1009)
        pieces = frame(raw.TEXT, b" " * 40000, fin=False) + frame(0, b" " * 40000)
        self.assertEqual(self.closed_after(pieces), 1009)

    def test_a_message_at_the_limit_is_read(self):
        text = json.dumps({"id": 1, "method": "ping"})
        client = self.sent(frame(raw.TEXT, text.encode() + b" " * (65536 - len(text))))
        self.assertEqual(json.loads(client.answer())["result"], "pong")

    def test_fragments_with_a_ping_between_them_are_one_message(self):
        text = json.dumps({"id": "\u00e4", "method": "ping"}, ensure_ascii=False).encode()
        cut = text.index(b"\xc3") + 1  # inside a character
        client = self.sent(frame(raw.TEXT, text[:cut], fin=False) + frame(raw.PING, b"p")
                           + frame(0, b"", fin=False) + frame(0, text[cut:]))
        self.assertEqual(client.answer(raw.PONG), b"p")
        self.assertEqual(json.loads(client.answer())["id"], "\u00e4")

    def test_many_requests_in_one_packet_are_answered_in_order(self):
        data = b"".join(frame(raw.TEXT, json.dumps({"id": i, "method": "ping"}).encode())
                        for i in range(100))
        client = self.sent(data)
        self.assertEqual([json.loads(client.answer())["id"] for _ in range(100)], list(range(100)))

    def test_more_requests_than_the_limit_are_closed_with_4429(self):
        client = self.client()
        client.send(frame(raw.TEXT, b'{"id":1,"method":"ping"}') * 400)
        answers = 0
        while True:
            opcode, payload = client.frame()
            if opcode == raw.CLOSE:
                break
            answers += 1
        self.assertEqual(struct.unpack(">H", payload[:2])[0], 4429)
        self.assertGreaterEqual(answers, 200)

    def test_a_connection_that_just_ends_is_forgotten(self):
        before = self.server.metric("connections")
        for data in (b"", frame(raw.TEXT, b"{", fin=False), frame(raw.TEXT, b"x" * 100)[:50]):
            client = self.sent(data)
            client.socket.close()
        while self.server.metric("connections") > before:
            pass


class Pings(ServerCase):
    flags = ("--ping-ms", "200", "--pong-timeout-ms", "800")

    def test_a_client_that_answers_no_ping_is_closed_with_1008(self):
        client = self.client()
        self.assertEqual(client.answer(raw.PING), b"")
        self.assertEqual(client.closed_with(), 1008)

    def test_a_client_that_answers_stays(self):
        client = self.client()
        for _ in range(8):
            client.send(frame(raw.PONG, client.answer(raw.PING)))
        self.assertEqual(client.call("ping")["result"], "pong")


if __name__ == "__main__":
    kit.main()
