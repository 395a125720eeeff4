"""What every test shares: the fixtures of the servers."""

pytest_plugins = ["tests.servers.fixtures", "tests.servers.postgres"]
