-- Give a job a rendering: the one under way for its cache key, or a new one. Everything is written at once;
-- the doorbell is rung afterwards, by the caller or, if that dies, by the sweep.
-- Returns {'joined' | 'new' | 'done' | 'full' | 'barred', rendering id}.
local frozen, cache_key, id, job_id, provider = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_backlog, deadline_ms, ring_ms = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local looked_ago_ms, ttl_ms, max_attempts = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local utterance, chain, owner, request, may_begin = ARGV[12], ARGV[13], ARGV[14], ARGV[15], ARGV[16] == '1'
local request_id = ARGV[17]

local now = now_ms(frozen)
local job_key = 'voice:job:' .. job_id
-- The reply of an earlier try was lost: tell it again.
local before = redis.call('HMGET', job_key, 'how', 'rendering')
if before[1] then return before end

local how = 'new'
local live = redis.call('GET', live_key(cache_key))
if live then
  local state, finished_ms = unpack(redis.call('HMGET', rendering_key(live), 'state', 'finished_ms'))
  if is_live(state) then
    how, id = 'joined', live
    redis.call('HINCRBY', rendering_key(id), 'jobs', 1)
    redis.call('HSET', rendering_key(id), 'deadline_ms', now + deadline_ms)
  elseif state == 'succeeded' and tonumber(finished_ms) >= now - looked_ago_ms then
    how, id = 'done', live
  end
end

if how == 'new' then
  if not may_begin then return {'barred', ''} end
  if redis.call('ZCARD', queue_key(provider)) >= max_backlog then return {'full', ''} end
  redis.call('HSET', rendering_key(id), 'cache_key', cache_key, 'utterance', utterance, 'chain', chain,
    'attempt', 0, 'max_attempts', max_attempts, 'attempts', '', 'jobs', 1, 'created_ms', now,
    'deadline_ms', now + deadline_ms, 'ttl_ms', ttl_ms, 'request_id', request_id)
  redis.call('SET', live_key(cache_key), id)
  enqueue(id, provider, now, now + ring_ms)
end

redis.call('HSET', job_key, 'rendering', id, 'how', how, 'owner', owner, 'request', request,
  'created_ms', now, 'deadline_ms', now + deadline_ms)
redis.call('PEXPIRE', job_key, deadline_ms + ttl_ms)
return {how, id}
