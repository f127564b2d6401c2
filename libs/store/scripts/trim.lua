-- Drop the entries below every group's oldest unacknowledged or undelivered one, in one atomic step: no group
-- can appear, and nothing can be delivered, between the look and the cut.
--
-- KEYS: revision, events, compact revision
-- ARGV: number of revisions to keep, names of the groups that must exist
-- Returns the compact revision.
local revision_key, events, compact_key = unpack(KEYS)
local compacted = tonumber(redis.call('GET', compact_key) or '0')
local floor = tonumber(redis.call('GET', revision_key) or '0') - tonumber(ARGV[1]) + 1

local function revision_of(entry_id)
  return tonumber(string.match(entry_id, '^(%d+)-'))
end

local existing = {}
if redis.call('EXISTS', events) == 1 then
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', events)) do
    local group = {}
    for i = 1, #fields, 2 do
      group[fields[i]] = fields[i + 1]
    end
    existing[group['name']] = true
    local pending = redis.call('XPENDING', events, group['name'])
    if pending[1] > 0 then
      floor = math.min(floor, revision_of(pending[2]))
    end
    local undelivered = redis.call('XRANGE', events, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)
    if #undelivered > 0 then
      floor = math.min(floor, revision_of(undelivered[1][1]))
    end
  end
end
for i = 2, #ARGV do
  if not existing[ARGV[i]] then
    return compacted
  end
end

if floor - 1 > compacted then
  compacted = floor - 1
  redis.call('SET', compact_key, string.format('%.0f', compacted))
  redis.call('XTRIM', events, 'MINID', string.format('%.0f-0', floor))
end
return compacted
