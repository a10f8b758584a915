-- Delete up to `limit` entries of a personality. Returns {how many there were, how many lines are left}.
local personality, limit = ARGV[1], tonumber(ARGV[2])

local deleted = 0
for _, key in ipairs(redis.call('ZRANGE', entries_key(personality), 0, limit - 1)) do
  deleted = deleted + redis.call('UNLINK', audio_key(key))
  redis.call('UNLINK', metadata_key(key))
  strike(personality, key)
end
return {deleted, prune(personality)}
