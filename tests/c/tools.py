"""Python packages that tests need."""

import unittest

import python_package
import real_model
from harness import build


def python_with(package, name):
    """An interpreter that has this package, which is pinned. A test is skipped where it cannot be had."""
    if build.no_real_model and not python_package.is_installed(package, name):
        raise unittest.SkipTest(f"--no-real-model: {package} is not installed")
    try:
        return python_package.interpreter_with(package, name)
    except real_model.NotAvailable as reason:
        raise unittest.SkipTest(f"{package} cannot be had: {reason}")
