"""Draws where a translator looked: a column for each source token, a row for each it wrote."""

import sys
import unicodedata
from typing import Any

from stepwire.cli.lines import InputError
from stepwire.messages import Translation

_HANGUL_FONTS = ("NanumGothic", "Noto Sans CJK KR", "Noto Sans KR", "UnDotum", "Malgun Gothic")


def draw(result: Translation, path: str) -> None:
    """Writes the alignment of the best hypothesis as a PNG image.

    Raises:
        InputError: matplotlib is not installed, or the model gave no attention.
    """
    try:
        from matplotlib import font_manager
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("--attention needs matplotlib: pip install 'stepwire[cli]'") from None
    best = result.hypotheses[0]
    if not best.attention:
        raise InputError("the model gave no attention to draw")
    source = [_label(text) for text in result.summary.source_token_texts]
    written = [str(place + 1) for place in range(len(best.attention))]
    figure = Figure(
        figsize=(1.5 + 0.45 * len(source), 1.5 + 0.32 * len(written)), layout="constrained"
    )
    axes = figure.subplots()
    image = axes.imshow(best.attention, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
    known = {font.name for font in font_manager.fontManager.ttflist}
    family = next((name for name in _HANGUL_FONTS if name in known), None)
    if family is None and any(_is_hangul(text) for text in [*source, best.text]):
        sys.stderr.write("stepwire: no font for Hangul is installed; labels will be boxes\n")
    style: dict[str, Any] = {"family": family} if family else {}
    axes.set_xticks(range(len(source)), source, rotation=60, ha="right", **style)
    axes.set_yticks(range(len(written)), written)
    axes.set_xlabel("source")
    axes.set_ylabel("token written")
    axes.set_title(best.text, fontsize="medium", wrap=True, **style)
    figure.colorbar(image, label="attention")
    figure.savefig(path, format="png", dpi=120)


def _label(text: str) -> str:
    return unicodedata.normalize("NFC", text) or "·"


def _is_hangul(text: str) -> bool:
    return any("HANGUL" in unicodedata.name(character, "") for character in text)
