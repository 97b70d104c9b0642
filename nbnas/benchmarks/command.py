"""The command ``nbnas data``: trained accuracies that are present, download of public ones, import of NATS-Bench."""

import argparse
from pathlib import Path

from nbnas.benchmarks import BENCHMARKS, load_benchmark
from nbnas.benchmarks.nats_archive import import_nats
from nbnas.benchmarks.upstream import UPSTREAM
from nbnas.errors import NbnasError
from nbnas.machine.paths import user_or_fetched_file


def add_data(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    data = commands.add_parser("data", help="trained accuracies: what is present, download, import NATS-Bench")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    status = actions.add_parser("status", help="say what is present")
    status.set_defaults(command=_status)
    fetch = actions.add_parser("fetch", help="download public accuracies that are absent")
    fetch.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(UPSTREAM)}")
    fetch.set_defaults(command=_fetch)
    nats = actions.add_parser("import-nats", help="import an unpacked archive of NATS-Bench")
    nats.add_argument(
        "path", type=Path, help="NATS-tss-v1_0-3ffb9-simple for nasbench201, NATS-sss-v1_0-50262-simple for nats_sss"
    )
    nats.set_defaults(command=lambda options: print(f"wrote {import_nats(options.path)}"))


def _fetch(options: argparse.Namespace) -> None:
    from nbnas.benchmarks.fetch import fetch  # Its libraries take a while to import.

    written = fetch(options.names)
    names = ", ".join(path.name for path in written)
    print(f"wrote {names}" if written else "nothing to fetch, all of it is present")


def _status(_: argparse.Namespace) -> None:
    print(f"nasbench201 (the first of {', '.join(BENCHMARKS['nasbench201'].by_name)} present is used):")
    for line in BENCHMARKS["nasbench201"].describe():
        print(f"  {line}")
    for space in BENCHMARKS:
        if space != "nasbench201":
            try:
                print(f"{space}: present, {load_benchmark(space).description}")
            except NbnasError as error:
                print(f"{space}: {error}")
    for table in UPSTREAM.values():
        if table.name not in BENCHMARKS:
            path = user_or_fetched_file(table.file)
            print(f"{table.name}: {f'present, {path}' if path else f'absent; {table.hint}'}")
