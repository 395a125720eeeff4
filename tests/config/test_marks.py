"""Places inside scalars: every visible character of the text is found in the file, in every YAML style."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.marks import Mark, Marks
from config.tree import read_tree


def marks_of(text: str, **environ: str) -> tuple[str, Marks]:
    marks = Marks("f")
    tree, mistakes = read_tree(text, marks, environ)
    assert mistakes == []
    return tree["sql"], marks


def place(file: str, marks: Marks, value: str, word: str) -> str:
    """What stands in the file at the place of `word` of the value."""
    index = value.index(word)
    line, column = value.count("\n", 0, index) + 1, index - value.rfind("\n", 0, index)
    mark = marks.inside(("sql",), line, column)
    return file.split("\n")[mark.line - 1][mark.column - 1 :]


@pytest.mark.parametrize(
    "file",
    [
        "sql: SELECT a FROM wrong GROUP BY a\n",
        "sql:\n  SELECT a\n    FROM wrong\n\n  GROUP BY a\n",
        "sql: 'SELECT ''x'', a FROM wrong GROUP BY a'\n",
        "sql: 'SELECT ''x'',\n   a\n\n   FROM wrong\n  GROUP BY a'\n",
        'sql: "SELECT \\"x\\",\\n a \\\n    FROM\\twrong \\u0041 GROUP BY a"\n',
        "sql: |\n  SELECT a\n    FROM wrong\n\n  GROUP BY a\n",
        "sql: |2-  # a comment: wrong\n    SELECT a\n  FROM wrong\n  GROUP BY a\n\n\n",
        "sql: >\n  SELECT a,\n  b\n\n    more\n  FROM wrong\n  GROUP BY a\n",
        "sql: >+\n\n  SELECT a\n  FROM wrong GROUP\n  BY a\n\nother: x\n",
        "{sql: SELECT a\n FROM wrong\n GROUP BY a}\n",
    ],
)
def test_each_style(file: str) -> None:
    value, marks = marks_of(file)
    assert place(file, marks, value, "wrong").startswith("wrong")
    assert place(file, marks, value, "SELECT").startswith("SELECT")
    assert place(file, marks, value, "BY a").startswith("BY")


def test_the_end_of_a_text_is_behind_its_last_character() -> None:
    _, marks = marks_of("sql: |\n  SELECT a\n  FROM\n")
    assert marks.inside(("sql",), 3, 1) == Mark(3, 7)
    assert marks.inside(("sql",), 99, 1) == Mark(3, 7)


def test_places_around_what_comes_from_the_environment() -> None:
    file = "sql: |\n  SELECT $${x} FROM ${TABLE} GROUP BY ${KEY:-a} LIMIT\n"
    value, marks = marks_of(file, TABLE="a\nlong\nname")
    assert value == "SELECT ${x} FROM a\nlong\nname GROUP BY a LIMIT\n"
    assert place(file, marks, value, "FROM").startswith("FROM")
    assert place(file, marks, value, "long").startswith("${TABLE}")
    assert place(file, marks, value, "GROUP").startswith("GROUP")
    assert place(file, marks, value, "LIMIT").startswith("LIMIT")
    assert marks.inside(("sql",), 9, 9) == Mark(2, 54)


def test_unknown_paths_are_answered_by_their_ancestors() -> None:
    _, marks = marks_of("sql: x\n")
    assert marks.value(("sql", "deeper", 3)) == Mark(1, 1)
    assert marks.value(("nothing",)) == Mark(1, 1)
    assert marks.inside(("nothing",), 5, 5) == Mark(1, 1)


WORDS = st.lists(st.text("ab'\"\\ü\n \t", min_size=1, max_size=6), min_size=1, max_size=8)


@given(WORDS, st.sampled_from(['"', "'", "|"]))
@example(["'"], "'")
def test_every_visible_character_has_its_place(words: list[str], style: str) -> None:
    text = "x" + "".join(words)
    if style == '"':
        file = f"sql: {json.dumps(text)}\n"
    elif style == "'":
        text = text.replace("\n", " ").replace("\t", " ")
        file = "sql: '" + text.replace("'", "''") + "'\n"
    else:
        text = "\n".join(line.strip() for line in text.split("\n"))
        file = "sql: |\n" + "".join(f"  {line}\n" for line in text.split("\n"))
    value, marks = marks_of(file)
    lines = file.split("\n")
    for row, line in enumerate(value.split("\n")):
        for column, character in enumerate(line):
            if not character.isspace():
                mark = marks.inside(("sql",), row + 1, column + 1)
                found = lines[mark.line - 1][mark.column - 1 :]
                assert found.startswith((character, "\\")), (file, row, column, found)
