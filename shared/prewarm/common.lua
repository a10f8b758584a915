-- Shared by the scripts of pre-warming; the package's docstring tells what is under which key.
local BATCHES, OPEN, ENDED = 'voice:batches', 'voice:batches:open', 'voice:batches:ended'

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function batch_key(id) return 'voice:batch:' .. id end
local function waiting_key(id) return batch_key(id) .. ':waiting' end
local function begun_key(id) return batch_key(id) .. ':begun' end
local function failed_key(id) return batch_key(id) .. ':failed' end

-- Count so many items by what became of them.
local function count(id, outcome, number)
  redis.call('HINCRBY', batch_key(id), outcome, number)
  redis.call('HINCRBY', ENDED, outcome, number)
end

-- End a batch that has nothing more to do, and keep it for `kept_ms`.
local function end_if_done(id, kept_ms)
  if redis.call('LLEN', waiting_key(id)) > 0 or redis.call('HLEN', begun_key(id)) > 0 then return end
  redis.call('HSETNX', batch_key(id), 'finished_ms', now_ms())
  redis.call('ZREM', OPEN, id)
  redis.call('PEXPIRE', batch_key(id), kept_ms)
  redis.call('PEXPIRE', failed_key(id), kept_ms)
end
