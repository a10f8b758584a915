"""The locks name whatever pyproject asks for, with hashes; `make lock` renews them."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = [
    *PROJECT["project"]["dependencies"],
    *(
        requirement
        for extra in ("espeak", "google", "piper")
        for requirement in PROJECT["project"]["optional-dependencies"][extra]
    ),
    *PROJECT["dependency-groups"]["build"],
]
TORCH = [
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["styletts2"],
    *PROJECT["project"]["optional-dependencies"]["xtts"],
    *PROJECT["dependency-groups"]["build"],
    *PROJECT["dependency-groups"]["torch-dev"],
]
ASKED_FOR = {
    "base": BASE,
    "torch-cpu": TORCH,
    "torch-cuda": TORCH,
    "test": [*BASE, *PROJECT["dependency-groups"]["dev"]],
    "uv": PROJECT["dependency-groups"]["uv"],
}


def lock(name):
    return (ROOT / "deploy" / "requirements" / f"{name}.txt").read_text()


def pins(name):
    """Give the locked version of every package that has a hash."""
    hashed = re.compile(r"^([\w.-]+)==(\S+)[^\n]*\\\n +--hash=sha256:", re.MULTILINE)
    return {canonicalize_name(package): version for package, version in hashed.findall(lock(name))}


@pytest.mark.parametrize("name", ASKED_FOR)
def test_a_lock_holds_all_that_is_asked_for(name):
    for requirement in map(Requirement, ASKED_FOR[name]):
        version = pins(name).get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not locked: make lock"
        assert requirement.specifier.contains(version)


def test_the_tests_run_on_the_versions_that_users_run():
    base, test = pins("base"), pins("test")
    assert base == {package: test[package] for package in base}


@pytest.mark.parametrize("name", ASKED_FOR)
def test_a_lock_names_no_place_to_download_from(name):
    assert not re.search(r"://|--(extra-)?index|--find-links", lock(name))
