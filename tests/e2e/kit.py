"""What every outside test uses: the binary under test, its processes, recordings, HTTP.

A test is a unittest.TestCase whose methods are sentences of behaviour; its last line is
kit.main(). Command line: TEST BINARY [slow]. Exit code 77 tells CTest that it was skipped.
"""

import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

SKIPPED = 77
PR_SET_PDEATHSIG = 1
WAIT_S = 60  # for what should take a moment: generous, for a sanitizer on a busy machine

# Far from what any test waits for: these machines are busy, and a sanitizer makes ingest ten times
# slower, which must not look like a writer that died.
PATIENT = ("--lost-ms", "60000")

# Every level of the recordings, and no more markets than they have.
ROOM = ("--image-depth", "65536", "--instruments-max", "16")

COINBASE_2026 = "flashbook/coinbase_live-btc-eth.ndjson"
COINBASE_2021 = "cryptofeed/COINBASE_EXCHANGE_202104.jsonl"

_libc = ctypes.CDLL(None, use_errno=True)
_scratch = None
_regions = 0
_binary = None
_running = False
slow = False


def skip(reason):
    """End the test case that is running, or the whole program when none is yet."""
    print("skipped: " + reason, flush=True)
    if _running:
        raise unittest.SkipTest(reason)
    sys.exit(SKIPPED)


def data_dir():
    """The folder with the recorded venue data; skips the test when it is not there."""
    here = os.path.dirname(os.path.abspath(__file__))
    beside = os.path.join(here, "..", "..", "..", "shared", "data")
    path = os.path.abspath(os.environ.get("TICKFAN_DATA") or beside)
    if not os.path.isdir(path):
        skip("no recorded venue data at %s; TICKFAN_DATA names another place" % path)
    return path


def recording(name):
    path = os.path.join(data_dir(), name)
    if not os.path.isfile(path):
        skip("no recording " + path)
    return path


def seed(fallback):
    """A seeded generator; the seed is printed, TICKFAN_SEED sets it."""
    value = int(os.environ.get("TICKFAN_SEED") or str(fallback), 0)
    print("seed %d (TICKFAN_SEED repeats it)" % value, flush=True)
    return random.Random(value)


def scratch_file(name):
    global _scratch
    if _scratch is None:
        _scratch = tempfile.TemporaryDirectory(prefix="tickfan-e2e-")
    return os.path.join(_scratch.name, name)


def region_name():
    """A name that no other run uses."""
    global _regions
    _regions += 1
    return "e2e-%d-%d" % (os.getpid(), _regions)


def region_path(region):
    return "/dev/shm/tickfan." + region


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One run of the binary. Output goes to files, so that no pipe can fill up."""

    count = 0

    def __init__(self, *arguments, region=None, binary=None):
        Process.count += 1
        self.region = region
        self.arguments = [binary or _binary, *arguments]
        self.stdout_path = scratch_file("%d.out" % Process.count)
        self.stderr_path = scratch_file("%d.err" % Process.count)
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                preexec_fn=_die_with_parent)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        running = self.process.poll() is None
        if running:
            self.process.kill()
            self.process.wait()
        if error is not None:
            print("--- %s\n%s" % (" ".join(self.arguments), self.stderr()[-4000:]), flush=True)
        self._forget_region(killed=running)

    def _forget_region(self, killed):
        if self.region is None:
            return
        for path in [region_path(self.region)] if killed else []:
            if os.path.exists(path):
                os.unlink(path)
        # The lock is by design never removed by the server; the socket not by one that was killed.
        for left in (region_path(self.region) + ".lock", region_path(self.region) + ".sock"):
            if os.path.exists(left):
                os.unlink(left)

    def fds(self):
        """Open file descriptors of the process."""
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def stdout(self):
        with open(self.stdout_path, "r", encoding="utf-8") as file:
            return file.read()

    def stderr(self):
        with open(self.stderr_path, "r", encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, timeout_s=WAIT_S):
        """The exit code."""
        return self.process.wait(timeout_s)

    def terminate(self, timeout_s=WAIT_S):
        """SIGTERM; the exit code and how long it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(timeout_s)
        return code, time.monotonic() - start

    def find(self, pattern, where=None, timeout_s=WAIT_S):
        """Wait for a line of output; its match."""
        read = where or self.stdout
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll() is not None
            match = re.search(pattern, read(), re.MULTILINE)
            if match is not None:
                return match
            if ended:
                raise AssertionError("exit code %d without %r:\n%s"
                                     % (self.process.returncode, pattern, self.stderr()[-4000:]))
            if time.monotonic() > deadline:
                raise AssertionError("no %r within %d s" % (pattern, timeout_s))
            time.sleep(0.01)

    def port(self):
        return int(self.ws_url().rsplit(":", 1)[1].split("/")[0])

    def ws_url(self):
        return self.find(r"^WebSocket\s+(ws://\S+)").group(1)

    def http_url(self):
        return self.find(r"^HTTP\s+(http://\S+?)/?(\s|$)").group(1)

    def get(self, path):
        """(status, text) of a GET on the HTTP listener."""
        try:
            with urllib.request.urlopen(self.http_url() + path, timeout=WAIT_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self):
        """Metric name with its labels -> value."""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def metric(self, name, **labels):
        """The sum over all series of that name with at least these labels."""
        wanted = ['%s="%s"' % label for label in labels.items()]
        return sum(value for series, value in self.metrics().items()
                   if series.split("{")[0] == "tickfan_" + name
                   and all(label in series for label in wanted))


def binary():
    return _binary


def run(*arguments):
    """Run to its end; the process, for exit code and output."""
    process = Process(*arguments)
    with process:
        process.wait()
    return process


def replay(capture, **options):
    """The --venue value of a recording."""
    text = ",".join("%s=%s" % option for option in options.items())
    return "replay:coinbase:%s%s" % (capture, ":" + text if text else "")


def serve(*arguments, region=None):
    """A server on free ports; a context manager."""
    region = region or region_name()
    return Process("serve", "--region", region, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
                   *PATIENT, *arguments, region=region)


def ingest(*arguments, region=None):
    region = region or region_name()
    http = () if "--http" in arguments else ("--http", "off")
    return Process("ingest", "--region", region, *http, *PATIENT, *arguments, region=region)


def fanout(*arguments, region=None):
    """Fan-out threads and HTTP on free ports, for a region that another process fills."""
    return Process("fanout", "--region", region or region_name(), "--listen", "127.0.0.1:0",
                   "--http", "127.0.0.1:0", *PATIENT, *arguments)


def main():
    """Run the caller's test cases against the binary named on the command line."""
    global _binary, _running, slow
    if len(sys.argv) < 2:
        sys.exit("usage: %s TICKFAN-BINARY [slow] [TEST ...]" % sys.argv[0])
    _binary = os.path.abspath(sys.argv[1])
    names = sys.argv[2:]
    slow = "slow" in names
    names = [name for name in names if name != "slow"]
    if not os.access(_binary, os.X_OK):
        sys.exit("no binary at " + _binary)
    # Unwinds, so that every Process is ended and its region removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    _running = True
    result = unittest.main(module="__main__", argv=[sys.argv[0], "-v", *names], exit=False).result
    if result.skipped and len(result.skipped) >= result.testsRun and result.wasSuccessful():
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)
