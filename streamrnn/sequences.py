"""Training on whole sequences: a network by itself, full or truncated backpropagation through time.

The same kernels as in the stream (``kernels/network.py``). A sequence of n steps lies in a
ring of n + 1 slots, so going back through all of it is one window; with ``k1`` and ``k2`` it
is truncated as a stream's is (Williams and Peng 1990).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamrnn.errors import DataError, SettingsError
from streamrnn.generation import generate
from streamrnn.kernels import plan
from streamrnn.kernels.cells import CELLS
from streamrnn.kernels.run import DIFFERENTIATE, LEARN
from streamrnn.losses import LOSSES
from streamrnn.recurrent import Arrays, Float64Array, Recurrent, require_one_of, training_of
from streamrnn.tables import NetworkShape


class SequenceModel:
    """A recurrent network that is trained on sequences, each a pair of arrays (time, ...).

    Every sequence starts from a state of zeros. A target that is NaN has no loss: with
    targets at the last step alone the network is many-to-one, else many-to-many in step.
    A step with a NaN among its inputs is passed over: it carries the state.

    Parameters
    ----------
    cell : str
        ``"lstm"``, ``"gru"``, ``"rnn"`` and so on (``docs/networks.md``).
    units, layers : int
        Units of a layer; layers one above the other.
    inputs, outputs : int
        Columns of the sequences and of their targets.
    loss : str
        ``"squared"`` (half squares), ``"huber"``, ``"cross_entropy"`` (the outputs are classes,
        the targets of a step sum to 1) or ``"gaussian"`` (each output has a scale of its own).
    optimizer : str
        ``"adam"``, ``"rmsprop"`` or ``"sgd"``.
    rate : float
        Learning rate; the step is along the gradient of the mean loss.
    clip, clip_value : float
        Most that the gradient's norm, and the magnitude of any element, may be.
    k1, k2 : int or None
        Learn every k1 steps, through the last k2. None: once at the end, through the whole sequence.
    ahead : int
        Steps from an output to its target: 0 is y(t) = f(x(t), ...), 1 is y(t+1) = f(x(t), ...).
    head : bool
        Whether a linear layer makes the outputs. False: they are the last layer's units.
    double : bool
        Compute in float64.
    seed : int
        Of the initial weights.
    options
        Further constants, of ``Training``: ``beta_1`` (also the momentum of ``"sgd"``), ``beta_2``,
        ``epsilon``, ``huber``.

    Raises
    ------
    SettingsError
        Where a setting is none; the message says what fits.

    Examples
    --------
    Many-to-one: is the sum of a sequence positive?

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 5, 1))
    >>> y = np.full((200, 5, 2), np.nan)
    >>> y[:, -1, 0], y[:, -1, 1] = x.sum((1, 2)) <= 0, x.sum((1, 2)) > 0
    >>> model = SequenceModel("gru", units=8, inputs=1, outputs=2, loss="cross_entropy", rate=0.01)
    >>> losses = model.fit(x[:100], y[:100], epochs=10)
    >>> losses[-1] < 0.5 * losses[0]
    True
    >>> said = np.array([model.predict(one)[-1].argmax() for one in x[100:]])
    >>> bool(np.mean(said == y[100:, -1].argmax(-1)) > 0.8)
    True
    """

    def __init__(
        self,
        cell: str = "lstm",
        *,
        units: int = 12,
        layers: int = 1,
        inputs: int = 1,
        outputs: int = 1,
        loss: str = "squared",
        optimizer: str = "adam",
        rate: float = 1.5e-3,
        clip: float = 1.0,
        clip_value: float = np.inf,
        k1: int | None = None,
        k2: int | None = None,
        ahead: int = 0,
        head: bool = True,
        double: bool = False,
        seed: int = 0,
        **options: float,
    ) -> None:
        require_one_of("cell", cell, tuple(CELLS))
        training = training_of(loss, optimizer, rate=rate, clip=clip, clip_value=clip_value, **options)
        whole = k1 is None and k2 is None
        if not whole and not (k1 is not None and k2 is not None and 1 <= k1 <= k2):
            raise SettingsError(f"k1 is {k1} and k2 {k2}; give both, 1 <= k1 <= k2, or neither")
        self._loss, self._outputs, self._ahead = LOSSES[loss], outputs, ahead
        said = outputs * self._loss.per_target
        if min(units, layers, inputs, outputs, ahead + 1) < 1:
            raise SettingsError("units, layers, inputs and outputs are each at least 1, ahead at least 0")
        if not head and units != said:
            raise SettingsError(f"units is {units}; without a head they are the {said} outputs")
        shape = NetworkShape(cell, units, inputs, said, k1 or 1, k2 or 1, double=double, layers=layers)
        self._net = Recurrent(shape, training, seed, whole=whole, head=head)

    # ------------------------------------------------------------ learning

    def fit(
        self, inputs: Sequence[ArrayLike], targets: Sequence[ArrayLike], *, epochs: int = 1, batch: int = 1
    ) -> list[float]:
        """Learn from sequences, in their order, ``epochs`` times; the mean loss of each epoch.

        Parameters
        ----------
        inputs : sequence of (time, inputs) arrays
        targets : sequence of (time, outputs) arrays
            NaN where there is no loss. Lengths may differ from sequence to sequence.
        batch : int
            Sequences whose losses make one step of the optimiser; more than 1 without ``k1``, ``k2`` only.

        Returns
        -------
        losses : list of float
            Mean over the sequences, as each was before it was learned from.
        """
        if batch < 1 or (batch > 1 and not self._net.whole):
            raise SettingsError(f"batch is {batch}; with k1 and k2 it is 1")
        if len(inputs) != len(targets):
            raise DataError(f"{len(inputs)} sequences with {len(targets)} targets")
        found = []
        for _ in range(epochs):
            losses = []
            for start in range(0, len(inputs), batch):
                part = slice(start, start + batch)
                if batch == 1:
                    losses.append(self.learn(inputs[start], targets[start]))
                else:
                    losses += self._learn_together(inputs[part], targets[part])
            found.append(float(np.nanmean(losses)))
        return found

    def learn(self, inputs: ArrayLike, targets: ArrayLike, *, fresh: bool = True) -> float:
        """Learn from one sequence; its mean loss, of each output as it was said.

        With ``fresh=False`` the sequence goes on where the one before ended, as a stream does; that
        asks for ``k1`` and ``k2``, and steps then count on from call to call.
        """
        net = self._net
        if not fresh and (net.whole or self._ahead):
            raise SettingsError("fresh=False asks for k1 and k2, and for ahead=0")
        x, y = self._columns(inputs, targets)
        if fresh:
            net.start(len(x))
        k1 = len(x) if net.whole else net.shape.k1
        cut = len(x) - len(x) % k1 if fresh else len(x)  # what is left over ends the sequence
        said = []
        for part, every in ((slice(cut), k1), (slice(cut, None), len(x) - cut)):
            net.table[plan.NET_K1] = every
            said.append(net.run(x[part], y[part], LEARN)[0])
        net.table[plan.NET_K1] = k1
        return self._mean_loss(np.concatenate(said), y)

    def _learn_together(self, inputs: Sequence[ArrayLike], targets: Sequence[ArrayLike]) -> list[float]:
        """One step of the optimiser on whole sequences; the mean loss of each."""
        net, count, found = self._net, 0, []
        total = np.zeros(len(net.gradient))
        for x, y in zip(inputs, targets, strict=True):
            loss, losses = self._differentiate(x, y)
            found.append(loss)
            count += losses
            total += net.gradient
        if count:
            net.gradient[:] = total
            net.follow(float(np.sum(np.square(total))), count)
        return found

    # ------------------------------------------------------------ looking

    def predict(self, inputs: ArrayLike) -> Float64Array:
        """What the network says at each step of one sequence.

        Returns
        -------
        said : (time, outputs) float64
            With ``"cross_entropy"`` probabilities; with ``"gaussian"`` (time, 2 outputs): means, then scales.
        """
        x, _ = self._columns(inputs, None)
        self._net.start(1)
        return self._loss.said(self._net.run(x)[0].astype(np.float64))

    def evaluate(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean loss of one sequence, without learning; NaN without a target."""
        x, y = self._columns(inputs, targets)
        self._net.start(1)
        return self._mean_loss(self._net.run(x)[0], y)

    def gradients(self, inputs: ArrayLike, targets: ArrayLike) -> Arrays:
        """Gradient of the sum of one sequence's losses, by PyTorch's names.

        With ``k1`` and ``k2`` that of the newest k1 outputs, through the last k2 steps.
        """
        self._differentiate(inputs, targets)
        return self._net.gradients

    def deltas(self, inputs: ArrayLike, targets: ArrayLike) -> Float64Array:
        """Derivatives of the sum of one sequence's losses by each step's sums, before the activations.

        Returns
        -------
        deltas : (time, n) float64
            n is the number of all layers' and gates' sums; with ``k2`` the last k2 steps. The gradient of
            the weights is the sum over the steps of these times what was multiplied. Where only the last
            output has a target, they say how much of its error arrives so many steps back.
        """
        self._differentiate(inputs, targets)
        errors = self._net.step_errors
        return errors.reshape(len(errors), -1).astype(np.float64)

    def gradient_norms(self, inputs: ArrayLike, targets: ArrayLike) -> Float64Array:
        """Norms of ``deltas``, the newest step first: whether gradients vanish or explode.

        Returns
        -------
        norms : (time,) float64
        """
        return np.asarray(np.linalg.norm(self.deltas(inputs, targets), axis=1)[::-1])

    @property
    def weights(self) -> Arrays:
        """All weights by PyTorch's names, float64; set those that are given."""
        return self._net.weights

    @weights.setter
    def weights(self, arrays: Mapping[str, ArrayLike]) -> None:
        self._net.weights = dict(arrays)

    def take_over(self, smaller: SequenceModel) -> None:
        """Go on from what another model of the same cell, units and layers has learned.

        Its inputs and outputs are the first ones of this model; weights of the others stay as they are.
        """
        self._net.take_over(smaller._net)

    # ------------------------------------------------------------ going on

    def generate(
        self,
        steps: int,
        *,
        after: ArrayLike | None = None,
        known: ArrayLike | None = None,
        samples: int | None = None,
        seed: int = 0,
    ) -> Float64Array:
        """What comes next, each output being fed back as the next step's input.

        The model must say at each step what the next one's first inputs are. It goes on from where the
        last sequence ended; asking changes nothing but where ``after`` is given.

        Parameters
        ----------
        steps : int
        after : (time, inputs) array, optional
            A sequence to go on from, read first.
        known : (steps, inputs - outputs) array, optional
            The inputs behind those that are outputs, such as the hour of the day.
        samples : int or None
            Trajectories to draw; each feeds back what it drew. None: one, of what is most likely at each
            step. Asks for a loss that says a distribution: ``"gaussian"`` or ``"cross_entropy"``.
        seed : int
            Of what is drawn; the first n of more samples are those of n.

        Returns
        -------
        trajectories : (steps, outputs) or (samples, steps, outputs) float64
            Of classes: 1 for the one that came, else 0. ``generation.forecast_fan`` makes quantiles of them.

        Raises
        ------
        DataError
            Where arrays do not fit, or where there is no sequence to go on from.
        SettingsError
            Where the loss says no distribution, or a step's outputs are not among its inputs.
        """
        if after is not None:
            self.predict(after)
        return generate(self._net, self._outputs, steps, known=known, samples=samples, seed=seed)

    # ------------------------------------------------------------ arrays

    def _columns(self, inputs: ArrayLike, targets: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inputs and targets of one sequence as the kernels read them."""
        dtype, said = self._net.shape.dtype, self._net.shape.outputs
        x = np.ascontiguousarray(inputs, dtype)
        if x.ndim != 2 or x.shape[1] != self._net.shape.inputs or len(x) <= self._ahead:
            least = f"(time, {self._net.shape.inputs}), time > {self._ahead}"
            raise DataError(f"inputs have the shape {x.shape}; give {least}")
        y = np.full((len(x), said), np.nan, dtype)
        if targets is not None:
            given = np.asarray(targets, dtype)
            if given.shape != (len(x), self._outputs):
                raise DataError(f"targets have the shape {given.shape}; give {(len(x), self._outputs)}")
            y[: len(x) - self._ahead, : self._outputs] = given[self._ahead :]
        return x, y

    def _differentiate(self, inputs: ArrayLike, targets: ArrayLike) -> tuple[float, int]:
        """Leave the gradient of a whole sequence in the scratch; (mean loss, losses)."""
        x, y = self._columns(inputs, targets)
        net = self._net
        net.start(len(x))
        net.table[plan.NET_K1] = len(x) if net.whole else net.shape.k1
        outputs, losses = net.run(x, y, DIFFERENTIATE)
        return self._mean_loss(outputs, y), losses

    def _mean_loss(self, outputs: NDArray[Any], y: NDArray[Any]) -> float:
        return self._loss.mean(outputs, y, self._net.training.huber)


def output_feedback(
    inputs: int = 1, outputs: int = 1, *, function: str = "logistic", **options: Any
) -> SequenceModel:
    """The simple recurrent network whose outputs are fed back: y(t) = f(W x(t) + G y(t-1)), y(0) = 0.

    W is ``weight_ih_l0``, G ``weight_hh_l0``; f also has biases, which start at 0. With ``ahead=1`` it
    is y(t+1) = f(W x(t) + G y(t)): the output of row t belongs to the target of row t + 1.

    Parameters
    ----------
    inputs, outputs : int
    function : str
        f: ``"logistic"``, ``"tanh"`` or ``"relu"``.
    options
        Those of ``SequenceModel``.

    Examples
    --------
    >>> model = output_feedback(double=True)
    >>> model.weights = {"weight_ih_l0": [[0.3]], "weight_hh_l0": [[0.4]]}
    >>> model.predict([[0.05], [0.1]]).round(5).tolist()
    [[0.50375], [0.55762]]
    """
    cells = {"logistic": "rnn_logistic", "tanh": "rnn", "relu": "rnn_relu"}
    require_one_of("function", function, tuple(cells))
    return SequenceModel(
        cells[function], units=outputs, inputs=inputs, outputs=outputs, head=False, **options
    )
