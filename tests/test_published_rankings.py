"""The rankings that the papers compare, against loops over networks and against the names in the published tables."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from nbnas.errors import NbnasError
from nbnas.proxies import list_proxies
from nbnas.proxies.registry import registered
from nbnas.rankings import CombinedRanking, worst_for_missing
from nbnas.rankings.published import (
    LOG_ABLATION,
    RANKINGS,
    component_ranking,
    component_subsets,
    tcet_rankings,
)
from nbnas.reproduce.verdicts import load_published
from nbnas.scoring.architecture_scores import SIZES

SINGLE = ["flops", "grad_norm", "grasp", "snip", "synflow", "jacov", "naswot", "zen", "gradsign", "zico"]
SINGLE += ["trainable_layers"]
COMPONENTS = {"J": "jacov", "E": "az_expressivity", "T": "az_trainability", "F": "flops"}
AZ_NAS = ["az_expressivity", "az_progressivity", "az_trainability", "flops"]
TE_NAS = ["te_nas_ntk", "te_nas_linear_regions"]


def random_table(seed, networks=25):
    """Few values, so that most networks share each of them with another."""
    rng = np.random.default_rng(seed)
    names = sorted({name for ranking in RANKINGS.values() for name in ranking.scores})
    return pd.DataFrame(rng.integers(-3, 6, (networks, len(names))) / 2, columns=names)


def twice_average_ranks(values):
    """Twice the rank, a whole number: 2 (number of smaller values) + number of equal values + 1."""
    values = list(values)
    return [2 * sum(other < own for other in values) + sum(other == own for other in values) + 1 for own in values]


def layers_then_entropy(table):
    return list(zip(table["trainable_layers"], table["vkdnw_entropy"], strict=True))


def product_of_ranks(columns):
    return [math.prod(ranks) for ranks in zip(*map(twice_average_ranks, columns), strict=True)]


def assert_same_order(scores, reference):
    """Every pair of networks is ordered as by the exact reference; equal networks may differ by rounding."""
    assert len(scores) == len(reference)
    for i, j in itertools.combinations(range(len(reference)), 2):
        if reference[i] == reference[j]:
            assert scores[i] == pytest.approx(scores[j], abs=1e-12)
        else:
            assert (scores[i] > scores[j]) == (reference[i] > reference[j])
            assert abs(scores[i] - scores[j]) > 1e-9


# --------------------------------------------------------------------------------------------------- orders of networks


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_score_is_its_own_ranking(name):
    table = random_table(0)
    assert RANKINGS[name].scores == (name,)
    assert RANKINGS[name].rank(table).tolist() == table[name].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_az_nas_is_the_product_of_average_ranks(seed):
    table = random_table(seed)
    assert_same_order(RANKINGS["az_nas"].rank(table), product_of_ranks([table[name] for name in AZ_NAS]))


@pytest.mark.parametrize("seed", range(3))
def test_te_nas_is_the_sum_of_average_ranks(seed):
    table = random_table(seed)
    ranks = [twice_average_ranks(table[name]) for name in TE_NAS]
    assert_same_order(RANKINGS["te_nas"].rank(table), [sum(pair) for pair in zip(*ranks, strict=True)])


@pytest.mark.parametrize("seed", range(3))
def test_vkdnw_single_is_by_layers_and_then_by_entropy(seed):
    table = random_table(seed)
    assert table["trainable_layers"].duplicated().any()
    assert set(RANKINGS["vkdnw_single"].scores) == {"trainable_layers", "vkdnw_entropy"}
    assert_same_order(RANKINGS["vkdnw_single"].rank(table), layers_then_entropy(table))


@pytest.mark.parametrize("letters", component_subsets())
def test_components_combine_by_the_product_of_average_ranks(letters):
    table = random_table(4)
    columns = [layers_then_entropy(table) if letter == "V" else table[COMPONENTS[letter]] for letter in letters]
    ranking = component_ranking(letters)
    wanted = {COMPONENTS[letter] for letter in letters if letter != "V"}
    assert set(ranking.scores) == wanted | ({"trainable_layers", "vkdnw_entropy"} if "V" in letters else set())
    assert_same_order(ranking.rank(table), product_of_ranks(columns))


def test_all_components_are_vkdnw_agg():
    table = random_table(5)
    agg, components = RANKINGS["vkdnw_agg"], component_ranking("VJETF")
    assert set(agg.scores) == set(components.scores)
    assert agg.rank(table).tolist() == components.rank(table).tolist()


@pytest.mark.parametrize("letters", ["V", "VF"])
def test_another_entropy_takes_the_place_of_the_published_one(letters):
    table = random_table(10)
    renamed = table.rename(columns={"vkdnw_entropy": "vkdnw_entropy_m8"})
    ranking = component_ranking(letters, "vkdnw_entropy_m8")
    assert set(ranking.scores) == {"trainable_layers", "vkdnw_entropy_m8", *(["flops"] if "F" in letters else [])}
    assert ranking.rank(renamed).tolist() == component_ranking(letters).rank(table).tolist()


def test_order_of_letters_does_not_matter():
    table = random_table(6)
    assert component_ranking("FTV").rank(table) == pytest.approx(component_ranking("VTF").rank(table), abs=1e-12)


def test_other_columns_and_their_order_do_not_matter():
    table = random_table(7)
    shuffled = table[table.columns[::-1]].assign(other=math.nan)
    for ranking in RANKINGS.values():
        assert ranking.rank(shuffled).tolist() == ranking.rank(table[list(ranking.scores)]).tolist()


def test_ranking_leaves_the_table_as_it_was():
    table = random_table(8)
    table.iloc[0] = math.nan
    before = table.copy()
    for ranking in RANKINGS.values():
        ranking.rank(table)
    pd.testing.assert_frame_equal(table, before, check_exact=True)


# --------------------------------------------------------------------------------------------- networks without a score


def slow_worst_for_missing(column):
    finite = [value for value in column if math.isfinite(value)]
    replaced = []
    for value in column:
        if math.isnan(value) or value == -math.inf:
            replaced.append(min(finite))
        elif value == math.inf:
            replaced.append(max(finite))
        else:
            replaced.append(value)
    return replaced


@pytest.mark.parametrize("seed", range(3))
def test_missing_scores_become_the_worst_of_their_column(seed):
    rng = np.random.default_rng(seed)
    table = random_table(seed)
    holes = rng.choice([0.0, math.nan, math.inf, -math.inf], table.shape, p=[0.7, 0.1, 0.1, 0.1])
    table = table.where(holes == 0, holes)
    filled = worst_for_missing(table)
    assert filled.columns.tolist() == table.columns.tolist()
    for name in table:
        assert filled[name].tolist() == slow_worst_for_missing(table[name])


def test_infinities_alone_are_replaced_too():
    filled = worst_for_missing(pd.DataFrame({"a": [3, math.inf, 1, -math.inf], "b": [7, 5, 6, 8]}))
    assert filled["a"].tolist() == [3, 3, 1, 1]
    assert filled["b"].tolist() == [7, 5, 6, 8]


def test_network_without_one_score_is_worst_in_that_score_alone():
    table = random_table(9)
    table.loc[[2, 5], "jacov"] = math.nan
    table.loc[5, "flops"] = math.nan
    columns = [
        [min(table["jacov"].dropna()) if math.isnan(value) else value for value in table["jacov"]],
        [min(table["flops"].dropna()) if math.isnan(value) else value for value in table["flops"]],
    ]
    assert_same_order(component_ranking("JF").rank(table), product_of_ranks(columns))


# --------------------------------------------------------------------------------------------------------------- names


def test_there_are_31_subsets_small_ones_first_and_letters_in_order():
    subsets = component_subsets()
    expected = []
    for size in range(1, 6):
        for chosen in itertools.product([True, False], repeat=5):
            if sum(chosen) == size:
                expected.append("".join(letter for letter, taken in zip("VJETF", chosen, strict=True) if taken))
    assert len(set(subsets)) == 31
    assert subsets == expected


def test_subsets_are_the_row_keys_of_the_published_table():
    assert set(component_subsets()) == set(load_published("vkdnw/table3")["row_key"])


def test_every_ranking_is_a_row_of_the_published_table():
    assert set(RANKINGS) <= set(load_published("vkdnw/table1")["row_key"])


def test_every_simple_row_of_the_published_table_has_a_ranking():
    table = load_published("vkdnw/table1")
    simple = table[(table["type"] == "S") | table["note"].str.contains("simple rankings")]
    assert {"gradsign", "az_nas", "te_nas", "vkdnw_agg"} <= set(simple["row_key"])
    assert set(simple["row_key"]) == set(RANKINGS)


def test_every_score_is_one_that_a_proxy_returns():
    returned = {name for names in list_proxies()["scores"] for name in names}
    assert {name for ranking in RANKINGS.values() for name in ranking.scores} <= returned


def test_sizes_are_names_of_scores():
    returned = {name for names in list_proxies()["scores"] for name in names}
    assert set(SIZES) - {"weight_layers"} <= returned


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("letters", ["", "VV", "X", "vj", "VJETFV", "V J"])
def test_wrong_letters_are_refused(letters):
    with pytest.raises(NbnasError, match="components are distinct letters out of VJETF, got"):
        component_ranking(letters)


def test_absent_scores_are_named():
    table = random_table(0)
    table["jacov"] = math.nan
    with pytest.raises(NbnasError, match=r"no network has a score jacov, az_trainability$"):
        component_ranking("VJTF").rank(table.drop(columns="az_trainability"))


def test_score_that_one_network_has_is_enough():
    ranking = CombinedRanking.of("a")
    assert ranking.rank(pd.DataFrame({"a": [math.nan, 2, math.nan]})).tolist() == [2, 2, 2]


@pytest.mark.parametrize("how", ["product", None])
def test_unknown_combinations_are_refused(how):
    with pytest.raises(NbnasError, match="how must be 'log' or 'sum'"):
        CombinedRanking.of("a", how=how)


# ------------------------------------------------------------------------------------------------------- as in a search


def test_in_a_search_a_failed_score_is_minus_infinity_but_a_single_one_stays_missing():
    ranking = CombinedRanking((("a", "b"), ("c",)), "sum")
    table = pd.DataFrame({"a": [1, 1, 2, math.nan], "b": [math.nan, 5, 0, 9], "c": [3, math.nan, math.inf, 1]})
    # Ranks by a and then b are 2, 3, 4, 1; those by c are 3, 1, 4, 2.
    assert ranking.evaluate(table).tolist() == [5, 4, 8, 3]
    assert CombinedRanking.of("b").evaluate(table).tolist() == pytest.approx([math.nan, 5, 0, 9], nan_ok=True)
    assert ranking.keys(table.iloc[0]) == [(1, -math.inf), (3,)]


# --------------------------------------------------------------------------------------------------------------- T-CET


@pytest.mark.parametrize("logged", [False, True])
def test_every_row_of_the_tables_of_tcet_has_a_ranking(logged):
    rows = {row_key for item in ("tcet/table2", "tcet/table3", "tcet/table4") for row_key in rows_of(item)}
    assert set(tcet_rankings(logged)) == rows | {"weight_layers", "trainable_layers"}
    assert set(LOG_ABLATION) == rows_of("tcet/tableA1")


def rows_of(item):
    return set(load_published(item)["row_key"])


def test_the_logarithm_is_taken_in_the_new_scores_alone():
    plain, logged = tcet_rankings(logged=False), tcet_rankings(logged=True)
    changed = {name for name in plain if plain[name].scores != logged[name].scores}
    assert changed == {"synflow_snr", "snip_snr", "tcet_synflow", "tcet_snip"}
    assert all(logged[name].scores == (f"{plain[name].scores[0]}_log",) for name in changed)
    returned = {name for proxy in registered() for name in proxy.info.scores} | set(SIZES)
    assert {
        name for rankings in (plain, logged) for ranking in rankings.values() for name in ranking.scores
    } <= returned


def test_rank_average_adds_up_average_ranks():
    table = random_table(3)
    combined = CombinedRanking.of("snip", "jacov", how="sum").rank(table)
    ranks = [twice_average_ranks(table[name]) for name in ("snip", "jacov")]
    assert_same_order(combined, [sum(own) for own in zip(*ranks, strict=True)])
