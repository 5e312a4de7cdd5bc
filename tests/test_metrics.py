"""The naming rules that every family keeps, or its module does not import."""

import gc

import pytest

from exporter import self_metrics
from exporter.metrics import Family, Kind, Sample, info
from exporter.platform import installed

PLATFORM_FAMILIES = [
    family for platform in installed().values() for collector in platform.collectors for family in collector.families
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Fake_people", Kind.GAUGE),
        ("9fake", Kind.GAUGE),
        ("fake_", Kind.GAUGE),
        ("fake-people", Kind.GAUGE),
        ("fäke", Kind.GAUGE),
        ("", Kind.GAUGE),
        ("fake:people", Kind.GAUGE),
        ("fake_people_total", Kind.GAUGE),
        ("fake_people", Kind.COUNTER),
        ("fake_people_info", Kind.GAUGE),
        ("fake_people", Kind.INFO),
        ("fake_people_count", Kind.GAUGE),
        ("fake_people_sum", Kind.GAUGE),
        ("fake_people_bucket", Kind.GAUGE),
        ("fake_people_created", Kind.GAUGE),
    ],
)
def test_a_name_against_the_rules_is_refused(name: str, kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Family(name, "Help.", kind=kind)


@pytest.mark.parametrize("labels", [("Place",), ("place", "place"), ("",), ("9",), ("pl-ace",)])
def test_illegal_and_repeated_label_names_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="label names"):
        Family("fake_people", "Help.", labels)


@pytest.mark.parametrize("text", ["", "  "])
def test_help_is_not_optional(text: str) -> None:
    with pytest.raises(ValueError, match="HELP"):
        Family("fake_people", text)


def test_a_sample_has_its_labels_in_the_familys_order() -> None:
    family = Family("fake_people", "Help.", ("role", "place"))

    assert family.sample(7, place="x", role="y") == Sample(family, ("y", "x"), 7)


@pytest.mark.parametrize(
    "labels", [{}, {"role": "y"}, {"role": "y", "other": "x"}, {"role": "y", "place": "x", "z": ""}]
)
def test_a_sample_with_other_labels_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="has the labels"):
        Family("fake_people", "Help.", ("role", "place")).sample(7, **labels)


def test_info_makes_a_family_of_constants() -> None:
    assert info("fake_place_info", "Help.", ("place",)) == Family("fake_place_info", "Help.", ("place",), Kind.INFO)


def test_the_exporters_own_families_are_named_engagement_and_each_once() -> None:
    names = [family.name for family in self_metrics.FAMILIES]

    assert all(name.startswith("engagement_") for name in names)
    assert len(set(names)) == len(names)


def test_what_a_platform_reports_is_never_a_counter_and_has_no_unbounded_type_of_label() -> None:
    for family in PLATFORM_FAMILIES:
        assert family.kind in (Kind.GAUGE, Kind.INFO), family.name
        assert not {"user", "email", "e_mail", "target", "year", "day"} & set(family.labels), family.name


def test_names_stand_on_info_series_only() -> None:
    for family in PLATFORM_FAMILIES:
        assert "name" not in family.labels or family.kind is Kind.INFO, family.name


def test_help_names_its_source() -> None:
    """HELP says the endpoint that the numbers come from."""
    for family in PLATFORM_FAMILIES:
        assert "/" in family.help, family.name


def test_samples_are_nothing_to_the_garbage_collector() -> None:
    """Going through a million of them would stop every thread for 0.1 s."""
    assert not gc.is_tracked(Family("fake_people", "People.").sample(1))
