"""Where an engine's libraries are looked for, and what is said where they are not."""

from __future__ import annotations

import pytest

from shared import environments
from shared.catalog import CATALOG
from shared.environments import Environment
from shared.settings import Settings

TORCH = [name for name, spec in CATALOG.items() if spec.environment is Environment.TORCH]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project without environments of its own."""
    monkeypatch.setattr(environments, "PROJECT", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_the_process_itself_is_looked_at_for_every_environment():
    assert Environment.BASE.has("flask")
    assert Environment.TORCH.has("flask")
    assert not Environment.BASE.has("no_such_package.module")


def test_the_other_environment_is_looked_at_for_its_own_engines_only(project):
    package = project / ".venv-torch" / "lib" / "python3.11" / "site-packages" / "an_engine"
    package.mkdir(parents=True)
    assert not Environment.TORCH.has("an_engine_too")
    (package / "__init__.py").touch()
    assert Environment.TORCH.has("an_engine")
    assert not Environment.BASE.has("an_engine")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", TORCH)
def test_without_it_an_engine_says_how_to_install_it_and_is_not_enabled(name):
    equipment = CATALOG[name].equipment(Settings.load())
    assert equipment.problem == "Its libraries are not installed here."
    assert equipment.remedy == f'Run: make up ENGINES="{name}"'
