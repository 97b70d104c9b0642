"""What ``make scores`` computes, and in which order."""

from pathlib import Path

import pytest

import nbnas
from nbnas.cli import main
from nbnas.machine.executors import Workers
from nbnas.scoring import plan as plan
from nbnas.scoring.setting import Setting


@pytest.fixture(autouse=True)
def no_images(monkeypatch):
    monkeypatch.delenv("NBNAS_DATA", raising=False)


def test_samples_grow_from_round_to_round():
    sizes = {}
    for stage in plan.scoring_plan("cpu"):
        for proxy in stage.proxies:
            sizes.setdefault((proxy, stage.setting, stage.archs), []).append(stage.sample or float("inf"))
    assert all(rounds == sorted(rounds) for rounds in sizes.values())
    for (_, shape, _), rounds in sizes.items():
        assert rounds[-1] == (500 if shape.space_name.startswith("transnas") else float("inf"))


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_every_proxy_is_scored_on_every_shape(device):
    left_out = {"flops", "params", "trainable_layers", "vkdnw_mobilenetv2"}
    for dataset in nbnas.get_space("nasbench201").datasets:
        scored = {
            proxy
            for stage in plan.scoring_plan(device)
            for proxy in stage.proxies
            if stage.setting == Setting(dataset=dataset) and stage.archs == "filtered-unique"
        }
        assert set(nbnas.list_proxies().index) - scored == left_out


def test_a_gpu_finishes_one_seed_before_the_next():
    stages = plan.scoring_plan("cuda")
    assert [stage.seed for stage in stages] == sorted(stage.seed for stage in stages)
    assert {stage.seed for stage in stages} == {0, 1, 2, 3, 4}
    assert all(stage.sample is None for stage in stages)
    names = {stage.archs for stage in stages if stage.setting.space_name == "nasbench201"}
    sets = {archs: set(nbnas.get_space("nasbench201").subset(archs)) for archs in names}
    assert set.union(*sets.values()) == set(range(15625))


def test_images_are_left_out_where_there_are_none_and_kept_where_there_are(monkeypatch):
    assert all(stage.setting.inputs == "gaussian" for stage in plan.scoring_plan("cpu"))
    monkeypatch.setattr(plan, "describe_images", lambda dataset: "made up" if dataset == "cifar10" else None)
    with_images = [stage for stage in plan.scoring_plan("cpu") if stage.setting.inputs == "images"]
    assert {stage.setting.dataset for stage in with_images} == {"cifar10"}
    inputs = nbnas.list_proxies().inputs
    assert {inputs[proxy] for stage in with_images for proxy in stage.proxies} == {"images"}


def test_architectures_that_stand_in_a_file_are_left_out_without_it(data_folder, monkeypatch):
    def spaces():
        return {stage.setting.space_name for stage in plan.scoring_plan("cpu")}

    others = {"nasbench201", "nasbench_macro", "transnasbench101_micro"}
    assert spaces() == others
    monkeypatch.setenv("NBNAS_DATA", str(data_folder))
    assert spaces() == others | {"nasbench301", *(f"nasbench1shot1_{family}" for family in ("ss1", "ss2", "ss3"))}


def test_the_plan_is_worked_through_and_then_has_nothing_left_to_do(tmp_path: Path, monkeypatch, capsys):
    shape = Setting(batch_size=2)
    stages = [plan.Stage(shape, ("params",), "filtered-unique", 2), plan.Stage(shape, ("params",), "dead-edges", 1, 3)]
    monkeypatch.setattr(plan, "scoring_plan", lambda device: stages)
    plan.run_plan(store=tmp_path, workers=Workers(number=1), progress=False)
    rows = shape.table("params", tmp_path).read()
    assert sorted(rows["seed"]) == [0, 0, 3]
    assert (
        "[2/2] nasbench201, cifar10, gaussian, batch 2, seed 3: 1 proxies on first 1 of dead-edges"
        in capsys.readouterr().out
    )

    before = shape.table("params", tmp_path).provenance()
    plan.run_plan(store=tmp_path, workers=Workers(number=1), progress=False)
    assert shape.table("params", tmp_path).provenance() == before  # no run added a row


def test_the_command_lists_the_stages(capsys):
    assert main(["score-all", "--list", "--device", "cuda"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(plan.scoring_plan("cuda"))
    assert lines[0].startswith("nasbench201, cifar10, gaussian, batch 64, seed 0")
