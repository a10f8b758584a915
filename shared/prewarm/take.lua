-- Move the next item of a batch on from those that wait. Returns it, or false when none waits.
local id, most_ms = ARGV[1], tonumber(ARGV[2])

local item = redis.call('LPOP', waiting_key(id))
if not item then return false end
local number, request = string.match(item, '^(%d+) (.*)$')
redis.call('HSET', begun_key(id), number, request)
redis.call('PEXPIRE', begun_key(id), most_ms)
return item
