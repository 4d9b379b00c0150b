"""The live page in a real browser, at the size of a desk and of a phone: what it shows, that it
never shows as live what is not, and what it asks of the server. 100_page.mjs drives the browser;
this side runs the server, and stops and starts it when asked.

Needs chromium, node and playwright-core (PLAYWRIGHT_CORE, else build/npm/node_modules, where
`./dev test` puts it). Screenshots go to build/screenshots/.
"""

import json
import os
import shutil
import subprocess
import threading
import unittest

import kit

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
MARKETS = 300
DRIVER_S = 150


def at(second):
    return "2026-01-01T00:00:%02d.000000Z" % second


def match(kind, number):
    return {"type": kind, "trade_id": number, "product_id": "OLD-USD", "side": "buy",
            "size": "0.50", "price": "10.01", "sequence": 1000 + number, "time": at(0)}


# A venue that says little, and then is gone.
RECORDING = [
    {"type": "snapshot", "product_id": "OLD-USD", "time": at(0), "bids": [["10.00", "2.00"]],
     "asks": [["10.02", "1.00"], ["10.04", "1.00"]]},
    match("last_match", 7),
    match("match", 8),
    {"type": "l2update", "product_id": "OLD-USD", "time": at(1),
     "changes": [["buy", "10.01", "1.50"]]},
]


def find_tools():
    """(node, chromium, playwright-core), or skip."""
    found = [shutil.which("node"), shutil.which("chromium") or shutil.which("chromium-browser")]
    package = os.environ.get("PLAYWRIGHT_CORE") or \
        os.path.join(BUILD, "npm", "node_modules", "playwright-core")
    for name, path in zip(("node", "chromium"), found):
        if path is None:
            kit.skip("no %s in PATH" % name)
    if not os.path.isfile(os.path.join(package, "index.mjs")):
        kit.skip("no playwright-core at %s" % os.path.abspath(package))
    tried = subprocess.run([found[0], "-e", "require(process.argv[1])", os.path.abspath(package)],
                           capture_output=True, text=True, timeout=kit.WAIT_S, check=False)
    if tried.returncode != 0:  # each version of it wants a certain node
        kit.skip("playwright-core does not load: " + " ".join(tried.stderr.split())[:200])
    return (*found, os.path.abspath(package))


class Page(unittest.TestCase):
    """One run of the browser; every line that the driver prints is a check that passed."""

    def test_the_page_in_a_browser(self):
        node, chromium, package = tools
        self.recording = kit.scratch_file("old.jsonl")
        with open(self.recording, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(message) + "\n" for message in RECORDING)
        self.server = None
        self.start("127.0.0.1:0", "127.0.0.1:0")
        try:
            self.http, self.ws = self.server.http_url(), self.server.ws_url()
            self.drive([node, os.path.join(HERE, "100_page.mjs"), package, chromium, self.http,
                        self.ws, os.path.abspath(os.path.join(BUILD, "screenshots"))])
        finally:
            self.stop()

    def start(self, listen, http):
        region = kit.region_name()
        self.server = kit.Process(
            "serve", "--region", region, "--listen", listen, "--http", http, *kit.PATIENT,
            "--venue", "sim:seed=3,instruments=%d" % MARKETS,
            "--venue", kit.replay(self.recording, speed=10), region=region)
        self.server.__enter__()
        self.server.ws_url()

    def stop(self):
        if self.server is None:
            return
        code, _ = self.server.terminate()
        self.server.__exit__(None, None, None)
        self.server = None
        self.assertEqual(code, 0)

    def subscriptions(self):
        return self.server.metric("subscriptions")

    def answer(self, wish):
        """What the driver wants done, and the line that it is told."""
        if wish == "stop":
            self.stop()
        elif wish == "start":
            self.start(self.ws.split("/")[2], self.http.split("/")[2])
        elif wish == "subscriptions":
            return "%d" % self.subscriptions()
        else:
            raise AssertionError("the driver wants %r" % wish)
        return "done"

    def drive(self, command):
        errors = kit.scratch_file("driver.err")
        with open(errors, "wb") as err:
            driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=err, text=True)
        watch = threading.Timer(DRIVER_S, driver.kill)
        watch.start()
        try:
            with driver.stdin, driver.stdout:
                for line in driver.stdout:
                    if line.startswith("@"):
                        driver.stdin.write(self.answer(line[1:].strip()) + "\n")
                        driver.stdin.flush()
                    else:
                        print(line, end="", flush=True)
            code = driver.wait(kit.WAIT_S)
        finally:
            watch.cancel()
            driver.kill()
            driver.wait()
        with open(errors, "r", encoding="utf-8") as err:
            self.assertEqual(code, 0, err.read()[-4000:])


if __name__ == "__main__":
    tools = find_tools()
    kit.main()
