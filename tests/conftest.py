"""What every test shares: the fixtures of the servers, and Hypothesis without a clock."""

from hypothesis import settings

from tests.examples import examples

pytest_plugins = ["tests.servers.programs", "tests.servers.fixtures", "tests.servers.postgres", "tests.servers.s3"]

# A deadline for each example would make tests fail on a busy machine.
settings.register_profile("headwater", deadline=None, max_examples=examples(100))
settings.load_profile("headwater")
