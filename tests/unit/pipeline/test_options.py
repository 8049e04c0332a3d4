"""cpu.xnnpack and cpu.ops in keys, plans and the Bazel workspace; and that nothing of them is there without them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from coralforge.config.pipeline import Cpu
from coralforge.config.release import Source
from coralforge.errors import CoralforgeError, ExitCode
from coralforge.events import Note, Recorder
from coralforge.pipeline import executor
from coralforge.pipeline.executor import Run
from coralforge.pipeline.survey import collect
from coralforge.pipeline.workspace import exports_of_resolvers, registration, with_operators, with_xnnpack
from coralforge.plan import Stage
from coralforge.settings import Options, Project, Settings, resolve, without_xnnpack
from coralforge.sources.trees import NEEDS_XNNPACK, wanted_sources
from coralforge.templates import render_bundle
from coralforge.util.fingerprint import of_paths
from tests.conftest import ROOT
from tests.support.model_maker import mixed
from tests.support.model_project import settings_with
from tests.support.project_maker import copy_project_files

EXPORTS = ROOT / "toolchains/bazel/overlays/tensorflow-2.14/tensorflow/lite/exports.lds"
REGISTER = """\
BuiltinOpResolver::BuiltinOpResolver() {
  AddBuiltin(BuiltinOperator_ADD, Register_ADD(), /* min_version = */ 1,
             /* max_version = */ 5);
  AddBuiltin(BuiltinOperator_ADD_N, tflite::ops::builtin::Register_ADD_N());
  AddBuiltin(BuiltinOperator_CONV_2D,
             Register_CONV_2D());
  // Kept as it is.
  AddCustom("Mfcc", tflite::ops::custom::Register_MFCC());
  AddCustom("TFLite_Detection_PostProcess",
            tflite::ops::custom::Register_DETECTION_POSTPROCESS());
  may_directly_contain_user_defined_ops_ = false;
}
"""


def settings(cache: Path, **cpu: str) -> Settings:
    found = resolve(Project(ROOT), Options(variants=("simulated",)), {"CORALFORGE_CACHE": str(cache)})
    return replace(found, pipeline=found.pipeline.model_copy(update={"cpu": Cpu.model_validate(cpu)}))


def library_inputs(found: Settings) -> dict[str, str]:
    return dict(collect(found, Stage.PREFIX).facts.inputs[Stage.LIBRARIES])


@pytest.mark.parametrize(
    ("said", "meant"),
    [({}, "off"), ({"xnnpack": True}, "on"), ({"xnnpack": False}, "off"), ({"xnnpack": "auto"}, "auto")],
)
def test_yamls_on_and_off_are_words(said: dict[str, object], meant: str) -> None:
    assert Cpu.model_validate(said).xnnpack == meant


@pytest.mark.parametrize("said", [1, 0, "yes", None, 1.0])
def test_other_values_of_xnnpack_are_refused(said: object) -> None:
    with pytest.raises(ValueError, match="xnnpack"):
        Cpu.model_validate({"xnnpack": said})


def test_without_the_option_neither_sources_nor_keys_know_of_xnnpack(tmp_path: Path) -> None:
    off, on = settings(tmp_path), settings(tmp_path, xnnpack="on")
    assert NEEDS_XNNPACK.isdisjoint(wanted.name for wanted in wanted_sources(off))
    assert {wanted.name for wanted in wanted_sources(on)} >= NEEDS_XNNPACK
    assert set(library_inputs(on)) - set(library_inputs(off)) == {"XNNPACK", "options"}
    assert library_inputs(without_xnnpack(on)) == library_inputs(off)


def test_a_file_of_xnnpack_changes_the_key_with_the_option_only(tmp_path: Path) -> None:
    project = copy_project_files(tmp_path / "project")
    off = replace(settings(tmp_path / "cache"), project=project)
    on = replace(settings(tmp_path / "cache", xnnpack="on"), project=project)
    before = library_inputs(off), library_inputs(on)
    (project.xnnpack / "xnnpack.bzl").write_text("# changed")
    assert library_inputs(off) == before[0]
    assert library_inputs(on) != before[1]


def test_on_needs_a_release_with_its_source(tmp_path: Path) -> None:
    project = copy_project_files(tmp_path)
    text = project.pipeline.read_text()
    project.pipeline.write_text(text + "\ncpu: {xnnpack: on}\n")
    release = project.releases / "2.14.1.yaml"
    release.write_text(re.sub(r"\n  xnnpack:\n(    .*\n)+", "\n", release.read_text()))
    with pytest.raises(CoralforgeError) as caught:
        resolve(project, Options(), {})
    assert (caught.value.reason, caught.value.code) == ("xnnpack-release", ExitCode.USER)
    project.pipeline.write_text(text + "\ncpu: {xnnpack: auto}\n")
    assert not resolve(project, Options(), {}).xnnpack


def with_places(found: Settings, url: str) -> Settings:
    """The same settings, where XNNPACK's sources are at ``url`` only."""
    sources = dict(found.release.sources)
    for name in NEEDS_XNNPACK:
        place = sources[name].places[0].model_copy(update={"url": url})
        sources[name] = Source.model_copy(sources[name], update={"places": [place]})
    return replace(found, release=found.release.model_copy(update={"sources": sources}))


