-- Count entries and bytes. Returns {counters, entries, bytes}.
local count, bytes = 0, 0
for _, personality in ipairs(redis.call('HKEYS', BYTES)) do
  count = count + prune(personality)
  bytes = bytes + tonumber(redis.call('HGET', BYTES, personality) or 0)
end
return {redis.call('HGETALL', STATS), count, bytes}
