"""A model that is running, and who has it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.classification import ClassificationModel
from stepwire_server.registry.dropin.serving import DropIn
from stepwire_server.registry.embedding import EmbeddingModel
from stepwire_server.registry.forecasting import ForecastingModel
from stepwire_server.registry.generation import GenerationModel
from stepwire_server.registry.kinship import are_kin
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.precision import Precision
from stepwire_server.registry.signature import TensorModel
from stepwire_server.registry.stepping import Stepper
from stepwire_server.registry.tagging import TaggingModel
from stepwire_server.registry.translation import TranslationModel
from stepwire_zoo.bundle import Bundle
from stepwire_zoo.manifest import FLOAT32

AS_TRAINED = Precision(FLOAT32)
TENSORS = "tensors"  # the task of a file without a manifest

M = TypeVar("M")
AnyModel = (
    GenerationModel
    | ClassificationModel
    | TaggingModel
    | TranslationModel
    | ForecastingModel
    | EmbeddingModel
)


@dataclass(eq=False, kw_only=True)
class LoadedModel:
    """A model that answers, its threads running."""

    bundle: Bundle | None = None  # none where a file without a manifest dropped in
    dropin: DropIn | None = None  # which has this instead
    model: AnyModel | None = None  # answers the native calls; none answers a file that dropped in
    also: ClassificationModel | None = None  # answers Classify where a tagger judges texts too
    provider: str
    load_seconds: float
    precision: Precision = AS_TRAINED
    threads: int = 1  # that step it, or run its texts
    stands_alone: bool = True  # no row's result depends on what shares its batch
    max_beam_width: int = 0  # of a request; 0 where nothing is generated
    origin: Origin | None = None  # of its states, if it has some
    stepper: Stepper | None = None  # of a model that can be stepped
    tensors: Mapping[str, TensorModel] = field(default_factory=dict)  # by the name of each
    stop: Callable[[], None]  # ends its threads; work that is left fails
    users: int = 0  # leases that are held
    used_at: float = field(default_factory=time.monotonic)  # for the last time
    retired: bool = False  # no new caller comes
    unused: Callable[[], None] | None = None  # of a retired one: called when nobody has it

    @property
    def task(self) -> str:
        """What it does; "tensors" where nobody says."""
        return self.info[2]

    @property
    def info(self) -> tuple[str, str, str, str, str]:
        """Name, version, task, provider and build."""
        if self.bundle:
            spec, digest = self.bundle.manifest, self.bundle.digest
            return (spec.name, spec.version, spec.task, self.provider, digest[:12])
        assert self.dropin is not None
        digest = self.dropin.proved.inspected.digest
        return (self.dropin.name, self.dropin.version, TENSORS, self.provider, digest[:12])

    @property
    def needed_stepper(self) -> Stepper:
        """What steps its sessions; raises InvalidRequest if it has none."""
        if self.stepper is None:
            got = f"{self.info[0]}, for {self.task}"
            raise InvalidRequest.of("model", "be one that can be stepped", got)
        return self.stepper

    def answering(self, kind: type[M]) -> M | None:
        """What answers requests of one kind, if anything does."""
        return next((each for each in (self.model, self.also) if isinstance(each, kind)), None)

    def takes_over(self, other: "LoadedModel") -> bool:
        """Whether the states of another model mean the same to this one."""
        if not (self.stepper and other.stepper and self.bundle and other.bundle):
            return False
        return are_kin(self.bundle, other.bundle)

    def retire(self, unused: Callable[[], None]) -> None:
        """Learns that no new caller will come; calls `unused` once the last has gone."""
        self.retired = True
        self.unused = unused
        self.check_unused()

    def check_unused(self) -> None:
        """Tells once if nobody has it any more."""
        if self.unused and not self.users:
            # Forgotten before it is called: a model that refers to itself is freed late.
            unused, self.unused = self.unused, None
            unused()


class Lease:
    """Holds a model: it runs on until this is released. Used on the event loop's thread."""

    __slots__ = ("_held", "loaded")

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._held = True
        loaded.users += 1
        loaded.used_at = time.monotonic()

    def release(self) -> None:
        """Lets the model go; a second time changes nothing."""
        if not self._held:
            return
        self._held = False
        self.loaded.users -= 1
        self.loaded.check_unused()

    def __enter__(self) -> LoadedModel:
        return self.loaded

    def __exit__(self, *_: object) -> None:
        self.release()
