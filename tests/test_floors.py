"""Whether the file of oldest versions speaks of the requirements as they are."""

from tests.floors import FLOORS, REQUIREMENTS, floors


def test_the_floors_are_those_of_the_requirements():
    assert FLOORS.read_text().splitlines() == floors()


def test_every_requirement_has_a_floor():
    lines = [line.split("#")[0].strip() for path in REQUIREMENTS for line in path.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("-r")]
    assert len(floors()) == len(wanted) == len({one.split("==")[0] for one in floors()})
