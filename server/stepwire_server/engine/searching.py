"""Moves the beam searches of a batch one step on.

Shapes: N rows in this step, J searches of one width W, V vocabulary, S source length.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.beam import Attention, BeamSearch, Candidates, candidates
from stepwire_server.decoding.filters import Logits, log_softmax
from stepwire_server.decoding.logprobs import TokenLogprobs, pick_logprobs
from stepwire_server.engine.batch import Placed, RunningBatch, slots_of
from stepwire_server.engine.job import Job, Row
from stepwire_server.engine.slots import Slots

_Places = dict[Job, list[int]]  # the rows of the step, [W], of some jobs


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Searches of one width, and their rows whose logits differ, the heads.

    H heads.
    """

    width: int
    jobs: list[Job]  # [J]
    rows: list[Row]  # [JW], job by job
    places: list[int]  # [H], their rows of the step
    slots: Slots  # [H], where they live
    owners: NDArray[np.int64]  # [H], whose they are, places in `jobs`
    parents: NDArray[np.int64]  # [H], which hypothesis each is


class Searching:
    """The searches of one batch."""

    def __init__(self, batch: RunningBatch, end: int | None) -> None:
        self._batch = batch
        self._end = end
        self._chosen: list[Placed] = []  # what the next three were made of
        self._groups: list[_Group] = []
        self._noting: _Places = {}  # of the jobs that ask for log-probabilities
        self._looking: _Places = {}  # of the jobs that ask for the attention

    def advance(
        self, chosen: list[Placed], logits: Logits, attention: Attention | None
    ) -> tuple[list[Job], list[Job]]:
        """Lets every search take its step.

        Searches of one width are looked at together, and each width by itself, so that a
        neighbour's width makes no difference.

        Args:
            chosen: the rows of some searches, each search complete. Where it is the same list
                as the last time, the same rows are in it.
            logits: [N, V]; changed in place.
            attention: [N, S], if it was asked for.

        Returns:
            The jobs that took a step, and those that cannot: their logits are no numbers.
        """
        if chosen is not self._chosen:
            self._chosen, self._groups = chosen, _grouped(chosen)
            self._noting = _places(chosen, lambda job: job.options.logprobs is not None)
            self._looking = _places(chosen, lambda job: job.options.attends)
        own = {job: log_softmax(logits[where]) for job, where in self._noting.items()}
        looked = {} if attention is None else _looked(attention, self._looking)
        broken: list[Job] = []
        for group in self._groups:
            searches = [_begun(job, self._end) for job in group.jobs]
            scores = np.array([search.scores for search in searches])
            here = self._batch.edit(group.slots, _taken(logits, group.places))
            found = candidates(
                here,
                group.owners,
                group.parents,
                scores[group.owners, group.parents],
                2 * group.width,
            )
            self._go_on(group, found, own, looked)
            broken += [
                job for job, options in zip(group.jobs, found, strict=True) if not options.tokens
            ]
        jobs = [job for group in self._groups for job in group.jobs if job not in broken]
        return jobs, broken

    def _go_on(
        self,
        group: _Group,
        found: list[Candidates],
        own: dict[Job, NDArray[np.float64]],
        looked: dict[Job, Attention],
    ) -> None:
        """Takes the step of some searches, and moves their rows accordingly."""
        parents: list[int] = []
        tokens: list[int] = []
        for job, options in zip(group.jobs, found, strict=True):
            logprobs = _picked(job, options, own)
            choice = _begun(job, self._end).advance(options, logprobs, looked.get(job))
            first = len(parents)
            parents += [first + parent for parent in choice.parents]
            tokens += choice.tokens
        self._batch.go_on(group.rows, np.array(parents), np.array(tokens))


def _grouped(chosen: list[Placed]) -> list[_Group]:
    by_width: dict[int, list[Placed]] = {}
    for row, place in chosen:
        # A search that begins goes on from its first row only: all are alike.
        if row.job.search or row.job.ledger or row.sample == 0:
            by_width.setdefault(row.options.beam_width, []).append((row, place))
    return [_group(width, heads) for width, heads in by_width.items()]


def _group(width: int, heads: list[Placed]) -> _Group:
    jobs = list(dict.fromkeys(row.job for row, _ in heads))
    number = {job: index for index, job in enumerate(jobs)}
    return _Group(
        width=width,
        jobs=jobs,
        rows=[row for job in jobs for row in job.rows],
        places=[place for _, place in heads],
        slots=slots_of([row for row, _ in heads]),
        owners=np.array([number[row.job] for row, _ in heads]),
        parents=np.array([row.sample for row, _ in heads]),
    )


def _begun(job: Job, end: int | None) -> BeamSearch:
    """The search of a job, which begins now if it has not."""
    if job.search is None:
        job.search = BeamSearch(job.options, end, job.ledger)
    return job.search


def _taken(logits: Logits, places: list[int]) -> Logits:
    """Some rows of [N, V]; all of them are not copied."""
    return logits if places == list(range(len(logits))) else logits[places]


def _looked(attention: Attention, places: _Places) -> dict[Job, Attention]:
    """How the step looked at the source, [W, S] for each job."""
    return {
        job: attention[where, : job.source.length if job.source else 0]
        for job, where in places.items()
    }


def _places(chosen: list[Placed], wanted: Callable[[Job], bool]) -> _Places:
    """Finds some jobs' rows of the step, in the order of the jobs' own rows."""
    places: _Places = {}
    for row, place in sorted(chosen, key=lambda placed: placed[0].sample):
        if wanted(row.job):
            places.setdefault(row.job, []).append(place)
    return places


def _picked(
    job: Job, options: Candidates, own: dict[Job, NDArray[np.float64]]
) -> list[TokenLogprobs]:
    """The model's own opinion of each candidate, if the job asks for it."""
    if job not in own:
        return []
    counts = [job.options.logprobs or 0] * len(options.tokens)
    return pick_logprobs(own[job][options.parents], options.tokens, counts)
