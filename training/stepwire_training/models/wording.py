"""Layers in words: what a bundle says of its architecture."""

NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "ln-lstm": "layer-normalised LSTM"}
COUNTS = ("no", "one", "two", "three", "four", "five", "six")


def layers(count: int, cell: str, units: int) -> str:
    """Recurrent layers of one direction: "two LSTM layers of 512 units"."""
    return f"{counted(count, f'{NAMES[cell]} layer')} of {units} units"


def both_ways(count: int, cell: str, units: int) -> str:
    """Recurrent layers of both directions, so many units each."""
    return f"{counted(count, f'bidirectional {NAMES[cell]} layer')} of {units} units a direction"


def counted(count: int, thing: str) -> str:
    """So many things: "two layers"."""
    number = COUNTS[count] if count < len(COUNTS) else str(count)
    return f"{number} {thing}{'' if count == 1 else 's'}"


def listed(sizes: tuple[int, ...]) -> str:
    """Several sizes: "2, 3 and 4"."""
    *most, last = map(str, sizes)
    return f"{', '.join(most)} and {last}" if most else last
