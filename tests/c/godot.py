"""The node of examples/godot in Godot's server, which is the engine without a display: signals from the frame, a stop, a failure."""

import re
import tempfile
import threading

from asking import model
from fake_server import FakeServer, begin_and_stay, echo
from harness import PATIENCE, REPOSITORY, CTest, call, environment, need, need_own_library


class Godot(CTest):
    @classmethod
    def setUpClass(cls):
        need("godot3-server")
        need_own_library()
        call(REPOSITORY / "scripts" / "godot.sh")

    def play(self, server, **settings):
        """What the project prints of its own."""
        with tempfile.TemporaryDirectory(prefix="helio-godot-") as home:
            settings = {"HELIO_BASE_URL": server, "HELIO_API_KEY": "k", **settings}
            env = environment(HOME=home, XDG_DATA_HOME=home, **settings)
            project = REPOSITORY / "build" / "godot" / "project"
            out = call("godot3-server", "--path", project, timeout=2 * PATIENCE, env=env)
        lines = [line for line in out.splitlines() if re.match(r"\d+ (said|failed|chunks)", line)]
        self.assertTrue(lines, out)
        return lines

    def test_words_come_by_signal_from_the_frame(self):
        with FakeServer(echo) as server:
            *said, figures = self.play(server.base_url, SPEAKERS=3)
        self.assertEqual(sorted(said), [f"{one + 1} said: You said: Greet the others, speaker {one}" for one in range(3)])
        self.assertTrue(figures.startswith("21 chunks, "), figures)

    def test_stop_ends_all_of_them_at_once(self):
        left = [threading.Event() for _ in range(2)]
        waiting = list(left)

        with FakeServer(lambda exchange: begin_and_stay("word", left=waiting.pop())(exchange)) as server:
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
        with FakeServer(begin_and_stay()) as server:
            lines = self.play(server.base_url, SPEAKERS=2, FRAMES=5)
        self.assertTrue(lines[-1].startswith("0 chunks, "), lines)

    def test_twenty_speakers_of_a_real_model(self):
        real = model()
        *said, figures = self.play(real.base_url, SPEAKERS=20, MODEL=real.name, HELIO_API_KEY=real.key)
        self.assertEqual(len([line for line in said if " said: " in line]), 20, said)
        print(f"    {figures}")


CASES = (Godot,)
