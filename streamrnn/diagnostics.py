"""How far gradients reach back in time, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_gradient_norms(norms: Mapping[str, ArrayLike]) -> Figure:
    """Norms of gradients by the steps back in time, on a logarithmic scale: a line for each network.

    Parameters
    ----------
    norms : mapping of str to (time,) arrays
        What ``SequenceModel.gradient_norms`` gives, by the name that the legend shows. A step whose
        norm is 0 is left out.

    Returns
    -------
    figure : matplotlib Figure
        ``figure.savefig(path)`` writes it.

    Examples
    --------
    >>> figure = plot_gradient_norms({"fades": [1.0, 0.1, 0.01], "grows": [1.0, 2.0, 4.0]})
    >>> len(figure.axes[0].lines)
    2
    """
    from matplotlib.figure import Figure  # on use: start-up time matters

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    ax = figure.add_subplot()
    for name, values in norms.items():
        found = np.asarray(values, np.float64)
        ax.plot(np.where(found > 0.0, found, np.nan), label=name)
    ax.set(yscale="log", xlabel="steps back in time", ylabel="norm of the gradient")
    ax.legend()
    ax.grid(alpha=0.3)
    return figure
