"""What Alembic runs for each command: the steps, over the connection that `upgrade` handed in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
