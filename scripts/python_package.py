"""Python packages that tests and benchmarks need: each in a virtual environment of its own below `build`, installed once."""

import pathlib
import sys

import real_model

BUILD = pathlib.Path(__file__).resolve().parents[1] / "build"


def is_installed(package, name):
    home = BUILD / name
    stamp = home / "installed"
    return stamp.exists() and stamp.read_text() == _wanted(package) and (home / "bin" / "python").exists()


def interpreter_with(package, name):
    """An interpreter that has this package, which is pinned. Raises real_model.NotAvailable where it cannot be had."""
    home = BUILD / name
    if not is_installed(package, name):
        pip = real_model.new_venv(home)
        real_model.checked([*pip, "--quiet", package], f"pip could not install {package}; see above")
        (home / "installed").write_text(_wanted(package))
    return str(home / "bin" / "python")


def _wanted(package):
    return f"{package}\npython {sys.version_info[0]}.{sys.version_info[1]}\n"
