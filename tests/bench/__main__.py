"""`make bench`: the benchmarks, each against a peer on the same data in the same run. No assertion on time."""

import sys

from tests.bench.end_to_end import main

main(set(sys.argv[1:]))
