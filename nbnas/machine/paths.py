"""Where the project keeps its files."""

import os
from pathlib import Path

from nbnas.errors import NbnasError


def _checkout() -> Path | None:
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").exists() else None


def project_root() -> Path:
    """The checkout that holds this package, or the current folder if the package was installed without one."""
    return _checkout() or Path.cwd()


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


def fetched_folder() -> Path:
    """Tables that ``nbnas data fetch`` wrote: ``$NBNAS_FETCHED``, else of the checkout, else of the user's cache."""
    named, checkout = os.environ.get("NBNAS_FETCHED"), _checkout()
    if named:
        return Path(named)
    if checkout:
        return checkout / "data" / "fetched"
    import pooch  # It takes a while.

    return Path(pooch.os_cache("nbnas"))


def fetched_file(name: str) -> Path | None:
    """Return a file of :func:`fetched_folder`; ``None`` if there is no such file."""
    path = fetched_folder() / name
    return path if path.exists() else None


def user_or_fetched_file(name: str) -> Path | None:
    """Return a file that the user has, else the fetched one of that name, else ``None``."""
    return user_data_file(name) or fetched_file(name)
