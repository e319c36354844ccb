"""The binary interface against its record in tests/abi: layouts and constants, the C types as abidiff sees them, and a program that was
compiled against the first header. `HELIO_BLESS=1 tests/c/run.py --only Abi` records what is; CONTRIBUTING.md says when that may be done."""

import os
import re
import subprocess

from fake_server import FakeServer, echo
from harness import REPOSITORY, CTest, build, call, compiled, need, run

RECORD = REPOSITORY / "tests" / "abi"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def header():
    return without_comments((build.include / "helio.h").read_text())


def structs():
    """The names of all structs that hosts see into, with those of their members."""
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \w+;", header(), re.S):
        members = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            pointer = re.search(r"\(\*(\w+)\)", declaration)
            members.append(pointer.group(1) if pointer else re.search(r"(\w+)$", declaration).group(1))
        yield name, members


def constants():
    return re.findall(r"#define (HELIO_\w+) -?\(?\S", header())


class Abi(CTest):
    def compare(self, name, text):
        recorded = RECORD / name
        if os.environ.get("HELIO_BLESS"):
            recorded.write_text(text)
        self.assertEqual(text, recorded.read_text(), f"tests/abi/{name}: CONTRIBUTING.md says when the interface may change, and how")

    def test_layouts_and_constants_are_those_on_record(self):
        lines = []
        for name, members in structs():
            lines.append(f'printf("struct {name} size %zu align %zu\\n", sizeof({name}), _Alignof({name}));')
            lines += [
                f'printf("  {member} at %zu size %zu\\n", offsetof({name}, {member}), sizeof((({name} *)0)->{member}));' for member in members
            ]
        self.assertGreaterEqual(len(lines), 30, "the header is not read as it is written")
        # Versions change with each release; macros for compilers have no value.
        names = [name for name in constants() if "VERSION_M" not in name and "VERSION_P" not in name and name not in ("HELIO_API", "HELIO_H")]
        lines += [f'printf("{name} %lld\\n", (long long)({name}));' for name in names]
        source = build.programs / "layout.c"
        source.write_text("#include <helio.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
        call("cc", "-std=c11", f"-I{build.include}", source, "-o", build.programs / "layout")
        self.compare("layout.txt", call(build.programs / "layout"))

    def interface(self, text):
        """A library in C that has each function of a header, with full debug information: what abidiff compares are its types."""
        prototypes = re.findall(r"^HELIO_API\s([^;]+);", without_comments(text), re.M)
        exported = set((REPOSITORY / "tests" / "exports.txt").read_text().split())
        self.assertEqual({re.search(r"(helio_\w+)\(", prototype).group(1) for prototype in prototypes}, exported)
        source, library = build.programs / "interface.c", build.programs / "libinterface.so"
        source.write_text(text + "\n".join(f"{prototype} {{ __builtin_trap(); }}" for prototype in prototypes))
        call("cc", "-std=c11", "-g", "-shared", "-fPIC", source, "-o", library)
        return library

    def test_the_types_of_all_functions_are_those_on_record(self):
        """That our library exports just these names is what tests/exports.rs sees to, and that the header is that of the sources tests/header.rs."""
        need("abidw", "abidiff")
        text, record = (build.include / "helio.h").read_text(), RECORD / "interface.abi"
        if os.environ.get("HELIO_BLESS"):
            written = call("abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", self.interface(text))
            record.write_text(re.sub(r" path='[^']*'| comp-dir-path='[^']*'", "", written))

        def compared(other):
            return subprocess.run(["abidiff", str(record), str(self.interface(other))], capture_output=True, text=True)

        done = compared(text)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for what, other in (("uint32_t timeout_ms", "uint64_t timeout_ms"), ("  size_t text_len;", "  uint32_t text_len;")):
            self.assertIn(what, text)
            self.assertNotEqual(compared(text.replace(what, other)).returncode, 0, f"abidiff does not see {other}")

    def test_a_program_compiled_against_the_first_header_runs(self):
        folder = RECORD / "first"
        compiled(["cc", "-std=c99", f"-I{folder}"], folder / "program.c", "first", (), ("-lhelio",))
        with FakeServer(echo) as server:
            outcome = run("first", server.base_url)
        self.assertEqual((outcome.code, outcome.out, outcome.err), (0, "all held\n", ""), outcome)


CASES = (Abi,)
