"""The report of a smoke test as one HTML page that stands for itself, as that of an inspection."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from coralforge import __version__
from coralforge.bundle.report import BoardReport, EdgeTpu
from coralforge.inspect.text import Table
from coralforge.util.page import render

_OWN = ("target", "bundle", "bundle_sha256", "release", "tensorflow_commit", "arch", "image", "seconds")


def html(data: Mapping[str, JsonValue]) -> str:
    """The page of a report as ``smoke.py`` writes it: the same for the same report."""
    report = BoardReport.model_validate({**data, "board": _facts(data), "emulated": None})
    return render(
        "bundle",
        "smoke.html.j2",
        version=__version__,
        title=str(data["bundle"]),
        ok=data["ok"] is True,
        simulated=report.simulated,
        emulated=_emulated(data),
        board=_board(report),
        facts=[(name.replace("_", " "), str(data[name])) for name in _OWN if data.get(name) not in (None, "")],
        diagnosis=report.diagnosis,
        devices=Table("Edge TPUs", ("Kind", "Where", "State", "USB", "Firmware", "Temperature"), _devices(report)),
        steps=report.steps,
        warnings=report.warnings,
        not_verified=_texts(data.get("not_verified")),
    )


def _facts(data: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    board = data.get("board")
    return board if isinstance(board, dict) else {}


def _emulated(data: Mapping[str, JsonValue]) -> str:
    """How it is said that board or device were no hardware; empty where that is not known of them."""
    said = data.get("emulated")
    what = [said] if isinstance(said, str) else ["the board was emulated"] if said else []
    return "; ".join([*what, *(["the device was emulated"] if "device" in data else [])])


def _board(report: BoardReport) -> list[tuple[str, str]]:
    board = report.board
    temperature = f"{board.cpu_temperature_c:.0f} °C" if board.cpu_temperature_c is not None else None
    rows = [("model", board.model), ("machine", board.machine), ("kernel", board.kernel), ("C library", board.libc)]
    return [(name, value) for name, value in [*rows, ("processor", temperature)] if value]


def _devices(report: BoardReport) -> list[tuple[str, ...]]:
    return [_device(one) for one in report.edge_tpus]


def _device(one: EdgeTpu) -> tuple[str, ...]:
    firmware = (
        one.firmware if isinstance(one.firmware, str) else {True: "yes", False: "not yet", None: ""}[one.firmware]
    )
    speed = f"{one.speed_mbps:.0f} Mbit/s" if one.speed_mbps is not None else ""
    temperature = f"{one.temperature_c:.0f} °C" if one.temperature_c is not None else ""
    return one.kind, one.path, one.state or "", speed, firmware, temperature


def _texts(value: JsonValue) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
