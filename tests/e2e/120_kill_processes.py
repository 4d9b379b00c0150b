"""The two processes are killed at random and started again, independently of each other. Strict
clients stay through every death of `ingest` (markets turn stale, then live under a new epoch) and
come back after every death of `fanout`; no wrong book, no trade lost without a word, no leak.
"""

import asyncio
import os
import unittest

import kit
from client import Client

DEATHS = 5  # of each of the two
DEATHS_SLOW = 200
WRITERS = 3  # die under one and the same fanout
WRITERS_SLOW = 30
CLIENTS = 5
THREADS = 2
EARLY = 0.25  # of the starts are killed again before they are through
SETTLE_S = 30

LOST_MS = "250"
SIM = ("--venue", "sim:seed=%d,instruments=4,updates_per_s=200,trades_per_s=40",
       "--instruments-max", "16", "--ring-mib", "1", "--lost-ms", LOST_MS)

SYMBOLS = ["BTC-USD", "ETH-USD"]
CHANNELS = ["book.sim.%s.10.raw", "book.sim.%s.200.100ms", "trades.sim.%s.raw", "bbo.sim.%s.raw",
            "ticker.sim.%s.100ms", "book.sim.%s.full.100ms"]
VENUE_CHANNELS = ["instruments.sim", "status.sim"]

RSS_SLACK_KIB = 16 * 1024
# AddressSanitizer keeps up to 256 MiB of what was freed, which would look like growth.
SANITIZER = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
FDS_SLACK = 4


def resident_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


class Watcher(Client):
    """Stays subscribed, and comes back when the server is gone. What it held is kept, to see that
    nobody is taken back in time."""

    def __init__(self):
        super().__init__()
        self.names = [channel % symbol for symbol in SYMBOLS for channel in CHANNELS]
        self.names += VENUE_CHANNELS

    async def enter(self, url):
        await self.connect(url)
        while True:
            reply = await self.call("get_instruments")
            if len(reply["result"]["instruments"]) == 4:
                break
            await asyncio.sleep(0.01)
        await self.subscribe(*self.names)
        return self

    def holds(self, *state, epoch=None):
        return len(self.channels) == len(self.names) and all(
            channel.state == state and channel.seq is not None and epoch in (None, channel.epoch)
            for channel in self.channels.values())

    def positions(self):
        return {channel.name: (channel.epoch, channel.seq) for channel in self.channels.values()}


