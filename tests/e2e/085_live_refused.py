"""A live link that can't be opened: the reason is said plainly, nothing of the venue is published,
other venues are served, and it goes on trying, ever more patiently. Command line: TEST BINARY
--server=VENUE_SERVER."""

import asyncio
import os
import socket
import ssl
import threading
import time
import unittest
import warnings

import kit
from venue import SYMBOL, TIMES, Certificates, Venue, Watcher, live, serve, until


class NeverOpen(unittest.TestCase):
    """Whatever the reason."""

    def refused(self, server, log):
        """It says why, and has published nothing of this venue."""
        server.find(log, server.stderr)
        asyncio.run(self.nothing_but_sim(server))
        self.assertEqual(server.metric("feed_connects_total"), 1)  # the simulated venue's

    async def nothing_but_sim(self, server):
        watcher = await Watcher.of(server)
        await watcher.sim_goes_on()
        self.assertEqual((watcher.book.state, watcher.book.bids.keys, watcher.book.states),
                         (("resync", "starting"), [], []))
        await watcher.close()

    def comes_up(self, server):
        async def watch():
            watcher = await Watcher.of(server)
            await watcher.until_live()
            await watcher.close()
        asyncio.run(watch())

    def test_bad_certificates(self):
        for why, bad in Certificates.get().bad.items():
            with self.subTest(why), Venue(certificate_and_key=bad) as venue, \
                    serve(venue) as server:
                venue.times("accept", 3)
                self.refused(server, 'stage=tls what="certificate refused: %s' % why)
                self.assertEqual(venue.said("^open"), [])
                self.assertGreaterEqual(server.metric("venue_tls_failures_total"), 2)
                venue.tell("certificate", *Certificates.get().good)
                self.comes_up(server)

    def test_an_address_in_the_url_must_be_in_the_certificate(self):
        with Venue() as venue, serve(live(venue.port, host="127.0.0.1")) as server:
            self.refused(server, 'stage=tls what="certificate refused: it is not for 127.0.0.1')
            self.assertEqual(venue.said("^open"), [])
            venue.tell("certificate", *Certificates.get().address)
            self.comes_up(server)

    def test_old_versions_of_tls_are_not_spoken(self):
        with OldVenue() as venue, serve(live(venue.port)) as server:
            self.refused(server, 'stage=tls what="[^"]*protocol')
            self.assertEqual(venue.handshakes, 0)

    def test_an_authority_of_the_system_is_not_enough_for_a_private_one(self):
        with Venue() as venue, kit.serve("--venue", "coinbase:%s:url=wss://localhost:%d" % (
                SYMBOL, venue.port)) as server:
            server.find('stage=tls what="certificate refused: unknown issuer', server.stderr)
            self.assertEqual(venue.said("^open"), [])

    def test_upgrade_refused(self):
        with Venue() as venue:
            venue.tell("status", 403)
            with serve(venue) as server:
                venue.times("accept", 3)
                self.refused(server, 'stage=upgrade what="HTTP status 403 instead of 101"')
                venue.tell("status", 0)
                self.comes_up(server)

    def test_no_answer_to_the_subscription(self):
        with Venue() as venue:
            venue.tell("mute", 1)
            with serve(venue, silence_ms=500, ping_ms=100) as server:
                venue.times("open", 2)
                server.find('stage=silent what="no data for silence_ms"', server.stderr)
                venue.tell("mute", 0)
                self.comes_up(server)

    def test_name_that_does_not_resolve(self):
        with serve(live(443, host="venue.invalid")) as server:
            self.refused(server, 'stage=dns what="(the name venue.invalid does not resolve: |'
                                 'no name server has answered for venue.invalid)')
            until(server, "venue_resolve_failures_total", 3)
            code, seconds = server.terminate()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 10)

    def test_refused_port(self):
        with Venue() as venue:
            port = venue.port
        with serve(live(port)) as server:
            self.refused(server, 'stage=connect what="TCP refused')
            until(server, "venue_connect_failures_total", 3)
            # Said once, not at every attempt.
            self.assertEqual(server.stderr().count("TCP refused"), 1)
            with Venue(port=port):
                self.comes_up(server)

    def test_proxies_of_the_environment_are_not_used(self):
        os.environ["http_proxy"] = "http://127.0.0.1:1"
        try:
            with Venue() as venue, serve(venue) as server:
                self.comes_up(server)
        finally:
            del os.environ["http_proxy"]


class OldVenue:
    """A server of TLS 1.1 and nothing newer; a context manager."""

    def __init__(self):
        warnings.simplefilter("ignore", DeprecationWarning)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.minimum_version = ssl.TLSVersion.TLSv1
        self.context.maximum_version = ssl.TLSVersion.TLSv1_1
        self.context.load_cert_chain(*Certificates.get().good)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.handshakes = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            try:
                self.context.wrap_socket(client, server_side=True).close()
                self.handshakes += 1
            except (ssl.SSLError, OSError):
                client.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Backoff(unittest.TestCase):
    """Times between attempts, as the venue sees them: ratios, since machines are slow."""

    MIN_S = TIMES["backoff_min_ms"] / 1000

    def test_grows_and_starts_anew_only_after_good_data(self):
        with Venue() as venue:
            venue.tell("status", 503)
            with serve(venue) as server:
                asyncio.run(self.watch(venue, server))

    @staticmethod
    def gaps(times):
        return [b - a for a, b in zip(times, times[1:])]

    @staticmethod
    def wait_after_a_cut(venue):
        attempts = len(venue.times("accept"))
        cut = time.monotonic()
        venue.tell("drop")
        return venue.times("accept", attempts + 1)[attempts] - cut

    async def watch(self, venue, server):
        gaps = self.gaps(venue.times("accept", 5))
        self.assertGreater(gaps[3], 2 * gaps[0], gaps)
        # Open at last, with data, and cut at once: it goes on waiting long.
        venue.tell("status", 0)
        venue.times("open", 1)
        until(server, "venue_frames_total", 1)
        patient = self.wait_after_a_cut(venue)
        self.assertGreater(patient, 4 * self.MIN_S)
        watcher = await Watcher.of(server)
        await watcher.until_live()
        # Open with data for long enough: it waits as at the start.
        server.find("event=link_recovered venue=coinbase", server.stderr)
        quick = self.wait_after_a_cut(venue)
        self.assertLess(quick, patient / 2, (quick, patient))
        await watcher.close()


if __name__ == "__main__":
    kit.main()