def test_auto_goes_on_without_xnnpack_where_its_source_is_nowhere_and_says_so(tmp_path: Path) -> None:
    recorder = Recorder()
    found = with_places(settings(tmp_path, xnnpack="auto"), f"file://{tmp_path}/nowhere.tar.gz")
    run = Run(found, recorder)
    chosen = executor._fetch_xnnpack(run.settings, run.sink)
    assert not chosen.xnnpack
    assert any("without XNNPACK" in event.text for event in recorder.events if isinstance(event, Note))


def test_auto_does_not_take_wrong_bytes_for_no_source(tmp_path: Path) -> None:
    (tmp_path / "wrong.tar.gz").write_bytes(b"a page")
    found = with_places(settings(tmp_path, xnnpack="auto"), f"file://{tmp_path}/wrong.tar.gz")
    with pytest.raises(CoralforgeError) as caught:
        executor._fetch_xnnpack(found, Recorder())
    assert caught.value.reason == "source-digest"


def test_the_workspace_with_xnnpack_has_its_repositories_beside_the_others(tmp_path: Path) -> None:
    composed = with_xnnpack(Project(ROOT), tmp_path / "composed")
    assert composed.scripts == ROOT / "scripts"
    text = (composed.bazel / "sources.bzl").read_text()
    own = (ROOT / "toolchains/bazel/sources.bzl").read_text()
    added = 'load("//:xnnpack.bzl", "XNNPACK_REPOSITORIES")\n\nREPOSITORIES = XNNPACK_REPOSITORIES | {\n'
    assert text.replace(added, "REPOSITORIES = {\n").replace("\n\n\n", "\n\n") == own.replace("\n\n\n", "\n\n")
    for name in ("fp16", "fxdiv-upper", "tensorflow-2.14/tensorflow/lite/delegates/xnnpack"):
        assert (composed.bazel / "overlays" / name / "BUILD.bazel").is_file()


def test_what_xnnpack_lays_over_the_workspace_replaces_nothing(tmp_path: Path) -> None:
    added = {path.relative_to(Project(ROOT).xnnpack) for path in Project(ROOT).xnnpack.rglob("*") if path.is_file()}
    assert [name for name in added if (Project(ROOT).bazel / name).exists()] == []


def test_only_the_chosen_operators_are_registered() -> None:
    chosen = registration(REGISTER, {"ADD_N", "CUSTOM:TFLite_Detection_PostProcess", "CUSTOM:edgetpu-custom-op"})
    assert re.findall(r"Register_\w+", chosen) == ["Register_ADD_N", "Register_DETECTION_POSTPROCESS"]
    assert chosen.count("Add") == 2
    assert "// Kept as it is." in chosen and "may_directly_contain" in chosen
    everything = {"ADD", "ADD_N", "CONV_2D", "CUSTOM:Mfcc", "CUSTOM:TFLite_Detection_PostProcess"}
    assert registration(REGISTER, everything) == REGISTER


