-- Count how often a personality's requests were asked for: (member, times, about) each, `about` empty where it was
-- told before. Nothing is kept for longer than `kept_ms` after the last time. Returns the members that must be told
-- of again, because they were forgotten meanwhile.
local personality, half_life_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local kept_ms, first = tonumber(ARGV[4]), 5
local ASKED = 'voice:asked:' .. personality
local ABOUT = ASKED .. ':about'

local untold = {}
for at = first, #ARGV, 3 do
  local member, times, about = unpack(ARGV, at, at + 2)
  rank(ASKED, member, tonumber(times), half_life_ms)
  if about ~= '' then
    redis.call('HSET', ABOUT, member, about)
  elseif redis.call('HEXISTS', ABOUT, member) == 0 then
    table.insert(untold, member)
  end
end
forget_least(ASKED, most, ABOUT)
redis.call('PEXPIRE', ASKED, kept_ms)
redis.call('PEXPIRE', ABOUT, kept_ms)
return untold
