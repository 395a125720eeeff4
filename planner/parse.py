"""SQL text in, sqlglot syntax tree out, with a position for every node and PostgreSQL's reading of the operators.

Always true of a tree returned from here: it is one query; calls keep the name that was written (sqlglot's renaming of functions
is off, so `registry name = written name`); operators nest as PostgreSQL would nest them. `only` is how the binder reads a
node: whatever argument it does not ask for is refused, so nothing in a query is silently left out.
Deliberately unknown: names, types and which functions there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.materialize import Materialize
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.materialize import MaterializeParser
from sqlglot.tokenizer_core import TokenType

from planner import hints
from planner.errors import SqlError
from planner.functions.user import Functions
from planner.lexer import with_marks
from planner.parameters import Parameters
from planner.precedence import misread
from planner.refusals import hint_for, wording

_START = "headwater_start"
"""Key in a node's `meta`: offset of its first character."""

MUTUALLY = "headwater_mutually"
"""Key in the `meta` of a WITH MUTUALLY RECURSIVE: (its limit and whether it returns there, or None,)."""

INTERVAL_FIELDS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
"""What may stand behind an interval's text, from the largest."""

_LOCATED = """
    statement select table cte with join lateral where group having qualify order limit offset locks
    window having_max table_sample pivots unary primary paren case function_call column types interval
    type table_alias unnest expression into cast bracket lambda
"""


def _binary(kind: Callable[..., exp.Expr]) -> Callable[[Any, exp.Expr, exp.Expr], exp.Expr]:
    """An operator of sqlglot's JSON tier, its right side kept as it was written (not read as a JSON path)."""
    return lambda parser, left, right: parser.expression(kind(this=left, expression=right))


