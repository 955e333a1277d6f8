"""What models are made of, worked by hand: trees, boosted classes, marginals, normal scores."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from verosim.draws import stream
from verosim.errors import ModelFileError
from verosim.evaluation.detector import classify
from verosim.evaluation.fidelity import auc
from verosim.models import Array, Codes, Field
from verosim.models.boost import Boosted, boost, softmax
from verosim.models.boost import Options as Boosting
from verosim.models.copula import FARTHEST, normal_score
from verosim.models.experts import Donors
from verosim.models.judge import Judge
from verosim.models.marginal import Marginal
from verosim.models.trees import Ranks, Tree, grow, pack, unpack
from verosim.normal import normal_share

# ------------------------------------------------------------------------------------------------------ trees

EIGHT = np.array([[3, 1, 4, 1, 5, 9, 2, 6], np.arange(8)], np.uint16)  # two features of eight rows
STEP = np.array([0, 0, 0, 10, 10, 10, 10, 10], float)[:, None]  # error 500 - 50**2 / 8 = 187.5, and 0 in {0-2}, {3-7}


def splits(tree: Tree) -> list[tuple[int, int]]:
    """Feature and threshold of each inner node."""
    inner = tree.left >= 0
    return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))


def test_the_best_split_of_eight_rows() -> None:
    tree, leaf = grow(EIGHT, STEP, min_leaf=1)
    assert splits(tree)[0] == (1, 2)
    assert len({*leaf[:3]} & {*leaf[3:]}) == 0
    tree, leaf = grow(EIGHT, STEP, min_leaf=3, max_depth=1)
    assert splits(tree) == [(1, 2)]
    assert leaf.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


def test_a_leaf_holds_enough_rows() -> None:
    """With four rows a leaf there is one cut of the second feature, 25 + 0 left of 187.5, and none better."""
    tree, leaf = grow(EIGHT, STEP, min_leaf=4)
    assert splits(tree) == [(1, 3)]
    assert np.bincount(leaf).tolist() == [4, 4]
    assert splits(grow(EIGHT, STEP, min_leaf=5)[0]) == []


@pytest.mark.parametrize(("least", "split"), [(187.0, [(1, 2)]), (188.0, [])])
def test_a_split_must_gain_enough(least: float, split: list[tuple[int, int]]) -> None:
    assert splits(grow(EIGHT, STEP, min_leaf=3, min_gain=least)[0]) == split


def test_a_ridge_takes_from_the_gain() -> None:
    """With ridge 2: 50**2 / 7 right of the cut, 50**2 / 10 before it: the gain is 107.14."""
    for least, n_leaves in ((107.0, 2), (107.3, 1)):
        assert grow(EIGHT, STEP, min_leaf=3, min_gain=least, ridge=2.0)[0].n_leaves == n_leaves


def test_several_outputs_are_split_together() -> None:
    """Neither output is worth a split alone at this price; both change at the same place."""
    both = np.repeat(STEP, 2, axis=1)
    assert grow(EIGHT, STEP, min_leaf=3, min_gain=200)[0].n_leaves == 1
    assert splits(grow(EIGHT, both, min_leaf=3, min_gain=200)[0]) == [(1, 2)]


def test_a_single_code_is_found_in_all_their_range() -> None:
    """Finer than the bins of the root: nodes zoom in."""
    codes = np.arange(0, 65_536, 97, dtype=np.uint16)[None]
    tree, leaf = grow(codes, (np.arange(676) == 500)[:, None].astype(float), min_leaf=1, min_gain=1e-9)
    assert np.flatnonzero(leaf == leaf[500]).tolist() == [500]
    assert tree.leaves(codes).tolist() == leaf.tolist()


@settings(deadline=None, max_examples=60)
@given(
    codes=arrays_of.arrays(np.uint16, st.tuples(st.integers(1, 3), st.integers(1, 60))),
    min_leaf=st.integers(1, 10),
    seed=st.integers(0, 99),
)
def test_rows_fall_where_they_grew(codes: Array, min_leaf: int, seed: int) -> None:
    target = stream(seed).standard_normal((codes.shape[1], 2))
    tree, leaf = grow(codes, target, min_leaf=min_leaf)
    assert tree.leaves(codes).tolist() == leaf.tolist()
    counts = np.bincount(leaf, minlength=tree.n_leaves)
    assert counts.min() >= min(min_leaf, codes.shape[1])
    (again,) = unpack(pack([tree]), [len(codes)])
    assert again.leaves(codes).tolist() == leaf.tolist()


def test_a_spike_leaves_the_other_ranks_to_the_others() -> None:
    """900 rows of one code and 100 of others each: with 11 ranks the spike has one, the others ten of ten rows."""
    codes = np.concatenate([np.full(900, 5), np.arange(100, 200)]).astype(np.uint16)[None]
    found = Ranks.of(codes, 11)
    assert 10 <= found.values[0].shape[1] <= 11
    assert np.bincount(found.ranks[0]).tolist()[0] == 900
    assert np.bincount(found.ranks[0])[1:].max() <= 20
    assert found.values[0][:, 0].tolist() == [5, 5]
    tree, leaf = grow(found, (codes[0] > 150)[:, None].astype(float), min_leaf=5)
    assert tree.leaves(codes).tolist() == leaf.tolist()


def by_hand() -> Tree:
    """Feature 0 above 5? Then leaf 2; else feature 1 above 7: leaf 1, else leaf 0."""
    return Tree(*(np.array(a, np.int32) for a in ([0, 1, 0, 0, 0], [5, 7, 0, 0, 0], [1, 3, -3, -1, -2])))


def test_rows_walk_down_a_tree() -> None:
    X = np.array([[5, 5, 6, 0, 65_535], [7, 8, 0, 65_535, 65_535]], np.uint16)
    assert by_hand().leaves(X).tolist() == [0, 1, 2, 1, 2]
    assert by_hand().leaves(X[:, :0]).tolist() == []


def test_trees_are_packed_and_unpacked() -> None:
    leaf_only, _ = grow(EIGHT, STEP, min_leaf=8)
    several = [by_hand(), leaf_only, by_hand()]
    again = unpack(pack(several), [2, 2, 2])
    assert [t.left.tolist() for t in again] == [t.left.tolist() for t in several]
    assert [t.threshold.tolist() for t in again] == [t.threshold.tolist() for t in several]
    assert unpack(pack([]), []) == []


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("left", [0, 3, -3, -1, -2]),  # a node that leads to itself
        ("left", [1, 0, -3, -1, -2]),  # back to the root
        ("left", [1, 4, -3, -1, -2]),  # past the end
        ("left", [1, 3, -3, -1, -1]),  # a leaf twice
        ("left", [1, 3, -3, -1, -9]),  # a leaf that is none
        ("feature", [0, 2, 0, 0, 0]),  # a feature that is none
        ("threshold", [5, 70_000, 0, 0, 0]),
        ("sizes", [4]),
        ("sizes", [0, 5]),
    ],
)
def test_a_tree_that_cannot_be_walked_is_refused(part: str, value: list[int]) -> None:
    with pytest.raises(ModelFileError):
        unpack(pack([by_hand()]) | {part: np.array(value, np.int32)}, [2])


def test_a_donor_gives_no_more_than_half_the_way_to_its_neighbours() -> None:
    """One leaf with positions .2, .4 and .8: from .1 to .3, to .6, and as far out as in."""
    X, field = np.zeros((1, 3), np.uint16), Field("a")
    tree, _ = grow(X, np.zeros((3, 1)), min_leaf=3)
    donors = Donors.fill(tree, X, np.array([0.4, 0.8, 0.2]), field, cell=0.001)
    assert donors.low == pytest.approx([0.1, 0.3, 0.6], abs=0.001)
    assert donors.low + donors.width == pytest.approx([0.3, 0.6, 1.0], abs=0.001)


# ---------------------------------------------------------------------------------------------- boosted classes


def test_boosting_finds_the_chances_of_a_two_by_two_table() -> None:
    x = np.repeat([0, 1], 2_000)
    y = np.concatenate([np.arange(2_000) < 400, np.arange(2_000) < 1_400]).astype(np.int64)
    held = stream(1).random(4_000) < 0.1
    boosted = boost(x[None].astype(np.uint16), y, 2, held, stream(2))
    chances = boosted.probabilities(np.array([[0, 1]], np.uint16))
    assert chances == pytest.approx(np.array([[0.8, 0.2], [0.3, 0.7]]), abs=0.04)
    again = Boosted.restore(boosted.arrays(), 1)
    assert np.array_equal(again.probabilities(np.array([[0, 1]], np.uint16)), chances)


def test_boosting_noise_gives_the_shares() -> None:
    rng = stream(3)
    X, y = rng.integers(0, 1_000, (3, 2_000)).astype(np.uint16), rng.choice(3, 2_000, p=[0.6, 0.3, 0.1])
    chances = boost(X, y, 3, rng.random(2_000) < 0.1, rng).probabilities(X)
    assert chances.mean(0) == pytest.approx([0.6, 0.3, 0.1], abs=0.04)
    assert chances.std(0).max() < 0.06


def test_one_class_is_certain() -> None:
    X = np.zeros((1, 10), np.uint16)
    boosted = boost(X, np.zeros(10, np.int64), 1, np.arange(10) < 2, stream(1))
    assert boosted.probabilities(X).tolist() == [[1.0]] * 10


def test_softmax_of_large_logits() -> None:
    assert softmax(np.array([[1e4, 0.0], [np.log(3.0), 0.0]])) == pytest.approx(np.array([[1, 0], [0.75, 0.25]]))


def test_a_detector_sees_nothing_in_noise_and_all_that_is_apart() -> None:
    rng = stream(4)
    codes, label = rng.integers(0, 256, (3, 1_200)).astype(np.uint8), rng.random(1_200) < 0.5
    odds, _ = classify(codes, label, 3, rng)
    assert auc(odds, label) == pytest.approx(0.5, abs=0.06)  # 3.5 standard errors
    codes[1] = np.where(label, codes[1] // 2, 128 + codes[1] // 2)
    odds, gains = classify(codes, label, 3, rng)
    assert auc(odds, label) > 0.99
    assert gains.sum(axis=0).argmax() == 1


def test_without_held_rows_all_rounds_are_kept() -> None:
    X, y = np.tile(np.arange(100, dtype=np.uint16), (1, 2)), np.tile(np.arange(100) >= 50, 2).astype(int)
    boosted = boost(X, y, 2, np.zeros(200, bool), stream(0), Boosting(rounds=7, min_leaf=5))
    assert len(boosted.trees) == 7
    chance = boosted.probabilities(X)[:, 1]
    assert chance[y == 1].min() > 0.7 > 0.3 > chance[y == 0].max()


# ------------------------------------------------------------------------------------------------- the judge


def flags(share: float, n: int = 6_000) -> Codes:
    """Two fields that do not depend on each other; of the first this share is 1."""
    first = (np.arange(n) < share * n).astype(np.int32)
    return Codes((Field("a", levels=2), Field("b")), (first, stream(int(share * 100)).random(n)), n)


def test_a_judge_keeps_rows_in_proportion_to_their_odds() -> None:
    """Half of the real rows, a quarter of the drawn ones have it: odds 2 and 2/3, so a third of the others stay."""
    judge = Judge.fit(flags(0.5), flags(0.25, 12_000), stream(1))
    fresh = flags(0.25, 30_000)
    kept = judge.keeps(fresh, stream(2))
    has = fresh.arrays[0] == 1
    assert abs(kept[~has].mean() / kept[has].mean() - 1 / 3) < 0.06
    again = Judge.restore(judge.arrays(), fresh.fields)
    assert again.keeps(fresh, stream(2)).tolist() == kept.tolist()


def test_a_judge_lets_enough_rows_stay() -> None:
    """However easily it tells drawn rows from real ones."""
    judge = Judge.fit(flags(0.99), flags(0.01, 12_000), stream(1))
    assert judge.keeps(flags(0.01, 30_000), stream(2)).mean() > 0.35


@pytest.mark.parametrize("part", ["top", "rank0", "values"])
def test_a_damaged_judge_is_refused(part: str) -> None:
    judge = Judge.fit(flags(0.5), flags(0.25, 12_000), stream(1))
    with pytest.raises(ModelFileError):
        Judge.restore(judge.arrays() | {part: judge.arrays()[part][:-1]}, flags(0.5).fields)
    with pytest.raises(ModelFileError):
        Judge.restore(judge.arrays() | {"top": np.array([np.nan])}, flags(0.5).fields)


def test_donors_give_the_middle_of_an_atom_exactly() -> None:
    """What is drawn must look to a tree as what was learned does."""
    field = Field("a", atoms=np.array([[0.1, 0.4000001], [0.5, 0.77777777]]))
    rows = np.repeat(field.atoms.mean(1), 30)
    tree, _ = grow(np.zeros((1, 60), np.uint16), rows[:, None], min_leaf=60)
    donors = Donors.fill(tree, np.zeros((1, 60), np.uint16), rows, field, 0.1)
    assert set(donors.draw(np.zeros((1, 200), np.uint16), stream(0))) == set(field.atoms.mean(1))


# ---------------------------------------------------------------------------------------------- marginals

SPIKED = Field("a", marks=1, atoms=np.array([[0.2, 0.6]]))


def test_a_marginal_of_ten_rows() -> None:
    """A mark of 1 row, then a free interval of 2, an atom of 4, a free interval of 3."""
    rows = np.array([-1, 0.0, 0.1, *[0.4] * 4, 0.7, 0.8, 0.9])
    marginal = Marginal.of(rows, SPIKED, group=10)
    assert marginal.edges.tolist() == [-1, 0, 0.2, 0.6, 1]
    assert marginal.counts.tolist() == [1, 2, 4, 3]
    shares = np.array([0.0, 0.0999, 0.1, 0.2, 0.3001, 0.6999, 0.85])
    assert marginal.quantile(shares) == pytest.approx(np.array([-1, -1, 0, 0.1, 0.4, 0.4, 0.8]))
    assert marginal.shares(rows[[0, 1, 2, 3, 8]], np.full(5, 0.5)) == pytest.approx([0.05, 0.1, 0.2, 0.5, 0.85])


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.sampled_from([-1.0, 0.4]) | st.floats(0, 0.199) | st.floats(0.6, 0.999), min_size=1, max_size=80),
    seed=st.integers(0, 99),
)
def test_a_share_s_value_stands_at_that_share(rows: list[float], seed: int) -> None:
    array, rng = np.array(rows), stream(seed)
    marginal = Marginal.of(array, SPIKED, group=5)
    shares = marginal.shares(array, rng.random(len(array)))
    found = marginal.quantile(np.clip(shares, 0, 1 - 1e-12))
    assert found == pytest.approx(array, abs=1e-9)
    single = (array < 0) | (array == 0.4)
    assert (found[single] == array[single]).all() or np.isclose(shares[single], marginal.ends[:, None]).any()


def test_normal_scores_are_those_of_the_standard_library() -> None:
    scores = np.linspace(-6, 6, 997)
    shares = np.array([NormalDist().cdf(z) for z in scores])
    assert np.abs(normal_share(scores) - shares).max() < 1e-8
    assert np.abs(normal_score(shares[shares < 0.999]) - scores[shares < 0.999]).max() < 1e-7
    assert normal_score(np.array([0.0, 1.0])).tolist() == [-FARTHEST, FARTHEST]
    assert 0 < normal_share(np.array([-99.0]))[0] < normal_share(np.array([99.0]))[0] < 1
