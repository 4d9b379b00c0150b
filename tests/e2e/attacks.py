"""What clients must not send, by the answer it gets: frames, requests, names, handshakes."""

import json
import struct

import raw
from raw import frame

LIMIT = 65536  # bytes of a message
PING = b'{"id":1,"method":"ping"}'
FULL = "book.sim.BTC-USD.full.raw"


def head(opcode, width, length):
    """The head of a masked frame with its length in 2 or 8 bytes, right or wrong."""
    first = bytes([0x80 | opcode])
    if width == 2:
        return first + b"\xfe" + struct.pack(">H", length) + b"\0\0\0\0"
    return first + b"\xff" + struct.pack(">Q", length) + b"\0\0\0\0"


def close(code, reason=b""):
    return frame(raw.CLOSE, struct.pack(">H", code) + reason)


def text(data, fin=True):
    return frame(raw.TEXT, data, fin=fin)


def more(data, fin=True):
    return frame(0, data, fin=fin)


BROKEN = [
    *(frame(opcode, PING, rsv=rsv) for rsv in (1, 2, 4, 7) for opcode in (raw.TEXT, raw.PING)),
    *(frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    # lengths that are not in their shortest form, or with the top bit set
    head(raw.TEXT, 2, 0), head(raw.TEXT, 2, 125), head(raw.TEXT, 8, 125), head(raw.TEXT, 8, 65535),
    head(raw.TEXT, 8, 1 << 63), head(raw.BINARY, 8, (1 << 64) - 1),
    # control frames that are fragmented or long
    *(frame(opcode, b"", fin=False) for opcode in (raw.CLOSE, raw.PING, raw.PONG)),
    *(head(opcode, 2, 126) for opcode in (raw.CLOSE, raw.PING, raw.PONG)), head(raw.PING, 8, 65536),
    # out of sequence
    more(b"x"), more(b"x", fin=False), text(b"{", fin=False) + text(b"}"),
    text(b"{", fin=False) + frame(raw.BINARY, b"}"),
    # not masked
    *(frame(opcode, b"{}", masked=False) for opcode in (raw.TEXT, raw.BINARY, raw.PING, raw.PONG)),
    frame(raw.CLOSE, struct.pack(">H", 1000), masked=False),
    text(b"{", fin=False) + frame(0, b"}", masked=False),
    # close frames
    frame(raw.CLOSE, b"x"),
    *(close(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000,
                               65535)),
]

TOO_BIG = [
    head(raw.TEXT, 8, LIMIT + 1), head(raw.BINARY, 8, LIMIT + 1), head(raw.TEXT, 8, 1 << 40),
    head(raw.TEXT, 8, (1 << 63) - 1), text(b" " * (LIMIT + 1)), text(b" " * (16 * LIMIT)),
    text(b" " * LIMIT, fin=False) + more(b" "), text(b" ", fin=False) + head(0, 8, LIMIT),
    text(b" " * 1000, fin=False) + more(b" " * 1000, fin=False) * 65,
    text(b"", fin=False) + more(b" ", fin=False) * (LIMIT + 1),
]

NOT_UTF8 = [
    *(text(data) for data in (b"\xff", b"\xfe{}", b"\x80", b"\xc0\x80", b"\xc1\xbf",
                              b"\xe0\x80\x80",
                              b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80",
                              b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe2\x82",
                              b"\xf0\x9f\x98",
                              b'{"x":"\xe2\x28\xa1"}')),
    # split within the character, and told before the message ends
    text(b"\xe2", fin=False) + more(b"\x82", fin=False) + more(b"\x28", fin=False),
    text(b"\xed", fin=False) + more(b"\xa0", fin=False),
    text(b"\xf4", fin=False) + frame(raw.PONG, b"\xff") + more(b"\x90", fin=False),
    text(b"\xe2\x82", fin=False) + more(b""), text(b"\xf0", fin=False) + more(b"\x9f\x98"),
    close(1000, b"\xff"), close(4000, b"fair\xe2\x82"),
]

DEEP = 60000

ERRORS = {
    -32700: [
        "", " ", "{", "}", "[", "[1,", "nul", "tru", "-", "01", "1.", ".5", "1e", "+1", "'a'", '"a',
        '"\\x"', '"\\u12"', '"\\ud800"', '"\t"', '{"id":1,}', "[1,]", '{"id" 1}', "{id:1}",
        '{"id":1,"id":2,"method":"ping"}', '{"id":1,"method":"ping"}{"id":2,"method":"ping"}',
        '{"id":1,"method":"ping"} \x00', "/**/1", "NaN", "Infinity", "\ufeff{}", "\x00",
        "[" * DEEP, "[" * (DEEP // 2) + "]" * (DEEP // 2), '{"a":' * (DEEP // 5),
    ],
    -32600: [
        "[]", "1", "null", "true", '"ping"', "{}", '{"id":1}', '{"id":1,"method":null}',
        '{"id":1,"method":["ping"]}', '{"id":{},"method":"ping"}', '{"id":[],"method":"ping"}',
        '{"id":true,"method":"ping"}', '{"jsonrpc":"1.0","id":1,"method":"ping"}',
        '{"jsonrpc":2.0,"id":1,"method":"ping"}', '{"id":1,"method":"subscribe","params":7}',
        json.dumps([{"id": 1, "method": "ping"}] * 33), "[" + ",".join(["1"] * 5000) + "]",
    ],
    -32601: [
        '{"id":1,"method":""}', '{"id":1,"method":"PING"}', '{"id":1,"method":"ping\\u0000"}',
        '{"id":1,"method":"%s"}' % ("m" * 10000), '{"id":1,"method":"set_heartbeats"}',
    ],
    -32602: [
        '{"id":1,"method":"subscribe"}', '{"id":1,"method":"subscribe","params":[]}',
        '{"id":1,"method":"subscribe","params":{}}',
        *('{"id":1,"method":"subscribe","params":{"channels":%s}}' % value for value in (
            "null", "7", '"book.sim.BTC-USD"', "[]", "[7]", "[null]", "[[]]",
            '["%s"]' % FULL + ',"rate":"5s"', '["%s"]' % FULL + ',"depth":-1',
            '["%s"]' % FULL + ',"depth":1e99', '["%s"]' % FULL + ',"resume":7',
            json.dumps([""] * 4097))),
        '{"id":1,"method":"unsubscribe","params":{}}', '{"id":1,"method":"get_snapshot"}',
        '{"id":1,"method":"get_snapshot","params":{"channel":7}}',
        '{"id":1,"method":"get_instruments","params":{"venue":7}}',
    ],
    2002: ['{"id":1,"method":"get_instruments","params":{"venue":"%s"}}' % venue
           for venue in ("nowhere", "SIM", "sim\\u0000", "v" * 10000)],
    2006: ['{"id":1,"method":"subscribe","params":{"channels":["%s"],"lag":"disconnect"}}' % FULL],
}

CHANNELS = {
    2001: ["", ".", "BOOK.sim.BTC-USD", "candle.sim.BTC-USD", "bookk.sim.BTC-USD", "\u00e4",
           "x" * 5000, "book\u0000.sim.BTC-USD"],
    2002: ["book", "book.", "book..BTC-USD", "book.SIM.BTC-USD", "book.nowhere.BTC-USD",
           "book.%s.BTC-USD" % ("v" * 5000), "book.sim\u0000.BTC-USD"],
    2003: ["book.sim", "book.sim.", "book.sim.btc-usd", "book.sim.ZZZ-USD",
           "book.sim.BTC-USD\u0000",
           "book.sim.%s" % ("S" * 5000), "book.sim.../../etc/passwd"],
    2004: ["book.sim.*"],
    2006: [FULL + ".", FULL + ".x", "book.sim.BTC-USD.0", "book.sim.BTC-USD.-1",
           "book.sim.BTC-USD.10.", "book.sim.BTC-USD.10.5s", "trades.sim.BTC-USD.1s",
           "bbo.sim.BTC-USD.10.raw", "book.sim.BTC-USD.99999999999999999999"],
}

GET = b"GET /v1/ws HTTP/1.1\r\n"
REST = raw.upgrade()[len(GET):]

BAD_HEADS = {
    400: [
        GET[:-2] + b"\n" + REST, GET + b"Host: a\r\n" + REST, GET + b" folded: 1\r\n" + REST,
        GET + b"X\0: 1\r\n" + REST, GET + b"X: \x01\r\n" + REST, GET + b"no colon\r\n" + REST,
        GET + b": 1\r\n" + REST, b"\r\n" * 4,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # a TLS hello
        GET + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + REST,
        raw.upgrade(path=""), raw.upgrade(path="v1/ws"), raw.upgrade(key=False),
        raw.upgrade(key=False, extra=["Sec-WebSocket-Key: short"]),
        raw.upgrade(extra=["Content-Length: 5"]) + b"hello",
    ],
    404: [raw.upgrade(path="/"), raw.upgrade(path="/v1/ws/"), raw.upgrade(path="/v1/../v1/ws")],
    405: [raw.upgrade(method="POST"), raw.upgrade(method="get")],
    426: [raw.upgrade(version="12"), raw.upgrade(version="")],
    431: [
        GET + b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(10000)) + REST,
        GET + b"A: %s\r\n" % (b"x" * 100000) + REST, b"GET /" + b"x" * 100000,
        GET + b"A: 1\r\n" * 65 + REST,
    ],
    505: [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GET.replace(b"1.1", b"1.0") + REST],
}
