"""The chat window of examples/desktop, driven as a person does it: keys and clicks by xdotool, in a display of the test's own (Xvfb).
HELIO_BLESS=1 writes its picture into docs/images."""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from asking import model
from fake_server import FakeServer, begin_and_stay, echo, in_turn
from harness import PATIENCE, REPOSITORY, CTest, build, call, environment, make, need, need_own_library

BUTTON = (593, 530)  # where Send and Stop are, in a window of 640 by 560 at the corner of the display
MODELS = (68, 27)
ENTRY = (300, 530)
ANSWER = """It is **blue** because of Rayleigh scattering, which goes with `1 / wavelength^4`:

```python
def scattered(wavelength_nm):
    return (550 / wavelength_nm) ** 4
```

So blue is scattered about four times as much as red."""


class Window:
    """A running program, its display, and what it says."""

    def __init__(self, display, settings, env):
        self.folder = pathlib.Path(env["XDG_DATA_HOME"])
        path = self.folder / "settings.json"
        path.write_text(json.dumps(settings))
        self.env = {**env, "DISPLAY": display, "HELIO_CHAT_SETTINGS": str(path), "HELIO_CHAT_TRACE": "1"}
        program = build.lib.parent / "bin" / "desktop"
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def says(self, beginning, patience=PATIENCE):
        """Waits for this line, and gives it."""
        end = time.monotonic() + patience
        while True:
            line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            if line is None:
                raise AssertionError(f"it ended without {beginning!r}: {self.process.stderr.read()}")
            if line.startswith("error: "):
                self.complaint = line
            if line.startswith(beginning):
                return line

    def do(self, *command):
        return call("xdotool", *command, env=self.env, timeout=PATIENCE)

    def appear(self):
        self.says("ready")
        self.id = self.do("search", "--sync", "--name", "helio chat").split()[-1]
        # Without a window manager nobody gives it the keys.
        self.do("windowfocus", "--sync", self.id)

    def write(self, text):
        self.do("type", "--delay", "1", text)

    def press(self, key):
        self.do("key", key)

    def click(self, place):
        self.do("mousemove", *place, "click", 1)

    def picture(self, path):
        call("import", "-window", self.id, path, env=self.env, timeout=PATIENCE)

    def end(self):
        """As who closes the window; its exit code."""
        self.press("ctrl+w")
        return self.process.wait(PATIENCE)


