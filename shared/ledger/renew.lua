-- Keep the lease of a running attempt. Returns 'kept', 'abandoned' (no job wants it any more) or 'fenced' (lost).
local frozen, id, attempt, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local state, current, jobs, deadline_ms =
  unpack(redis.call('HMGET', rendering_key(id), 'state', 'attempt', 'jobs', 'deadline_ms'))
if state ~= 'running' or current ~= attempt then return 'fenced' end
local now = now_ms(frozen)
if tonumber(jobs) <= 0 or now >= tonumber(deadline_ms) then return 'abandoned' end
redis.call('ZADD', DUE, now + lease_ms, id)
return 'kept'
