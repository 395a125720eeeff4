"""What the test classes connect to; pytest's `conftest` inside the environment of `__main__`."""

import os

import pytest

pytest_plugins = ["dbt.tests.fixtures.project"]


@pytest.fixture(scope="class")
def dbt_profile_target():
    """The service whose port is in HEADWATER_PORT."""
    return {
        "type": "materialize",
        "threads": 1,
        "host": "127.0.0.1",
        "port": int(os.environ["HEADWATER_PORT"]),
        "user": "dbt",
        "pass": "none",
        "database": "shop",
        "sslmode": "disable",
    }
