-- Write both halves of an entry and its line in the personality's index. The same audio again changes nothing:
-- an attempt that stored it and died before it could say so is followed by another, and both are one effect.
-- Returns 1, or 0 when the voice that speaks is no more.
local key, personality, audio, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expires_ms, sha256, revision = ARGV[5], ARGV[6], tonumber(ARGV[7])

if revision < tonumber(redis.call('HGET', REVISIONS, personality) or 0) then return 0 end

local before = redis.call('EXISTS', audio_key(key)) == 1 and redis.call('GET', metadata_key(key))
if before and string.find(before, sha256, 1, true) then return 1 end
prune(personality)
strike(personality, key)
redis.call('SET', audio_key(key), audio, 'PXAT', expires_ms)
redis.call('SET', metadata_key(key), metadata, 'PXAT', expires_ms)
redis.call('ZADD', entries_key(personality), expires_ms, key)
redis.call('HSET', sizes_key(personality), key, #audio)
redis.call('HINCRBY', BYTES, personality, #audio)
redis.call('HINCRBY', STATS, 'sets', 1)
return 1
