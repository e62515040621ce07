"""What the commands that read tables have in common: their arguments to options, and checks of file names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.options import RecordOptions
from streamrnn.errors import SettingsError
from streamrnn.pipelines.fleet_settings import FleetTable
from streamrnn.pipelines.options import FLEET, PAGES, PICTURES, RECORD, SETTINGS
from streamrnn.pipelines.priors import with_prior
from streamrnn.pipelines.settings import convert, load_settings
from streamrnn.settings import Settings

__all__ = ["check_page", "check_picture", "check_written", "given_options", "said_of"]


def said_of(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of some options that the command line says anything of, by name."""
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def given_options(arguments: argparse.Namespace) -> tuple[RecordOptions, dict[str, Any], FleetTable]:
    """How records are read, settings by name, and how series are kept.

    Of the settings file, over that what the command line says.

    Raises
    ------
    SettingsError
        Where one of them is wrong.
    """
    given, options, fleet = (said_of(arguments, names) for names in (RECORD, SETTINGS, FLEET))
    if arguments.settings is not None:
        said = load_settings(arguments.settings)
        given, options = {**said.record.options(), **given}, {**said.settings(), **options}
        fleet = {**msgspec.to_builtins(said.fleet), **fleet}
    record, options = RecordOptions(**given), with_prior(options)
    Settings.from_dict(options)  # whatever is wrong with them is better said before a file is read
    return record, options, convert({"fleet": fleet}, "the command line").fleet


def check_picture(plot: str | None) -> None:
    """Refuse a picture of a kind that cannot be drawn."""
    if plot is not None and Path(plot).suffix.lower() not in PICTURES:
        raise SettingsError(f"--plot is {plot!r}; give a name that ends in {', '.join(PICTURES)}")


def check_page(report: str | None) -> None:
    """Refuse a page under a name that no browser opens as one."""
    if report is not None and Path(report).suffix.lower() not in PAGES:
        raise SettingsError(f"--report is {report!r}; give a name that ends in {', '.join(PAGES)}")


def check_written(names: Mapping[str, str | None], paths: Sequence[str | None]) -> None:
    """Refuse files that would overwrite each other or what is read, before anything is opened.

    Parameters
    ----------
    names : mapping of str to str or None
        Files to write by the options that name them.
    paths : sequence of str or None
        Files to read.
    """
    written = [(name, path) for name, path in names.items() if path is not None and path != STANDARD]
    read = [path for path in paths if path is not None and path != STANDARD]
    for i, (name, file) in enumerate(written):
        if any(_same(file, path) for path in read):
            raise SettingsError(f"{name} is {file!r}, a file that is read; give another name")
        for other, path in written[:i]:
            if _same(file, path):
                raise SettingsError(f"{other} and {name} are both {file!r}; give two names")
        if Path(file).is_dir():
            raise SettingsError(f"{name} is {file!r}, a folder; name a file")
        if not Path(file).absolute().parent.is_dir():
            raise SettingsError(f"{name} is {file!r}, in a folder that does not exist; make it first")


def _same(a: str, b: str) -> bool:
    if Path(a).exists() and Path(b).exists():
        return Path(a).samefile(b)
    return Path(a).resolve() == Path(b).resolve()
