-- Make an entry of the audio at `draft`, and its line in the personality's index. The same audio again changes
-- nothing: an attempt that stored it and died before it could say so is followed by another, and both are one effect.
-- The ledger's database, if it is here, gets a copy of what is taken.
-- Returns 'stored', 'no voice' when the voice that speaks is no more, or 'no audio' when the draft is.
local key, personality, draft, metadata = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expires_ms, sha256, revision = ARGV[5], ARGV[6], tonumber(ARGV[7])
local copy, state_db = ARGV[8], ARGV[9]

if revision < tonumber(redis.call('HGET', REVISIONS, personality) or 0) then return 'no voice' end
local size = redis.call('STRLEN', draft)
if size == 0 then return 'no audio' end

-- While it is a draft, so that the copy expires as soon. A full server refuses this and takes the rest, which begins
-- with a RENAME.
if copy ~= '' then redis.pcall('COPY', draft, copy, 'DB', state_db, 'REPLACE') end
local before = redis.call('EXISTS', audio_key(key)) == 1 and redis.call('GET', metadata_key(key))
if before and string.find(before, sha256, 1, true) then return 'stored' end
prune(personality)
strike(personality, key)
redis.call('RENAME', draft, audio_key(key))
redis.call('PEXPIREAT', audio_key(key), expires_ms)
redis.call('SET', metadata_key(key), metadata, 'PXAT', expires_ms)
redis.call('ZADD', entries_key(personality), expires_ms, key)
redis.call('HSET', sizes_key(personality), key, size)
redis.call('HINCRBY', BYTES, personality, size)
redis.call('HINCRBY', STATS, 'sets', 1)
return 'stored'
