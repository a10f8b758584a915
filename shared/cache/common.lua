-- Shared by the cache's scripts.
--
--   voice:audio:{key}            the encoded audio    } written together, expire at the same millisecond;
--   voice:metadata:{key}         what is known of it  } one without the other is a miss
--   voice:draft:{key}:{sha256}   audio on its way into an entry; expires soon if it does not get there
--   voice:entries:{personality}  zset   keys of its entries by the time they expire
--   voice:sizes:{personality}    hash   bytes of each of them
--   voice:bytes                  hash   bytes of each personality that has entries
--   voice:revisions              hash   the oldest voice revision of a personality that is taken in
--   voice:stats                  hash   counters
--   voice:expiring               set    keys of entries that were asked for in the second half of their time

local BYTES, REVISIONS, STATS = 'voice:bytes', 'voice:revisions', 'voice:stats'
local EXPIRING = 'voice:expiring'

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function audio_key(key) return 'voice:audio:' .. key end
local function metadata_key(key) return 'voice:metadata:' .. key end
local function entries_key(personality) return 'voice:entries:' .. personality end
local function sizes_key(personality) return 'voice:sizes:' .. personality end

-- Take an entry out of its personality's index.
local function strike(personality, key)
  redis.call('ZREM', entries_key(personality), key)
  local size = redis.call('HGET', sizes_key(personality), key)
  if size then
    redis.call('HDEL', sizes_key(personality), key)
    redis.call('HINCRBY', BYTES, personality, -tonumber(size))
  end
end

-- Take what has expired by itself out of a personality's index; every entry is taken out once.
local function prune(personality)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', entries_key(personality), '-inf', now_ms())) do
    strike(personality, key)
  end
  local left = redis.call('ZCARD', entries_key(personality))
  if left == 0 then redis.call('HDEL', BYTES, personality) end
  return left
end
