"""Services of slam_toolbox and nav2: offered where their packages are, and confined."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

# The same definition as nav2_msgs/srv/LoadMap, and installed everywhere.
from nav_msgs.srv import LoadMap

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.map_services import KNOWN, offer_map_services
from e2e_slam_ros.nodes.slam_node import SlamNode
from nodes.ros_peer import Peer, peer_in, wait_for
from nodes.test_adaptation import spinning


def package(monkeypatch: pytest.MonkeyPatch, name: str, **types: Any) -> None:
    """Stand in for a message package that is not installed."""
    module, srv = ModuleType(name), ModuleType(f"{name}.srv")
    vars(srv).update(types)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, f"{name}.srv", srv)


class Offers:
    """What is offered, in place of `TriggerServices`."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Callable[[Any], object], Callable[[Any, bool], None]]] = {}

    def asked(self, kind: Any, name: str, word: str, work: Any, fill: Any) -> None:
        self.made[name] = (work, fill)


REQUESTS = {
    "slam_toolbox/serialize_map": SimpleNamespace(filename="office"),
    "slam_toolbox/deserialize_map": SimpleNamespace(filename="office", match_type=1),
    "slam_toolbox/save_map": SimpleNamespace(name=SimpleNamespace(data="office")),
    "nav2/save_map": SimpleNamespace(map_url="office", map_topic="map"),
    "nav2/load_map": SimpleNamespace(map_url="office"),
}


def test_every_service_reads_its_name_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("slam_toolbox", "nav2_msgs"):
        types = {item.type_name: object() for item in KNOWN if item.package == name}
        package(monkeypatch, name, **types)
    offers, done = Offers(), []
    names = offer_map_services(
        offers,  # type: ignore[arg-type]
        lambda name: done.append(("save", name)),
        lambda name: done.append(("load", name)),
    )
    assert set(names) == set(offers.made) == set(REQUESTS)
    for name, request in REQUESTS.items():
        work, fill = offers.made[name]
        work(request)
        assert done.pop() == ("load" if "load" in name or "des" in name else "save", "office.ply")
        for empty, good, bad in ((0, 0, 255), (False, True, False)):
            response = SimpleNamespace(result=empty)
            fill(response, True)
            assert response.result is good
            fill(response, False)
            assert response.result is bad
        fill(SimpleNamespace(), True)


def test_without_the_packages_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("slam_toolbox", "nav2_msgs"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"{name}.srv", raising=False)
    assert offer_map_services(Offers(), print, print) == []  # type: ignore[arg-type]


def load(peer: Peer, name: str) -> int:
    client = peer.create_client(LoadMap, "/slam_node/nav2/load_map")
    assert client.wait_for_service(20.0)
    future = client.call_async(LoadMap.Request(map_url=name))
    wait_for(future.done, f"{name} to be loaded")
    return int(future.result().result)


def test_a_map_is_loaded_by_name_from_the_output_folder_alone(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(monkeypatch, "nav2_msgs", LoadMap=LoadMap)
    maps = tmp_path / "maps"
    config = Config().with_values({"runtime.output": str(maps), "runtime.save_at_end": False})
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert peer.call("/slam_node/save_map").success
        (maps / "map.safetensors").rename(maps / "office.safetensors")
        (tmp_path / "outside.safetensors").write_bytes(b"")
        saved = node.pipeline.surfels.snapshot().positions.copy()
        assert peer.call("/slam_node/reset").success and len(node.pipeline.surfels) == 0
        for name in ("../outside", str(tmp_path / "outside"), "nowhere", ".hidden", "map.yaml"):
            assert load(peer, name) == LoadMap.Response.RESULT_UNDEFINED_FAILURE, name
            assert len(node.pipeline.surfels) == 0
        assert node.diagnostics.problems.totals() == {"load": 5}
        assert load(peer, "office") == LoadMap.Response.RESULT_SUCCESS
        assert np.array_equal(node.pipeline.surfels.snapshot().positions, saved)
