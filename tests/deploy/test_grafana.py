"""The dashboard: every panel says what it shows and in which unit, and none lies upon another."""

from __future__ import annotations

import re
from itertools import combinations

from tests.watching import DASHBOARD, dashboard, panels, targets

OURS = {"type": "prometheus", "uid": "${datasource}"}
GRAFANAS_OWN = {"__rate_interval", "__all"}


def test_every_panel_says_what_it_shows_and_in_which_unit():
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_no_two_panels_have_one_number_or_one_name():
    numbers, titles = ([panel[what] for panel in panels()] for what in ("id", "title"))
    assert (len(set(numbers)), len(set(titles))) == (len(numbers), len(titles))


def test_panels_lie_beside_each_other():
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above


def test_every_query_goes_to_the_data_source_that_is_chosen_and_has_a_legend():
    assert all(panel["datasource"] == OURS for panel in panels())
    for target in targets():
        assert target["datasource"] == OURS
        assert target["legendFormat"]


def test_every_variable_exists_and_is_used():
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    named = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))
    assert named - GRAFANAS_OWN == variables
