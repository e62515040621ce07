"""The simulated plant: bits that never change, faults as they are listed, and the command."""

from __future__ import annotations

import hashlib
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka_support import CLIENTS
from topics import read_all

from streamrnn.connectors.options import RecordOptions
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.options import make_parser
from streamrnn.pipelines.plant import Plant, normal, wave
from streamrnn.pipelines.planted import LENGTHS, QUIET, SHORTEST
from streamrnn.pipelines.simulate import Names, Simulation, Written
from streamrnn.records import KINDS
from streamrnn.splitmix import seeds

MINUTE = 60_000_000_000
START = 1_767_225_600_000_000_000
PARTS = ("times", "values", "present", "faulty")


def plant(sensors=8, channels=2, seed=0, every=2000):
    return Plant(sensors=sensors, channels=channels, seed=seed, start=START, step=MINUTE, every=every)


def test_a_plant_gives_the_same_bits_for_ever():
    block = plant().block(0, 4000)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(getattr(block, part)).tobytes() for part in PARTS))
    assert digest.hexdigest()[:32] == "18a81921f30c070c9cd498e99868052c"


@given(first=st.integers(0, 3999), n=st.integers(1, 700))
def test_any_part_of_a_plant_has_the_bits_of_the_whole(first, n):
    whole, part = WHOLE.block(0, 4700), WHOLE.block(first, n)
    for name in PARTS:
        np.testing.assert_array_equal(getattr(whole, name)[first : first + n], getattr(part, name))


WHOLE = plant(sensors=3, channels=1, every=1000)


def test_every_kind_that_the_detector_names_is_planted_and_gaps():
    assert set(LENGTHS) == {*KINDS[1:], "gap"}
    assert {fault.kind for fault in plant().faults(0, QUIET + 2000)} == set(LENGTHS)


@pytest.mark.parametrize("every", [SHORTEST, 2500])
def test_faults_of_a_sensor_lie_apart_and_one_in_each_stretch(every):
    faults = plant(every=every).faults(0, QUIET + 20 * every)
    assert len(faults) == 8 * 20
    for sensor in range(8):
        own = [fault for fault in faults if fault.sensor == sensor]
        assert own[0].first >= QUIET
        between = [after.first - before.last for before, after in itertools.pairwise(own)]
        assert min(between) > 200


def test_labels_are_the_records_of_the_faults_that_are_listed():
    block, faults = plant().block(0, 9000), plant().faults(0, 9000)
    expected = np.zeros_like(block.faulty)
    for fault in faults:
        expected[fault.first : fault.last + 1, fault.sensor] = True
    np.testing.assert_array_equal(block.faulty, expected)


def test_a_fault_changes_its_own_channel_and_records_and_nothing_else():
    broken, healthy = plant().block(0, 9000), plant(every=0).block(0, 9000)
    assert healthy.present.all() and not healthy.faulty.any()
    changed = (broken.values != healthy.values).any(axis=2) | ~broken.present
    assert not changed[~broken.faulty].any()
    for fault in plant().faults(0, 9000):
        rows = slice(fault.first, fault.last + 1)
        assert changed[rows, fault.sensor].mean() > 0.8, fault
        other = broken.values[rows, fault.sensor, 1 - fault.channel]
        np.testing.assert_array_equal(other, healthy.values[rows, fault.sensor, 1 - fault.channel])


def test_faults_look_like_their_kinds():
    broken, healthy = plant(channels=1).block(0, 20_000), plant(channels=1, every=0).block(0, 20_000)
    for fault in plant(channels=1).faults(0, 19_000):
        rows = slice(fault.first, fault.last + 1)
        was, now = healthy.values[rows, fault.sensor, 0], broken.values[rows, fault.sensor, 0]
        by = (now - was) / healthy.values[:, fault.sensor, 0].std()
        if fault.kind in {"spike", "dip", "level shift"}:
            assert np.sign(by).tolist() == [np.sign(fault.size)] * len(by) and abs(by).min() > 3
        if fault.kind == "drift":
            assert abs(by[0]) < 0.1 and abs(by[-1]) > 3
        if fault.kind == "variance change":
            assert np.diff(now).std() > 3 * np.diff(was).std()
        if fault.kind == "flat line":
            assert set(now) == {was[0]}
        if fault.kind == "gap":
            assert not broken.present[rows, fault.sensor].any()


