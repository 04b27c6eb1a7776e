"""From a file to a graph whose wiring is proved."""

from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.runtime import OnnxGraph
from stepwire_server.engine.wiring import Wiring
from stepwire_server.registry.dropin.connecting import wiring_of
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.inspecting import Inspected, inspect
from stepwire_server.registry.dropin.proving import (
    RELATED,
    Candidate,
    Claim,
    prove_lengths,
    prove_order,
    prove_rows,
    prove_state_changes,
    prove_state_matters,
    prove_steps,
)
from stepwire_server.registry.dropin.settings import (
    Settings,
    read_golden,
    read_settings,
    read_start,
)
from stepwire_server.registry.dropin.trials import (
    TrialFailed,
    largest_difference,
    shortened,
)
from stepwire_server.registry.dropin.triton_config import (
    TritonConfig,
    check_tensors,
    read_config,
)
from stepwire_zoo.errors import FileMismatch, GoldenMismatch, ManifestInvalid, WiringUnproved


@dataclass(frozen=True, kw_only=True)
class Proved:
    """A graph, what its tensors mean, and what bore that out."""

    graph: OnnxGraph
    wiring: Wiring
    inspected: Inspected
    claims: tuple[Claim, ...]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the files beside a graph say of it."""

    settings: Settings = field(default_factory=Settings)
    config: TritonConfig | None = None

    @property
    def held(self) -> dict[str, float]:
        """Inputs that the server fills in, and what they hold in the middle of a sequence."""
        controls = self.config.controls if self.config else {}
        return {name: c.false if c.starts else c.true for name, c in controls.items()}


def said_of(files: Files) -> Said:
    """Reads stepwire.json and config.pbtxt; where both say something, stepwire.json does.

    Raises:
        BundleError: one of them is wrong.
    """
    given, text = files.settings(), files.config()
    settings = Settings() if given is None else read_settings(given)
    if text is None:
        return Said(settings=settings)
    config = read_config(text, files)
    settings = replace(
        settings,
        states=config.states if settings.states is None else settings.states,
        max_batch_size=(
            config.max_batch_size if settings.max_batch_size is None else settings.max_batch_size
        ),
        labels={**config.labels, **settings.labels},
        sequence_idle_s=settings.sequence_idle_s or config.max_idle_s,
    )
    return Said(settings=settings, config=config)


def look(files: Files, said: Said, runtime: RuntimeConfig) -> tuple[OnnxGraph, Inspected]:
    """Loads a graph and finds out what its tensors mean; questions may be left.

    Raises:
        BundleError: why it is refused.
    """
    data = files.graph()
    try:
        graph = OnnxGraph(data, files.name, runtime)
        if said.config:
            check_tensors(said.config.text.encode(), graph)
        return graph, inspect(graph, data, said.settings, said.held)
    except UnicodeDecodeError as error:  # names come out of ONNX Runtime as they are
        raise FileMismatch(f"{files.name} holds a name that is not UTF-8: {error}") from error


def open_graph(files: Files, said: Said, runtime: RuntimeConfig, most: int) -> Proved:
    """Loads a graph, finds out what its tensors mean, and proves it.

    Args:
        files: the graph's file, and those beside it.
        said: what is said of it.
        runtime: provider and threads.
        most: rows that will share a run.

    Raises:
        BundleError: why it is refused.
    """
    graph, inspected = look(files, said, runtime)
    if inspected.questions:
        raise WiringUnproved(
            f"{'; '.join(inspected.questions)}: say it in {files.settings_path.name} "
            "(docs/add_a_model.md)"
        )
    return prove(graph, inspected, files, said, most)


def prove(graph: OnnxGraph, inspected: Inspected, files: Files, said: Said, most: int) -> Proved:
    """Proves what a graph is thought to be.

    Raises:
        BundleError: it is not so.
    """
    settings = said.settings
    try:
        claims, apart = _claims(inspected.candidate, settings.max_batch_size or most)
    except TrialFailed as error:
        raise WiringUnproved(f"it cannot be proved: {error}") from error
    for claim in claims:
        if not claim.held:
            raise WiringUnproved(f"it is not so that {claim.words}: {_hint(claim)}")
    starts: dict[str, Any] = {
        **(said.config.starts if said.config else {}),
        **{
            state.input: _start(state.start, files)
            for state in settings.states or ()
            if state.start != "zeros"
        },
    }
    wiring = wiring_of(inspected, starts, merges=_merges(settings, apart))
    if settings.golden:
        claims.append(_replay(graph, files, settings))
    return Proved(graph=graph, wiring=wiring, inspected=inspected, claims=tuple(claims))


def _claims(candidate: Candidate, most: int) -> tuple[list[Claim], float]:
    claims, apart = [], 0.0
    if candidate.rows.counted:
        alone, apart = prove_rows(candidate, most)
        claims += [prove_order(candidate), alone]
    for pair in candidate.pairs:
        claims += [prove_state_changes(candidate, pair), prove_state_matters(candidate, pair)]
    if candidate.pairs and candidate.time:
        try:
            claims.append(prove_steps(candidate))
        except TrialFailed as error:
            # A graph that looks some steps ahead takes no single ones.
            words = "steps and chunk could not be compared"
            claims.append(Claim(words, True, str(error)))
    if candidate.lengths:
        claims.append(prove_lengths(candidate))
    return claims, apart


def _hint(claim: Claim) -> str:
    hint = "; if there are none, say so in stepwire.json: batch_axis null for every input"
    return claim.about + (hint if claim.words.startswith("rows") else "")


def _merges(settings: Settings, apart: float) -> bool:
    if settings.merge == "never" or settings.max_batch_size in (0, 1):
        return False
    return apart == 0.0 or (settings.merge == "always" and apart <= RELATED)


def _start(said: str | float, files: Files) -> NDArray[Any] | float:
    if isinstance(said, str):
        return read_start(files.beside(said), said)
    return said


def _replay(graph: OnnxGraph, files: Files, settings: Settings) -> Claim:
    """Replays the golden case that someone gave.

    Raises:
        ManifestInvalid: it is no such file, or lacks an input, or has no output.
        GoldenMismatch: the graph gives other numbers.
    """
    name = settings.golden or ""
    arrays = read_golden(files.beside(name), name)
    inputs = [port.name for port in graph.inputs]
    missing = [name for name in inputs if name not in arrays]
    wanted = [port.name for port in graph.outputs if port.name in arrays]
    if missing or not wanted:
        lacks = f"input {missing[0]}" if missing else "every output"
        raise ManifestInvalid(f"{name} must hold all inputs and an output by name, lacks {lacks}")
    try:
        given = graph.run(wanted, {name: arrays[name] for name in inputs})
    except Exception as error:  # of ONNX Runtime's many classes
        raise GoldenMismatch(f"{name} cannot be replayed: {shortened(error)}") from error
    for output, value in zip(wanted, given, strict=True):
        apart = largest_difference(arrays[output], value)
        if apart > settings.golden_tolerance:
            raise GoldenMismatch(
                f"{output} must be within {settings.golden_tolerance:g} of {name}, got {apart:.3g}"
            )
    return Claim(f"{name} is given again", True, ", ".join(wanted))
