"""Keep who consented to each voice sample, and which samples the store may hold."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "voice_samples",
        sa.Column("path", sa.String(100), primary_key=True),
        sa.Column("personality_id", sa.String(36), nullable=False),
        sa.Column("consent_key_id", sa.String(36), nullable=False),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
