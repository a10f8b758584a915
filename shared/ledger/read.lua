-- Give jobs as they stand at one moment; with `audio` also what there is of it.
-- Returns {now, standing, …} in the order of the job ids.
local frozen, audio = ARGV[1], ARGV[2] == '1'

local answer = {now_ms(frozen)}
for place = 3, #ARGV do table.insert(answer, standing(ARGV[place], audio)) end
return answer
