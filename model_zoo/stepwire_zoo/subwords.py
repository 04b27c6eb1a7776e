"""The parts of a word that may have vectors of their own.

They are those of fastText (Bojanowski et al., 2017): every run of a few characters of the word
as it stands between two marks, so that `<re` is a beginning and `ing>` an end. Training and
serving cut words with the same few lines, so that what was learned is what is read.
"""

BEGIN, END = "<", ">"


def parts_of(word: str, shortest: int, longest: int) -> list[str]:
    """The parts of a word, by where they begin and then by their length, each once.

    Args:
        word: as the tokenizer of the parts writes it.
        shortest: characters of a part, marks included.
        longest: the same.
    """
    marked = f"{BEGIN}{word}{END}"
    runs = (
        marked[first : first + length]
        for first in range(len(marked))
        for length in range(shortest, longest + 1)
        if first + length <= len(marked)
    )
    return list(dict.fromkeys(runs))
