"""Speech made before anybody asks for it, so that it is a hit when somebody does.

A **batch** is a record in the state Redis with its items, each a speech request. An item becomes an ordinary
job on an ordinary rendering by its ordinary cache key, so that single flight, fallback, the judging of sound,
costs and the ledger's recovery all hold; only its priority is low:

* Its rendering waits in its provider's second queue, `{provider}.prewarm`, at the broker and in the ledger.
  A pool takes a message of that queue when there is none in the first, and whoever claims such a rendering
  is given the oldest one that somebody waits for instead, if there is one.
* A request for the same audio joins the rendering, which goes over to the interactive queue and is rung for
  there.
* It takes no place of the backlog, counts in no statistics of requests nor against a rate limit, and is in
  nobody's list of jobs; its audio is left to the cache.

A batch's items wait in a list (`waiting`). The **feeder**, a thread in every front of which one at a time has
the lease, moves a few of them on (`begun`), submits a job for each and settles it when that has ended. The
fronts do it because a key stands for how the *front* routes: a worker may be of another environment, with
other engines.

Whatever is killed, nothing is lost and nothing counts twice: an item is in exactly one of `waiting`, `begun`
and the counts, and moves in one script; its job has a name that follows from batch and number, so submitting
it again gives the same job; a job that is no longer kept is looked for in the cache, and else submitted anew.
Items that find no worker or a full queue wait for the next pass, for a day at most.

Cancelling a batch drops what waits and leaves the jobs that are queued; what runs, or what somebody else
shares, goes on. A batch is kept for a day after its end.

    voice:batch:{id}          hash  its owner, counts and times
    voice:batch:{id}:waiting  list  "number request" of items that no job was submitted for
    voice:batch:{id}:begun    hash  request by number, of items whose job has not ended
    voice:batch:{id}:failed   list  what failed and why, as JSON
    voice:batches             zset  every batch, by when it was made; no two have one score
    voice:batches:open        zset  those with something to do, likewise
    voice:batches:ended       hash  items of all batches that have ended, by state; cached ones are none
    voice:batches:start       the last batch of what is made when the farm starts
    voice:missed…                   what interactive requests missed; see `misses`
    voice:asked:{personality}…      what they asked for, hits included; see `demand`
    voice:rewarm:…                  which voices have changed since; see `rewarming`
"""

from shared.prewarm.batches import Batches
from shared.prewarm.demand import Demand
from shared.prewarm.feeder import Feeder
from shared.prewarm.misses import MAX_KEPT, Miss, Misses
from shared.prewarm.plan import Plan, plan
from shared.prewarm.records import Batch, BatchStatus, FailedItem, Item
from shared.prewarm.request import MAX_ITEMS, PrewarmRequest
from shared.prewarm.rewarming import Rewarmer
from shared.prewarm.start import read_start_lists

__all__ = [
    "MAX_ITEMS",
    "MAX_KEPT",
    "Batch",
    "BatchStatus",
    "Batches",
    "Demand",
    "FailedItem",
    "Feeder",
    "Item",
    "Miss",
    "Misses",
    "Plan",
    "PrewarmRequest",
    "Rewarmer",
    "plan",
    "read_start_lists",
]
