"""API keys in SQL."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.database import Database, utc_now
from shared.directory import Changes
from shared.errors import Conflict, InvalidRequest, NotFound, SettingsError, Unauthorized
from shared.keys import ADMIN_ID, ApiKey, ApiKeys, KeyRow
from shared.scopes import Scope

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
    assert keys.authenticate(secret) == ApiKey(key.id, "shop", Scope.MANAGE)


def test_a_secret_begins_with_what_its_key_is_recognised_by_and_the_rest_is_random(keys):
    (one, secret), (other, _) = (keys.create(Scope.SPEAK, "shop") for _ in range(2))
    assert one.prefix == f"vf_{one.id[:8]}" != other.prefix
    assert secret.startswith(f"{one.prefix}_")
    assert len(secret) - len(one.prefix) - 1 == 43, "256 bits in base64"


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
    revoked = keys.revoke(key.id)
    assert revoked.revoked_at is not None
    assert keys.revoke(key.id) == revoked == keys.get(key.id)
    with pytest.raises(Unauthorized, match="revoked"):
        keys.authenticate(secret)


@pytest.mark.parametrize("ask", [ApiKeys.revoke, ApiKeys.get])
def test_a_key_that_does_not_exist_is_not_found(keys, ask):
    with pytest.raises(NotFound):
        ask(keys, "x")


def test_a_key_opens_until_it_expires(keys):
    in_an_hour = utc_now() + timedelta(hours=1)
    key, secret = keys.create(Scope.SPEAK, "shop", in_an_hour)
    assert keys.authenticate(secret).expires_at == in_an_hour == keys.get(key.id).expires_at
    _, secret = keys.create(Scope.SPEAK, "shop", utc_now())
    with pytest.raises(Unauthorized, match="expired"):
        keys.authenticate(secret)


def test_keys_are_listed_in_pages_the_newest_first_with_those_that_are_revoked(keys):
    keys.ensure_admin(FIRST)
    made = [keys.get(ADMIN_ID), *(keys.create(Scope.SPEAK, f"shop {n}")[0] for n in range(4))]
    made[2] = keys.revoke(made[2].id)
    newest_first = tuple(reversed(made))
    assert keys.list(limit=50) == newest_first
    assert keys.list(limit=2) == newest_first[:2]
    assert keys.list(limit=2, after_id=newest_first[1].id) == newest_first[2:4]
    assert keys.list(limit=2, after_id=newest_first[4].id) == ()
    with pytest.raises(InvalidRequest):
        keys.list(limit=2, after_id="x")


def test_keys_that_were_made_at_one_moment_are_all_listed(keys, database):
    made = {keys.create(Scope.SPEAK, "shop")[0].id for _ in range(5)}
    with database.session() as session:
        session.execute(update(KeyRow).values(created_at=utc_now()))
    first = keys.list(limit=3)
    assert {key.id for key in (*first, *keys.list(limit=3, after_id=first[-1].id))} == made


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


def test_the_admins_key_cannot_be_revoked_and_tells_nothing_of_its_secret(keys):
    keys.ensure_admin(FIRST)
    with pytest.raises(Conflict, match="VOICEFARM_ADMIN_KEY"):
        keys.revoke(ADMIN_ID)
    assert keys.authenticate(FIRST).scope is Scope.ADMIN
    assert keys.get(ADMIN_ID).prefix is None


def test_another_keys_secret_cannot_be_the_admins(keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    with pytest.raises(SettingsError, match="VOICEFARM_ADMIN_KEY"):
        keys.ensure_admin(secret)
    assert keys.authenticate(secret).id == key.id


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
