"""The report that smoke.sh writes, and what a board's image says of itself: checked, since both come from there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from coralforge.config.arch import Arch


def _printable(text: str) -> str:
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


Words = Annotated[str, AfterValidator(_printable), Field(max_length=1 << 16)]
"""Text that may be shown: without control characters."""
Line = Annotated[str, AfterValidator(lambda text: " ".join(_printable(text).split())), Field(max_length=2000)]
"""One line of it."""


class _Said(BaseModel):
    """Something that a board said; it may say more."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class StepResult(_Said):
    """One step of smoke.sh."""

    name: str = Field(pattern=r"^[a-z0-9_.+-]{1,100}$")
    """lstpu, benchmark, model, ...; with the name of a model of pipeline.yaml in front, and a dot."""
    status: Literal["passed", "failed", "skipped"]
    exit_code: int | None = None
    """Of its program, where it ran one."""
    seconds: float | None = None
    """How long its program took."""
    said: Line | None = None
    """Why it failed or was skipped; of one that passed, its last words."""
    output: Words = ""
    """The output of its program."""


class BoardFacts(_Said):
    """The board in its own words."""

    model: Line | None = None
    """Its name for itself, from the device tree or its firmware."""
    kernel: Line | None = None
    """The kernel's release."""
    machine: Line | None = None
    """The kernel's processor, as ``uname -m`` says."""
    libc: Line | None = None
    """C library and version."""
    cpu_temperature_c: float | None = None
    """Degrees Celsius."""


class EdgeTpu(_Said):
    """An Edge TPU that the board's system shows."""

    kind: Literal["usb", "pcie"]
    path: Line
    """Where it is in /sys or /dev."""
    state: Line | None = None
    """A word or two on what is to be known of it."""
    speed_mbps: float | None = None
    """Of its USB, in Mbit/s."""
    firmware: bool | Line | None = None
    """Whether it has got its firmware."""
    temperature_c: float | None = None
    """Degrees Celsius."""


class Diagnosis(_Said):
    """Why an Edge TPU cannot be used."""

    cause: Line
    action: Line
    """The remedy."""


class BoardReport(_Said):
    """The report that smoke.sh wrote."""

    schema_: Literal[1] = Field(alias="schema")
    """The form of the report."""
    passed: bool
    """Whether no step failed."""
    variant: Line
    """The libedgetpu that was used; ``unknown`` when lstpu could not tell."""
    simulated: bool
    """Whether that one drives no hardware."""
    emulated: Line | None = None
    """The emulator of programs or board, as far as it shows there."""
    board: BoardFacts = BoardFacts()
    edge_tpus: list[EdgeTpu] = Field(default_factory=list, max_length=100)
    diagnosis: list[Diagnosis] = Field(default_factory=list, max_length=100)
    """The most important one first."""
    steps: list[StepResult] = Field(min_length=1, max_length=1000)
    """In the order they ran."""
    warnings: list[Line] = Field(default_factory=list, max_length=1000)
    """Sentences on what is no failure, but not as it should be: hardware that is far slower than expected."""

    def failing(self) -> list[StepResult]:
        """The steps that failed."""
        return [step for step in self.steps if step.status == "failed"]

    def not_run(self) -> list[str]:
        """Sentences on steps that could not be tried there, and why."""
        return [f"{step.name}: not run: {step.said}" for step in self.steps if step.status == "skipped"]


class Board(BaseModel):
    """The board image's description of itself (board.json)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    arch: Arch
    """Architecture of the programs it runs."""
    userland: str
    """Which of the C and C++ libraries in config/userlands.py it has."""
    suite: str
    """Debian suite of its libraries."""
    versions: dict[str, str]
    """The newest symbol versions that its libraries have, by family (GLIBC, GLIBCXX, CXXABI)."""
    masked: str
    """Says that newer versions were removed from its libraries, and what that does not show; else empty."""
    emulator: str
    """Name and version; empty when programs run natively."""
    kernel: str = ""
    """Its own kernel's release; empty where programs run on this machine's."""
    packages: dict[str, str]
    """Its runtime libraries, with versions."""

    def called(self) -> str:
        """Its userland, for people."""
        what = self.masked or f"glibc {self.versions.get('GLIBC', 'unknown')}"
        return f"{self.userland} ({what})"

    def data(self) -> dict[str, JsonValue]:
        """For reports."""
        return self.model_dump(mode="json")
