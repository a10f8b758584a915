"""`deploy/setup.py`: what pip is configured to do, uv does."""

import runpy
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "deploy" / "setup.py"
uv_settings = runpy.run_path(str(PROGRAM))["uv_settings"]


def test_a_mirror_of_pip_is_uvs_default_index():
    assert uv_settings("global.index-url='https://mirror.test/simple'") == {
        "UV_DEFAULT_INDEX": "https://mirror.test/simple"
    }


def test_several_extra_indexes_are_handed_over():
    several = "global.extra-index-url='\\nfile:///a/simple\\nfile:///b/simple'"
    assert uv_settings(several) == {"UV_INDEX": "file:///a/simple file:///b/simple"}


@pytest.mark.parametrize(
    "stronger", [":env:.index-url='https://stronger.test'", "install.index-url='https://stronger.test'"]
)
def test_what_is_strongest_in_pip_wins(stronger):
    config = f"{stronger}\nglobal.index-url='https://weaker.test'"
    assert uv_settings(config) == {"UV_DEFAULT_INDEX": "https://stronger.test"}


def test_folders_of_wheels_that_are_not_there_are_passed_over(tmp_path):
    config = f"global.find-links='{tmp_path} {tmp_path / 'missing'} https://wheels.test/'"
    assert uv_settings(config) == {"UV_FIND_LINKS": f"{tmp_path},https://wheels.test/"}


def test_what_uv_has_no_use_for_is_left_out():
    assert uv_settings("global.timeout='60'\ninstall.user='true'") == {}
