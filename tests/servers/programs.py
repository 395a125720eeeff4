"""Client programs that tests run, as a pytest plugin.

Always true: where one is not installed, the tests that ask for it fail in CI; elsewhere they are left out, and the run's last
lines say so.
"""

from __future__ import annotations

import os
import shutil

import pytest

_MISSING = "is not on the PATH"


def program(name: str, package: str) -> str:
    """The path of a program of one of Debian's packages."""
    found = shutil.which(name)
    if found is not None:
        return found
    message = f"{name} {_MISSING}; install Debian's package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the run's last lines which tests were left out for want of a program."""
    left_out = [str(r.longrepr) for r in terminalreporter.stats.get("skipped", []) if _MISSING in str(r.longrepr)]
    if left_out:
        terminalreporter.section("programs are missing")
        terminalreporter.write_line(f"{len(left_out)} tests of clients were left out, the first because: {left_out[0]}")
