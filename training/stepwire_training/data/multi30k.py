"""Multi30k: image captions in English with their German and French translations."""

from dataclasses import dataclass
from typing import Literal

from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.fetch import Source
from stepwire_training.data.parallel import Cutting, Splits, dataset

HOME = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
SHA256 = {
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "test_2017_flickr.en": "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    "test_2017_flickr.de": "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    "test_2017_flickr.fr": "6f3764e31dac41e9455e612958bcfd4e877c5e15cd66df2c2b2be6d9bd83e5b6",
}


@dataclass(frozen=True, kw_only=True)
class Captions:
    """Captions in English and another language, cut into tokens."""

    into: Literal["de", "fr"]
    cutting: Cutting

    def load(self) -> Dataset:
        """Reads the official split."""
        tests = {name: self._pairs(f"{name}_flickr") for name in ("test_2016", "test_2017")}
        splits = Splits(train=self._pairs("train"), dev=self._pairs("val"), tests=tests)
        return dataset(splits, self.cutting)

    def _pairs(self, part: str) -> list[Pair]:
        english, other = (_lines(f"{part}.{language}") for language in ("en", self.into))
        return [Pair(*texts) for texts in zip(english, other, strict=True)]


def _lines(name: str) -> list[str]:
    source = Source(path=f"multi30k/{name}", url=f"{HOME}{name}.gz", sha256=SHA256[name])
    return [line.strip() for line in source.read().decode().rstrip("\n").split("\n")]
