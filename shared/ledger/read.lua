-- Give jobs as they stand at one moment.
-- Returns {now, {job fields, values of its rendering's fields, rank in its provider's queue} or {} where a job or
-- its rendering is no longer kept, …}, in the order of the job ids.
local frozen = ARGV[1]

local FIELDS = {'state', 'provider', 'attempts', 'started_ms', 'finished_ms', 'result', 'error'}

local standings = {now_ms(frozen)}
for place = 2, #ARGV do
  local standing = {}
  local job = redis.call('HGETALL', job_key(ARGV[place]))
  local id = redis.call('HGET', job_key(ARGV[place]), 'rendering')
  local rendering = id and redis.call('HMGET', rendering_key(id), unpack(FIELDS))
  if rendering and rendering[1] then
    local rank = rendering[1] == 'queued' and redis.call('ZRANK', queue_key(rendering[2]), id)
    standing = {job, rendering, rank}
  end
  standings[place] = standing
end
return standings
