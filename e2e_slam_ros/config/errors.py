"""One exception root, so that callers can tell our refusals from programming errors."""

from __future__ import annotations

from typing import TypeVar

Error = TypeVar("Error", bound="E2ESlamError")


class E2ESlamError(Exception):
    """Root of every error this package raises on purpose.

    Messages say what was got, what was expected and what to do.
    """

    @classmethod
    def from_parts(cls: type[Error], what: str, got: object, expected: str, do: str) -> Error:
        """Compose the message every refusal uses: ``what: got ..., expected ...; do ...``."""
        return cls(f"{what}: got {got}, expected {expected}; {do}")


class ConfigError(E2ESlamError):
    """A parameter has an unknown name, a wrong type or a value out of range."""


class DataError(E2ESlamError):
    """Recorded input (a folder, an image, a bag) cannot be used."""


class CameraError(E2ESlamError):
    """Camera parameters that do not describe a camera."""


class PoseError(E2ESlamError):
    """A pose that is not a rigid motion, or not finite."""


class DepthError(E2ESlamError):
    """A depth map or depth model that cannot be used."""


class MapError(E2ESlamError):
    """The map refuses an input or a file."""


class MessageError(E2ESlamError):
    """A ROS message whose content cannot be used."""


class TrainingError(E2ESlamError):
    """A network cannot be trained with the given data or settings."""
