"""What a query of Spark's in local mode costs beside a replay of the same records; whether the bits agree.

Spark reads the records from Parquet files, one a micro-batch, and writes Parquet, its
state under a checkpoint; a replay reads one CSV file and writes Parquet. Wall clock, of
all of the query (without Spark's own start) and of the micro-batches after the first,
whose workers have loaded the kernels. Needs the extra ``spark``, and Java.

    python benchmarks/spark.py --json spark.json
"""

from __future__ import annotations

import io
import sys
import time
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from common import Report, Requirement, arguments, stream
from pyspark.sql import SparkSession

from streamrnn import Settings
from streamrnn.connectors.spark import Columns, score_stream
from streamrnn.pipelines.cli import main as streamrnn

FOUND = (
    *("yhat", "yhat_lower", "yhat_upper", "anomaly_score", "p_value", "surprise", "alert_strength"),
    *("is_anomaly", "status"),
)
REQUIRED = (Requirement("different", "<=", 0),)


def records(rows: int, series: int) -> pd.DataFrame:
    """Series that speak in turn, once a minute; 1 of 5,000 values far off."""
    rounds = -(-rows // series)
    values = stream(rounds, series).ravel()[:rows]
    values[np.random.default_rng(2).random(rows) < 1 / 5000] += 5.0
    times = pd.date_range("2024-01-01", periods=rounds, freq="1min", tz="UTC").repeat(series)[:rows]
    keys = np.tile([f"sensor-{i:04}" for i in range(series)], rounds)[:rows]
    return pd.DataFrame({"sensor": keys, "time": times, "row": np.arange(rows), "value": values})


def replay(folder: Path) -> float:
    """Seconds of what a user runs, without what it prints."""
    table, scored = str(folder / "table.csv"), str(folder / "replayed.parquet")
    options = ["--key", "sensor", "--time", "time", "--values", "value", "--preset", "light", "-o", scored]
    start = time.perf_counter()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        code = streamrnn(["replay", table, *options])
    if code != 0:
        raise SystemExit(errors.getvalue())
    return time.perf_counter() - start


def session() -> Any:
    """Spark in this process and two workers."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def query(spark: Any, folder: Path, buckets: int) -> list[dict[str, Any]]:
    """Run a query over all files; its progress, one a micro-batch."""
    schema = "sensor string, time timestamp, row bigint, value double"
    files = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(folder / "parts"))
    columns = Columns(key="sensor", partition=None, offset="row")
    scored = score_stream(files, Settings(preset="light"), columns, buckets=buckets)
    running = (
        scored.writeStream.format("parquet")
        .option("path", str(folder / "scored"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    running.awaitTermination()
    return [dict(progress) for progress in running.recentProgress if progress["numInputRows"]]


def different(folder: Path) -> int:
    """How many cells of the two differ in a bit; also where a row is missing."""
    one, other = (pd.read_parquet(folder / name) for name in ("replayed.parquet", "scored"))
    one, other = (
        frame.astype({"row": np.int64}).sort_values("row", ignore_index=True) for frame in (one, other)
    )
    if not one["row"].equals(other["row"]):
        return max(len(one), len(other))
    cells = [(one[name].to_numpy(), other[name].to_numpy()) for name in FOUND]
    # Files have names of their own in ids; the place of the record that opened the event is the same.
    opened = [frame["event_id"].str.rpartition("-")[2].fillna("").to_numpy() for frame in (one, other)]
    unequal = [(bits(a) != bits(b)) & ~(pd.isna(a) & pd.isna(b)) for a, b in [*cells, tuple(opened)]]
    return int(np.sum(unequal))


def bits(column: np.ndarray) -> np.ndarray:
    """Floating-point numbers as whole ones, so that they are equal in every bit or not at all."""
    return column.view(np.int64) if column.dtype == np.float64 else column


def main(options: Namespace) -> int:
    """Measure, print, write."""
    rows, series, parts = (20_000, 50, 2) if options.quick else (options.rows, options.series, options.parts)
    report, spark = Report(), session()
    with TemporaryDirectory() as name:
        folder = Path(name)
        frame = records(rows, series)
        frame.to_csv(folder / "table.csv", index=False)
        (folder / "parts").mkdir()
        for i, places in enumerate(np.array_split(np.arange(rows), parts)):
            path = folder / "parts" / f"{i:04}.parquet"
            frame.iloc[places].to_parquet(path, coerce_timestamps="us", index=False)
            time.sleep(0.01)  # Spark takes files by the time of their last change, in milliseconds
        replay(folder)  # compiles
        replay_s = replay(folder)
        start = time.perf_counter()
        batches = query(spark, folder, options.buckets)
        spark_s = time.perf_counter() - start
        spark.stop()
        report.figures = {
            "replay/rows_per_s": rows / replay_s,
            "spark/rows_per_s": rows / spark_s,
            "spark/warm_rows_per_s": sum(batch["numInputRows"] for batch in batches[1:])
            / (1e-3 * sum(batch["durationMs"]["triggerExecution"] for batch in batches[1:])),
            "spark/batches": len(batches),
            "spark/over_replay": replay_s / spark_s,
            "different": different(folder),
        }
    print(f"{rows:,} rows, {series:,} series, {options.buckets} buckets")
    report.table("rows a second", ["replay", "spark"], ["rows_per_s", "warm_rows_per_s", "over_replay"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--parts", type=int, default=5, help="micro-batches")
    parser.add_argument("--buckets", type=int, default=8)
    sys.exit(main(parser.parse_args()))
