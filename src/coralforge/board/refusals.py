"""Errors of the SSH client itself: from its own words to what a user can do."""

from __future__ import annotations

from collections.abc import Sequence

from coralforge.errors import CoralforgeError, board_error

_CHANGED = ("IDENTIFICATION HAS CHANGED", "has changed and you have requested")
_UNKNOWN = ("host key is known for", "Host key verification failed")
_LOGIN = ("Permission denied", "Too many authentication failures", "No supported authentication methods")


def refusal(name: str, said: Sequence[str], details: str, remedy: str, by_hand: str = "ssh BOARD") -> CoralforgeError:
    """The error for what the client ``said`` when it ended; ``by_hand`` is the command that logs in by hand.

    Its reason is ``board-host-key``, ``board-login`` or ``board-ssh``, exit code 9.
    """
    text = "\n".join(said)
    if any(words in text for words in _CHANGED):
        return board_error(
            f"the host key of {name} is not the one in your known hosts",
            reason="board-host-key",
            details=details,
            remedy="if the board was set up anew, remove its old key (ssh-keygen -R, with the name in these lines) "
            f"and log in once by hand: {by_hand}; otherwise it may be another machine that answers",
        )
    if any(words in text for words in _UNKNOWN):
        return board_error(
            f"the host key of {name} is not in your known hosts",
            reason="board-host-key",
            details=details,
            remedy=f"log in once by hand and compare the fingerprint: {by_hand} (the board's own is shown there by "
            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; a script takes keys by ssh-keyscan); "
            "it is never accepted here",
        )
    if any(words in text for words in _LOGIN):
        return board_error(
            f"{name} lets nobody in by that name and key",
            reason="board-login",
            details=details,
            remedy=f"{by_hand} has to work; where there is no terminal to ask for a password or passphrase on, take "
            "a key (ssh-copy-id) and an agent (ssh-add)",
        )
    return board_error(
        f"{name} does not answer by SSH, or the connection to it was lost",
        reason="board-ssh",
        details=details,
        remedy=remedy,
    )