class _Parser(MaterializeParser):
    """sqlglot's parser without its function library: a call is `Anonymous` unless its syntax is special."""

    FUNCTIONS = {}  # noqa: RUF012 - sqlglot's own convention
    FUNCTION_PARSERS = {  # noqa: RUF012
        name: MaterializeParser.FUNCTION_PARSERS[name]
        for name in ("CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")
    }
    NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
        name: MaterializeParser.NO_PAREN_FUNCTION_PARSERS[name] for name in ("ANY", "CASE")
    }
    FUNC_TOKENS = MaterializeParser.FUNC_TOKENS | {TokenType.SESSION}
    TYPE_LITERAL_PARSERS = {}  # noqa: RUF012
    # An arrow among arguments is jsonb's: there are no lambdas.
    LAMBDAS = {TokenType.FARROW: MaterializeParser.LAMBDAS[TokenType.FARROW]}  # noqa: RUF012
    JSON_OPERATORS = {  # noqa: RUF012
        TokenType.ARROW: _binary(exp.JSONExtract),
        TokenType.DARROW: _binary(exp.JSONExtractScalar),
        TokenType.HASH_ARROW: _binary(exp.JSONBExtract),
        TokenType.DHASH_ARROW: _binary(exp.JSONBExtractScalar),
        TokenType.PLACEHOLDER: _binary(exp.JSONBContainsTopKey),
    }

    def _parse_interval(self, *_args: Any, **_kwargs: Any) -> exp.Interval | None:
        """`INTERVAL 'text' [field [TO field]]`, the text as written: sqlglot's own reading drops parts of it."""
        if not self._curr or self._curr.token_type != TokenType.INTERVAL or not self._next:
            return None
        if self._next.token_type != TokenType.STRING:
            return None
        self._advance()
        this = self._parse_primary()
        fields: list[exp.Expr] = []
        while self._curr and self._curr.text.upper() in INTERVAL_FIELDS and len(fields) < 2:
            fields.append(exp.Var(this=self._curr.text.upper()))
            self._advance()
            if len(fields) == 2 or not self._match_text_seq("TO"):
                break
        unit = (
            exp.IntervalSpan(this=fields[0], expression=fields[1])
            if len(fields) == 2
            else fields[0]
            if fields
            else None
        )
        return self.expression(exp.Interval(this=this, unit=unit))

    def _parse_type(self, parse_interval: bool = True, fallback_to_identifier: bool = False) -> exp.Expr | None:
        """Also MAP[k => v, ...] and LIST[], which sqlglot would take for a column and for a type."""
        made = None if fallback_to_identifier else self._parse_constructor()
        if made is not None:
            return self._parse_column_ops(self._parse_bracket(made))
        found: exp.Expr | None = super()._parse_type(parse_interval, fallback_to_identifier)
        return found

    def _parse_constructor(self) -> exp.Expr | None:
        word = self._curr.text.upper() if self._curr and self._next else ""
        if word not in ("MAP", "LIST") or self._next.token_type != TokenType.L_BRACKET:
            return None
        begin = self._index
        self._advance()
        if word == "MAP":
            return self._parse_pairs()
        self._advance()
        if self._match(TokenType.R_BRACKET):
            return self.expression(exp.List(expressions=[]))
        self._retreat(begin)
        return None

    def _parse_types(self, *args: Any, **kwargs: Any) -> exp.Expr | None:
        """Also lists of arrays and of maps, `int[] list`."""
        found: exp.Expr | None = super()._parse_types(*args, **kwargs)
        while isinstance(found, exp.DataType) and found.this in (exp.DType.ARRAY, exp.DType.MAP, exp.DType.LIST):
            if not found.expressions or not self._match(TokenType.LIST):
                break
            found = exp.DataType(this=exp.DType.LIST, expressions=[found], nested=True)
        return found

    def _parse_pairs(self) -> exp.ToMap:
        """`[k => v, ...]`; a value in brackets is a map too."""
        self._match(TokenType.L_BRACKET)
        pairs = [] if self._curr and self._curr.token_type == TokenType.R_BRACKET else self._parse_csv(self._parse_pair)
        if not self._match(TokenType.R_BRACKET):
            self.raise_error("Expected ]")
        return self.expression(exp.ToMap(this=exp.Struct(expressions=pairs)))

    def _parse_pair(self) -> exp.PropertyEQ:
        key = self._parse_disjunction()
        if not self._match(TokenType.FARROW):
            self.raise_error("Expected =>")
        inner = self._curr and self._curr.token_type == TokenType.L_BRACKET
        return self.expression(
            exp.PropertyEQ(this=key, expression=self._parse_pairs() if inner else self._parse_disjunction())
        )

    def _parse_with(self, skip_with_token: bool = False) -> exp.With | None:
        """Also Materialize's `WITH MUTUALLY RECURSIVE [(... RECURSION LIMIT n)] name (column type, ...) AS (...), ...`."""
        if skip_with_token or self._curr.token_type != TokenType.WITH or self._next.text.upper() != "MUTUALLY":
            found: exp.With | None = super()._parse_with(skip_with_token)
            return found
        self._advance(2)
        if not self._match(TokenType.RECURSIVE):
            self.raise_error("Expected RECURSIVE")
        limit: tuple[int, bool] | None = None
        if self._match(TokenType.L_PAREN):
            returns = self._match_text_seq("RETURN", "AT")
            if not returns:
                self._match_text_seq("ERROR", "AT")
            if not self._match_text_seq("RECURSION", "LIMIT") or not self._curr.text.isdigit():
                self.raise_error("Expected RECURSION LIMIT")
            limit = (int(self._curr.text), bool(returns))
            self._advance()
            self._match_r_paren()
        bindings = self._parse_csv(self._parse_binding)
        clause = self.expression(exp.With(expressions=bindings, recursive=True))
        clause.meta[MUTUALLY] = (limit,)
        return clause

    def _parse_binding(self) -> exp.CTE:
        name = self._parse_id_var()
        columns = self._parse_wrapped(lambda: self._parse_csv(self._parse_binding_column))
        if not self._match(TokenType.ALIAS):
            self.raise_error("Expected AS")
        query = self._parse_wrapped(self._parse_statement)
        return self.expression(exp.CTE(this=query, alias=exp.TableAlias(this=name, columns=columns)))

    def _parse_binding_column(self) -> exp.ColumnDef:
        return self.expression(exp.ColumnDef(this=self._parse_id_var(), kind=self._parse_types()))

    def _parse_alias(self, this: exp.Expr | None, explicit: bool = False) -> exp.Expr | None:
        """Also `AS select`: any word may name a column behind AS."""
        if self._next and (self._curr.token_type, self._next.token_type) == (TokenType.ALIAS, TokenType.SELECT):
            self._advance(2)
            return self.expression(exp.Alias(this=this, alias=exp.to_identifier(self._prev.text.lower())))
        found: exp.Expr | None = super()._parse_alias(this, explicit)
        return found

    def _parse_unnest(self, *_args: Any, **_kwargs: Any) -> exp.Unnest | None:
        """Nothing: unnest is a table function like others, whose columns sqlglot would take apart."""
        return None

    def _parse_pipe_syntax_query(self, query: Any) -> Any:
        self.raise_error("Unexpected token", self._prev)
        return query

    def _parse_join(self, *args: Any, **kwargs: Any) -> exp.Join | None:
        comma = self._curr if self._curr.token_type == TokenType.COMMA else None
        join: exp.Join | None = super()._parse_join(*args, **kwargs)
        if comma and join is None:
            self.raise_error("Unexpected token", comma)
        return join

    def _parse_csv(self, parse_method: Any, sep: TokenType = TokenType.COMMA) -> list[Any]:
        items: list[Any] = super()._parse_csv(parse_method, sep)
        if items and self._prev.token_type == sep:
            self.raise_error("Invalid expression / Unexpected token")
        return items


