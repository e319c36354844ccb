"""The game scene of examples/sdl, run without a display. What it shows is read from its screenshot, letter by
letter, with the font and the colours of its own sources."""

import functools
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time

from fake_server import FakeServer, tokens_of
from harness import PATIENCE, CTest, compile_program, compilers, free_port, memcheck, run

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "examples" / "sdl"
NAMES = ["Bolt", "Ginger", "Orlo", "Wisp"]  # from left to right, each in a quarter of the picture


# Reading a screenshot --------------------------------------------------------------------------


def number(name):
    """A number of draw.h or font.h, by its name."""
    for header in ("draw.h", "font.h"):
        found = re.search(rf"\b{name}(?: =)? (\w+)", (SOURCES / header).read_text())
        if found:
            return int(found[1], 0)
    raise AssertionError(f"{name} stands in no header")


@functools.cache
def letters():
    """Each glyph of font.h, by its dots: a string of rows."""
    rows = re.findall(r'^ {4}[{ ]"([ #]+)"', (SOURCES / "font.h").read_text(), re.M)
    width, height, per_band = (number(name) for name in ("GLYPH_WIDTH", "GLYPH_HEIGHT", "GLYPHS_PER_BAND"))
    table = {}
    for code in range(32, 128):
        band, place = divmod(code - 32, per_band)
        begin = place * (width + 1)
        dots = [rows[band * height + row][begin : begin + width] for row in range(height)]
        table["".join(dots)] = chr(code) if code < 127 else "\N{REPLACEMENT CHARACTER}"
    assert len(table) == 96, "two glyphs look alike"
    return table


class Picture:
    """A screenshot in dots: what the scene counts in, two by two pixels each."""

    def __init__(self, path):
        data = path.read_bytes()
        offset, _, width, height, _, bits = struct.unpack_from("<IIiiHH", data, 10)
        zoom = number("ZOOM")
        assert (width, abs(height), bits) == (960, 540, 24), (width, height, bits)
        stride = (width * 3 + 3) // 4 * 4
        self.rows = []
        for y in range(0, abs(height), zoom):
            line = offset + (y if height < 0 else height - 1 - y) * stride
            row = data[line : line + width * 3]
            self.rows.append([row[x : x + 3][::-1].hex() for x in range(0, width * 3, zoom * 3)])

    def bubble(self, quarter):
        """What one character says, and whether it is shown as an error. None: there is no bubble."""
        names = {False: ("PAPER", "INK"), True: ("PAPER_FAILED", "INK_FAILED")}
        for failed, (paper, ink) in names.items():
            paper, ink = f"{number(paper):06x}", f"{number(ink):06x}"
            begin, end = quarter * 120, quarter * 120 + 120
            sheet = [(x, y) for y, row in enumerate(self.rows) for x in range(begin, end) if row[x] == paper]
            if sheet:
                margin = number("BUBBLE_MARGIN")
                columns, lines = [x for x, _ in sheet], [y for _, y in sheet]
                # The sheet ends in a tail below its last line, too low for another one.
                across = range(min(columns) + margin, max(columns) - margin, number("LETTER_PITCH"))
                bottom = max(lines) - margin - number("GLYPH_HEIGHT")
                down = range(min(lines) + margin, bottom, number("LINE_PITCH"))
                text = ["".join(self.letter(x, y, ink) for x in across).rstrip() for y in down]
                return " ".join(text), failed
        return None

    def letter(self, x, y, ink):
        rows = [self.rows[y + row][x : x + number("GLYPH_WIDTH")] for row in range(number("GLYPH_HEIGHT"))]
        dots = "".join("#" if dot == ink else " " for row in rows for dot in row)
        return letters().get(dots, f"<no letter at {x},{y}>")


class Shown:
    """How a run of the scene ended: its line of figures and its last frame."""

    def __init__(self, outcome, path):
        self.outcome = outcome
        self.picture = Picture(path)
        line = r"scene: (\d+) frames, worst frame [\d.]+ ms \([\d.]+ of it work\), worst poll [\d.]+ ms, "
        line += r"(\d) of 4 finished, (\d) stopped, (\d) failed\n(?:scene: (\d+) of a crowd of (\d+) finished\n)?"
        figures = re.fullmatch(line, outcome.out)
        if not figures:
            raise AssertionError(f"no line of figures:\n{outcome}")
        self.line, self.crowd = figures.group(0), figures.groups()[4:]
        self.frames, self.finished, self.stopped, self.failed = map(int, figures.groups()[:4])

    @property
    def bubbles(self):
        return [self.picture.bubble(quarter) for quarter in range(4)]


