"""API keys in SQL."""

from __future__ import annotations

import multiprocessing

import pytest
from sqlalchemy import select

from shared.database import Database
from shared.directory import Changes
from shared.errors import NotFound, SettingsError, Unauthorized
from shared.keys import ApiKeys, KeyRow, Scope

FIRST, SECOND = "first-admin-key-of-32-characters!", "second-admin-key-of-32-characters"


@pytest.fixture
def keys(database, redis_server) -> ApiKeys:
    return ApiKeys(database, Changes(redis_server.client(1)))


def test_each_scope_allows_itself_and_what_is_below_it():
    allowed = {scope: [other for other in Scope if scope.allows(other)] for scope in Scope}
    assert allowed == {
        Scope.SPEAK: [Scope.SPEAK],
        Scope.MANAGE: [Scope.SPEAK, Scope.MANAGE],
        Scope.ADMIN: [Scope.SPEAK, Scope.MANAGE, Scope.ADMIN],
    }


def test_a_new_key_opens_with_its_secret(keys):
    key, secret = keys.create(Scope.MANAGE, "shop")
    assert (key.name, key.scope) == ("shop", Scope.MANAGE)
    assert secret.startswith("vf_")
    assert keys.authenticate(secret) == key


def test_the_secret_is_stored_nowhere(keys, database):
    _, secret = keys.create(Scope.SPEAK, "shop")
    with database.session() as session:
        row = session.scalars(select(KeyRow)).one()
    assert not any(secret[3:] in str(value) for value in vars(row).values())


@pytest.mark.parametrize(
    "change", [lambda s: s + "x", lambda s: s[:-1] + "é", lambda _: "", lambda s: s.upper()]
)
def test_any_other_secret_is_unauthorized(keys, change):
    _, secret = keys.create(Scope.SPEAK, "shop")
    with pytest.raises(Unauthorized):
        keys.authenticate(change(secret))


def test_a_digest_that_only_begins_alike_is_unauthorized(keys, database):
    key, secret = keys.create(Scope.SPEAK, "shop")
    with database.session() as session:
        row = session.get(KeyRow, key.id)
        row.digest = row.lookup + "0" * 48
    with pytest.raises(Unauthorized):
        keys.authenticate(secret)


def test_a_revoked_key_opens_nothing_and_can_be_revoked_again(keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    keys.revoke(key.id)
    keys.revoke(key.id)
    with pytest.raises(Unauthorized):
        keys.authenticate(secret)


def test_a_key_that_does_not_exist_cannot_be_revoked(keys):
    with pytest.raises(NotFound):
        keys.revoke("x")


def test_the_admins_new_key_replaces_the_old_one_and_its_jobs_stay_owned(keys):
    keys.ensure_admin(FIRST)
    before = keys.authenticate(FIRST)
    assert (before.name, before.scope) == ("admin", Scope.ADMIN)
    keys.ensure_admin(SECOND)
    assert keys.authenticate(SECOND) == before
    with pytest.raises(Unauthorized):
        keys.authenticate(FIRST)


def test_the_admins_unchanged_key_changes_nothing(keys, redis_server):
    keys.ensure_admin(FIRST)
    epoch = redis_server.client(1).get("voice:epoch")
    keys.ensure_admin(FIRST)
    assert redis_server.client(1).get("voice:epoch") == epoch


def test_the_admins_revoked_key_opens_again_when_it_is_still_set(keys):
    keys.ensure_admin(FIRST)
    keys.revoke(keys.authenticate(FIRST).id)
    keys.ensure_admin(FIRST)
    assert keys.authenticate(FIRST).scope is Scope.ADMIN


def test_another_keys_secret_cannot_be_the_admins(keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    with pytest.raises(SettingsError, match="VOICEFARM_ADMIN_KEY"):
        keys.ensure_admin(secret)
    assert keys.authenticate(secret) == key


def test_processes_that_ensure_the_admin_at_once_all_succeed(keys, database_url, redis_server):
    def ensure():
        ApiKeys(Database(database_url), Changes(redis_server.client(1))).ensure_admin(FIRST)

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=ensure) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert keys.authenticate(FIRST).scope is Scope.ADMIN
