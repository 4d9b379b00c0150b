"""A WebSocket client that can do everything wrong: bytes on a socket."""

import base64
import json
import os
import socket
import struct
import time

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAIT_S = 30

entropy = os.urandom  # of masks and keys; a test that repeats itself puts its generator here


def frame(opcode, payload=b"", fin=True, masked=True, rsv=0):
    """One frame as bytes."""
    length = len(payload)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    mask = entropy(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def upgrade(path="/v1/ws", method="GET", version="13", key=True, extra=()):
    """The text of an upgrade request."""
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: localhost", "Upgrade: websocket",
             "Connection: Upgrade", "Sec-WebSocket-Version: " + version]
    if key:
        lines.append("Sec-WebSocket-Key: " + base64.b64encode(entropy(16)).decode())
    return ("\r\n".join([*lines, *extra]) + "\r\n\r\n").encode()


class Ended(Exception):
    """The server ended the connection."""


class RawClient:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.texts = []  # notifications met while waiting for something else

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def throw(self, data):
        """Send what the server still takes; it may have closed already."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def drip(self, data):
        """One byte at a time."""
        for i in range(len(data)):
            self.throw(data[i:i + 1])
            time.sleep(0.0002)

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Ended()
        self.received += data

    def _take(self, count):
        while len(self.received) < count:
            self._receive()
        data, self.received = self.received[:count], self.received[count:]
        return data

    def head(self):
        """(status, headers in lower case) of the HTTP response."""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        text, self.received = self.received.split(b"\r\n\r\n", 1)
        first, *lines = text.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in headers.items()}

    def open(self, **options):
        """Handshake; the hello's params."""
        self.send(upgrade(**options))
        status, _ = self.head()
        assert status == 101, status
        opcode, payload = self.frame()
        hello = json.loads(payload)
        assert opcode == TEXT and hello["method"] == "hello", hello
        return hello["params"]

    def frame(self):
        """The next frame: (opcode, payload). The server never masks and never fragments."""
        first, second = self._take(2)
        assert first & 0x80 and not first & 0x70 and not second & 0x80, (first, second)
        length = second
        if length == 126:
            length, = struct.unpack(">H", self._take(2))
        elif length == 127:
            length, = struct.unpack(">Q", self._take(8))
        return first & 0x0F, self._take(length)

    def answer(self, opcode=TEXT):
        """The next frame that is no notification and no ping."""
        while True:
            got, payload = self.frame()
            if got == TEXT and b'"method"' in payload[:60]:
                self.texts.append(json.loads(payload))
            elif got != PING or opcode == PING:
                assert got == opcode, (got, payload)
                return payload

    def closed_with(self):
        """The code of the server's close frame, after whatever comes before it."""
        payload = self.answer(CLOSE)
        return struct.unpack(">H", payload[:2])[0]

    def ended(self):
        """Does the server end the connection, with nothing more to say?"""
        try:
            while True:
                self._receive()
        except Ended:
            return True

    def say(self, value):
        """Send a JSON value, or text as it is."""
        self.send(frame(TEXT, (value if isinstance(value, str) else json.dumps(value)).encode()))

    def ask(self, value):
        """Send, and the reply's JSON value."""
        self.say(value)
        return json.loads(self.answer())

    def call(self, method, **params):
        return self.ask({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
