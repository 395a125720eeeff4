"""The wiring: from a checked file to running rooms, and back to none.

Start: embedded brokers, sources, dataflow, sinks, doors, then the tick loop in its own thread. Stop, in reverse: the tick
under way is finished, then sinks commit what they have while readers leave and doors close; `STOP_SECONDS` in all.
Always true: HTTP answers from the first moment (503 with the reason until the views are hydrated).
Deliberately unknown: what happens inside a tick (`headwater.ticks`) and what the user sees (`headwater.progress`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from config.settings import parse_address, parse_duration
from dataflow.beside import THREADS
from dataflow.stack import Stack
from dataflow.types import Schema
from headwater import __version__
from headwater.again import FileAgain
from headwater.changes import Changes
from headwater.check import Checked
from headwater.cores import usable_cores
from headwater.declared import build_base, declare
from headwater.early import EarlyCheck
from headwater.errors import HeadwaterError, StartError
from headwater.home import Home
from headwater.live import Live
from headwater.outside import Outside
from headwater.rooms import Rooms
from headwater.ticks import OPENING, TickLoop
from headwater.world import shown_as
from ingest.decode import avro_columns
from ingest.embedded import EMBEDDED, EmbeddedBroker
from ingest.registry import RegistryError
from ingest.remap import RemapError
from ingest.source import Source, WatermarksUnavailable
from planner.errors import PlanErrors
from planner.views import PlannedViews, plan_views
from serve.api import SqlApi
from serve.events import Events
from serve.http import HttpServer, make_app
from serve.metrics import Metrics
from serve.pg.server import PgServer, tls_context
from serve.reads import Publication
from serve.recency import Asking, Recency
from serve.sql.catalog import RELATIONS
from serve.sql.changes import Change, Changed, Transaction, Written
from serve.sql.errors import QueryError
from serve.sql.queries import Queries
from serve.sql.system import Relations
from serve.status import ServiceStatus
from serve.subscribe.hub import Hub

log = structlog.get_logger(__name__)

REGISTRY_SECONDS = 2.0
"""Seconds between questions to a schema registry that does not know a source's columns yet."""

TICK_SECONDS = 1.0
"""Seconds that a stop waits for the tick under way."""

COMMIT_SECONDS = 1.5
"""Seconds that the sinks then have to commit what they hold; what is left comes again after the next start."""

STOP_SECONDS = 4.5
"""Seconds from the beginning of a stop after which what has not left yet is left behind."""


