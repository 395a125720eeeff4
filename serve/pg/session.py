"""One session: what each message does, from start-up's end to Terminate. It sends bytes and knows no sockets.

Always true: every message is answered in its order; after an error of the extended protocol nothing is done until Sync.
Deliberately unknown: how a client proved who it is, how bytes travel, and how a statement is executed (`serve.pg.execute`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from planner.lexer import statements
from serve.pg import frontend, messages, values
from serve.pg.execute import Executor, Work
from serve.pg.follow import Client
from serve.pg.frontend import Message, ProtocolError
from serve.pg.inserts import Insert, Inserts, Writing
from serve.pg.perform import error_message
from serve.pg.portal import Portal, Statement, describe, spread
from serve.pg.quick import Template, answer, learn, see
from serve.pg.settings import REPORTED
from serve.pg.state import FAILED, IDLE, INSIDE, State, columns_of
from serve.recency import Recency
from serve.sql.dml import Dml
from serve.sql.errors import QueryError
from serve.sql.types import oid
from serve.subscribe.hub import Hub

MAX_STATEMENTS = 10_000
"""Prepared statements that one session may keep."""


LEARNED = 100
"""Attempts of a session to recognise its lookups and inserts by their bytes; who sends other things does without."""


class Session:
    """Handles the messages of one client. Everything here runs on the event loop."""

    def __init__(
        self,
        state: State,
        client: Client,
        threads: ThreadPoolExecutor,
        hub: Hub,
        recency: Recency | None = None,
        inserts: Inserts | None = None,
    ) -> None:
        """inserts: the server's, for this event loop; None where nothing comes by `quick`."""
        self.state = state
        self._send = client.send
        self._inserts = inserts
        self._executor = Executor(state, client, threads, hub, recency)
        self._skipping = False
        self._templates: dict[bytes, Template | Insert] = {}
        self._learned = 0
        self.brief = False
        """Whether the work under way answers once and soon: what is before it is sent with that."""
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

    def quick(self, data: bytes, who: Writing) -> bytes | None:
        """The answer to bytes that are prepared reads by key and nothing else, or one insert: empty, as it comes later, to `who`,
        for whom nothing may be handled before. None to have them handled as messages.
        """
        if self._skipping or not data.startswith(b"B"):
            return None
        name = data[6 : data.find(b"\0", 6)]
        template = self._templates.get(name)
        if isinstance(template, Template):
            if (found := answer(template, data, self.state)) is not None:
                return found
        elif template is not None and self._inserts is not None and self._inserts.take(template, data, self.state, who):
            return b""
        if self._learned < LEARNED:
            self._learned += 1
            seen = see(data, self.state)
            learned: Template | Insert | None = None if seen is None else learn(seen)
            if seen is not None and learned is None and self._inserts is not None:
                learned = self._inserts.learn(seen)
            if learned is not None:
                self._templates[name] = learned
        return None

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
        self._executor.cancel()

    def close(self) -> None:
        """The client is gone: keep nothing."""
        self.cancel()
        self.state.close_portals()
        self.state.statements.clear()
        self._templates.clear()

    async def _guarded(self, work: Work, kind: bytes) -> None:
        try:
            await work
        except ConnectionError:
            raise  # the client is gone: nobody to tell
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
        sql = frontend.read_query(body)
        self.state.close_portal("")
        found = None if self.state.stale else self.state.queries.known(sql, ())
        if found is not None and found.lookup is not None and self.state.transaction != FAILED:
            portal = Portal(Statement(found), self.state.values(found.query.needs), columns_of(found))
            self._executor.check_allowed(portal.statement)
            self._send(portal.describe() or b"")
            if (work := self._executor.rows_of(portal, 0)) is None:
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
            if statement.types:
                raise QueryError("42P02", "there is no parameter $1", hint="send parameters by the extended protocol")
            portal = Portal(statement, {}, self.state.columns(statement))
            if (description := portal.describe()) is not None:
                self._send(description)
            if (work := self._executor.start(portal, 0)) is not None:
                await work
        self._finish()

    async def _placed(self, sql: str, begin: int) -> Statement:
        """A statement that begins somewhere in a longer text: errors tell their position in that."""
        try:
            return await self._executor.statement(sql, ())
        except QueryError as error:
            error.position = None if error.position is None else error.position + begin
            raise

    # The extended protocol.

    def _parse(self, body: bytes) -> Work | None:
        message = frontend.read_parse(body)
        if message.name and message.name in self.state.statements:
            raise QueryError("42P05", f'prepared statement "{message.name}" already exists')
        if len(self.state.statements) >= MAX_STATEMENTS:
            raise QueryError("53400", f"a session may keep {MAX_STATEMENTS} prepared statements", hint="close some")
        given = tuple(values.declared(number) for number in message.types)
        known = None if self.state.stale else self.state.queries.known(message.sql, given)
        if known is not None and self.state.transaction != FAILED:
            self._keep(message.name, Statement(known, types=known.query.parameters))
            return None
        return self._prepare(message, given)

    async def _prepare(self, message: frontend.Parse, given: tuple[Any, ...]) -> None:
        parts = statements(message.sql)
        if len(parts) > 1:
            raise QueryError("42601", "cannot insert multiple commands into a prepared statement")
        self._keep(message.name, await self._executor.statement(parts[0][1], given) if parts else Statement())

    def _keep(self, name: str, statement: Statement) -> None:
        self.state.statements[name] = statement
        self._send(messages.PARSE_COMPLETE)

    def _bind(self, body: bytes) -> None:
        message = frontend.read_bind(body)
        statement = self.state.statement(message.statement)
        self._executor.check_allowed(statement)
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
        self.state.close_portal(message.portal)
        self.state.portals[message.portal] = Portal(statement, given, columns, message.results)
        self._send(messages.BIND_COMPLETE)

    def _describe(self, body: bytes) -> None:
        kind, name = frontend.read_named(body)
        if kind == "P":
            self._send(self.state.portal(name).describe() or messages.NO_DATA)
            return
        statement = self.state.statement(name)
        self._send(messages.parameter_description([oid(type_) for type_ in statement.types]))
        columns = self.state.columns(statement)
        self._send(messages.NO_DATA if columns is None else describe(columns, (0,) * len(columns)))

    def _execute(self, body: bytes) -> Work | None:
        name, most = frontend.read_execute(body)
        portal = self.state.portal(name)
        self.brief = isinstance(portal.statement.command, Dml)
        return self._executor.start(portal, max(0, most))

    def _close(self, body: bytes) -> None:
        kind, name = frontend.read_named(body)
        if kind == "P":
            self.state.close_portal(name)
        else:
            self.state.statements.pop(name, None)
        self._send(messages.CLOSE_COMPLETE)

    def _sync(self, _body: bytes) -> None:
        self._skipping = False
        self._finish()

    def _flush(self, _body: bytes) -> None:
        """What was sent goes out after every message anyway, and before brief work too when the client asks for it."""
        self.brief = False
