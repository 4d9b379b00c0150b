"""The configuration file, TICKFAN_* variables and flags together: who goes before whom, what
`tickfan check` prints, and what is said about mistakes. PyYAML reads what we print."""

import os
import re
import subprocess
import unittest

import yaml

import kit

GOOD = """\
# one file for all commands
region: {region}
listen: 127.0.0.1:0
http: 127.0.0.1:0
venue:
  - "sim:seed=5,instruments=3,updates_per_s=20,trades_per_s=5"
instruments_max: 16
lost_ms: 60000
format: json
"""


def written(name, text):
    path = kit.scratch_file(name)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def tickfan(*arguments, directory="/", **variables):
    """Run to its end with no TICKFAN_* variables but these."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("TICKFAN_")}
    environment.update(variables)
    return subprocess.run([kit._binary, *arguments], cwd=directory, env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=kit.WAIT_S,
                          check=False)


class Check(unittest.TestCase):
    def effective(self, *arguments, **variables):
        """What check prints, as text and as YAML reads it."""
        done = tickfan("check", *arguments, **variables)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout, yaml.safe_load(done.stdout)

    def test_every_flag_of_every_command_is_a_key_with_the_default_that_help_tells(self):
        text, values = self.effective()
        told = {"venue": []}
        for command in ("serve", "ingest", "fanout", "tap"):
            for flag, default in re.findall(r"^  --(\S+) +.* \(default (.+)\)$",
                                            tickfan(command, "--help").stdout, re.MULTILINE):
                told[flag.replace("-", "_")] = int(default) if default.isdigit() else default
        del told["config"]
        self.assertEqual(values, told)
        keys = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
        self.assertEqual([line for line in keys if not line.endswith("  # default")], [])

    def test_each_value_tells_where_it_is_from_and_the_strongest_place_counts(self):
        path = written("c.yaml", 'ping_ms: 1\nstall_ms: 1\nlinger_ms: 1\nvenue: ["sim:seed=1"]\n')
        text, values = self.effective(
            "--config", path, "--ping-ms", "3", TICKFAN_PING_MS="2", TICKFAN_STALL_MS="2",
            TICKFAN_VENUE="sim:seed=2; coinbase:BTC-USD")
        self.assertEqual((values["ping_ms"], values["stall_ms"], values["linger_ms"]), (3, 2, 1))
        self.assertEqual(values["venue"], ["sim:seed=2", "coinbase:BTC-USD"])
        for line in ("ping_ms: 3  # --ping-ms", "stall_ms: 2  # TICKFAN_STALL_MS",
                     "linger_ms: 1  # %s:3" % path, '  - "coinbase:BTC-USD"  # TICKFAN_VENUE'):
            self.assertIn(line, text.splitlines())

    def test_what_is_printed_can_be_read_back(self):
        capture = written('a "b"\\c\u00e9', "")
        arguments = ("--http", "off", "--venue", "sim:seed=1", "--venue",
                     "replay:coinbase:" + capture, "--region", "1", "--listen", "[::1]:1")
        text, values = self.effective(*arguments)
        self.assertEqual(values["http"], "off")
        self.assertEqual(self.effective("--config", written("back.yaml", text))[1], values)

    def test_without_a_name_the_file_of_the_working_directory_is_read_if_there_is_one(self):
        directory = os.path.join(os.path.dirname(written("x", "")), "with-file")
        os.mkdir(directory)
        self.assertIn("batch_us: 1000  # default", tickfan("check", directory=directory).stdout)
        written("with-file/tickfan.yaml", "batch_us: 7\n")
        self.assertIn("batch_us: 7  # tickfan.yaml:1",
                      tickfan("check", directory=directory).stdout)
        for arguments, variables in ((["--config", "none"], {}), ([], {"TICKFAN_CONFIG": "none"})):
            done = tickfan("check", *arguments, directory=directory, **variables)
            self.assertIn("batch_us: 1000  # default", done.stdout)


class Mistakes(unittest.TestCase):
    def told(self, text, *arguments, command="check"):
        """The lines on stderr; the file's name is cut off them."""
        path = written("bad.yaml", text)
        done = tickfan(command, "--config", path, *arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), text)
        return [line.replace(path, "FILE") for line in done.stderr.splitlines()]

    def test_an_error_names_file_line_key_what_was_found_and_what_is_expected(self):
        number = "expected a whole number from 0 to 1000000 (us)"
        address = "expected a numeric address and a port, as 127.0.0.1:9001 or [::1]:9001"
        for text, line in (
                ("# x\nbatch_us: fast\n", 'FILE:2: batch_us: found "fast", ' + number),
                ("batch_us: 1_000\n", 'FILE:1: batch_us: found "1_000", ' + number),
                ("batch_us: -1\n", 'FILE:1: batch_us: found "-1", ' + number),
                ("batch_us: true\n", 'FILE:1: batch_us: found "true", ' + number),
                ("batch_us: [1]\n", "FILE:1: batch_us: found a list, " + number),
                ("batch_us:\n", "FILE:1: batch_us: found nothing, " + number),
                ("listen: 9001\n", 'FILE:1: listen: found "9001", ' + address),
                ("listen: &a [x]\n", "FILE:1: listen: found a list, expected one text"),
                ("batch: 1\n", 'FILE:1: found unknown key "batch", expected batch_us?'),
                ("batch_us: 1\n\nbatch_us: 2\n",
                 "FILE:3: batch_us: found a second time, expected once (the first is on line 1)"),
                ("venue: sim\n",
                 'FILE:1: venue: found "sim", expected a list of texts, as [sim]'),
                (b"listen: \xff\n", "FILE:1: found byte 0xff, expected UTF-8 text"),
                ("#" * 300000,
                 "FILE: found more than 262144 bytes, expected a configuration file")):
            self.assertEqual(self.told(text), [line])
        self.assertRegex(self.told("listen: x\n\tbatch_us: 5\n")[0], r"^FILE:2: found a tab")
        self.assertRegex(self.told("venue: [a\nlisten: x\n")[0], r"^FILE:\d: no valid YAML")

    def test_all_mistakes_are_told_at_once(self):
        lines = self.told("batch_us: x\ncolour: red\nlisten: y\nregion: a/b\n", "--ping-ms", "0",
                          command="serve")
        self.assertEqual([line.split(":")[0] for line in lines], ["--ping-ms"] + ["FILE"] * 4)
        self.assertEqual([line.split(":")[1] for line in lines[1:]], ["1", "2", "3", "4"])

    def test_a_venue_that_cannot_be_is_told_with_its_line(self):
        line = self.told("venue:\n  - sim\n  - nowhere:BTC-USD\n")[0]
        self.assertRegex(line, r"^FILE:3: venue: .*nowhere")

    def test_what_cannot_be_together_is_told_with_its_line(self):
        for text, line in (
                ("venue:\n  - sim\n  - sim:seed=2\n",
                 'FILE:3: venue: found "sim:seed=2" after "sim": a venue can be given once'),
                ("listen: 127.0.0.1:5\nhttp: 0.0.0.0:5\n",
                 'FILE:2: http: found "0.0.0.0:5", expected another port than listen, which is '
                 '"127.0.0.1:5"'),
                ("ping_ms: 90000\n", "FILE:1: ping_ms: found 90000, expected less than "
                                     "pong_timeout_ms, which is 60000"),
                ("venue: [sim:instruments=300]\ninstruments_max: 100\n",
                 'FILE:1: venue: found "sim:instruments=300": instruments=300 and '
                 "instruments_max is 100: raise it, or lower instruments")):
            self.assertEqual(self.told(text), [line])

    def test_what_is_no_file_is_told(self):
        for path, word in (("/nowhere/t.yaml", "no such file"), ("/", "Is a directory"),
                           ("/dev/zero", "more than 262144 bytes")):
            done = tickfan("check", "--config", path)
            self.assertEqual(done.returncode, 2)
            self.assertIn(path, done.stderr)
            self.assertIn(word, done.stderr)

    def test_a_variable_that_means_nothing_is_told(self):
        done = tickfan("check", TICKFAN_BATCHUS="5")
        self.assertEqual((done.returncode, done.stderr), (
            2, 'environment: found unknown variable "TICKFAN_BATCHUS", expected '
               "TICKFAN_BATCH_US?\n"))

    def test_a_mistake_is_told_before_anything_is_made(self):
        region = kit.region_name()
        for arguments in (["--listen", "9001"], ["--http", "x:1"], ["--venue", "nowhere"],
                          ["--venue", "coinbase:btc-usd"], ["--venue", "sim:seed=2"],
                          ["--venue", "replay:coinbase:/nowhere"],
                          ["--batch-us", "1", "--batch-us", "2"],
                          ["--config", "/nowhere"], ["--log-level", "loud"]):
            done = tickfan("serve", "--region", region, "--venue", "sim", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertFalse(os.path.exists(kit.region_path(region) + ".lock"), arguments)


class Running(unittest.TestCase):
    def test_one_file_drives_server_and_tap(self):
        region = kit.region_name()
        path = written("good.yaml", GOOD.format(region=region))
        with kit.Process("serve", "--config", path, region=region) as server:
            server.ws_url()
            server.find(r'event=config file="%s"' % re.escape(path), server.stderr)
            self.assertTrue(os.path.exists(kit.region_path(region)))
            with kit.Process("tap", "--config", path) as tap:
                tap.find(r'^\{"event":"\w+","venue":"sim"')
                self.assertEqual(server.terminate()[0], 0)
                self.assertEqual(tap.wait(), 0)

    def test_a_flag_goes_before_the_file(self):
        region = kit.region_name()
        path = written("other.yaml", GOOD.format(region="not-this-one"))
        with kit.Process("serve", "--config", path, "--region", region, region=region) as server:
            server.ws_url()
            self.assertTrue(os.path.exists(kit.region_path(region)))
            self.assertEqual(server.terminate()[0], 0)


if __name__ == "__main__":
    kit.main()
