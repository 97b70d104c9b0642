"""The state of a run in one file, from which it goes on as if nothing had happened."""

from collections.abc import Mapping
from pathlib import Path

import torch

from nbnas.errors import NbnasError, first_line
from nbnas.machine.replace_file import replace_file


def save_tensors(path: Path, state: Mapping[str, object]) -> None:
    """Write tensors, numbers, strings and containers of them; a kill leaves the file that was there before.

    Equal states make equal files.
    """

    def write(partial: Path) -> None:
        # Given a path, torch would write its name into the file.
        with partial.open("wb") as file:
            torch.save(dict(state), file)

    replace_file(path, write)


def load_checkpoint(path: Path, settings: Mapping[str, object]) -> dict[str, object] | None:
    """Return the state, on the CPU; None where there is no checkpoint.

    Args:
        path: The file.
        settings: What the run depends on; must be as in the checkpoint.

    Raises:
        NbnasError: If the file is not a checkpoint, or one of a run with other settings; the message names the first.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored = state["settings"]
    except Exception as error:
        raise NbnasError(f"{path} is not a checkpoint: {first_line(error)}") from error
    for name in [*settings, *stored]:
        there, here = stored.get(name), settings.get(name)
        if there != here:
            raise NbnasError(
                f"{path.parent} holds a run with other settings, {name} {there} and not {here}; choose another folder"
            )
    return state
