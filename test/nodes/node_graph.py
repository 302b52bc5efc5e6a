"""What a running node publishes, subscribes, offers and calls, as another process sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nodes.ros_peer import NodeProcess, Peer, wait_for

# DDS announces a node's topics one by one.
_SETTLED_S = 1.5


@dataclass(frozen=True)
class NodeGraph:
    """Absolute names."""

    publish: frozenset[str]
    subscribe: frozenset[str]
    reply: frozenset[str]
    request: frozenset[str]


def node_graph(peer: Peer, process: NodeProcess) -> NodeGraph:
    """Wait until a node of the root namespace has started, and return its names."""
    name = process.name

    def found() -> NodeGraph:
        kinds = ("publisher", "subscriber", "service", "client")
        asked = (getattr(peer, f"get_{kind}_names_and_types_by_node") for kind in kinds)
        return NodeGraph(*(frozenset(topic for topic, _ in ask(name, "/")) for ask in asked))

    def started() -> bool:
        assert process.alive, process.output
        return (name, "/") in peer.get_node_names_and_namespaces()

    wait_for(started, name)
    if "player" not in name:
        wait_for(lambda: f"/{name}" in peer.status, f"the status of {name}")
    last, since = found(), time.monotonic()
    while time.monotonic() - since < _SETTLED_S:
        time.sleep(0.1)
        if (now := found()) != last:
            last, since = now, time.monotonic()
    return last
