"""The measure of how much the tests run: what counts, what fails, and that nothing measured is no pass."""

from pathlib import Path

import pytest

from tests.floors import ROOT, Share, by_floor, problems, script_lines

CORE = ROOT / "web" / "core"
LCOV = "TN:\nSF:web/core/fuzzy.js\nDA:1,1\nLH:60\nLF:{lines}\nend_of_record\n"


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_the_files_of_a_floor_count_together_and_others_not() -> None:
    files = {"server/a.py": Share(1, 4), "server/routes/b.py": Share(2, 4), "servers/c.py": Share(9, 9)}
    assert by_floor(files, ["server"]) == {"server": Share(3, 8)}
    assert by_floor(files, ["server"])["server"].percent == 37.5


@pytest.mark.parametrize(
    ("share", "fails"), [(Share(94, 100), True), (Share(95, 100), False), (Share(), True)]
)
def test_a_floor_below_what_it_had_reached_is_a_problem(share: Share, fails: bool) -> None:
    found = problems({"server": share}, {"server": 95.0})
    assert bool(found) is fails
    assert all("server" in each and "95.0%" in each for each in found)


def test_scripts_that_no_test_loads_count_as_not_run() -> None:
    found = script_lines(LCOV.format(lines=lines(CORE / "fuzzy.js")), CORE)
    assert found["web/core/fuzzy.js"] == Share(60, lines(CORE / "fuzzy.js"))
    assert found["web/core/media.js"] == Share(0, lines(CORE / "media.js"))
    assert found.keys() == {path.relative_to(ROOT).as_posix() for path in CORE.rglob("*.js")}
