"""A model that predicts how a series goes on."""

from dataclasses import dataclass

from stepwire_zoo.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class ForecastingModel:
    """What a forecaster is; it is stepped by sessions, row by row."""

    spec: Manifest
