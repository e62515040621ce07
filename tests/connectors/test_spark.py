"""What a bucket of Spark's does, without Spark; and with it in the soak runs."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fleets import SETTINGS
from real_parts import skip_without

from streamrnn import Batch, DataError, Fleet, Settings, SettingsError, StateError
from streamrnn.columns import output_columns
from streamrnn.connectors.spark import Columns, bucket_of, score_bucket
from streamrnn.kernels.plan import NO_TIME

MINUTE_US = 60_000_000
SERIES = [f"pump-{i}" for i in range(5)]


def records(rows=1500, seed=0):
    """Records of some series in order of time, with faults, gaps, ties and records without a value."""
    rng = np.random.default_rng(seed)
    times = 1_700_000_000_000_000 + MINUTE_US * np.arange(rows) // len(SERIES)
    values = np.sin(np.arange(rows) / 9) + 0.1 * rng.normal(size=rows)
    values[rng.random(rows) < 0.01] += 9
    values[rng.random(rows) < 0.02] = np.nan
    return pd.DataFrame(
        {
            "key": np.array(SERIES, object)[rng.integers(0, len(SERIES), rows)],
            "time": times // MINUTE_US * MINUTE_US,
            "partition": (np.arange(rows) % 3).astype(np.int32),
            "offset": np.arange(rows),
            "value": values,
        }
    )


def in_stated_order(frame):
    return frame.sort_values(["time", "partition", "offset"], kind="stable", ignore_index=True)


def of_a_fleet(frame, settings=SETTINGS, names=("0", "1", "2")):
    """The found columns of a fleet that gets the records as they stand."""
    fleet = Fleet(settings)
    batch = Batch(
        fleet.series(frame["key"].tolist()),
        np.where(frame["time"] == NO_TIME, NO_TIME, 1000 * frame["time"].to_numpy()),
        np.ascontiguousarray(frame[list(settings.channels)], np.float64),
        frame["partition"].to_numpy(np.int32),
        frame["offset"].to_numpy(np.int64),
    )
    return output_columns(fleet.process(batch), batch, settings, names)


def assert_same_bits(scored, expected):
    """The same found columns: each number to the bit, each text to the letter."""
    for name in expected:
        one, other = scored[name].to_numpy(), expected[name]
        assert one.dtype == other.dtype, name
        if one.dtype.kind == "f":
            one, other = one.view(np.int64), other.view(np.int64)
        np.testing.assert_array_equal(one, other, err_msg=name)


def scored_in(parts, settings=SETTINGS, **options):
    """All rows of micro-batches, whose state goes from each to the next as bytes."""
    state, rows = None, []
    for part in parts:
        scored, state = score_bucket(part, state, settings, **options)
        rows.append(scored)
    return pd.concat(rows, ignore_index=True)


def test_a_bucket_gives_the_bits_of_a_fleet():
    frame = in_stated_order(records())
    scored, _ = score_bucket(frame, None, SETTINGS)
    assert_same_bits(scored, of_a_fleet(frame))
    pd.testing.assert_frame_equal(scored[list(frame)], frame, check_dtype=False)
    assert scored["event_id"].notna().any() and (scored["status"] == "missing").any()


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [700, 701, 1400], [5, 5, 900]])
def test_the_bits_are_the_same_however_a_stream_is_cut_into_micro_batches(cuts):
    frame = in_stated_order(records())
    parts = [frame.iloc[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    assert_same_bits(scored_in(parts), of_a_fleet(frame))


def test_the_rows_of_a_micro_batch_may_come_in_any_order():
    frame = records()
    mixed = frame.sample(frac=1, random_state=3)
    one, state = score_bucket(frame, None, SETTINGS)
    other, same = score_bucket(mixed, None, SETTINGS)
    pd.testing.assert_frame_equal(one, other)
    assert state == same


def test_equal_times_go_by_partition_and_then_by_offset_and_no_time_goes_first():
    frame = pd.DataFrame(
        {
            "key": "a",
            "time": [60, 0, 0, 0, NO_TIME],
            "partition": [0, 2, 1, 1, 9],
            "offset": [1, 0, 8, 7, 5],
            "value": 1.0,
        }
    )
    scored, _ = score_bucket(frame, None, SETTINGS)
    assert scored["record_id"].tolist() == ["9-5", "1-7", "1-8", "2-0", "0-1"]


def test_a_record_behind_newer_ones_of_an_earlier_micro_batch_is_late():
    frame = in_stated_order(records(400))
    one_series = frame[frame["key"] == "pump-1"]
    first = one_series.drop(index=one_series.index[5])
    scored = scored_in([first, one_series.iloc[5:6]])
    assert scored["status"].iloc[-1] == "late"


def test_times_that_nanoseconds_cannot_count_are_no_times():
    frame = records(3).assign(key="a", time=[2**62, -(2**62), 0])
    scored, _ = score_bucket(frame, None, SETTINGS)
    assert scored["status"].tolist() == ["warming"] * 3


def test_a_stream_without_times_and_partitions_goes_by_its_offsets():
    frame = records()[["key", "offset", "value"]]
    columns = Columns(time=None, partition=None)
    scored, _ = score_bucket(frame.iloc[::-1], None, SETTINGS, columns)
    assert_same_bits(scored, of_a_fleet(frame.assign(time=NO_TIME, partition=0), names=("0",)))


def test_ids_begin_with_the_source():
    frame = in_stated_order(records())
    scored, _ = score_bucket(frame, None, SETTINGS, source="readings")
    names = [f"readings-{partition}" for partition in range(3)]
    assert_same_bits(scored, of_a_fleet(frame, names=names))
    assert scored["record_id"].str.match(r"readings-[012]-\d+$").all()


def test_columns_of_several_channels_carry_their_names_and_an_input_of_a_found_name_moves_aside():
    settings = Settings(channels=["flow", "status"])
    frame = records(300).rename(columns={"value": "flow"}).assign(status=1.5)
    scored, _ = score_bucket(frame, None, settings)
    assert {"flow.yhat", "status.share", "input.status", "status", "p_value"} <= set(scored)
    assert (scored["input.status"] == 1.5).all() and (scored["status"] == "warming").any()


def test_tunable_settings_change_from_one_micro_batch_to_the_next_and_structural_ones_are_refused():
    frame = in_stated_order(records())
    _, state = score_bucket(frame[:700], None, SETTINGS)
    tuned = Settings(hidden=0, season="off", false_alarms=0.01)
    scored, after = score_bucket(frame[700:], state, tuned)
    expected = Fleet.from_bytes(state, false_alarms=0.01)
    assert len(scored) == 800 and Fleet.from_bytes(after).settings == expected.settings
    with pytest.raises(SettingsError, match="shapes the state"):
        score_bucket(frame[700:], state, Settings(hidden=0, season="off", seed=7))


def test_a_damaged_state_is_refused():
    _, state = score_bucket(records(10), None, SETTINGS)
    with pytest.raises(StateError):
        score_bucket(records(10), state[:-1] + bytes([state[-1] ^ 1]), SETTINGS)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("offset", [0.0, np.nan], "offset is missing in some records"),
        ("offset", [-1, 4], "offset goes from -1 to 4"),
        ("partition", [0, 2**31], "partition goes from 0 to 2147483648"),
    ],
)
def test_records_without_a_position_are_refused(column, values, words):
    with pytest.raises(DataError, match=words):
        score_bucket(records(2).assign(**{column: values}), None, SETTINGS)


def test_the_bucket_of_a_key_is_the_same_in_every_process():
    keys = ["pump-1", "", "Zähler", "a.b"]
    code = "import sys, json; from streamrnn.connectors.spark import bucket_of; "
    code += "print(json.dumps([bucket_of(key, 64) for key in json.loads(sys.argv[1])]))"
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code, json.dumps(keys)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert json.loads(run.stdout) == [zlib.crc32(key.encode()) % 64 for key in keys]


def test_a_thousand_keys_lie_evenly_in_the_buckets():
    counts = Counter(bucket_of(f"sensor-{i:04}", 16) for i in range(1000))
    assert len(counts) == 16 and max(counts.values()) < 2 * 1000 / 16


ROOT = Path(__file__).resolve().parents[2]
needs_spark = pytest.mark.soak  # its start alone takes longer than all of the above


@pytest.fixture(scope="module")
def spark():
    if find_spec("pyspark") is None:
        skip_without("spark", "pip install '.[test,spark]', with a Java of 17 or newer")


def start(folder, buckets=4):
    """A process, in a group of its own, whose query reads the files of a folder."""
    places = [str(folder / name) for name in ("files", "scored", "checkpoint")]
    command = [sys.executable, "-W", "ignore", ROOT / "tests" / "spark_query.py", *places, str(buckets)]
    with (folder / "errors.txt").open("wb") as errors:
        return subprocess.Popen(command, stdout=errors, stderr=errors, start_new_session=True)


def write_files(folder, frame, parts):
    """A frame as so many files, whose times say in which order to read them."""
    (folder / "files").mkdir()
    stamped = frame.assign(time=pd.to_datetime(frame["time"], unit="us", utc=True))
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), parts)):
        path = folder / "files" / f"{i}.parquet"
        stamped.iloc[rows].to_parquet(path, coerce_timestamps="us")
        os.utime(path, (1_700_000_000 + i, 1_700_000_000 + i))


def wait_until(holds, process, timeout_s=300):
    end = time.monotonic() + timeout_s
    while not holds():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


@needs_spark
def test_a_query_that_is_killed_and_started_again_gives_the_bits_of_a_fleet(spark, tmp_path):
    frame = in_stated_order(records(3000))
    # Through the hour that is there twice in the session's time zone.
    frame["time"] += pd.Timestamp("2023-10-28T18:00Z").value // 1000 - frame["time"].iloc[0]
    write_files(tmp_path, frame, 8)
    for batch in ("1", "3"):
        process = start(tmp_path)
        wait_until((tmp_path / "checkpoint" / "commits" / batch).exists, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(tmp_path).wait(300) == 0, (tmp_path / "errors.txt").read_text()
    # What a killed micro-batch left in the folder, and Spark knows not to read, must be the same rows.
    scored = pd.read_parquet([str(path) for path in (tmp_path / "scored").glob("*.parquet")])
    scored = in_stated_order(scored.drop_duplicates())
    assert len(scored) == len(frame)
    expected = of_a_fleet(frame, names=[f"readings-{i}" for i in range(3)])
    scored["event_id"] = scored["event_id"].astype(object).where(scored["event_id"].notna(), None)
    for name, column in expected.items():  # what a fleet leaves NaN is null in Spark, and so NaN in pandas
        np.testing.assert_array_equal(scored[name].to_numpy(), column, err_msg=name)
    read_times = scored["time"].to_numpy("datetime64[us]").astype(np.int64)
    np.testing.assert_array_equal(read_times, frame["time"])


@needs_spark
def test_another_number_of_buckets_than_in_the_checkpoint_is_refused_with_words(spark, tmp_path):
    write_files(tmp_path, in_stated_order(records(300)), 1)
    assert start(tmp_path).wait(300) == 0
    in_stated_order(records(300, seed=1)).assign(time=pd.Timestamp("2024-01-01", tz="UTC")).to_parquet(
        tmp_path / "files" / "more.parquet", coerce_timestamps="us"
    )
    assert start(tmp_path, buckets=5).wait(300) != 0
    assert "buckets is 5, the checkpoint has 4" in (tmp_path / "errors.txt").read_text()


@needs_spark
def test_the_page_about_spark_prints_what_stands_below_its_example(spark, tmp_path):
    code = "from test_docs import run_snippets; assert run_snippets('docs/spark.md') == 1"
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@needs_spark
def test_a_quick_run_of_the_benchmark_finds_no_bit_that_differs_from_a_replay(spark, tmp_path):
    file = tmp_path / "spark.json"
    command = [sys.executable, "-W", "ignore", ROOT / "benchmarks" / "spark.py", "--quick", "--json", file]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads(file.read_text())
    assert figures["different"] == 0 and figures["spark/batches"] == 2
    assert figures["replay/rows_per_s"] > 0 and figures["spark/warm_rows_per_s"] > 0
