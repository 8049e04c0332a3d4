"""The plan is pure: same facts, same actions; each reason names what changed."""

from __future__ import annotations

from dataclasses import replace

from coralforge.plan import Facts, ModelFact, SourceFact, Stage, make_plan

FLATBUFFERS = SourceFact("flatbuffers", "sha256:" + "a" * 64, unpacked=True)
LIBEDGETPU = SourceFact("libedgetpu", "sha256:" + "b" * 64, unpacked=True)
INPUTS = {
    Stage.LIBRARIES: {"arch": "aarch64", "image": "i1"},
    Stage.PREFIX: {"templates/bundle": "t1"},
    Stage.PROGRAMS: {"templates/consumer": "c1"},
    Stage.BUNDLE: {"licence": "l1"},
    Stage.DEB: {"templates/debian": "d1"},
}
SAMPLE = ModelFact("the sample", {"model": "s1"})
FRESH = Facts(sources=(FLATBUFFERS, LIBEDGETPU), inputs=INPUTS, present=frozenset(), image="i1", models=(SAMPLE,))


def built(facts: Facts, goal: Stage = Stage.BUNDLE) -> Facts:
    """The facts after everything was made."""
    actions = [a for a in make_plan(facts, goal) if a.inputs]
    return replace(
        facts,
        present=frozenset(a.artifact for a in actions),
        previous={a.label: dict(a.inputs) for a in actions},
    )


def running(facts: Facts, goal: Stage = Stage.BUNDLE) -> dict[str, str]:
    return {f"{a.stage.value}:{a.name}": a.reason for a in make_plan(facts, goal) if a.run}


def test_a_fresh_machine_fetches_first_and_knows_no_keys_yet() -> None:
    facts = replace(FRESH, sources=(replace(FLATBUFFERS, digest=None, unpacked=False), LIBEDGETPU))
    actions = running(facts)
    assert actions["fetch:flatbuffers"] == "not downloaded yet"
    assert actions["libraries:libraries"] == "sources are not all there yet"
    assert "fetch:libedgetpu" not in actions
    assert [a.key for a in make_plan(facts, Stage.BUNDLE) if a.stage is Stage.LIBRARIES] == [""]


def test_chosen_operators_are_in_the_libraries_key_and_wait_for_the_models() -> None:
    chosen = replace(built(FRESH), operators=("ADD", "CONV_2D"))
    assert running(chosen)["libraries:libraries"] == "changed: operators"
    waiting = replace(FRESH, operators=None, models=(ModelFact("net", None),))
    actions = running(waiting, Stage.PREFIX)
    assert actions["libraries:libraries"] == "models are not all there yet"
    assert actions["fetch:models"] == "not downloaded yet"


def test_nothing_runs_when_all_is_there() -> None:
    assert running(built(FRESH)) == {}


def test_a_damaged_artifact_is_made_again_and_the_reason_names_the_file() -> None:
    facts = built(FRESH)
    [libraries] = [name for name in facts.present if name.startswith("libraries-")]
    actions = running(replace(facts, damaged={libraries: "lib/a.so is missing"}))
    assert actions["libraries:libraries"] == "damaged in the cache: lib/a.so is missing"
    assert "bundle:bundle" not in actions  # it is whole, and the new libraries have the same key


def test_a_changed_source_is_named_and_rebuilds_all_that_depends_on_it() -> None:
    facts = replace(built(FRESH), sources=(FLATBUFFERS, replace(LIBEDGETPU, digest="git-tree:" + "c" * 40)))
    actions = running(facts)
    assert actions["libraries:libraries"] == "sources changed: libedgetpu"
    assert actions["programs:programs"] == "changed: prefix"
    assert actions["bundle:bundle"] == "changed: programs"


def test_a_changed_consumer_template_never_rebuilds_the_libraries() -> None:
    facts = replace(built(FRESH), inputs={**INPUTS, Stage.PROGRAMS: {"templates/consumer": "c2"}})
    assert set(running(facts)) == {"image:builder", "programs:programs", "bundle:bundle"}
    assert running(facts)["programs:programs"] == "changed: templates/consumer"


