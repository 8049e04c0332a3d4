"""Puts an inspection together. Pure: two models in, frozen data out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from coralforge.edgetpu.estimate import estimate
from coralforge.edgetpu.operators import Status
from coralforge.edgetpu.partition import Decision, Partition, Side, parameters, partition
from coralforge.edgetpu.payload import CUSTOM_CODE
from coralforge.edgetpu.requirements import refusals
from coralforge.edgetpu.warnings import warnings
from coralforge.errors import user_error
from coralforge.inspect.advice import advise
from coralforge.inspect.inspection import Form, Inspection, Located, Place, Program, Refusal
from coralforge.inspect.pair import after_tpu, moved_to_tpu, not_a_pair
from coralforge.inspect.programs import compiled_operations, form_of, read_programs, unwrap
from coralforge.inspect.statement import contradictions, statement_of
from coralforge.tflite.graph import Graph
from coralforge.tflite.model import Model

_SECOND = "it depends on an operation that runs on the CPU after the Edge TPU"
_UNEXPLAINED = "the compiler left it on the CPU; no rule that is known here says why"


def inspect_model(model: Model, plain: Model | None = None) -> Inspection:
    """Find out where each operation of ``model`` runs, and why.

    ``plain`` is what a compiled ``model`` was compiled from. Without it, the operations that Google's compiler put on
    the Edge TPU are unknown.

    Raises:
        CoralforgeError: exit code 2; reason ``model-package`` for a damaged `edgetpu-custom-op`, ``model-pair`` when
            ``plain`` is not the model that ``model`` was compiled from.
    """
    form = form_of(model)
    if form is not Form.PLAIN:
        return _compiled(model, plain, form)
    if plain is not None:
        raise user_error(
            f"{model.path} is not compiled, so that there is no plain form of it",
            reason="model-pair",
            remedy="give the compiled model as --model, or leave --plain out",
        )
    predicted = partition(model.graph)
    located = tuple(Located(one, Place.TPU if one.side is Side.TPU else Place.CPU) for one in predicted.decisions)
    refused = tuple(Refusal(e.reason, e.brief, e.details, e.remedy) for e in refusals(model, predicted))
    return _inspection(_Subject(model, None, form, model.graph), predicted, located, refused=refused)


def _compiled(model: Model, plain: Model | None, form: Form) -> Inspection:
    programs = read_programs(model)
    graph, inside = model.graph, frozenset(one.index for one in compiled_operations(model.graph))
    if form is Form.SIMULATED:
        unwrapped = unwrap(model)
        graph, inside = unwrapped.graph, unwrapped.inside
    if plain is not None:
        before = _names(graph, inside)
        graph, inside = plain.graph, moved_to_tpu(model, plain)
        if form is Form.SIMULATED and before != _names(graph, inside):
            raise not_a_pair(model, plain, "the simulator's payload holds other operations")
    place = Place.SIMULATED if form is Form.SIMULATED else Place.TPU
    located = _located(graph, inside, place)
    decided = Partition.known(tuple(one.decision for one in located))
    return _inspection(_Subject(model, plain, form, graph), decided, located, programs)


def _names(graph: Graph, inside: frozenset[int]) -> Counter[str]:
    return Counter(operation.name for operation in graph.operations if operation.index in inside)


def _located(graph: Graph, inside: frozenset[int], place: Place) -> tuple[Located, ...]:
    """Where operations really run; the rules only say why."""
    after, producers = after_tpu(graph, inside), graph.producers()
    located = []
    for one in partition(graph).decisions:
        index = one.operation.index
        if index in inside:
            located.append(_on_tpu(one, place))
        else:
            follows = any(producers.get(tensor) in after for tensor in one.operation.inputs)
            located.append(_on_cpu(one, Side.POST if index in after else Side.PRE, follows))
    return tuple(located)


def _on_tpu(predicted: Decision, place: Place) -> Located:
    left = predicted.side is not Side.TPU
    remark = f"the rules known here would leave it on the CPU: {predicted.why}" if left else ""
    return Located(Decision(predicted.operation, Status.MAPPED, Side.TPU), place, remark)


def _on_cpu(predicted: Decision, side: Side, follows: bool) -> Located:
    own = predicted.status not in (Status.MAPPED, Status.SECOND_SUBGRAPH)
    if own:
        status, why, rule = predicted.status, predicted.why, predicted.rule
    elif follows:
        status, why, rule = Status.SECOND_SUBGRAPH, _SECOND, "one-subgraph"
    else:
        status, why, rule = Status.UNSPECIFIED, _UNEXPLAINED, ""
    remark = "" if own or follows else "the rules known here would put it on the Edge TPU"
    return Located(Decision(predicted.operation, status, side, why, rule), Place.CPU, remark)


@dataclass(frozen=True)
class _Subject:
    """The models that are looked at, and the graph that is told of."""

    model: Model
    plain: Model | None
    form: Form
    graph: Graph


def _inspection(
    subject: _Subject,
    decided: Partition,
    operations: tuple[Located, ...],
    programs: tuple[Program, ...] = (),
    refused: tuple[Refusal, ...] = (),
) -> Inspection:
    model, graph = subject.model, subject.graph
    complete = not any(one.operation.custom_code == CUSTOM_CODE for one in operations)
    parts = sum(one.package is not None for one in programs)
    statement = statement_of(model, subject.plain, graph)
    return Inspection(
        path=model.path,
        size=model.size,
        form=subject.form,
        plain=subject.plain.path if subject.plain is not None else None,
        graph=graph,
        operations=operations,
        programs=programs,
        refusals=refused,
        warnings=(*warnings(graph, decided), *contradictions(statement)),
        advice=advise(graph, decided, timed=complete and not refused, parts=parts),
        least=decided.least,
        most=decided.most,
        parameters=parameters(graph, decided),
        subgraphs=model.subgraphs,
        estimate=estimate(graph, decided) if subject.form is Form.PLAIN and not refused else None,
        statement=statement,
    )
