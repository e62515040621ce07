"""What a kernel must know of a model: a table of 8-byte numbers, and its indices.

``layout.py`` fills the tables from the settings. A network's table holds sizes,
byte offsets into the model's row, and the constants of its training (float64 bit
patterns: read them through ``float64_at``). One table serves all rows of a fleet.

A network's ring has one slot more than the steps that are looked back on. Slot s holds
what one record's step read and computed: ``v`` = [h of the step before | 1 | inputs | context | 1],
what the cell saved for its way back, the head's outputs, their targets, and whether the
step was masked.
The step's own h lies where the next step will read it, in ``v`` of slot s + 1.
"""

from __future__ import annotations

# sizes of a network
(
    NET_HIDDEN,  # hidden units
    NET_PADDED,  # the same, rounded up to 16 and zero beyond
    NET_INPUTS,
    NET_CONTEXT,  # elements of v that are neither h nor inputs of the step: outputs or inputs before it
    NET_OUTPUTS,
    NET_LAYERS,  # of a stack, whose tables lie one behind the other; the sizes are those of one layer
    NET_SLOTS,
    NET_K1,
    NET_K2,  # steps that are looked back on
    NET_FEEDBACK,  # 1: the cell reads the outputs of the step before
    NET_RECOMPUTE,  # 1: go back through activations recomputed under the current weights
    NET_LATER,  # 1: what came after the window has left its errors of the last state (DH, CARRY)
    NET_ERRORS_KEPT,  # 1: dL/dz of every step is asked for, also where a way back at once could do without
    NET_V_STRIDE,  # elements of v in one slot
    NET_TOP_STRIDE,  # the same of the layer whose h the head reads
    NET_SAVED_STRIDE,  # elements that the cell saves in one slot
    NET_ERRORS_STRIDE,  # elements of dL/d(pre-activation) of one slot, in the scratch
    NET_PARAMETERS,  # elements of all parameters: cell, head, padding
    NET_FULL,  # elements of the cell's weights before the rows that only fill up a vector
    NET_FILLING,  # elements of those rows
    NET_HEAD,  # where the head starts in them: outputs rows of PADDED weights, then biases
    # byte offsets into the row
    NET_WEIGHTS,
    NET_MOMENT_1,
    NET_MOMENT_2,
    NET_V,
    NET_TOP,  # v of the layer whose h the head reads
    NET_SAVED,
    NET_Y,
    NET_TARGET,
    NET_MASK,
    NET_COUNTERS,  # int64
    NET_POWERS,  # float64: beta1^t, beta2^t of Adam
    NET_STATE,  # h of a shared network, all whose other offsets are into the scratch
    # byte offsets into the scratch, which all rows share
    NET_ERRORS,
    NET_GRADIENT,
    NET_DH,
    NET_TOP_DH,  # that of the layer whose h the head reads; the others' lie behind it
    NET_BY_INPUTS,  # room for dL/dx of a layer above
    NET_TURNED,  # W_hh transposed, for a cell's way back; 0: it has no use for it
    NET_CARRY,  # what else flows back in time: the cell state's gradient
    NET_HEARD,  # errors of each step's only output, gains, products of weights; 0: it goes back step by step
    # training
    NET_LOSS,  # which of ``losses.py``
    NET_COUNTED,  # outputs that count as a loss each; the others share in the loss of one of these
    # training, float64
    NET_RATE,
    NET_BETA_1,  # what of a moment stays, and what of the gradient or its square joins it
    NET_BETA_2,
    NET_ADD_1,
    NET_ADD_2,
    NET_DECAY_1,  # of the powers by which moments that start from 0 are corrected; 0: uncorrected
    NET_DECAY_2,
    NET_EPSILON,
    NET_CLIP,
    NET_CLIP_VALUE,  # of each element of the gradient
    NET_HUBER,  # infinite: half squares
    NET_SIZE,
) = range(55)

# a network's int64 counters, in its row
(
    COUNT_SLOT,  # the slot of the newest step
    COUNT_FILLED,  # slots ever used, at most k2
    COUNT_SINCE,  # outputs whose target came since the last update
    COUNT_SIZE,
) = range(4)

