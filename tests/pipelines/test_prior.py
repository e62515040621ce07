"""``streamrnn prior fit``, ``--prior`` and ``[model] prior``."""

from __future__ import annotations

import json

import pytest
from daemons import ONCE, write_table

from streamrnn import Prior
from streamrnn.pipelines.cli import main

MODEL = ("--hidden", "0", "--season", "off")  # cheap, and compiled for other tests
TOML = '[model]\nhidden = 0\nseason = "off"\nprior = "prior.bin"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of some devices and a prior of it."""
    folder = tmp_path_factory.mktemp("prior")
    write_table(folder / "in.csv", 400, series=5)
    assert main(["prior", "fit", str(folder / "in.csv"), "-o", str(folder / "prior.bin"), *MODEL]) == 0
    return folder


def replayed(folder, *options):
    """The scored rows of a replay."""
    assert main(["replay", str(folder / "in.csv"), "-o", str(folder / "out.csv"), *MODEL, *options]) == 0
    return (folder / "out.csv").read_bytes()


def test_fit_writes_a_prior_of_all_series_and_says_what_it_is(folder, capsys):
    path = str(folder / "again.bin")
    assert main(["prior", "fit", str(folder / "in.csv"), "-o", path, *MODEL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    written = (folder / "again.bin").read_bytes()
    assert written == (folder / "prior.bin").read_bytes() and found["bytes"] == len(written)
    assert found["series"] == 5 and 1990 < found["records"] <= 2000
    assert found["digest"] == Prior.from_bytes(written).digest and found["settings"]["hidden"] == 0


def test_a_replay_begins_from_a_prior_by_option_and_by_file_and_goes_on_without_it(folder):
    warm = replayed(folder, "--prior", str(folder / "prior.bin"), "--save-state", str(folder / "s.bin"))
    assert warm != replayed(folder)
    (folder / "s.toml").write_text(f'[model]\nprior = "{folder / "prior.bin"}"\n')
    assert warm == replayed(folder, "--settings", str(folder / "s.toml"))
    on = replayed(folder, "--load-state", str(folder / "s.bin"))
    both = ["--load-state", str(folder / "s.bin"), "--prior", str(folder / "prior.bin")]
    assert on == replayed(folder, *both)


def test_a_daemon_gives_the_bits_of_a_replay_from_a_prior_and_refuses_another(runner, folder):
    live = runner(ONCE + TOML)
    for name in ("in.csv", "prior.bin"):
        (live.folder / name).write_bytes((folder / name).read_bytes())
    live.finish()
    assert live.read("out.csv") == replayed(folder, "--prior", str(folder / "prior.bin"))
    write_table(live.folder / "few.csv", 300, series=4)
    few = [str(live.folder / "few.csv"), "-o", str(live.folder / "prior.bin")]
    assert main(["prior", "fit", *few, *MODEL]) == 0
    process = live.start()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and b"has another prior" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--prior", "nowhere.bin"], "cannot read the prior"),
        (["--prior", "in.csv"], "no prior of streamrnn"),
        (["--prior", "prior.bin", "--hidden", "3"], "fitted with hidden 0, here it is 3"),
        (["--prior", "prior.bin", "--forecast", "2"], "fitted with horizons 1, here it is 1, 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_words(folder, monkeypatch, capsys, options, words):
    monkeypatch.chdir(folder)
    assert main(["replay", "in.csv", *MODEL, *options]) == 2
    assert words in capsys.readouterr().err


def test_fit_refuses_a_prior_in_its_settings_no_files_and_series_that_are_too_short(folder, capsys):
    fit = ["prior", "fit", "-o", str(folder / "new.bin"), *MODEL]
    (folder / "p.toml").write_text(f'[model]\nprior = "{folder / "prior.bin"}"\n')
    assert main([*fit, str(folder / "in.csv"), "--settings", str(folder / "p.toml")]) == 2
    assert "fitted from nothing" in capsys.readouterr().err
    assert main(fit) == 2
    write_table(folder / "short.csv", 50, series=4)
    assert main([*fit, str(folder / "short.csv")]) == 3
    assert "no series has 200 records" in capsys.readouterr().err
    assert not (folder / "new.bin").exists()
