"""Weights in and out, as plain arrays in the layouts of PyTorch and Keras; neither is needed.

PyTorch's are the names and shapes of the state dicts of ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``
(``weight_ih_l0`` and so on), and for the head ``head_weight`` and ``head_bias``, an ``nn.Linear``'s.
``parameters.named`` tells the rest. Keras' are lists of arrays, as its layers' ``get_weights`` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError
from streamrnn.fleet import Fleet
from streamrnn.parameters import named, set_named
from streamrnn.tables import NetworkShape

__all__ = ["from_keras", "set_weights", "to_keras", "weights_of"]

Arrays = dict[str, NDArray[np.float64]]

# Keras has one bias where PyTorch has two, but of a GRU with reset_after=True, its default. Its gates
# lie in PyTorch's order, but those of a GRU: z, r, n.
_GATES = {"rnn": (0,), "rnn_relu": (0,), "rnn_logistic": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}


def weights_of(fleet: Fleet, key: str, network: int = 0, *, channel: str | None = None) -> Arrays:
    """The weights of a series' network as they are now.

    Parameters
    ----------
    fleet : Fleet
    key : str
        The series.
    network : int
        Which entry of the setting ``networks``, from 0.
    channel : str, optional
        Whose forecaster, where the network is one of the forecasters; the first channel's.

    Returns
    -------
    weights : dict of float64 arrays
        By PyTorch's names and in its shapes (``parameters.named``).

    Raises
    ------
    DataError
        Where there is no such series, network or channel.

    Examples
    --------
    >>> from streamrnn import Fleet, Settings
    >>> fleet = Fleet(Settings())
    >>> _ = fleet.series(["pump-1"])
    >>> {name: array.shape for name, array in weights_of(fleet, "pump-1", 1).items()}["weight_hh_l0"]
    (36, 12)
    """
    shape, flat = _place(fleet, key, network, channel)
    return named(shape, flat)


def set_weights(
    fleet: Fleet,
    key: str,
    arrays: Mapping[str, ArrayLike],
    network: int = 0,
    *,
    channel: str | None = None,
) -> None:
    """Set weights of a series' network; those that are not given stay. It learns on from there.

    Parameters
    ----------
    fleet, key, network, channel
        As in ``weights_of``.
    arrays : mapping of str to arrays
        By PyTorch's names and in its shapes; what the network reads are the inputs that
        ``docs/how-it-works.md`` lists, in their order.

    Raises
    ------
    DataError
        Where there is no such series, network or channel, or where an array has a name or a
        shape that does not fit, or a number that is not finite in float32; nothing is set then.

    Examples
    --------
    >>> from streamrnn import Fleet, Settings
    >>> fleet = Fleet(Settings())
    >>> _ = fleet.series(["pump-1", "pump-2"])
    >>> set_weights(fleet, "pump-2", weights_of(fleet, "pump-1"))
    >>> set_weights(fleet, "pump-2", {"bias_ih_l7": [0.0]})
    Traceback (most recent call last):
    ...
    streamrnn.errors.DataError: the network has no bias_ih_l7; it has weight_hh_l0, bias_hh_l0, ...
    """
    shape, flat = _place(fleet, key, network, channel)
    set_named(shape, flat, _checked(named(shape, flat), arrays))


def _checked(like: Arrays, arrays: Mapping[str, ArrayLike]) -> Arrays:
    """The arrays, where each has a name and the shape of one that there is."""
    found = {}
    for name, given in arrays.items():
        if name not in like:
            raise DataError(f"the network has no {name}; it has {', '.join(like)}")
        array = np.asarray(given, np.float64)
        if array.shape != like[name].shape:
            raise DataError(f"{name} has the shape {array.shape}; give {like[name].shape}")
        if not (np.abs(array) <= np.finfo(np.float32).max).all():
            raise DataError(f"{name} holds a number that is not finite; give finite ones")
        found[name] = array
    return found


def _place(
    fleet: Fleet, key: str, network: int, channel: str | None
) -> tuple[NetworkShape, NDArray[np.float32]]:
    """A network's shape and its parameters, in the fleet's memory."""
    settings, layout = fleet.settings, fleet.layout
    if key not in fleet.keys:
        raise DataError(f"there is no series {key!r}; name it with Fleet.series first")
    if not 0 <= network < len(settings.specs) or (channel or settings.channels[0]) not in settings.channels:
        raise DataError(
            f"network is {network} and channel {channel!r}; give a place in networks, "
            f"{', '.join(settings.networks)}, and a channel of {', '.join(settings.channels)}"
        )
    asked = settings.specs[network]
    place = sum(spec.forecasts == asked.forecasts for spec in settings.specs[:network])
    shape, name = layout.networks[place] if not asked.forecasts else None, f"network{place}"
    if shape is None:
        shape = layout.groups[place].network
        name = f"channel{settings.channels.index(channel or settings.channels[0])}.group{place}"
    if shape.shared:
        raise DataError(f"network {network} has no weights of its own: all series share those of the prior")
    row = fleet.row(fleet.keys.index(key))
    return shape, layout.segment(row, f"{name}.weights", np.float32)


# ---------------------------------------------------------------- Keras


def from_keras(cell: str, layers: Sequence[Sequence[ArrayLike]]) -> Arrays:
    """Keras' weights of layers one above the other, by PyTorch's names.

    They fit ``SequenceModel.weights``, and those of ``Bidirectional`` layers, which hand up or out what
    both directions hold side by side (``merge_mode="concat"``), ``BidirectionalModel.weights``.

    Parameters
    ----------
    cell : str
        ``"lstm"``, ``"gru"``, or of a ``SimpleRNN`` ``"rnn"``, ``"rnn_relu"``, ``"rnn_logistic"``.
    layers : sequence of [kernel, recurrent kernel, bias]
        (inputs, gates x units), (units, gates x units) and (gates x units,), or of a GRU
        (2, 3 x units): that with ``reset_after=True``, since the other one is another cell.
        Of a ``Bidirectional`` six arrays: those that read forwards, then those that read backwards.

    Raises
    ------
    DataError
        Where Keras has no such cell, or an array's shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> kernels = [np.ones((3, 8)), np.ones((2, 8)), np.zeros(8)]
    >>> {name: array.shape for name, array in from_keras("lstm", [kernels]).items()}["weight_ih_l0"]
    (8, 3)
    """
    order = _order(cell)
    found: Arrays = {}
    for n, given in enumerate(layers):
        if len(given) not in (3, 6):
            raise DataError(f"layer {n} has {len(given)} arrays; give 3, or 6 of a Bidirectional")
        for way in range(len(given) // 3):
            arrays = [np.asarray(array, np.float64) for array in given[3 * way : 3 * way + 3]]
            found |= _from_keras(cell, order, arrays, f"l{n}{'_reverse' * way}")
    return found


def _from_keras(cell: str, order: tuple[int, ...], given: list[NDArray[np.float64]], place: str) -> Arrays:
    """One direction of a layer; ``place`` ends the names."""
    kernel, recurrent, bias = given
    units = len(recurrent)
    shapes = (kernel.shape[1:], recurrent.shape, bias.shape)
    columns = len(order) * units
    biases = (2, columns) if cell == "gru" else (columns,)
    if shapes != ((columns,), (units, columns), biases):
        raise DataError(
            f"{place} has a kernel, a recurrent kernel and a bias of the shapes {kernel.shape}, "
            f"{recurrent.shape} and {bias.shape}; a {cell} of {units} units has (inputs, {columns}), "
            f"{(units, columns)} and {biases}"
        )
    both = bias if cell == "gru" else np.stack([bias, np.zeros(columns)])
    return {
        f"weight_ih_{place}": _reordered(kernel, order).T,
        f"weight_hh_{place}": _reordered(recurrent, order).T,
        f"bias_ih_{place}": _reordered(both[0], order),
        f"bias_hh_{place}": _reordered(both[1], order),
    }


def to_keras(cell: str, arrays: Mapping[str, ArrayLike]) -> list[list[NDArray[np.float64]]]:
    """Weights by PyTorch's names as Keras' lists, a layer each; what ``from_keras`` takes.

    Raises
    ------
    DataError
        Where Keras has no such cell.

    Examples
    --------
    >>> import numpy as np
    >>> kernels = [np.ones((3, 8)), np.ones((2, 8)), np.zeros(8)]
    >>> [array.shape for array in to_keras("lstm", from_keras("lstm", [kernels]))[0]]
    [(3, 8), (2, 8), (8,)]
    """
    order = _order(cell)
    back = tuple(np.argsort(order))
    layers = sum(name.startswith("weight_hh") and not name.endswith("_reverse") for name in arrays)
    found = []
    for n in range(layers):
        found.append(_to_keras(cell, back, arrays, f"l{n}"))
        if f"weight_hh_l{n}_reverse" in arrays:
            found[-1] += _to_keras(cell, back, arrays, f"l{n}_reverse")
    return found


def _to_keras(
    cell: str, back: tuple[int, ...], arrays: Mapping[str, ArrayLike], place: str
) -> list[NDArray[np.float64]]:
    by_x, by_h, bias_x, bias_h = (
        _reordered(np.asarray(arrays[f"{name}_{place}"], np.float64).T, back)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return [by_x, by_h, np.stack([bias_x, bias_h]) if cell == "gru" else bias_x + bias_h]


def _order(cell: str) -> tuple[int, ...]:
    if cell not in _GATES:
        raise DataError(f"Keras has no {cell}; give one of {', '.join(_GATES)}")
    return _GATES[cell]


def _reordered(array: NDArray[np.float64], order: tuple[int, ...]) -> NDArray[np.float64]:
    """The columns, gate by gate, in another order."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[place] for place in order], axis=-1)
