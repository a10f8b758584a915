-- Cancel one job. Its rendering goes on for the others; without others it ends now if it is queued, and at the
-- next renewal if it runs. With `if_queued` one that runs is left alone.
-- Returns 'left', 'ended' (too late), 'running' (left alone) or 'gone'.
local frozen, job_id, if_queued = ARGV[1], ARGV[2], ARGV[3] == '1'

local key = job_key(job_id)
local id, cancelled_ms, deadline_ms = unpack(redis.call('HMGET', key, 'rendering', 'cancelled_ms', 'deadline_ms'))
if not id then return 'gone' end
local now = now_ms(frozen)
local state, ttl_ms = unpack(redis.call('HMGET', rendering_key(id), 'state', 'ttl_ms'))
if cancelled_ms or not is_live(state) or now >= tonumber(deadline_ms) then return 'ended' end
if if_queued and state == 'running' then return 'running' end

redis.call('HSET', key, 'cancelled_ms', now)
redis.call('PEXPIRE', key, ttl_ms)
if redis.call('HINCRBY', rendering_key(id), 'jobs', -1) == 0 and state == 'queued' then
  terminate(id, 'cancelled', now, 0, 'error', '')
else
  announce(id, 'left')
  tell_end(job_id)
end
return 'left'