class Killed(unittest.TestCase):
    def setUp(self):
        self.random = kit.seed(120)
        self.region = kit.region_name()
        self.running = []
        self.kills = {"ingest": 0, "fanout": 0, "early": 0}
        self.heights = {}

    def tearDown(self):
        for process in list(self.running):
            self.end(process)
        for suffix in ("", ".lock", ".sock"):
            if os.path.exists(kit.region_path(self.region) + suffix):
                os.unlink(kit.region_path(self.region) + suffix)

    # ---- processes ----

    def spawn(self, *arguments):
        process = kit.Process(*arguments, "--region", self.region)
        self.running.append(process)
        return process

    def end(self, process):
        """SIGKILL. Its output is forgotten: it would be hundreds of files."""
        self.running.remove(process)
        process.process.kill()
        process.process.wait()
        os.unlink(process.stdout_path)
        os.unlink(process.stderr_path)

    async def start(self, *arguments):
        """Start; some are killed on the way up, at a random point, and are started again."""
        while self.random.random() < EARLY:
            process = self.spawn(*arguments)
            await asyncio.sleep(self.random.random() * 0.15)
            self.end(process)
            self.kills["early"] += 1
        return self.spawn(*arguments)

    async def start_ingest(self):
        venue = (SIM[0], SIM[1] % self.random.randint(1, 1000), *SIM[2:])
        self.ingest = await self.start("ingest", "--http", "off", *venue)

    async def start_fanout(self):
        self.fanout = await self.start(
            "fanout", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
            "--fanout-threads", str(THREADS), "--lost-ms", LOST_MS)

    # ---- rounds ----

    async def in_thread(self, function, *arguments):
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)

    async def all_hold(self, *state, epoch=None):
        for watcher in self.watchers:
            await watcher.until(lambda w=watcher: w.holds(*state, epoch=epoch), SETTLE_S)

    async def all_live(self):
        """Under the epoch of the writer that is there now."""
        match = await self.in_thread(self.ingest.find, r"event=region .*epoch=(\w+)",
                                     self.ingest.stderr)
        await self.all_hold("live", None, epoch=match.group(1))

    async def ingest_dies(self):
        self.kills["ingest"] += 1
        self.end(self.ingest)
        if self.random.random() < 0.5:  # else the next one is there before anybody has noticed
            await self.all_hold("stale", "ingest_lost")
        await self.start_ingest()
        await self.all_live()

    async def fanout_dies(self):
        self.kills["fanout"] += 1
        self.end(self.fanout)
        before = []
        for watcher in self.watchers:
            await watcher.until_closed(SETTLE_S)
            before.append(watcher.positions())
        await self.start_fanout()
        await self.come()
        await self.all_live()
        for watcher, positions in zip(self.watchers, before):
            for name, (epoch, seq) in watcher.positions().items():
                self.assertEqual(epoch, positions[name][0], name)
                self.assertGreaterEqual(seq, positions[name][1], name)

    async def both_die(self):
        self.kills["ingest"] += 1
        self.kills["fanout"] += 1
        first, second = self.ingest, self.fanout
        if self.random.random() < 0.5:
            first, second = second, first
        self.end(first)
        self.end(second)
        starts = [self.start_ingest, self.start_fanout]
        self.random.shuffle(starts)
        for start in starts:
            await start()
        for watcher in self.watchers:
            await watcher.until_closed(SETTLE_S)
        await self.come()
        await self.all_live()

    async def come(self):
        url = await self.in_thread(self.fanout.ws_url)
        self.watchers = [Watcher() for _ in range(CLIENTS)]
        await asyncio.gather(*[watcher.enter(url) for watcher in self.watchers])

    # ---- nothing is left behind ----

    def left_in_shm(self):
        start = os.path.basename(kit.region_path(self.region))
        return {name[len(start):] for name in os.listdir("/dev/shm")
                if name == start or name.startswith(start + ".")}

    def old_regions_mapped(self):
        with open("/proc/%d/maps" % self.fanout.pid, encoding="utf-8") as file:
            return sum(kit.region_path(self.region) in line and "(deleted)" in line
                       for line in file)

    async def settled(self):
        """The bells are taken in, and every thread has let go of the old regions (HTTP's reader
        moves on when it is asked)."""
        while (await self.in_thread(self.fanout.metric, "bell_connected") != 1
               or self.old_regions_mapped() > 0):
            await asyncio.sleep(0.01)

    def check_leaks(self):
        self.assertEqual(self.left_in_shm(), {"", ".lock", ".sock"})
        for process in (self.ingest, self.fanout):
            fds, kib, first = self.heights.get(process.pid, (process.fds(),
                                                             resident_kib(process.pid), True))
            if first:
                self.heights = {pid: heights for pid, heights in self.heights.items()
                                if pid in (self.ingest.pid, self.fanout.pid)}
                self.heights[process.pid] = (fds, kib, False)
            self.assertLessEqual(process.fds(), fds + FDS_SLACK)
            self.assertLessEqual(resident_kib(process.pid), kib + RSS_SLACK_KIB)

    async def begin(self):
        await self.start_fanout()
        await self.start_ingest()
        await self.come()
        await self.all_live()
        await asyncio.wait_for(self.settled(), SETTLE_S)

    async def leave(self):
        for watcher in self.watchers:
            await watcher.close()

    def next_death(self, count):
        """None when each has died so often."""
        left = {name for name in ("ingest", "fanout") if self.kills[name] < count}
        if not left:
            return None
        if left == {"ingest"}:
            return self.ingest_dies
        if left == {"fanout"}:
            return self.fanout_dies
        return self.random.choice([self.ingest_dies, self.fanout_dies, self.both_die])

    async def deaths(self, count):
        await self.begin()
        while (death := self.next_death(count)) is not None:
            await asyncio.sleep(self.random.random() * 0.2)
            await death()
            await asyncio.wait_for(self.settled(), SETTLE_S)
            self.check_leaks()
        await self.leave()

    async def fds_at_most(self, count):
        """HTTP's connections of a moment ago are given the time to go."""
        while self.fanout.fds() > count:
            await asyncio.sleep(0.01)

    async def writers(self, count):
        """From the first death on, not a descriptor more, and no growth from one to the next."""
        await self.begin()
        fds = kib = None
        for _ in range(count):
            await asyncio.sleep(self.random.random() * 0.2)
            await self.ingest_dies()
            await asyncio.wait_for(self.settled(), SETTLE_S)
            if fds is None:
                await asyncio.sleep(0.1)  # for the number to be the lasting one
                fds, kib = self.fanout.fds(), resident_kib(self.fanout.pid)
            await asyncio.wait_for(self.fds_at_most(fds), SETTLE_S)
        print("resident: %d KiB, then %d KiB" % (kib, resident_kib(self.fanout.pid)), flush=True)
        self.assertLessEqual(resident_kib(self.fanout.pid), kib + RSS_SLACK_KIB)
        await self.leave()

    def end_in_order(self):
        print("killed: %s" % self.kills, flush=True)
        for process in (self.fanout, self.ingest):
            self.assertEqual(process.terminate()[0], 0)
        self.assertEqual(self.left_in_shm(), {".lock"})

    def test_clients_are_told_the_truth_through_every_death(self):
        asyncio.run(self.deaths(DEATHS_SLOW if kit.slow else DEATHS))
        self.end_in_order()

    def test_one_fanout_outlives_many_writers(self):
        asyncio.run(self.writers(WRITERS_SLOW if kit.slow else WRITERS))
        self.assertEqual(self.kills["fanout"], 0)
        self.end_in_order()


if __name__ == "__main__":
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), SANITIZER]))
    kit.main()
