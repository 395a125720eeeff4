"""The words of a statement, read one by one: what parsers of commands stand on.

Always true: what comes unexpectedly is a syntax error with its position. Deliberately unknown: which statements there are.
"""

from __future__ import annotations

import re

from serve.sql.errors import QueryError

_TOKEN = re.compile(
    r"""\s*( [eE]?'(?:[^']|'')*' | (?P<dollars>\$(?:[A-Za-z_]\w*)?\$).*?(?P=dollars) | "(?:[^"]|"")*"
         | [A-Za-z_][\w$]*(?:\.[\w$]+)* | [-+]?[0-9]+(?:\.[0-9]+)? | . )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


class Words:
    """The tokens of a statement, read one by one."""

    def __init__(self, sql: str, database: str = "") -> None:
        """database: what the names of objects may be written behind."""
        self.sql, self.database = sql, database
        self.found = list(_TOKEN.finditer(sql))
        self.at = 0

    @property
    def word(self) -> str:
        """The next token in upper case; empty at the end."""
        return self.found[self.at][1].upper() if self.at < len(self.found) else ""

    def take(self, *words: str) -> bool:
        """Pass over these tokens if they come next."""
        found = [token[1].upper() for token in self.found[self.at : self.at + len(words)]]
        if found != list(words):
            return False
        self.at += len(words)
        return True

    def need(self, *words: str) -> None:
        """Pass over these tokens. QueryError when something else comes."""
        if not self.take(*words):
            raise self.wrong()

    def name(self) -> str:
        """An identifier, a string or a number, without quotes."""
        if self.at >= len(self.found):
            raise self.wrong()
        text = self.found[self.at][1]
        self.at += 1
        if text[0] == '"':
            return text[1:-1].replace('""', '"')
        if (dollars := self.found[self.at - 1]["dollars"]) is not None:
            return text[len(dollars) : -len(dollars)]
        if text.endswith("'") and len(text) > 1:
            inner = text[text.index("'") + 1 : -1].replace("''", "'")
            return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), inner) if text[0] in "eE" else inner
        if not re.match(r"[\w+-]", text):
            self.at -= 1
            raise self.wrong()
        return text.lower()

    def rest(self) -> str:
        """The text that follows."""
        return self.sql[self.found[self.at].start(1) :].rstrip() if self.at < len(self.found) else ""

    def wrong(self) -> QueryError:
        """A syntax error at the next token."""
        if self.at >= len(self.found):
            return QueryError("42601", "syntax error at end of input", position=len(self.sql) + 1)
        found = self.found[self.at]
        return QueryError("42601", f'syntax error at or near "{found[1]}"', position=found.start(1) + 1)

    def end(self) -> None:
        """QueryError when something follows."""
        if self.at < len(self.found):
            raise self.wrong()

    def listed(self) -> list[str]:
        """The texts between commas up to the closing parenthesis, which is passed over."""
        parts, depth, begin = list[str](), 0, self.at
        while self.word:
            if self.word in ("(", "["):
                depth += 1
            elif self.word in (")", ",") and depth == 0:
                parts.append(self.sql[self.found[begin].start(1) : self.found[self.at].start(1)].strip())
                begin = self.at + 1
                if self.word == ")":
                    self.at += 1
                    return parts
            elif self.word in (")", "]"):
                depth -= 1
            self.at += 1
        raise self.wrong()
