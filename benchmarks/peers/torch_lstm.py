"""PyTorch, eager, one thread: ``LSTMCell`` for each record, ``LSTM`` over the window, fused Adam."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from common import Contender, stream
from networks import K1, K2

_RECORDS = 96


def contenders(sizes: Sequence[int]) -> list[Contender]:
    """``torch/H/forward`` and ``torch/H/learn`` for each hidden size."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return [contender for hidden in sizes for contender in _of_size(torch, hidden)]


def _of_size(torch: Any, hidden: int) -> list[Contender]:
    lstm, cell, head = torch.nn.LSTM(1, hidden), torch.nn.LSTMCell(1, hidden), torch.nn.Linear(hidden, 1)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(lstm, f"{name}_l0"))
    parameters = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, fused=True)
    # One more value than records and a window before them: each record has a truth and a past.
    values = torch.tensor(stream(K2 + _RECORDS + 1), dtype=torch.float32)[:, None]

    @torch.inference_mode()
    def step(t: int, state: Any) -> Any:
        state = cell(values[t], state)
        head(state[0]).item()
        return state

    def update(t: int, start: Any) -> None:
        """Learn the newest K1 outputs, whose truth is known at t, through the last K2 steps."""
        adam.zero_grad()
        output, _ = lstm(values[t - K2 : t], tuple(part.clone()[None] for part in start))
        truth = values[t - K1 + 1 : t + 1]
        loss = 0.5 * torch.nn.functional.mse_loss(head(output[-K1:]), truth)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()

    def forward() -> None:
        state = None
        for t in range(K2, K2 + _RECORDS):
            state = step(t, state)

    def learn() -> None:
        zero = torch.zeros(1, hidden)
        starts = [(zero, zero)] * (K2 + 1)
        for t in range(K2, K2 + _RECORDS):
            if t % K1 == 0:
                update(t, starts[-K2 - 1])
            starts.append(step(t, starts[-1]))

    return [
        Contender(f"torch/{hidden}/forward", forward, _RECORDS, time.process_time_ns),
        Contender(f"torch/{hidden}/learn", learn, _RECORDS, time.process_time_ns),
    ]
