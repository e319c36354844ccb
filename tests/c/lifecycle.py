"""How the library comes and goes: opened and closed again and again, and left behind by a program that ends."""

import pathlib

from fake_server import FakeServer, begin_and_stay, echo
from harness import CTest, build, compile_program, memcheck, run


class Reload(CTest):
    """Like a plug-in host, which is not linked with the library."""

    @classmethod
    def setUpClass(cls):
        compile_program(pathlib.Path(__file__).parent / "reload.c", "reload", libraries=["-ldl"])
        cls.library = str(build.lib / "libhelio.so")

    def test_a_thousand_rounds_leave_no_thread_no_descriptor_and_no_memory(self):
        with FakeServer(echo) as server:
            outcome = run("reload", self.library, server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(len(server.requests), 2000)
        self.assertIn("still loaded", outcome.out)  # nodelete: what the linker keeps of threads is never unmapped

    def test_valgrind_finds_nothing_in_a_few_rounds(self):
        with FakeServer(echo) as server:
            memcheck(self, "reload", self.library, server.base_url, "4", "100000")


class Leave(CTest):
    """A program that ends in the middle of everything."""

    def leaves(self, how, times=15):
        for _ in range(times):
            with FakeServer(begin_and_stay("a word")) as server:
                outcome = run("leave", server.base_url, how)
            self.assertSucceeded(outcome)
            self.assertEqual((outcome.out, outcome.err), ("goodbye\n", ""))

    def test_main_may_return_with_requests_alive(self):
        self.leaves("return")

    def test_exit_may_be_called_with_requests_alive(self):
        self.leaves("exit")

    def test_a_callback_on_a_library_thread_may_call_exit(self):
        self.leaves("callback")


CASES = (Reload, Leave)
