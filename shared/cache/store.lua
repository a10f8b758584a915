-- Write both halves of an entry and its line in the personality's index. An entry that is whole already stays:
-- an attempt that stored it and died before it could say so is followed by another, and both are one effect.
local key, personality, audio, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expires_ms = ARGV[5]

if redis.call('EXISTS', audio_key(key), metadata_key(key)) == 2 then return end
prune(personality)
strike(personality, key)
redis.call('SET', audio_key(key), audio, 'PXAT', expires_ms)
redis.call('SET', metadata_key(key), metadata, 'PXAT', expires_ms)
redis.call('ZADD', entries_key(personality), expires_ms, key)
redis.call('HSET', sizes_key(personality), key, #audio)
redis.call('HINCRBY', BYTES, personality, #audio)
redis.call('HINCRBY', STATS, 'sets', 1)
