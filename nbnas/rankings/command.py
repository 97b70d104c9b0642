"""The command ``nbnas rank``."""

import argparse
import importlib.util
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from nbnas.errors import NbnasError, first_line
from nbnas.machine.replace_file import replace_file
from nbnas.rankings.rank import Network, networks_by_name, rank
from nbnas.spaces import SPACES, get_space

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>nbnas rank</title>
<style>body {{ font: 15px sans-serif; margin: 2em }} td, th {{ padding: .2em .7em; text-align: right }}</style>
<h1>Ranking by {method}</h1>
<p>{seeds} seeds, inputs {shape}. Rank 1 is best; spread is the standard deviation of the rank over seeds. Where
like_next is True, not all seeds put a network before the next one. Each score is a mean over seeds, with the rank that
it alone gives.</p>
{table}
</html>
"""


def add_rank(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    command = commands.add_parser("rank", help="rank networks of your own, of timm or of a search space")
    what = "FILE.py:NAME (a dict or list of networks, or a function that returns one), timm:NAME, or SPACE ARCH ..."
    command.add_argument("networks", nargs="+", metavar="NETWORK", help=what)
    names = "vkdnw_agg (default), vkdnw_single, tcet_snip, az_nas, te_nas, or scores whose ranks are multiplied"
    command.add_argument("--method", nargs="+", default=["vkdnw_agg"], metavar="NAME", help=names)
    command.add_argument(
        "--input", default="64x3x32x32", help="batch x channels x height x width (default: %(default)s)"
    )
    command.add_argument("--seeds", type=int, default=3, metavar="N", help="number of seeds (default: %(default)s)")
    command.add_argument("--device", help="cpu or cuda (default: that of each network)")
    command.add_argument("--executor", help="processes, dask or dask:ADDRESS (default: this process)")
    command.add_argument("--log", type=Path, metavar="FILE", help="keep what is scored; a rerun with it continues")
    command.add_argument("--csv", type=Path, metavar="FILE", help="table to write")
    command.add_argument("--html", type=Path, metavar="FILE", help="page to write")
    command.set_defaults(command=_rank)


def _rank(options: argparse.Namespace) -> None:
    shape = _input_shape(options.input)
    method = options.method[0] if len(options.method) == 1 else options.method
    table = rank(
        _networks(options.networks),
        method,
        input_shape=shape,
        seeds=options.seeds,
        device=options.device,
        executor=options.executor,
        log=options.log,
    )
    if options.csv:
        replace_file(options.csv, table.to_csv)
    if options.html:
        shown = table.to_html(float_format="%.5g")
        page = _PAGE.format(method=" ".join(options.method), seeds=options.seeds, shape=options.input, table=shown)
        replace_file(options.html, lambda path: path.write_text(page))
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.max_rows", None):
        print(table.to_string(float_format="%.4g"))


def _input_shape(text: str) -> tuple[int, ...]:
    parts = text.lower().split("x")
    if len(parts) != 4 or not all(part.isdigit() and int(part) for part in parts):
        raise NbnasError(f"--input must look like 64x3x32x32, got {text!r}")
    return tuple(map(int, parts))


def _networks(targets: list[str]) -> dict[str, Network]:
    if targets[0] in SPACES:
        space = get_space(targets[0])
        return {arch: partial(space.build, arch) for arch in targets[1:]}
    found: dict[str, Network] = {}
    for target in targets:
        kind, _, name = target.rpartition(":")
        if kind == "timm":
            found[name] = partial(_timm_model(), name)
        elif kind.endswith(".py"):
            found |= networks_by_name(_from_file(Path(kind), name))
        else:
            spaces = ", ".join(SPACES)
            raise NbnasError(f"{target!r} is neither FILE.py:NAME, nor timm:NAME, nor a space ({spaces})")
    return found


def _timm_model():
    try:
        from timm import create_model
    except Exception as error:  # Its torchvision may be of another torch, which is a RuntimeError.
        raise NbnasError(f"timm:NAME needs timm: run pip install timm ({first_line(error)})") from error
    return create_model


def _from_file(path: Path, name: str) -> Mapping[str, Network] | list[Network]:
    if not path.exists():
        raise NbnasError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        networks = getattr(module, name)
        networks = networks() if callable(networks) else networks
    except Exception as error:
        raise NbnasError(f"{path}:{name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(networks, Mapping | list | tuple):
        raise NbnasError(f"{path}:{name} must be a dict or a list of networks, got {type(networks).__name__}")
    return networks
