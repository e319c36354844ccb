"""Real proxies between helio and a server: tinyproxy for HTTP, microsocks for SOCKS5, both with a password. Behind
them stands the real model's server, by itself and with nginx and TLS before it."""

from asking import DELIVERIES, AskTest, model, question
from deliveries import every_other, refuse, together
from fake_server import FakeServer, echo, tokens_of
from harness import free_port, memcheck
from rig import HalfAnAnswer, Microsocks, Nginx, Tinyproxy, login, needs


class ProxyTest(AskTest):
    @classmethod
    def setUpClass(cls):
        needs("nginx", "openssl", "tinyproxy", "microsocks")

    def assertRefused(self, config, attempts, *words, **settings):
        """Each delivery ends with PROXY, and a message with these words."""
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery):
                asked = self.ask_once(config, question("any"), delivery, **settings)
                self.assertEnded(asked, "PROXY", 0, *words)
                self.assertEqual(asked.attempts, ["PROXY"] * attempts)

    def assertUploads(self, server, config):
        long = "0123456789abcdef" * 300_000
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery):
                asked = self.ask_once(config, question(long), delivery)
                self.assertEqual(asked.status, "OK", asked)
                self.assertTrue(server.requests.pop().last_message == long)

    def assertStartsAnew(self, config, proxy):
        """A tunnel that died between two requests is replaced, and the second one does not even notice."""
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery):
                once = {**config, "retry": {"max_retries": 0}}
                with self.asking(once, question("again"), delivery, "2") as conversation:
                    self.assertEchoes(conversation.asked(), "again")
                    proxy.restart()
                    conversation.go_on()
                    asked = conversation.asked()
                self.assertEchoes(asked, "again")
                self.assertEqual(asked.attempts, ["OK"])
                self.assertEqual(asked.report["attempts"][0]["reused"], False)

    def assertStaysOpen(self, config, proxy):
        """One tunnel of this proxy serves one request after the other."""
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery):
                before = len(proxy.tunnels)
                for asked in self.ask(config, question("again", stream=False), delivery, "3"):
                    self.assertEchoes(asked, "again")
                self.assertEqual(len(proxy.tunnels), before + 1)

    def assertFourAtOnceOnOneThread(self, config, server):
        for delivery in ("poll", "pull"):
            with self.subTest(delivery=delivery):
                # Nobody gets a token before all four have been asked.
                server.behaviour = together(4, tokens_of("all at once"))
                whole = {"limits": {"max_threads": 1}, **config}
                answers = self.ask(whole, question("any"), delivery, "4", "together")
                self.assertEqual([asked.status for asked in answers], ["OK"] * 4, answers)
                self.assertEqual({asked.text for asked in answers}, {"all at once"})
                for asked in answers:
                    self.assertLessEqual(asked.stats["threads"], 2)  # the reactor, and the one that asked


