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

-- Count so many times for a member of a ranking, each of which is worth half of it a half-life later. Scores are
-- logarithms (base 2, in half-lives): one of S is worth 2^(S - now) times of now, so that all decay together and none
-- is ever written for that.
local function rank(ranking, member, times, half_life_ms)
  local now = now_ms() / half_life_ms
  local before = tonumber(redis.call('ZSCORE', ranking, member) or now - 1100)
  local more = now + math.log(times) / math.log(2)
  local sum = math.max(before, more) + math.log(1 + 2 ^ -math.abs(more - before)) / math.log(2)
  redis.call('ZADD', ranking, string.format('%.17g', sum), member)
end

-- When a ranking has a quarter more than `most`, forget the least, here and in the hashes about them: so what is new
-- has time to be counted again.
local function forget_least(ranking, most, ...)
  local excess = redis.call('ZCARD', ranking) - most
  if excess <= most / 4 then return end
  local least = redis.call('ZRANGE', ranking, 0, excess - 1)
  redis.call('ZREM', ranking, unpack(least))
  for _, about in ipairs({...}) do redis.call('HDEL', about, unpack(least)) end
end
