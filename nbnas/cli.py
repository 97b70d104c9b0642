"""The command ``nbnas``: the list of its commands, and how they end."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from nbnas import __version__
from nbnas.benchmarks.command import add_data
from nbnas.errors import NbnasError
from nbnas.rankings.command import add_rank
from nbnas.reproduce.command import add_reproduction
from nbnas.scoring.command import add_scoring
from nbnas.search.command import add_search
from nbnas.training.command import add_train

COMMANDS = (add_scoring, add_rank, add_search, add_data, add_train, add_reproduction)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for bad input or a failed run, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="nbnas", description="Training-free neural architecture search, reproducible."
    )
    parser.add_argument("--version", action="version", version=f"nbnas {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    warnings.showwarning = _one_line_warning
    for folder in ("NBNAS_DATA", "NBNAS_FETCHED"):
        if os.environ.get(folder):
            # Kernels run in the folder of their notebook, where a relative path would name something else.
            os.environ[folder] = os.path.abspath(os.environ[folder])
    try:
        options.command(options)
    except NbnasError as error:
        print(f"nbnas: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"nbnas: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nbnas: interrupted; what was finished is kept, rerun to continue", file=sys.stderr)
        return 130
    return 0


def _one_line_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"nbnas: warning: {message}", file=sys.stderr)