def test_an_operator_that_tensorflow_lite_does_not_have_is_named() -> None:
    with pytest.raises(CoralforgeError, match="no operator STABLEHLO_ADD") as caught:
        registration(REGISTER, {"ADD", "STABLEHLO_ADD"})
    assert (caught.value.reason, caught.value.code) == ("ops-not-there", ExitCode.BUILD)


def test_kernels_are_not_exported_and_resolvers_are() -> None:
    text = exports_of_resolvers(EXPORTS.read_text())
    patterns = [pattern.replace("*", ".*") for pattern in re.findall(r"(_Z\S+);", text)]

    def exported(symbol: str) -> bool:
        return any(re.fullmatch(pattern, symbol) for pattern in patterns)

    assert exported("_ZN6tflite3ops7builtin17BuiltinOpResolverC1Ev")
    assert exported("_ZTVN6tflite3ops7builtin17BuiltinOpResolverE")
    assert exported("_ZN6tflite11Interpreter6InvokeEv")
    for symbol in ("12Register_ADDEv", "16Register_CONV_2DEv", "20BuiltinRefOpResolverC1Ev"):
        assert not exported(f"_ZN6tflite3ops7builtin{symbol}")
    assert not exported("_ZN6tflite3ops6custom13Register_MFCCEv")


def test_the_workspace_with_operators_differs_in_two_files(tmp_path: Path) -> None:
    source = tmp_path / "tensorflow/tensorflow/lite/core/kernels"
    source.mkdir(parents=True)
    (source / "register.cc").write_text(REGISTER)
    own = Project(ROOT)
    composed = with_operators(own, "tensorflow-2.14", tmp_path / "tensorflow", ["ADD"], tmp_path / "composed")
    done = subprocess.run(
        ["diff", "-rq", own.bazel, composed.bazel], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    assert len(done) == 2
    assert "exports.lds" in done[1] or "exports.lds" in done[0]
    assert of_paths(own.bazel) == of_paths(ROOT / "toolchains/bazel")


def test_the_operators_are_those_of_the_models_and_are_in_the_libraries_key(tmp_path: Path) -> None:
    (tmp_path / "mixed.tflite").write_bytes(mixed())
    found = settings_with(tmp_path, "net: {model: {path: mixed.tflite}, target: cpu, min_mapped: 0}")
    everything = collect(found, Stage.PREFIX)
    assert everything.facts.operators == ()
    chosen = replace(found, pipeline=found.pipeline.model_copy(update={"cpu": Cpu(ops="selected")}))
    survey = collect(chosen, Stage.PREFIX)
    operators = survey.facts.operators
    assert operators is not None
    assert {"CONV_2D", "SOFTMAX"} < set(operators)
    assert list(operators) == sorted(operators)


def test_a_model_that_is_yet_to_be_quantized_has_no_known_operators(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(b"")
    found = settings_with(tmp_path, "net: {model: {path: net.keras}, quantize: {random: 3}}")
    chosen = replace(found, pipeline=found.pipeline.model_copy(update={"cpu": Cpu(ops="selected")}))
    with pytest.raises(CoralforgeError, match=r"models\.net") as caught:
        collect(chosen, Stage.PREFIX)
    assert caught.value.reason == "ops-unknown"


def test_a_model_whose_operators_cannot_be_read_is_named_as_in_pipeline_yaml(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"")
    found = settings_with(tmp_path, "net: {model: {path: net.tflite}, target: cpu}")
    chosen = replace(found, pipeline=found.pipeline.model_copy(update={"cpu": Cpu(ops="selected")}))
    with pytest.raises(
        CoralforgeError, match=r"pipeline\.yaml: models\.net\.model: .*net\.tflite is empty"
    ) as caught:
        collect(chosen, Stage.PREFIX)
    assert caught.value.reason == "model-format"


def test_what_is_rendered_speaks_of_xnnpack_only_where_it_is(tmp_path: Path) -> None:
    off, on = render_bundle(settings(tmp_path)), render_bundle(settings(tmp_path, xnnpack="on"))
    differing = {name.name for name in on if on[name] != off[name]}
    assert differing == {"CoralConfig.cmake", "README.md", "smoke.sh"}
    assert [name for name in off if b"xnnpack" in off[name].content] == []
    script = tmp_path / "smoke.sh"
    script.write_bytes(on[PurePosixPath("smoke.sh")].content)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
