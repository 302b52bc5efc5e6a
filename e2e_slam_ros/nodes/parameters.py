"""The configuration tree as ROS parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import ParameterInfo, nearest_name

_REFUSALS = (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterUninitializedException,
)
_INT64_MAX = 2**63 - 1
_DOUBLE_MAX = 1.7e308
# rclpy's own parameters, which no configuration tree knows.
_FOREIGN_PREFIXES = ("use_sim_time", "qos_overrides.", "start_type_description_service")


class NodeParameters:
    """Declares every leaf of the tree on a node and keeps `config` up to date.

    Args:
        node: created with ``automatically_declare_parameters_from_overrides=False``.
        on_change: called with the new configuration after a live parameter changed.
        check: called before with what it would be; raises `ConfigError` to refuse.

    Raises:
        ConfigError: a parameter file or ``-p`` names an unknown parameter, or a value has the
            wrong type or is out of range.
    """

    def __init__(
        self,
        node: Node,
        on_change: Callable[[Config], None],
        check: Callable[[Config], None] | None = None,
    ) -> None:
        self._on_change = on_change
        self._on_check = check
        self.config = Config().with_values(declared(node, parameters()))
        node.add_on_set_parameters_callback(self._check)
        # Humble has no callback for after the change: there the check applies it.
        self._checks_only = hasattr(node, "add_post_set_parameters_callback")
        if self._checks_only:
            node.add_post_set_parameters_callback(self._apply)

    def _check(self, changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            changed = self.config.with_values(_ours(changes))
            if self._on_check is not None:
                self._on_check(changed)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not self._checks_only:
            self._apply(changes)
        return SetParametersResult(successful=True)

    def _apply(self, changes: Sequence[Parameter]) -> None:
        values = _ours(changes)
        if values:
            self.config = self.config.with_values(values)
            self._on_change(self.config)


def descriptor(info: ParameterInfo) -> ParameterDescriptor:
    """Return a leaf's description, range and whether it is read-only, as tools show them."""
    result = ParameterDescriptor(
        name=info.name,
        description=info.doc,
        additional_constraints=info.allowed,
        read_only=not info.live,
    )
    bounded = info.low is not None or info.high is not None
    if bounded and isinstance(info.default, float):
        low = -_DOUBLE_MAX if info.low is None else float(info.low)
        high = _DOUBLE_MAX if info.high is None else float(info.high)
        result.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif bounded and not isinstance(info.default, bool):
        lowest = -_INT64_MAX if info.low is None else int(info.low)
        highest = _INT64_MAX if info.high is None else int(info.high)
        result.integer_range = [IntegerRange(from_value=lowest, to_value=highest, step=1)]
    return result


def overrides(config: Config) -> list[Parameter]:
    """Return a configuration as parameter overrides for a node made in this process."""
    return [Parameter(name, value=value) for name, value in config.values().items()]


def _ours(changes: Sequence[Parameter]) -> dict[str, object]:
    known = {info.name for info in parameters()}
    return {change.name: change.value for change in changes if change.name in known}


def declared(node: Node, infos: Sequence[ParameterInfo]) -> dict[str, Any]:
    """Declare parameters on a node and return their values by name.

    rclpy keeps overrides that nothing declares without a word: a misspelt parameter would
    silently have no effect.

    Raises:
        ConfigError: the node was given an unknown parameter, or a value of a wrong type or out of
            range.
    """
    known = {info.name: info for info in infos}
    for name in node._parameter_overrides:
        if name not in known and not name.startswith(_FOREIGN_PREFIXES):
            do = f"did you mean {nearest_name(name, known)}?"
            raise ConfigError.from_parts("parameter", repr(name), "a known name", do)
    values = {}
    for info in infos:
        _read_switch(node, info)
        try:
            parameter = node.declare_parameter(info.name, info.default, descriptor(info))
        except _REFUSALS as error:
            raise ConfigError.from_parts(
                f"parameter {info.name}",
                repr(_override(node, info.name)),
                f"a {type(info.default).__name__}, {info.allowed}",
                "correct it in the parameter file or behind -p (1.0 is a float, true a bool)",
            ) from error
        values[info.name] = parameter.value
    return values


def _read_switch(node: Node, info: ParameterInfo) -> None:
    """Take a bare ``on`` or ``off`` as the choice of that name: YAML reads it as true or false."""
    given = node._parameter_overrides.get(info.name)
    if given is None or not isinstance(given.value, bool) or isinstance(info.default, bool):
        return
    word = "on" if given.value else "off"
    if word in info.choices:
        node._parameter_overrides[info.name] = Parameter(info.name, value=word)


def _override(node: Node, name: str) -> object:
    given = node._parameter_overrides.get(name)
    return None if given is None else given.value