def test_a_changed_sample_only_repacks_and_needs_no_container() -> None:
    facts = replace(built(FRESH), models=(replace(SAMPLE, inputs={"model": "s2"}),))
    assert set(running(facts)) == {"model:the sample", "bundle:bundle"}


def test_packages_follow_the_bundle_and_need_a_container_but_no_source() -> None:
    changed = {**INPUTS, Stage.DEB: {"templates/debian": "d2"}}
    facts = replace(built(FRESH, Stage.DEB), inputs=changed)
    assert running(facts, Stage.DEB) == {
        "image:builder": "needed (Docker was not asked whether it has it)",
        "deb:deb": "changed: templates/debian",
    }
    assert running(facts) == {}


def test_build_stops_before_the_programs() -> None:
    stages = {a.stage for a in make_plan(FRESH, Stage.PREFIX)}
    assert stages == {Stage.FETCH, Stage.UNPACK, Stage.IMAGE, Stage.LIBRARIES, Stage.PREFIX}


def test_an_unknown_sample_is_fetched_for_a_bundle_only() -> None:
    facts = replace(FRESH, models=(replace(SAMPLE, inputs=None),))
    assert "fetch:models" in running(facts)
    assert "fetch:models" not in running(facts, Stage.PREFIX)
    bundle = [a for a in make_plan(facts, Stage.BUNDLE) if a.stage is Stage.BUNDLE]
    assert bundle[0].key == ""


def test_the_image_is_left_when_docker_has_it() -> None:
    (image,) = [a for a in make_plan(replace(FRESH, image_present=True), Stage.BUNDLE) if a.stage is Stage.IMAGE]
    assert not image.run
    assert image.reason == "Docker has it"


def test_an_artifact_that_was_removed_is_made_again() -> None:
    facts = replace(built(FRESH), present=frozenset())
    assert running(facts)["libraries:libraries"] == "the artifact was removed from the store"


def test_keys_are_stable() -> None:
    """A golden key: a change of it rebuilds everything for every user, so it must be meant."""
    key = next(a.key for a in make_plan(FRESH, Stage.LIBRARIES) if a.stage is Stage.LIBRARIES)
    assert key == "6f017fa47b946de59a2f5e6f993519cd228ae11b857522621931f98cdda7a95e"


def test_order_of_inputs_does_not_matter() -> None:
    turned = replace(FRESH, sources=(LIBEDGETPU, FLATBUFFERS))
    keys = [[a.key for a in make_plan(f, Stage.BUNDLE) if a.inputs] for f in (FRESH, turned)]
    assert keys[0] == keys[1]


class TestModels:
    facts = replace(FRESH, models=(ModelFact("net", {"model": "m1"}), ModelFact("other", {"model": "o1"})))

    def test_each_model_is_a_step_before_the_bundle(self) -> None:
        actions = make_plan(self.facts, Stage.BUNDLE)
        assert [a.label for a in actions[-3:]] == ["model net", "model other", "bundle"]
        assert {"model net", "model other"} <= {name for name, _ in actions[-1].inputs}

    def test_only_the_model_that_changed_is_made_again(self) -> None:
        facts = replace(built(self.facts), models=(ModelFact("net", {"model": "m2"}), self.facts.models[1]))
        assert running(facts) == {"model:net": "changed: model", "bundle:bundle": "changed: model net"}

    def test_a_model_whose_files_are_not_fetched_has_no_key_and_neither_has_the_bundle(self) -> None:
        facts = replace(self.facts, models=(ModelFact("net", None),))
        actions = running(facts)
        assert actions["fetch:models"] == "not downloaded yet"
        assert actions["model:net"] == "its files are not all there yet"
        found = [a.key for a in make_plan(facts, Stage.BUNDLE) if a.stage in (Stage.MODEL, Stage.BUNDLE)]
        assert found == ["", ""]

    def test_a_build_has_nothing_to_do_with_models(self) -> None:
        assert not [a for a in make_plan(self.facts, Stage.PREFIX) if a.stage is Stage.MODEL]