# a network's readout (recursive least squares, ``readout.py``), in the same kind of table
(
    READ_TERMS,  # shared regressors: h, 1, and the extra ones
    READ_STRIDE,  # the same, rounded up to 8
    READ_HIDDEN,
    READ_EXTRA,  # shared regressors behind the constant: values one season ago
    READ_CHANNELS,
    READ_LAGS,  # lags of one channel, rounded up to 8
    READ_WIDTH,  # channels x lags
    READ_HORIZONS,
    READ_SLOTS,  # the longest horizon
    # byte offsets into the row, all float64
    READ_SHARED,  # inverse correlation of the shared regressors (terms, stride)
    READ_CROSS,  # regression of the lags on the shared regressors (terms, width)
    READ_OWN,  # inverse correlation of what is left of each channel's lags (channels, lags, lags)
    READ_SHARED_WEIGHTS,  # (horizons, channels, stride)
    READ_OWN_WEIGHTS,  # (horizons, channels, lags)
    READ_X,  # ring of shared regressors (slots, stride)
    READ_REST,  # ring of what is left of the lags (slots, width)
    READ_SHARED_GAIN,  # ring of gains (slots, stride)
    READ_OWN_GAIN,  # (slots, width)
    READ_FORECAST,  # (horizons, channels): forecasts made at the newest record
    READ_LEVERAGE,  # (slots, channels)
    READ_SCALE,  # (horizons, channels): mean magnitude of recent errors, of a fast readout
    READ_KNOWN,  # (horizons, channels): errors that entered it
    # byte offsets into the scratch
    READ_PRODUCT,  # (stride or lags, what is longer)
    READ_ERRORS,  # (horizons, channels)
    READ_PARTS,  # (horizons, channels)
    # float64
    READ_FORGET,
    READ_CLIP,
    READ_ROBUST,  # clip in units of the scale; 0: READ_CLIP itself
    READ_TRACE,  # bound on the mean diagonal of an inverse correlation
    READ_PRIOR,  # the diagonal that it starts from
    READ_SIZE,
) = range(31)

# a forecasting group: a network, its fast heads, and what its trainer keeps
(
    GROUP_HEADS,
    GROUP_HORIZONS,
    GROUP_SLOTS,  # the longest horizon
    GROUP_STRIDE,  # channels of the model: from one horizon's change to the next one's
    GROUP_HIDDEN,
    GROUP_PADDED,
    GROUP_FIRST,  # its first expert in the mixture
    GROUP_LAGS,  # newest values that its heads see
    GROUP_OTHER_LAGS,  # and of each of the other channels
    # byte offsets from this table on
    GROUP_NET,  # its network's table
    GROUP_READS,  # READ_SIZE numbers a head
    # the filter of a trained network
    GROUP_BLOCKS,  # blocks of covariance of a unit
    GROUP_BLOCK,  # weights of one
    GROUP_APART,  # elements from one weight of a block to the next
    GROUP_ELEMENTS,  # weights of a unit
    GROUP_WINDOW,  # steps back in time of derivatives that are not exact
    # byte offsets into the row, of the network's element type
    GROUP_COVARIANCE,  # (padded / lanes, blocks, triangle, lanes)
    GROUP_OF_C,  # (elements, padded): sensitivities of c, and of h
    GROUP_OF_H,
    GROUP_PRODUCT,  # ring (slots, elements, padded): P S
    GROUP_POWER,  # ring (slots, blocks, padded): S' P S
    GROUP_BEFORE,  # (elements, padded): P S of the step before; through a window, one a horizon
    GROUP_FACTOR,  # (blocks, padded), one a BEFORE: what of its outer product is still to be taken off P
    GROUP_WEIGHT,  # (horizons, padded): how much the forecasts move with the units
    # float64
    GROUP_ERROR_POWER,  # (horizons): mean square error of the group's heads
    GROUP_VARIANCE,  # (horizons): of a forecast's error; 0 before there was one
    # byte offsets into the scratch, float64
    GROUP_REGRESSORS,  # (width of its heads)
    GROUP_WEIGHT_64,  # (padded)
    GROUP_ROOM,  # (padded + 1, lanes) and (padded + 1)
    GROUP_ONES,  # (lanes)
    GROUP_DERIVATIVE,  # (horizons, block, apart), of the network's element type
    GROUP_MOVE,  # the same: P times the derivative
    GROUP_SIZE,
) = range(33)

