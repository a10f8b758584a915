-- End an attempt: 'succeeded', with the audio of its draft, and 'failed' end the rendering, 'retry' queues it for
-- `provider`, 'cancelled' ends it unless a job has joined meanwhile. An attempt that is not the current one is fenced
-- and changes nothing, but what it used (`usage`, empty if nothing) is written down all the same.
-- Returns the rendering's new state, 'fenced', or 'no audio' where the draft of a success is missing: then nothing
-- was written at all.
local frozen, id, attempt, outcome, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local provider, value, ring_ms, keep_ms = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local usage = ARGV[10]

local state, current, jobs, at, created_ms =
  unpack(redis.call('HMGET', rendering_key(id), 'state', 'attempt', 'jobs', 'provider', 'created_ms'))
local draft = draft_key(id, attempt)
-- The reply of an earlier try was lost: tell it again.
if state == 'succeeded' and outcome == 'succeeded' and current == attempt then
  redis.call('DEL', draft)
  return 'succeeded'
end
local is_fenced = not is_live(state) or current ~= attempt

if not is_fenced and outcome == 'succeeded' and redis.call('EXISTS', draft) == 0 then return 'no audio' end

if usage ~= '' then redis.call('XADD', USAGE, '*', 'usage', usage) end
if is_fenced then
  redis.call('DEL', draft)
  return 'fenced'
end

local now = now_ms(frozen)
local wanted = tonumber(jobs) > 0
add_attempt(id, record)
if outcome == 'succeeded' then
  redis.call('RENAME', draft, result_key(id))
  terminate(id, 'succeeded', now, keep_ms, 'result', value)
elseif outcome == 'failed' then
  terminate(id, 'failed', now, 0, 'error', value)
elseif not wanted then
  outcome = 'cancelled'
  terminate(id, 'cancelled', now, 0, 'error', '')
else
  dequeue(id, at)
  enqueue(id, outcome == 'retry' and provider or at, created_ms, now + ring_ms)
  announce(id, 'queued')
  outcome = 'queued'
end
return outcome
