-- Write both halves of an entry and its line in the personality's index, or nothing.
local key, personality, audio, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expires_ms = ARGV[5]

prune(personality)
strike(personality, key)
redis.call('SET', audio_key(key), audio, 'PXAT', expires_ms)
redis.call('SET', metadata_key(key), metadata, 'PXAT', expires_ms)
redis.call('ZADD', entries_key(personality), expires_ms, key)
redis.call('HSET', sizes_key(personality), key, #audio)
redis.call('HINCRBY', BYTES, personality, #audio)
redis.call('HINCRBY', STATS, 'sets', 1)
