"""What a number was computed with: versions, machine, commit, time."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata

from nbnas.machine.paths import project_root


def collect(device: str = "cpu") -> dict[str, object]:
    """Return versions, device, commit and UTC time as plain values for a JSON file.

    A commit ends with ``+changes`` where the package differs from it; without a checkout it is ``unknown``.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _current_commit(),
        "device": describe_device(device),
        "python": platform.python_version(),
        "versions": library_versions(),
    }


def describe_device(device: str) -> str:
    """Name the processor behind a torch device string."""
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU"


def library_versions() -> dict[str, str]:
    """Versions of the libraries that numbers depend on."""
    versions = {}
    for name in ("nbnas", "torch", "numpy", "scipy", "pandas"):
        found = next(iter(metadata.distributions(name=name)), None)
        versions[name] = found.version if found else "not installed"
    return versions


def _current_commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project_root()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--", "nbnas") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
