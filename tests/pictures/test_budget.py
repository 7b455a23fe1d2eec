"""What may be decoded at a time: told before it is, by picture and in all."""

import pytest

from pictures.budget import A_PICTURE, A_RUN_AT_LEAST, FLOATS, MEGABYTE, Budget, Budgets, OverBudget


def test_pictures_are_counted_until_the_budget_is_full() -> None:
    budget = Budget(total=1000, picture=600)
    assert budget.take("a", 10, 10, 4) == 400
    budget.take("b", 10, 5, 4, frames=3)
    with pytest.raises(OverBudget, match="beside 0 MB of others"):
        budget.take("c", 1, 1, 4)
    assert budget.taken == 1000, "what is refused is not counted"
    budget.give_back(400)
    budget.take("c", 1, 1, 4)


def test_a_refusal_names_sizes_budget_and_cure() -> None:
    budget = Budget(total=100 * MEGABYTE, picture=50 * MEGABYTE, cure="ask for less")
    with pytest.raises(OverBudget) as one:
        budget.take("a.png", 4096, 4096, 4)
    assert str(one.value) == (
        "'a.png' has 4096×4096 pixels: decoded, one picture of that size takes 64 MB, "
        "and 50 MB is all that one may; ask for less"
    )
    budget.take("b.png", 1024, 1024, 8)
    with pytest.raises(OverBudget) as all_:
        budget.take("c.gif", 1024, 1024, 12, frames=60)
    assert str(all_.value) == (
        "'c.gif' has 60 × 1024×1024 pixels: decoded, that takes 720 MB beside 8 MB of others, "
        "and 100 MB is all that may be decoded at a time; ask for less"
    )


def test_a_run_has_a_budget_of_its_own() -> None:
    budgets = Budgets(total=100)
    assert budgets.of("a") is budgets.of("a")
    budgets.of("a").take("x", 5, 5, 4)
    budgets.of("b").take("y", 5, 5, 4)
    assert budgets.of("b").taken == 100
    assert budgets.of("").taken == budgets.fresh().taken == 0
    with pytest.raises(OverBudget, match="--decoded-memory"):
        budgets.of("c").take("z", 6, 5, 4)


def test_budgets_follow_the_machine() -> None:
    budget = Budgets().fresh()
    assert budget.picture == A_PICTURE
    assert budget.total >= A_RUN_AT_LEAST
    budget.take("large", 8192, 8192, FLOATS)
    with pytest.raises(OverBudget):
        Budgets().fresh().take("bomb", 10_000, 10_000, FLOATS)
