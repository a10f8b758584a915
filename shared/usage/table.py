"""The table of syntheses: a row an attempt that made sound, for good."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  SQLAlchemy reads the annotations
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Index, String, TypeDecorator, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base

if TYPE_CHECKING:
    from sqlalchemy import Dialect

_MILLIONTHS = 6
# In these words, or SQLite does not see that the index serves.
HAS_COST = text("cost_usd > 0")


class MicroDollars(TypeDecorator[Decimal]):
    """US dollars to six decimal places, kept as a whole number of millionths.

    So they and their sums are exact in SQLite, too, which knows no decimal numbers.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Store as millionths, rounded to the nearest."""
        return None if value is None else micro_dollars(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Read as dollars."""
        return None if value is None else dollars(value)


def micro_dollars(amount_usd: Decimal) -> int:
    """Give an amount in millionths of a dollar, rounded to the nearest."""
    return int(amount_usd.scaleb(_MILLIONTHS).to_integral_value())


def dollars(amount_micro_usd: int) -> Decimal:
    """Give millionths of a dollar in dollars."""
    return Decimal(amount_micro_usd).scaleb(-_MILLIONTHS)


class SynthesisRow(Base):
    """The table. One index holds all that a report asks for, the other the costs of who charges."""

    __tablename__ = "syntheses"
    __table_args__ = (
        Index(
            "syntheses_by_day",
            "day",
            "provider",
            "personality_id",
            "characters",
            "audio_ms",
            "compute_ms",
            "cost_usd",
        ),
        Index(
            "syntheses_that_cost",
            "provider",
            "at",
            "cost_usd",
            sqlite_where=HAS_COST,
            postgresql_where=HAS_COST,
        ),
    )

    rendering_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    personality_id: Mapped[str] = mapped_column(String(36))
    """Perhaps of one that is deleted since."""
    at: Mapped[datetime]
    """When it was written down, by the state Redis's clock."""
    day: Mapped[date]
    """The day of `at`, in UTC."""
    characters: Mapped[int]
    audio_ms: Mapped[int]
    compute_ms: Mapped[int]
    cost_usd: Mapped[Decimal] = mapped_column(MicroDollars)
