-- Count an item by what became of it, once; `failure` tells of one that failed. Returns 1, or 0 when it is counted
-- already.
local id, number, outcome, failure = unpack(ARGV, 1, 4)
local kept_ms, most_ms = tonumber(ARGV[5]), tonumber(ARGV[6])

if redis.call('HDEL', begun_key(id), number) == 0 then return 0 end
count(id, outcome, 1)
if failure ~= '' then
  redis.call('RPUSH', failed_key(id), failure)
  redis.call('PEXPIRE', failed_key(id), most_ms)
end
end_if_done(id, kept_ms)
return 1
