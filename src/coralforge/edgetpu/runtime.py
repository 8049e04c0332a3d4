"""Whether the libedgetpu of a release takes a compiled model."""

from __future__ import annotations

from coralforge.errors import user_error


def require_runtime(name: str, needed: int, takes: int) -> None:
    """Refuse a model that was compiled for a newer runtime than libedgetpu's, which would refuse it on the board.

    Args:
        name: the model, for the message.
        needed: ``min_runtime_version`` of its package; the highest of all, where it has several.
        takes: ``edgetpu_runtime`` of the release.

    Raises:
        CoralforgeError: reason ``model-runtime``, exit code 2.
    """
    if needed > takes:
        raise user_error(
            f"{name} needs Edge TPU runtime version {needed}; the release's libedgetpu has version {takes}",
            reason="model-runtime",
            remedy=f"compile it with --min-runtime {takes}, or use a release with a newer libedgetpu",
        )
