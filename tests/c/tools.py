"""Python packages that tests need: each in a virtual environment of its own below `build`, installed once."""

import sys

import real_model
from real_model import NotAvailable  # noqa: F401


def python_with(package, name):
    """An interpreter that has this package, which is pinned."""
    home = real_model.REPOSITORY / "build" / name
    stamp, interpreter = home / "installed", home / "bin" / "python"
    wanted = f"{package}\npython {sys.version_info[0]}.{sys.version_info[1]}\n"
    if stamp.exists() and stamp.read_text() == wanted and interpreter.exists():
        return str(interpreter)
    pip = real_model.new_venv(home)
    real_model.checked([*pip, "--quiet", package], f"pip could not install {package}; see above")
    stamp.write_text(wanted)
    return str(interpreter)
