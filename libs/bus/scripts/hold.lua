-- Set the idle time, and maybe the count of deliveries, of entries that still belong to a consumer.
--
-- KEYS: events
-- ARGV: group, consumer, idle ms, deliveries | "", entry ids
-- Returns the ids that belong to it.
local events = KEYS[1]
local group, consumer, idle, deliveries = unpack(ARGV, 1, 4)

local held = {}
for i = 5, #ARGV do
  local id = ARGV[i]
  local pending = redis.call('XPENDING', events, group, id, id, 1)[1]
  if pending and pending[2] == consumer then
    local claim = {'XCLAIM', events, group, consumer, 0, id, 'IDLE', idle, 'JUSTID'}
    if deliveries ~= '' then
      claim[#claim + 1] = 'RETRYCOUNT'
      claim[#claim + 1] = deliveries
    end
    redis.call(unpack(claim))
    held[#held + 1] = id
  end
end
return held
