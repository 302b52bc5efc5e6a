"""The mechanics of the configuration tree: leaves, dotted names, YAML."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar

import yaml

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.plain_yaml import PlainLoader

Scalar: TypeAlias = bool | int | float | str
Tree = TypeVar("Tree", bound="Settings")
# A number with an exponent and no point, which YAML 1.1 reads as text.
_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+$")
_RANGE = re.compile(r"[+-]?\d+(:\d+)+$")
_A_KIND = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class ParameterInfo:
    """One leaf of the tree: dotted ``name``, ``default``, ``doc`` and what it may be.

    ``low`` and ``high`` are inclusive; ``choices`` empty means any value of the type. A ``live``
    parameter may change while a node runs; a stage is built from any other at start.

    >>> info = ParameterInfo("depth.max_m", 8.0, "farthest depth used, metres", low=0.1)
    >>> info.check(5)
    5.0
    >>> info.allowed
    'at least 0.1'
    """

    name: str
    default: Scalar
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] = ()
    live: bool = False

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
    live: bool = False,
) -> Any:
    """Return a dataclass field that carries its documentation, its range and whether it is live.

    Set ``live`` only where the running stages take over a new value without being built again.
    """
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices, "live": live}
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
            live = "; live" if info.live else ""
            yield f"{pad}# {info.doc} ({info.allowed}{live})"
        text = yaml.safe_dump(value, default_flow_style=True).replace("...", "").strip()
        yield f"{pad}{item.name}: {text}"


class Settings:
    """The base of a tree of settings: copies with changed values, and YAML.

    >>> @dataclass(frozen=True)
    ... class Walk(Settings):
    ...     speed: float = leaf(1.0, "metres per second", low=0.0)
    >>> Walk().with_assignments(["speed=2"]).values()
    {'speed': 2.0}

    Attributes:
        called: how one of the settings is called in messages.
        where: what to look at when a file is no mapping.
    """

    called: ClassVar[str] = "parameter"
    where: ClassVar[str] = "see config/slam.yaml"

    @classmethod
    def settings(cls) -> tuple[ParameterInfo, ...]:
        """Return every leaf of the tree with its default, documentation and range."""
        return tuple(leaves(cls()))

    @classmethod
    def from_yaml(cls: type[Tree], text: str) -> Tree:
        """Read the YAML of `to_yaml`; unknown names are errors, missing ones keep defaults."""
        return cls().with_yaml(text)

    def values(self) -> dict[str, Scalar]:
        """Return every leaf as dotted name -> value, in the tree's order."""
        return {info.name: get_leaf(self, info.name) for info in self.settings()}

    def with_values(self: Tree, values: Mapping[str, object]) -> Tree:
        """Return a copy with the given dotted names changed.

        Raises:
            ConfigError: an unknown name, a wrong type, a value out of range, or a combination
                that `check` refuses.
        """
        known, changed = self._known(), self
        for name, value in values.items():
            if name not in known:
                do = f"did you mean {nearest_name(name, known)}?"
                raise ConfigError.from_parts(self.called, repr(name), "a known name", do)
            changed = set_leaf(changed, name.split("."), known[name].check(value))
        changed.check()
        return changed

    def with_assignments(self: Tree, assignments: Sequence[str]) -> Tree:
        """Return a copy changed by ``key=value`` texts, the values read as YAML.

        Raises:
            ConfigError: a text that is no such pair, or `with_values` refuses a value.
        """
        values: dict[str, object] = {}
        for text in assignments:
            name, separator, value = text.partition("=")
            if not separator:
                raise ConfigError.from_parts("setting", repr(text), "key=value", "add the value")
            try:
                values[name.strip()] = yaml.load(value, _Loader) if value.strip() else ""
            except yaml.YAMLError as error:
                raise ConfigError.from_parts(
                    "setting", repr(text), "a value in YAML", "quote it"
                ) from error
        return self.with_values(self._as_meant(values))

    def with_yaml(self: Tree, text: str) -> Tree:
        """Return a copy changed by nested names and values in YAML, also of a ROS parameter file.

        Raises:
            ConfigError: the text is no YAML, or `with_values` refuses a value.
        """
        what = f"{self.called.rpartition(' ')[0] or self.called} file"
        try:
            tree = yaml.load(text, _Loader) or {}
        except yaml.YAMLError as error:
            raise ConfigError.from_parts(
                what, str(error).replace("\n", " "), "YAML", "correct the line it names"
            ) from error
        if isinstance(tree, Mapping) and isinstance(tree.get("/**"), Mapping):
            tree = tree["/**"].get("ros__parameters") or {}
        if not isinstance(tree, Mapping):
            raise ConfigError.from_parts(what, type(tree).__name__, "names and values", self.where)
        return self.with_values(self._as_meant(dict(flatten(tree))))

    def to_yaml(self, documented: bool = False) -> str:
        """Return the YAML that `from_yaml` reads back to an equal configuration."""
        return "\n".join(yaml_lines(self, documented, depth=0)) + "\n"

    def check(self) -> None:
        """Refuse settings that make no sense together.

        Raises:
            ConfigError: naming the settings.
        """

    @classmethod
    def _known(cls) -> dict[str, ParameterInfo]:
        return {info.name: info for info in cls.settings()}

    def _as_meant(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return values from a text with what YAML reads otherwise than people mean it mended.

        1e6 and 1e-4 are numbers where one is wanted, and off is a word where it is a choice.
        """
        known = self._known()
        return {n: _as_meant(v, known[n]) if n in known else v for n, v in values.items()}


class _Loader(PlainLoader):
    """Reads 20:40 as a text; YAML 1.1 takes it for a number to base 60."""

    yaml_implicit_resolvers = {
        first: [("tag:yaml.org,2002:str", _RANGE), *others]
        for first, others in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _as_meant(value: object, info: ParameterInfo) -> object:
    kind = type(info.default)
    if isinstance(value, bool):
        word = "on" if value else "off"
        return word if word in info.choices else value
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind not in (int, float) or not isinstance(value, str) or not _EXPONENT.match(value):
        return value
    number = float(value)
    return int(number) if kind is int and number.is_integer() else number
