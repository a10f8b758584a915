-- Record a job and give it a rendering: one of the audio that the cache holds, if there is a `result`; else the one
-- under way for its cache key, or a new one. Everything is written at once. For a new one the doorbell is rung with
-- `message`, if the broker is a database of this server; else afterwards, by the caller or, if that dies, by the sweep.
-- A job for the cache is in nobody's list. A rendering for the cache that somebody asks for is one as any other from
-- then on: it goes to the end of the interactive queue, to whose provider `urged` tells to ring (empty otherwise).
-- Returns {'hit' | 'joined' | 'done' | 'new' | 'repeated', job id, now, standing, urged, whether it was rung} or
-- {'mismatch' | 'barred' | 'full'}.
local frozen, job_id, owner, request, cache_key, id = unpack(ARGV, 1, 6)
local idempotency_key, body, result = unpack(ARGV, 7, 9)
local provider, chain, utterance, max_attempts = unpack(ARGV, 10, 13)
local max_backlog, looked_at_ms, ring_ms = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local deadline_ms, ttl_ms = tonumber(ARGV[17]), tonumber(ARGV[18])
local may_begin, request_id, attempts, priority = ARGV[19] == '1', ARGV[20], ARGV[21], ARGV[22]
local broker_db, message = ARGV[23], ARGV[24]

local DAY_MS, STRUCK_AT_ONCE = 24 * 60 * 60 * 1000, 100

local now = now_ms(frozen)

-- The reply of an earlier try was lost: tell it again.
local before = redis.call('HGET', job_key(job_id), 'how')
if before then return {before, job_id, now, standing(job_id), '', 0} end

-- A request that is repeated has the job of its first time, unless that is no longer kept.
local reservation = 'voice:idempotency:' .. owner .. ':' .. idempotency_key
if idempotency_key ~= '' then
  local reserved, first = unpack(redis.call('HMGET', reservation, 'body', 'job'))
  if reserved and reserved ~= body then return {'mismatch'} end
  local its = first and standing(first)
  if its and its[1] then return {'repeated', first, now, its, '', 0} end
end

local how, urged = result == '' and 'new' or 'hit', ''
local live = how == 'new' and redis.call('GET', live_key(cache_key))
if live then
  local state, finished_ms, at, its_priority, its_deadline_ms = unpack(redis.call('HMGET', rendering_key(live),
    'state', 'finished_ms', 'provider', 'priority', 'deadline_ms'))
  if is_live(state) then
    how, id = 'joined', live
    redis.call('HINCRBY', rendering_key(id), 'jobs', 1)
    redis.call('HSET', rendering_key(id), 'deadline_ms', math.max(now + deadline_ms, tonumber(its_deadline_ms)))
    if its_priority == 'prewarm' and priority ~= 'prewarm' then
      dequeue(id, at)
      redis.call('HSET', rendering_key(id), 'priority', priority, 'created_ms', now)
      if state == 'queued' then
        enqueue(id, at, now, now + ring_ms)
        urged = at
      end
    end
  elseif state == 'succeeded' and tonumber(finished_ms) >= looked_at_ms then
    how, id = 'done', live
  end
end

if how == 'new' then
  if not may_begin then return {'barred'} end
  if redis.call('ZCARD', queue_key(provider, priority)) >= max_backlog then return {'full'} end
  redis.call('HSET', rendering_key(id), 'cache_key', cache_key, 'utterance', utterance, 'chain', chain,
    'attempt', 0, 'max_attempts', max_attempts, 'attempts', attempts, 'jobs', 1, 'created_ms', now,
    'deadline_ms', now + deadline_ms, 'ttl_ms', ttl_ms, 'request_id', request_id, 'priority', priority)
  redis.call('SET', live_key(cache_key), id)
  enqueue(id, provider, now, now + ring_ms)
elseif how == 'hit' and redis.call('EXISTS', rendering_key(id)) == 0 then
  redis.call('HSET', rendering_key(id), 'state', 'succeeded', 'provider', provider, 'attempts', '',
    'started_ms', now, 'finished_ms', now, 'result', result)
end
-- Such a job has ended, later than those before it.
local has_ended = how == 'hit' or how == 'done'
if has_ended then retain(id, ttl_ms) end

redis.call('HSET', job_key(job_id), 'rendering', id, 'how', how, 'owner', owner, 'request', request,
  'created_ms', now, 'deadline_ms', now + deadline_ms)
redis.call('PEXPIRE', job_key(job_id), has_ended and ttl_ms or deadline_ms + ttl_ms)
if idempotency_key ~= '' then
  redis.call('HSET', reservation, 'body', body, 'job', job_id)
  redis.call('PEXPIRE', reservation, DAY_MS)
end

if priority == 'prewarm' then return {how, job_id, now, standing(job_id), urged, 0} end

-- No job is kept for longer than `kept_ms`: an index without a new job for so long goes as a whole, and in one
-- with new jobs each strikes some old ones.
local kept_ms = deadline_ms + ttl_ms
local newest = redis.call('ZREVRANGE', JOBS, 0, 0, 'WITHSCORES')[2]
local score = math.max(now * 1000, (tonumber(newest) or 0) + 1)
for _, index in ipairs({JOBS, JOBS .. ':' .. owner}) do
  redis.call('ZADD', index, score, job_id)
  redis.call('PEXPIRE', index, kept_ms)
  local old = redis.call('ZRANGEBYSCORE', index, '-inf', (now - kept_ms) * 1000, 'LIMIT', 0, STRUCK_AT_ONCE)
  if #old > 0 then redis.call('ZREM', index, unpack(old)) end
end

local answer = {how, job_id, now, standing(job_id), urged, 0}
if how == 'new' and message ~= '' then
  -- At the very end: whatever followed would go to that database. What is refused does not undo the rest.
  local selected = redis.pcall('SELECT', broker_db)
  local rung = selected.err and selected or redis.pcall('LPUSH', provider, message)
  if type(rung) == 'number' then answer[6] = 1 end
end
return answer
