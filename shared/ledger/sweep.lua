-- Look at what is due: an expired lease goes back to its queue, a queued rendering past its deadline fails, the
-- others are to be rung again. Returns the provider of each lease that was lost, together, and then
-- {id, provider, attempt, chain, attempts, request id, priority} of each that waits now.
local frozen, limit, ring_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now = now_ms(frozen)
local lost, waiting = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit)) do
  local key = rendering_key(id)
  local state, provider, attempt, jobs, created_ms, deadline_ms, claimed_ms = unpack(redis.call('HMGET',
    key, 'state', 'provider', 'attempt', 'jobs', 'created_ms', 'deadline_ms', 'claimed_ms'))
  if not is_live(state) then
    redis.call('ZREM', DUE, id)
  else
    if state == 'running' then
      add_attempt(id, cjson.encode({provider = provider, code = 'worker_lost', duration_ms = now - claimed_ms,
        detail = 'The worker stopped answering.'}))
      table.insert(lost, provider)
      enqueue(id, provider, created_ms, now + ring_ms)
      announce(id, 'queued')
    end
    if tonumber(jobs) <= 0 then
      terminate(id, 'cancelled', now, 0, 'error', '')
    elseif now >= tonumber(deadline_ms) then
      terminate(id, 'failed', now, 0, 'error', DEADLINE)
    else
      redis.call('ZADD', DUE, now + ring_ms, id)
      table.insert(waiting,
        {id, provider, attempt, unpack(redis.call('HMGET', key, 'chain', 'attempts', 'request_id', 'priority'))})
    end
  end
end
return {lost, unpack(waiting)}
