-- Delete up to `limit` entries of a personality, and take in none of a voice older than `oldest` any more (0: of
-- any). Returns {how many there were, how many lines are left}.
local personality, limit, oldest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if oldest > tonumber(redis.call('HGET', REVISIONS, personality) or 0) then
  redis.call('HSET', REVISIONS, personality, oldest)
end

local deleted = 0
for _, key in ipairs(redis.call('ZRANGE', entries_key(personality), 0, limit - 1)) do
  deleted = deleted + redis.call('UNLINK', audio_key(key))
  redis.call('UNLINK', metadata_key(key))
  strike(personality, key)
end
return {deleted, prune(personality)}
