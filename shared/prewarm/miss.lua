-- Count a miss.
local member, about, half_life_ms, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local MISSED, ABOUT, COUNTS = 'voice:missed', 'voice:missed:about', 'voice:missed:counts'

rank(MISSED, member, 1, half_life_ms)
redis.call('HSET', ABOUT, member, about)
redis.call('HINCRBY', COUNTS, member, 1)
forget_least(MISSED, most, ABOUT, COUNTS)
