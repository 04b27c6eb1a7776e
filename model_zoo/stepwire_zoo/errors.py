"""Why a bundle is refused, by name.

BundleError
├── ManifestInvalid      manifest.json cannot be read, or a field of it is wrong
├── FormatUnknown        written by a newer stepwire
├── FileMismatch         a file is missing, cut short, changed, or not a plain file
├── WiringUnproved       what the tensors of a graph without manifest mean is not certain
├── ProviderMissing      what it is to run on does not work here
├── GoldenMismatch       the graphs do not give the numbers that were published
└── BatchDependent       a row's result depends here on what shares its batch
"""


class BundleError(Exception):
    """Base of all reasons to refuse a bundle. The message is for people."""


class ManifestInvalid(BundleError):
    """manifest.json cannot be read, or a field of it is wrong."""


class FormatUnknown(BundleError):
    """The bundle was written in a format that this version does not know."""


class FileMismatch(BundleError):
    """A file is missing, cut short, changed, or not a plain file of the folder."""


class WiringUnproved(BundleError):
    """What the tensors of a graph without a manifest mean is not certain, or not true."""


class ProviderMissing(BundleError):
    """The execution provider that it is to run on does not work on this machine."""


class GoldenMismatch(BundleError):
    """The graphs do not give the numbers that were published."""


class BatchDependent(BundleError):
    """A row's result depends on what shares its batch, and that was not to be."""