def test_a_healthy_sensor_has_a_day_noise_and_wander_and_no_outliers():
    values = plant(channels=1, every=0).block(0, 20 * 1440).values[:, :, 0]
    days = values.reshape(20, 1440, 8)
    assert (days.mean(axis=0).std(axis=0) > 2.0).all()  # the day's wave
    assert (days.mean(axis=1).std(axis=0) > 0.05).all()  # days differ
    assert 0.4 < np.diff(values, axis=0).std() < 1.0
    assert (abs(values - values.mean(axis=0)) < 6 * values.std(axis=0)).all()
    assert len(np.unique(values.mean(axis=0).round())) > 4  # no sensor is like another


def test_normal_numbers_are_normal_and_the_wave_is_nearly_a_sine():
    drawn = normal(seeds(3, 0), np.arange(100_000))
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.02
    assert abs((abs(drawn) < 1.96).mean() - 0.95) < 0.005
    turns = np.linspace(-1.0, 2.0, 30_001)
    assert abs(wave(turns) - np.sin(2 * np.pi * turns)).max() < 0.0011


class Shelf:
    """A sink that keeps columns, and knows when each came."""

    def __init__(self, clock=None):
        self.columns, self.at, self.clock = [], [], clock

    def write(self, columns):
        self.columns.append(columns)
        self.at.append(self.clock.now if self.clock else 0.0)

    def flush(self, timeout_s):
        pass


class Clock:
    """Time that passes in sleep only."""

    now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_a_plant_with_a_rate_keeps_step_with_the_clock():
    clock, written = Clock(), Written()
    shelf = Shelf(clock)
    made = plant()
    simulation = Simulation(plant=made, names=Names.of(made, "pump"), moments=1000, rate=400.0)
    simulation.run(shelf, None, written, clock=clock)
    assert written.records == 8000
    came = np.cumsum([len(columns["sensor"]) for columns in shelf.columns])
    for at, before in zip(shelf.at, [0, *came], strict=False):
        assert at - 100.0 == pytest.approx(before / 400.0)
    assert max(np.diff(shelf.at)) < 0.2


