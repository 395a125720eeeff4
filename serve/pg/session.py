"""One session: what each message does, from start-up's end to Terminate. It sends bytes and knows no sockets.

Always true: every message is answered in its order; after an error of the extended protocol nothing is done until Sync; what is
quick is done at once, and what may take long becomes a coroutine that computes in another thread.
Deliberately unknown: how a client proved who it is, and how bytes travel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog

from planner.lexer import statements
from planner.query import Values
from serve.pg import messages, values
from serve.pg.commands import Command, Copy, Declare, ExecutePrepared, Explain, Fetch, Prepare, Show, parse_command
from serve.pg.messages import Message, ProtocolError
from serve.pg.perform import Performer, error_message, explain, notice_message
from serve.pg.portal import Portal, Run, Statement, describe, spread, text_batch, timed_out
from serve.pg.settings import REPORTED
from serve.pg.state import FAILED, IDLE, INSIDE, State, columns_of
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared

log = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Coroutine[Any, Any, None]

MAX_STATEMENTS = 10_000
"""Prepared statements that one session may keep."""


class Session:
    """Handles the messages of one client. Everything here runs on the event loop but what `_compute` hands to the threads."""

    def __init__(
        self,
        state: State,
        send: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        threads: ThreadPoolExecutor,
    ) -> None:
        self.state = state
        self._send = send
        self._drain = drain
        self._threads = threads
        self._skipping = False
        self._interrupt: asyncio.Future[None] | None = None
        self._run: Run | None = None
        self._performer = Performer(state)
        self._handlers: dict[bytes, Callable[[bytes], Work | None]] = {
            b"Q": self._query,
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
            b"S": self._sync,
            b"H": self._flush,
        }

    def greet(self, secret: int) -> None:
        """Tell the client what it is told after authentication."""
        for name in REPORTED:
            self._send(messages.parameter_status(name, self.state.settings.show(name)))
        self._send(messages.key_data(self.state.process, secret))
        self._send(messages.ready(IDLE))

    def handle(self, message: Message) -> Work | None:
        """Do what a message asks for: at once (None), or by the coroutine that is returned and has to end before the next one."""
        if self._skipping and message.kind != b"S":
            return None
        handler = self._handlers.get(message.kind)
        if handler is None:
            if message.kind in b"dcf":  # COPY data that nobody asked for: what is left of a COPY that failed
                return None
            raise ProtocolError(f"invalid frontend message type {message.kind[0]}")
        try:
            work = handler(message.body)
        except Exception as error:  # noqa: BLE001  (a session answers every message, also one that fails)
            self._failed(error, message.kind)
            return None
        return None if work is None else self._guarded(work, message.kind)

    def cancel(self) -> None:
        """End what is computed for this client, if anything is."""
        if self._run is not None:
            self._run.stopped = True
        if self._interrupt is not None and not self._interrupt.done():
            self._interrupt.set_result(None)

    async def _guarded(self, work: Work, kind: bytes) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  (see handle)
            self._failed(error, kind)

    def _failed(self, error: Exception, kind: bytes) -> None:
        """Tell the client of an error, and skip what it makes meaningless."""
        if self.state.transaction == INSIDE:
            self.state.transaction = FAILED
        self._send(error_message(error))
        if kind == b"Q":
            self._finish()
        else:
            self._skipping = kind != b"S"

    def _finish(self) -> None:
        self.state.settle()
        changed, self.state.settings.changed = self.state.settings.changed, []
        for name in dict.fromkeys(changed):
            self._send(messages.parameter_status(name, self.state.settings.show(name)))
        self._send(messages.ready(self.state.transaction))

    # The simple protocol.

    def _query(self, body: bytes) -> Work | None:
        sql = messages.read_query(body)
        self.state.portals.pop("", None)
        found = self.state.queries.known(sql, ())
        if found is not None and found.lookup is not None and self.state.transaction != FAILED:
            portal = Portal(Statement(found), self.state.values(found.query.needs), columns_of(found))
            self._send(portal.describe() or b"")
            if (work := self._rows_of(portal, 0)) is None:
                self._finish()
                return None
            return self._then_finish(work)
        return self._simple(sql)

    async def _then_finish(self, work: Work) -> None:
        await work
        self._finish()

    async def _simple(self, sql: str) -> None:
        parts = statements(sql)
        if not parts:
            self._send(messages.EMPTY_QUERY)
        for begin, part in parts:
            statement = await self._placed(part, begin)
            if statement.prepared is not None and statement.prepared.query.parameters:
                raise QueryError("42P02", "there is no parameter $1", hint="send parameters by the extended protocol")
            portal = Portal(statement, {}, self.state.columns(statement))
            if (description := portal.describe()) is not None:
                self._send(description)
            if (work := self._start(portal, 0)) is not None:
                await work
        self._finish()

    async def _placed(self, sql: str, begin: int) -> Statement:
        """A statement that begins somewhere in a longer text: errors tell their position in that."""
        try:
            return await self._statement(sql, ())
        except QueryError as error:
            error.position = None if error.position is None else error.position + begin
            raise

    # The extended protocol.

    def _parse(self, body: bytes) -> Work | None:
        message = messages.read_parse(body)
        if message.name and message.name in self.state.statements:
            raise QueryError("42P05", f'prepared statement "{message.name}" already exists')
        if len(self.state.statements) >= MAX_STATEMENTS:
            raise QueryError("53400", f"a session may keep {MAX_STATEMENTS} prepared statements", hint="close some")
        given = tuple(values.declared(number) for number in message.types)
        known = self.state.queries.known(message.sql, given)
        if known is not None and self.state.transaction != FAILED:
            self._keep(message.name, Statement(known, types=known.query.parameters))
            return None
        return self._prepare(message, given)

    async def _prepare(self, message: messages.Parse, given: tuple[Any, ...]) -> None:
        parts = statements(message.sql)
        if len(parts) > 1:
            raise QueryError("42601", "cannot insert multiple commands into a prepared statement")
        self._keep(message.name, await self._statement(parts[0][1], given) if parts else Statement())

    def _keep(self, name: str, statement: Statement) -> None:
        self.state.statements[name] = statement
        self._send(messages.PARSE_COMPLETE)

    def _bind(self, body: bytes) -> None:
        message = messages.read_bind(body)
        statement = self.state.statement(message.statement)
        self._performer.check_allowed(statement)
        if len(message.values) != len(statement.types):
            raise QueryError(
                "08P01",
                f"bind message supplies {len(message.values)} parameters, but prepared statement "
                f'"{message.statement}" requires {len(statement.types)}',
            )
        if message.portal and message.portal in self.state.portals:
            raise QueryError("42P03", f'cursor "{message.portal}" already exists')
        formats = spread(message.formats, len(message.values))
        given: dict[str, Any] = {
            str(number): values.literal(data, format_ == 1, type_, number)
            for number, (data, format_, type_) in enumerate(
                zip(message.values, formats, statement.types, strict=True), 1
            )
        }
        columns = self.state.columns(statement)
        self.state.portals[message.portal] = Portal(statement, given, columns, message.results)
        self._send(messages.BIND_COMPLETE)

    def _describe(self, body: bytes) -> None:
        kind, name = messages.read_named(body)
        if kind == "P":
            self._send(self.state.portal(name).describe() or messages.NO_DATA)
            return
        statement = self.state.statement(name)
        self._send(messages.parameter_description([values.oid(type_) for type_ in statement.types]))
        columns = self.state.columns(statement)
        self._send(messages.NO_DATA if columns is None else describe(columns, (0,) * len(columns)))

    def _execute(self, body: bytes) -> Work | None:
        name, most = messages.read_execute(body)
        return self._start(self.state.portal(name), max(0, most))

    def _close(self, body: bytes) -> None:
        kind, name = messages.read_named(body)
        (self.state.portals if kind == "P" else self.state.statements).pop(name, None)
        self._send(messages.CLOSE_COMPLETE)

    def _sync(self, _body: bytes) -> None:
        self._skipping = False
        self._finish()

    def _flush(self, _body: bytes) -> None:
        """What was sent goes out after every message anyway."""

    # Both.

    async def _statement(self, sql: str, given: tuple[Any, ...]) -> Statement:
        command = parse_command(sql)
        if command is None:
            prepared = self.state.queries.known(sql, given)
            if prepared is None:
                self._performer.check_allowed(Statement(prepared))
                prepared = await self._compute(lambda: self.state.queries.prepare(sql, given))
            return Statement(prepared, types=prepared.query.parameters)
        if isinstance(command, Copy):
            return Statement(await self._compute(lambda: self.state.queries.prepare(command.query)), command)
        return Statement(command=command)

    def _start(self, portal: Portal, most: int) -> Work | None:
        """Execute a portal; most: how many rows of a query it sends now, 0 for all."""
        statement = portal.statement
        self._performer.check_allowed(statement)
        if statement.empty:
            self._send(messages.EMPTY_QUERY)
            return None
        if isinstance(statement.command, Copy):
            return self._copy(portal, statement.command)
        if statement.command is None:
            return self._rows_of(portal, most)
        return self._performed(statement.command, portal, most)

    def _performed(self, command: Command, portal: Portal, most: int) -> Work | None:
        """Commands that read rows, plan, or only change the session."""
        match command:
            case Fetch():
                target = self.state.portal(command.name)
                return self._stream(target, command.count, "FETCH", portal)
            case ExecutePrepared():
                statement = self.state.statement(command.name)
                given = self._performer.arguments(command, statement)
                return self._start(Portal(statement, given, portal.columns, portal.formats), most)
            case Declare():
                return self._declare(command)
            case Prepare():
                return self._prepare_named(command)
            case Explain():
                return self._explain(command, portal)
            case Show():
                lines = self._performer.shown(command)
                self._send(portal.encode(text_batch(lines, len(lines[0]))) + messages.complete("SHOW"))
            case _:
                self._send(messages.complete(self._performer.perform(command)))
        return None

    async def _declare(self, command: Declare) -> None:
        if self.state.transaction == IDLE and not command.hold:
            raise QueryError("25P01", "DECLARE CURSOR can only be used in transaction blocks", hint="write BEGIN first")
        if command.name in self.state.portals:
            raise QueryError("42P03", f'cursor "{command.name}" already exists')
        statement = await self._statement(command.query, ())
        if statement.prepared is None:
            raise QueryError("42601", "a cursor reads a query")
        portal = Portal(statement, {}, columns_of(statement.prepared), hold=command.hold)
        self.open(portal, statement.prepared)
        self.state.portals[command.name] = portal
        self._send(messages.complete("DECLARE CURSOR"))

    async def _prepare_named(self, command: Prepare) -> None:
        if command.name in self.state.statements:
            raise QueryError("42P05", f'prepared statement "{command.name}" already exists')
        given = tuple(self._performer.named_type(name) for name in command.types)
        self.state.statements[command.name] = await self._statement(command.query, given)
        self._send(messages.complete("PREPARE"))

    async def _explain(self, command: Explain, portal: Portal) -> None:
        statement = await self._statement(command.query, ())
        if statement.prepared is None:
            raise QueryError("0A000", "only a query has a plan")
        lines = [[line] for line in explain(statement.prepared).split("\n")]
        self._send(portal.encode(text_batch(lines, 1)) + messages.complete("EXPLAIN"))

    def _rows_of(self, portal: Portal, most: int) -> Work | None:
        """Send a query's rows: at once when its index has them."""
        prepared = portal.statement.prepared
        assert prepared is not None
        if portal.batches is None:
            self.open(portal, prepared)
        elif portal.run is not None:
            portal.run = Run(self.state.settings.timeout)
        if portal.run is None:
            found = portal.step(most or None, portal)
            data, count = found or (b"", 0)
            self._send(data)
            self._send(messages.PORTAL_SUSPENDED if most and count == most else messages.complete(f"SELECT {count}"))
            return None
        return self._stream(portal, most or None, "SELECT")

    def open(self, portal: Portal, prepared: Prepared) -> None:
        """Begin to read a portal. Its `run` stays None when its rows are there already."""
        moment = self.state.moment()
        given: Values = {**portal.values, **self.state.values(prepared.query.needs)}
        found = self.state.queries.look_up(prepared, given, moment)
        for warning in self.state.queries.warnings(prepared, moment):
            self._send(notice_message("01000", warning))
        if found is not None:
            portal.batches = iter((found,))
            return
        portal.run = Run(self.state.settings.timeout)
        portal.batches = self.state.queries.run(prepared, given, moment, portal.check)

    async def _stream(self, portal: Portal, most: int | None, tag: str, like: Portal | None = None) -> None:
        """Send a portal's rows as they are computed, at most so many (None: all), written as `like` writes them."""
        sent, writer = 0, like or portal
        while most is None or sent < most:
            left = None if most is None else most - sent
            found = await self._compute(partial(portal.step, left, writer), portal.run)
            if found is None:
                break
            self._send(found[0])
            sent += found[1]
            await self._drain()
        suspended = like is None and most is not None and sent == most
        self._send(messages.PORTAL_SUSPENDED if suspended else messages.complete(f"{tag} {sent}"))

    async def _copy(self, portal: Portal, copy: Copy) -> None:
        prepared = portal.statement.prepared
        assert prepared is not None
        columns = columns_of(prepared)
        reader = Portal(portal.statement, portal.values, columns)
        self.open(reader, prepared)
        self._send(messages.copy_out(len(columns)))
        if copy.header:
            self._send(reader.header(copy))
        step, count = partial(reader.step_copy, copy), 0
        while (data := await self._compute(step, reader.run)) is not None:
            self._send(data[0])
            count += data[1]
            await self._drain()
        self._send(messages.COPY_DONE + messages.complete(f"COPY {count}"))

    async def _compute(self, function: Callable[[], T], run: Run | None = None) -> T:
        """Call a function in another thread. Ends early, leaving it to end by itself, when cancelled or out of time."""
        run = run or Run(self.state.settings.timeout)
        loop = asyncio.get_running_loop()
        self._run, self._interrupt = run, loop.create_future()
        future: Future[T] = self._threads.submit(function)
        waiting = asyncio.wrap_future(future, loop=loop)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # also when nobody waits any more
        timeout = None if run.deadline is None else max(0.0, run.deadline - loop.time())
        try:
            both: list[asyncio.Future[Any]] = [waiting, self._interrupt]
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            cancelled = self._interrupt.done()
            run.stopped = True
            if cancelled:
                raise QueryError("57014", "canceling statement due to user request")
            raise timed_out()
        finally:
            self._interrupt.cancel()
            self._run = self._interrupt = None