# what forecasts a channel: its groups and their mixture; every channel has one block of the row
(
    FORE_GROUPS,
    FORE_EXPERTS,  # heads of all groups, and the last value
    FORE_WIDTH,  # the same, rounded up to 8
    FORE_BLOCK,  # bytes from one channel's state to the next one's
    FORE_INPUTS,  # of each network
    FORE_OTHERS,  # other channels that it sees
    FORE_LAGS,  # newest values that are kept
    FORE_RING,  # values in which a season is looked for; 0: in none
    FORE_GROUP_TABLES,  # byte offset of the first group's table from this one
    FORE_GROUP_BYTES,  # from one group's table to the next one's
    # byte offsets into the row, float64
    FORE_PAST,  # (lags): newest scaled values, newest first
    FORE_FARTHEST,  # (1): largest magnitude of a scaled value
    FORE_SHARES,  # (horizons, width)
    FORE_MIXING,  # (horizons, 2): spread, targets so far
    FORE_SAID,  # ring (slots, horizons, width): what each expert said
    FORE_SEASON,  # ``season.py``
    FORE_IN_SEASON,  # int64 (1): whether the heads see values one season ago
    # byte offsets into the scratch, float64
    FORE_X,  # the networks' inputs
    FORE_SEASONAL,  # (horizons): values one season before each horizon
    FORE_SEARCH,  # room of a search
    FORE_SIZE,
) = range(21)

# the whole model
(
    MODEL_CHANNELS,
    MODEL_HORIZONS,
    MODEL_LAGS,  # lags of one channel, rounded up to 8
    MODEL_NETWORKS,
    MODEL_SLOTS,  # the longest horizon: how many records' forecasts are kept
    MODEL_ROW_BYTES,
    # byte offsets into the table's own memory
    MODEL_HORIZON_LIST,  # int64, ascending, first 1
    MODEL_NETWORK_TABLES,  # NET_SIZE numbers a layer of a network
    MODEL_NETWORK_BYTES,  # from one network's tables to the next one's
    MODEL_READ_TABLES,  # READ_SIZE numbers a network
    MODEL_FORECASTER,  # FORE_SIZE numbers and those of the groups; 0: the networks' own readouts forecast
    # byte offsets into the row
    MODEL_COUNTERS,  # int64, see below
    MODEL_CLOCK,  # float64, see below
    MODEL_SEEN,  # int64 (channels): values that each channel's scaler has learned
    MODEL_WINDOW,  # float64 (channels, 16): first values, sorted
    MODEL_RAW,  # newest values as they came (channels)
    MODEL_MEAN,  # float64 (channels)
    MODEL_VARIANCE,
    MODEL_MAGNITUDE,
    MODEL_REACH,
    MODEL_VALUE,  # newest scaled values (channels)
    MODEL_SLOW,  # slow means of the scaled values (3, channels)
    MODEL_LAG_VALUES,  # (channels, lags)
    MODEL_PAST_MEAN,  # ring (slots, channels), as the forecasts were made
    MODEL_PAST_SCALE,
    MODEL_PAST_VALUE,
    MODEL_PAST_FORECAST,  # ring (slots, horizons, channels), scaled
    MODEL_SPREAD,  # variance of the residual (horizons, channels)
    MODEL_QUANTILE,  # of |residual| / spread (horizons, channels)
    MODEL_RESIDUALS,  # int64 (channels): residuals that entered the spread
    MODEL_PAST,  # float64 (channels, 16): newest values of evidence, newest first
    MODEL_AUTOREGRESSION,  # float64 (2, channels, ...), ``scoring/autoregression.py``
    MODEL_LEVELS,  # float64 (2, ...), ``scoring/hotelling.py``
    MODEL_NOVELTY,  # float64 (channels, ...), ``scoring/novelty.py``
    MODEL_PAIR_ROOM,  # pairs that a memory has room for
    MODEL_PAIRS,  # the same of the networks' pairs (networks, ...); of one channel only
    MODEL_CONTEXT,  # the same of the networks' mean error
    MODEL_FLAT,  # float64 (channels, ...), ``scoring/flatline.py``
    MODEL_UNREST,  # float64 (channels, ...), ``scoring/unrest.py``
    MODEL_ANCHOR,  # float64, ``scoring/anchor.py``
    MODEL_FUSION,  # float64, ``scoring/fusion.py``
    MODEL_TAIL,  # float64, ``scoring/tail.py``
    MODEL_RECALLS,  # 1: what was learned before a fault is kept
    MODEL_KEPT,  # float64, ``scoring/recall.py``: what was learned before a fault
    MODEL_KINDS,  # float64 (channels, ...), ``scoring/kinds.py``
    MODEL_SPELL,  # float64, ``scoring/spell.py``
    MODEL_ALERT,  # float64, ``scoring/alert.py``
    MODEL_EVENT,  # int64, ``scoring/alert.py``
    MODEL_FEEDBACK,  # ``scoring/feedback.py``, and so on
    MODEL_TEMPLATES,  # (8, entry)
    MODEL_KNOWN_EVENTS,  # (16, entry)
    MODEL_MOST_EVENTS,  # entries that are remembered
    MODEL_TOLD,  # as MODEL_ALERT, after what users said
    MODEL_TOLD_EVENT,
    # byte offsets into the scratch
    MODEL_ACTUAL,  # what came true, scaled as when it was forecast (horizons, channels)
    MODEL_CHANGES,  # the same as changes since the forecast was made (horizons, channels)
    MODEL_SURPRISES,  # each channel's part of the evidence (channels)
    MODEL_INPUTS,  # the networks' inputs
    MODEL_INTERVAL,  # room for (forecast, lower, upper)
    MODEL_CLEAN,  # values that evidence may see (channels)
    MODEL_CLEAN_MAGNITUDES,
    MODEL_AUTOREGRESSION_ROOM,  # (2, channels, ...)
    MODEL_LEVELS_ROOM,  # (2, 2, stride): deviations, contributions to T2
    MODEL_FOUND,  # the kinds of evidence
    MODEL_T_SQUARED,  # (2)
    MODEL_ENTRY,  # what feedback must know of the record
    # sizes of evidence
    MODEL_LEVELS_SIZE,  # float64 of one copy
    MODEL_LEVELS_STRIDE,
    # float64 and flags
    MODEL_MISS,  # 1 - coverage of the interval
    MODEL_LEARN_ANOMALIES,  # 1: learn from records that alarm
    MODEL_LEVEL,  # false alarms as a p-value; 0: by the budget
    MODEL_BUDGET,  # false alarms a nanosecond; 0: by the level
    MODEL_SIZE,
) = range(73)

