"""Keep what every synthesis used and cost."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table, with indices that hold all that is asked for."""
    op.create_table(
        "syntheses",
        sa.Column("rendering_id", sa.String(120), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("personality_id", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("audio_ms", sa.Integer, nullable=False),
        sa.Column("compute_ms", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.BigInteger, nullable=False),
    )
    op.create_index(
        "syntheses_by_day",
        "syntheses",
        ["day", "provider", "personality_id", "characters", "audio_ms", "compute_ms", "cost_usd"],
    )
    op.create_index(
        "syntheses_that_cost",
        "syntheses",
        ["provider", "at", "cost_usd"],
        sqlite_where=sa.text("cost_usd > 0"),
        postgresql_where=sa.text("cost_usd > 0"),
    )
