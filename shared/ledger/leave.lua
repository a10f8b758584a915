-- Cancel one job. Its rendering goes on for the others; without others it ends now if it is queued, and at the
-- next renewal if it runs. Returns 'left', 'ended' (too late) or 'gone'.
local frozen, job_id = ARGV[1], ARGV[2]

local job_key = 'voice:job:' .. job_id
local id, cancelled_ms = unpack(redis.call('HMGET', job_key, 'rendering', 'cancelled_ms'))
if not id then return 'gone' end
local state, ttl_ms = unpack(redis.call('HMGET', rendering_key(id), 'state', 'ttl_ms'))
if cancelled_ms or not is_live(state) then return 'ended' end

local now = now_ms(frozen)
redis.call('HSET', job_key, 'cancelled_ms', now)
redis.call('PEXPIRE', job_key, ttl_ms)
if redis.call('HINCRBY', rendering_key(id), 'jobs', -1) == 0 and state == 'queued' then
  terminate(id, 'cancelled', now, 0, 'error', '')
else
  announce(id)
end
return 'left'
