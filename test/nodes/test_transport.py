from __future__ import annotations

import os
import shutil
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from e2e_slam_ros.nodes import transport

NAMES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER"):
        # Set before it is deleted, so that the test's end restores its absence.
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))


def test_a_profile_with_more_shared_memory_is_given_to_fast_dds() -> None:
    assert transport.make_room_for_images()
    path = os.environ[NAMES[0]]
    assert os.environ[NAMES[1]] == path
    root = ElementTree.parse(path).getroot()
    sizes = [int(e.text) for e in root.iter() if e.tag.endswith("}segment_size")]
    assert sizes == [16 * 2**20]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (NAMES[0], "/etc/mine.xml"),
        ("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4"),
        ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"),
    ],
)
def test_the_users_own_choice_stays(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert not transport.make_room_for_images()
    assert os.environ[name] == value and NAMES[1] not in os.environ


def test_little_shared_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 * 2**20))
    assert not transport.make_room_for_images()
    assert NAMES[0] not in os.environ
