-- Give those noted in EXPIRING their full time again, up to `most`, where they are whole and still in the second half
-- of it. Degraded audio keeps its end. Returns {how many were looked at, how many live on}.
local ttl_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = now_ms()
local half_ms, expires_ms = now + ttl_ms / 2, now + ttl_ms
local keys = redis.call('SPOP', EXPIRING, most)
local extended = 0
for _, key in ipairs(keys) do
  local about = redis.call('GET', metadata_key(key))
  local metadata = about and cjson.decode(about)
  if metadata and not metadata.degraded and metadata.expires_ms < half_ms
      and redis.call('PEXPIREAT', audio_key(key), expires_ms) == 1 then
    metadata.expires_ms = expires_ms
    redis.call('SET', metadata_key(key), cjson.encode(metadata), 'PXAT', expires_ms)
    redis.call('ZADD', entries_key(metadata.personality_id), 'XX', expires_ms, key)
    extended = extended + 1
  end
end
return {#keys, extended}
