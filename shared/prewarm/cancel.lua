-- Drop what waits of a batch. Returns 'cancelled', 'ended' (too late) or 'gone'.
local id, kept_ms = ARGV[1], tonumber(ARGV[2])

local created_ms, finished_ms, cancelled_ms =
  unpack(redis.call('HMGET', batch_key(id), 'created_ms', 'finished_ms', 'cancelled_ms'))
if not created_ms then return 'gone' end
if finished_ms or cancelled_ms then return 'ended' end
redis.call('HSET', batch_key(id), 'cancelled_ms', now_ms())
count(id, 'cancelled', redis.call('LLEN', waiting_key(id)))
redis.call('DEL', waiting_key(id))
end_if_done(id, kept_ms)
return 'cancelled'