class Desktop(CTest):
    @classmethod
    def setUpClass(cls):
        need("Xvfb", "xdotool", "import", "pkg-config")
        need_own_library()
        if subprocess.run(["pkg-config", "--exists", "gtk4"]).returncode != 0:
            raise unittest.SkipTest("GTK 4 is not here (apt-get install libgtk-4-dev)")
        make("desktop")
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x640x24", "-nolisten", "tcp"]
        cls.display = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end_display)
        os.close(writing)
        with os.fdopen(reading) as told:
            cls.name = f":{told.readline().strip()}"

    @classmethod
    def end_display(cls):
        cls.display.terminate()
        cls.display.wait(PATIENCE)

    @contextlib.contextmanager
    def window(self, base_url, folder=None, key="k", **settings):
        with contextlib.ExitStack() as stack:
            folder = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="helio-desktop-"))
            env = environment(
                XDG_DATA_HOME=folder, XDG_CONFIG_HOME=folder, HOME=folder, GSK_RENDERER="cairo", GTK_A11Y="none", GDK_BACKEND="x11",
                GSETTINGS_BACKEND="memory", GTK_USE_PORTAL="0", DBUS_SESSION_BUS_ADDRESS="disabled:", LANG="C.UTF-8",
            )
            settings = {"client": {"base_url": base_url, "api_key": key, "retry": {"max_retries": 0}}, **settings}
            window = Window(self.name, settings, env)
            try:
                window.appear()
                yield window
            finally:
                window.process.kill()
                window.process.wait()

    def history(self, window):
        return json.loads((window.folder / "helio-chat.json").read_text()).get("messages", [])

    def test_a_question_is_answered_and_kept_for_the_next_one_and_the_next_time(self):
        with tempfile.TemporaryDirectory(prefix="helio-desktop-") as folder, FakeServer(echo) as server:
            with self.window(server.base_url, folder, models=["first", "second"]) as window:
                window.write("one")
                window.press("Return")
                window.says("answered: You said: one")
                window.write("two")
                window.click(BUTTON)
                window.says("answered: You said: two")
                self.assertEqual(window.end(), 0)
            with self.window(server.base_url, folder, models=["first", "second"]) as window:
                window.write("three")
                window.press("Return")
                window.says("answered: You said: three")
                self.assertEqual(len(self.history(window)), 6)
        told = server.requests[2].json
        self.assertEqual((told["model"], told["stream"]), ("first", True))
        said = ["one", "You said: one", "two", "You said: two", "three"]
        self.assertEqual([message["content"] for message in told["messages"]], said)

    def test_another_model_can_be_chosen_from_the_settings(self):
        with FakeServer(echo) as server, self.window(server.base_url, models=["first", "second"]) as window:
            for _ in range(20):
                window.click(MODELS)
                time.sleep(0.3)  # the list opens; where that takes longer the next turn finds it open
                window.press("Down")
                window.press("Return")
                with contextlib.suppress(queue.Empty):
                    window.says("model: second", 1)
                    break
            window.click(ENTRY)
            window.write("Hi")
            window.press("Return")
            window.says("answered")
        self.assertEqual(server.requests[0].json["model"], "second")

    def stopped(self, how):
        gone = threading.Event()

        with FakeServer(in_turn(begin_and_stay("half of it", left=gone), echo)) as server, self.window(server.base_url) as window:
            window.write("Tell me")
            window.press("Return")
            window.says("first text")
            window.write("next")  # the window lives meanwhile
            how(window)
            window.says("stopped: half of it")
            self.assertTrue(gone.wait(PATIENCE), "the request goes on")
            self.assertEqual([message["content"] for message in self.history(window)], ["Tell me", "half of it"])
            window.press("Return")
            window.says("answered: You said: next")

    def test_escape_stops_and_what_was_typed_meanwhile_is_sent_next(self):
        self.stopped(lambda window: window.press("Escape"))

    def test_the_button_stops_while_an_answer_comes(self):
        self.stopped(lambda window: window.click(BUTTON))

    def test_a_failure_says_what_to_do_and_the_question_comes_back(self):
        with FakeServer(echo) as server, self.window(server.base_url, models=["refuse"]) as window:
            window.write("lost?")
            window.press("Return")
            self.assertIn("this model is never served", window.says("error: "))
            window.says("failed")
            self.assertEqual(self.history(window), [])
            window.press("Return")  # it stands in the entry again
            window.says("failed")
        self.assertEqual([request.last_message for request in server.requests], ["lost?", "lost?"])

    def test_a_config_that_is_wrong_is_told_in_the_window(self):
        with FakeServer(echo) as server, self.window(server.base_url, client={"base_ulr": "x"}) as window:
            self.assertIn("base_url", window.complaint)  # and it appeared
        self.assertEqual(server.requests, [])

    def test_it_closes_in_the_middle_of_an_answer(self):
        gone = threading.Event()

        with FakeServer(begin_and_stay("half", left=gone)) as server, self.window(server.base_url) as window:
            window.write("Hi")
            window.press("Return")
            window.says("first text")
            self.assertEqual(window.end(), 0)
            self.assertTrue(gone.wait(PATIENCE), "the request goes on")

    def test_code_and_bold_are_shown_in_a_picture(self):
        def answer(exchange):
            exchange.stream([ANSWER[at : at + 7] for at in range(0, len(ANSWER), 7)])

        with FakeServer(answer) as server, self.window(server.base_url, models=["gpt-4o-mini"]) as window:
            window.write("Why is the sky blue?")
            window.press("Return")
            window.says("answered")
            picture = window.folder / "picture.png"
            time.sleep(0.3)  # the frame after the last piece
            window.picture(picture)
            colours = call("identify", "-format", "%k %w %h", picture).split()
            self.assertGreater(int(colours[0]), 50)
            self.assertEqual(colours[1:], ["640", "560"])
            if os.environ.get("HELIO_BLESS") == "1":
                shutil.copy(picture, REPOSITORY / "docs" / "images" / "desktop.png")

    def test_a_real_model_answers(self):
        real = model()
        with self.window(real.base_url, key=real.key, models=[real.name]) as window:
            window.write("Name a colour.")
            window.press("Return")
            window.says("answered")
            self.assertEqual(len(self.history(window)), 2)


CASES = (Desktop,)