class HttpProxy(ProxyTest):
    """tinyproxy."""

    def test_an_answer_is_the_one_that_the_server_itself_gives(self):
        with Tinyproxy(model().port) as proxy:
            self.assertSaysTheSame({"base_url": model().base_url, "proxy": login("http", proxy)})
            self.assertEqual(proxy.tunnels, [f"127.0.0.1:{model().port}"] * 8)

    def test_so_is_one_in_tls(self):
        with Nginx(model().port) as front, Tinyproxy(front.port) as proxy:
            self.assertSaysTheSame({"base_url": front.base_url, "proxy": login("http", proxy)})
            self.assertEqual(proxy.tunnels, [f"localhost:{front.port}"] * 8)

    def test_a_wrong_password_is_named_as_the_cause_and_nothing_passes(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": server.base_url, "proxy": login("http", proxy, "wrong-0123")}
            # tinyproxy says 407 only where none is given.
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", "user name and password", "401")
            self.assertEqual(server.requests, [])

    def test_a_password_that_is_missing_is_named_as_the_cause_and_nothing_passes(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": server.base_url, "proxy": f"http://127.0.0.1:{proxy.port}"}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", "user name and password", "407")
            self.assertEqual(server.requests, [])

    def test_a_port_that_it_does_not_allow_is_named(self):
        with FakeServer(echo) as server, Tinyproxy(free_port()) as proxy:
            config = {"base_url": server.base_url, "proxy": login("http", proxy)}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", f"127.0.0.1:{server.port}", "403")
            self.assertEqual(server.requests, [])

    def test_a_server_that_it_does_not_reach_is_named(self):
        port = free_port()
        with Tinyproxy(port) as proxy:
            config = {"base_url": f"http://127.0.0.1:{port}/v1", "proxy": login("http", proxy)}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", f"127.0.0.1:{port}", "500")

    def test_one_that_does_not_run_is_named_after_each_try(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": server.base_url, "proxy": login("http", proxy)}
            proxy.stop()
            self.assertRefused(config, 3, "proxy", f"127.0.0.1:{proxy.port}", "nothing listens there")
            self.assertEqual(server.requests, [])

    def test_a_long_body_arrives_whole(self):
        with FakeServer(lambda exchange: exchange.complete("done")) as server:
            with Nginx(server.port) as front, Tinyproxy(front.port) as proxy:
                self.assertUploads(server, {"base_url": front.base_url, "proxy": login("http", proxy)})

    def test_a_tunnel_is_used_again(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Tinyproxy(front.port) as proxy:
            self.assertStaysOpen({"base_url": front.base_url, "proxy": login("http", proxy)}, proxy)

    def test_one_that_was_started_anew_costs_no_attempt(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Tinyproxy(front.port) as proxy:
            self.assertStartsAnew({"base_url": front.base_url, "proxy": login("http", proxy)}, proxy)

    def test_one_that_is_killed_in_the_answers_leaves_half_of_them(self):
        with HalfAnAnswer() as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": f"http://127.0.0.1:{server.port}/v1", "proxy": login("http", proxy)}
            self.assertBreaksOff(config, proxy.stop)

    def test_the_servers_certificate_is_checked_as_without_it(self):
        with FakeServer(echo) as server, Nginx(server.port, certificate="wrong-name") as front:
            with Tinyproxy(front.port) as proxy:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        config = {"base_url": front.base_url, "proxy": login("http", proxy)}
                        asked = self.ask_once(config, question("any"), delivery)
                        self.assertEnded(asked, "TLS", 0, "not valid for the name localhost", "check base_url")
                self.assertEqual(proxy.tunnels, [f"localhost:{front.port}"] * 4)

    def test_who_stands_in_no_proxy_is_reached_directly(self):
        with FakeServer(echo) as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": server.base_url, "proxy": login("http", proxy), "no_proxy": "127.0.0.1"}
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery):
                    self.assertEchoes(self.ask_once(config, question("any"), delivery), "any")
            self.assertEqual(proxy.tunnels, [])


class SocksProxy(ProxyTest):
    """microsocks."""

    def test_an_answer_in_tls_is_the_one_that_the_server_itself_gives(self):
        with Nginx(model().port) as front, Microsocks() as proxy:
            self.assertSaysTheSame({"base_url": front.base_url, "proxy": login("socks5", proxy)})
            self.assertEqual(len(proxy.tunnels), 8)

    def test_so_is_one_without_tls(self):
        with Microsocks() as proxy:
            self.assertSaysTheSame({"base_url": model().base_url, "proxy": login("socks5h", proxy)})
            self.assertEqual(len(proxy.tunnels), 8)

    def test_the_name_is_looked_up_where_the_scheme_says(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Microsocks() as proxy:
            for scheme, named in (("socks5h", r"localhost:\d+"), ("socks5", r"(127\.0\.0\.1|::1):\d+")):
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery, scheme=scheme):
                        config = {"base_url": front.base_url, "proxy": login(scheme, proxy)}
                        self.assertEchoes(self.ask_once(config, question("any"), delivery), "any")
                        self.assertRegex(proxy.tunnels[-1], f"^{named}$")

    def test_a_name_that_nobody_has_is_named_where_it_was_looked_up(self):
        with Microsocks() as proxy:
            for scheme, status in (("socks5h", "PROXY"), ("socks5", "DNS")):
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery, scheme=scheme):
                        config = {"base_url": "http://no-such-host.invalid/v1", "proxy": login(scheme, proxy)}
                        asked = self.ask_once(config, question("any"), delivery)
                        self.assertEnded(asked, status, 0, "no-such-host.invalid")

    def test_a_wrong_password_is_named_as_the_cause_and_nothing_passes(self):
        with FakeServer(echo) as server, Microsocks() as proxy:
            for scheme in ("socks5", "socks5h"):
                proxies = (login(scheme, proxy, "wrong-0123"), f"{scheme}://127.0.0.1:{proxy.port}")
                for url in proxies:
                    words = (f"127.0.0.1:{proxy.port}", "user name and password")
                    self.assertRefused({"base_url": server.base_url, "proxy": url}, 1, *words)
            self.assertEqual(server.requests, [])

    def test_a_server_that_it_does_not_reach_is_named(self):
        port = free_port()
        with Microsocks() as proxy:
            for scheme in ("socks5", "socks5h"):
                config = {"base_url": f"http://127.0.0.1:{port}/v1", "proxy": login(scheme, proxy)}
                words = (f"127.0.0.1:{proxy.port}", f"127.0.0.1:{port}", "connection refused")
                self.assertRefused(config, 1, *words)

    def test_one_that_does_not_run_is_named_after_each_try(self):
        with FakeServer(echo) as server, Microsocks() as proxy:
            config = {"base_url": server.base_url, "proxy": login("socks5h", proxy)}
            proxy.stop()
            self.assertRefused(config, 3, "proxy", f"127.0.0.1:{proxy.port}", "nothing listens there")
            self.assertEqual(server.requests, [])

    def test_a_long_body_arrives_whole(self):
        with FakeServer(lambda exchange: exchange.complete("done")) as server:
            with Nginx(server.port) as front, Microsocks() as proxy:
                self.assertUploads(server, {"base_url": front.base_url, "proxy": login("socks5h", proxy)})

    def test_a_tunnel_is_used_again(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Microsocks() as proxy:
            self.assertStaysOpen({"base_url": front.base_url, "proxy": login("socks5h", proxy)}, proxy)

    def test_one_that_was_started_anew_costs_no_attempt(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Microsocks() as proxy:
            self.assertStartsAnew({"base_url": front.base_url, "proxy": login("socks5", proxy)}, proxy)

    def test_one_that_is_killed_in_the_answers_leaves_half_of_them(self):
        with HalfAnAnswer() as server, Microsocks() as proxy:
            config = {"base_url": f"http://127.0.0.1:{server.port}/v1", "proxy": login("socks5h", proxy)}
            self.assertBreaksOff(config, proxy.stop)

    def test_a_proxy_of_another_kind_is_none(self):
        with FakeServer(echo) as server, Microsocks() as proxy:
            config = {"base_url": server.base_url, "proxy": login("http", proxy)}
            self.assertRefused(config, 1, f"127.0.0.1:{proxy.port}", "another kind of proxy")
            self.assertEqual(server.requests, [])

    def test_a_proxy_that_stays_silent_is_named(self):
        """An HTTP proxy waits for the end of a line that SOCKS does not have."""
        with FakeServer(echo) as server, Tinyproxy(server.port) as proxy:
            config = {"base_url": server.base_url, "timeouts": {"connect_ms": 200}, "retry": {"max_retries": 0}}
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery):
                    url = login("socks5h", proxy)
                    asked = self.ask_once({**config, "proxy": url}, question("any"), delivery)
                    self.assertEnded(asked, "TIMEOUT", 0, "timeouts.connect_ms", f"127.0.0.1:{proxy.port}")


class ProxyFromEnvironment(ProxyTest):
    """`"proxy": "environment"`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, program in (("server", FakeServer(echo)), ("socks", Microsocks())):
            setattr(cls, name, cls.enterClassContext(program))
        cls.front = cls.enterClassContext(Nginx(cls.server.port))
        cls.http = cls.enterClassContext(Tinyproxy(cls.server.port, cls.front.port))

    def ways(self, base_url, **settings):
        """Through which proxy each delivery goes; `proxy` of the config says to look."""
        ways = set()
        for delivery in DELIVERIES:
            before = len(self.http.tunnels), len(self.socks.tunnels)
            config = {"base_url": base_url, "proxy": "environment"}
            self.assertEchoes(self.ask_once(config, question("any"), delivery, **settings), "any")
            after = len(self.http.tunnels), len(self.socks.tunnels)
            ways.add({(1, 0): "http", (0, 1): "socks", (0, 0): "none"}[after[0] - before[0], after[1] - before[1]])
        return ways

    def test_https_goes_where_https_proxy_says_and_http_where_http_proxy_says(self):
        for https, http in (("HTTPS_PROXY", "http_proxy"), ("https_proxy", "http_proxy")):
            settings = {https: login("http", self.http), http: login("socks5h", self.socks)}
            self.assertEqual(self.ways(self.front.base_url, **settings), {"http"})
            self.assertEqual(self.ways(self.server.base_url, **settings), {"socks"})

    def test_both_go_where_all_proxy_says_unless_there_is_one_of_their_own(self):
        for name in ("ALL_PROXY", "all_proxy"):
            settings = {name: login("socks5", self.socks)}
            self.assertEqual(self.ways(self.front.base_url, **settings), {"socks"})
            self.assertEqual(self.ways(self.server.base_url, **settings), {"socks"})
            settings["http_proxy"] = login("http", self.http)
            self.assertEqual(self.ways(self.server.base_url, **settings), {"http"})

    def test_a_proxy_without_a_scheme_is_one_of_http(self):
        settings = {"HTTPS_PROXY": login("http", self.http).removeprefix("http://")}
        self.assertEqual(self.ways(self.front.base_url, **settings), {"http"})

    def test_who_stands_in_no_proxy_is_reached_directly(self):
        settings = {"ALL_PROXY": login("http", self.http)}
        for name, hosts in (("NO_PROXY", "example.org, localhost"), ("no_proxy", "*")):
            self.assertEqual(self.ways(self.front.base_url, **settings, **{name: hosts}), {"none"})
        self.assertEqual(self.ways(self.front.base_url, **settings, NO_PROXY="example.org"), {"http"})

    def test_http_proxy_in_capitals_is_not_read(self):
        settings = {"HTTP_PROXY": login("http", self.http)}
        self.assertEqual(self.ways(self.server.base_url, **settings), {"none"})

    def test_a_wrong_password_is_not_shown(self):
        settings = {"HTTPS_PROXY": login("http", self.http, "wrong-0123")}
        config = {"base_url": self.front.base_url, "proxy": "environment"}
        self.assertRefused(config, 1, f"127.0.0.1:{self.http.port}", "user name and password", "401", **settings)

    def test_unless_the_config_says_so_nothing_of_it_is_read(self):
        proxies = {
            name: login("http", self.http) for name in ("HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY")
        }
        before = len(self.http.tunnels)
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery):
                asked = self.ask_once({"base_url": self.front.base_url}, question("any"), delivery, **proxies)
                self.assertEchoes(asked, "any")
        self.assertEqual(len(self.http.tunnels), before)


class ProxiedStreams(ProxyTest):
    """What a stream holds once it has begun."""

    def test_four_at_once_need_one_thread_through_tls(self):
        with FakeServer(echo) as server, Nginx(server.port, "limit_rate 4000;") as front:
            self.assertFourAtOnceOnOneThread({"base_url": front.base_url}, server)

    def test_four_at_once_need_one_thread_through_an_http_proxy(self):
        with FakeServer(echo) as server, Nginx(server.port, "limit_rate 4000;") as front:
            with Tinyproxy(server.port, front.port) as proxy:
                for base_url in (server.base_url, front.base_url):
                    config = {"base_url": base_url, "proxy": login("http", proxy)}
                    self.assertFourAtOnceOnOneThread(config, server)

    def test_four_at_once_need_one_thread_through_a_socks_proxy(self):
        with FakeServer(echo) as server, Nginx(server.port, "limit_rate 4000;") as front, Microsocks() as proxy:
            for base_url, scheme in ((server.base_url, "socks5"), (front.base_url, "socks5h")):
                config = {"base_url": base_url, "proxy": login(scheme, proxy)}
                self.assertFourAtOnceOnOneThread(config, server)

    def test_valgrind_finds_nothing_in_an_answer_and_a_refusal(self):
        # valgrind takes what the assembly of AES-GCM makes for uninitialised.
        cipher = "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305;"
        with FakeServer(every_other(echo, refuse)) as server, Nginx(server.port, server=cipher) as front:
            with Tinyproxy(front.port) as proxy:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        config = {"base_url": front.base_url, "proxy": login("http", proxy)}
                        memcheck(self, "ask", *self.files(config, question("any")), delivery, "2")
                self.assertEqual(len(server.requests), 8)

    def test_the_report_tells_of_the_server_and_not_of_the_proxy(self):
        with FakeServer(echo) as server, Nginx(server.port) as front, Tinyproxy(front.port) as proxy:
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery):
                    config = {"base_url": front.base_url, "proxy": login("http", proxy)}
                    asked = self.ask_once(config, question("any"), delivery)
                    (attempt,) = asked.report["attempts"]
                    self.assertEqual(attempt["endpoint"], f"{front.base_url}/chat/completions")
                    self.assertNotIn(str(proxy.port), str(asked.report))
                    for phase in ("connect", "tls", "head", "first_event"):
                        self.assertGreater(asked.report["us"][phase], 0, phase)


CASES = (HttpProxy, SocksProxy, ProxyFromEnvironment, ProxiedStreams)
