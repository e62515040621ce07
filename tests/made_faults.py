"""Streams of five-minute records, and the faults that people know by name put into them."""

from __future__ import annotations

import numpy as np

N, AT, DAY = 6000, 4000, 288  # records: of a stream, before the fault, in a day
STEP_NS = 300 * 10**9


def noisy(seed, n=N, deviation=1.0, correlation=0.0):
    """Autoregressive noise."""
    shocks = deviation * np.random.default_rng(seed).normal(size=n)
    noise = np.zeros(n)
    for t in range(1, n):
        noise[t] = correlation * noise[t - 1] + shocks[t]
    return noise


def stream(name, seed, deviation=1.0):
    """Five-minute records: a day's wave with noise, a slow wave with little, or noise alone."""
    wave = np.sin(2.0 * np.pi * np.arange(N) / DAY)
    if name == "wave":
        return 50.0 + 3.0 * wave + noisy(seed, deviation=0.5 * deviation, correlation=0.6)
    if name == "smooth wave":
        return 50.0 + 10.0 * wave + noisy(seed, deviation=0.1 * deviation, correlation=0.9)
    return 50.0 + noisy(seed, deviation=deviation)


def with_fault(fault, values, seed, name):
    values = values.copy()
    deviation = values[:AT].std()
    if fault == "spike":
        values[AT] += 6.0 * deviation
    elif fault == "dip":
        values[AT : AT + 3] -= 6.0 * deviation
    elif fault == "stuck for a day":
        values[AT : AT + DAY] = values[AT]
    elif fault == "step":
        values[AT:] += 5.0 * deviation
    elif fault == "step and back":
        values[AT : AT + 200] += 5.0 * deviation
    elif fault == "slow drift":
        values[AT:] += 5.0 * deviation * np.minimum(np.arange(N - AT) / 500, 1.0)
    elif fault == "doubled variance":
        values[AT:] = stream(name, seed, 2.0**0.5)[AT:]
    elif fault == "doubled deviation and back":
        values[AT : AT + 200] = stream(name, seed, 2.0)[AT : AT + 200]
    elif fault == "doubled deviation":
        values[AT:] = stream(name, seed, 2.0)[AT:]
    return values
