"""Client programs that tests run, as a pytest plugin.

Always true: where one is not installed, the tests that ask for it fail in CI; elsewhere they are left out, and the run's last
lines say so.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import NoReturn

import pytest

_LEFT_OUT = "left out for want of a program: "


def leave_out(reason: str) -> NoReturn:
    """Fail a test in CI; elsewhere leave it out, which the run's last lines say. reason: what is missing, and what brings it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(_LEFT_OUT + reason)


def program(name: str, package: str) -> str:
    """The path of a program of one of Debian's packages."""
    found = shutil.which(name)
    return found if found is not None else leave_out(f"{name} is not on the PATH; install Debian's package {package}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the run's last lines which tests were left out for want of a program."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(text.partition(_LEFT_OUT)[2].rstrip("')") for text in skipped if _LEFT_OUT in text)
    if reasons:
        terminalreporter.section("programs are missing")
        for reason, count in reasons.items():
            terminalreporter.write_line(f"tests left out: {count}: {reason}")
