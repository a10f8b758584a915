-- Make an entry of the audio at `draft`, and its line in the personality's index. The same audio again changes
-- nothing: an attempt that stored it and died before it could say so is followed by another, and both are one effect.
-- Returns 1, or 0 when the voice that speaks is no more, or the draft.
local key, personality, draft, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expires_ms, sha256, revision = ARGV[5], ARGV[6], tonumber(ARGV[7])

if revision < tonumber(redis.call('HGET', REVISIONS, personality) or 0) then return 0 end

local before = redis.call('EXISTS', audio_key(key)) == 1 and redis.call('GET', metadata_key(key))
if before and string.find(before, sha256, 1, true) then return 1 end
local size = redis.call('STRLEN', draft)
if size == 0 then return 0 end
prune(personality)
strike(personality, key)
redis.call('RENAME', draft, audio_key(key))
redis.call('PEXPIREAT', audio_key(key), expires_ms)
redis.call('SET', metadata_key(key), metadata, 'PXAT', expires_ms)
redis.call('ZADD', entries_key(personality), expires_ms, key)
redis.call('HSET', sizes_key(personality), key, size)
redis.call('HINCRBY', BYTES, personality, size)
redis.call('HINCRBY', STATS, 'sets', 1)
return 1
