-- Take a queued rendering for one attempt under a lease. The attempt's number is the fence of all that follows.
-- Returns {'claimed', attempt, utterance, chain, attempts, request id} or {why not}.
local frozen, id, provider, worker, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

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

attempt = redis.call('HINCRBY', key, 'attempt', 1)
redis.call('HSET', key, 'state', 'running', 'worker', worker, 'claimed_ms', now)
redis.call('HSETNX', key, 'started_ms', now)
redis.call('ZREM', queue_key(provider), id)
redis.call('ZADD', DUE, now + lease_ms, id)
announce(id, 'running')
return {'claimed', attempt, unpack(redis.call('HMGET', key, 'utterance', 'chain', 'attempts', 'request_id'))}
