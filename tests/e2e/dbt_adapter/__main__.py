"""Run dbt's test classes for adapters, with the public dbt-materialize, against a service of their own; say what came of each.

    python -m tests.e2e.dbt_adapter              all of them: five minutes, and more on a busy machine
    python -m tests.e2e.dbt_adapter -k utils     pytest's own arguments choose some

It ends with the counts, and with the reason of each that failed or was left out. The status is pytest's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.service import running
from tests.servers.environments import Environment

DBT = Environment(
    "dbt-tests", ("dbt-materialize==1.9.11", "dbt-core==1.9.11", "dbt-tests-adapter==1.9.2", "pytest==9.2.0")
)
HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Run the classes that pytest's arguments choose; its status."""
    if reason := DBT.install():
        print(f"dbt cannot be installed: {reason}")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        state, tests = Path(folder) / "state", Path(folder) / "tests"
        state.mkdir()
        tests.mkdir()
        shutil.copy(HERE / "profile.py", tests / "conftest.py")
        shutil.copy(HERE / "classes.py", tests / "test_classes.py")
        settings = {
            "name": "shop",
            "kafka": {"main": {"bootstrap.servers": "embedded"}},
            "sources": {},
            "views": {},
            "serve": {"postgres": "127.0.0.1:0"},
        }
        with running(state, settings) as service:
            environment = os.environ | {
                "HEADWATER_PORT": str(service.postgres),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            }
            command = [str(DBT.python), "-m", "pytest", "-q", "-rfEs", "--tb=short", "--show-capture=no", "-p",
                       "no:cacheprovider", "-W", "ignore", *arguments]  # fmt: skip
            return subprocess.run(command, cwd=tests, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
