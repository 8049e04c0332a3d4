"""What an inspection looks like: text for terminals and pipes, JSON, and the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from coralforge.inspect.document import json_text
from coralforge.inspect.inspection import Inspection
from coralforge.inspect.inspector import inspect_model
from coralforge.inspect.json_schema import NAME, adapter, render_schema
from coralforge.inspect.page import html
from coralforge.inspect.text import plain_text, report_of, show
from coralforge.tflite import schema
from coralforge.tflite.model import parse_model, read_model
from tests.conftest import ROOT
from tests.support.compiled_maker import COMPILED, PLAIN, as_hardware, pair
from tests.support.inspect_everything import Terminal
from tests.support.metadata_maker import AXIS_LABELS, about, described, metadata
from tests.support.model_maker import Maker, classifier, float_ends, mixed

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}[red]x[/red]"


def plain() -> Inspection:
    return inspect_model(parse_model(PLAIN, mixed()))


def hostile() -> Inspection:
    """A model whose every name tries to be something else."""
    native = schema.unpack(mixed())
    native.subgraphs[0].operators.pop()
    native.operatorCodes[0] = schema.new("OperatorCode", builtinCode=32, customCode=HOSTILE.encode())
    for operator in native.subgraphs[0].operators:
        if operator.opcodeIndex == 0:
            operator.builtinOptionsType, operator.builtinOptions = 0, None
    for tensor in native.subgraphs[0].tensors:
        tensor.name = HOSTILE.encode() + bytes(tensor.name or b"")
    native.subgraphs[0].outputs = native.subgraphs[0].outputs[:1]
    return inspect_model(parse_model(Path(f"{HOSTILE.replace('/', '')}.tflite"), schema.pack(native)))


def text(inspection: Inspection) -> str:
    return plain_text(report_of(inspection))


def test_the_text_of_a_plain_model_says_that_it_predicts() -> None:
    found = text(plain())
    assert found.startswith("x.tflite: not compiled; what follows is a PREDICTION\n")
    assert "Mapped, predicted  50.0 %: 3 of 6 operations on the Edge TPU" in found
    assert "in   first   INT8  1x4x4x3  scale 0.05, zero point 0" in found
    assert "0, 3  LEAKY_RELU  Operation not supported; the Edge TPU has no such operation" in found
    assert "3 operations  0, 3  Use RELU instead of LEAKY_RELU" in found


def test_the_text_of_a_compiled_model_says_what_cannot_be_known() -> None:
    found = text(inspect_model(parse_model(COMPILED, as_hardware(mixed()))))
    assert "Mapped      unknown; 3 operations left on the CPU (1 edgetpu-custom-op)" in found
    assert "Runtime     version 13 or newer" in found
    assert "Parameters  1000.00B on the chip, 24.00B streamed for each inference" in found
    assert (
        "cannot be known from the compiled model alone: give the model that it was compiled from with --plain"
        in found
    )


def test_the_text_of_a_model_for_the_simulator_says_simulated() -> None:
    lines = text(inspect_model(*pair(mixed(), simulated=True))).splitlines()
    assert "SIMULATED" in lines[0]
    assert "SIMULATED" in lines[-1]
    assert any("3 of 6 operations on the SIMULATED Edge TPU" in line for line in lines)


def test_a_model_that_is_wholly_mapped_has_no_heading_for_what_is_left(testdata: Path) -> None:
    """Also where the rules would have left something: that is a remark, and stands apart."""
    plain, compiled = (read_model(testdata / f"bright_128x128{end}.tflite") for end in ("", "_edgetpu"))
    assert "left on the CPU" not in text(inspect_model(compiled, plain))
    transposed, source = pair(transposing(8))
    larger = [parse_model(one.path, with_side(schema.pack(one.native), 40)) for one in (transposed, source)]
    found = text(inspect_model(*larger))
    assert "left on the CPU" not in found
    assert "Where the compiler decided other than the rules known here:" in found


def transposing(side: int) -> bytes:
    make = Maker()
    source, made = make.tensor("x", [1, side, side, 144]), make.tensor("y", [1, 144, side, side])
    make.operator("TRANSPOSE", [source, make.integers("order", 0, 3, 1, 2)], [made], 2)
    return make.pack([source], [made])


def with_side(model: bytes, side: int) -> bytes:
    native = schema.unpack(model)
    for tensor in native.subgraphs[0].tensors:
        if len(tensor.shape) == 4:
            tensor.shape = [size if size in (1, 144) else side for size in tensor.shape]
    return schema.pack(native)


def test_a_stamp_with_nothing_in_it_is_not_stated(testdata: Path) -> None:
    found = inspect_model(read_model(testdata / "looming_128x128_3x3_edgetpu.tflite"))
    assert "Compiler    not stated" in text(found)
    assert json.loads(json_text(found))["programs"][0]["compiler_version"] == ""
    assert "<dd>not stated</dd>" in html(found)


def test_what_is_not_known_is_a_range_and_says_where_the_limit_lies() -> None:
    make = Maker()
    source, first = (make.tensor(name, [1, 26, 26, 144]) for name in ("x", "first"))
    made = make.tensor("y", [1, 144, 26, 26])
    make.operator("RELU", [source], [first])
    make.operator("TRANSPOSE", [first, make.integers("order", 0, 3, 1, 2)], [made], 2)
    found = inspect_model(make.model([source], [made]))
    shown = text(found)
    assert "50.0 %: 1 of 2 operations on the Edge TPU (not sure: 1 to 2, 50.0 % to 100 %)" in shown
    assert "not known: 97,344 elements: mapped at 82,944, not at 107,200" in shown
    data = json.loads(json_text(found))
    assert (data["mapped_fraction_least"], data["mapped_fraction_most"]) == (0.5, 1.0)
    assert [one["certainty"] for one in data["operations"]] == ["likely", "not known"]
    [limit] = data["limits"]
    assert (limit["rule"], limit["mapped"], limit["left"]) == ("transpose-size", 82_944, 107_200)
    assert len(limit["sources"]) == 2
    assert "not sure: 1 to 2" in html(found)


def test_warnings_are_in_every_form() -> None:
    found = inspect_model(float_ends())
    assert found.fraction == 1 / 3
    assert "float-ends  0, 2  Inputs or outputs are floats" in text(found)
    assert json.loads(json_text(found))["warnings"][0]["operations"] == [0, 2]
    assert "float-ends" in html(found)


def test_the_text_says_why_a_model_would_be_refused() -> None:
    make = Maker()
    source, made = make.tensor("x", [1, 4], "FLOAT32", scales=()), make.tensor("y", [1, 4], "FLOAT32", scales=())
    make.operator("TANH", [source], [made])
    found = text(inspect_model(make.model([source], [made])))
    assert "0 %: the compiler would refuse the model as it is" in found
    assert "model-not-quantized  x.tflite: Model not quantized; it computes in floats. What to do: a .tflite" in found


@pytest.mark.parametrize("name", ["deeplabv3_mnv2_dm05_pascal_quant", "keras_lstm_mnist_ptq"])
def test_tables_fit_a_terminal_of_80_columns(testdata: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    model, source = (read_model(testdata / f"{name}{end}.tflite") for end in ("_edgetpu", ""))
    show(inspect_model(model, source), terminal)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "Readable up to" in terminal.getvalue()
    words = {word for line in lines for word in line.split()}
    assert {one.called for one in inspect_model(model, source).operations} <= {word.strip(",") for word in words}


def test_names_are_not_taken_for_markup() -> None:
    terminal = Terminal()
    show(hostile(), terminal)
    assert "[red]" in terminal.getvalue()


def test_operations_that_break_one_rule_share_a_row() -> None:
    make = Maker()
    make.tensor("x0", [1, 4], "FLOAT32", scales=())
    for number in range(1, 9):
        make.operator("TANH", [number - 1], [make.tensor(f"x{number}", [1, 4], "FLOAT32", scales=())])
    found = text(inspect_model(make.model([0], [8])))
    why = "Operation is working on an unsupported data type; x0 is FLOAT32; x1 is FLOAT32; x2 is FLOAT32; "
    assert f"0-7  TANH      {why}x3 is FLOAT32; 4 more" in found


def test_long_lists_are_cut() -> None:
    make = Maker()
    make.tensor("x", [1, 4])
    for number in range(100):
        made = make.tensor(f"t{number}", [1, 4])
        make.operator("CUSTOM", [made - 1], [made], custom=f"Own{number}".encode())
    found = text(inspect_model(make.model([0], [100])))
    assert "and 60 more; --json and --html have all" in found
    assert len(found.splitlines()) < 150


def stated() -> Inspection:
    """A model with metadata and labels, of which one is missing."""
    image = about("image", content=(2, 1), mean=[127.5], std=[127.5])
    scores = about("scores", files=[("labels.txt", AXIS_LABELS, "")], calibrated=True)
    said = metadata("Animals <b>", [image], [scores])
    return inspect_model(parse_model(PLAIN, described(classifier(), said, {"labels.txt": b"ant\nbee\ncat\nd<i>\n"})))


def test_every_form_shows_what_a_model_says_of_itself() -> None:
    found = plain_text(report_of(stated()))
    assert "Computes           in 8 bits throughout (full integer)" in found
    assert "Says it is         Animals <b>" in found
    assert "By                 us, MIT" in found
    assert "Normalization      picture RGB, mean 127.5, deviation 127.5" in found
    assert "Scores             of scores are to be calibrated by a file in the model" in found
    assert "Labels             4 (labels.txt): ant, bee, cat, ..." in found
    assert "labels-count" in found
    assert "Animals &lt;b&gt;" in html(stated())
    data = json.loads(json_text(stated()))
    assert (data["arithmetic"], data["archive_member"]) == ("full-integer", "")
    assert data["labels"] == [
        {"source": "labels.txt", "names": ["ant", "bee", "cat", "d<i>"], "output": 0, "wanted": 5}
    ]
    assert (data["metadata"]["name"], data["metadata"]["files"]) == ("Animals <b>", ["labels.txt"])
    assert data["metadata"]["inputs"][0]["mean"] == [127.5]


def test_the_json_keeps_to_its_schema() -> None:
    for inspection in (
        plain(),
        hostile(),
        stated(),
        inspect_model(*pair(mixed(), simulated=True)),
        inspect_model(*pair(mixed())),
    ):
        found = json_text(inspection)
        assert adapter().validate_json(found, strict=True).operations_on_cpu == len(inspection.on_cpu)


def test_the_schema_in_docs_is_that_of_the_classes() -> None:
    assert (ROOT / "docs" / "schema" / NAME).read_text() == render_schema(), (
        "run .venv/bin/python -m coralforge.inspect.json_schema"
    )


def test_the_json_is_sorted_and_the_same_every_time() -> None:
    found = json_text(inspect_model(*pair(mixed())))
    assert found == json_text(inspect_model(*pair(mixed())))
    assert found == json.dumps(json.loads(found), indent=1, sort_keys=True) + "\n"


def test_what_the_json_says() -> None:
    found = json.loads(json_text(inspect_model(*pair(mixed()))))
    assert {key: found[key] for key in ("format", "file", "form", "plain_file", "mapped_fraction")} == {
        "format": 1,
        "file": "x_edgetpu.tflite",
        "form": "compiled",
        "plain_file": "x.tflite",
        "mapped_fraction": 0.5,
    }
    assert found["operations"][0]["rule"] == "known-operator"
    assert found["programs"][0]["executables"][0]["parameter_caching_token"] == "7"
    tensors = found["tensors"]
    assert tensors[found["inputs"][0]]["quantization"] == {
        "channels": 1,
        "scale": 0.05000000074505806,
        "zero_point": 0,
    }


def test_numbers_that_json_has_not_become_null() -> None:
    make = Maker()
    source = make.tensor("x", [1, 4], scales=[float("nan")])
    found = json.loads(json_text(inspect_model(make.model([source], [source]))))
    assert found["tensors"][0]["quantization"]["scale"] is None


class Page(HTMLParser):
    """Tags with their attributes, and text, of a page that has to be well-formed."""

    VOID = frozenset({"meta"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def pages() -> list[str]:
    return [html(one) for one in (plain(), hostile(), inspect_model(*pair(mixed())))]


def test_the_page_stands_for_itself() -> None:
    for source in pages():
        page = Page(source)
        attributes = [(tag, name, value) for tag, attrs in page.tags for name, value in attrs.items()]
        assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "base"}
        assert not [item for item in attributes if item[1].startswith("on") or item[1] in ("style", "src")]
        assert {value[:1] for _, name, value in attributes if name == "href"} == {"#"}
        assert not re.search(r"url\((?!#)", source)
        assert "@import" not in source


def test_the_page_forbids_everything_but_its_style() -> None:
    source = html(plain())
    style = re.search(r"<style>(.*)</style>", source, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(a["content"] for tag, a in Page(source).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_names_are_escaped_in_the_page() -> None:
    source = html(hostile())
    assert "<script" not in source
    assert "{{ 7*7 }}" in "".join(Page(source).texts)


def test_links_of_the_picture_lead_to_details() -> None:
    page = Page(html(inspect_model(*pair(mixed()))))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert targets == {"edges", *(f"op-{number}" for number in range(6))}
    assert targets <= ids


def test_the_page_names_each_operation_and_why() -> None:
    words = " ".join("".join(Page(html(plain())).texts).split())
    assert "not compiled: a PREDICTION" in words
    assert "3 of 6 operations would run on the Edge TPU, 3 on the CPU" in words
    assert "Operation not supported; the Edge TPU has no such operation" in words


def test_a_page_of_many_operations_stays_small() -> None:
    make = Maker()
    make.tensor("x", [1, 4])
    for number in range(2_100):
        made = make.tensor("n" * 900, [1, 4])
        make.operator("TANH", [made - 1], [made])
        make.native.operatorCodes = make.native.operatorCodes[:1]
        make.graph.operators[number].opcodeIndex = 0
    source = html(inspect_model(make.model([0], [2_100])))
    assert "and 100 more; --json has all." in source
    assert len(source) < 6_000_000


def test_the_page_is_the_same_every_time() -> None:
    assert html(plain()) == html(plain())
