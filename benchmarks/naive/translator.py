"""The translator of the naive server: PyTorch, one request at a time.

What one writes in an hour: the bundle's weights in PyTorch's own layers, a source at its
exact length, the live hypotheses of one sentence as a batch, and nothing shared between
sentences. The search keeps to the letter of docs/decoding.md, so that its translations are
comparable.

R live hypotheses, S source tokens, H decoder units, V tokens.
"""

import math
from typing import NamedTuple

import onnx
import tokenizers
import torch
from onnx import numpy_helper
from torch import Tensor

from stepwire_zoo.bundle import Bundle


class Best(NamedTuple):
    """A complete translation."""

    tokens: list[int]
    score: float


class Translator:
    """A bidirectional LSTM, general attention and an LSTM decoder, as the zoo's cards describe."""

    @staticmethod
    def knows(bundle: Bundle) -> bool:
        """Whether a translator of the zoo is built so; others are left out."""
        return {"embedding", "forward0_recurrent", "keys_weight"} <= _weights(
            bundle, "encode"
        ).keys()

    def __init__(self, bundle: Bundle, threads: int) -> None:
        torch.set_num_threads(max(1, threads))
        encode, step = _weights(bundle, "encode"), _weights(bundle, "step")
        spec = bundle.manifest
        self.tokenizer = tokenizers.Tokenizer.from_file(str(bundle.folder / spec.tokenizer.file))
        self.defaults = spec.decoding
        self.max_tokens = spec.limits.max_new_tokens
        self._special = spec.tokenizer
        self._embedding = encode["embedding"]
        self._reader = _reader(encode)
        self._keys = encode["keys_weight"]
        self._bridges = [(encode[f"{s}_bridge_weight"], encode[f"{s}_bridge_bias"]) for s in "hc"]
        self._layers = [
            (step[f"layer{index}_weight"], step[f"layer{index}_bias"])
            for index in range(spec.graphs["step"].states[0].shape[0])
        ]
        self._combine = step["combine_weight"], step["combine_bias"]
        self._output = step["embedding"], step["output_bias"]

    @torch.inference_mode()
    def translate(self, text: str, width: int, count: int, max_tokens: int) -> list[Best]:
        """The best translations of one sentence, best first."""
        penalty = self.defaults.get("length_penalty", 1.0)
        memory, keys, states = self._read(self.tokenizer.encode(text).ids)
        live: list[list[int]] = [[]]
        totals = torch.zeros(1, dtype=torch.float64)
        last = torch.tensor([self._special.begin])
        finished: list[Best] = []
        done = 0
        for length in range(1, max_tokens + 1):
            logits, states = self._step(last, states, memory, keys)
            logits[:, list(self._special.suppressed)] = -math.inf
            sums = (totals[:, None] + logits.double().log_softmax(dim=-1)).flatten()
            best, places = sums.topk(2 * width)
            rows, tokens = places // logits.shape[1], places % logits.shape[1]
            going_on: list[int] = []
            for rank, (total, row, token) in enumerate(
                zip(best.tolist(), rows.tolist(), tokens.tolist(), strict=True)
            ):
                if token != self._special.end:
                    going_on.append(rank)
                elif rank < width:
                    finished.append(Best(live[row], total / length**penalty))
                    done += 1
                if len(going_on) == width:
                    break
            live = [[*live[int(rows[rank])], int(tokens[rank])] for rank in going_on]
            totals, last = best[going_on], tokens[going_on]
            states = [(h[rows[going_on]], c[rows[going_on]]) for h, c in states]
            if length == max_tokens:
                finished += [
                    Best(tokens, float(total) / length**penalty)
                    for tokens, total in zip(live, totals, strict=True)
                ]
            finished = sorted(finished, key=lambda one: -one.score)[:count]
            bound = float(totals[0]) / max_tokens**penalty
            if done >= width or (len(finished) == count and bound <= finished[-1].score):
                break
        return finished

    def _read(self, tokens: list[int]) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """Reads a source; gives memory [S, M], keys [S, H] and the states of each layer."""
        memory = self._reader(self._embedding[tokens][None])[0][0]
        half = memory.shape[1] // 2
        ends = torch.cat([memory[-1, :half], memory[0, half:]])[None]
        h, c = (torch.tanh(ends @ weight + bias) for weight, bias in self._bridges)
        layers = len(self._layers)
        return (
            memory,
            memory @ self._keys,
            list(zip(h.chunk(layers, 1), c.chunk(layers, 1), strict=True)),
        )

    def _step(
        self, tokens: Tensor, states: list[tuple[Tensor, Tensor]], memory: Tensor, keys: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """One step of R hypotheses; gives logits [R, V] and the next states."""
        x, following, context = self._output[0][tokens], [], torch.empty(0)
        for index, ((weight, bias), (h, c)) in enumerate(zip(self._layers, states, strict=True)):
            x = torch.cat([x, context], dim=1) if index else x
            gates = torch.cat([x, h], dim=1) @ weight + bias
            admit, keep, show, candidate = gates.chunk(4, dim=1)
            c = keep.sigmoid() * c + admit.sigmoid() * candidate.tanh()
            x = show.sigmoid() * c.tanh()
            following.append((x, c))
            if index == 0:
                context = (x @ keys.T).softmax(dim=-1) @ memory
        weight, bias = self._combine
        out = torch.tanh(torch.cat([x, context], dim=1) @ weight + bias)
        return out @ self._output[0].T + self._output[1], following


def _weights(bundle: Bundle, role: str) -> dict[str, Tensor]:
    model = onnx.load_model_from_string(bundle.read(bundle.manifest.graphs[role].file))
    return {
        initializer.name: torch.from_numpy(numpy_helper.to_array(initializer).copy()).float()
        for initializer in model.graph.initializer
    }


def _reader(weights: dict[str, Tensor]) -> torch.nn.LSTM:
    """PyTorch's own bidirectional LSTM with a graph's weights, whose gates stand i, o, f, c."""
    hidden = weights["forward0_recurrent"].shape[2]
    reader = torch.nn.LSTM(
        weights["embedding"].shape[1], hidden, bidirectional=True, batch_first=True
    )
    state = {}
    for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
        biases = weights[f"{direction}0_bias"][0].chunk(2)
        state[f"weight_ih_l0{suffix}"] = _ifco(weights[f"{direction}0_input"][0])
        state[f"weight_hh_l0{suffix}"] = _ifco(weights[f"{direction}0_recurrent"][0])
        state[f"bias_ih_l0{suffix}"], state[f"bias_hh_l0{suffix}"] = map(_ifco, biases)
    reader.load_state_dict(state)
    return reader


def _ifco(weight: Tensor) -> Tensor:
    """Gates from i, o, f, c to PyTorch's i, f, c, o."""
    admit, show, keep, candidate = weight.chunk(4)
    return torch.cat([admit, keep, candidate, show])
