"""The node of examples/godot in Godot's server, which is the engine without a display: signals from the frame, a stop, a failure."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from asking import model
from fake_server import FakeServer, echo
from harness import PATIENCE, CTest, build, environment

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Godot(CTest):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("godot3-server"):
            raise unittest.SkipTest("godot3-server is not here (apt-get install godot3-server)")
        if build.lib != REPOSITORY / "build" / "lib":
            raise unittest.SkipTest("another library is tested than the one that the node is built with")
        done = subprocess.run([REPOSITORY / "scripts" / "godot.sh"], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def play(self, server, **settings):
        """What the project prints of its own."""
        with tempfile.TemporaryDirectory(prefix="helio-godot-") as home:
            settings = {"HELIO_BASE_URL": server, "HELIO_API_KEY": "k", **{name: str(value) for name, value in settings.items()}}
            env = environment(HOME=home, XDG_DATA_HOME=home, **settings)
            command = ["godot3-server", "--path", str(REPOSITORY / "build" / "godot" / "project")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, env=env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [line for line in done.stdout.splitlines() if re.match(r"\d+ (said|failed|chunks)", line)]
        self.assertTrue(lines, done.stdout + done.stderr)
        return lines

    def test_words_come_by_signal_from_the_frame(self):
        with FakeServer(echo) as server:
            *said, figures = self.play(server.base_url, SPEAKERS=3)
        self.assertEqual(sorted(said), [f"{one + 1} said: You said: Greet the others, speaker {one}" for one in range(3)])
        self.assertTrue(figures.startswith("21 chunks, "), figures)

    def test_stop_ends_all_of_them_at_once(self):
        left = [threading.Event() for _ in range(2)]
        waiting = list(left)

        def hold(exchange):
            gone = waiting.pop()
            exchange.begin_stream()
            exchange.token("word")
            if exchange.client_leaves(PATIENCE):
                gone.set()

        with FakeServer(hold) as server:
            *said, figures = self.play(server.base_url, SPEAKERS=2, STOP_AFTER=2)
            self.assertTrue(all(gone.wait(PATIENCE) for gone in left), "a request goes on")
        self.assertEqual(len(said), 2)
        for line in said:
            self.assertIn("failed with HELIO_ERR_CANCELLED: ", line)
        self.assertTrue(figures.startswith("2 chunks, "), figures)

    def test_a_failure_is_told_with_what_to_do(self):
        with FakeServer(echo) as server:
            *said, _ = self.play(server.base_url, SPEAKERS=1, MODEL="refuse")
        self.assertIn("1 failed with HELIO_ERR_BAD_REQUEST: ", said[0])
        self.assertIn("this model is never served", said[0])

    def test_a_game_that_ends_in_the_middle_leaves_in_order(self):
        def hold(exchange):
            exchange.begin_stream()
            exchange.client_leaves(PATIENCE)

        with FakeServer(hold) as server:
            lines = self.play(server.base_url, SPEAKERS=2, FRAMES=5)
        self.assertTrue(lines[-1].startswith("0 chunks, "), lines)

    def test_twenty_speakers_of_a_real_model(self):
        real = model()
        *said, figures = self.play(real.base_url, SPEAKERS=20, MODEL=real.name, HELIO_API_KEY=real.key)
        self.assertEqual(len([line for line in said if " said: " in line]), 20, said)
        print(f"    {figures}")


CASES = (Godot,)
