-- Make a batch of the items that wait under its name already; no part of it is kept for longer than `most_ms`.
local id, owner, total, cached, estimated_ms = unpack(ARGV, 1, 5)
local kept_ms, most_ms = tonumber(ARGV[6]), tonumber(ARGV[7])

local now = now_ms()
redis.call('HSET', batch_key(id), 'owner', owner, 'total', total, 'cached', cached, 'succeeded', cached,
  'estimated_ms', estimated_ms, 'created_ms', now)
redis.call('PEXPIRE', batch_key(id), most_ms)
local newest = redis.call('ZREVRANGE', BATCHES, 0, 0, 'WITHSCORES')[2]
local score = math.max(now * 1000, (tonumber(newest) or 0) + 1)
for _, index in ipairs({BATCHES, OPEN}) do
  redis.call('ZREMRANGEBYSCORE', index, '-inf', (now - most_ms) * 1000)
  redis.call('ZADD', index, score, id)
  redis.call('PEXPIRE', index, most_ms)
end
end_if_done(id, kept_ms)
