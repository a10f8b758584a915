"""What the dashboard and the alerts ask Prometheus for is what a farm exports, by name and by label."""

from __future__ import annotations

import re

import pytest
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    VectorSelector,
    parse,
)

from tests.integration.scraping import scrape_everything
from tests.watching import dashboard, rules, targets

SCRAPED_WITH = {"job", "instance"}
VARIABLES = {"$__rate_interval": "5m", "$job": "voicefarm", "$provider": "espeak|piper"}


class Series:
    """The series that there are, by name and label, and which of them were asked for."""

    def __init__(self, scrape) -> None:
        self.labels = {"up": set(SCRAPED_WITH)}
        self.asked_for = set()
        for family in scrape.families.values():
            for sample in family.samples:
                self.labels.setdefault(sample.name, set(SCRAPED_WITH)).update(sample.labels)

    def check(self, expression) -> set[str]:
        """Assert that an expression asks for nothing else; gives the labels of its result."""
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        return self._labels(parse(expression))

    def _labels(self, node) -> set[str]:
        labels = set()
        match node:
            case VectorSelector():
                labels = self.labels[node.name]
                assert {matcher.name for matcher in node.matchers.matchers} <= labels
                self.asked_for.add(node.name)
            case MatrixSelector():
                labels = self._labels(node.vector_selector)
            case Call():
                labels = labels.union(*map(self._labels, node.args))
            case AggregateExpr():
                labels = set(node.modifier.labels) if node.modifier else labels
                assert labels <= self._labels(node.expr)
            case BinaryExpr():
                labels = self._labels_of_both(node)
            case ParenExpr():
                labels = self._labels(node.expr)
            case _:
                assert isinstance(node, NumberLiteral)
        return labels

    def _labels_of_both(self, node) -> set[str]:
        left, right = self._labels(node.lhs), self._labels(node.rhs)
        if node.modifier and node.modifier.matching:
            assert set(node.modifier.matching.labels) <= left & right
        elif not isinstance(node.rhs, NumberLiteral) and node.op != "or":
            assert left == right, "nothing of one side would find its like on the other"
        return left | right


@pytest.fixture
def series(farm, http, personalities) -> Series:
    """Those of a farm that has spoken and failed, and those that the rules record."""
    series = Series(scrape_everything(farm, http, personalities))
    for rule in rules():
        if "record" in rule:
            series.labels[rule["record"]] = series.check(rule["expr"])
    return series


def test_alerts_are_of_what_a_farm_exports_and_tell_of_labels_that_they_have(series):
    for rule in rules():
        if "alert" in rule:
            labels = series.check(rule["expr"])
            assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= labels, rule["alert"]


def test_the_dashboard_is_of_all_that_a_farm_exports_and_names_it_by_labels_that_it_has(series):
    series.asked_for.clear()
    for target in targets():
        labels = series.check(target["expr"])
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, target["expr"]
    ours = {name for name in series.labels if name.startswith("voicefarm_")}
    assert {name for name in ours - series.asked_for if not name.endswith(("_sum", "_count"))} == set()


def test_choices_are_labels_that_there_are(series):
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            assert label in series.check(metric)
