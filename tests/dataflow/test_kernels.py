"""The row kernels stay small and apart (docs/adr/0007-row-kernels-apart.md)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "dataflow" / "kernels"
SOURCES = sorted(path for path in KERNELS.iterdir() if path.suffix in (".cpp", ".h"))


def test_the_row_kernels_stay_under_three_thousand_lines_of_code() -> None:
    lines = {path.name: sum(1 for line in path.read_text().splitlines() if _is_code(line)) for path in SOURCES}
    assert len(lines) > 10
    assert sum(lines.values()) < 3000, lines


def _is_code(line: str) -> bool:
    """Neither blank nor a comment alone: reasons and costs may be as long as they have to be."""
    return bool(line.strip()) and not line.lstrip().startswith("//")


def test_the_row_kernels_include_nothing_else_of_ours() -> None:
    for path in SOURCES:
        included = re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
        assert [name for name in included if not name.startswith("dataflow/kernels/")] == [], path.name


def test_every_row_kernel_says_its_cost() -> None:
    functions = [
        node
        for node in ast.walk(ast.parse((KERNELS / "_rows.pyi").read_text()))
        if isinstance(node, ast.FunctionDef)
        and not any(isinstance(name, ast.Name) and name.id == "property" for name in node.decorator_list)
    ]
    assert len(functions) > 20
    assert [node.name for node in functions if "O(" not in (ast.get_docstring(node) or "")] == []
