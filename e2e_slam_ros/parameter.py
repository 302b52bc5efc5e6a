"""The mechanics of the configuration tree: leaves, dotted names, YAML."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from e2e_slam_ros.errors import ConfigError

Scalar: TypeAlias = bool | int | float | str
_A_KIND = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class ParameterInfo:
    """One leaf of the tree: dotted ``name``, ``default``, ``doc`` and what it may be.

    ``low`` and ``high`` are inclusive; ``choices`` empty means any value of the type.
    """

    name: str
    default: Scalar
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] = ()

    def check(self, value: object) -> Scalar:
        """Return ``value`` as the parameter's type; raise `ConfigError` if it cannot be one."""
        kind = type(self.default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
            raise ConfigError.from_parts(
                f"parameter {self.name}", repr(value), _A_KIND[kind], "correct its type"
            )
        assert isinstance(value, bool | int | float | str)
        too_low = self.low is not None and not isinstance(value, str) and value < self.low
        too_high = self.high is not None and not isinstance(value, str) and value > self.high
        if too_low or too_high or (self.choices and value not in self.choices):
            raise ConfigError.from_parts(
                f"parameter {self.name}", repr(value), self.allowed, "choose an allowed value"
            )
        return value

    @property
    def allowed(self) -> str:
        """The permitted values, in words."""
        if self.choices:
            return "one of " + ", ".join(str(c) for c in self.choices)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        if self.high is not None:
            return f"at most {self.high:g}"
        return {bool: "true or false", str: "text"}.get(type(self.default), "any number")


def leaf(
    default: Scalar,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Scalar, ...] = (),
) -> Any:
    """Return a dataclass field that carries its documentation and range."""
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


def leaves(node: Any, prefix: str = "") -> Iterator[ParameterInfo]:
    """Yield the leaves below a configuration dataclass in order."""
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{item.name}.")
        else:
            yield ParameterInfo(f"{prefix}{item.name}", value, **item.metadata)


def get_leaf(node: Any, name: str) -> Scalar:
    """Return the value under a dotted name."""
    for part in name.split("."):
        node = getattr(node, part)
    value: Scalar = node
    return value


def set_leaf(node: Any, path: list[str], value: Scalar) -> Any:
    """Return a copy of the tree with one leaf changed."""
    head, *rest = path
    changed = set_leaf(getattr(node, head), rest, value) if rest else value
    return dataclasses.replace(node, **{head: changed})


def nearest_name(name: str, known: Mapping[str, ParameterInfo]) -> str:
    """Return the known name that looks most like ``name``."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted name, value) of a nested mapping."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def yaml_lines(node: Any, documented: bool, prefix: str = "", depth: int = 2) -> Iterator[str]:
    """Yield the YAML of a configuration dataclass, with comments where ``documented``."""
    pad = "  " * depth
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        if dataclasses.is_dataclass(value):
            yield f"{pad}{item.name}:"
            yield from yaml_lines(value, documented, f"{prefix}{item.name}.", depth + 1)
            continue
        if documented:
            info = ParameterInfo(item.name, value, **item.metadata)
            yield f"{pad}# {info.doc} ({info.allowed})"
        text = yaml.safe_dump(value, default_flow_style=True).replace("...", "").strip()
        yield f"{pad}{item.name}: {text}"
