"""Services of slam_toolbox and nav2 that save and load a map by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from e2e_slam_ros.nodes.trigger_services import TriggerServices

# Codes that these services have in common.
_SUCCESS, _FAILURE = 0, 255
_SUFFIX = ".ply"


@dataclass(frozen=True)
class NamedMapService:
    """One service of another package.

    Attributes:
        package: holds the service's type.
        type_name: name of the type.
        name: name of the service below the node's.
        field: where a request has the map's name.
        loads: it loads a map; else it saves one.

    Example:
        >>> NamedMapService("no_such_package", "LoadMap", "load", "map_url", True).found()
    """

    package: str
    type_name: str
    name: str
    field: str
    loads: bool

    def found(self) -> Any | None:
        """Return the service's type; None where its package is not installed."""
        try:
            module = importlib.import_module(f"{self.package}.srv")
        except ImportError:
            return None
        return getattr(module, self.type_name, None)


KNOWN = (
    NamedMapService(
        "slam_toolbox", "SerializePoseGraph", "slam_toolbox/serialize_map", "filename", False
    ),
    NamedMapService(
        "slam_toolbox", "DeserializePoseGraph", "slam_toolbox/deserialize_map", "filename", True
    ),
    NamedMapService("slam_toolbox", "SaveMap", "slam_toolbox/save_map", "name.data", False),
    NamedMapService("nav2_msgs", "SaveMap", "nav2/save_map", "map_url", False),
    NamedMapService("nav2_msgs", "LoadMap", "nav2/load_map", "map_url", True),
)


def offer_map_services(
    services: TriggerServices, save: Callable[[str], object], load: Callable[[str], object]
) -> list[str]:
    """Offer the services whose packages are installed; return their names.

    Names go to the output folder: a name with a folder is refused, as in ``runtime.map_file``.
    What else a request holds is ignored.

    Args:
        save: writes the map under a file name; raises where it fails.
        load: reads it likewise.
    """
    offered = []
    for known in KNOWN:
        kind = known.found()
        if kind is None:
            continue
        action, word = (load, "load") if known.loads else (save, "save")
        services.asked(kind, known.name, word, _by_name(known.field, action), fill_result)
        offered.append(known.name)
    return offered


def file_name(given: str) -> str:
    """Return the map file's name for a given name; "" stays: ``runtime.map_file``.

    Example:
        >>> file_name("office"), file_name("office.pcd"), file_name("")
        ('office.ply', 'office.pcd', '')
    """
    return given + _SUFFIX if given and "." not in given else given


def fill_result(response: Any, done: bool) -> None:
    """Write success or failure into a response, if it has a place for it.

    DeserializePoseGraph of older distributions has none.
    """
    if not hasattr(response, "result"):
        return
    if isinstance(response.result, bool):
        response.result = done
    else:
        response.result = _SUCCESS if done else _FAILURE


def _by_name(field: str, action: Callable[[str], object]) -> Callable[[Any], object]:
    read = attrgetter(field)
    return lambda request: action(file_name(read(request)))
