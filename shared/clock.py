"""What Celery beat rings, once a period of `VOICEFARM_REWARM_SECONDS`: a task that any pool may answer."""

QUEUE = "farm"
"""Every pool takes from it while nobody waits for its own provider."""
TASK = "voicefarm.rewarm"