@pytest.fixture
def run(capsys):
    def runner(*arguments):
        try:
            code = main(["simulate", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return runner


def test_the_same_options_write_the_same_bytes_at_any_rate(run, tmp_path):
    same = ("--sensors", 3, "--channels", 9, "--records", 700, "--seed", 5, "--label")
    code, out, err = run(*same, "-o", tmp_path / "a.csv", "--labels", tmp_path / "faults.csv")
    assert (code, err) == (0, "")
    assert out == f"2,100 readings to a.csv; 0 planted faults, listed in {tmp_path}/faults.csv\n"
    assert (tmp_path / "faults.csv").read_text() == "sensor,channel,kind,first,last\n"
    assert run(*same, "-o", tmp_path / "b.csv", "--rate", 1e5)[0] == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table)[:3] == ["time", "sensor", "temperature"] and list(table)[-2:] == [
        "temperature_2",
        "label",
    ]
    assert table["time"].iloc[-1] == "2026-01-01T11:39:00Z"


def test_the_list_of_faults_and_the_label_say_the_same(run, tmp_path):
    files = ("-o", tmp_path / "plant.jsonl", "--labels", tmp_path / "faults.csv", "--label")
    assert run("--records", 6000, "--step", "10s", *files)[0] == 0
    rows = pd.read_json(tmp_path / "plant.jsonl", lines=True)
    rows["time"] = pd.to_datetime(rows["time"])
    faults = pd.read_csv(tmp_path / "faults.csv", parse_dates=["first", "last"])
    assert set(faults["kind"]) == set(LENGTHS)
    assert faults["first"].is_monotonic_increasing
    listed = np.zeros(len(rows), np.bool_)
    for fault in faults.itertuples():
        inside = (rows["sensor"] == fault.sensor) & rows["time"].between(fault.first, fault.last)
        assert inside.any() != (fault.kind == "gap")
        listed |= inside.to_numpy()
    np.testing.assert_array_equal(rows["label"], listed)


def test_faults_a_day_are_those_of_all_sensors_together(run, tmp_path):
    options = ("--sensors", 20, "--records", 11_640, "--faults", 12, "--labels", tmp_path / "faults.csv")
    assert run(*options, "-o", tmp_path / "plant.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "faults.csv")) == pytest.approx(12 * (11_640 - QUIET) / 1440, abs=20)
    assert run("--records", 3000, "--faults", 0, "-o", tmp_path / "plant.csv")[1].endswith(
        "0 planted faults\n"
    )


def test_evaluate_counts_the_planted_faults_and_the_sharp_ones_are_events(run, tmp_path, capsys):
    """Gaps have no records to label. Seeds 0 to 5 all give an event for each spike, dip and level shift."""
    files = ("--label", "-o", tmp_path / "plant.csv", "--labels", tmp_path / "faults.csv")
    assert run("--sensors", 8, "--records", 6000, *files)[0] == 0
    assert main(["evaluate", str(tmp_path / "plant.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    faults = pd.read_csv(tmp_path / "faults.csv")
    assert found["labels"]["windows"] == (faults["kind"] != "gap").sum() == 21
    for fault in faults[faults["kind"].isin(["spike", "dip", "level shift"])].itertuples():
        events = [event for event in found["events"] if event["key"] == fault.sensor]
        assert any(e["start"] <= fault.last and (e["end"] or "9") >= fault.first for e in events), fault


@pytest.mark.parametrize("client", CLIENTS)
def test_a_topic_gets_the_rows_of_the_table_under_the_sensors_names(run, tmp_path, broker, client):
    topic, same = broker.new_topic(1), ("--sensors", 3, "--channels", 2, "--records", 500, "--name", "pump")
    code, out, err = run(*same, "--brokers", broker.address, "--topic", topic, "--client", client)
    assert (code, out, err) == (0, f"1,500 readings to topic {topic}; 0 planted faults\n", "")
    assert run(*same, "-o", tmp_path / "plant.jsonl")[0] == 0
    assert read_all(broker, topic) == (tmp_path / "plant.jsonl").read_bytes().splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say where readings go: -o FILE, -o - for stdout, or --brokers with --topic"),
        (["-o", "x.csv", "--brokers", "a:1", "--topic", "t"], "say where readings go"),
        (["--brokers", "a:1"], "--brokers and --topic belong together"),
        (["--brokers", "a", "--topic", "t"], "brokers is ['a']; give at least one host:port"),
        (["-o", "x.csv"], "a table without end fills the disk; give --records, or --rate"),
        (["-o", "x.xlsx", "--records", "9"], "cannot tell the format of 'x.xlsx'"),
        (["-o", "x.csv", "--records", "9", "--labels", "x.csv"], "-o and --labels are both 'x.csv'"),
        (["-o", "-", "--records", "9", "--labels", "-"], "-o - and --labels - both want stdout"),
        (["-o", "none/x.csv", "--records", "9"], "in a folder that does not exist"),
        (["-o", "-", "--sensors", "0"], "--sensors is 0; give a whole number from 1 to 100,000"),
        (["-o", "-", "--channels", "x"], "invalid int value: 'x'"),
        (["-o", "-", "--seed", "-1"], "--seed is -1; give a whole number from 0"),
        (["-o", "-", "--step", "soon"], "--step is 'soon'; give a duration up to 1d, such as 10s or 5m"),
        (["-o", "-", "--step", "2d"], "--step is '2d'"),
        (["-o", "-", "--start", "\x1b[2J"], "--start is '\\x1b[2J'; give a time such as"),
        (["-o", "-", "--start", "2300-01-01"], "--start is '2300-01-01'; give a time from 1970 to 2262"),
        (["-o", "-", "--records", "1000000000"], "times would lie beyond 2262"),
        (["-o", "-", "--rate", "fast"], "--rate is 'fast'; give readings a second, such as 200, or max"),
        (["-o", "-", "--faults", "15"], "--faults is 15; give 0 to 14.4 a day"),
        (["-o", "-", "--faults", "nan"], "--faults is nan"),
    ],
)
def test_wrong_usage_exits_with_2_says_what_to_do_and_writes_nothing(
    run, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_an_endless_plant_and_says_how_far_it_got(run, monkeypatch, tmp_path):
    block, made = Plant.block, []

    def three_blocks(self, first, n):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(n)
        return block(self, first, n)

    monkeypatch.setattr(Plant, "block", three_blocks)
    code, out, err = run("-o", tmp_path / "plant.csv", "--rate", 1e6, "--faults", 0)
    rows = len(pd.read_csv(tmp_path / "plant.csv"))
    assert (code, out) == (130, "")
    assert err == f"streamrnn: interrupted after {rows:,} readings to plant.csv; 0 planted faults\n"
    assert rows == 10 * sum(made)


def test_the_page_of_the_command_line_names_every_option_of_simulate():
    from test_docs import ROOT

    page = (ROOT / "docs" / "command-line.md").read_text()
    options = vars(make_parser().parse_args(["simulate"]))
    for name in options.keys() - {"command", "output"}:
        assert f"--{name}" in page


def test_readings_are_read_back_as_a_table_without_any_option(run, tmp_path, opened):
    run("--records", 200, "--label", "-o", tmp_path / "plant.csv")
    schema = opened(tmp_path / "plant.csv", **vars(RecordOptions())).schema
    assert schema.channels == ("temperature",)
    assert [schema.names[i] for i in schema.key] == ["sensor"]
