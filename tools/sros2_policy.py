"""Write config/sros2/e2e_slam_ros.policy.xml: what each node may send, receive and answer.

The names are those of the nodes without namespace or remapping. docs/security.md says how to use
the file; a test compares it with the running nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

REPO = Path(__file__).resolve().parent.parent
TARGET = REPO / "config" / "sros2" / "e2e_slam_ros.policy.xml"
_HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Written by tools/sros2_policy.py; docs/security.md says how to use it. -->
"""

_PARAMETERS = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
)
_EVERY_NODE = (*_PARAMETERS, "get_type_description")
_LIFE_CYCLE = (
    "change_state",
    "get_available_states",
    "get_available_transitions",
    "get_state",
    "get_transition_graph",
)
_CAMERA = (
    "camera/image_raw",
    "camera/image_raw/compressed",
    "camera/camera_info",
    "camera/depth/image_raw",
    "camera/depth/image_raw/compressedDepth",
    "camera/depth/camera_info",
    "camera/pose",
    "camera/pose_with_covariance",
    "odom",
    "initialpose",
    "/tf",
    "/tf_static",
)
_KEYFRAME = ("keyframe/image", "keyframe/camera_info", "keyframe/pose")
_DEPTH = ("keyframe/depth", "keyframe/uncertainty")
_POSES = ("odometry", "path", "/tf", "/tf_static")
_MAP = ("cloud_map", "grid", "map/active", "keyframe/cloud")
_PLAYED = (
    "camera/image_raw",
    "camera/camera_info",
    "camera/depth/image_raw",
    "camera/pose",
    "/clock",
    "/tf",
    "/tf_static",
)
_MAP_SERVICES = ("save_map", "load_map", "reset")


@dataclass(frozen=True)
class Rights:
    """What one node may do; names as in its code, services without the node's name."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    reply: tuple[str, ...]
    managed: bool = True


NODES: Mapping[str, Rights] = {
    "slam_node": Rights(
        (*_POSES, *_KEYFRAME, *_DEPTH, *_MAP, "processed"),
        _CAMERA,
        (*_MAP_SERVICES, "reset_adaptation", "pause", "resume"),
    ),
    "keyframe_node": Rights(
        (*_POSES, *_KEYFRAME, "keyframe/sensor_depth", "processed"),
        (*_CAMERA, "keyframe/depth", "keyframe/result"),
        ("reset",),
    ),
    "depth_node": Rights(
        (*_DEPTH, "keyframe/result", "processed"),
        (*_KEYFRAME, "keyframe/sensor_depth", "map/active"),
        ("reset_adaptation",),
    ),
    "mapper_node": Rights(
        (*_MAP, "keyframe/result", "processed"),
        (*_KEYFRAME, *_DEPTH),
        _MAP_SERVICES,
    ),
    "dataset_player": Rights(_PLAYED, ("processed",), ("pause",), managed=False),
    "bag_player": Rights(_PLAYED, ("processed",), ("pause",), managed=False),
}


# An enclave belongs to a process or, with ROS_SECURITY_ENCLAVE_OVERRIDE, to all that `ros2 launch`
# starts: `where:=computer` of distributed.launch.py starts two nodes.
ENCLAVES: Mapping[str, tuple[str, ...]] = {
    **{node: (node,) for node in NODES},
    "computer": ("depth_node", "mapper_node"),
}


def policy() -> str:
    """Return the file's content."""
    root = ElementTree.Element("policy", version="0.2.0")
    enclaves = ElementTree.SubElement(root, "enclaves")
    for name, nodes in ENCLAVES.items():
        enclave = ElementTree.SubElement(enclaves, "enclave", path=f"/e2e_slam_ros/{name}")
        profiles = ElementTree.SubElement(enclave, "profiles")
        for node in nodes:
            _add_profile(profiles, node)
    ElementTree.indent(root)
    return _HEADER + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_profile(profiles: ElementTree.Element, node: str) -> None:
    rights = NODES[node]
    profile = ElementTree.SubElement(profiles, "profile", ns="/", node=node)
    own = (*_EVERY_NODE, *rights.reply)
    sent = (*rights.publish, "/rosout", "/parameter_events")
    if rights.managed:
        own = (*own, *_LIFE_CYCLE)
        sent = (*sent, f"{node}/transition_event", f"{node}/status", "/diagnostics")
    _add(profile, "topics", "publish", sent)
    _add(profile, "topics", "subscribe", (*rights.subscribe, "/parameter_events", "/clock"))
    _add(profile, "services", "reply", [f"{node}/{service}" for service in own])


def _add(
    profile: ElementTree.Element, kind: str, right: str, names: list[str] | tuple[str, ...]
) -> None:
    group = ElementTree.SubElement(profile, kind, {right: "ALLOW"})
    for name in sorted(set(names)):
        ElementTree.SubElement(group, kind.removesuffix("s")).text = name


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(policy(), encoding="utf-8")
