"""Where the project keeps its files."""

import os
from pathlib import Path

from nbnas.errors import NbnasError


def project_root() -> Path:
    """The checkout that holds this package, or the current folder if the package was installed without one."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def data_folder() -> Path:
    """Tables: published numbers, shipped scores, imported benchmarks."""
    return project_root() / "data"


def reports_folder() -> Path:
    """Everything that ``make reproduce`` generates; ``$NBNAS_REPORTS`` names another folder."""
    return Path(os.environ.get("NBNAS_REPORTS") or project_root() / "reports")


def notebooks_folder() -> Path:
    """Notebook sources."""
    return project_root() / "notebooks"


def user_data_folder() -> Path | None:
    """Return the folder that ``$NBNAS_DATA`` names; ``None`` if it is not set.

    Raises :class:`NbnasError` if that is no folder; another source would silently take its place.
    """
    folder = os.environ.get("NBNAS_DATA")
    if folder and not Path(folder).is_dir():
        raise NbnasError(f"NBNAS_DATA names {folder}, which is not a folder")
    return Path(folder) if folder else None


def user_data_file(name: str) -> Path | None:
    """Return a file of :func:`user_data_folder`; ``None`` if there is no such file, or no such folder."""
    folder = user_data_folder()
    return folder / name if folder and (folder / name).exists() else None
