# Every command of the project. CI (.ci/run) calls the same targets. `make` prints this help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?=
PYTEST_ARGS ?=
WORKERS ?= 2
SANITIZE_TESTS ?= tests/dataflow tests/laws tests/planner/functions tests/ingest/decode tests/ingest/test_consumer.py tests/sinks/test_kafka_sink.py tests/serve/pg/test_rows.py
EVENTS ?= 1000000
RUNS ?= 5
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz sqllogictest sim soak sanitize lint format types bounds build bench bench-peers bench-tpch bench-tpcds bench-cost lock generate clean

help: ## print this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing dependencies into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

build: $(VENV)/.installed ## create .venv and compile the kernels into the checkout
	@$(BIN)/cmake -S . -B build/dev -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python -DCMAKE_INSTALL_MESSAGE=NEVER > build-configure.log 2>&1 \
		|| { cat build-configure.log; rm -f build-configure.log; exit 1; }
	@rm -f build-configure.log
	@$(BIN)/cmake --build build/dev
	@$(BIN)/cmake --install build/dev --prefix . > /dev/null

demo: build ## live data on the embedded broker and a view answering; SECONDS=20 ends by itself and checks the answer
	@$(BIN)/python -m headwater demo $(if $(SECONDS),--seconds $(SECONDS))

test: build ## every test, with the real servers they need, in WORKERS processes; PYTEST_ARGS="tests/laws -x"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=20 $(PYTEST_ARGS)

fuzz: build ## random queries against PostgreSQL until stopped; FUZZ="--seed 5 --queries 20000" says which
	@$(BIN)/python -m tests.planner.fuzz $(FUZZ)

sqllogictest: build ## the sqllogictest files select1 to select5 of a copy of that corpus: CORPUS=folder
	@$(BIN)/python -m tests.planner.sqllogictest $(CORPUS)

SANITIZED := build/sanitize/tree
ROOMS := config dataflow ingest planner serve sinks headwater deploy
sanitize: $(VENV)/.installed ## the kernels' tests under address- and undefined-behaviour sanitizers, a tenth of the examples
	@$(BIN)/cmake -S . -B build/sanitize -G Ninja -DSANITIZE=ON -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python -DCMAKE_INSTALL_MESSAGE=NEVER > /dev/null
	@$(BIN)/cmake --build build/sanitize
	@rm -rf $(SANITIZED) && mkdir -p $(SANITIZED) && cp -r $(ROOMS) tests docs pyproject.toml $(SANITIZED)/
	@find $(SANITIZED) -name '*.so' -delete
	@$(BIN)/cmake --install build/sanitize --prefix $(SANITIZED) > /dev/null
	@trap 'rm -rf $(abspath $(SANITIZED))' EXIT; cd $(SANITIZED) && SANITIZED=1 \
		LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(abspath $(BIN))/python -m pytest -q -p no:cacheprovider --capture=sys -m "not kafka and not unsanitized" $(SANITIZE_TESTS)

SEEDS ?= 100
sim: build ## simulated faults: SEEDS runs of the service, whose clock, disk, broker and schedule a seed decides, for SECONDS at most; PLANT=fsync builds a mistake in
	@$(BIN)/python -m tests.sim --seeds $(SEEDS) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PLANT),--plant $(PLANT))

MINUTES ?= 10
soak: build ## real processes and a real broker under kills, stops, cuts and full disks; MINUTES=60 SOAK="--kills 300 --seed 7"
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(SOAK)

lint: $(VENV)/.installed ## ruff: lint and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/.installed ## rewrite the code in the project's format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

types: $(VENV)/.installed ## mypy, strict
	@$(BIN)/mypy

bounds: $(VENV)/.installed ## import-linter: the walls between the rooms
	@$(BIN)/lint-imports

bench: build ## the workloads on the engine, next to DuckDB; EVENTS=5000000, ONLY="W1 W3", RUNS=5, ARGS=--profile
	@$(BIN)/python -m tests.bench --events $(EVENTS) --runs $(RUNS) $(ARGS) $(ONLY)

bench-peers: build ## the same with pathway, bytewax and chdb, each installed into its own .cache/environments/NAME
	@$(BIN)/python -m tests.bench --peers --events $(EVENTS) --runs $(RUNS) $(ARGS) $(ONLY)

bench-tpch: build ## TPC-H: 22 views while 8 tables change, equal to DuckDB at 50 random ticks; ARGS="--events 5000000 --ticks 1000"
	@$(BIN)/python -m tests.bench.tpch_views $(ARGS)

bench-tpcds: build ## TPC-DS: its 99 queries as views while 24 tables change, equal to DuckDB; ARGS="--dsdgen --scale 0.01 --ticks 100 q1 q2"
	@$(BIN)/python -m tests.bench.tpcds_views $(ARGS)

bench-cost: build ## the cost law: ticks of 100 rows over TPC-H tables, and over ten times as much; ARGS="--events 100000 --publish"
	@$(BIN)/python -m tests.bench.cost_law $(ARGS)

lock: $(VENV)/.installed ## pin every dependency again, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile -q pyproject.toml --universal --generate-hashes --no-header --no-annotate -o requirements.txt
	@$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --generate-hashes --no-header --no-annotate -o requirements-dev.txt

generate: build ## rewrite the generated files: the JSON Schema, the Grafana dashboard and docs/functions.md
	@$(BIN)/python -m headwater schema > config/headwater.schema.json
	@$(BIN)/python -m deploy.grafana.generate
	@$(BIN)/python -m planner.document > docs/functions.md

clean: ## remove what was built (not .venv)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
	@find . -name '*.so' -not -path './$(VENV)/*' -delete
