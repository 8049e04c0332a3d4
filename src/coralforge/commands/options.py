"""The options of the Invoke tasks: each one that several verbs take is declared here, once. Imports nothing heavy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from invoke import Context, Task, task

from coralforge.config.arch import Arch


@dataclass(frozen=True)
class Option:
    """One option of a task. With a ``default`` of True or False it is a flag; True makes it ``--no-NAME``."""

    help: str
    default: str | bool | None = None
    repeatable: bool = False
    """May be given several times; a task gets a list."""
    value_optional: bool = False
    """May be given without a value; a task gets True then."""


SHARED = {
    "arch": Option(f"Target: {', '.join(Arch)} (default: the first platform in pipeline.yaml)."),
    "release": Option("Matched set of pins: a file in releases/ (default: pipeline.yaml's)."),
    "variant": Option(
        "direct, throttled or simulated; repeatable, the first is the bundle's default (default: pipeline.yaml's).",
        repeatable=True,
    ),
    "mirror": Option("Folder or http(s) address that is asked first for every archive; repeatable.", repeatable=True),
    "source": Option(
        "NAME=DIR: a local checkout instead of the pinned source; marks the bundle unpinned; repeatable.",
        repeatable=True,
    ),
    "compiler": Option("Path of Google's edgetpu_compiler (default: the one on PATH, else a container)."),
    "to": Option("Folder for bundles on the board (default: coralforge, in the user's home)."),
    "ssh-config": Option("An ssh_config to read instead of your own."),
    "dry-run": Option("Say what would run, and do nothing.", default=False),
    "explain": Option("Say for each step why it runs or is skipped.", default=False),
}
BUILT = ("arch", "release", "variant", "mirror", "source")
"""The options that say what is built."""
PLANNED = ("dry-run", "explain")
"""The options of verbs that run a plan."""

Said = SimpleNamespace
"""The options that a user gave: an attribute for each, with underscores for dashes."""


class Verb(Task[Any]):
    """A task of which -h is help, whatever its options begin with."""

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """As Invoke does it: how an option is written, here with one letter less to choose from."""
        made: dict[str, Any] = super().arg_opts(name, default, {*taken_names, "h"})
        return made


def _refuse_no_names(said: Mapping[str, Any], options: Mapping[str, Option]) -> None:
    """End the process where an option has no value (an empty variable of a script), or - for a stream.

    Passed over, the first would be a run without what was asked for, and the second would leave a file of that name.
    """
    for key, one in options.items():
        value = said[key.replace("-", "_")]
        for given in value if one.repeatable else [value]:
            if given in ("", "-"):
                from coralforge.commands import boundary

                boundary.run(_refuse, key, given, one.value_optional)


def _refuse(key: str, given: str, value_optional: bool) -> None:
    from coralforge.errors import user_error

    if not given:
        raise user_error(f"--{key} has an empty value", reason="option-empty", remedy="give one, or leave it out")
    raise user_error(
        f"--{key} is -, and no stream is read or written",
        reason="option-empty",
        remedy=f"leave the value out (--{key}) for stdout" if value_optional else "name a file, or leave it out",
    )


def verb(
    *shared: str, called: str | None = None, short_flags: bool = True, **own: Option
) -> Callable[[Callable[[Said], None]], Task[Any]]:
    """Make an Invoke task of a function that gets what the user said.

    Args:
        shared: names in ``SHARED``, in the order in which help shows them.
        called: the task's name, where the function has another.
        short_flags: whether Invoke derives short flags.
        own: options that only this verb takes; a name's underscores stand for dashes.
    """
    options = {**{key: SHARED[key] for key in shared}, **{key.replace("_", "-"): one for key, one in own.items()}}

    def decorate(body: Callable[[Said], None]) -> Task[Any]:
        defaults = {key.replace("-", "_"): one.default for key, one in options.items()}

        def run(c: Context, **said: Any) -> None:  # noqa: ARG001 - Invoke passes a context to every task
            _refuse_no_names(said, options)
            body(Said(**{key: defaults[key] if value is None else value for key, value in said.items()}))

        run.__name__, run.__doc__, run.__module__ = body.__name__, body.__doc__, body.__module__
        parameters = [inspect.Parameter("c", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        parameters += [
            inspect.Parameter(
                key.replace("-", "_"),
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=None if one.default == "" else one.default,
            )
            for key, one in options.items()
        ]
        vars(run)["__signature__"] = inspect.Signature(parameters)
        made: Task[Any] = task(
            name=called,
            help={key: one.help for key, one in options.items()},
            iterable=[key.replace("-", "_") for key, one in options.items() if one.repeatable],
            optional=[key.replace("-", "_") for key, one in options.items() if one.value_optional],
            auto_shortflags=short_flags,
            klass=Verb,
        )(run)
        return made

    return decorate
