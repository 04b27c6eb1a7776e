"""The texts that models of text are scored on."""

from stepwire.cli.evaluation.files import File
from stepwire.cli.evaluation.predicting import Lines, Passage, lines, passages

SHAKESPEARE = File(
    path="tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)

NOVEL = File(
    path="war-and-peace/warpeace_input.txt",
    sha256="b0fc81c399971eaf738c8be89809e6a0d95c151749112b04f06b6af648d8a39f",
)
KERNEL = File(
    path="linux-kernel-text/test.txt",
    sha256="67860ba2f1211662126acbc15c9c0b662017c5263813486817c681fc55a0c616",
)
WIKITEXT = File(
    path="wikitext-2/test.txt",
    sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
)


def shakespeare() -> list[Passage]:
    """The last tenth of the plays."""
    text = SHAKESPEARE.read().decode()
    return passages(text[int(len(text) * 0.9) :])


def novel() -> list[Passage]:
    """The last tenth of War and Peace."""
    text = NOVEL.read().decode()
    return passages(text[int(len(text) * 0.9) :])


def kernel() -> list[Passage]:
    """The test file of the kernel's source."""
    return passages(KERNEL.read().decode())


def wikitext() -> list[Lines]:
    """The test file of WikiText-2."""
    return lines(WIKITEXT.read().decode())
