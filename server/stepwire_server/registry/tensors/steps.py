"""The step graph of a bundle as named tensors: sequences whose state is kept here or sent along.

Shapes: N rows, T steps of a request, F features, * an output's own shape.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.options import Options
from stepwire_server.engine.given import Given
from stepwire_server.engine.job import Delivery, Job, Kind, SearchUpdate, StepTaken
from stepwire_server.engine.layout import Layout
from stepwire_server.engine.tensors import Answer, Asked, Cancel, Done, Failed, Tensors, Timing
from stepwire_server.engine.visits import Visit
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError
from stepwire_server.registry import signature
from stepwire_server.registry.gathering import Gathering
from stepwire_server.registry.signature import Signature, TensorSpec
from stepwire_zoo.manifest import Manifest, Tensor

_READING = Options(max_tokens=1)  # nothing is chosen
_INPUTS = ("token", "features", "word")
_ATTENTION = "attention"


class StepTensors:
    """A step graph: one request is one step or a chunk of steps of N sequences side by side."""

    def __init__(
        self,
        gathering: Gathering,
        spec: Manifest,
        layout: Layout,
        max_rows: int,
        labels: Sequence[str] = (),
    ) -> None:
        """Makes a model.

        Args:
            gathering: lets single steps wait for each other; its engine steps the rows,
                together with everybody else's.
            spec: the bundle's manifest.
            layout: of a row's packed state.
            max_rows: of one request.
            labels: of the places of the logits.
        """
        self.engine = gathering.engine
        self.gathering = gathering
        self.layout = layout
        # Outputs may be named in many orders, but there are few of them.
        self._wanted: dict[tuple[str, ...], tuple[Sequence[tuple[str, str]], frozenset[str]]] = {}
        [self._input] = [t for t in spec.graphs["step"].inputs if t.role in _INPUTS]
        self._choices = spec.tokenizer.vocabulary_size  # of a token
        self._of_word = word_choices(spec) if self._input.role == "word" else ()
        self._most_steps = spec.limits.max_input_tokens
        self._roles = {tensor.name: tensor.role for tensor in spec.graphs["step"].outputs}
        self.signature = _signature(spec, self._input, max_rows, labels)

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the steps of a request; raises as `AnsweringModel.begin`."""
        if asked.tensors[self._input.name].shape[1] == 1:
            return self._visit(asked, done, failed)
        self.check(asked)
        jobs = self.jobs(asked, self.taking(asked, done, failed))
        self.engine.submit(jobs)
        return lambda: self.engine.cancel(jobs)

    def _visit(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Single steps, as most requests bring."""
        steps = asked.tensors[self._input.name][:, 0]
        reads = steps.tolist() if self._input.role == "token" else steps
        if reads is steps or min(reads) < 0 or max(reads) >= self._choices:
            self.check(asked)
        wanted, roles = self._roles_of(tuple(asked.wanted))
        visitors = _Visitors(wanted, done, failed, self.gathering)
        visits = [
            Visit(
                reads=each,
                packed=asked.states[row] if asked.states else b"",
                wanted=roles,
                taken=partial(visitors.taken, row),
                failed=visitors.fail,
                deadline=asked.deadline,
            )
            for row, each in enumerate(reads)
        ]
        visitors.visits = visits
        self.gathering.add(visits)
        return visitors.leave

    def _roles_of(self, names: tuple[str, ...]) -> tuple[Sequence[tuple[str, str]], frozenset[str]]:
        """Outputs with their roles, and the roles alone."""
        found = self._wanted.get(names)
        if found is None:
            wanted = [(name, self._roles[name]) for name in names]
            found = self._wanted[names] = wanted, frozenset(role for _, role in wanted)
        return found

    def taking(self, asked: Asked, done: Done, failed: Failed) -> "Taking":
        """What collects the steps of a request."""
        wanted = [(name, self._roles[name]) for name in asked.wanted]
        return Taking(wanted, asked.rows, done, failed)

    def jobs(self, asked: Asked, taking: "Taking") -> list[Job]:
        """The steps of a request that is checked, a job for each row."""
        reads = self._input.role != "token"
        roles = frozenset(self._roles[name] for name in asked.wanted)
        return [
            Job(
                range(len(steps)) if reads else steps.tolist(),
                _READING,
                taking,
                index=index,
                deadline=asked.deadline,
                kind=Kind.STEP,
                packed=asked.states[index] if asked.states else b"",
                wanted=roles,
                features=steps if reads else None,
            )
            for index, steps in enumerate(asked.tensors[self._input.name])
        ]

    def check(self, asked: Asked) -> None:
        """Raises InvalidRequest unless the model can read all of [N, T] or [N, T, *]."""
        name, inputs = self._input.name, asked.tensors[self._input.name]
        if not 0 < inputs.shape[1] <= self._most_steps:
            allowed = f"have between 1 and {self._most_steps} steps on axis 1"
            raise InvalidRequest.of(name, allowed, list(inputs.shape))
        if self._input.role == "features":
            if not np.isfinite(inputs).all():
                place = np.argwhere(~np.isfinite(inputs))[0].tolist()
                raise InvalidRequest.of(f"{name}{place}", "be finite", float(inputs[tuple(place)]))
            return
        choices = self._of_word or (self._choices,)  # of each number of a step
        wrong = np.argwhere((inputs < 0) | (inputs >= np.array(choices)))
        if len(wrong):
            place = wrong[0].tolist()
            allowed = f"be in [0, {choices[place[-1] if self._of_word else 0] - 1}]"
            raise InvalidRequest.of(f"{name}{place}", allowed, int(inputs[tuple(place)]))


class _Visitors:
    """Collects what a single step gives each row of a request."""

    def __init__(
        self,
        wanted: Sequence[tuple[str, str]],
        done: Done,
        failed: Failed,
        gathering: Gathering,
    ) -> None:
        self.visits: Sequence[Visit] = ()
        self._gathering = gathering
        self._wanted = wanted  # names of outputs, with their roles
        self._done = done
        self._failed = failed
        self._found: dict[int, tuple[Given, int]] = {}
        self._over = False

    def taken(self, row: int, given: Given, place: int) -> None:
        """Takes what the step gave one row."""
        self._found[row] = (given, place)
        if len(self._found) == len(self.visits):
            self._over = True
            self._gathering.over(len(self.visits))
            found = [self._found[row] for row in range(len(self.visits))]
            tensors = {name: _together(found, role) for name, role in self._wanted}
            visit = self.visits[row]
            timing = Timing(
                queue_s=visit.started_at - visit.arrived_at,
                infer_s=given.at - visit.started_at,
                batch=given.batch,
            )
            self._done(Answer(tensors, [g.packed(place) for g, place in found], timing))

    def fail(self, error: StepwireError) -> None:
        """Learns that a row cannot be stepped; its companions are forgotten."""
        if not self._over:
            self.leave()
            self._failed(error)

    def leave(self) -> None:
        """Takes no step that has not begun."""
        if not self._over:
            self._gathering.over(len(self.visits))
        self._over = True
        for visit in self.visits:
            visit.left = True


def _together(found: Sequence[tuple[Given, int]], role: str) -> NDArray[Any]:
    """What single steps gave of one role, [N, 1, *]."""
    if len(found) == 1:
        [(given, place)] = found
        return given.outputs[role][place : place + 1, None]
    return np.stack([given.outputs[role][place] for given, place in found])[:, None]


class Taking:
    """Collects what the steps of one request give."""

    def __init__(
        self, wanted: Sequence[tuple[str, str]], rows: int, done: Done, failed: Failed
    ) -> None:
        self._wanted = wanted  # names of outputs, with their roles
        self._done = done
        self._failed = failed
        self._open = rows
        self._told: list[list[Mapping[str, NDArray[Any]]]] = [[] for _ in range(rows)]
        self._states = [b""] * rows
        self._timing = Timing()

    def step(self, taken: StepTaken) -> None:
        """Takes what one step of one row gave."""
        job = taken.row.job
        self._told[job.index].append({role: _told(taken, role) for _, role in self._wanted})
        if not taken.last:
            return
        self._states[job.index] = taken.packed
        self._open -= 1
        self._timing = Timing(
            queue_s=job.started_at - job.arrived_at,
            infer_s=taken.given.at - job.started_at,
            batch=taken.given.batch,
        )
        if not self._open:
            self._finish()

    def _finish(self) -> None:
        try:
            tensors = {name: self._all(role) for name, role in self._wanted}
        except Exception:
            self._failed(InternalError("the outputs of a step could not be told"))
            raise
        self._done(Answer(tensors, self._states, self._timing))

    def _all(self, role: str) -> NDArray[Any]:
        """What all steps gave of one role, [N, T, *]."""
        rows = [np.stack([step[role] for step in steps]) for steps in self._told]
        return np.stack(_equally_wide(rows) if role == _ATTENTION else rows)

    def fail(self, job: Job, error: StepwireError) -> None:
        """Learns that a row cannot be stepped; its companions are forgotten."""
        del job
        if self._open > 0:
            self._open = -1
            self._failed(error)

    def deliver(self, delivery: Delivery) -> None:
        """Nothing is drawn here."""

    def update(self, update: SearchUpdate) -> None:
        """Nothing is searched for here."""


class ExplicitSteps:
    """The same graph for callers who keep the state themselves: it comes and goes as tensors."""

    def __init__(self, steps: StepTensors) -> None:
        """Makes a model that shares the other's batch."""
        self._steps = steps
        kept = steps.signature
        starts = tuple(_optional(state) for state, _ in kept.states)
        self._inputs = {state.name: following.name for state, following in kept.states}
        self.signature = Signature(
            name=f"{kept.name}.explicit",
            version=kept.version,
            kind=signature.Kind.PLAIN,
            inputs=(*kept.inputs, *starts),
            outputs=(*kept.outputs, *(following for _, following in kept.states)),
            max_rows=kept.max_rows,
        )

    def begin(self, asked: Asked, done: Done, failed: Failed) -> Cancel:
        """Queues the steps of a request; raises as `AnsweringModel.begin`."""
        following = set(self._inputs.values())

        def told(answer: Answer) -> None:
            states = self._steps.layout.unpack_rows(answer.states)
            by_name = {self._inputs[name]: value for name, value in states.items()}
            given = {name: by_name[name] for name in asked.wanted if name in following}
            done(Answer({**answer.tensors, **given}, (), answer.timing))

        inner = Asked(
            tensors={n: v for n, v in asked.tensors.items() if n not in self._inputs},
            rows=asked.rows,
            wanted=[name for name in asked.wanted if name not in following],
            states=self._packed(asked.tensors),
            deadline=asked.deadline,
        )
        return self._steps.begin(inner, told, failed)

    def _packed(self, tensors: Tensors) -> list[bytes] | None:
        given = [name for name in self._inputs if name in tensors]
        if not given:
            return None
        for name in self._inputs:
            if name not in tensors:
                raise InvalidRequest.of(name, f"come with {given[0]}: a state is whole", "none")
            if tensors[name].dtype.kind == "f" and not np.isfinite(tensors[name]).all():
                raise InvalidRequest.of(name, "be finite", "a number that is not")
        states = {name: tensors[name] for name in self._inputs}
        return [row.tobytes() for row in self._steps.layout.pack_rows(states)]


def word_choices(spec: Manifest) -> tuple[int, ...]:
    """Below which each of the numbers of a word stays, of a model that reads words: [1 + C]."""
    assert spec.characters is not None
    [word] = [tensor for tensor in spec.graphs["step"].inputs if tensor.role == "word"]
    count = word.shape[0] - 1
    return (spec.tokenizer.vocabulary_size, *[spec.characters.vocabulary_size] * count)


def _signature(spec: Manifest, reads: Tensor, max_rows: int, labels: Sequence[str]) -> Signature:
    graph = spec.graphs["step"]
    return Signature(
        name=spec.name,
        version=spec.version,
        kind=signature.Kind.SEQUENCE,
        inputs=(TensorSpec(name=reads.name, dtype=reads.dtype, shape=(-1, -1, *reads.shape)),),
        outputs=tuple(
            TensorSpec(
                name=tensor.name,
                dtype=tensor.dtype,
                shape=(-1, -1, *tensor.shape),
                labels=tuple(labels) if tensor.role == "logits" else (),
            )
            for tensor in graph.outputs
        ),
        max_rows=max_rows,
        states=tuple(
            (
                TensorSpec(name=state.input, dtype=state.dtype, shape=(-1, *state.shape)),
                TensorSpec(name=state.output, dtype=state.dtype, shape=(-1, *state.shape)),
            )
            for state in graph.states
        ),
    )


def _told(taken: StepTaken, role: str) -> NDArray[Any]:
    source = taken.row.job.source
    told = taken.output(role)
    return told[: source.length] if source and role == _ATTENTION else told


def _equally_wide(rows: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Rows [T, S] that look at sources of different lengths: nobody looks behind an end."""
    widest = max(row.shape[-1] for row in rows)
    return [np.pad(row, ((0, 0), (0, widest - row.shape[-1]))) for row in rows]


def _optional(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape, optional=True)
