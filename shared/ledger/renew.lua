-- Keep the lease of a running attempt. Returns 'kept', 'abandoned' (no job wants it) or 'fenced' (lost).
local frozen, id, attempt, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local state, current, jobs = unpack(redis.call('HMGET', rendering_key(id), 'state', 'attempt', 'jobs'))
if state ~= 'running' or current ~= attempt then return 'fenced' end
if tonumber(jobs) <= 0 then return 'abandoned' end
redis.call('ZADD', DUE, now_ms(frozen) + lease_ms, id)
return 'kept'
