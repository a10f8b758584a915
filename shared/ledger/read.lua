-- Give jobs as they stand at one moment.
-- Returns {now, standing, …} in the order of the job ids.
local answer = {now_ms(ARGV[1])}
for place = 2, #ARGV do table.insert(answer, standing(ARGV[place])) end
return answer
