"""Functions that are compiled for one value of an argument: patterns of regular expressions, fields and units of time.

When that argument is a constant, there is one kernel. When it varies, each of its distinct values has its own kernel, made
when first seen and kept (up to a bound), and each row takes the result of its value's kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from planner.functions.registry import Implementation, Kernel, Operands, Site
from planner.functions.types import FunctionError

_KEPT = 256
"""Kernels of varying values that one call keeps."""

Specialise = Callable[[Site, str], Callable[[Any, int], tuple[Any, Any]]]
"""(call, value of the text argument) -> kernel of the other argument; FunctionError when the value is not known."""


def _null(site: Site) -> Kernel:
    return lambda _operands, rows: (pa.nulls(rows, site.result.arrow), None)


def specialised(constant: int, other: int, specialise: Specialise) -> Implementation:
    """An implementation for two arguments, of which the one at `constant` is text and chooses the kernel of the `other`."""

    def build(site: Site) -> Kernel:
        value = site.operands[constant].constant
        if value is None:
            return _varying(site, constant, other, specialise)
        if not value.is_valid:
            return _null(site)
        kernel = specialise(site, value.as_py())
        return lambda operands, rows: kernel(operands[other], rows)

    return Implementation(build)


def _varying(site: Site, constant: int, other: int, specialise: Specialise) -> Kernel:
    kernels: dict[str, Callable[[Any, int], tuple[Any, Any]] | str] = {}

    def kernel_of(value: str) -> Callable[[Any, int], tuple[Any, Any]] | str:
        if value not in kernels:
            if len(kernels) >= _KEPT:
                kernels.clear()
            try:
                kernels[value] = specialise(site, value)
            except FunctionError as error:
                kernels[value] = error.message
        return kernels[value]

    def kernel(operands: Operands, rows: int) -> tuple[Any, Any]:
        chosen, values = operands[constant], operands[other]
        if len(values) != rows:
            values = pa.repeat(values[0], rows)
        result = pa.nulls(rows, site.result.arrow)
        errors: Any = None
        for value in pc.unique(chosen).drop_null().to_pylist():
            here = pc.equal(chosen, pa.scalar(value, pa.large_string()))
            made = kernel_of(value)
            if isinstance(made, str):
                # A value that is unknown is an error only where the other argument is not NULL: the function is strict.
                message = pa.scalar(made, pa.large_string())
                own = pc.if_else(pc.is_valid(values), message, pa.scalar(None, pa.large_string()))
            else:
                part, own = made(values, rows)
                result = pc.if_else(pc.fill_null(here, False), part, result)
            if own is not None:
                own = pc.if_else(here, own, pa.scalar(None, pa.large_string()))
                errors = own if errors is None else pc.coalesce(errors, own)
        if errors is not None and errors.null_count == rows:
            errors = None
        return result, errors

    return kernel
