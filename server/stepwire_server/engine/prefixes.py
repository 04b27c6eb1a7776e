"""The beginnings of prompts, and the states behind them, as a tree within a size.

A state is all that a recurrent model keeps of what it has read, so a prompt can go on wherever
another one left its state behind. Plain bookkeeping: no clock, no threads, no arrays but tokens.

Shapes: L tokens of a prompt, P tokens of a part of one.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

# Fewer tokens are read again sooner than a state is worth its place.
LEAST_TOKENS = 16
# What Python takes for a node beside its tokens and its state, measured and rounded up.
NODE_BYTES = 1024


class Beginning(NamedTuple):
    """A prompt that may share its beginning with other prompts of the same owner."""

    owner: str
    tokens: Tokens  # [L]

    @classmethod
    def of(cls, owner: str, prompt: Sequence[int]) -> "Beginning":
        """The beginning of an owner's prompt."""
        return cls(owner, np.array(prompt, np.int32))


class Node:
    """A place in some prompts."""

    __slots__ = ("children", "depth", "owner", "packed", "parent", "tokens")

    def __init__(self, parent: "Node | None", tokens: Tokens, owner: str) -> None:
        self.parent = parent  # None: the place before the first token
        self.tokens = tokens  # [P], from its parent to here
        self.depth: int = len(tokens) + (parent.depth if parent else 0)
        self.owner = owner
        self.packed = b""  # the state here; empty: it is not known
        self.children: dict[int, Node] = {}  # by their first token

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return NODE_BYTES + self.tokens.nbytes + len(self.packed)


class Known(NamedTuple):
    """What is known of a prompt."""

    depth: int  # tokens that need not be read
    packed: bytes  # the state behind them; empty: none are known
    wanted: list[Node]  # places whose states are worth keeping, the deepest first


class PrefixTree:
    """Prompts that were read lately.

    A place is younger than all behind it, so the oldest one has nothing behind it: what goes
    first is always an end, and no bookkeeping but the order is needed.
    """

    def __init__(self, most_bytes: int, least_tokens: int = LEAST_TOKENS) -> None:
        """Makes an empty tree.

        Args:
            most_bytes: of tokens, states and nodes.
            least_tokens: between two states of one prompt.
        """
        self._most_bytes = most_bytes
        self._least = least_tokens
        self._roots: dict[str, Node] = {}  # by owner
        self._nodes: OrderedDict[Node, None] = OrderedDict()  # the youngest last
        self.size_bytes = 0

    def begin(self, beginning: Beginning) -> Known | None:
        """Finds out how much of a prompt is known, and remembers the prompt.

        Returns:
            What is known; the last token of the prompt is always left to be read, because
            its logits are not kept. None: the prompt is too short to be looked at.
        """
        owner, tokens = beginning.owner, beginning.tokens[:-1]
        if len(tokens) < self._least:
            return None
        root = self._roots.get(owner)
        if root is None:
            root = self._roots[owner] = self._add(Node(None, tokens[:0], owner))
        path, known = _walk(root, tokens)
        begun = next((node for node in reversed(path) if node.packed), root)
        wanted, deepest = [], begun
        for place in self._places(begun.depth, known, len(tokens)):
            deepest = self._reach(deepest, tokens[:place])
            wanted.append(deepest)
        found = Known(begun.depth, begun.packed, wanted[::-1])
        self._touch(deepest if wanted else path[-1])
        self._shrink()
        return found

    def wants(self, node: Node) -> bool:
        """Whether the state of a place is still worth keeping: it is there, and not known."""
        return not node.packed and node in self._nodes

    def keep(self, node: Node, packed: bytes) -> None:
        """Keeps the state of a place that is wanted."""
        self.size_bytes -= node.size_bytes
        node.packed = packed
        self.size_bytes += node.size_bytes
        self._shrink()

    def clear(self) -> None:
        """Forgets everything."""
        while self._nodes:
            self._forget_oldest()

    def _places(self, begun: int, known: int, end: int) -> list[int]:
        """Where to keep states of a prompt, ascending.

        The place where it leaves the ways of other prompts: what they share is shared by more
        to come. Its end, for who asks the same again or goes on from there. And powers of two
        between these: who is the first to share something is spared about half of it already.
        """
        power = 1 << end.bit_length()
        candidates = [known, end]
        while power > self._least:
            power //= 2
            candidates.append(power)
        chosen: list[int] = []
        for place in candidates:
            if place <= end and all(abs(place - p) >= self._least for p in (*chosen, begun)):
                chosen.append(place)
        return sorted(place for place in chosen if place > begun)

    def _reach(self, node: Node, tokens: Tokens) -> Node:
        """Finds the place behind some tokens below a node that is on the way, or makes it."""
        while node.depth < len(tokens):
            rest = tokens[node.depth :]
            child = node.children.get(int(rest[0]))
            if child is None:
                return self._add(Node(node, rest.copy(), node.owner))
            same = _same(child.tokens, rest)
            node = child if same == len(child.tokens) else self._split(child, same)
        return node

    def _split(self, node: Node, count: int) -> Node:
        """Makes a place some tokens behind a node's parent."""
        before, behind = node.tokens[:count].copy(), node.tokens[count:].copy()
        middle = self._add(Node(node.parent, before, node.owner))  # in the node's place
        self.size_bytes -= node.tokens.nbytes - behind.nbytes
        node.parent, node.tokens = middle, behind
        middle.children[int(behind[0])] = node
        return middle

    def _add(self, node: Node) -> Node:
        if node.parent is not None:
            node.parent.children[int(node.tokens[0])] = node
        self._nodes[node] = None
        self.size_bytes += node.size_bytes
        return node

    def _touch(self, deepest: Node) -> None:
        """Makes a place and all on the way to it the youngest, the first one most of all."""
        node: Node | None = deepest
        while node is not None:
            self._nodes.move_to_end(node)
            node = node.parent

    def _shrink(self) -> None:
        while self.size_bytes > self._most_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        node, _ = self._nodes.popitem(last=False)
        self.size_bytes -= node.size_bytes
        if node.parent is None:
            del self._roots[node.owner]
        else:
            del node.parent.children[int(node.tokens[0])]
            node.parent = None


def _walk(root: Node, tokens: Tokens) -> tuple[list[Node], int]:
    """Follows tokens as far as they are known: the places passed, and how far."""
    path, known = [root], 0
    while known < len(tokens):
        child = path[-1].children.get(int(tokens[known]))
        if child is None:
            break
        known += _same(child.tokens, tokens[known:])
        if known < child.depth:
            break
        path.append(child)
    return path, known


def _same(one: Tokens, other: Tokens) -> int:
    """How many tokens two parts have in common at their beginnings."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length
