"""How much is measured, as one value."""

from dataclasses import dataclass
from pathlib import Path

from stepwire_zoo.bundle import Bundle, open_bundle
from stepwire_zoo.index import find_bundles


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of the suite. Every round measures everything once, ours and naive in turn."""

    repository: Path  # of bundles
    generator: str = "shakespeare-lstm"
    classifier: str = "nsmc-bilstm"
    translator: str = "multi30k-en-de"
    recipe: str = "shakespeare-lstm"  # that is trained
    rounds: int = 5
    section_s: float = 150.0  # no further round begins after it: a busy machine gets fewer
    least_rounds: int = 2  # whatever the time
    engine_rows: tuple[int, ...] = (1, 8, 32, 128)
    engine_tokens: int = 12_800  # of one measured run; fewer where a step has few rows
    engine_steps: tuple[int, int] = (100, 3_000)  # fewest and most of one measured run
    streams: tuple[int, ...] = (1, 16, 128)
    stream_tokens: int = 200
    single_streams: int = 20  # one after the other, where there is one at a time
    sampled_streams: tuple[int, ...] = (128,)  # measured with a temperature as well
    prefix_tokens: int = 1_000  # that prompts have in common
    prefix_streams: tuple[int, ...] = (1, 128)
    in_flight: tuple[int, ...] = (1, 8, 64)
    classify_s: float = 1.5  # of one measured run
    searches: tuple[int, ...] = (8, 32)  # sentences searched for at once, without a network
    search_tokens: int = 60  # steps of one measured run
    search_sentences: int = 5  # times as many, of a run in which they come and go
    encode_rows: tuple[int, ...] = (1, 32)
    clients: tuple[int, ...] = (1, 64)  # each translates one sentence after the other
    translate_sentences: int = 192  # of one measured run; a sixth of it for a lone client
    live_sessions: tuple[int, ...] = (1, 128)
    many_sessions: int = 1_024  # with a message a step each
    gateway_streams: int = 2  # of a caller that looks after all of them
    protocol_streams: int = 8  # of callers of the Open Inference Protocol that share some
    step_s: float = 2.0  # of one measured run
    idle_sessions: int = 100_000
    woken_sessions: int = 300
    echo_s: float = 1.0  # of one measured run
    echo_calls: tuple[int, ...] = (1, 64)  # at a time
    training_steps: int = 6  # of one measured run

    def bundle(self, name: str) -> Bundle:
        """The newest version of a bundle."""
        return open_bundle(
            [at for at in find_bundles(self.repository) if at.name == name][-1].folder
        )

    def steps(self, rows: int) -> int:
        """Steps of one measured run of the engine."""
        fewest, most = self.engine_steps
        return min(max(self.engine_tokens // rows, fewest), most)


def full(repository: Path) -> Plan:
    """What `make bench` runs."""
    return Plan(repository=repository)


def quick(repository: Path) -> Plan:
    """The same in short, for a look while working; its figures are rough."""
    return Plan(
        repository=repository,
        rounds=2,
        section_s=25.0,
        least_rounds=1,
        engine_tokens=3_200,
        engine_steps=(50, 500),
        stream_tokens=60,
        sampled_streams=(),
        classify_s=0.6,
        search_tokens=30,
        search_sentences=2,
        translate_sentences=96,
        step_s=0.8,
        many_sessions=256,
        idle_sessions=5_000,
        echo_s=0.4,
        training_steps=3,
    )