def _located(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a parser method note where the node that it returns begins."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = self._curr
        result = method(self, *args, **kwargs)
        for node in result if isinstance(result, list) else (result,):
            if (
                token
                and isinstance(node, exp.Expr)
                and not any(node is arg for arg in args)
                and _START not in node.meta
            ):
                node.meta[_START] = token.start
        return result

    return wrapper


for _name in _LOCATED.split():
    setattr(_Parser, f"_parse_{_name}", _located(getattr(_Parser, f"_parse_{_name}")))


class _Dialect(Materialize):
    """Materialize's dialect with the parser above."""

    Parser = _Parser
    # Subscripts stay as they are written: sqlglot would count constants from 0.
    INDEX_OFFSET = 0


class Text:
    """The SQL of one view or query: turns nodes into errors with line and column.

    what: "a view" or "a query", for error texts. parameters: what a query takes besides relations; None in a view.
    errors: mistakes after which binding went on, to find more of them; `settle_errors` ends that. functions: those that it may
    call besides the registry's.
    """

    def __init__(
        self, view: str, sql: str, parameters: Parameters | None = None, functions: Functions | None = None
    ) -> None:
        self.view = view
        self.sql = sql
        self.parameters = parameters
        self.what = "a query" if self.asked_once else "a view"
        self.functions: Functions = functions or {}
        self.errors: list[SqlError] = []

    @property
    def asked_once(self) -> bool:
        """Whether it may have what depends on the session that asks."""
        return self.parameters is not None and self.parameters.once

    def error(self, node: exp.Expr | None, message: str, hint: str | None = None) -> SqlError:
        """A mistake at `node`."""
        return self.error_at(start(node) or 0 if node is not None else 0, message, hint)

    def error_at(self, offset: int, message: str, hint: str | None = None) -> SqlError:
        """A mistake at a character offset."""
        before = self.sql[: max(0, min(offset, len(self.sql)))]
        hint = hint or hints.usual(message)
        return SqlError(self.view, message, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1, hint)

    def follows(self, node: exp.Expr, word: str) -> bool:
        """Whether a word is what is written before a node."""
        return self.sql[: start(node) or 0].rstrip().upper().endswith(word)

    def settle_errors(self) -> None:
        """Raise the mistakes noted so far, if any."""
        if self.errors:
            raise self.errors.pop()

    def unsupported(self, node: exp.Expr, what: str | None = None, hint: str | None = None) -> SqlError:
        """The error for SQL that is understood and not supported."""
        return self.error(node, f"{what or wording(node)} is not supported in {self.what}", hint or hint_for(node))

    def only(self, node: exp.Expr, *consumed: str) -> None:
        """Refuse `node` when it carries any argument besides those named."""
        for name, value in node.args.items():
            if name in consumed or value is None or value is False or value == []:
                continue
            inner = value[0] if isinstance(value, list) else value
            if isinstance(inner, exp.Expr):
                place = inner if start(inner) is not None else node
                raise self.unsupported(place, wording(inner, name), hint_for(inner, name))
            raise self.unsupported(node, wording(node, name), hint_for(node, name))


def start(node: exp.Expr) -> int | None:
    """Offset of a node's first character: the least that it or a node below it is known by."""
    found = [
        offset
        for below in node.walk()
        for offset in (below.meta.get(_START), below.meta.get("start"))
        if isinstance(offset, int)
    ]
    own = node.meta.get(_START)
    if isinstance(own, int) and not isinstance(node, exp.Binary):
        return own
    return min(found) if found else None


def parse(text: Text) -> exp.Expr:
    """Read one query. Raises SqlError with PostgreSQL's wording for syntax errors."""
    dialect = _Dialect()
    try:
        # sqlglot takes `$1, $` for the tag of a quoted string, and reads @1 as the same parameter.
        sql = text.sql if text.parameters is None or "$" not in text.sql else with_marks(text.sql, "@")
        statements = [s for s in dialect.parse(sql) if s is not None and not isinstance(s, exp.Semicolon)]
    except ParseError as error:
        raise _syntax_error(text, error) from None
    except TokenError as error:
        raise _unterminated(text, error) from None
    except RecursionError:
        raise text.error_at(0, "the query is nested too deeply", "split it into several views") from None
    if not statements:
        raise text.error_at(0, "there is no query", "write SELECT ... FROM ...")
    if len(statements) > 1:
        raise text.error(
            statements[1],
            "a view is one query" if not text.asked_once else "this is more than one statement",
            "remove what follows the semicolon",
        )
    query = statements[0]
    if isinstance(query, exp.Create):
        if text.asked_once:
            raise text.unsupported(query, "CREATE", "declare it in the file")
        raise text.error(
            query, "CREATE is not part of a view's SQL", "write only the SELECT; the view's name is its key in the file"
        )
    if not isinstance(query, exp.Query | exp.Values):
        if text.asked_once and not isinstance(query, exp.DDL | exp.DML | exp.Command | exp.Delete):
            raise text.error(query, f'syntax error at or near "{text.sql.split()[0]}"', "write SELECT ... FROM ...")
        raise text.error(query, f"{text.what} is a SELECT, not {wording(query)}", "write SELECT ... FROM ...")
    for node in query.walk():
        if isinstance(node, exp.Select) and text.sql[start(node) or 0 :][:4].upper() == "FROM":
            raise text.error(node, 'syntax error at or near "FROM"', "write SELECT before FROM")
        if problem := misread(node):
            raise text.error(
                problem,
                "PostgreSQL reads these operators in another order",
                "put parentheses around the part that comes first",
            )
    return query


def instead(query: exp.Expr, at: exp.Expr, parts: Mapping[str, Sequence[exp.Expr]]) -> exp.Expr:
    """A copy of a query that stands for what was written `at` a node: the parts, by name, take the place of columns and relations.

    In a list all of a name's parts take its place, perhaps none.
    """
    made = query.copy()
    offset = start(at)
    for node in list(made.walk()):
        node.meta.clear()
        if offset is not None:
            node.meta[_START] = offset
        if isinstance(node, exp.Column | exp.Table) and node.name in parts and not node.args.get("table"):
            chosen = [part.copy() for part in parts[node.name]]
            node.replace(chosen[0] if len(chosen) == 1 else chosen)
    return made


_KNOWN_WORDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("OPTIONS",), "OPTIONS", "remove the OPTIONS clause"),
    (("AS", "OF"), "AS OF", "remove AS OF: a view is maintained at every time"),
)


