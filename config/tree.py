"""YAML text to plain values with marks, `${...}` replaced from the environment.

Always true: the text is never changed before it is parsed, so a value of the environment can neither move a mark nor bring
in YAML of its own. Mistakes are collected, and reading goes on behind them. Deliberately unknown: what the keys mean, but for
`kafka`, whose properties are taken as written (`false` stays `false`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from config.marks import Mark, Marks, Path, Text, places
from config.mistakes import Mistake, where

MAX_NODES = 100_000
"""Aliases can make a small file stand for a huge tree; beyond this many values it is refused."""

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<inner>[^{}]*)\}|\$\{")
_REFERENCE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")}


def read_tree(text: str, marks: Marks, environ: Mapping[str, str]) -> tuple[Any, list[Mistake]]:
    """The file's values (mappings as dict, lists as tuple), and what is wrong with its YAML. Fills `marks`."""
    yaml = YAML(typ="safe", pure=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it: the last anchor counts
            root = yaml.compose(text)
    except RecursionError:
        return None, [Mistake(1, 1, "", "lists or mappings are nested too deeply")]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        said = "; ".join(part for part in (error.context, error.problem) if part)
        if "${" in text.split("\n")[line - 1][: column + 1]:
            said += "; inside { } and [ ] write quotes around ${...}"
        return None, [Mistake(line, column, "", f"not YAML: {said}")]
    except YAMLError as error:
        said = str(error).splitlines()[0]
        position = getattr(error, "position", None)
        before = text[:position] if isinstance(position, int) else ""
        return None, [Mistake(before.count("\n") + 1, len(before) - before.rfind("\n"), "", f"not YAML: {said}")]
    if root is None:
        return None, [Mistake(1, 1, "", "the file is empty; it needs name, kafka and sources")]
    walk = _Walk(text, marks, environ, yaml)
    return walk.value(root, ()), walk.mistakes


@dataclass
class _Walk:
    """One pass over the nodes."""

    text: str
    marks: Marks
    environ: Mapping[str, str]
    yaml: YAML
    mistakes: list[Mistake] = field(default_factory=list)
    above: list[int] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: Any, path: Path) -> Any:
        """The value of a node; its marks are kept."""
        self.nodes += 1
        here = Mark(node.start_mark.line + 1, node.start_mark.column + 1)
        self.marks.values[path] = here
        if self.nodes > MAX_NODES:
            if self.nodes == MAX_NODES + 1:
                self.mistake(
                    here, path, f"the file stands for more than {MAX_NODES} values; its aliases repeat too much"
                )
            return None
        if id(node) in self.above:
            self.mistake(here, path, "an alias holds itself")
            return None
        if isinstance(node, ScalarNode):
            return self.scalar(node, path, here)
        self.above.append(id(node))
        try:
            if isinstance(node, SequenceNode):
                return tuple(self.value(item, (*path, index)) for index, item in enumerate(node.value))
            return self.mapping(node, path)
        finally:
            self.above.pop()

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        """A mapping's entries; keys are taken as written. Of two equal keys the first is kept."""
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = Mark(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                self.mistake(mark, path, "a key has to be plain text")
                continue
            key = str(key_node.value)
            if key in found:
                first = self.marks.keys[(*path, key)]
                self.mistake(mark, (*path, key), f"the key is given twice; the first is at {first.line}:{first.column}")
                continue
            self.marks.keys[(*path, key)] = mark
            found[key] = self.value(value_node, (*path, key))
            if value_node.start_mark.index == value_node.end_mark.index:
                self.marks.values[(*path, key)] = mark  # an empty value stands where the next key begins
        return found

    def scalar(self, node: ScalarNode, path: Path, here: Mark) -> Any:
        """A scalar's value by YAML 1.2's core schema, read again after `${...}` is replaced."""
        if node.tag not in _PLAIN_TAGS:
            self.mistake(here, path, f"unknown tag {node.tag!r}; leave it out")
            return UNREAD
        written = str(node.value)
        value, origin, failed = self.substitute(written, path, places(self.text, node))
        self.marks.texts[path] = Text(written, value, origin, places(self.text, node))
        if failed:
            return UNREAD
        if len(path) == 3 and path[0] == "kafka" and (value or node.style is not None or origin is not None):
            return value
        tag = node.tag
        if origin is not None and node.style is None:
            tag = str(self.yaml.resolver.resolve(ScalarNode, value, (True, False)))
        try:
            return self.convert(tag, value)
        except ValueError:
            self.mistake(here, path, f"not a YAML {tag.removeprefix(_TAG)}")
            return UNREAD

    def convert(self, tag: str, value: str) -> Any:
        """The Python value of a scalar with this tag; ValueError when the text does not fit the tag."""
        kind = tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind in ("int", "float", "bool"):
            try:
                return self.yaml.constructor.construct_object(ScalarNode(tag, value))
            except (KeyError, YAMLError) as error:
                raise ValueError(kind) from error
        return value

    def substitute(self, written: str, path: Path, marks: tuple[Mark, ...]) -> tuple[str, tuple[int, ...] | None, bool]:
        """Replace `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. Also where each character comes from."""
        if "${" not in written:
            return written, None, False
        pieces: list[str] = []
        origin: list[int] = []
        end, failed = 0, False
        for found in _VARIABLE.finditer(written):
            start = found.start()
            piece = "${"
            if found["inner"] is not None or found[0] == "${":
                value, reason = self.look_up(found[0], found["inner"])
                if reason:
                    self.mistake(marks[start], path, reason)
                    failed = True
                piece = value
            pieces += (written[end:start], piece)
            origin += (*range(end, start), *([start] * len(piece)))
            end = found.end()
        pieces.append(written[end:])
        origin += range(end, len(written))
        return "".join(pieces), tuple(origin), failed

    def look_up(self, whole: str, inner: str | None) -> tuple[str, str]:
        """The value of one reference, or the reason why it has none."""
        reference = _REFERENCE.fullmatch(inner) if inner is not None else None
        if reference is None:
            return "", f"cannot read {whole!r}; write ${{NAME}} or ${{NAME:-default}}, and $${{ for a plain ${{"
        name, default = reference["name"], reference["default"]
        value = self.environ.get(name, "")
        if name not in self.environ and default is None:
            return "", f"the variable {name} is not set; set it or write ${{{name}:-default}}"
        return (value or default or ""), ""

    def mistake(self, mark: Mark, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(mark.line, mark.column, where(path), message))


class _Unread:
    """A value that could not be read; its mistake is reported already."""

    def __repr__(self) -> str:
        return "unread"


UNREAD = _Unread()
"""Stands in the tree where a scalar could not be read; it fails every type, and that failure is not reported again."""
