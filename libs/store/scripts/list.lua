-- Up to `count` records of a name range that have not expired, and the store's revision, in one atomic step.
--
-- KEYS: revision, records, names
-- ARGV: now ms, count, lowest and highest name in the form of ZRANGEBYLEX
-- Returns {revision, name, record, name, record, ...}
local revision_key, records, names = unpack(KEYS)
local now, count, lowest, highest = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]

local answer = {redis.call('GET', revision_key) or '0'}
while count > 0 do
  local found = redis.call('ZRANGEBYLEX', names, lowest, highest, 'LIMIT', 0, count)
  if #found == 0 then
    break
  end
  for i, record in ipairs(redis.call('HMGET', records, unpack(found))) do
    local expires_at = string.match(record, '^%d+ %d+ (%d+)\n')
    if expires_at == '0' or tonumber(expires_at) > now then
      answer[#answer + 1] = found[i]
      answer[#answer + 1] = record
      count = count - 1
    end
  end
  lowest = '(' .. found[#found]
end
return answer
