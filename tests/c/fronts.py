"""nginx between helio and a server, as it stands before most: TLS, certificates, packing, its own error pages, its
limits, and what happens when something dies."""

import http.client
import json
import ssl
import threading

from asking import DELIVERIES, AskTest, model, question
from fake_server import FakeServer, by_question, echo, stay
from harness import PATIENCE, free_port
from rig import HalfAnAnswer, Nginx, certificates, half_an_answer, needs

PACKING = "gzip on; gzip_types *; gzip_min_length 1;"


class FrontTest(AskTest):
    @classmethod
    def setUpClass(cls):
        needs("nginx", "openssl")

    def assertPasses(self, front, config=None):
        """Each delivery gets its answer through it, whole and streamed."""
        for delivery in DELIVERIES:
            for stream in (False, True):
                with self.subTest(delivery=delivery, stream=stream):
                    whole = {"base_url": front.base_url, **(config or {})}
                    asked = self.ask_once(whole, question("this way", stream), delivery)
                    self.assertEchoes(asked, "this way")
                    self.assertEqual(asked.attempts, ["OK"])


def without_checking():
    """For a look at a server with other eyes."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask_without_helio(front, text):
    """Sends a question; the answer is still to come."""
    connection = http.client.HTTPSConnection("127.0.0.1", front.port, context=without_checking())
    connection.request("POST", "/v1/chat/completions", json.dumps(question(text)))
    return connection


class Front(FrontTest):
    """What passes through."""

    def test_an_answer_is_the_one_that_the_server_itself_gives(self):
        with Nginx(model().port) as front:
            self.assertSaysTheSame({"base_url": front.base_url})

    def test_an_answer_that_comes_packed_is_the_same(self):
        with Nginx(model().port, PACKING) as front:
            self.assertSaysTheSame({"base_url": front.base_url, "headers": {"Accept-Encoding": "gzip"}})
            self.eventually(lambda: len(front.requests) == 8)
            self.assertEqual({request["encoding"] for request in front.requests}, {"gzip"})

    def test_whole_answers_are_asked_for_packed_and_streams_are_not(self):
        with FakeServer(echo) as server, Nginx(server.port, PACKING) as front:
            for delivery in DELIVERIES:
                for stream in (False, True):
                    with self.subTest(delivery=delivery, stream=stream):
                        asked = self.ask_once({"base_url": front.base_url}, question("any", stream), delivery)
                        self.assertEchoes(asked, "any")
            self.eventually(lambda: len(front.requests) == 8)
            self.assertEqual([request["encoding"] for request in front.requests], ["gzip", "-"] * 4)

    def test_a_server_that_prefers_http_2_is_spoken_to_in_http_1(self):
        with FakeServer(echo) as server, Nginx(server.port, listen="http2") as front:
            other = without_checking()
            other.set_alpn_protocols(["h2", "http/1.1"])
            connection = http.client.HTTPSConnection("127.0.0.1", front.port, context=other)
            connection.connect()
            self.assertEqual(connection.sock.selected_alpn_protocol(), "h2")  # it does prefer it
            connection.close()
            self.assertPasses(front)
            self.eventually(lambda: len(front.requests) == 8)
            self.assertEqual({request["protocol"] for request in front.requests}, {"HTTP/1.1"})

    def test_tls_1_2_and_1_3_will_do(self):
        for version in ("TLSv1.2", "TLSv1.3"):
            with FakeServer(echo) as server, Nginx(server.port, server=f"ssl_protocols {version};") as front:
                self.assertPasses(front)

    def test_an_address_will_do_for_a_name(self):
        with FakeServer(echo) as server, Nginx(server.port) as front:
            self.assertPasses(front, {"base_url": f"https://127.0.0.1:{front.port}/v1"})

    def test_the_end_of_the_connection_may_be_the_end_of_the_answer(self):
        with FakeServer(echo) as server, Nginx(server.port, "chunked_transfer_encoding off;") as front:
            self.assertPasses(front)

    def test_each_token_is_seen_before_the_next_one_is_sent(self):
        seen = threading.Semaphore(0)

        def in_step(exchange):
            exchange.begin_stream()
            for number in range(5):
                exchange.token(f"<{number}>")
                if not seen.acquire(timeout=PATIENCE):
                    return exchange.cut()
            exchange.end_stream()

        for pace in ("", "limit_rate 4000;"):
            with FakeServer(in_step) as server, Nginx(server.port, pace) as front:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery, pace=pace):
                        config = {"base_url": front.base_url}
                        with self.asking(config, question("any"), delivery, "1", "chunks") as conversation:
                            for number in range(5):
                                self.assertEqual(conversation.line(), {"chunk": f"<{number}>"})
                                seen.release()
                            self.assertEqual(conversation.line(), {"chunk": None})
                            self.assertEqual(conversation.asked().text, "<0><1><2><3><4>")

    def test_a_long_body_arrives_whole(self):
        long = "0123456789abcdef" * 300_000
        with FakeServer(lambda exchange: exchange.complete("done")) as server, Nginx(server.port) as front:
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery):
                    asked = self.ask_once({"base_url": front.base_url}, question(long), delivery)
                    self.assertEqual(asked.status, "OK", asked)
                    self.assertTrue(server.requests.pop().last_message == long)


class Pages(FrontTest):
    """What nginx itself answers, in HTML."""

    def assertAnswered(self, front, status, http_status, attempts, *words, request=None):
        for delivery in DELIVERIES:
            with self.subTest(delivery=delivery, words=words):
                config = {"base_url": front.base_url}
                asked = self.ask_once(config, request or question("any"), delivery)
                self.assertEnded(asked, status, http_status, *words)
                self.assertNotIn("<", asked.message)  # its words, not its marks
                self.assertIn("<html>", asked.error["body"])
                self.assertEqual(asked.attempts, [status] * attempts)

    def test_a_dead_server_behind_it_is_a_server_error_in_words(self):
        with Nginx(free_port()) as front:
            self.assertAnswered(front, "SERVER", 502, 3, "502 Bad Gateway")

    def test_an_overload_is_told_in_words(self):
        with Nginx(free_port(), "return 503;") as front:
            self.assertAnswered(front, "OVERLOADED", 503, 3, "503 Service Temporarily Unavailable")

    def test_a_wrong_path_is_not_found_in_words(self):
        with Nginx(free_port(), "return 404;") as front:
            self.assertAnswered(front, "NOT_FOUND", 404, 1, "404 Not Found")

    def test_a_body_that_is_too_large_is_told_while_it_is_being_sent(self):
        request = question("x" * 8_000_000)
        for tls in (True, False):
            # Without `lingering_close` it closes the connection under what is still coming.
            for close in ("", "lingering_close off;"):
                with Nginx(free_port(), f"client_max_body_size 64k; {close}", tls=tls) as front:
                    words = ("413 Request Entity Too Large",)
                    self.assertAnswered(front, "BAD_REQUEST", 413, 1, *words, request=request)

    def test_a_redirect_is_named_and_not_followed(self):
        with FakeServer(echo) as server, Nginx(server.port) as target:
            with Nginx(free_port(), f"return 307 {target.base_url}/elsewhere;") as front:
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery):
                        asked = self.ask_once({"base_url": front.base_url}, question("any"), delivery)
                        self.assertEnded(asked, "PROTOCOL", 307, "307", f"{target.base_url}/elsewhere")
                        self.assertEqual(asked.attempts, ["PROTOCOL"])
            self.assertEqual((target.requests, server.requests), ([], []))

    def test_who_comes_while_there_is_no_room_is_answered_once_there_is(self):
        for http_status, status in ((429, "RATE_LIMITED"), (503, "OVERLOADED")):
            room = "limit_conn_zone $server_port zone=all:1m;"
            limit = f"limit_conn all 1; limit_conn_status {http_status};"
            with FakeServer(by_question({"first": stay, "second": echo})) as server:
                with Nginx(server.port, limit, http=room) as front:

                    def refusals():
                        return sum(request["status"] == http_status for request in front.requests)

                    for delivery in DELIVERIES:
                        with self.subTest(delivery=delivery, http_status=http_status):
                            server.requests.clear()
                            before = refusals()
                            first = ask_without_helio(front, "first")
                            self.eventually(lambda: server.requests)
                            retry = {"max_retries": 10_000, "base_ms": 10, "max_ms": 10}
                            config = {"base_url": front.base_url, "retry": retry}
                            with self.asking(config, question("second"), delivery) as conversation:
                                self.eventually(lambda: refusals() > before)
                                first.close()
                                asked = conversation.asked()
                            self.assertEchoes(asked, "second")
                            self.assertEqual(set(asked.attempts[:-1]), {status})


class Certificate(FrontTest):
    """Who the server says it is."""

    def assertRefused(self, certificate, *words, config=None):
        """In words that name cause and remedy, and the server gets nothing."""
        with FakeServer(echo) as server, Nginx(server.port, certificate=certificate) as front:
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery, certificate=certificate):
                    whole = {"base_url": front.base_url, **(config or {})}
                    asked = self.ask_once(whole, question("a secret"), delivery)
                    self.assertEnded(asked, "TLS", 0, *words)
                    self.assertEqual(asked.attempts, ["TLS"])
            ask_without_helio(front, "who does not check").getresponse().read()
            self.assertEqual([request.last_message for request in server.requests], ["who does not check"])

    def test_one_for_another_name_is_refused(self):
        self.assertRefused("wrong-name", "not valid for the name localhost", "wrong name", "check base_url")

    def test_one_that_has_expired_is_refused(self):
        self.assertRefused("expired", "certificate of localhost", "expired", "must renew it", "clock")

    def test_one_that_is_not_yet_valid_is_refused(self):
        self.assertRefused("not-yet-valid", "certificate of localhost", "not valid yet", "clock")

    def test_one_of_an_unknown_issuer_is_refused(self):
        self.assertRefused("unknown-issuer", "certificate of localhost", "unknown issuer", "tls.ca_file")

    def test_one_of_our_own_root_is_refused_when_that_is_not_named(self):
        for roots in ("bundled", "system"):
            words = ("certificate of localhost", "unknown issuer", "tls.ca_file")
            self.assertRefused("localhost", *words, config={"tls": {"roots": roots}})

    def test_one_that_signs_itself_is_refused(self):
        self.assertRefused("self-signed", "certificate of localhost", "unknown issuer", "tls.ca_file")

    def test_one_that_signs_itself_as_an_authority_is_refused_even_when_it_is_named(self):
        itself = {"tls": {"ca_file": str(certificates() / "self-signed-the-usual-way.pem")}}
        for config in ({}, itself):
            self.assertRefused("self-signed-the-usual-way", "certificate of localhost", "CA:FALSE", config=config)

    def test_one_that_signs_itself_is_accepted_when_it_is_named(self):
        named = {"tls": {"ca_file": str(certificates() / "self-signed.pem")}}
        with FakeServer(echo) as server, Nginx(server.port, certificate="self-signed") as front:
            self.assertPasses(front, named)

    def test_a_root_may_be_named_as_text(self):
        named = {"tls": {"ca_pem": (certificates() / "root.pem").read_text()}}
        with FakeServer(echo) as server, Nginx(server.port) as front:
            self.assertPasses(front, named)


class ClientCertificate(FrontTest):
    """Who we say we are, where nginx asks."""

    def asked_for(self, server):
        wanted = f"ssl_verify_client on; ssl_client_certificate {certificates()}/root.pem;"
        return Nginx(server.port, server=wanted)

    def ours(self, name):
        keys = certificates()
        files = {"ca_file": "root.pem", "client_cert_file": f"{name}.pem", "client_key_file": "server.key"}
        return {"tls": {key: str(keys / file) for key, file in files.items()}}

    def test_the_right_one_opens(self):
        with FakeServer(echo) as server, self.asked_for(server) as front:
            self.assertPasses(front, self.ours("client"))

    def assertRefused(self, config, word):
        with FakeServer(echo) as server, self.asked_for(server) as front:
            for delivery in DELIVERIES:
                with self.subTest(delivery=delivery):
                    asked = self.ask_once({"base_url": front.base_url, **config}, question("any"), delivery)
                    self.assertEnded(asked, "BAD_REQUEST", 400, word)
            self.assertEqual(server.requests, [])

    def test_none_is_refused_in_words(self):
        self.assertRefused({}, "No required SSL certificate was sent")

    def test_one_of_an_unknown_issuer_is_refused_in_words(self):
        self.assertRefused(self.ours("unknown-client"), "The SSL certificate error")


class Ends(FrontTest):
    """What dies on the way, and what costs nothing."""

    def test_a_server_that_is_killed_in_its_answers_leaves_half_of_them(self):
        for framing in ("", "chunked_transfer_encoding off;"):
            with self.subTest(framing=framing):
                with HalfAnAnswer() as server, Nginx(server.port, framing) as front:
                    self.assertBreaksOff({"base_url": front.base_url}, server.stop)

    def test_a_front_that_is_killed_in_the_answers_leaves_half_of_them(self):
        for tls in (True, False):
            with self.subTest(tls=tls), FakeServer(half_an_answer) as server, Nginx(server.port, tls=tls) as front:
                self.assertBreaksOff({"base_url": front.base_url}, front.stop)

    def test_a_connection_is_used_again(self):
        with FakeServer(echo) as server, Nginx(server.port) as front:
            config = {"base_url": front.base_url}
            for delivery in DELIVERIES:
                # When DONE of a stream is shown in THREAD, its thread still has to give the connection back.
                for stream in (False,) if delivery == "thread" else (False, True):
                    with self.subTest(delivery=delivery, stream=stream):
                        answered = len(front.requests)
                        with self.asking(config, question("again", stream), delivery, "3") as conversation:
                            for place in range(3):
                                if place > 0:
                                    # A stream's last bytes may come behind its DONE: now they have left.
                                    self.eventually(lambda: len(front.requests) == answered + place)
                                    conversation.go_on()
                                asked = conversation.asked()
                                self.assertEqual(asked.report["attempts"][0]["reused"], place > 0, asked)
                        self.eventually(lambda: len(front.requests) == answered + 3)

    def test_a_connection_that_the_server_ends_is_not(self):
        with FakeServer(echo) as server, Nginx(server.port, "keepalive_requests 1;") as front:
            for delivery in DELIVERIES:
                for stream in (False, True):
                    with self.subTest(delivery=delivery, stream=stream):
                        config = {"base_url": front.base_url, "retry": {"max_retries": 0}}
                        for asked in self.ask(config, question("again", stream), delivery, "3"):
                            self.assertEchoes(asked, "again")
                            self.assertEqual(asked.report["attempts"][0]["reused"], False)

    def test_a_front_that_was_started_anew_costs_no_attempt(self):
        for tls in (True, False):
            with FakeServer(echo) as server, Nginx(server.port, tls=tls) as front:
                config = {"base_url": front.base_url, "retry": {"max_retries": 0}}
                for delivery in DELIVERIES:
                    with self.subTest(delivery=delivery, tls=tls):
                        with self.asking(config, question("again"), delivery, "2") as conversation:
                            self.assertEchoes(conversation.asked(), "again")
                            front.restart()
                            conversation.go_on()
                            asked = conversation.asked()
                        self.assertEchoes(asked, "again")
                        self.assertEqual(asked.attempts, ["OK"])
                        self.assertEqual(asked.report["attempts"][0]["reused"], False)


CASES = (Front, Pages, Certificate, ClientCertificate, Ends)
