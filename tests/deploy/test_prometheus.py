"""The alerts fire at what they are for, and at nothing else, by Prometheus' own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from tests.readme import README
from tests.watching import PROMETHEUS, rules

ALERTS = Path(__file__).with_name("alerts.yaml")


def promtool(*arguments) -> None:
    """Run it; what it finds wrong is its output."""
    found = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_prometheus_takes_the_configuration_and_its_rules():
    promtool("check", "config", str(PROMETHEUS))


def test_alerts_fire_when_they_should():
    promtool("test", "rules", str(ALERTS))


def test_every_alert_is_tested_to_fire_and_not_to_fire():
    tested = {True: set(), False: set()}
    for scenario in yaml.safe_load(ALERTS.read_text())["tests"]:
        for expectation in scenario["alert_rule_test"]:
            tested["exp_alerts" in expectation].add(expectation["alertname"])
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert tested == {True: alerts, False: alerts}


def test_every_alert_says_how_bad_it_is_and_what_helps():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert rule["annotations"].keys() == {"summary", "description"}


def test_the_readme_names_every_alert_and_no_other():
    named = set(re.findall(r"`(Voicefarm\w+)`", README.read_text()))
    assert named == {rule["alert"] for rule in rules() if "alert" in rule}
