"""The whole detector as contenders: scaling, forecast, score, calibration, alert and learning."""

from __future__ import annotations

from functools import partial

from common import Contender, stream

from streamrnn import Batch, Detector, Fleet, Settings

CHANNELS = (1, 8, 38)
CHUNK = 4096
_ONE_BY_ONE = 500


def contenders() -> list[Contender]:
    """Chunks through a fleet of one for several numbers of channels; one record; a DataFrame."""
    return [*(_chunks(channels) for channels in CHANNELS), _one_by_one(), _many()]


def _chunks(channels: int) -> Contender:
    fleet = Fleet(Settings(channels=tuple(f"channel-{d}" for d in range(channels))))
    fleet.series(["series"])
    batch = Batch.of_one_series(stream(CHUNK, channels))
    return Contender(f"detector/{channels}/full", partial(fleet.process, batch), CHUNK)


def _one_by_one() -> Contender:
    detector = Detector(channels=["value"])
    values = stream(_ONE_BY_ONE)[:, 0].tolist()

    def run() -> None:
        for value in values:
            detector.process_one(value)

    return Contender("detector/1/one", run, len(values))


def _many() -> Contender:
    detector = Detector(channels=["value"])
    return Contender("detector/1/many", partial(detector.process_many, {"value": stream(CHUNK)[:, 0]}), CHUNK)
