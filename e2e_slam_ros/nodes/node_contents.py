"""What a node gets when it is configured, so that it can be taken away again."""

from __future__ import annotations

from rclpy.node import Node

_KINDS = ("subscriptions", "publishers", "timers", "services", "clients")


class NodeContents:
    """Remembers a node as it is now; `remove` takes away what has come since then.

    Topics, services and timers are destroyed, attributes are deleted. The caller ends threads
    before. Call it in the executor thread.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._attributes = set(vars(node))
        self._entities = {kind: set(getattr(node, kind)) for kind in _KINDS}

    def remove(self) -> None:
        """Put the node back to how it was."""
        for kind, before in self._entities.items():
            destroy = getattr(self._node, f"destroy_{kind[:-1]}")
            for entity in set(getattr(self._node, kind)) - before:
                destroy(entity)
        for name in set(vars(self._node)) - self._attributes:
            delattr(self._node, name)
