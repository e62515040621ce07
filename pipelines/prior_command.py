"""``streamrnn prior fit``: what series have in common, as a file that others begin from."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamrnn.connectors.rejects import Rejects
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import check_written, given_options
from streamrnn.pipelines.progress import Progress
from streamrnn.pipelines.words import count

if TYPE_CHECKING:
    from streamrnn.connectors.options import RecordOptions
    from streamrnn.prior import Prior

__all__ = ["run"]

_FINE = 0
_POLL_S = 1.0


def run(arguments: argparse.Namespace) -> int:
    """Fit a prior on the files, write it and say what it is.

    Raises
    ------
    StreamrnnError
        Where something is wrong with the arguments or the data.
    OSError
        Where the file cannot be written.
    """
    record, options, _ = given_options(arguments)
    if not arguments.files:
        raise SettingsError("no file was given; give tables (CSV, Parquet), a folder, or - for stdin")
    if options.get("prior") is not None:
        raise SettingsError("a prior is fitted from nothing; leave prior out of the settings")
    check_written({"-o": arguments.output, "--rejects": arguments.rejects}, arguments.files)
    progress = Progress(sys.stderr)
    try:
        prior = _fitted(arguments, record, options, progress)
    finally:
        progress.clear()
    Path(arguments.output).write_bytes(prior.data)
    print(json.dumps(_found(prior), indent=2) if arguments.json else _text(arguments.output, prior))
    return _FINE


def _fitted(
    arguments: argparse.Namespace, record: RecordOptions, options: dict[str, Any], progress: Progress
) -> Prior:
    """Read all files into memory and pool their series."""
    from streamrnn.pipelines.input import Input
    from streamrnn.pooling import fit_prior
    from streamrnn.settings import Settings

    rejects = Rejects(arguments.rejects)
    try:
        given = Input(arguments.files, record, rejects, arrange=arguments.arrange)
        try:
            settings = Settings.from_dict({**options, "channels": given.channels})
            print(given.found_text(), end="\n\n", file=sys.stderr)
            batches, records = [], 0
            while (batch := given.source.poll(_POLL_S)) is not None:
                batches.append(batch)
                records += len(batch)
                progress.show(records, given.share_read)
        finally:
            given.close()
    finally:
        rejects.close()
    progress.clear()
    progress.say("pooling (the first run compiles for some seconds)")
    return fit_prior(batches, settings)


def _found(prior: Prior) -> dict[str, Any]:
    return {
        "series": prior.series,
        "records": prior.records,
        "bytes": len(prior.data),
        "digest": prior.digest,
        "settings": prior.settings,
    }


def _text(path: str, prior: Prior) -> str:
    return (
        f"prior: {printable(path)}, {len(prior.data):,} bytes, of {count(prior.series, 'series', 'series')} "
        f"with {count(prior.records, 'record')}\n"
        f"to begin from it: streamrnn replay FILE --prior {printable(path)}"
    )
