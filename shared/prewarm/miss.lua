-- Count a miss. Scores are logarithms (base 2, in half-lives): one of S is worth 2^(S - now) misses of now, so that
-- all decay together and none is ever written for that. When there are a quarter more than `most`, the least are
-- forgotten: so what is new has time to be missed again.
local member, about, half_life_ms, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local MISSED, ABOUT, COUNTS = 'voice:missed', 'voice:missed:about', 'voice:missed:counts'

local now = now_ms() / half_life_ms
local before = tonumber(redis.call('ZSCORE', MISSED, member) or now - 1100)
local sum = math.max(before, now) + math.log(1 + 2 ^ -math.abs(now - before)) / math.log(2)
redis.call('ZADD', MISSED, string.format('%.17g', sum), member)
redis.call('HSET', ABOUT, member, about)
redis.call('HINCRBY', COUNTS, member, 1)
local excess = redis.call('ZCARD', MISSED) - most
if excess > most / 4 then
  local least = redis.call('ZRANGE', MISSED, 0, excess - 1)
  redis.call('ZREM', MISSED, unpack(least))
  redis.call('HDEL', ABOUT, unpack(least))
  redis.call('HDEL', COUNTS, unpack(least))
end
