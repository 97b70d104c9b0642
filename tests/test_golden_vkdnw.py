"""VKDNW against the values that the authors' released code returns on deterministic networks."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden_networks import golden_batch, golden_id, golden_network, golden_records

import nbnas
from nbnas.networks.entry_jacobian import entry_jacobian
from nbnas.proxies.fisher_information import FisherSetting, entropy, spectrum_deciles

RECORDS = golden_records()
EMPTY_CELL = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
VARIANTS = {"official": "vkdnw", "paper": "vkdnw_paper"}

# Relative tolerances. In float32 rounding moves a few inputs across the kink of a ReLU, and the low deciles of the
# Fisher spectrum are rounding noise.
TIGHT = {"logits": 1e-11, "jacobian": 1e-9, "norms": 1e-9, "entropy": 1e-9, "deciles": 1e-9}
LOOSE = {"logits": 1e-5, "jacobian": 1e-2, "norms": 1e-3, "entropy": 3e-3, "deciles": 5e-3}
TOLERANCES = {"float64": TIGHT, "float32": LOOSE}


@pytest.fixture(scope="module", params=RECORDS, ids=golden_id)
def case(request):
    record = request.param
    network = golden_network(record).eval()
    inputs, _ = golden_batch(record)
    jacobian, logits = entry_jacobian(network, inputs, FisherSetting().entries(network))
    return SimpleNamespace(
        values=record["values"],
        tolerance=TOLERANCES[record["dtype"]],
        network=network,
        inputs=inputs,
        logits=logits,
        jacobian=jacobian,
    )


def assert_close_to_largest(actual, expected, tolerance):
    """Compare arrays with an error relative to the largest expected magnitude."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def fisher_of(case, variant):
    setting = FisherSetting(variant=variant)
    return setting.matrix(case.jacobian.double(), setting.probabilities(case.logits.double()))


def test_there_are_nine_cells_two_shapes_and_two_dtypes():
    keys = {(record["arch"], record["dataset"], record["dtype"]) for record in RECORDS}
    assert len(keys) == len(RECORDS) == 9 * 2 * 2


def test_size_of_the_network(case):
    parameters = list(case.network.parameters())
    assert len(parameters) == case.values["n_parameter_tensors"]
    assert sum(parameter.numel() for parameter in parameters) == case.values["n_parameters"]


def test_precision_is_that_of_the_record(case):
    assert case.jacobian.dtype == case.logits.dtype == case.inputs.dtype
    assert {parameter.dtype for parameter in case.network.parameters()} == {case.inputs.dtype}


def test_first_logits_in_eval_mode(case):
    assert_close_to_largest(case.logits[0, :5], case.values["logits_eval_first"], case.tolerance["logits"])


def test_first_logits_in_train_mode(case):
    with torch.no_grad():
        logits = copy.deepcopy(case.network).train()(case.inputs)
    # BatchNorm on a batch of 8 amplifies rounding.
    assert_close_to_largest(logits[0, :5], case.values["logits_train_first"], 100 * case.tolerance["logits"])


def test_jacobian(case):
    assert_close_to_largest(case.jacobian.norm(), case.values["jacobian_norm"], case.tolerance["norms"])
    assert_close_to_largest(case.jacobian[0, :3, :5], case.values["jacobian_corner"], case.tolerance["jacobian"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_fisher_matrix(case, variant):
    golden, matrix = case.values[f"vkdnw_{variant}"], fisher_of(case, variant)
    assert_close_to_largest(matrix.norm(), golden["frobenius"], case.tolerance["norms"])
    assert_close_to_largest(matrix.trace(), golden["trace"], case.tolerance["norms"])
    assert_close_to_largest(matrix[:3, :3], golden["corner"], case.tolerance["jacobian"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_spectrum_and_entropy(case, variant):
    golden, deciles = case.values[f"vkdnw_{variant}"], spectrum_deciles(fisher_of(case, variant))
    assert_close_to_largest(deciles, golden["deciles"], case.tolerance["deciles"])
    assert float(entropy(deciles)) == pytest.approx(golden["entropy"], abs=case.tolerance["entropy"])


# The cheap cells, one of them with more than 128 parameter tensors; the tests above cover all.
END_TO_END = [
    record
    for record in RECORDS
    if record["dtype"] == "float64" and record["arch"] != EMPTY_CELL and record["values"]["n_parameters"] < 200_000
]


@pytest.mark.parametrize("record", END_TO_END, ids=golden_id)
def test_score_end_to_end(record):
    table = nbnas.score(golden_network(record), "vkdnw", batches=[golden_batch(record)], init=None)
    assert (table.status == "ok").all()
    for variant, prefix in VARIANTS.items():
        golden = record["values"][f"vkdnw_{variant}"]
        assert table.value[f"{prefix}_entropy"] == pytest.approx(golden["entropy"], abs=TIGHT["entropy"])
        assert table.value[f"{prefix}_trace"] == pytest.approx(golden["trace"], rel=TIGHT["norms"])
        deciles = [table.value[f"{prefix}_decile_{k}"] for k in range(1, 10)]
        assert_close_to_largest(deciles, golden["deciles"], TIGHT["deciles"])


@pytest.mark.parametrize("record", [record for record in RECORDS if record["arch"] == EMPTY_CELL], ids=golden_id)
def test_empty_cell_is_degenerate(record):
    # The released code returns numbers here: entropy -0, deciles 0.
    table = nbnas.score(golden_network(record), "vkdnw", batches=[golden_batch(record)], init=None)
    assert len(table) == 22
    assert set(table.status) == {"degenerate"}
    assert table.value.isna().all()