# The tests -------------------------------------------------------------------------------------


def flags():
    asked = subprocess.run(["sdl2-config", "--cflags", "--libs"], capture_output=True, text=True, check=True)
    return [str(SOURCES / "draw.c"), *asked.stdout.split(), "-lm"]


@functools.cache
def compile_scene():
    compile_program(SOURCES / "scene.c", "scene", more=flags())


def speaker(exchange):
    persona = exchange.request.json["messages"][0]["content"]
    return next(place for place, name in enumerate(NAMES) if name in persona)


def squeezed(text):
    """Without blanks: a bubble puts line ends where it likes."""
    return re.sub(r"\s", "", text)


class Scene(CTest):
    def setUp(self):
        if not shutil.which("sdl2-config"):
            self.skipTest("SDL2 is not here (apt-get install libsdl2-dev)")
        compile_scene()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def play(self, base_url, *arguments, code=0):
        path = self.folder / "scene.bmp"
        settings = {"BASE_URL": base_url, "SDL_VIDEODRIVER": "dummy"}
        outcome = run("scene", *arguments, "--screenshot", str(path), **settings)
        self.assertEqual((outcome.code, outcome.err), (code, ""), outcome)
        return Shown(outcome, path)

    def test_compiles_without_a_warning(self):
        for compiler in compilers():
            for standard in ("c99", "c11", "c17"):
                with self.subTest(compiler=compiler, standard=standard):
                    compile_program(SOURCES / "scene.c", "unused", compiler, standard, flags())

    def test_four_answers_stream_at_once_into_four_bubbles(self):
        printable = "".join(map(chr, range(33, 127)))
        texts = [
            "One two three four five six seven eight nine ten eleven twelve thirteen.",
            "The quick brown fox jumps over the lazy dog. 0123456789",
            " ".join(printable[at : at + 12] for at in range(0, len(printable), 12)),
            "A short answer.",
        ]
        together = threading.Barrier(4, timeout=PATIENCE)

        def in_step(exchange):
            """No answer goes on before all four have come as far: they can only end if they run at once."""
            tokens = tokens_of(texts[speaker(exchange)])
            exchange.begin_stream()
            for step in range(max(len(tokens_of(text)) for text in texts)):
                together.wait()
                time.sleep(0.02)  # slower than the frames, as a model is
                if step < len(tokens):
                    exchange.token(tokens[step])
            exchange.end_stream()

        with FakeServer(in_step) as server:
            shown = self.play(server.base_url, "--until-done")
        self.assertEqual(shown.bubbles, [(text, False) for text in texts])
        self.assertEqual((shown.finished, shown.stopped, shown.failed), (4, 0, 0))
        self.assertGreater(shown.frames, 4)  # it drew while they talked
        self.assertEqual([request.json["stream"] for request in server.requests], [True] * 4)

    def test_what_the_font_lacks_becomes_a_box_and_a_long_answer_scrolls(self):
        words = [f"word{number}" for number in range(100)]
        texts = ["Grün 🙂 ok", "“It’s”\u2014an…", " ".join(words), "x" * 40]

        def answer(exchange):
            exchange.stream(tokens_of(texts[speaker(exchange)]))

        with FakeServer(answer) as server:
            shown = self.play(server.base_url, "--until-done")
        said = [text for text, _ in shown.bubbles]
        box = "\N{REPLACEMENT CHARACTER}"
        self.assertEqual(said[0], f"Gr{box}n {box} ok")
        self.assertEqual(said[1], "\"It's\"-an...")
        seen = said[2].split()
        self.assertEqual(seen, words[-len(seen) :])
        self.assertGreater(len(seen), 13)
        self.assertEqual(squeezed(said[3]), "x" * 40)

    def test_an_error_is_shown_in_words_and_the_others_talk_on(self):
        def four_ways(exchange):
            place = speaker(exchange)
            if place == 0:
                exchange.refuse(400, "the kitchen is on fire")
            elif place == 1:
                exchange.begin_stream()
                exchange.token("Half an answer")
                exchange.cut()
            elif place == 2:
                exchange.complete("Not streamed.")
            else:
                exchange.stream(["All ", "is ", "well."])

        with FakeServer(four_ways) as server:
            shown = self.play(server.base_url, "--until-done")
        refused, broken, whole, streamed = shown.bubbles
        self.assertIn("the kitchen is on fire", refused[0])
        self.assertTrue(refused[1])
        self.assertRegex(broken[0], r"^Half an answer\.\.\. .*broke off")
        self.assertTrue(broken[1])
        self.assertEqual((whole, streamed), (("Not streamed.", False), ("All is well.", False)))
        self.assertEqual((shown.finished, shown.stopped, shown.failed), (2, 0, 2))

    def endless(self, until):
        """A server that says two words and then nothing, until that event or until the client leaves."""
        left = []

        def behaviour(exchange):
            exchange.begin_stream()
            exchange.token("First words")
            while not until.is_set():
                if exchange.client_leaves(0.05):
                    left.append(speaker(exchange))
                    return exchange.cut()
            exchange.token(" and last.")
            exchange.end_stream()

        return behaviour, left

    def test_keys_stop_all_talk_and_what_was_said_stays(self):
        for key in ("S", "Escape"):
            with self.subTest(key=key):
                behaviour, left = self.endless(threading.Event())
                with FakeServer(behaviour) as server:
                    shown = self.play(server.base_url, "--until-done", "--press", f"{key}@talking")
                    self.assertEqual(shown.bubbles, [("First words [stopped]", False)] * 4)
                    self.assertEqual((shown.finished, shown.stopped, shown.failed), (0, 4, 0))
                    self.eventually(lambda: sorted(left) == [0, 1, 2, 3])

    def test_space_lets_them_talk_again(self):
        hold, _ = self.endless(threading.Event())
        first_topic = []

        def behaviour(exchange):
            """Everyone is asked one thing in the first round and another one in the second."""
            first_topic[:] = first_topic or [exchange.request.last_message]
            if exchange.request.last_message == first_topic[0]:
                hold(exchange)
            else:
                exchange.stream(["Second ", "words"])

        with FakeServer(behaviour) as server:
            shown = self.play(
                server.base_url, "--until-done", "--press", "S@talking", "--press", "Space@quiet"
            )
        self.assertEqual(shown.bubbles, [("Second words", False)] * 4)
        self.assertEqual((shown.finished, len(server.requests)), (4, 8))

    def test_a_click_stops_only_the_one_it_hits(self):
        stopped = threading.Event()
        behaviour, left = self.endless(stopped)

        def watched(exchange):
            behaviour(exchange)
            if left:
                stopped.set()

        with FakeServer(watched) as server:
            shown = self.play(server.base_url, "--until-done", "--press", "click2@talking")
        whole = ("First words and last.", False)
        self.assertEqual(shown.bubbles, [whole, ("First words [stopped]", False), whole, whole])
        self.assertEqual((shown.finished, shown.stopped, left), (3, 1, [1]))

    def test_a_click_lets_only_that_one_talk_again(self):
        def count(exchange):
            turns = [request for request in server.requests if NAMES[speaker(exchange)] in str(request.json)]
            exchange.stream([f"Turn {len(turns)}"])

        with FakeServer(count) as server:
            shown = self.play(server.base_url, "--until-done", "--press", "click3@quiet")
        self.assertEqual([text for text, _ in shown.bubbles], ["Turn 1", "Turn 1", "Turn 2", "Turn 1"])

    def test_every_frame_differs_while_nobody_answers(self):
        """What moves stands in the lower half; the figures below it do not count."""
        silent = threading.Event()
        self.addCleanup(silent.set)
        with FakeServer(lambda exchange: silent.wait(PATIENCE)) as server:
            frames = [self.play(server.base_url, "--frames", str(40 + n)) for n in range(4)]
        self.assertEqual([shown.frames for shown in frames], [40, 41, 42, 43])
        scenery = [shown.picture.rows[175:236] for shown in frames]
        for before, after in zip(scenery, scenery[1:]):
            self.assertNotEqual(before, after)

    def test_until_done_gives_up_after_its_frames(self):
        silent = threading.Event()
        self.addCleanup(silent.set)
        with FakeServer(lambda exchange: silent.wait(PATIENCE)) as server:
            shown = self.play(server.base_url, "--until-done", "--frames", "20", code=1)
        self.assertEqual((shown.frames, shown.finished), (20, 0))

    def test_the_player_talks_to_one_of_them_who_remembers(self):
        def answer(exchange):
            exchange.stream([f"Heard {len(exchange.request.json['messages'])}"])

        with FakeServer(answer) as server:
            presses = ["say=Who are you?@quiet", "click3@quiet", "say=And you?@quiet"]
            pressed = [part for press in presses for part in ("--press", press)]
            shown = self.play(server.base_url, "--until-done", *pressed)
        self.assertEqual([text for text, _ in shown.bubbles], ["Heard 4", "Heard 2", "Heard 6", "Heard 2"])
        messages = server.requests[-1].json["messages"]
        self.assertEqual([message["role"] for message in messages], ["system", *["user", "assistant"] * 2, "user"])
        self.assertEqual((messages[2]["content"], messages[-1]["content"]), ("Heard 2", "And you?"))
        self.assertEqual(server.requests[4].last_message, "Who are you?")

    def test_what_was_never_answered_is_not_remembered(self):
        def answer(exchange):
            if len(server.requests) <= 4:
                exchange.refuse(400, "not now")
            else:
                exchange.stream(["Fine."])

        with FakeServer(answer) as server:
            self.play(server.base_url, "--until-done", "--press", "say=Hello?@quiet")
        self.assertEqual([message["role"] for message in server.requests[-1].json["messages"]], ["system", "user"])

    def test_twenty_streams_come_in_one_scene(self):
        together = threading.Barrier(20, timeout=PATIENCE)

        def in_step(exchange):
            exchange.begin_stream()
            together.wait()  # all of them run
            for number in range(40):
                exchange.token(f"word {number} ")
                time.sleep(0.025)  # as fast as a good model
            exchange.end_stream()

        with FakeServer(in_step) as server:
            shown = self.play(server.base_url, "--until-done", "--crowd", "16")
        self.assertEqual((shown.finished, shown.stopped, shown.failed), (4, 0, 0))
        self.assertEqual(shown.crowd, ("16", "16"))
        print(f"    20 streams: {shown.line.splitlines()[0]}")

    def test_its_picture(self):
        """HELIO_BLESS=1 writes it into docs/images."""
        texts = [
            "Beep! I have counted all the sparks. Twice!",
            "The warmest stone is mine, as it should be.",
            "I had a story about a dragon... or was it a teapot?",
            "Is anybody there? Please say no.",
        ]
        with FakeServer(lambda exchange: exchange.stream(tokens_of(texts[speaker(exchange)]))) as server:
            shown = self.play(server.base_url, "--until-done")
        self.assertEqual([text for text, _ in shown.bubbles], texts)
        if os.environ.get("HELIO_BLESS") == "1":
            picture = HERE.parent.parent / "docs" / "images" / "scene.png"
            subprocess.run(["convert", self.folder / "scene.bmp", picture], check=True)

    def test_a_mistake_in_the_environment_is_named(self):
        outcome = run("scene", "--frames", "1", BASE_URL="not a url", SDL_VIDEODRIVER="dummy")
        self.assertFailed(outcome, "INVALID_ARGUMENT")

    def test_valgrind_finds_nothing_in_the_scene(self):
        with FakeServer(lambda exchange: exchange.stream(["One ", "two."])) as server:
            memcheck(self, "scene", "--until-done", BASE_URL=server.base_url, SDL_VIDEODRIVER="dummy")

    def test_valgrind_finds_nothing_when_it_ends_while_a_closed_port_is_tried(self):
        settings = {"BASE_URL": f"http://127.0.0.1:{free_port()}/v1", "SDL_VIDEODRIVER": "dummy"}
        memcheck(self, "scene", "--frames", "3", **settings)


CASES = (Scene,)
