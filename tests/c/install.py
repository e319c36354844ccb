"""`make install`, `make dist` and the CMake project, as their users meet them: under a temporary prefix, from an empty folder,
shared and static, the tarball moved elsewhere."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from fake_server import FakeServer, echo
from harness import PATIENCE, REPOSITORY, CTest, build, call, environment, make, need_own_library

SAMPLES = REPOSITORY / "packaging" / "samples"


class Installed(CTest):
    @classmethod
    def setUpClass(cls):
        need_own_library()
        make("static")

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="helio-install-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.prefix = self.folder / "prefix"

    def call(self, *command, **settings):
        return call(*command, cwd=self.folder, env={**os.environ, **settings})

    def assertAnswers(self, program, **settings):
        with FakeServer(echo) as server:
            env = environment(HELIO_BASE_URL=server.base_url, **{"LD_LIBRARY_PATH": "", **settings})
            done = subprocess.run([str(program)], capture_output=True, text=True, timeout=PATIENCE, env=env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "You said: Hi\n", ""))

    def needed(self, program):
        return [line for line in self.call("readelf", "-d", program).splitlines() if "NEEDED" in line]

    def assertIsStatic(self, program):
        self.assertFalse([line for line in self.needed(program) if "helio" in line])

    def assertBuildsWithCMake(self, project, *settings, is_static=False):
        where = self.folder / ("static" if is_static else "shared")
        target = ["-DHELIO=helio::static"] if is_static else []
        self.call("cmake", "-S", project, "-B", where, *settings, *target)
        self.call("cmake", "--build", where)
        for program in ("answer", "answer_cpp"):
            if is_static:
                self.assertIsStatic(where / program)
            self.assertAnswers(where / program)

    def test_what_is_installed_is_listed_and_is_gone_again(self):
        make("install", f"PREFIX={self.prefix}")
        listed = self.call(REPOSITORY / "scripts" / "install.sh", "list").split()
        there = sorted(str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if not path.is_dir())
        self.assertEqual(there, sorted(listed))
        self.assertEqual(os.readlink(self.prefix / "lib" / "libhelio.so"), "libhelio.so.1")
        self.assertIn("[libhelio.so.1]", self.call("readelf", "-d", self.prefix / "lib" / "libhelio.so"))
        make("uninstall", f"PREFIX={self.prefix}")
        self.assertEqual([path for path in self.prefix.rglob("*") if not path.is_dir()], [])
        self.assertFalse((self.prefix / "lib" / "cmake" / "helio").exists())

    def test_destdir_and_libdir_are_obeyed(self):
        staged = self.folder / "stage"
        make("install", "PREFIX=/usr", DESTDIR=staged, LIBDIR="lib/some-triplet")
        file = staged / "usr" / "lib" / "some-triplet" / "pkgconfig" / "helio.pc"
        self.assertIn("prefix=${pcfiledir}/../../..\n", file.read_text())
        self.assertNotIn(str(staged), file.read_text())
        found = self.call("pkg-config", "--cflags", "--libs", "helio", PKG_CONFIG_PATH=str(file.parent))
        root = self.folder / "stage/usr"
        self.assertIn(str(root / "include"), os.path.normpath(found.split()[0][2:]))

    def test_pkg_config_shared_and_static(self):
        if not shutil.which("pkg-config"):
            self.skipTest("pkg-config is not here (apt-get install pkg-config)")
        make("install", f"PREFIX={self.prefix}")
        where = self.folder / "project"
        where.mkdir()
        pc = str(self.prefix / "lib" / "pkgconfig")
        self.assertEqual(self.call("pkg-config", "--modversion", "helio", PKG_CONFIG_PATH=pc).strip(), "0.1.0")
        self.call("make", "-C", where, "-f", SAMPLES / "pkg_config" / "Makefile", f"SAMPLES={SAMPLES}", PKG_CONFIG_PATH=pc)
        for program in ("answer", "answer_cpp"):
            self.assertAnswers(where / program, LD_LIBRARY_PATH=str(self.prefix / "lib"))
        self.assertIsStatic(where / "answer_static")
        self.assertAnswers(where / "answer_static")

    def test_find_package_shared_and_static(self):
        if not shutil.which("cmake"):
            self.skipTest("cmake is not here (apt-get install cmake)")
        make("install", f"PREFIX={self.prefix}")
        for is_static in (False, True):
            self.assertBuildsWithCMake(
                SAMPLES / "find_package", f"-DCMAKE_PREFIX_PATH={self.prefix}", is_static=is_static
            )

    def test_another_version_is_not_found(self):
        if not shutil.which("cmake"):
            self.skipTest("cmake is not here (apt-get install cmake)")
        make("install", f"PREFIX={self.prefix}")
        for wanted, is_found in (("0.1", True), ("0.1.0", True), ("0.2", False), ("1.0", False), ("0.0.9", False)):
            project = self.folder / f"wants-{wanted}"
            project.mkdir()
            (project / "CMakeLists.txt").write_text(
                f"cmake_minimum_required(VERSION 3.16)\nproject(p LANGUAGES C)\nfind_package(helio {wanted} REQUIRED)\n"
            )
            command = ["cmake", "-S", project, "-B", project / "b", f"-DCMAKE_PREFIX_PATH={self.prefix}"]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode == 0, is_found, f"{wanted}\n{done.stderr}")

    def test_fetch_content_shared_and_static(self):
        if not shutil.which("cmake"):
            self.skipTest("cmake is not here (apt-get install cmake)")
        # Where cargo has built already; without it the same takes minutes.
        source, target = f"-DHELIO_SOURCE={REPOSITORY}", f"-DHELIO_CARGO_TARGET_DIR={REPOSITORY / 'target'}"
        for is_static in (False, True):
            self.assertBuildsWithCMake(SAMPLES / "fetch_content", source, target, is_static=is_static)

    def test_the_tarball_works_wherever_it_lies(self):
        make("dist")
        (tarball,) = (REPOSITORY / "build").glob("helio-*.tar.gz")
        (self.folder / "one").mkdir()
        self.call("tar", "-C", self.folder / "one", "-xzf", tarball)
        (tree,) = (self.folder / "one").iterdir()
        moved = self.folder / "a place with blanks"
        tree.rename(moved)
        for source, compiler in (("answer.c", ["cc"]), ("answer.cpp", ["c++", "-std=c++17"])):
            program = self.folder / source.replace(".", "_")
            self.call(*compiler, SAMPLES / source, f"-I{moved}/include", "-o", program, f"-L{moved}/lib", "-lhelio")
            self.assertAnswers(program, LD_LIBRARY_PATH=str(moved / "lib"))
        if shutil.which("cmake"):
            self.assertBuildsWithCMake(SAMPLES / "find_package", f"-DCMAKE_PREFIX_PATH={moved}")

    def test_debian_packages_hold_what_is_installed(self):
        for tool in ("dpkg-deb", "dpkg"):
            if not shutil.which(tool):
                self.skipTest(f"{tool} is not here: this is no Debian")
        for old in (REPOSITORY / "build").glob("libhelio*.deb"):
            old.unlink()
        make("deb", DEBFULLNAME="A Builder", DEBEMAIL="builder@debian.org")
        packages = sorted((REPOSITORY / "build").glob("libhelio*.deb"))
        self.assertEqual([package.name.split("_")[0] for package in packages], ["libhelio-dev", "libhelio1"])
        for package in packages:
            self.call("dpkg-deb", "-x", package, self.prefix)
        (pc,) = self.prefix.rglob("helio.pc")
        lib = pc.parent.parent
        listed = self.call(REPOSITORY / "scripts" / "install.sh", "list", LIBDIR=str(lib.relative_to(self.prefix / "usr")))
        for file in listed.split():
            if not file.startswith("share/doc"):
                self.assertTrue((self.prefix / "usr" / file).exists(), file)
        program = self.folder / "answer"
        flags = self.call("pkg-config", "--cflags", "--libs", "helio", PKG_CONFIG_PATH=str(pc.parent)).split()
        self.call("cc", SAMPLES / "answer.c", "-o", program, *flags)
        self.assertAnswers(program, LD_LIBRARY_PATH=str(lib))
        if shutil.which("lintian"):
            done = subprocess.run(["lintian", *packages], capture_output=True, text=True)
            complaints = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:"))]
            # Nothing was ever uploaded, so there is no bug to close.
            self.assertEqual([line for line in complaints if "initial-upload-closes-no-bugs" not in line], [])

    def test_the_static_library_shows_helios_names_only_and_links_beside_another_of_rust(self):
        archive = build.lib / "libhelio.a"
        shown = {line.split()[-1] for line in self.call("nm", "-g", "--defined-only", archive).splitlines() if " " in line}
        listed = set((REPOSITORY / "tests" / "exports.txt").read_text().split())
        self.assertEqual(shown, listed)
        other, program = self.folder / "other.rs", self.folder / "both"
        other.write_text('#[unsafe(no_mangle)] pub extern "C" fn other() -> i32 { vec![42].pop().unwrap() }\n')
        self.call("rustc", "--edition=2024", "-O", "--crate-type=staticlib", "--out-dir", self.folder, other)
        source = self.folder / "both.c"
        source.write_text(
            "#include <helio.h>\nint other(void);\nint main(void) { return other() + (int)helio_abi_version() - 43; }\n"
        )
        of_the_system = (REPOSITORY / "packaging" / "static-libs").read_text().split()
        libraries = [self.folder / "libother.a", archive, *of_the_system]
        self.call("cc", source, f"-I{build.include}", "-o", program, *libraries)
        self.call(program)

    def test_the_notice_is_what_the_library_is_made_of(self):
        self.call("python3", REPOSITORY / "scripts" / "notice.py", "--check")

    def test_the_bill_of_materials_is_what_the_library_is_made_of(self):
        self.call("python3", REPOSITORY / "scripts" / "sbom.py", "--check")

    def test_what_is_inside_keeps_the_rules_of_deny_toml(self):
        self.call("python3", REPOSITORY / "scripts" / "deny.py")


CASES = (Installed,)
