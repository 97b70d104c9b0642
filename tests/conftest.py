"""Fixtures shared by all tests; one torch thread per process, so that parallel test runs do not crowd each other."""

import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import settings

import nbnas

torch.set_num_threads(1)
# The same examples on every machine and in every run: a failure in CI is a failure here.
settings.register_profile("nbnas", deadline=None, derandomize=True, database=None)
settings.load_profile("nbnas")
# No test asks the network, or depends on what was fetched on this machine.
os.environ |= {"NBNAS_OFFLINE": "1", "NBNAS_FETCHED": str(Path(__file__).with_name("nothing-is-fetched"))}


def pytest_configure(config):
    # Not in pyproject.toml, from where it would import the package before coverage starts to count.
    config.addinivalue_line("filterwarnings", "error::nbnas.machine.append_log.DamagedLogWarning")


@pytest.fixture(scope="session")
def space():
    return nbnas.get_space("nasbench201")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that ``$NBNAS_DATA`` names."""
    folder = os.environ.get("NBNAS_DATA")
    if not folder:
        pytest.skip("NBNAS_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def nats_table(data_folder) -> pd.DataFrame:
    """Trained accuracies of all 15,625 cells, in index order."""
    path = data_folder / "nasbench201.csv.gz"
    if not path.exists():
        pytest.skip(f"NBNAS_DATA names a folder without {path.name}")
    return pd.read_csv(path)
