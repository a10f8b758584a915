"""A hit needs nothing but the two Redis databases that it reads."""

from __future__ import annotations

from tests.farm import running_farm
from tests.servers import redis_binaries, running_redis

SYNTHESIZE = "/api/voice/synthesize"


def test_a_farm_on_postgresql_speaks_and_its_hits_touch_neither_sql_nor_the_broker(tmp_path, postgres):
    with running_redis(redis_binaries()["6.2"], tmp_path / "broker") as broker:
        env = {"DATABASE_URL": postgres.new_database(), "CELERY_BROKER_URL": broker.url(0)}
        with running_farm(tmp_path, env=env) as farm, farm.client() as http:
            body = {"text": "Spoken once, heard twice."}
            spoken = http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=20"})
            assert (spoken.status_code, spoken.headers["X-Cache-Status"]) == (200, "MISS")
            broker.kill()
            postgres.stop()
            try:
                again = http.post(SYNTHESIZE, json=body)
                assert (again.status_code, again.headers["X-Cache-Status"]) == (200, "HIT")
                assert again.content == spoken.content
                reasons = " ".join(http.get("/readyz").json()["reasons"])
                assert "DATABASE_URL" in reasons
                assert "CELERY_BROKER_URL" in reasons
            finally:
                postgres.start()
                broker.start()
