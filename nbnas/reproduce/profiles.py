"""How much of the work ``make reproduce`` does: smoke, default or full."""

from pathlib import Path

from nbnas.errors import NbnasError
from nbnas.machine.paths import reports_folder

PROFILES = ("smoke", "default", "full")


def profile_reports(profile: str) -> Path:
    """Folder of a profile's results: ``reports`` for ``default``, ``reports/<profile>`` for the others.

    Raises:
        NbnasError: If the profile is unknown.
    """
    if profile not in PROFILES:
        raise NbnasError(f"unknown profile {profile!r}; choose from {', '.join(PROFILES)}")
    return reports_folder() if profile == "default" else reports_folder() / profile
