"""Where rows enter the graph: inputs, filled by the caller in every step, and constants, which appear at the first step.

VALUES (1, 'a'), (2, 'b')
"""

from __future__ import annotations

from dataclasses import dataclass

from dataflow.delta import Delta
from dataflow.operators.base import NO_ERRORS, Operator, Types


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A named input of the dataflow."""

    name: str

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Input:
        return Input(self, types, inputs)

    def __str__(self) -> str:
        return f"input {self.name}"


class Input(Operator):
    """Passes on what the caller put into it for this step."""

    def __init__(self, spec: InputSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self.name = spec.name
        self._types = tuple(kind.arrow for kind in types)
        self._taken = self._nothing
        self._failed = NO_ERRORS

    def check(self, delta: Delta) -> None:
        """TypeError unless the delta's columns are of the input's types."""
        if len(delta.columns) != len(self.types):
            raise TypeError(f"{self.spec} has {len(self.types)} columns, but the delta has {len(delta.columns)}")
        for position, (column, expected) in enumerate(zip(delta.columns, self._types, strict=True)):
            if column.type != expected:
                raise TypeError(f"{self.spec} column #{position} is {expected}, but the delta has {column.type}")
            if len(column) != len(delta):
                raise TypeError(f"{self.spec} column #{position} has {len(column)} rows, but {len(delta)} diffs")

    def put(self, delta: Delta) -> None:
        """Hand over this step's rows, which have passed `check`."""
        self._taken = delta
        self.due = True

    def put_errors(self, errors: Delta) -> None:
        """Hand over this step's errors of the source itself, one text column; they reach every view downstream."""
        self._failed = errors
        self.due = True

    def step(self, *_: Delta) -> Delta:
        self.report(self._failed.columns[0], self._failed.diffs)
        taken, self._taken, self._failed = self._taken, self._nothing, NO_ERRORS
        self.rows_in += len(taken)
        return taken


@dataclass(frozen=True, slots=True, eq=False)
class ConstantSpec:
    """Fixed rows. Compared by identity: constants are small, and sharing them saves nothing."""

    delta: Delta

    def build(self, types: Types, inputs: tuple[Operator, ...]) -> Operator:
        return Constant(self, types, inputs)

    def __str__(self) -> str:
        return f"constant of {len(self.delta)} rows"


class Constant(Operator):
    """Runs in the first step only."""

    def __init__(self, spec: ConstantSpec, types: Types, inputs: tuple[Operator, ...]) -> None:
        super().__init__(spec, types, inputs)
        self._rows = spec.delta
        self.due = True

    def resume(self) -> None:
        super().resume()
        self._rows = self._nothing

    def step(self, *_: Delta) -> Delta:
        taken, self._rows = self._rows, self._nothing
        return taken
