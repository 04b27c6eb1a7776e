"""Moves the beam searches of a batch one step on.

Shapes: N rows in this step, J searches of one width W, V vocabulary, S source length.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.beam import Attention, BeamSearch, Candidates, candidates
from stepwire_server.decoding.filters import Logits, log_softmax
from stepwire_server.decoding.logprobs import TokenLogprobs, pick_logprobs
from stepwire_server.engine.batch import RunningBatch
from stepwire_server.engine.job import Job, Row


class Searching:
    """The searches of one batch."""

    def __init__(self, batch: RunningBatch, end: int | None) -> None:
        self._batch = batch
        self._end = end

    def advance(
        self, chosen: Sequence[tuple[Row, int]], logits: Logits, attention: Attention | None
    ) -> list[Job]:
        """Lets every search take its step.

        Searches of one width are looked at together, and each width by itself, so that a
        neighbour's width makes no difference.

        Args:
            chosen: the rows of some searches, each search complete, and the row of the step
                that each goes on from.
            logits: [N, V], finite; changed in place.
            attention: [N, S], if it was asked for.

        Returns:
            The jobs that took a step.
        """
        place = dict(chosen)
        jobs = list(dict.fromkeys(row.job for row in place))
        heads = self._heads(jobs)
        own = _own_logprobs(jobs, place, logits)
        by_width: dict[int, list[Job]] = {}
        for job in jobs:
            by_width.setdefault(job.options.beam_width, []).append(job)
        for group in by_width.values():
            rows = [row for job in group for row in heads[job]]
            index = {row: number for number, row in enumerate(rows)}
            here = _taken(logits, [place[row] for row in rows])
            here = self._batch.edit(rows, here)
            # A search that begins has one row to go on from, and all its rows share it.
            places = np.array(
                [[index.get(row, index[job.rows[0]]) for row in job.rows] for job in group]
            )
            scores = np.stack([_begun(job, self._end).scores for job in group])
            found = candidates(here, places, scores)
            looked = {
                job: attention[[place[row] for row in job.rows], : job.source.length]
                for job in group
                if attention is not None and job.source and job.options.attends
            }
            self._go_on(group, found, own, looked)
        return jobs

    def _heads(self, jobs: list[Job]) -> dict[Job, list[Row]]:
        """The rows of each job whose logits differ."""
        return {job: job.rows if job.search else job.rows[:1] for job in jobs}

    def _go_on(
        self,
        jobs: list[Job],
        found: list[Candidates],
        own: dict[Job, NDArray[np.float64]],
        looked: dict[Job, Attention],
    ) -> None:
        """Takes the step of some searches, and moves their rows accordingly."""
        rows: list[Row] = []
        parents: list[Row] = []
        tokens: list[NDArray[np.int64]] = []
        for job, options in zip(jobs, found, strict=True):
            logprobs = _picked(job, options, own)
            choice = _begun(job, self._end).advance(options, logprobs, looked.get(job))
            rows += job.rows
            parents += [job.rows[parent] for parent in choice.parents.tolist()]
            tokens.append(choice.tokens)
        self._batch.go_on(rows, parents, np.concatenate(tokens))


def _begun(job: Job, end: int | None) -> BeamSearch:
    """The search of a job, which begins now if it has not."""
    if job.search is None:
        job.search = BeamSearch(job.options, end)
    return job.search


def _taken(logits: Logits, places: list[int]) -> Logits:
    """Some rows of [N, V]; all of them are not copied."""
    return logits if places == list(range(len(logits))) else logits[places]


def _own_logprobs(
    jobs: list[Job], place: dict[Row, int], logits: Logits
) -> dict[Job, NDArray[np.float64]]:
    """The model's own log-probabilities, [W, V], for the jobs that ask for them."""
    return {
        job: log_softmax(logits[[place[row] for row in job.rows]])
        for job in jobs
        if job.options.logprobs is not None
    }


def _picked(
    job: Job, options: Candidates, own: dict[Job, NDArray[np.float64]]
) -> list[TokenLogprobs]:
    """The model's own opinion of each candidate, if the job asks for it."""
    if job not in own:
        return []
    counts = [job.options.logprobs or 0] * len(options.tokens)
    return pick_logprobs(own[job][options.parents], options.tokens.tolist(), counts)
