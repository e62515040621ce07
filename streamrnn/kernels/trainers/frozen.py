"""No training: the network stays as it was drawn, and its heads do what they can with it."""

from __future__ import annotations

from typing import NamedTuple

from streamrnn.kernels.trainers.protocol import implements, trainer_follow, trainer_learn


class Frozen(NamedTuple):
    """Tag of networks that never learn."""

    one: int = 1


@implements(trainer_learn, Frozen)
def learn(trainer, cell, group, row, scratch, places):
    pass


@implements(trainer_follow, Frozen)
def follow(trainer, cell, group, row, places):
    pass