# a model's int64 counters, in its row
(
    STEP_RECORDS,  # records of the series so far, whatever became of them
    STEP_SLOT,  # ring slot of the newest forecast
    STEP_TIME,  # time of the newest record in order, ns; NO_TIME before the first
    STEP_LATE,  # late records in a row
    STEP_STEPS,  # time steps that entered the typical step
    STEP_SIZE,
) = range(6)

CLOCK_STEP = 0  # typical time between records, ns; 0 before it is known

NO_TIME = -(2**63)  # NumPy's and pandas' NaT

# addresses of one call: a batch's columns in, the results' columns out
(
    CALL_RECORDS,
    CALL_ROWS,  # int64 (series): address of each series' row
    CALL_SCRATCH,
    CALL_SERIES,  # int64 (n): row of each record
    CALL_TIMES,  # int64 (n), ns
    CALL_PARTITIONS,  # int64 (n)
    CALL_OFFSETS,  # int64 (n)
    CALL_VALUES,  # float64 (n, channels)
    CALL_YHAT,  # float64 (n, channels), and so on
    CALL_LOWER,
    CALL_UPPER,
    CALL_SHARE,
    CALL_AHEAD,  # float64 (n, channels, horizons beyond the first, 3)
    CALL_SCORE,  # float64 (n)
    CALL_P_VALUE,
    CALL_SURPRISE,
    CALL_STRENGTH,
    CALL_LEVEL,
    CALL_ALERT_LEVEL,
    CALL_STATUS,  # int64 (n)
    CALL_DETECTION,  # int64 (n), 0 or 1
    CALL_EVENT_PARTITION,  # int64 (n): position of the record that opened the event
    CALL_EVENT_OFFSET,  # int64 (n); -1: no event
    CALL_EVENT_KIND,  # int64 (n): what it looks like so far, ``scoring/kinds.py``; 0: no event
    CALL_SIZE,
) = range(25)

# status of a record
WARMING, PROVISIONAL, CALIBRATED, MISSING, LATE, DUPLICATE = range(6)
