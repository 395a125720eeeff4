"""What a module of SQL functions in Python imports: the decorator that gives a function its signature.

    from headwater.functions import function

    @function("vat(amount numeric(12,2), rate numeric(4,2)) returns numeric(12,2)")
    def vat(amount, rate):
        return pc.round(pc.multiply(amount, rate), ndigits=2)

Always true: a decorated function stays what it was, so that it can be called and tested like any other. Deliberately unknown: what
signatures mean (`headwater.modules` reads them when the module is loaded).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Called = TypeVar("Called", bound=Callable[..., Any])

SIGNATURES = "__headwater_signatures__"
"""The attribute of a function that lists its signatures."""


def function(signature: str) -> Callable[[Called], Called]:
    """Make a Python function callable in SQL. docs/python_functions.md says what it gets and what it must give.

    signature: `name(parameter type, ...) returns type`; with several decorators the function has several.
    """

    def mark(called: Called) -> Called:
        setattr(called, SIGNATURES, (signature, *getattr(called, SIGNATURES, ())))
        return called

    return mark
