"""What pytest collects: every test class of dbt-tests-adapter that has tests of its own, under the name of its module.

Runs inside the environment of `__main__`, where dbt is; nothing of this project is imported. Always true: a class that is left
out is left out by name, with a reason.
"""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import dbt.tests.adapter as root
import pytest

LEFT_OUT = {
    "basic.test_incremental": "dbt-materialize has no incremental models: a materialized view is what they are for",
    "basic.test_snapshot_check_cols": "dbt-materialize has no snapshots",
    "basic.test_snapshot_timestamp": "dbt-materialize has no snapshots",
    "dbt_clone": "dbt-materialize does not clone",
    "grants": "dbt-materialize does not implement grants",
    "hooks": "the classes write down what PostgreSQL's own session functions say",
    "incremental": "dbt-materialize has no incremental models",
    "python_model": "dbt-materialize has no models in Python",
    "relations": "the classes replace tables by views, and dbt-materialize makes no tables of models",
    "simple_copy": "the classes update incremental models",
    "simple_snapshot": "dbt-materialize has no snapshots",
    "utils.test_get_powers_of_two": "has no tests of its own",
}
"""By module, or the package that it is in."""


def reason(module: str) -> str | None:
    """Why a module is left out; None where it is not."""
    return LEFT_OUT.get(module) or LEFT_OUT.get(module.partition(".")[0])


def classes(module: ModuleType) -> list[type]:
    """The classes of a module that have tests; not those that others there are made from."""
    own = [made for _, made in inspect.getmembers(module, inspect.isclass) if made.__module__ == module.__name__]
    tests = [
        made
        for made in own
        if made.__name__.startswith(("Base", "Test")) and any(m.startswith("test") for m in dir(made))
    ]
    taken = {base for made in tests if made.__name__.startswith("Test") for base in made.__mro__[1:]}
    return [made for made in tests if made not in taken]


for folder in map(Path, root.__path__):
    for path in sorted(folder.rglob("test_*.py")):
        short = ".".join(path.relative_to(folder).with_suffix("").parts)
        for made in classes(importlib.import_module(f"{root.__name__}.{short}")):
            title = f"Test_{short.replace('.', '_')}_{made.__name__}"
            members = {"pytestmark": [pytest.mark.skip(reason=why)]} if (why := reason(short)) else {}
            globals()[title] = type(title, (made,), members)
