"""Python packages that tests need: each in a virtual environment of its own below `build`, installed once."""

import sys
import unittest

import real_model
from harness import REPOSITORY, build


def python_with(package, name):
    """An interpreter that has this package, which is pinned. A test is skipped where it cannot be had."""
    home = REPOSITORY / "build" / name
    stamp, interpreter = home / "installed", home / "bin" / "python"
    wanted = f"{package}\npython {sys.version_info[0]}.{sys.version_info[1]}\n"
    if stamp.exists() and stamp.read_text() == wanted and interpreter.exists():
        return str(interpreter)
    if build.no_real_model:
        raise unittest.SkipTest(f"--no-real-model: {package} is not installed")
    try:
        pip = real_model.new_venv(home)
        real_model.checked([*pip, "--quiet", package], f"pip could not install {package}; see above")
    except real_model.NotAvailable as reason:
        raise unittest.SkipTest(f"{package} cannot be had: {reason}")
    stamp.write_text(wanted)
    return str(interpreter)