def _syntax_error(text: Text, error: ParseError) -> SqlError:
    """sqlglot's error in PostgreSQL's words; constructs that sqlglot does not read but users of Materialize write are named."""
    details = error.errors[0] if error.errors else {}
    offset = _offset(
        text.sql, int(details.get("line") or 1), int(details.get("col") or 1), str(details.get("highlight") or "")
    )
    word = str(details.get("highlight") or "")
    around = f"{details.get('start_context') or ''}{word}{details.get('end_context') or ''}".upper().split()
    for words, what, hint in _KNOWN_WORDS:
        if words[-1] == word.upper() and _contains(around, words):
            return text.error_at(offset, f"{what} is not supported in {text.what}", hint)
    if not word or (
        offset + len(word) >= len(text.sql.rstrip()) and "Required keyword" in str(details.get("description"))
    ):
        end = len(text.sql.rstrip())
        return text.error_at(end, "syntax error at end of input", hints.syntax(text.sql, end))
    return text.error_at(offset, f'syntax error at or near "{word}"', hints.syntax(text.sql, offset))


def _unterminated(text: Text, error: TokenError) -> SqlError:
    """The error for text that is no words: nearly always a quote that nothing closes."""
    quotes = [place for place, letter in enumerate(text.sql) if letter == "'"]
    if len(quotes) % 2:
        hint = "close it with ', and write each ' within it twice"
        return text.error_at(quotes[-1], f'unterminated quoted string at or near "{text.sql[quotes[-1] :]}"', hint)
    return text.error_at(len(text.sql), f"syntax error: {str(error).splitlines()[0].rstrip('.')}", "look at its quotes")


def _contains(words: Iterable[str], wanted: tuple[str, ...]) -> bool:
    return " ".join(wanted) in " ".join(words)


def _offset(sql: str, line: int, column: int, word: str) -> int:
    """sqlglot's line and end column of a token as the offset of its first character."""
    lines = sql.split("\n")
    before = sum(len(text) + 1 for text in lines[: line - 1])
    return max(0, before + column - max(1, len(word)))
