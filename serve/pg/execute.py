"""Executes a session's statements: rows to the client, piece by piece; commands that read, plan or change the session.

Always true: what is quick is done at once, and what may take long becomes a coroutine that computes in another thread, which
cancel and statement_timeout end. Deliberately unknown: which messages asked for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from planner.lexer import without_comments
from planner.query import Values, schemas
from serve.pg import messages
from serve.pg.as_of import split_as_of
from serve.pg.commands import (
    Command,
    Copy,
    CopyFrom,
    Declare,
    End,
    ExecutePrepared,
    Explain,
    Fetch,
    Nothing,
    Prepare,
    SetConfig,
    Show,
    Subscribe,
)
from serve.pg.create_as import table_of
from serve.pg.explain import explained_object, shown
from serve.pg.follow import Client, Follower, Following
from serve.pg.load import Loader
from serve.pg.own import parts
from serve.pg.parse import parse_command
from serve.pg.perform import Performer, notice_message
from serve.pg.portal import Portal, Run, Statement, timed_out
from serve.pg.rows import BINARY_END, BINARY_HEADER, text_batch
from serve.pg.state import IDLE, INSIDE, State, columns_of
from serve.pg.write import Writer
from serve.recency import Recency
from serve.sql.changes import Change, Changed, CreateTableAs
from serve.sql.dml import Dml
from serve.sql.errors import QueryError
from serve.sql.queries import Prepared
from serve.sql.show import show_query
from serve.subscribe.envelopes import make_shape
from serve.subscribe.hub import Hub

T = TypeVar("T")
Work = Coroutine[Any, Any, None]


class Executor:
    """Executes for one client. Everything here runs on the event loop but what `_compute` hands to the threads."""

    def __init__(
        self,
        state: State,
        client: Client,
        threads: ThreadPoolExecutor,
        hub: Hub,
        recency: Recency | None,
    ) -> None:
        """recency: who waits for reads that have to be recent; None where nobody does."""
        self.state = state
        self._recency = recency
        self._send = client.send
        self._drain = client.drain
        self._threads = threads
        self._follower = Follower(hub, client, self._compute)
        self._interrupt: asyncio.Future[None] | None = None
        self._run: Run | None = None
        self._performer = Performer(state)
        self._writer = Writer(state, client.send, self._compute, self._performer)
        self._loader = Loader(state, client, self._compute, self._more, self._writer)
        self._client_more = client.more
        self.check_allowed = self._performer.check_allowed

    def cancel(self) -> None:
        """End what is computed for this client, if anything is."""
        if self._run is not None:
            self._run.stopped = True
        if self._interrupt is not None and not self._interrupt.done():
            self._interrupt.set_result(None)
        self._follower.cancel()

    async def statement(self, sql: str, given: tuple[Any, ...]) -> Statement:
        """Plan a query, or read a command. QueryError with the first mistake."""
        if self.state.stale:
            await self._compute(self.state.queries.current)
        sql = show_query(without_comments(sql)) or sql
        command = parse_command(sql, self.state.queries.object, self.state.database)
        if isinstance(command, Dml):
            return await self._writing(command, given)
        if command is None:
            sql, as_of = split_as_of(sql)
            prepared = self.state.queries.known(sql, given)
            if prepared is None:
                self._performer.check_allowed(Statement(prepared))
                prepared = await self._compute(lambda: self.state.queries.prepare(sql, given))
            return Statement(prepared, types=prepared.query.parameters, as_of=as_of)
        if isinstance(command, Subscribe):
            following = await self._following(command, given)
            return Statement(command=command, types=following.subscribed.parameters, following=following)
        if isinstance(command, Declare) or (isinstance(command, Explain) and command.kind == "query"):
            return await self._about(command, given)
        if isinstance(command, Copy) and isinstance(inner := parse_command(command.query), Subscribe):
            following = await self._following(inner, given)
            return Statement(command=command, types=following.subscribed.parameters, following=following)
        if isinstance(command, Copy):
            query, as_of = split_as_of(command.query)
            prepared = await self._compute(lambda: self.state.queries.prepare(query, given))
            return Statement(prepared, command, prepared.query.parameters, as_of=as_of)
        return Statement(command=command)

    async def _about(self, command: Declare | Explain, given: tuple[Any, ...]) -> Statement:
        """Plan the query that a cursor is for, or that is explained."""
        self._performer.check_allowed(Statement(command=command))
        known = show_query(without_comments(command.query)) or command.query
        if isinstance(parse_command(known, self.state.queries.object), Declare | Explain):
            raise QueryError(
                "42601", "a cursor reads a query" if isinstance(command, Declare) else "only a query has a plan"
            )
        inner = await self.statement(command.query, given)
        return Statement(command=command, types=inner.types, inner=inner)

    def start(self, portal: Portal, most: int) -> Work | None:
        """Execute a portal; most: how many rows of a query it sends now, 0 for all."""
        statement = portal.statement
        self._performer.check_allowed(statement)
        if statement.empty:
            self._send(messages.EMPTY_QUERY)
            return None
        if isinstance(statement.command, Copy):
            if statement.following is not None:
                return self._follower.copy(self._filled(portal), statement.command)
            return self._copy(portal, statement.command)
        if isinstance(statement.command, Dml):
            return self._writer.write(portal, statement.command)
        if statement.following is not None:
            return self._follower.rows(self._filled(portal), portal.formats, portal.encode)
        if statement.command is None:
            return self.rows_of(portal, most)
        return self._performed(statement.command, portal, most)

    def _performed(self, command: Command, portal: Portal, most: int) -> Work | None:
        """Commands that read rows, plan, or only change the session."""
        match command:
            case Fetch():
                target = self.state.portal(command.name)
                if target.tail is not None:
                    return self._follower.fetch(target.tail, command, portal.encode)
                return self._stream(target, command.count, "FETCH", portal)
            case ExecutePrepared():
                statement = self.state.statement(command.name)
                given = self._performer.arguments(command, statement)
                return self.start(Portal(statement, given, portal.columns, portal.formats), most)
            case Declare():
                return self._declare(command, portal)
            case Prepare():
                return self._prepare_named(command)
            case Explain():
                return self._explain(command, portal)
            case CopyFrom():
                return self._loader.load(command)
            case SetConfig(settings=settings):
                for name, value, local in settings:
                    self.state.settings.set(name, value, local)
                line = [self.state.settings.show(name) for name, *_ in settings]
                self._send(portal.encode(text_batch([line], len(line))) + messages.complete("SELECT 1"))
            case Show():
                lines = self._performer.shown(command)
                self._send(portal.encode(text_batch(lines, len(lines[0]))) + messages.complete("SHOW"))
            case CreateTableAs():
                return self._create_as(command)
            case command if isinstance(command, Change):
                return self._change(command)
            case End(commit=True) if self.state.writes and self.state.transaction == INSIDE:
                return self._writer.commit(command)
            case End(commit=True) if self.state.changes and self.state.transaction == INSIDE:
                return self._commit(command)
            case _:
                if isinstance(command, Nothing) and command.notice:
                    self._notice("00000", command.notice)
                self._send(messages.complete(self._performer.perform(command)))
        return None

    async def _writing(self, dml: Dml, given: tuple[Any, ...]) -> Statement:
        """Plan a statement that writes."""
        queries = self.state.queries
        try:
            prepared = await self._compute(lambda: queries.prepare(dml.query, given))
            returning = await self._compute(lambda: queries.prepare(dml.returned)) if dml.returning else None
            types = prepared.query.parameters
            merging = await self._compute(partial(self._writer.merging, dml, (*types, *given[len(types) :])))
        except QueryError as error:
            error.position = None  # it is one of the query that was made, not of the client's text
            raise
        types = types if merging is None else merging.query.parameters
        return Statement(prepared, dml, types, returning=returning, merging=merging)

    async def _create_as(self, asked: CreateTableAs) -> None:
        """Make a table of a query's rows."""
        run = Run(self.state.settings.timeout)
        await self._change(await self._compute(partial(table_of, self.state, asked, run.check), run))

    async def _change(self, asked: Change) -> None:
        """Change the catalog; inside a transaction, when that ends: until then it is known that all of it is possible."""
        found = await self._compute(partial(parts, self.state.queries, self.state.temporary, asked))
        if found.notice:
            self._notice("42P07", found.notice)
        if (change := found.rest) is None:
            self.state.put(found.own)
            self._send(messages.complete(asked.tag))
            return
        if self.state.transaction == INSIDE:
            if self.state.has_read:
                raise QueryError(
                    "25001", f"{change.tag} cannot run in a transaction that has read", hint="write COMMIT first"
                )
            changed = await self._apply([*self.state.changes, change], try_only=True)
            self.state.changes.append(change)
        else:
            changed = await self._apply([change])
        self.state.put(found.own)
        for code, text in changed.notices:
            self._notice(code, text)
        self._send(messages.complete(asked.tag))

    def _notice(self, code: str, text: str) -> None:
        if self.state.settings.tells_notices:
            self._send(notice_message(code, text, "NOTICE"))

    async def _commit(self, end: End) -> None:
        try:
            await self._apply(self.state.changes)
        except QueryError:
            self.state.end_transaction()
            raise
        self._send(messages.complete(self._performer.perform(end)))

    async def _apply(self, changes: Sequence[Change], try_only: bool = False) -> Changed:
        """Have the catalog changed; return when readers see it."""
        self._run = run = Run(self.state.settings.timeout)
        try:
            # Not left early: whoever changes the catalog looks at `run` himself, and alone knows when it is too late to stop.
            return await asyncio.wrap_future(self.state.queries.change(changes, run.check, try_only))
        finally:
            self._run = None

    async def _declare(self, command: Declare, declaring: Portal) -> None:
        if self.state.transaction == IDLE and not command.hold:
            raise QueryError("25P01", "DECLARE CURSOR can only be used in transaction blocks", hint="write BEGIN first")
        if command.name in self.state.portals:
            raise QueryError("42P03", f'cursor "{command.name}" already exists')
        statement = declaring.statement.inner
        assert statement is not None
        portal = Portal(statement, declaring.values, self.state.columns(statement), hold=command.hold)
        if statement.following is not None:
            portal.tail = self._follower.open(self._filled(portal))
        elif statement.prepared is not None:
            await self._freshen(statement)
            self.open(portal, statement.prepared)
        else:
            raise QueryError("42601", "a cursor reads a query")
        self.state.portals[command.name] = portal
        self._send(messages.complete("DECLARE CURSOR"))

    async def _following(self, command: Subscribe, given: tuple[Any, ...] = ()) -> Following:
        """Plan what somebody subscribes to."""
        subscribed = await self._compute(lambda: self.state.queries.subscribed(command.query, given))
        return Following(subscribed, command.options, make_shape(subscribed.schema, command.options))

    def _filled(self, portal: Portal) -> Following:
        """What a portal subscribes to, with its parameters' values."""
        following = portal.statement.following
        assert following is not None
        return replace(following, subscribed=self.state.queries.filled(following.subscribed, portal.values))

    async def _prepare_named(self, command: Prepare) -> None:
        if command.name in self.state.statements:
            raise QueryError("42P05", f'prepared statement "{command.name}" already exists')
        given = tuple(self._performer.named_type(name) for name in command.types)
        statement = await self.statement(command.query, given)
        if statement.command is not None and not isinstance(statement.command, Dml):
            word = command.query.split(maxsplit=1)[0].upper()
            raise QueryError("0A000", f"PREPARE of {word} is not supported", hint="prepare a query or what writes rows")
        self.state.statements[command.name] = statement
        self._send(messages.complete("PREPARE"))

    async def _explain(self, command: Explain, portal: Portal) -> None:
        queries = self.state.queries
        if command.kind == "query":
            prepared = None if portal.statement.inner is None else portal.statement.inner.prepared
            if prepared is None:
                raise QueryError("0A000", "only a query has a plan")
            values = {**portal.values, **self.state.values(prepared.query.needs)}
            made = await self._compute(lambda: queries.explained(prepared, values))
        else:
            made = await self._compute(lambda: explained_object(command, queries.objects()))
        lines = [[line] for line in shown(made, command)]
        self._send(portal.encode(text_batch(lines, 1)) + messages.complete("EXPLAIN"))

    def rows_of(self, portal: Portal, most: int) -> Work | None:
        """Send a query's rows: at once when its index has them and it need not be more recent than what there is."""
        if portal.batches is None and self.state.settings.fresh is not None:
            return self._recent_rows(portal, most)
        return self._rows_of(portal, most)

    async def _recent_rows(self, portal: Portal, most: int) -> None:
        await self._freshen(portal.statement)
        if (work := self._rows_of(portal, most)) is not None:
            await work

    async def _freshen(self, statement: Statement) -> None:
        """Wait until what is read next is as recent as the settings demand. QueryError when it does not become so."""
        demand, published = self.state.settings.fresh, self.state.queries.current()
        if demand is None or published is None or statement.prepared is None or statement.as_of is not None:
            return
        sources = self.state.queries.sources(statement.prepared, published)
        if self.state.has_read:
            if other := sources - self.state.fresh:
                raise QueryError(
                    "25001",
                    f"this transaction reads a time that need not be recent for source {min(other)}",
                    hint="read it in the transaction's first query too",
                )
            return
        if self._recency is None:
            raise QueryError("0A000", "reads that wait to be recent are not supported here")
        names = sorted(schemas(statement.prepared.query.plan))
        what = f"view {names[0]}" if len(names) == 1 else f"what {', '.join(names)} hold"
        waiting = asyncio.ensure_future(self._recency.hold(what, sources, demand))
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # also when nobody waits any more
        try:
            await self._until(waiting, Run(self.state.settings.timeout))
        finally:
            waiting.cancel()
        self.state.fresh = sources

    def _rows_of(self, portal: Portal, most: int) -> Work | None:
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
        moment = self.state.moment(portal.statement.as_of)
        prepared = self.state.queries.fresh(prepared, moment)
        given: Values = {**portal.values, **self.state.values(prepared.query.needs, moment)}
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
        await self._freshen(portal.statement)
        self.open(reader, prepared)
        binary = copy.format == "binary"
        self._send(messages.copy_out(len(columns), int(binary)))
        if copy.header:
            self._send(reader.header(copy))
        if binary:
            self._send(messages.copy_data(BINARY_HEADER))
        step, count = partial(reader.step_copy, copy), 0
        while (data := await self._compute(step, reader.run)) is not None:
            self._send(data[0])
            count += data[1]
            await self._drain()
        if binary:
            self._send(messages.copy_data(BINARY_END))
        self._send(messages.COPY_DONE + messages.complete(f"COPY {count}"))

    async def _more(self, run: Run) -> None:
        """Wait for the client's next message. Ends early when cancelled, or out of time."""
        waiting = asyncio.ensure_future(self._client_more())
        try:
            await self._until(waiting, run)
        finally:
            waiting.cancel()

    async def _compute(self, function: Callable[[], T], run: Run | None = None) -> T:
        """Call a function in another thread. Ends early, leaving it to end by itself, when cancelled or out of time."""
        future: Future[T] = self._threads.submit(function)
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # also when nobody waits any more
        return await self._until(waiting, run or Run(self.state.settings.timeout))

    async def _until(self, waiting: asyncio.Future[T], run: Run) -> T:
        """What is waited for. QueryError when the client cancels before, or the time is over."""
        loop = asyncio.get_running_loop()
        self._run, self._interrupt = run, loop.create_future()
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
