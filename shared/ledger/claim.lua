-- Take a queued rendering for one attempt under a lease. The attempt's number is the fence of all that follows.
-- A provider whose circuit is not closed is let through once it is due a probe, and the next one is due later.
-- One that is made for the cache gives way: while somebody waits for this provider, the oldest of those is taken.
-- Returns {'claimed' | 'probe' | 'open', id, attempt, chain, attempts, request id, priority, utterance}, where 'open'
-- means that nobody is let through and it waits as before; or {why not}.
local frozen, id, provider, worker = unpack(ARGV, 1, 4)
local lease_ms, probe_after_ms = tonumber(ARGV[5]), tonumber(ARGV[6])

if redis.call('HGET', rendering_key(id), 'priority') == 'prewarm' then
  id = redis.call('ZRANGE', queue_key(provider), 0, 0)[1] or id
end

local key = rendering_key(id)
local state, at, attempt, max_attempts, deadline_ms =
  unpack(redis.call('HMGET', key, 'state', 'provider', 'attempt', 'max_attempts', 'deadline_ms'))
if not state then return {'gone'} end
if state == 'running' then return {'duplicate'} end
if state ~= 'queued' then return {'finished'} end
if at ~= provider then return {'moved'} end

local now = now_ms(frozen)
if now >= tonumber(deadline_ms) then
  terminate(id, 'failed', now, 0, 'error', DEADLINE)
  return {'deadline'}
end
if tonumber(attempt) >= tonumber(max_attempts) then
  terminate(id, 'failed', now, 0, 'error',
    '{"code":"synthesis_failed","detail":"Every attempt ended without a result."}')
  return {'poison'}
end

local about = redis.call('HMGET', key, 'chain', 'attempts', 'request_id', 'priority', 'utterance')
local how, probe_ms = 'claimed', redis.call('ZSCORE', CIRCUITS, provider)
if probe_ms then
  if now < tonumber(probe_ms) then return {'open', id, attempt, unpack(about, 1, 5)} end
  how = 'probe'
  redis.call('ZADD', CIRCUITS, now + probe_after_ms, provider)
end

attempt = redis.call('HINCRBY', key, 'attempt', 1)
redis.call('HSET', key, 'state', 'running', 'worker', worker, 'claimed_ms', now)
redis.call('HSETNX', key, 'started_ms', now)
dequeue(id, provider)
redis.call('ZADD', DUE, now + lease_ms, id)
announce(id, 'running')
return {how, id, attempt, unpack(about, 1, 5)}