class Service:
    """One running Headwater. `start`, then `wait`, then `stop`; `failure` is what ended it early, if anything did."""

    def __init__(self, checked: Checked, early: EarlyCheck | None = None) -> None:
        """early: the check of its state that began with the process."""
        self.settings = checked.settings
        self.address: tuple[str, int] | None = None
        self.postgres: tuple[str, int] | None = None
        self.connections: dict[str, dict[str, str]] = {}
        self.live = Live()
        self.publication = Publication()
        self.failure: BaseException | None = None
        self.left_behind: list[str] = []
        """After a stop: the threads that had not ended in time."""
        self._waiting = ""
        self._checked = checked
        self._early = early
        self._brokers: list[EmbeddedBroker] = []
        self._wake, self._stop = threading.Event(), threading.Event()
        self._home: Home | None = None
        self._dataflow: Stack | None = None
        self._changes: Changes | None = None
        self._loop: TickLoop | None = None
        self._thread: threading.Thread | None = None
        self._http: HttpServer | None = None
        self._pg: PgServer | None = None
        self._relations = Relations(self.status, RELATIONS, checked.settings.name)
        self._hub = Hub(self.publication, self._relations, self._wake.set)

    def start(self) -> None:
        """Build every room and start the tick loop. StartError when something of this machine is in the way."""
        metrics = Metrics(CollectorRegistry(), self.status)
        try:
            self._listen(metrics)
            self._home = Home(self.settings, self._early)
            self.connections = self._connect()
            self._build(metrics, self._home)
        except (OSError, RemapError, PlanErrors, ValueError) as error:
            self.stop()
            raise StartError(str(error)) from error
        except StartError:
            self.stop()
            raise
        assert self._loop is not None
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the loop's end; False when the time passed first."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def leave(self) -> None:
        """Say that the service shall end, wherever it is; `stop` then does it. Returns at once, from any thread."""
        self._stop.set()
        self._wake.set()

    def stop(self) -> None:
        """Finish the tick, commit the sinks, leave the topics, close the doors. Safe to call twice."""
        self.leave()
        deadline = time.monotonic() + STOP_SECONDS
        if self._thread is not None and self._loop is not None and self._loop.phase != OPENING:
            self._thread.join(TICK_SECONDS)
        ends: dict[str, Callable[[], None]] = {
            **{f"sink {name}": partial(sink.close, COMMIT_SECONDS) for name, sink in self.live.sinks.items()},
            **{f"source {name}": source.stop for name, source in self.sources.items()},
        }
        ends["subscriptions"] = self._hub.stop
        if self._http is not None:
            ends["http"] = self._http.stop
        if self._pg is not None:
            ends["postgres"] = self._pg.stop
        threads = [threading.Thread(target=end, name=f"end {name}", daemon=True) for name, end in ends.items()]
        for thread in threads:
            thread.start()
        if self._thread is not None:
            threads.append(self._thread)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.left_behind = [thread.name for thread in threads if thread.is_alive()]
        ticking = self._thread is not None and self._thread.is_alive()
        if not ticking:
            THREADS.use(1)
        if self._changes is not None:
            self._changes.close()
        if self._home is not None:
            self._home.close(ticking)
        for broker in self._brokers:
            broker.stop()
        self._brokers.clear()

    @property
    def sources(self) -> dict[str, Source]:
        """What reads topics, by the names that people use."""
        found = list(self.live.sources.items())
        return {shown_as(name): source for name, source in found if isinstance(source, Source)}

    @property
    def phase(self) -> str:
        """What the service is doing, in a word or two."""
        return self._loop.phase if self._loop is not None else "starting"

    def status(self) -> ServiceStatus:
        """What /readyz and /metrics show; called from the HTTP thread."""
        loop, home = self._loop, self._home
        waiting = (
            "; ".join(f"source {name}: {reason}" for name, reason in loop.waiting.items()) if loop is not None else ""
        )
        return ServiceStatus(
            ready=loop is not None and loop.ready and self.failure is None,
            reason=str(self.failure) if self.failure is not None else waiting or self._waiting or self.phase,
            sources={name: source.status() for name, source in self.sources.items()},
            sinks={shown_as(name): sink.status() for name, sink in list(self.live.sinks.items())},
            operators=self._dataflow.statistics if self._dataflow is not None else list,
            last_tick_wall=loop.last_tick_wall if loop is not None else 0.0,
            ticks=loop.ticks if loop is not None else 0,
            memory=home.memory.status if home is not None and home.memory is not None else None,
            sessions=self._pg.status if self._pg is not None else tuple,
            subscriptions=self._hub.status,
        )

    def _run(self) -> None:
        assert self._loop is not None
        try:
            self._loop.run()
        except HeadwaterError as failure:
            self.failure = failure
            log.error("the service ends", reason=str(failure))
        except BaseException as failure:  # the loop's thread must not die unseen: the command ends with it
            self.failure = failure
            log.exception("the tick loop failed")
        finally:
            self._stop.set()

    def _listen(self, metrics: Metrics) -> None:
        self._hub.start()
        queries = Queries(self.publication, self.status, self._relations, self)
        probe = Asking(self._probe)
        recency = Recency(self.publication, probe)
        sql = SqlApi(queries, self._hub, self.settings.serve.users, self.settings.name, __version__, recency)
        events = Events(self.publication, self._hub)
        app = make_app(self.publication, self.status, metrics, probe, events, sql)
        self._http = HttpServer(*parse_address(self.settings.serve.http), app)
        try:
            self.address = self._http.start()
        except OSError as error:
            raise _cannot_listen(self.settings.serve.http, "http", error) from error
        log.info("listening", http=f"http://{self.address[0]}:{self.address[1]}")
        if self.settings.serve.postgres is not None:
            self._listen_postgres(self.settings.serve.postgres, queries, Recency(self.publication, probe))

    def _probe(self, source: str, timeout: float) -> Mapping[int, int]:
        """Where a source's topic ends now; OSError when the broker does not say."""
        try:
            found = self.live.sources.get(source)
            if not isinstance(found, Source):
                raise WatermarksUnavailable(f"source {shown_as(source)} is gone")
            return found.ends(timeout)
        except WatermarksUnavailable as error:
            raise OSError(str(error)) from error

    def _listen_postgres(self, address: str, queries: Queries, recency: Recency) -> None:
        serve = self.settings.serve
        tls = None if serve.tls is None else (Path(serve.tls.certificate), Path(serve.tls.key))
        try:
            context = tls_context(tls) if tls is not None else None
        except OSError as error:
            raise StartError(f"cannot use the certificate {tls[0] if tls else ''} with its key: {error}") from error
        self._pg = PgServer(
            *parse_address(address), queries, serve.users, context, self.settings.name, __version__, self._hub, recency
        )
        try:
            self.postgres = self._pg.start()
        except OSError as error:
            raise _cannot_listen(address, "postgres", error) from error
        log.info("listening for PostgreSQL clients", postgres=f"{self.postgres[0]}:{self.postgres[1]}")

    def _connect(self) -> dict[str, dict[str, str]]:
        connections = {}
        for name, properties in self.settings.kafka.items():
            connection = dict(properties)
            if connection.get("bootstrap.servers") == EMBEDDED:
                broker = EmbeddedBroker()
                connection["bootstrap.servers"] = broker.start()
                connection.setdefault("fetch.wait.max.ms", "10")
                self._brokers.append(broker)
                log.info("embedded broker started", kafka=name, bootstrap=connection["bootstrap.servers"])
            connections[name] = connection
        return connections

    def _build(self, metrics: Metrics, home: Home) -> None:
        outside = Outside(self.settings.name, home.secrets, self._wake.set, home.owned, home.kept, home.bound)
        schemas = self._schemas(outside)
        live = self.live
        self._relations.sources = live.schemas
        functions = self._checked.functions
        declared = declare(self.settings, schemas, functions, self.settings.views, self.connections)
        planned = plan_views(schemas, declared.views, declared.upserts, functions=functions)
        self._dataflow = Stack(build_base(planned, declared))
        live.dependencies.update({name: planned.sources(name) for name in planned.order})
        again = FileAgain(self._checked, outside, self.connections)
        self._changes = Changes(declared, home, self._dataflow, outside, live, again)
        if home.memory is not None:
            self._dataflow.limit_memory(home.memory)
        THREADS.use(self.settings.threads or usable_cores())
        rooms = Rooms(
            sources=live.sources,
            dataflow=self._dataflow,
            sinks=live.sinks,
            sink_views=live.sink_views,
            remap=home.remap,
            publication=self.publication,
            metrics=metrics,
            dependencies=live.dependencies,
            catalog=hashlib.sha256(
                "\n".join(f"{k}={v}" for k, v in sorted(planned.definitions.items())).encode()
            ).hexdigest(),
            checkpoints=home.checkpoints,
            checkpoint_seconds=parse_duration(self.settings.checkpoint.interval) or 0.0,
            meaning=self._meaning(planned),
            subscriptions=self._hub,
            tables=home.tables,
        )
        self._loop = TickLoop(rooms, self._wake, self._stop)
        self._changes.attend(self._loop)

    def change(self, changes: Sequence[Change], check: Callable[[], None], try_only: bool) -> Future[Changed]:
        """See `serve.sql.changes.Changer`."""
        if self._changes is None:
            raise QueryError("57P03", "the service is starting", hint="try again")
        return self._changes.change(changes, check, try_only)

    def write(self, transaction: Transaction) -> Future[Written]:
        """See `serve.sql.changes.Changer`."""
        if self._changes is None:
            raise QueryError("57P03", "the service is starting", hint="try again")
        return self._changes.write(transaction)

    def _meaning(self, planned: PlannedViews) -> str:
        """A hash of everything that decides what rows and views are, and of the version that computes them."""
        parts = [__version__, *(f"{name}={definition}" for name, definition in sorted(planned.definitions.items()))]
        parts += [
            f"{name}={source.model_dump_json(exclude={'keep_rows'})}"
            for name, source in sorted(self.settings.sources.items())
        ]
        parts += [f"{name} by {view.key}" for name, view in sorted(self.settings.views.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _schemas(self, outside: Outside) -> dict[str, Schema]:
        """Columns of every source; those that only the registry knows are asked for until it answers."""
        schemas = dict(self._checked.schemas)
        for name, source in self.settings.sources.items():
            while name not in schemas:
                registry = outside.registry(self.connections[source.kafka])
                if registry is None:
                    raise StartError(f"source {name}: connection {source.kafka} names no schema.registry.url; add it")
                try:
                    schemas[name] = avro_columns(registry, source.topic)
                except RegistryError as error:  # it does not answer, or has no such subject yet
                    log.warning("waiting for the schema registry", source=name, reason=str(error))
                    self._waiting = f"source {name}: {error}"
                    if self._stop.wait(REGISTRY_SECONDS):
                        raise StartError("stopped while waiting for the schema registry") from error
        self._waiting = ""
        return schemas


def _cannot_listen(address: str, door: str, error: OSError) -> StartError:
    return StartError(
        f"cannot listen on {address}: {error.strerror or error}; "
        f"stop what uses the address or choose another under `serve: {{{door}: ...}}`"
    )
