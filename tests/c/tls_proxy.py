"""A proxy that is itself spoken to in TLS: tinyproxy, with nginx before it."""

import unittest

from asking import DELIVERIES, model, question
from fake_server import FakeServer, echo
from proxies import ProxyTest
from rig import HalfAnAnswer, Nginx, Tinyproxy, TlsAround, certificates, login, needs


class TlsProxy(ProxyTest):
    @classmethod
    def setUpClass(cls):
        needs("nginx", "openssl", "tinyproxy")
        if not TlsAround.module.exists():
            raise unittest.SkipTest("nginx has no stream module here (apt-get install libnginx-mod-stream)")

    def test_an_answer_is_the_one_that_the_server_itself_gives(self):
        with Tinyproxy(model().port) as inner, TlsAround(inner) as proxy:
            self.assertSaysTheSame({"base_url": model().base_url, "proxy": login("https", proxy)})
            self.assertEqual(inner.tunnels, [f"127.0.0.1:{model().port}"] * 8)

    def test_so_is_one_in_tls_inside_tls(self):
        with Nginx(model().port) as front, Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
            self.assertSaysTheSame({"base_url": front.base_url, "proxy": login("https", proxy)})
            self.assertEqual(inner.tunnels, [f"localhost:{front.port}"] * 8)

    def test_its_certificate_is_checked_and_nothing_is_said_to_it_before(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as inner:
            for certificate, word in (
                ("wrong-name", "not valid for the name"),
                ("expired", "expired"),
                ("not-yet-valid", "not valid yet"),
                ("unknown-issuer", "tls.ca_file"),
                ("self-signed", "tls.ca_file"),
            ):
                with TlsAround(inner, certificate) as proxy:
                    config = {"base_url": server.base_url, "proxy": login("https", proxy)}
                    self.assertRefused(config, 1, "proxy", f"127.0.0.1:{proxy.port}", word)
            self.assertEqual((inner.tunnels, server.requests), ([], []))

    def test_the_certificate_of_the_server_behind_it_is_checked_for_itself(self):
        with FakeServer(echo) as server, Nginx(server.port, certificate="wrong-name") as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        config = {"base_url": front.base_url, "proxy": login("https", proxy)}
                        asked = self.ask_once(config, question("any"), delivery)
                        self.assertEnded(asked, "TLS", 0, "not valid for the name localhost")
                self.assertEqual(inner.tunnels, [f"localhost:{front.port}"] * 4)

    def test_our_own_certificate_is_shown_to_the_server_and_never_to_the_proxy(self):
        keys = certificates()
        files = {"ca_file": "root.pem", "client_cert_file": "client.pem", "client_key_file": "server.key"}
        ours = {"tls": {key: str(keys / file) for key, file in files.items()}}
        wanted = f"ssl_verify_client on; ssl_client_certificate {keys}/root.pem;"
        with FakeServer(echo) as server, Nginx(server.port, server=wanted) as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        config = {"base_url": front.base_url, "proxy": login("https", proxy), **ours}
                        self.assertEchoes(self.ask_once(config, question("any"), delivery), "any")
                self.eventually(lambda: len(proxy.clients) == 4 + 1)  # and who looked whether it runs
                self.assertEqual(set(proxy.clients), {"NONE"})

    def test_a_password_that_is_missing_is_named_as_the_cause_and_nothing_passes(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as inner, TlsAround(inner) as proxy:
            config = {"base_url": server.base_url, "proxy": f"https://127.0.0.1:{proxy.port}"}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", "user name and password", "407")
            self.assertEqual(server.requests, [])

    def test_a_wrong_password_is_named_as_the_cause_and_nothing_passes(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as inner, TlsAround(inner) as proxy:
            config = {"base_url": server.base_url, "proxy": login("https", proxy, "wrong-0123")}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", "user name and password", "401")
            self.assertEqual(server.requests, [])

    def test_one_that_speaks_no_tls_is_named(self):
        with FakeServer(echo) as server, Nginx(server.port, tls=False) as no_proxy:
            config = {"base_url": server.base_url, "proxy": login("https", no_proxy, "any-0123")}
            self.assertRefused(config, 1, f"127.0.0.1:{no_proxy.port}", "does not speak TLS")
            self.assertEqual(server.requests, [])

    def test_one_that_does_not_run_is_named_after_each_try(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as inner, TlsAround(inner) as proxy:
            config = {"base_url": server.base_url, "proxy": login("https", proxy)}
            proxy.stop()
            self.assertRefused(config, 3, "proxy", f"127.0.0.1:{proxy.port}", "nothing listens there")

    def test_a_long_body_arrives_whole(self):
        with FakeServer(lambda exchange: exchange.complete("done")) as server, Nginx(server.port) as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                self.assertUploads(server, {"base_url": front.base_url, "proxy": login("https", proxy)})

    def test_a_tunnel_is_used_again(self):
        with FakeServer(echo) as server, Nginx(server.port) as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                self.assertStaysOpen({"base_url": front.base_url, "proxy": login("https", proxy)}, inner)

    def test_one_that_was_started_anew_costs_no_attempt(self):
        with FakeServer(echo) as server, Nginx(server.port) as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                self.assertStartsAnew({"base_url": front.base_url, "proxy": login("https", proxy)}, proxy)

    def test_one_that_is_killed_in_the_answers_leaves_half_of_them(self):
        with HalfAnAnswer() as server, Tinyproxy(server.port) as inner, TlsAround(inner) as proxy:
            config = {"base_url": f"http://127.0.0.1:{server.port}/v1", "proxy": login("https", proxy)}
            self.assertBreaksOff(config, proxy.stop)

    def test_four_streams_at_once_need_one_thread(self):
        with FakeServer(echo) as server, Nginx(server.port, "limit_rate 4000;") as front:
            with Tinyproxy(server.port, front.port) as inner, TlsAround(inner) as proxy:
                for base_url in (server.base_url, front.base_url):
                    config = {"base_url": base_url, "proxy": login("https", proxy)}
                    self.assertFourAtOnceOnOneThread(config, server)

    def test_the_environment_may_name_it(self):
        with FakeServer(echo) as server, Nginx(server.port) as front:
            with Tinyproxy(front.port) as inner, TlsAround(inner) as proxy:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        config = {"base_url": front.base_url, "proxy": "environment"}
                        settings = {"HTTPS_PROXY": login("https", proxy)}
                        asked = self.ask_once(config, question("any"), delivery, **settings)
                        self.assertEchoes(asked, "any")
                self.assertEqual(len(inner.tunnels), 4)


CASES = (TlsProxy,)
