-- Shared by every script: keys, clock, the end of a rendering. Prefixed to each by `shared/lua.py`.
--
--   voice:job:{id}          hash    what one caller asked for; expires after deadline + time to live
--   voice:jobs              zset    every job, by when it was made; no two have one score
--   voice:jobs:{owner}      zset    those of one API key
--   voice:idempotency:{owner}:{key}  hash  the job that a caller's idempotency key stands for; expires after a day
--   voice:rendering:{id}    hash    one piece of audio being made; expires a job's time to live after its end
--   voice:result:{id}       string  its audio
--   voice:draft:{id}:{attempt}  string  that of an attempt that ends; expires soon if it was not the current one's
--   voice:live:{cache key}  string  the rendering under way for that key, or just succeeded
--   voice:due               zset    every live rendering; queued: when to ring again, running: when the lease ends
--   voice:queue:{queue}     zset    queued renderings, oldest first; a provider's interactive queue has its name, that of
--                                   pre-warming '{provider}.prewarm'
--   voice:ended             hash    how many renderings have ended, by state
--   voice:circuits          zset    providers that are left alone, by when a probe may go; see shared/circuits.py
--   voice:usage             stream  what attempts used; see `shared/usage/outbox.py`
--   voice:transitions       stream  renderings that moved, with their new states, or that a job 'left'; what fronts
--                                   read that follow a job
--   voice:end:{id}          stream  an entry when this rendering ended or this job was cancelled; what those block on
--                                   who wait for it; expires soon

local DUE, ENDED, TRANSITIONS, JOBS = 'voice:due', 'voice:ended', 'voice:transitions', 'voice:jobs'
local CIRCUITS = 'voice:circuits'
local USAGE = 'voice:usage'
-- Longer than those who wait block before they look again.
local END_TOLD_MS = 10000

-- The server's clock, or the time given by a test.
local function now_ms(frozen_ms)
  if frozen_ms ~= '' then return tonumber(frozen_ms) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(id) return 'voice:job:' .. id end
local function rendering_key(id) return 'voice:rendering:' .. id end
local function result_key(id) return 'voice:result:' .. id end
local function draft_key(id, attempt) return 'voice:draft:' .. id .. ':' .. attempt end
local function queue_key(provider, priority)
  return 'voice:queue:' .. provider .. (priority == 'prewarm' and '.prewarm' or '')
end
local function end_key(id) return 'voice:end:' .. id end
local function live_key(cache_key) return 'voice:live:' .. cache_key end

local function is_live(state) return state == 'queued' or state == 'running' end

local function announce(id, what)
  redis.call('XADD', TRANSITIONS, 'MAXLEN', '~', 10000, '*', 'rendering', id, 'what', what)
end

local function tell_end(id)
  redis.call('XADD', end_key(id), '*', 'what', 'end')
  redis.call('PEXPIRE', end_key(id), END_TOLD_MS)
end

local function add_attempt(id, attempt)
  if attempt == '' then return end
  local before = redis.call('HGET', rendering_key(id), 'attempts')
  redis.call('HSET', rendering_key(id), 'attempts', before == '' and attempt or before .. ',' .. attempt)
end

local function enqueue(id, provider, created_ms, due_ms)
  redis.call('HSET', rendering_key(id), 'state', 'queued', 'provider', provider)
  redis.call('ZADD', queue_key(provider, redis.call('HGET', rendering_key(id), 'priority')), created_ms, id)
  redis.call('ZADD', DUE, due_ms, id)
end

local function dequeue(id, provider)
  redis.call('ZREM', queue_key(provider, redis.call('HGET', rendering_key(id), 'priority')), id)
end

-- Keep an ended rendering and its audio for a job's time to live from now.
local function retain(id, ttl_ms)
  redis.call('PEXPIRE', rendering_key(id), ttl_ms)
  redis.call('PEXPIRE', result_key(id), ttl_ms)
end

-- A succeeded rendering stays reachable by its cache key for `keep_ms`, for a request that looked before its end;
-- the audio of one that nobody asked for is in the cache, and kept here no longer than that.
local function terminate(id, state, now, keep_ms, field, value)
  local key = rendering_key(id)
  local provider, cache_key, ttl_ms, priority =
    unpack(redis.call('HMGET', key, 'provider', 'cache_key', 'ttl_ms', 'priority'))
  redis.call('HSET', key, 'state', state, 'finished_ms', now, field, value)
  dequeue(id, provider)
  redis.call('ZREM', DUE, id)
  if state == 'succeeded' then
    redis.call('PEXPIRE', live_key(cache_key), keep_ms)
  else
    redis.call('DEL', live_key(cache_key))
  end
  retain(id, ttl_ms)
  if priority == 'prewarm' then redis.call('PEXPIRE', result_key(id), keep_ms) end
  redis.call('HINCRBY', ENDED, state, 1)
  announce(id, state)
  tell_end(id)
end

-- A job as it stands: {its fields, the values of these fields of its rendering, the rank of that in its provider's
-- queue, false if it is in none}; {} if it is no longer kept.
local STANDING = {'state', 'provider', 'attempts', 'started_ms', 'finished_ms', 'result', 'error', 'priority'}
local function standing(job_id)
  local id = redis.call('HGET', job_key(job_id), 'rendering')
  local rendering = id and redis.call('HMGET', rendering_key(id), unpack(STANDING))
  if not (rendering and rendering[1]) then return {} end
  local rank = rendering[1] == 'queued' and redis.call('ZRANK', queue_key(rendering[2], rendering[8]), id)
  return {redis.call('HGETALL', job_key(job_id)), rendering, rank}
end

local DEADLINE = '{"code":"deadline_exceeded","detail":"The job did not end before its deadline."}'
