"""The dashboard's codes and sessions."""

from __future__ import annotations

import pytest

from shared.connections import front_client
from shared.errors import StateUnavailable
from shared.sessions import CODE_TTL_S, SESSION_TTL_S, end_all, exchange, is_open, issue_code


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


def test_a_code_opens_one_session(redis):
    code = issue_code(redis)
    token = exchange(redis, code)
    assert is_open(redis, token)
    assert exchange(redis, code) is None
    assert is_open(redis, token)


@pytest.mark.parametrize("made_up", ["", "x", "é"])
def test_what_was_never_issued_opens_nothing(redis, made_up):
    assert exchange(redis, made_up) is None
    assert not is_open(redis, made_up)


def test_a_code_is_no_session_and_a_token_no_code(redis):
    code = issue_code(redis)
    assert not is_open(redis, code)
    assert exchange(redis, exchange(redis, code)) is None


def test_all_sessions_and_codes_can_be_ended_at_once(redis):
    code, token = issue_code(redis), exchange(redis, issue_code(redis))
    end_all(redis)
    assert not is_open(redis, token)
    assert exchange(redis, code) is None
    assert is_open(redis, exchange(redis, issue_code(redis)))


def test_redis_holds_neither_codes_nor_tokens_and_for_a_time_only(redis):
    code = issue_code(redis)
    token = exchange(redis, issue_code(redis))
    left = {key.decode(): redis.ttl(key) for key in redis.scan_iter()}
    assert not any(code in key or token in key for key in left)
    code_left, session_left = sorted(left.values())
    assert CODE_TTL_S - 60 < code_left <= CODE_TTL_S
    assert SESSION_TTL_S - 60 < session_left <= SESSION_TTL_S


def test_without_redis_nothing_is_open_or_closed():
    redis = front_client("redis://127.0.0.1:1/0")
    for call in (issue_code, lambda r: exchange(r, "x"), lambda r: is_open(r, "x"), end_all):
        with pytest.raises(StateUnavailable):
            call(redis)
