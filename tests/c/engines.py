"""The code of docs/unity.md and docs/unreal.md, compiled as far as it goes without the engines: what they name of them stands in
bindings/csharp/tests/UnityEngine.cs and tests/cpp/unreal."""

import pathlib
import re
import tempfile

from cpp import cpp_compilers
from harness import REPOSITORY, CTest, build, call, need


class Engines(CTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="helio-engines-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, page, language):
        """The blocks that begin with a file's name, as these files."""
        text = (REPOSITORY / "docs" / page).read_text()
        blocks = re.findall(rf"^```{language}\n// (\S+)\n(.*?)^```", text, re.S | re.M)
        self.assertTrue(blocks)
        for name, block in blocks:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
        return [name for name, _ in blocks]

    def test_the_code_for_unreal_compiles_as_unreal_does(self):
        self.assertEqual(self.write("unreal.md", "cpp"), ["HelioSubsystem.h", "HelioSubsystem.cpp"])
        flags = ["-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-c", "-o", "/dev/null"]
        where = [f"-I{REPOSITORY / 'tests' / 'cpp' / 'unreal'}", f"-I{build.include}"]
        for compiler in cpp_compilers():
            for standard in ("c++17", "c++20"):
                with self.subTest(compiler=compiler, standard=standard):
                    call(compiler, f"-std={standard}", *flags, *where, "HelioSubsystem.cpp", cwd=self.folder)

    def test_the_code_for_unity_compiles_as_csharp_6(self):
        need("mcs")
        csharp = REPOSITORY / "bindings" / "csharp"
        sources = [*(csharp / "src" / "Helio").glob("*.cs"), csharp / "tests" / "UnityEngine.cs", *self.write("unity.md", "csharp")]
        call("mcs", "-langversion:6", "-warn:4", "-warnaserror", "-target:library", "-out:game.dll", *sources, cwd=self.folder)


CASES = (Engines,)
