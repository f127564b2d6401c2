-- Take over entries whose consumer has been silent. As XAUTOCLAIM, but with the count of deliveries.
--
-- KEYS: events
-- ARGV: group, consumer, min idle ms, first entry id (inclusive), count
-- Returns {last id looked at | "", {entry, deliveries}, ...}
local events = KEYS[1]
local group, consumer, min_idle, start, count = unpack(ARGV)

local idle = redis.call('XPENDING', events, group, 'IDLE', min_idle, start, '+', count)
local answer = {''}
for _, pending in ipairs(idle) do
  local claimed = redis.call('XCLAIM', events, group, consumer, min_idle, pending[1])
  if claimed[1] then
    answer[#answer + 1] = {claimed[1], pending[4] + 1}
  else
    -- Deleted from the stream by hand: nothing is left to handle.
    redis.call('XACK', events, group, pending[1])
  end
  answer[1] = pending[1]
end
if #idle < tonumber(count) then
  answer[1] = ''
end
return answer
